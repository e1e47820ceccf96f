//! Conditions on the result, as k6 has them: `p99<5ms,loss==0,errors<0.01%`. Parsing and judging only; which number a
//! name stands for is the report's business.

use crate::units::{self, UnitError};

/// What a threshold can be about.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Metric {
    /// A percentile of the latency from the intended time, in nanoseconds. `Percentile(100.0)` is the maximum.
    Percentile(f64),
    /// A percentile of the time until a join is heard in its room, in nanoseconds.
    Heard(f64),
    /// The mean latency from the intended time.
    Mean,
    /// Messages that never arrived.
    Loss,
    /// Messages that arrived twice.
    Duplicates,
    /// Messages that arrived after a later one.
    Disorder,
    /// Refusals, wrong answers, broken connections.
    Errors,
    /// Messages of the plan that could not be sent before the end.
    Unsent,
    /// Messages per second achieved.
    Rate,
    /// CPU time of the server per message, in nanoseconds.
    ServerCpu,
    /// Memory of the server per connection, in bytes.
    BytesPerConnection,
    /// Growth of the server's memory at rest, in bytes an hour; of a soak.
    MemorySlope,
    /// The same of its descriptors.
    DescriptorSlope,
    /// Descriptors that the server has more of at the end of a soak.
    Descriptors,
}

/// How the number is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Comparison {
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    Equal,
    NotEqual,
}

/// One condition.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Threshold {
    /// As it was written.
    pub(crate) text: String,
    metric: Metric,
    comparison: Comparison,
    bound: f64,
    /// The bound is a share of all messages, in 0..=1.
    is_share: bool,
}

/// The judgement on one condition.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Verdict {
    /// The condition as it was written.
    pub(crate) text: String,
    /// The number found, in the bound's unit (nanoseconds, bytes, a count, a share); absent when it was not measured.
    pub(crate) value: Option<f64>,
    /// Whether it holds. What was not measured does not hold.
    pub(crate) passed: bool,
}

const COMPARISONS: [(&str, Comparison); 7] = [
    ("<=", Comparison::LessOrEqual),
    (">=", Comparison::GreaterOrEqual),
    ("==", Comparison::Equal),
    ("!=", Comparison::NotEqual),
    ("<", Comparison::Less),
    (">", Comparison::Greater),
    ("=", Comparison::Equal),
];

/// Parses a comma-separated list of conditions.
pub(crate) fn parse(text: &str) -> Result<Vec<Threshold>, String> {
    text.split(',').map(|part| parse_one(part.trim())).collect()
}

fn parse_one(text: &str) -> Result<Threshold, String> {
    let found = text.find(['<', '>', '=', '!']).and_then(|at| {
        COMPARISONS
            .iter()
            .find(|(sign, _)| text[at..].starts_with(sign))
            .map(|&(sign, comparison)| (at, sign, comparison))
    });
    let Some((at, sign, comparison)) = found else {
        return Err(format!("threshold '{text}' has no comparison (like p99<5ms, loss==0, errors<0.01%)"));
    };
    let (name, bound) = (text[..at].trim(), text[at + sign.len()..].trim());
    let metric = parse_metric(name).ok_or_else(|| {
        format!(
            "threshold '{text}': '{name}' is none of p50, p90, p99, p99.9, … max, mean, loss, duplicates, disorder, \
             errors, unsent, rate, server_cpu, bytes_per_connection, heard_p50, … heard_max, \
             memory_slope, descriptor_slope, descriptors"
        )
    })?;
    let (bound, is_share) = parse_bound(metric, bound).map_err(|problem| format!("threshold '{text}': {problem}"))?;
    Ok(Threshold { text: text.to_owned(), metric, comparison, bound, is_share })
}

fn parse_metric(name: &str) -> Option<Metric> {
    Some(match name {
        "max" => Metric::Percentile(100.0),
        "mean" => Metric::Mean,
        "loss" => Metric::Loss,
        "duplicates" => Metric::Duplicates,
        "disorder" => Metric::Disorder,
        "errors" => Metric::Errors,
        "unsent" => Metric::Unsent,
        "rate" => Metric::Rate,
        "server_cpu" => Metric::ServerCpu,
        "bytes_per_connection" => Metric::BytesPerConnection,
        "memory_slope" => Metric::MemorySlope,
        "descriptor_slope" => Metric::DescriptorSlope,
        "descriptors" => Metric::Descriptors,
        "heard_max" => Metric::Heard(100.0),
        _ => match name.strip_prefix("heard_") {
            Some(name) => Metric::Heard(parse_percentile(name)?),
            None => Metric::Percentile(parse_percentile(name)?),
        },
    })
}

