//! What a soak has found, for people and for machines.

use std::fmt::Write as _;

use serde_json::{Map, Value, json};

use super::args::Args;
use super::outcome::{Outcome, Round};
use super::trend::Trend;
use crate::threshold::Verdict;
use crate::units;

/// One round as a line.
pub(super) fn line(round: &Round) -> String {
    let counts = round.counts;
    let latency = |name: &str| round.latency(name).map_or_else(|| "-".to_owned(), units::latency);
    let mut line = format!(
        "{:>7.0} s  at rest {:>9} {:>5} fds  at most {:>9} {:>6} fds  p50 {:>8} p99 {:>8} max {:>8}  received {}  loss {} \
         disorder {} errors {}  slow readers ended {}",
        round.ends.as_secs_f64(),
        mebibytes(round.end.resident),
        round.end.descriptors.unwrap_or(0),
        mebibytes(Some(round.resident_max)),
        round.descriptors_max,
        latency("p50"),
        latency("p99"),
        latency("max"),
        units::grouped(counts.received),
        counts.loss,
        counts.disorder,
        counts.errors,
        round.slow_ended,
    );
    for (load, errors) in &round.errors {
        write!(line, "\n           errors of {load}: {errors}").expect("writing to a string");
    }
    line
}

/// The whole result; with its rounds, where they were not shown as they ended.
pub(super) fn table(outcome: &Outcome, verdicts: &[Verdict], shows_rounds: bool) -> String {
    let rounds = outcome.rounds.iter().filter(|_| shows_rounds);
    let mut text: String = rounds.map(|round| line(round) + "\n").collect();
    let memory = slope(outcome.memory_trend(), 1024.0, "KiB");
    let descriptors = slope(outcome.descriptor_trend(), 1.0, "descriptors");
    let grown = outcome.descriptors_grown().map_or_else(|| "unknown".to_owned(), |grown| format!("{grown:+}"));
    let counts = outcome.counts();
    let rounds = outcome.rounds.len();
    writeln!(text, "memory       {memory}\ndescriptors  {descriptors}, {grown} in all").expect("writing to a string");
    writeln!(
        text,
        "{rounds} rounds: sent {}, received {}, loss {}, duplicates {}, disorder {}, errors {}, unsent {}",
        units::grouped(counts.sent),
        units::grouped(counts.received),
        counts.loss,
        counts.duplicates,
        counts.disorder,
        counts.errors,
        counts.unsent,
    )
    .expect("writing to a string");
    if let Some(share) = outcome.cpu_share {
        writeln!(text, "server CPU   {:.1} % of one", share * 100.0).expect("writing to a string");
    }
    for verdict in verdicts {
        let word = if verdict.passed { "holds" } else { "DOES NOT HOLD" };
        writeln!(text, "threshold    {} {word}", verdict.text).expect("writing to a string");
    }
    text
}

fn slope(trend: Option<Trend>, unit: f64, name: &str) -> String {
    let Some(trend) = trend else { return "unknown: fewer than three rounds after the warm-up".to_owned() };
    let (slope, error, readings) = (trend.slope / unit, trend.error / unit, trend.readings);
    let chance = if trend.is_significant() { "" } else { ", no more than chance makes" };
    format!("{slope:+.1} ± {error:.1} {name} an hour at rest ({readings} readings{chance})")
}

/// The whole result. Times are in nanoseconds where the name says `_ns`, memory in bytes.
pub(super) fn json(args: &Args, outcome: &Outcome, verdicts: &[Verdict]) -> Value {
    json!({
        "schema": "socketshard-soak/1",
        "version": env!("CARGO_PKG_VERSION"),
        "settings": {
            "duration_s": args.duration.as_secs_f64(),
            "interval_s": args.interval.as_secs_f64(),
            "warmup_s": outcome.warmup.as_secs_f64(),
            "connections": args.connections,
            "rate": args.rate,
            "slow_readers": args.slow_readers,
        },
        "interrupted": outcome.was_interrupted,
        "failure": outcome.failure,
        "counts": outcome.counts(),
        "memory": {
            "before": outcome.before,
            "slope": outcome.memory_trend(),
        },
        "descriptors": {
            "slope": outcome.descriptor_trend(),
            "grown": outcome.descriptors_grown(),
        },
        "server_cpu_share": outcome.cpu_share,
        "rounds": outcome.rounds.iter().map(round).collect::<Vec<_>>(),
        "thresholds": verdicts.iter().map(|verdict| json!({
            "text": verdict.text, "value": verdict.value, "passed": verdict.passed,
        })).collect::<Vec<_>>(),
        "machine": crate::machine::facts(),
    })
}

fn round(round: &Round) -> Value {
    let by_load = |list: &[(&'static str, Value)]| {
        list.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect::<Map<_, _>>()
    };
    json!({
        "begins_s": round.at.as_secs_f64(),
        "ends_s": round.ends.as_secs_f64(),
        "counts": round.counts,
        "latency_ns": by_load(&round.latencies),
        "errors": by_load(&round.errors),
        "slow_readers_ended": round.slow_ended,
        "resident_max": round.resident_max,
        "descriptors_max": round.descriptors_max,
        "at_rest": round.end,
    })
}

#[allow(clippy::cast_precision_loss)]
fn mebibytes(bytes: Option<u64>) -> String {
    bytes.map_or_else(|| "-".to_owned(), |bytes| format!("{:.1} MiB", bytes as f64 / f64::from(1 << 20)))
}
