//! The counters as monitoring reads them. A name is never made of anything that clients say, so there are no more series
//! than counters and shards.

use std::fmt::Write;

use crate::observe::board::Counters;

/// Prometheus's text format, version 0.0.4. The only label is the shard.
pub(super) fn prometheus(shards: &[Counters], online: u64) -> String {
    let mut out = String::with_capacity(16 << 10);
    let first = shards.iter().max_by_key(|counters| counters.len()).map_or(&[][..], Vec::as_slice);
    for (name, _) in first {
        let (kind, suffix) = if GAUGES.contains(name) { ("gauge", "") } else { ("counter", "_total") };
        writeln!(out, "# TYPE socketshard_{name}{suffix} {kind}").expect("writing to a string");
        for (shard, counters) in shards.iter().enumerate() {
            let value = counters.iter().find(|(known, _)| known == name);
            if let Some((_, value)) = value {
                writeln!(out, "socketshard_{name}{suffix}{{shard=\"{shard}\"}} {value}").expect("writing to a string");
            }
        }
    }
    writeln!(out, "# TYPE socketshard_users_online gauge\nsocketshard_users_online {online}")
        .expect("writing to a string");
    out
}

/// One object for each shard, and their sums.
pub(super) fn json(shards: &[Counters], online: u64) -> String {
    let object = |counters: &Counters| {
        let pairs = counters.iter().map(|(name, value)| ((*name).to_owned(), (*value).into()));
        serde_json::Value::Object(pairs.collect())
    };
    let mut total = Counters::new();
    for (name, value) in shards.iter().flatten() {
        match total.iter_mut().find(|(known, _)| known == name) {
            Some((_, sum)) => *sum += value,
            None => total.push((name, *value)),
        }
    }
    let each: Vec<_> = shards.iter().map(object).collect();
    serde_json::json!({ "users_online": online, "total": object(&total), "shards": each }).to_string()
}

/// What does not only grow.
const GAUGES: &[&str] = &["connections", "channels", "sessions"];

#[cfg(test)]
mod tests {
    use super::*;

    fn board() -> Vec<Counters> {
        vec![vec![("connections", 2), ("calls", 5)], vec![("connections", 1), ("calls", 7)]]
    }

    #[test]
    fn prometheus_reads_a_series_for_each_shard() {
        assert_eq!(
            prometheus(&board(), 3),
            "# TYPE socketshard_connections gauge\nsocketshard_connections{shard=\"0\"} 2\n\
             socketshard_connections{shard=\"1\"} 1\n# TYPE socketshard_calls_total counter\n\
             socketshard_calls_total{shard=\"0\"} 5\nsocketshard_calls_total{shard=\"1\"} 7\n\
             # TYPE socketshard_users_online gauge\nsocketshard_users_online 3\n"
        );
    }

    #[test]
    fn json_has_the_sums_beside_each_shard() {
        let value: serde_json::Value = serde_json::from_str(&json(&board(), 3)).expect("JSON");
        assert_eq!(value["total"], serde_json::json!({ "connections": 3, "calls": 12 }));
        assert_eq!((&value["shards"][1]["calls"], &value["users_online"]), (&7.into(), &3.into()));
    }
}
