//! The final table, for people.

use std::fmt::Write as _;

use hdrhistogram::Histogram;

use super::summary::Summary;
use crate::args::ScenarioName;
use crate::process::Usage;
use crate::scenario::presence::Gathering;
use crate::units::{grouped, latency, short};

/// The percentiles of the table.
pub(super) const PERCENTILES: [(&str, f64); 6] =
    [("p50", 50.0), ("p90", 90.0), ("p99", 99.0), ("p99.9", 99.9), ("p99.99", 99.99), ("max", 100.0)];

/// The whole table.
pub(crate) fn table(summary: &Summary) -> String {
    let mut text = String::new();
    // Writing to a string cannot fail.
    let _ = write_table(&mut text, summary);
    text
}

/// What one message is called.
pub(super) const fn noun(scenario: ScenarioName) -> &'static str {
    match scenario {
        ScenarioName::Echo => "message",
        ScenarioName::Rpc => "call",
        ScenarioName::Fanout => "delivery",
        ScenarioName::Idle => "heartbeat",
        ScenarioName::Connect => "handshake",
        ScenarioName::Presence => "visit",
    }
}

fn write_table(text: &mut String, summary: &Summary) -> std::fmt::Result {
    let settings = &summary.settings;
    let name = format!("{:?}", settings.scenario).to_lowercase();
    let mode = match (settings.scenario, settings.rate) {
        (ScenarioName::Idle, _) => "held".to_owned(),
        (_, Some(_)) => "open loop".to_owned(),
        (_, None) => format!("closed loop, {} in flight each", settings.window),
    };
    write!(text, "\n{name}: {mode}, {} connections, {:.1} s", grouped(settings.connections), summary.seconds)?;
    match settings.scenario {
        ScenarioName::Fanout => {
            let cast = &settings.cast;
            write!(
                text,
                ", {} publishers, {} subscribers",
                grouped(cast.publishers as u64),
                grouped(cast.subscribers as u64)
            )?;
            write!(text, ", {} channels, {} B", grouped(cast.channels as u64), cast.payload_bytes)?;
        }
        ScenarioName::Rpc => write!(text, ", {}, {} B", settings.action, settings.args.size)?,
        ScenarioName::Echo => write!(text, ", {} B", settings.args.size)?,
        ScenarioName::Presence => {
            let Gathering { users, rooms, .. } = settings.gathering;
            write!(text, ", {} users in {} rooms", grouped(users), grouped(rooms))?;
            write!(text, ", stay {:.1} s", settings.args.stay.as_secs_f64())?;
            write!(text, ", leave by {}", format!("{:?}", settings.args.leave).to_lowercase())?;
        }
        ScenarioName::Idle | ScenarioName::Connect => {}
    }
    writeln!(text, "{}", if summary.was_interrupted { " (interrupted)" } else { "" })?;
    if settings.scenario != ScenarioName::Idle {
        write_rates(text, summary)?;
        write_latencies(text, summary)?;
    }
    write_counts(text, summary)?;
    write_people(text, summary)?;
    write_cpu(text, summary)?;
    write_memory(text, summary)?;
    write_remarks(text, summary)
}

fn write_rates(text: &mut String, summary: &Summary) -> std::fmt::Result {
    let asked = summary.settings.rate.map_or_else(|| "-".to_owned(), |rate| format!("{}/s", short(rate)));
    write!(text, "  rate          asked {asked}, achieved {}/s", short(summary.sent_rate()))?;
    if summary.settings.scenario == ScenarioName::Fanout {
        write!(text, " publications, {}/s deliveries", short(summary.rate()))?;
    } else {
        write!(text, " sent, {}/s answered", short(summary.rate()))?;
    }
    writeln!(text)
}

fn write_latencies(text: &mut String, summary: &Summary) -> std::fmt::Result {
    write!(text, "  latency     ")?;
    for (name, _) in PERCENTILES {
        write!(text, " {name:>9}")?;
    }
    writeln!(text, " {:>9}", "mean")?;
    let mut row = |name: &str, histogram: &Histogram<u64>| -> std::fmt::Result {
        write!(text, "    {name:<10}")?;
        if histogram.is_empty() {
            return writeln!(text, " {:>9}", "none");
        }
        for (_, percentile) in PERCENTILES {
            write!(text, " {:>9}", latency(histogram.value_at_percentile(percentile)))?;
        }
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        let mean = histogram.mean() as u64;
        writeln!(text, " {:>9}", latency(mean))
    };
    if summary.settings.rate.is_some() {
        row("corrected", &summary.totals.corrected)?;
        row("uncorrect.", &summary.totals.uncorrected)?;
    } else {
        row("closed", &summary.totals.uncorrected)?;
    }
    if let Some(people) = &summary.totals.people {
        row("join heard", &people.join_heard)?;
        row("left heard", &people.leave_heard)?;
    }
    Ok(())
}

fn write_people(text: &mut String, summary: &Summary) -> std::fmt::Result {
    let Some(people) = &summary.totals.people else { return Ok(()) };
    let counters = &summary.totals.counters;
    write!(text, "  events        {} of {} heard", grouped(counters.tally.unique), grouped(counters.expected))?;
    writeln!(text, " by watchers, {} by other members", grouped(people.bystanders))?;
    if let Some([before, end]) = people.online {
        write!(text, "  users online  {} before, at most {}", grouped(before), grouped(people.online_max))?;
        writeln!(text, ", at the end {}", grouped(end))?;
    }
    Ok(())
}

