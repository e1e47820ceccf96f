//! The line printed once a second while a run goes on.

use std::time::Duration;

use crate::process::{CpuTime, Usage};
use crate::record::Interval;
use crate::units::{grouped, short};

/// What the last line was computed from.
#[derive(Debug, Default)]
pub(crate) struct Progress {
    server: Option<CpuTime>,
    generator: Option<CpuTime>,
}

/// One line of progress, in numbers.
struct Line<'a> {
    elapsed: Duration,
    wall: Duration,
    interval: &'a Interval,
    server: Option<Usage>,
    generator: Option<Usage>,
}

impl Progress {
    /// The line for an interval that took `wall`.
    pub(crate) fn line(
        &mut self,
        elapsed: Duration,
        wall: Duration,
        interval: &Interval,
        server: Option<CpuTime>,
        generator: Option<CpuTime>,
    ) -> String {
        let used = |now: &Option<CpuTime>, then: &Option<CpuTime>| Some(now.as_ref()?.since(then.as_ref()?));
        let line = Line {
            elapsed,
            wall,
            interval,
            server: used(&server, &self.server),
            generator: used(&generator, &self.generator),
        };
        self.server = server;
        self.generator = generator;
        render(&line)
    }
}

#[allow(clippy::cast_precision_loss)]
fn render(line: &Line<'_>) -> String {
    let (seconds, counters) = (line.wall.as_secs_f64().max(1e-9), &line.interval.counters);
    let rate = |count: u64| short(count as f64 / seconds);
    let latencies = &line.interval.corrected;
    let milliseconds = |percentile| latencies.value_at_percentile(percentile) as f64 / 1e6;
    let mut text = format!("{:>5.1}s conns {}", line.elapsed.as_secs_f64(), grouped(line.interval.connections));
    if counters.opened > 0 {
        text += &format!(" ▲ {}/s", rate(counters.opened));
    }
    text += &format!(" in {}/s out {}/s", rate(counters.all_received), rate(counters.all_sent));
    if !latencies.is_empty() {
        text +=
            &format!(" p50 {:.3} p99 {:.3} p99.9 {:.3} ms", milliseconds(50.0), milliseconds(99.0), milliseconds(99.9));
    }
    text += &format!(" err {}", grouped(counters.errors_total()));
    let percent = |usage: Usage| format!("{:.0}%", usage.total_ns as f64 / 1e7 / seconds);
    match (line.server, line.generator) {
        (None, None) => {}
        (server, generator) => {
            let show = |usage: Option<Usage>| usage.map_or_else(|| "?".to_owned(), percent);
            text += &format!(" cpu srv {} gen {}", show(server), show(generator));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_tells_rates_latencies_and_cpu() {
        let mut interval = Interval::new();
        interval.connections = 12_345;
        interval.counters.opened = 9_800;
        interval.counters.all_received = 1_200_000;
        interval.corrected.record(310_000).expect("in bounds");
        let usage = |total_ns| Some(Usage { total_ns, ..Usage::default() });
        let line = Line {
            elapsed: Duration::from_secs(12),
            wall: Duration::from_secs(1),
            interval: &interval,
            server: usage(1_870_000_000),
            generator: usage(620_000_000),
        };
        let text = render(&line);
        for part in ["12.0s", "conns 12,345", "▲ 9800/s", "in 1.20M/s", "p50 0.310", "err 0", "srv 187% gen 62%"] {
            assert!(text.contains(part), "{part} is not in {text}");
        }
    }
}
