//! The numbers of a run, and what follows from them: rates, loss, CPU per message, bytes per connection, who was the
//! bottleneck. Pure arithmetic.

use std::time::Duration;

use crate::args::ScenarioName;
use crate::plan::Nanoseconds;
use crate::process::{Memory, Usage};
use crate::record::Interval;
use crate::settings::Settings;
use crate::threshold::{Metric, Verdict};

/// A generator thread this busy may be what limits the rate.
const GENERATOR_BUSY: f64 = 0.80;
/// A server thread this busy is what limits the rate.
const SERVER_BUSY: f64 = 0.90;
/// A lag that ends above this after doubling was growing.
const LAG_NS: Nanoseconds = 10_000_000;

/// When fewer of the visits end than begin in the window, the server's cost of a whole one is not in it.
const VISITS_ENDED: f64 = 0.9;

/// CPU time over the recorded window.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Cpu {
    /// Of the server; absent when its process is unknown.
    pub(crate) server: Option<Usage>,
    /// Of the generator's worker threads.
    pub(crate) generator: Usage,
    /// How long the window was.
    pub(crate) wall: Duration,
}

impl Cpu {
    /// The share of a CPU that so much time is.
    pub(crate) fn share(&self, ns: u64) -> f64 {
        Duration::from_nanos(ns).as_secs_f64() / self.wall.as_secs_f64().max(1e-9)
    }
}

/// Below so many connections, what an allocator takes at a time outweighs what they need.
const CONNECTIONS_MIN: u64 = 100;

/// Everything a run found.
#[derive(Debug)]
pub(crate) struct Summary {
    pub(crate) settings: Settings,
    /// The measured part in seconds.
    pub(crate) seconds: f64,
    /// All workers, all seconds.
    pub(crate) totals: Interval,
    /// The generator's worst lag in each second.
    pub(crate) lags: Vec<Nanoseconds>,
    /// Connections that were open when the plan began (at the end, for `connect`).
    pub(crate) connections: u64,
    /// How long the connections took to open.
    pub(crate) ramp_seconds: f64,
    pub(crate) cpu: Cpu,
    /// Before any connection, with all of them, and at the end.
    pub(crate) memory: [Memory; 3],
    pub(crate) shards: Option<usize>,
    pub(crate) was_interrupted: bool,
    /// What a reader must know before believing the numbers.
    pub(crate) warnings: Vec<String>,
}

#[allow(clippy::cast_precision_loss)]
impl Summary {
    /// Messages that never arrived.
    pub(crate) fn loss(&self) -> u64 {
        let counters = &self.totals.counters;
        match self.settings.scenario {
            ScenarioName::Fanout => counters.expected.saturating_sub(counters.tally.unique),
            ScenarioName::Presence => counters.loss + counters.expected.saturating_sub(counters.tally.unique),
            _ => counters.loss,
        }
    }

    /// What shares of messages are taken of: everything sent or owed, and the deliveries of it. The warm-up counts,
    /// since errors and losses of the warm-up count as well.
    pub(crate) fn messages(&self) -> f64 {
        let counters = &self.totals.counters;
        (counters.all_sent + counters.unsent + counters.expected) as f64
    }

    /// Messages sent per second (calls, publications, handshakes begun).
    pub(crate) fn sent_rate(&self) -> f64 {
        self.totals.counters.sent as f64 / self.seconds.max(1e-9)
    }

    /// Answers, deliveries or handshakes per second.
    pub(crate) fn rate(&self) -> f64 {
        self.totals.counters.in_window as f64 / self.seconds.max(1e-9)
    }

    /// Nanoseconds of CPU per answer, delivery, handshake or visit: half of one is its beginning, half its end.
    pub(crate) fn per_message(&self, ns: u64) -> Option<f64> {
        let begun = self.totals.counters.in_window as f64;
        let people = self.totals.people.as_ref();
        let messages = people.map_or(begun, |people| begun.midpoint(people.left_in_window as f64));
        (messages > 0.0).then(|| ns as f64 / messages)
    }

    /// Growth of the server and of the kernel's slab per connection.
    pub(crate) fn bytes_per_connection(&self) -> (Option<f64>, Option<f64>) {
        let is_churn = self.settings.scenario == ScenarioName::Connect && !self.settings.args.keep_open;
        if is_churn || self.connections < CONNECTIONS_MIN {
            return (None, None);
        }
        self.memory[1].growth(&self.memory[0], self.connections)
    }

