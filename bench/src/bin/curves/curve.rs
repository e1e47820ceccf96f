//! A curve: its name, its axes, its points as medians of rounds. Values only.

use clap::ValueEnum;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// What grows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Name {
    /// Idle connections beside a load that stays the same.
    Connections,
    /// Idle connections alone: memory and heartbeats.
    Idle,
    /// Channels with one subscription each.
    Channels,
    /// Subscribers of one channel.
    Subscribers,
    /// Bytes of a call.
    Size,
    /// Shards, where the machine has CPUs for them.
    Shards,
    /// Everything that this machine has CPUs for.
    All,
}

impl Name {
    /// All but `All`.
    pub(crate) const EACH: [Self; 6] =
        [Self::Connections, Self::Idle, Self::Channels, Self::Subscribers, Self::Size, Self::Shards];

    /// What these mean, each once.
    pub(crate) fn wanted(names: &[Self]) -> Vec<Self> {
        let is_wanted = |name: &Self| names.contains(name) || names.contains(&Self::All);
        Self::EACH.into_iter().filter(is_wanted).collect()
    }

    /// As on the command line; also the file's name.
    pub(crate) const fn text(self) -> &'static str {
        match self {
            Self::Connections => "connections",
            Self::Idle => "idle",
            Self::Channels => "channels",
            Self::Subscribers => "subscribers",
            Self::Size => "size",
            Self::Shards => "shards",
            Self::All => "all",
        }
    }
}

/// One curve, as it is stored.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Curve {
    pub(crate) schema: String,
    pub(crate) name: Name,
    pub(crate) rounds: u16,
    pub(crate) seconds: f64,
    /// Kernel, CPU, memory and the like.
    pub(crate) machine: Value,
    /// The commit of the tree that was built, if git told.
    pub(crate) commit: Option<String>,
    /// What was typed.
    pub(crate) command: String,
    pub(crate) points: Vec<Point>,
}

/// The layout of a stored curve.
pub(crate) const SCHEMA: &str = "socketshard-curve/1";

/// One point of one line. What a curve has no use for is absent.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Point {
    /// The line.
    pub(crate) line: String,
    /// How many of what grows.
    pub(crate) x: f64,
    /// Server CPU per message: microseconds in all, of these in user code.
    pub(crate) cpu_us: Option<Spread>,
    pub(crate) user_us: Option<Spread>,
    /// Messages per second.
    pub(crate) rate: Option<Spread>,
    /// Latency in microseconds.
    pub(crate) p50_us: Option<Spread>,
    /// Growth of the server's memory, in bytes, by connections or channels.
    pub(crate) user_bytes: Option<Spread>,
    /// Growth of the kernel's slab, in bytes, both ends of every connection.
    pub(crate) slab_bytes: Option<Spread>,
    /// The share of a CPU that the server used.
    pub(crate) cpu_share: Option<Spread>,
    /// Messages that were lost, in all rounds.
    pub(crate) loss: u64,
    /// In how many rounds the generator, not the server, set the pace.
    pub(crate) generator_bound: u16,
}

/// A median between its extremes.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Spread {
    pub(crate) min: f64,
    pub(crate) median: f64,
    pub(crate) max: f64,
}

impl Spread {
    /// Of these values; none if there are none.
    pub(crate) fn of(values: impl IntoIterator<Item = f64>) -> Option<Self> {
        let mut values: Vec<_> = values.into_iter().filter(|value| value.is_finite()).collect();
        values.sort_by(f64::total_cmp);
        let middle = values.len() / 2;
        let median = match values.len() {
            0 => return None,
            count if count % 2 == 1 => values[middle],
            _ => f64::midpoint(values[middle - 1], values[middle]),
        };
        Some(Self { min: values[0], median, max: values[values.len() - 1] })
    }
}

impl Curve {
    /// The median of a quantity on a line at x.
    pub(crate) fn median(&self, line: &str, x: f64, quantity: fn(&Point) -> Option<Spread>) -> Option<f64> {
        #[allow(clippy::float_cmp, reason = "x is a count that was written and read back")]
        let point = self.points.iter().find(|point| point.line == line && point.x == x)?;
        quantity(point).map(|spread| spread.median)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spread_is_the_median_between_the_extremes() {
        let spread = |values: &[f64]| Spread::of(values.iter().copied());
        assert_eq!(spread(&[]), None);
        assert_eq!(spread(&[3.0]), Some(Spread { min: 3.0, median: 3.0, max: 3.0 }));
        assert_eq!(spread(&[9.0, 1.0, 2.0]), Some(Spread { min: 1.0, median: 2.0, max: 9.0 }));
        assert_eq!(spread(&[4.0, 1.0, 2.0, f64::NAN, 9.0]).map(|spread| spread.median), Some(3.0));
    }

    #[test]
    fn all_means_each_once() {
        assert_eq!(Name::wanted(&[Name::All, Name::Size]), Name::EACH);
        assert_eq!(Name::wanted(&[Name::Size, Name::Idle, Name::Size]), [Name::Idle, Name::Size]);
        for name in Name::EACH {
            assert_eq!(name.to_possible_value().expect("it is on the command line").get_name(), name.text());
        }
    }
}
