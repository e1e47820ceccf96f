//! How many shards run, and where.

use std::fmt;
use std::time::Duration;

use clap::Args;

use crate::config::cpus::{self, CpuList};
use crate::config::{QuantityError, count, duration};

/// The group "Shards & CPU".
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Shards & CPU")]
pub(super) struct PlacementFlags {
    /// Shards to run: a number, or auto for one per CPU
    ///
    /// Range: 1 to 128, or auto. A shard is one thread with its own listener, connections and channels. Lower it to
    /// leave CPUs to other programs; more shards than CPUs only costs.
    #[arg(
        short = 'w', long, visible_alias = "workers", value_name = "N|auto",
        env = "SOCKETSHARD_SHARDS", default_value = "auto",
        value_parser = shard_count,
    )]
    pub(super) shards: ShardCount,

    /// CPUs to run on, such as 0-7,9 [default: all this process may use]
    ///
    /// Shards take them in this order. Change it to keep shards on one NUMA node, off hyper-thread siblings, or away
    /// from the CPUs that serve the network card's interrupts.
    #[arg(long, value_name = "LIST", env = "SOCKETSHARD_CPUS", value_parser = cpus::parse)]
    pub(super) cpus: Option<CpuList>,

    /// Leave it to the kernel which CPU each shard runs on
    ///
    /// Change it where the machine is shared and other programs keep one of its CPUs busy.
    #[arg(long, env = "SOCKETSHARD_NO_PIN")]
    pub(super) no_pin: bool,

    /// Between two sweeps of deadlines and heartbeats
    ///
    /// Range: 1ms to 1s. Time-outs are kept to within one tick. Lower it for finer ones, at the price of more wake-ups
    /// of an idle server.
    #[arg(
        long, value_name = "TIME", env = "SOCKETSHARD_TICK", default_value = "50ms",
        value_parser = duration::within(TICK_MIN..=TICK_MAX),
    )]
    pub(super) tick: Duration,

    /// Microseconds a shard looks for work before it sleeps
    ///
    /// Range: 0 to 1000; 0 sleeps at once. Raise it to 50 or so where latency matters more than CPU and every shard has
    /// a CPU of its own: an otherwise idle shard then burns CPU after each event. See --help-tuning.
    #[arg(
        long, value_name = "MICROSECONDS", env = "SOCKETSHARD_SPIN_US", default_value = "0",
        value_parser = count::within::<u64>(0..=SPIN_US_MAX),
    )]
    pub(super) spin_us: u64,
}

/// A number of shards; `None` is one per CPU.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ShardCount(pub(super) Option<usize>);

/// Why a text is no number of shards.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum ShardCountError {
    /// Neither `auto` nor a number in range.
    Number(QuantityError),
}

impl fmt::Display for ShardCountError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self::Number(error) = self;
        write!(formatter, "{error}, or auto")
    }
}

impl std::error::Error for ShardCountError {}

fn shard_count(text: &str) -> Result<ShardCount, ShardCountError> {
    if text == "auto" {
        return Ok(ShardCount(None));
    }
    let number = count::within::<usize>(1..=SHARDS_MAX)(text).map_err(ShardCountError::Number)?;
    Ok(ShardCount(Some(number)))
}

/// The width of the set in which a shard keeps the peers that want a channel (two 64-bit words).
const SHARDS_MAX: u64 = 128;

/// Below this an idle server would spend more than some per cent of its CPU on waking up.
const TICK_MIN: Duration = Duration::from_millis(1);

/// A millisecond: the shortest tick. A wake-up costs some 50 us at worst, so looking longer only burns CPU.
const SPIN_US_MAX: u64 = 1_000;

/// Above this no time-out could be told from the next.
const TICK_MAX: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_of_shards_or_auto_is_read() {
        assert_eq!(shard_count("auto"), Ok(ShardCount(None)));
        assert_eq!(shard_count("128"), Ok(ShardCount(Some(128))));
        for text in ["0", "129", "Auto", "-1", ""] {
            assert!(shard_count(text).is_err(), "{text}");
        }
    }
}