    /// Whether the generator, not the server, set the pace; and how that shows.
    pub(crate) fn generator_bound(&self) -> Option<String> {
        let generator = self.cpu.share(self.cpu.generator.busiest_ns);
        let server = self.cpu.server.map(|server| self.cpu.share(server.busiest_ns));
        let is_server_free = server.is_none_or(|server| server < SERVER_BUSY);
        if generator > GENERATOR_BUSY && is_server_free {
            let server = server.map_or_else(|| "unknown".to_owned(), |server| format!("{:.0} %", server * 100.0));
            return Some(format!(
                "the generator may be the bottleneck: its busiest thread used {:.0} % of a CPU, the server's {server}; \
                 give it more --threads and --cpus",
                generator * 100.0
            ));
        }
        let (first, second) = self.lags.split_at(self.lags.len() / 2);
        let mean = |lags: &[Nanoseconds]| lags.iter().sum::<u64>() / (lags.len() as u64).max(1);
        if mean(second) > LAG_NS && mean(second) > 2 * mean(first) {
            return Some(format!(
                "the generator fell behind its own plan: its lag grew from {} to {} on average; lower the rate or give it \
                 more --threads and --cpus",
                crate::units::latency(mean(first)),
                crate::units::latency(mean(second))
            ));
        }
        None
    }

    /// Whether there is anything to believe: something came back (or connections were held).
    pub(crate) fn has_measured(&self) -> bool {
        match self.settings.scenario {
            ScenarioName::Idle => self.connections > 0,
            _ => self.totals.counters.received > 0,
        }
    }

    /// What else a reader must know.
    pub(crate) fn doubts(&self) -> Vec<String> {
        let mut doubts = self.warnings.clone();
        if !self.has_measured() {
            doubts.push("nothing was measured: no recorded message was answered".to_owned());
        }
        if self.cpu.server.is_some_and(|server| server.total_ns == 0) && self.totals.counters.in_window > 0 {
            doubts.push("the server's process used no CPU at all: is it the right one (--server-pid)?".to_owned());
        }
        if let Some(people) = &self.totals.people
            && (people.left_in_window as f64) < VISITS_ENDED * self.totals.counters.in_window as f64
        {
            doubts.push(format!(
                "{} users came and {} left while it was measured: a longer --warmup or a shorter --stay evens that out",
                self.totals.counters.in_window, people.left_in_window
            ));
        }
        doubts.extend(self.generator_bound());
        doubts
    }

    /// Judges the thresholds.
    pub(crate) fn verdicts(&self) -> Vec<Verdict> {
        let messages = self.messages();
        self.settings.thresholds.iter().map(|one| one.judge(|metric| self.value(metric), messages)).collect()
    }

