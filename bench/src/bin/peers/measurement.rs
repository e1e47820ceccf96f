//! One run of the generator against one server: what it said in its JSON, and whether that can be used at all.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// One run. Times are in nanoseconds, shares are of one CPU.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Measurement {
    /// Counted from 0.
    pub(crate) round: usize,
    /// Why it counts for nothing; none if it counts.
    pub(crate) problem: Option<String>,
    /// Messages per second: answers, deliveries or handshakes.
    pub(crate) rate: Option<f64>,
    pub(crate) cpu_ns: Option<f64>,
    pub(crate) user_ns: Option<f64>,
    pub(crate) system_ns: Option<f64>,
    pub(crate) p50_ns: Option<f64>,
    pub(crate) p99_ns: Option<f64>,
    pub(crate) p999_ns: Option<f64>,
    pub(crate) server_share: Option<f64>,
    pub(crate) generator_share: Option<f64>,
    /// Resident bytes of the server while all connections stood.
    pub(crate) resident_bytes: Option<f64>,
    pub(crate) connections: Option<f64>,
    /// What each of the connections added to it, where they were only held.
    pub(crate) bytes_per_connection: Option<f64>,
}

impl Measurement {
    /// A run that failed.
    pub(crate) fn failed(round: usize, problem: impl Into<String>) -> Self {
        Self { round, problem: Some(problem.into()), ..Self::default() }
    }

    /// Reads the generator's result. `expects_messages` is false where connections are only held.
    pub(crate) fn read(round: usize, result: &Value, expects_messages: bool) -> Self {
        let number = |path: &str| result.pointer(path).and_then(Value::as_f64);
        let messages = number("/counts/received_in_window").filter(|&count| count > 0.0);
        let each = |path: &str| Some(number(path)? / messages?);
        Self {
            round,
            problem: problem(result, expects_messages && messages.is_none()),
            rate: number("/rate/received"),
            cpu_ns: each("/server/cpu_ns/total_ns"),
            user_ns: each("/server/cpu_ns/user_ns"),
            system_ns: each("/server/cpu_ns/system_ns"),
            p50_ns: number("/latency_ns/corrected/p50"),
            p99_ns: number("/latency_ns/corrected/p99"),
            p999_ns: number("/latency_ns/corrected/p99.9"),
            server_share: number("/server/share"),
            generator_share: number("/generator/share"),
            resident_bytes: number("/memory/connected/resident"),
            connections: number("/connections/open"),
            bytes_per_connection: number("/memory/bytes_per_connection").filter(|_| !expects_messages),
        }
    }

    /// Whether it counts.
    pub(crate) const fn is_valid(&self) -> bool {
        self.problem.is_none()
    }
}

/// What makes a result worthless: anything lost, wrong, refused or cut off.
fn problem(result: &Value, lacks_messages: bool) -> Option<String> {
    let count = |name: &str| result["counts"][name].as_u64();
    let mut problems = Vec::new();
    for name in ["errors", "loss", "duplicates", "disorder", "unsent"] {
        match count(name) {
            Some(0) => {}
            Some(number) => problems.push(format!("{number} {name}")),
            None => problems.push(format!("no count of {name}")),
        }
    }
    let error = result["errors"].as_object().and_then(|errors| errors.keys().next());
    problems.extend(error.map(|error| format!("\"{error}\"")));
    if result["closes"].as_object().is_some_and(|closes| !closes.is_empty()) {
        problems.push(format!("connections closed by the server: {}", result["closes"]));
    }
    if result["interrupted"] == true {
        problems.push("interrupted".to_owned());
    }
    let (open, wanted) = (result["connections"]["open"].as_u64(), result["settings"]["connections"].as_u64());
    if result["scenario"] != "connect" && open != wanted {
        problems.push(format!("{} of {} connections", open.unwrap_or(0), wanted.unwrap_or(0)));
    }
    if lacks_messages {
        problems.push("no messages".to_owned());
    }
    (!problems.is_empty()).then(|| problems.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn result() -> Value {
        json!({
            "scenario": "rpc",
            "settings": { "connections": 2 },
            "interrupted": false,
            "rate": { "received": 500.0 },
            "latency_ns": { "corrected": { "p50": 10, "p99": 20, "p99.9": 30 } },
            "counts": {
                "received_in_window": 1_000, "errors": 0, "loss": 0, "duplicates": 0, "disorder": 0, "unsent": 0,
            },
            "errors": {},
            "closes": {},
            "connections": { "open": 2 },
            "server": { "cpu_ns": { "total_ns": 4_000_000, "user_ns": 1_000_000, "system_ns": 3_000_000 }, "share": 0.9 },
            "generator": { "share": 0.8 },
            "memory": { "connected": { "resident": 9_000 } },
        })
    }

    #[test]
    fn a_clean_result_is_read_per_message() {
        let read = Measurement::read(1, &result(), true);
        assert!(read.is_valid(), "{read:?}");
        assert_eq!((read.cpu_ns, read.user_ns, read.system_ns), (Some(4_000.0), Some(1_000.0), Some(3_000.0)));
        assert_eq!((read.p50_ns, read.p99_ns, read.p999_ns), (Some(10.0), Some(20.0), Some(30.0)));
        assert_eq!((read.server_share, read.generator_share, read.rate), (Some(0.9), Some(0.8), Some(500.0)));
    }

    #[test]
    fn whatever_went_wrong_makes_it_worthless() {
        for (pointer, value, word) in [
            ("/counts/loss", json!(3), "3 loss"),
            ("/counts/errors", json!(1), "1 errors"),
            ("/counts/disorder", Value::Null, "disorder"),
            ("/closes", json!({ "1006": 2 }), "1006"),
            ("/interrupted", json!(true), "interrupted"),
            ("/connections/open", json!(1), "1 of 2"),
            ("/counts/received_in_window", json!(0), "no messages"),
        ] {
            let mut changed = result();
            *changed.pointer_mut(pointer).expect("it is there") = value;
            let problem = Measurement::read(0, &changed, true).problem.expect(pointer);
            assert!(problem.contains(word), "{pointer}: {problem}");
        }
    }

    #[test]
    fn memory_counts_where_connections_are_only_held() {
        let mut held = result();
        held["memory"]["bytes_per_connection"] = json!(456.0);
        held["counts"]["received_in_window"] = json!(0);
        let read = Measurement::read(0, &held, false);
        assert!(read.is_valid(), "{read:?}");
        assert_eq!((read.bytes_per_connection, read.cpu_ns), (Some(456.0), None));
        assert_eq!(Measurement::read(0, &result(), true).bytes_per_connection, None);
    }
}