fn parse_percentile(name: &str) -> Option<f64> {
    let percentile: f64 = name.strip_prefix('p')?.parse().ok()?;
    (percentile > 0.0 && percentile <= 100.0).then_some(percentile)
}

#[allow(clippy::cast_precision_loss)]
fn parse_bound(metric: Metric, text: &str) -> Result<(f64, bool), UnitError> {
    match metric {
        Metric::Percentile(_) | Metric::Heard(_) | Metric::Mean | Metric::ServerCpu => {
            if text != "0" && text.ends_with(|c: char| c.is_ascii_digit()) {
                // Seconds by default would turn `p99<5` into a condition that always holds.
                return units::parse_duration("missing unit").map(|_| (0.0, false));
            }
            units::parse_duration(text).map(|duration| (duration.as_nanos() as f64, false))
        }
        Metric::Rate => units::parse_rate(text).map(|rate| (rate, false)),
        Metric::BytesPerConnection | Metric::MemorySlope => units::parse_size(text).map(|bytes| (bytes as f64, false)),
        Metric::Loss
        | Metric::Duplicates
        | Metric::Disorder
        | Metric::Errors
        | Metric::Unsent
        | Metric::DescriptorSlope
        | Metric::Descriptors => match text.strip_suffix('%').map(|number| number.trim().parse::<f64>()) {
            None => units::parse_count(text).map(|count| (count as f64, false)),
            Some(Ok(percent)) if (0.0..=100.0).contains(&percent) => Ok((percent / 100.0, true)),
            Some(_) => units::parse_count(text).map(|count| (count as f64, false)),
        },
    }
}

impl Threshold {
    /// Judges the condition. `value` gives the number a metric stands for; `messages` is what shares are taken of.
    pub(crate) fn judge(&self, value: impl FnOnce(Metric) -> Option<f64>, messages: f64) -> Verdict {
        let value = value(self.metric).map(|value| if self.is_share { value / messages.max(1.0) } else { value });
        let passed = value.is_some_and(|value| match self.comparison {
            Comparison::Less => value < self.bound,
            Comparison::LessOrEqual => value <= self.bound,
            Comparison::Greater => value > self.bound,
            Comparison::GreaterOrEqual => value >= self.bound,
            #[allow(clippy::float_cmp)]
            Comparison::Equal => value == self.bound,
            #[allow(clippy::float_cmp)]
            Comparison::NotEqual => value != self.bound,
        });
        Verdict { text: self.text.clone(), value, passed }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holds(text: &str, value: f64, messages: f64) -> bool {
        let thresholds = parse(text).expect("a threshold");
        thresholds.iter().all(|threshold| threshold.judge(|_| Some(value), messages).passed)
    }

    #[test]
    fn the_list_of_the_help_text_is_understood() {
        let list = parse("p99<5ms, loss==0,errors<0.01%").expect("three thresholds");
        let metrics: Vec<Metric> = list.iter().map(|threshold| threshold.metric).collect();
        assert_eq!(metrics, [Metric::Percentile(99.0), Metric::Loss, Metric::Errors]);
        assert_eq!(parse("heard_p99.9<1s,heard_max<2s").expect("two").len(), 2);
        assert_eq!(list[0].bound, 5e6);
        assert!(list[2].is_share);
    }

    #[test]
    fn a_bound_is_exact_at_its_edge() {
        assert!(holds("p99<5ms", 4_999_999.0, 1.0));
        assert!(!holds("p99<5ms", 5_000_000.0, 1.0));
        assert!(holds("p99.9<=5ms", 5_000_000.0, 1.0));
        assert!(holds("loss==0", 0.0, 1.0) && !holds("loss==0", 1.0, 1e9));
        assert!(holds("rate>=10k/s", 10_000.0, 1.0) && !holds("rate>10k/s", 10_000.0, 1.0));
    }

    #[test]
    fn shares_are_taken_of_all_messages() {
        assert!(holds("errors<0.01%", 9.0, 100_000.0));
        assert!(!holds("errors<0.01%", 10.0, 100_000.0));
    }

    #[test]
    fn what_was_not_measured_does_not_pass() {
        let threshold = &parse("server_cpu<10us").expect("a threshold")[0];
        assert!(!threshold.judge(|_| None, 1.0).passed);
    }

    #[test]
    fn nonsense_is_an_error_that_names_it() {
        for bad in [
            "p99",
            "p101<1ms",
            "speed>1",
            "p99<fast",
            "p99<5",
            "loss==-1",
            "errors<101%",
            "heard_p0<1s",
            "",
            "loss==0,",
        ] {
            let problem = parse(bad).expect_err(bad);
            assert!(problem.contains("threshold"), "{bad}: {problem}");
        }
    }
}
