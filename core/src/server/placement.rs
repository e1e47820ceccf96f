#![allow(unsafe_code)] // sched_getaffinity(2) has no safe wrapper in the libraries at hand
//! Which CPUs the shards run on. It never asks which CPUs the machine has: a container or `taskset` may leave us fewer.

use std::io;

use shard::ShardId;

use super::StartError;
use crate::config::Settings;

/// Where the shards run: the CPU of each, in shard order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Placement {
    /// The CPU of each shard.
    pub(crate) cpus: Vec<usize>,
    /// Whether threads are bound to them.
    pub(super) pinned: bool,
}

impl Placement {
    /// Decides by the settings and by what the system allows.
    pub(super) fn new(settings: &Settings) -> Result<Self, StartError> {
        let allowed = allowed_cpus().map_err(|error| StartError::System { call: "sched_getaffinity", error })?;
        Self::among(&allowed, settings)
    }

    /// One line for people: `2 shards on CPUs 0,1`.
    pub(super) fn describe(&self) -> String {
        let shards = match self.cpus.len() {
            1 => "1 shard".to_owned(),
            count => format!("{count} shards"),
        };
        if !self.pinned {
            return format!("{shards}, not bound to CPUs");
        }
        let mut cpus = self.cpus.clone();
        cpus.sort_unstable();
        cpus.dedup();
        let cpus: Vec<_> = cpus.iter().map(usize::to_string).collect();
        format!("{shards} on CPU{} {}", if cpus.len() == 1 { "" } else { "s" }, cpus.join(","))
    }

    /// Decides by the settings among these CPUs.
    pub(crate) fn among(allowed: &[usize], settings: &Settings) -> Result<Self, StartError> {
        let asked = match &settings.cpus {
            None => allowed,
            Some(cpus) => {
                if let Some(&cpu) = cpus.iter().find(|cpu| !allowed.contains(cpu)) {
                    return Err(StartError::CpuNotAllowed { cpu, allowed: allowed.to_vec() });
                }
                cpus
            }
        };
        let shards = settings.shards.unwrap_or(asked.len());
        if asked.is_empty() || shards == 0 || shards > ShardId::COUNT_MAX {
            return Err(StartError::ShardCount { shards });
        }
        if shards > asked.len() {
            tracing::warn!(shards, cpus = asked.len(), "more shards than CPUs: they take turns, which costs latency");
        }
        Ok(Self { cpus: asked.iter().copied().cycle().take(shards).collect(), pinned: settings.pin })
    }
}

/// The CPUs that this process may run on, in order.
fn allowed_cpus() -> io::Result<Vec<usize>> {
    // The kernel refuses a mask shorter than its own, whose length it does not tell: 8192 CPUs are its present maximum.
    let mut mask = [0_u64; 8192 / 64];
    // SAFETY: the mask is as long as said and may hold any bits.
    let result = unsafe { libc::sched_getaffinity(0, size_of_val(&mask), mask.as_mut_ptr().cast()) };
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok((0..mask.len() * 64).filter(|cpu| mask[cpu / 64] >> (cpu % 64) & 1 == 1).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(shards: Option<usize>, cpus: Option<&[usize]>) -> Settings {
        Settings { shards, cpus: cpus.map(<[usize]>::to_vec), ..Settings::default() }
    }

    #[test]
    fn there_is_one_shard_per_allowed_cpu() {
        let placement = Placement::among(&[2, 5], &settings(None, None)).expect("two CPUs");
        assert_eq!(placement, Placement { cpus: vec![2, 5], pinned: true });
        assert_eq!(placement.describe(), "2 shards on CPUs 2,5");
    }

    #[test]
    fn more_shards_than_cpus_take_turns_and_fewer_leave_some_free() {
        let placement = Placement::among(&[2, 5], &settings(Some(3), None)).expect("allowed with a warning");
        assert_eq!(placement.cpus, [2, 5, 2]);
        assert_eq!(placement.describe(), "3 shards on CPUs 2,5");
        let placement = Placement::among(&[2, 5], &settings(Some(1), Some(&[5]))).expect("one CPU");
        assert_eq!(placement.describe(), "1 shard on CPU 5");
    }

    #[test]
    fn a_cpu_that_is_not_ours_is_refused_by_name() {
        let error = Placement::among(&[0, 1], &settings(None, Some(&[1, 7]))).expect_err("7 is not allowed");
        assert!(matches!(error, StartError::CpuNotAllowed { cpu: 7, .. }));
    }

    #[test]
    fn shards_are_counted_from_one_to_the_maximum() {
        for shards in [0, ShardId::COUNT_MAX + 1] {
            let error = Placement::among(&[0], &settings(Some(shards), None)).expect_err("out of range");
            assert!(matches!(error, StartError::ShardCount { .. }));
        }
    }

    #[test]
    fn the_system_names_at_least_the_cpu_that_runs_this() {
        assert!(!allowed_cpus().expect("a mask").is_empty());
    }
}
