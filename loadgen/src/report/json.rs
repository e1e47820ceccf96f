//! The result as JSON, for machines. The schema's name carries its version: fields are added under the same one, and
//! removed or changed only under the next.

use hdrhistogram::Histogram;
use serde_json::{Map, Value, json};

use super::summary::Summary;
use super::text::{PERCENTILES, noun};
use crate::machine::Facts;
use crate::process::Usage;

/// The schema of what `write` gives.
pub(crate) const SCHEMA: &str = "socketshard-loadgen/1";

/// The whole result. Times are in nanoseconds where the name says `_ns`, memory in bytes.
pub(crate) fn write(summary: &Summary, facts: &Facts) -> Value {
    let (settings, counters) = (&summary.settings, &summary.totals.counters);
    let (bytes, slab) = summary.bytes_per_connection();
    json!({
        "schema": SCHEMA,
        "version": env!("CARGO_PKG_VERSION"),
        "scenario": format!("{:?}", settings.scenario).to_lowercase(),
        "settings": {
            "mode": if settings.rate.is_some() { "open" } else { "closed" },
            "rate_asked": settings.rate,
            "connections": settings.connections,
            "in_flight_max": settings.window,
            "payload_bytes": settings.args.size,
            "duration_s": settings.duration.as_secs_f64(),
            "warmup_s": settings.warmup.as_secs_f64(),
            "seed": settings.args.seed,
            "action": settings.action,
            "publishers": settings.cast.publishers,
            "subscribers": settings.cast.subscribers,
            "channels": settings.cast.channels,
            "server_shards": summary.shards,
        },
        "measured_s": summary.seconds,
        "ramp_s": summary.ramp_seconds,
        "interrupted": summary.was_interrupted,
        "rate": { "sent": summary.sent_rate(), "received": summary.rate() },
        "latency_ns": {
            "corrected": latencies(&summary.totals.corrected),
            "uncorrected": latencies(&summary.totals.uncorrected),
        },
        "counts": counts(summary),
        "errors": counters.errors,
        "closes": counters.closes,
        "publishers_on_shard": counters.publishers,
        "connections": { "open": summary.connections, "opened": counters.opened },
        "presence": presence(summary),
        "message": noun(settings.scenario),
        "server": summary.cpu.server.map(|usage| cpu(summary, &usage)),
        "generator": cpu(summary, &summary.cpu.generator),
        "generator_lag_ns": summary.lags,
        "memory": {
            "before": summary.memory[0],
            "connected": summary.memory[1],
            "end": summary.memory[2],
            "bytes_per_connection": bytes,
            "slab_bytes_per_connection": slab,
        },
        "thresholds": summary.verdicts().into_iter().map(|verdict| json!({
            "text": verdict.text, "value": verdict.value, "passed": verdict.passed,
        })).collect::<Vec<_>>(),
        "generator_bound": summary.generator_bound(),
        "warnings": summary.doubts(),
        "machine": facts,
    })
}

fn counts(summary: &Summary) -> Value {
    let counters = &summary.totals.counters;
    json!({
        "sent": counters.sent,
        "received": counters.received,
        "received_in_window": counters.in_window,
        "expected_deliveries": counters.expected,
        "loss": summary.loss(),
        "duplicates": counters.tally.duplicates,
        "disorder": counters.tally.disorder,
        "errors": counters.errors_total(),
        "unsent": counters.unsent,
        "heartbeats": counters.pings,
        "bytes_in": counters.bytes_in,
        "bytes_out": counters.bytes_out,
        "short_sends": counters.short_sends,
        "buffer_shortages": counters.buffer_shortages,
    })
}

/// What only `presence` measures.
fn presence(summary: &Summary) -> Option<Value> {
    let (settings, people) = (&summary.settings, summary.totals.people.as_ref()?);
    Some(json!({
        "users": settings.gathering.users,
        "rooms": settings.gathering.rooms,
        "stay_s": settings.args.stay.as_secs_f64(),
        "leave": format!("{:?}", settings.args.leave).to_lowercase(),
        "latency_ns": {
            "join_heard": latencies(&people.join_heard),
            "leave_heard": latencies(&people.leave_heard),
        },
        "events_heard": summary.totals.counters.tally.unique,
        "events_of_other_members": people.bystanders,
        "left_in_window": people.left_in_window,
        "online_before": people.online.map(|[before, _]| before),
        "online_max": people.online_max,
        "online_end": people.online.map(|[_, end]| end),
    }))
}

fn latencies(histogram: &Histogram<u64>) -> Value {
    let mut values = Map::new();
    values.insert("count".to_owned(), histogram.len().into());
    if !histogram.is_empty() {
        values.insert("min".to_owned(), histogram.min().into());
        values.insert("mean".to_owned(), histogram.mean().into());
        for (name, percentile) in PERCENTILES {
            values.insert(name.to_owned(), histogram.value_at_percentile(percentile).into());
        }
    }
    values.into()
}

fn cpu(summary: &Summary, usage: &Usage) -> Value {
    json!({
        "cpu_ns": usage,
        "share": summary.cpu.share(usage.total_ns),
        "busiest_thread_share": summary.cpu.share(usage.busiest_ns),
        "cpu_ns_per_message": summary.per_message(usage.total_ns),
    })
}

#[cfg(test)]
mod tests {
    use super::super::summary::tests::summary;
    use super::*;

    #[test]
    fn the_result_names_its_schema_and_carries_the_machine() {
        let found = summary("rpc --target ws://127.0.0.1:1 --thresholds loss==0");
        let text = write(&found, &crate::machine::facts()).to_string();
        let value: Value = serde_json::from_str(&text).expect("it is JSON");
        assert_eq!(value["schema"], SCHEMA);
        assert_eq!(value["latency_ns"]["corrected"]["count"], 1_000);
        assert!(value["latency_ns"]["corrected"]["p99"].as_u64().is_some_and(|p99| p99 > 980_000));
        assert_eq!(value["server"]["cpu_ns_per_message"], 4_000.0);
        assert_eq!(value["counts"]["loss"], 0);
        assert_eq!(value["thresholds"][0]["passed"], true);
        assert_eq!(value["memory"]["bytes_per_connection"], 300.0);
        for name in ["kernel", "cpu_model", "cpus_allowed", "command_line", "descriptors_max"] {
            assert!(!value["machine"][name].is_null(), "{name}");
        }
    }
}