fn write_counts(text: &mut String, summary: &Summary) -> std::fmt::Result {
    let counters = &summary.totals.counters;
    write!(text, "  messages      sent {}", grouped(counters.sent))?;
    write!(text, ", received {}", grouped(counters.received))?;
    write!(text, ", loss {}, duplicates {}", grouped(summary.loss()), grouped(counters.tally.duplicates))?;
    write!(text, ", disorder {}, errors {}", grouped(counters.tally.disorder), grouped(counters.errors_total()))?;
    writeln!(text, ", unsent {}", grouped(counters.unsent))?;
    write!(text, "  connections   {} open", grouped(summary.connections))?;
    write!(text, " after {:.1} s, {} opened in all", summary.ramp_seconds, grouped(counters.opened))?;
    writeln!(text, ", {} heartbeats answered", grouped(counters.pings))?;
    for (code, count) in &counters.closes {
        writeln!(text, "  closed        {} by the server with code {code}", grouped(*count))?;
    }
    for (error, count) in &counters.errors {
        writeln!(text, "  error         {} x {error}", grouped(*count))?;
    }
    if counters.unexpected > 0 {
        writeln!(text, "  error         {} x an answer that no call waited for", grouped(counters.unexpected))?;
    }
    if !counters.publishers.is_empty() {
        let shards = counters.publishers.iter().map(|(shard, count)| format!("shard {shard}: {count}"));
        writeln!(text, "  publishers    {}", shards.collect::<Vec<_>>().join(", "))?;
    }
    Ok(())
}

fn write_cpu(text: &mut String, summary: &Summary) -> std::fmt::Result {
    let noun = noun(summary.settings.scenario);
    let row = |text: &mut String, name: &str, usage: &Usage| -> std::fmt::Result {
        write!(text, "  {name:<13} ")?;
        if let Some(each) = summary.per_message(usage.total_ns) {
            let part = |ns| summary.per_message(ns).unwrap_or(0.0) / 1e3;
            let (user, system) = (part(usage.user_ns), part(usage.system_ns));
            write!(text, "{:.3} us per {noun} (user {user:.3} + system {system:.3}), ", each / 1e3)?;
        }
        let (all, busiest) = (summary.cpu.share(usage.total_ns), summary.cpu.share(usage.busiest_ns));
        writeln!(text, "{:.1} % of a CPU, busiest thread {:.1} %", all * 100.0, busiest * 100.0)
    };
    match &summary.cpu.server {
        Some(server) => row(text, "server CPU", server)?,
        None => writeln!(text, "  server CPU    unknown (name its process with --server-pid)")?,
    }
    row(text, "generator CPU", &summary.cpu.generator)?;
    let lag = summary.lags.iter().copied().max().unwrap_or(0);
    if summary.settings.rate.is_some() {
        writeln!(text, "  generator lag at most {}", latency(lag))?;
    }
    Ok(())
}

fn write_memory(text: &mut String, summary: &Summary) -> std::fmt::Result {
    let [before, with, end] = &summary.memory;
    let megabytes = |bytes: u64| format!("{:.1} MB", bytes as f64 / 1e6);
    if let (Some(before), Some(with)) = (before.resident, with.resident) {
        write!(text, "  memory        server {} -> {}", megabytes(before), megabytes(with))?;
        if let Some(end) = end.resident {
            write!(text, ", at the end {}", megabytes(end))?;
        }
        if let (Some(each), _) = summary.bytes_per_connection() {
            write!(text, ", {each:.0} bytes per connection")?;
        }
        writeln!(text)?;
    }
    if let (Some(before), Some(with)) = (before.slab, with.slab) {
        write!(text, "  kernel slab   {} -> {}", megabytes(before), megabytes(with))?;
        if let (_, Some(each)) = summary.bytes_per_connection() {
            write!(text, ", {each:.0} bytes per connection (both ends, whole machine)")?;
        }
        writeln!(text)?;
    }
    Ok(())
}

fn write_remarks(text: &mut String, summary: &Summary) -> std::fmt::Result {
    for verdict in summary.verdicts() {
        let state = if verdict.passed { "holds" } else { "FAILED" };
        let found = verdict.value.map_or_else(|| "not measured".to_owned(), |value| format!("found {value}"));
        writeln!(text, "  threshold     {} {state} ({found})", verdict.text)?;
    }
    let counters = &summary.totals.counters;
    if counters.buffer_shortages > 0 {
        writeln!(
            text,
            "  note          the generator ran out of receive buffers {} times",
            grouped(counters.buffer_shortages)
        )?;
    }
    if counters.short_sends > 0 {
        writeln!(text, "  note          the server read too slowly for {} sends", grouped(counters.short_sends))?;
    }
    for warning in summary.doubts() {
        writeln!(text, "  WARNING       {warning}")?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::summary::tests::summary;
    use super::*;

    #[test]
    fn the_table_holds_what_was_found() {
        let mut found = summary("rpc --target ws://127.0.0.1:1 -R 100/s --thresholds p50<1us");
        found.totals.counters.error("refused: no");
        found.warnings.push("mind this".to_owned());
        let table = table(&found);
        for part in [
            "rpc: open loop",
            "asked 100/s",
            "corrected",
            "uncorrect.",
            "4.000 us per call (user 1.000 + system 3.000)",
            "generator CPU 5.000 us per call",
            "300 bytes per connection",
            "1 x refused: no",
            "p50<1us FAILED",
            "WARNING       mind this",
        ] {
            assert!(table.contains(part), "{part} is not in\n{table}");
        }
    }
}