    fn value(&self, metric: Metric) -> Option<f64> {
        let (latency, counters) = (&self.totals.corrected, &self.totals.counters);
        let has_latency = !latency.is_empty();
        match metric {
            Metric::Percentile(percentile) => has_latency.then(|| latency.value_at_percentile(percentile) as f64),
            Metric::Heard(percentile) => {
                let heard = &self.totals.people.as_ref()?.join_heard;
                (!heard.is_empty()).then(|| heard.value_at_percentile(percentile) as f64)
            }
            Metric::Mean => has_latency.then(|| latency.mean()),
            Metric::Loss => Some(self.loss() as f64),
            Metric::Duplicates => Some(counters.tally.duplicates as f64),
            Metric::Disorder => Some(counters.tally.disorder as f64),
            Metric::Errors => Some(counters.errors_total() as f64),
            Metric::Unsent => Some(counters.unsent as f64),
            Metric::Rate => Some(self.rate()),
            Metric::ServerCpu => self.per_message(self.cpu.server?.total_ns),
            Metric::BytesPerConnection => self.bytes_per_connection().0,
            Metric::MemorySlope | Metric::DescriptorSlope | Metric::Descriptors => None,
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::args::Args;
    use crate::settings::decide;
    use clap::Parser;

    /// A run of that command line that measured a little.
    pub(crate) fn summary(line: &str) -> Summary {
        let args = Args::try_parse_from(std::iter::once("x").chain(line.split_whitespace())).expect(line);
        let mut totals = Interval::new();
        for micros in 1..=1_000 {
            totals.corrected.record(micros * 1_000).expect("in bounds");
            totals.uncorrected.record(micros * 500).expect("in bounds");
        }
        totals.counters.sent = 1_000;
        totals.counters.received = 1_000;
        totals.counters.in_window = 1_000;
        let usage = |total_ns| Usage {
            total_ns,
            user_ns: total_ns / 4,
            system_ns: 3 * total_ns / 4,
            busiest_ns: total_ns,
            switches: 9,
        };
        let memory = |resident| Memory { resident: Some(resident), ..Memory::default() };
        Summary {
            settings: decide(args).expect(line),
            seconds: 10.0,
            totals,
            lags: vec![1_000; 10],
            connections: 100,
            ramp_seconds: 0.1,
            cpu: Cpu { server: Some(usage(4_000_000)), generator: usage(5_000_000), wall: Duration::from_secs(10) },
            memory: [memory(1_000_000), memory(1_030_000), memory(1_040_000)],
            shards: Some(2),
            was_interrupted: false,
            warnings: Vec::new(),
        }
    }

    const RPC: &str = "rpc --target ws://127.0.0.1:1";

    #[test]
    fn figures_follow_from_counts() {
        let summary = summary(RPC);
        assert_eq!(summary.rate(), 100.0);
        assert_eq!(summary.per_message(4_000_000), Some(4_000.0));
        assert_eq!(summary.bytes_per_connection().0, Some(300.0));
        let few = Summary { connections: 99, ..summary };
        assert_eq!((few.bytes_per_connection().0, few.loss()), (None, 0));
    }

    #[test]
    fn loss_of_a_fan_out_is_what_was_published_and_not_delivered() {
        let mut summary = summary("fanout --target ws://127.0.0.1:1");
        summary.totals.counters.expected = 500;
        summary.totals.counters.tally.unique = 493;
        assert_eq!(summary.loss(), 7);
    }

    #[test]
    fn a_visit_is_a_join_and_a_leave() {
        let line = "presence --target ws://127.0.0.1:1 --users 100 --thresholds heard_p99<2ms,heard_max<1ms,loss==4";
        let mut summary = summary(line);
        let people = summary.totals.people.insert(Box::default());
        people.left_in_window = 600;
        people.join_heard.record(1_500_000).expect("in bounds");
        summary.totals.counters.expected = 2_000;
        summary.totals.counters.tally.unique = 1_997;
        summary.totals.counters.loss = 1;
        assert_eq!(summary.per_message(4_000_000), Some(5_000.0), "1,000 joins and 600 leaves are 800 visits");
        assert!(summary.doubts()[0].contains("1000 users came and 600 left"), "{:?}", summary.doubts());
        let passed: Vec<bool> = summary.verdicts().iter().map(|verdict| verdict.passed).collect();
        assert_eq!(passed, [true, false, true]);
    }

    #[test]
    fn a_busy_generator_before_an_idle_server_is_the_bottleneck() {
        let mut summary = summary(RPC);
        assert_eq!(summary.generator_bound(), None);
        summary.cpu.generator.busiest_ns = 8_500_000_000;
        assert!(summary.generator_bound().expect("85 % of a CPU").contains("85 %"));
        summary.cpu.server.as_mut().expect("known").busiest_ns = 9_500_000_000;
        assert_eq!(summary.generator_bound(), None, "the server was busier");
    }

    #[test]
    fn a_server_without_cpu_time_and_a_run_without_answers_are_doubted() {
        let mut summary = summary(RPC);
        assert!(summary.has_measured() && summary.doubts().is_empty());
        summary.cpu.server = Some(Usage::default());
        assert!(summary.doubts()[0].contains("--server-pid"));
        summary.totals.counters.received = 0;
        assert!(!summary.has_measured() && summary.doubts()[0].contains("nothing was measured"));
    }

    #[test]
    fn a_lag_that_grows_is_the_generators_fault() {
        let mut summary = summary(RPC);
        summary.lags = (1..=10).map(|second| second * 20_000_000).collect();
        assert!(summary.generator_bound().expect("it grows").contains("lag"));
        summary.lags = vec![20_000_000; 10];
        assert_eq!(summary.generator_bound(), None, "late, but steadily so");
    }

    #[test]
    fn thresholds_are_judged_on_the_corrected_latency() {
        let summary = summary(&format!(
            "{RPC} --thresholds p50<501us,p50<400us,loss==0,rate>99/s,server_cpu<4us,bytes_per_connection<301"
        ));
        let passed: Vec<bool> = summary.verdicts().iter().map(|verdict| verdict.passed).collect();
        assert_eq!(passed, [true, false, true, true, false, true]);
    }
}
