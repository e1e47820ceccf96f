//! What was promised: the ratios that our server is to reach against uWebSockets in the same interleaved rounds, and the
//! ones above which a state of it is not worth landing. Judging only; the figures are measured elsewhere.

use serde::{Deserialize, Serialize};

use crate::statistics::Spread;

/// What a goal is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Metric {
    /// Server CPU per message, as a ratio.
    Cpu,
    /// The median latency, as a ratio.
    P50,
    /// The 99th percentile, as a ratio.
    P99,
    /// Bytes per idle connection, absolute.
    Bytes,
}

/// One promise. Sides are labels of rows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Goal {
    pub(crate) metric: Metric,
    pub(crate) ours: String,
    /// What ours is divided by; none where the figure stands for itself.
    pub(crate) theirs: Option<String>,
    /// At most this.
    pub(crate) goal: f64,
    /// Worth landing only below; none where nothing was said.
    pub(crate) landing: Option<f64>,
}

/// What became of a promise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Met,
    /// Missed, but worth landing.
    Missed,
    /// Missed, and not worth landing as it is.
    Unfit,
    NotMeasured,
}

impl Goal {
    /// Judges the median.
    pub(crate) fn judge(&self, found: Option<Spread>) -> Verdict {
        match found.map(|found| found.median) {
            None => Verdict::NotMeasured,
            Some(median) if median <= self.goal => Verdict::Met,
            Some(median) if self.landing.is_none_or(|landing| median < landing) => Verdict::Missed,
            Some(_) => Verdict::Unfit,
        }
    }
}

impl Verdict {
    /// As the table has it.
    pub(crate) const fn text(self) -> &'static str {
        match self {
            Self::Met => "met",
            Self::Missed => "missed",
            Self::Unfit => "missed, not worth landing",
            Self::NotMeasured => "not measured",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_decides_and_its_bounds_belong_to_the_better_side() {
        let goal = |landing| Goal { metric: Metric::Cpu, ours: "a".into(), theirs: None, goal: 0.9, landing };
        let found = |median| Some(Spread { median, min: 0.1, max: 9.0 });
        assert_eq!(goal(Some(1.1)).judge(found(0.9)), Verdict::Met);
        assert_eq!(goal(Some(1.1)).judge(found(1.0)), Verdict::Missed);
        assert_eq!(goal(Some(1.1)).judge(found(1.1)), Verdict::Unfit);
        assert_eq!(goal(None).judge(found(7.0)), Verdict::Missed);
        assert_eq!(goal(None).judge(None), Verdict::NotMeasured);
    }
}
