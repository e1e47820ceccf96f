//! How much the planned server can be expected to hold and to do here: arithmetic on measured figures, with its
//! assumptions said. It is no promise, and no measurement of this machine.

use super::container::allowance;
use super::limits::{descriptors_free, grouped, planned};
use super::machine::Machine;
use crate::config::{Settings, size};

/// What is expected. `None` is unknown.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Capacity {
    /// Connections that there are descriptors for.
    pub(crate) by_descriptors: Option<u64>,
    /// Idle connections that there is memory for.
    pub(crate) by_memory: Option<u64>,
    /// Connections that the settings allow.
    pub(crate) by_settings: u64,
    /// Thousandths of CPUs that the shards have.
    pub(crate) milli_cpus: u64,
    /// Messages a second, one at a time and in runs of sixteen.
    pub(crate) messages: (u64, u64),
}

impl Capacity {
    /// For shards on these CPUs.
    pub(super) fn new(machine: &Machine, settings: &Settings, shards: &[usize]) -> Self {
        let allowance = allowance(machine).unwrap_or_default();
        let mut distinct = shards.to_vec();
        distinct.sort_unstable();
        distinct.dedup();
        let milli_cpus = allowance.milli_cpus.unwrap_or(u64::MAX).min(distinct.len() as u64 * 1000);
        let buffers = u64::from(settings.ring.receive_buffers) * u64::from(settings.ring.receive_buffer_bytes);
        let memory = machine.available_bytes().ok().map(|bytes| {
            let bytes = bytes.min(allowance.bytes_left.unwrap_or(u64::MAX));
            bytes.saturating_sub(buffers * shards.len() as u64) / 100 * MEMORY_SHARE / (USER_BYTES + KERNEL_BYTES)
        });
        Self {
            by_descriptors: descriptors_free(machine, settings, shards.len()).ok(),
            by_memory: memory,
            by_settings: planned(settings, shards.len()),
            milli_cpus,
            messages: (per_second(milli_cpus, SINGLE_NS), per_second(milli_cpus, PIPELINED_NS)),
        }
    }

    /// The least of the bounds, if all are known.
    pub(crate) fn connections(&self) -> Option<u64> {
        Some(self.by_descriptors?.min(self.by_memory?).min(self.by_settings))
    }

    /// The same for people.
    pub(super) fn describe(&self, settings: &Settings) -> String {
        let known = |count: Option<u64>| count.map_or_else(|| "unknown".to_owned(), grouped);
        let cpus = format!("{}.{}", self.milli_cpus / 1000, self.milli_cpus % 1000 / 100);
        format!(
            "Expected capacity\n  \
             connections  {connections}: the least of {descriptors} by descriptors, {memory} by memory, {settings} by --max-connections\n  \
             {blank:11}  an idle one takes {USER_BYTES} bytes of the server's and {KERNEL_BYTES} of the kernel's memory; {MEMORY_SHARE} %\n  \
             {blank:11}  of what is available is counted, and nothing for the up to {outbox} that a slow consumer may hold\n  \
             messages     in the order of {single} a second unpipelined, {pipelined} in runs of 16, on {cpus} CPUs\n  \
             {blank:11}  by {single_us} and {pipelined_us} us of CPU per call of 64 bytes, measured over loopback on one machine: an\n  \
             {blank:11}  order of magnitude, which the application's own work and the network card's change\n",
            connections = known(self.connections()),
            descriptors = known(self.by_descriptors),
            memory = known(self.by_memory),
            settings = grouped(self.by_settings),
            blank = "",
            outbox = size::format(settings.limits.outbox_bytes_max as u64),
            single = grouped(self.messages.0),
            pipelined = grouped(self.messages.1),
            single_us = microseconds(SINGLE_NS),
            pipelined_us = microseconds(PIPELINED_NS),
        )
    }
}

/// Messages a second that take `nanoseconds` each. A thousandth of a CPU is a million nanoseconds a second.
fn per_second(milli_cpus: u64, nanoseconds: u64) -> u64 {
    round(milli_cpus * 1_000_000 / nanoseconds)
}

/// To one figure: more would pretend to be known.
fn round(count: u64) -> u64 {
    let unit = 10_u64.pow(count.checked_ilog10().unwrap_or(0));
    count / unit * unit
}

fn microseconds(nanoseconds: u64) -> String {
    format!("{}.{:02}", nanoseconds / 1000, nanoseconds % 1000 / 10)
}

/// Bytes of the server per idle connection with a session and a subscription, as core/docs/performance.md has them.
const USER_BYTES: u64 = 366;
/// Bytes of the kernel's per connection: half of the 10.6 kB for both ends on loopback, in the same place.
const KERNEL_BYTES: u64 = 5_300;
/// Per cent of the available memory: the rest is for queues, channels and what else runs.
const MEMORY_SHARE: u64 = 80;
/// CPU time of a call of 64 bytes with one in flight per connection, over 200 connections, in the same place.
const SINGLE_NS: u64 = 5_650;
/// The same with sixteen in flight.
const PIPELINED_NS: u64 = 640;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_rounded_down_to_one() {
        for (count, rounded) in [(0, 0), (7, 7), (158_227, 100_000), (1_351_351, 1_000_000)] {
            assert_eq!(round(count), rounded);
        }
    }
}
