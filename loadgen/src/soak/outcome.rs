//! What a soak has found: each round, and what follows from all of them. Pure arithmetic.

use std::time::Duration;

use serde::Serialize;
use serde_json::Value;

use super::trend::Trend;
use crate::process::Memory;
use crate::threshold::{Metric, Threshold, Verdict};

/// What the loads of a round counted, together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub(super) struct Counts {
    pub(super) sent: u64,
    pub(super) received: u64,
    pub(super) loss: u64,
    pub(super) duplicates: u64,
    pub(super) disorder: u64,
    pub(super) errors: u64,
    pub(super) unsent: u64,
}

/// One round.
#[derive(Clone, Debug, Default)]
pub(super) struct Round {
    /// Since the soak began.
    pub(super) at: Duration,
    pub(super) ends: Duration,
    pub(super) counts: Counts,
    /// By load: what it says of its latencies.
    pub(super) latencies: Vec<(&'static str, Value)>,
    /// What went wrong, by load.
    pub(super) errors: Vec<(&'static str, Value)>,
    /// Slow readers that the server has ended.
    pub(super) slow_ended: u64,
    /// The most that was read while it ran.
    pub(super) resident_max: u64,
    pub(super) descriptors_max: u64,
    /// At rest, after it.
    pub(super) end: Memory,
}

/// The whole soak.
#[derive(Clone, Debug, Default)]
pub(super) struct Outcome {
    pub(super) rounds: Vec<Round>,
    pub(super) before: Memory,
    pub(super) warmup: Duration,
    /// CPU time of the server, as a share of one CPU.
    pub(super) cpu_share: Option<f64>,
    pub(super) was_interrupted: bool,
    /// What ended it before its time.
    pub(super) failure: Option<String>,
}

impl Round {
    /// A reading while it runs.
    pub(super) fn peak(&mut self, memory: &Memory) {
        self.resident_max = self.resident_max.max(memory.resident.unwrap_or(0));
        self.descriptors_max = self.descriptors_max.max(memory.descriptors.unwrap_or(0));
    }

    /// Takes in what one load has found.
    pub(super) fn add(&mut self, (name, result): (&'static str, Value)) {
        let count = |field: &str| result["counts"][field].as_u64().unwrap_or(0);
        self.counts.sent += count("sent");
        self.counts.received += count("received");
        self.counts.loss += count("loss");
        self.counts.duplicates += count("duplicates");
        self.counts.disorder += count("disorder");
        self.counts.errors += count("errors");
        self.counts.unsent += count("unsent");
        if count("errors") > 0 {
            self.errors.push((name, result["errors"].clone()));
        }
        self.latencies.push((name, result["latency_ns"]["corrected"].clone()));
    }

    /// A percentile of the calls, in nanoseconds, if it is among those that are noted.
    pub(super) fn latency(&self, percentile: &str) -> Option<u64> {
        let (_, calls) = self.latencies.iter().find(|(name, _)| *name == "calls")?;
        calls[percentile].as_u64()
    }
}

#[allow(clippy::cast_precision_loss)]
impl Outcome {
    pub(super) fn counts(&self) -> Counts {
        self.rounds.iter().fold(Counts::default(), |sum, Round { counts, .. }| Counts {
            sent: sum.sent + counts.sent,
            received: sum.received + counts.received,
            loss: sum.loss + counts.loss,
            duplicates: sum.duplicates + counts.duplicates,
            disorder: sum.disorder + counts.disorder,
            errors: sum.errors + counts.errors,
            unsent: sum.unsent + counts.unsent,
        })
    }

    /// Rounds whose readings count for what grows.
    pub(super) fn settled(&self) -> impl Iterator<Item = &Round> {
        self.rounds.iter().filter(|round| round.at >= self.warmup)
    }

    /// Bytes of the server at rest, an hour.
    pub(super) fn memory_trend(&self) -> Option<Trend> {
        self.trend(|memory| memory.resident)
    }

    /// Descriptors of the server at rest, an hour.
    pub(super) fn descriptor_trend(&self) -> Option<Trend> {
        self.trend(|memory| memory.descriptors)
    }

    fn trend(&self, of: fn(&Memory) -> Option<u64>) -> Option<Trend> {
        let reading = |round: &Round| Some((round.ends.as_secs_f64() / 3600.0, of(&round.end)? as f64));
        Trend::of(&self.settled().filter_map(reading).collect::<Vec<_>>())
    }

    /// Descriptors at the end, less those after the warm-up.
    pub(super) fn descriptors_grown(&self) -> Option<f64> {
        let mut settled = self.settled();
        let first = settled.next()?;
        let last = settled.last().unwrap_or(first);
        Some(last.end.descriptors? as f64 - first.end.descriptors? as f64)
    }

    pub(super) fn judge(&self, threshold: &Threshold) -> Verdict {
        let counts = self.counts();
        threshold.judge(|metric| self.value(metric), (counts.sent + counts.received + counts.loss) as f64)
    }

    fn value(&self, metric: Metric) -> Option<f64> {
        let counts = self.counts();
        let worst = |name: String| self.rounds.iter().filter_map(|round| round.latency(&name)).max();
        match metric {
            Metric::Percentile(100.0) => worst("max".to_owned()).map(|ns| ns as f64),
            Metric::Percentile(percentile) => worst(format!("p{percentile}")).map(|ns| ns as f64),
            Metric::Loss => Some(counts.loss as f64),
            Metric::Duplicates => Some(counts.duplicates as f64),
            Metric::Disorder => Some(counts.disorder as f64),
            Metric::Errors => Some(counts.errors as f64),
            Metric::Unsent => Some(counts.unsent as f64),
            Metric::MemorySlope => self.memory_trend().map(|trend| trend.slope),
            Metric::DescriptorSlope => self.descriptor_trend().map(|trend| trend.slope),
            Metric::Descriptors => self.descriptors_grown(),
            Metric::Heard(_) | Metric::Mean | Metric::Rate | Metric::ServerCpu | Metric::BytesPerConnection => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::threshold;

    /// Rounds of a minute after which, at rest, the server has so many KiB and descriptors.
    fn soak(readings: &[(u64, u64)]) -> Outcome {
        let rounds = readings.iter().zip(0..).map(|((kibibytes, descriptors), minute)| {
            let mut round = Round {
                at: Duration::from_secs(60 * minute),
                ends: Duration::from_secs(60 * minute + 60),
                end: Memory { resident: Some(kibibytes << 10), descriptors: Some(*descriptors), ..Memory::default() },
                ..Round::default()
            };
            let found = json!({
                "counts": { "sent": 100, "received": 99, "loss": 1, "errors": 0 },
                "latency_ns": { "corrected": { "p99": 1_000 * (minute + 1), "max": 9_000 } },
            });
            round.add(("calls", found));
            round
        });
        Outcome { rounds: rounds.collect(), warmup: Duration::from_secs(60), ..Outcome::default() }
    }

    fn holds(outcome: &Outcome, text: &str) -> bool {
        threshold::parse(text).expect("a threshold").iter().all(|one| outcome.judge(one).passed)
    }

    #[test]
    fn what_grows_is_what_grows_after_the_warm_up() {
        let outcome = soak(&[(10, 5), (40, 20), (41, 20), (42, 21), (43, 21)]);
        let trend = outcome.memory_trend().expect("enough readings");
        assert!((trend.slope - 61_440.0).abs() < 0.01 && trend.readings == 4, "{trend:?}");
        assert!(holds(&outcome, "memory_slope<=61KiB,descriptors<=1") && !holds(&outcome, "memory_slope<59KiB"));
        assert!(!holds(&outcome, "descriptors==0") && !holds(&outcome, "descriptor_slope<=20"));
    }

    /// Two hours of a server whose memory goes up and down by 2 MiB, and besides grows by that many KiB a round.
    fn unsteady(leak: u64, descriptors_every: u64) -> Outcome {
        let mut random = fastrand::Rng::with_seed(7);
        let readings = (0..120).map(|minute| {
            (40_000 + random.u64(..2_048) + leak * minute, 20 + minute.checked_div(descriptors_every).unwrap_or(0))
        });
        soak(&readings.collect::<Vec<_>>())
    }

    #[test]
    fn a_leak_is_found_below_the_noise_and_noise_is_none() {
        let limits = "memory_slope<1MiB,descriptor_slope<1,descriptors<=0";
        let (steady, leaking) = (unsteady(0, 0), unsteady(40, 0));
        assert!(holds(&steady, limits), "{:?}", steady.memory_trend());
        // 40 KiB in each round, of readings that differ by up to 2 MiB: 2.3 MiB an hour.
        let trend = leaking.memory_trend().expect("enough readings");
        assert!((1.8..2.9).contains(&(trend.slope / 1_048_576.0)) && trend.is_significant(), "{trend:?}");
        assert!(!steady.memory_trend().expect("enough readings").is_significant());
        assert!(!holds(&leaking, limits));
        // One descriptor in ten rounds.
        let leaking = unsteady(0, 10);
        assert!(!holds(&leaking, "descriptors<=0") && !holds(&leaking, "descriptor_slope<1"));
        let trend = leaking.descriptor_trend().expect("enough readings");
        assert!((5.5..6.5).contains(&trend.slope) && trend.is_significant(), "{trend:?}");
    }

    #[test]
    fn counts_are_summed_and_latencies_are_the_worst() {
        let outcome = soak(&[(10, 5), (10, 5), (9, 5), (8, 5)]);
        assert_eq!((outcome.counts().sent, outcome.counts().loss), (400, 4));
        assert!(holds(&outcome, "loss==4,errors==0,p99<=4us,max<10us,descriptors==0,memory_slope<=0"));
        assert!(!holds(&outcome, "p99<4us") && !holds(&outcome, "p12<1s"), "what is not noted does not pass");
    }
}
