//! What one run of the generator says that a curve has a use for, and the rounds of one point joined into it.

use serde_json::Value;

use crate::curve::{Point, Spread};

/// One measurement.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Reading {
    pub(crate) cpu_us: Option<f64>,
    pub(crate) user_us: Option<f64>,
    pub(crate) rate: Option<f64>,
    pub(crate) p50_us: Option<f64>,
    pub(crate) user_bytes: Option<f64>,
    pub(crate) slab_bytes: Option<f64>,
    pub(crate) cpu_share: Option<f64>,
    pub(crate) loss: u64,
    pub(crate) is_generator_bound: bool,
}

impl Reading {
    /// Reads the generator's result. Errors in it are a failure of the measurement.
    pub(crate) fn of(result: &Value) -> Result<Self, String> {
        let number = |path: &str| result.pointer(path).and_then(Value::as_f64);
        if number("/counts/errors") != Some(0.0) {
            return Err(format!("the run had errors: {} {}", result["errors"], result["closes"]));
        }
        let growth = |what: &str| {
            Some(number(&format!("/memory/connected/{what}"))? - number(&format!("/memory/before/{what}"))?)
        };
        let total_ns = number("/server/cpu_ns/total_ns");
        let user_share = number("/server/cpu_ns/user_ns").zip(total_ns).map(|(user, total)| user / total.max(1.0));
        let cpu_us = number("/server/cpu_ns_per_message").map(|ns| ns / 1e3);
        Ok(Self {
            cpu_us,
            user_us: cpu_us.zip(user_share).map(|(total, share)| total * share),
            rate: number("/rate/received"),
            p50_us: number("/latency_ns/corrected/p50").map(|ns| ns / 1e3),
            user_bytes: growth("resident"),
            slab_bytes: growth("slab"),
            cpu_share: number("/server/share"),
            loss: result.pointer("/counts/loss").and_then(Value::as_u64).unwrap_or(0),
            is_generator_bound: result.get("generator_bound").is_some_and(|reason| !reason.is_null()),
        })
    }
}

/// The rounds of one point.
pub(crate) fn join(line: &str, x: f64, readings: &[Reading]) -> Point {
    let spread = |quantity: fn(&Reading) -> Option<f64>| Spread::of(readings.iter().filter_map(quantity));
    let bound = readings.iter().filter(|reading| reading.is_generator_bound).count();
    Point {
        line: line.to_owned(),
        x,
        cpu_us: spread(|reading| reading.cpu_us),
        user_us: spread(|reading| reading.user_us),
        rate: spread(|reading| reading.rate),
        p50_us: spread(|reading| reading.p50_us),
        user_bytes: spread(|reading| reading.user_bytes),
        slab_bytes: spread(|reading| reading.slab_bytes),
        cpu_share: spread(|reading| reading.cpu_share),
        loss: readings.iter().map(|reading| reading.loss).sum(),
        generator_bound: u16::try_from(bound).unwrap_or(u16::MAX),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn result() -> Value {
        json!({
            "rate": {"received": 500.0}, "latency_ns": {"corrected": {"p50": 40_000}},
            "counts": {"errors": 0, "loss": 3},
            "server": {"cpu_ns": {"total_ns": 1_000, "user_ns": 250}, "share": 0.5, "cpu_ns_per_message": 4_000.0},
            "memory": {"before": {"resident": 100, "slab": null}, "connected": {"resident": 350, "slab": 7}},
            "generator_bound": null,
        })
    }

    #[test]
    fn a_result_becomes_a_reading() {
        let reading = Reading::of(&result()).expect("no errors");
        assert_eq!((reading.cpu_us, reading.user_us, reading.p50_us), (Some(4.0), Some(1.0), Some(40.0)));
        assert_eq!((reading.user_bytes, reading.slab_bytes), (Some(250.0), None));
        assert_eq!((reading.loss, reading.is_generator_bound), (3, false));
    }

    #[test]
    fn a_result_with_errors_is_no_measurement() {
        let mut bad = result();
        bad["counts"]["errors"] = 1.into();
        bad["errors"] = json!({"refused": 1});
        assert!(Reading::of(&bad).expect_err("one error").contains("refused"));
        assert!(Reading::of(&json!({})).is_err());
    }

    #[test]
    fn rounds_are_joined_into_one_point() {
        let reading = |cpu| Reading { cpu_us: Some(cpu), loss: 1, is_generator_bound: cpu > 2.0, ..Reading::default() };
        let point = join("P=1", 7.0, &[reading(3.0), reading(1.0), reading(2.0)]);
        assert_eq!((point.line.as_str(), point.x, point.loss, point.generator_bound), ("P=1", 7.0, 3, 1));
        assert_eq!(point.cpu_us, Some(Spread { min: 1.0, median: 2.0, max: 3.0 }));
        assert_eq!(point.rate, None);
    }
}
