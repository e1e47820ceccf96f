//! CPU time of a process: exact on-CPU nanoseconds of each thread from schedstat, split into user and system by the
//! ticks of stat (which alone are too coarse: 10 ms).

use std::collections::BTreeMap;
use std::fs;

use serde::Serialize;

/// CPU time that each thread of a process has used so far.
#[derive(Clone, Debug, Default)]
pub(crate) struct CpuTime {
    /// Nanoseconds by thread.
    threads: BTreeMap<u32, u64>,
    user_ticks: u64,
    system_ticks: u64,
    /// Voluntary and involuntary switches of all threads.
    switches: u64,
}

/// CPU time between two readings.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub(crate) struct Usage {
    /// Nanoseconds of all threads.
    pub(crate) total_ns: u64,
    /// Of these, in the process itself.
    pub(crate) user_ns: u64,
    /// And in the kernel for it.
    pub(crate) system_ns: u64,
    /// Of the busiest thread.
    pub(crate) busiest_ns: u64,
    /// Context switches.
    pub(crate) switches: u64,
}

impl CpuTime {
    /// Reads a process; with a list, only those of its threads.
    pub(crate) fn read(pid: u32, only: Option<&[u32]>) -> Option<Self> {
        let mut time = Self::default();
        for entry in fs::read_dir(format!("/proc/{pid}/task")).ok()?.flatten() {
            let Some(thread) = entry.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else { continue };
            if only.is_some_and(|only| !only.contains(&thread)) {
                continue;
            }
            // A thread may end between the listing and the reading.
            let Ok(schedstat) = fs::read_to_string(entry.path().join("schedstat")) else { continue };
            let Some(on_cpu) = schedstat.split(' ').next().and_then(|number| number.parse().ok()) else { continue };
            time.threads.insert(thread, on_cpu);
            if let Ok(stat) = fs::read_to_string(entry.path().join("stat")) {
                let (user, system) = ticks(&stat).unwrap_or((0, 0));
                time.user_ticks += user;
                time.system_ticks += system;
            }
            if let Ok(status) = fs::read_to_string(entry.path().join("status")) {
                time.switches += switches(&status);
            }
        }
        (!time.threads.is_empty()).then_some(time)
    }

    /// What was used since an earlier reading. Threads that ended in between are not counted.
    pub(crate) fn since(&self, earlier: &Self) -> Usage {
        let used: Vec<u64> = self
            .threads
            .iter()
            .map(|(thread, time)| time.saturating_sub(earlier.threads.get(thread).copied().unwrap_or(0)))
            .collect();
        let total_ns = used.iter().sum::<u64>();
        let user = self.user_ticks.saturating_sub(earlier.user_ticks);
        let system = self.system_ticks.saturating_sub(earlier.system_ticks);
        let user_ns = split(total_ns, user, system);
        Usage {
            total_ns,
            user_ns,
            system_ns: total_ns - user_ns,
            busiest_ns: used.iter().copied().max().unwrap_or(0),
            switches: self.switches.saturating_sub(earlier.switches),
        }
    }
}

/// The part of `total` that `user` is of `user + system`.
#[allow(clippy::cast_possible_truncation)]
fn split(total: u64, user: u64, system: u64) -> u64 {
    let part = u128::from(total) * u128::from(user) / u128::from((user + system).max(1));
    part as u64 // at most `total`
}

/// User and system ticks from a `stat` line, whose second field is a name in parentheses that may hold anything.
fn ticks(stat: &str) -> Option<(u64, u64)> {
    let after_name = stat.rsplit_once(')')?.1;
    let mut fields = after_name.split_ascii_whitespace().skip(11);
    Some((fields.next()?.parse().ok()?, fields.next()?.parse().ok()?))
}

fn switches(status: &str) -> u64 {
    status
        .lines()
        .filter(|line| line.contains("voluntary_ctxt_switches"))
        .filter_map(|line| line.split_once(':')?.1.trim().parse::<u64>().ok())
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stat_line_is_read_behind_any_name() {
        let line = "7 (a) b) (c) S 1 7 7 0 -1 4194560 1 2 3 4 123 456 0 0 20 0 1 0 5";
        assert_eq!(ticks(line), Some((123, 456)));
        assert_eq!(ticks("nonsense"), None);
    }

    #[test]
    fn usage_is_the_difference_of_two_readings() {
        let reading = |times: &[(u32, u64)], user, system| CpuTime {
            threads: times.iter().copied().collect(),
            user_ticks: user,
            system_ticks: system,
            switches: 0,
        };
        let usage = reading(&[(1, 1_500), (2, 900), (3, 100)], 13, 14).since(&reading(&[(1, 1_000), (2, 800)], 10, 5));
        assert_eq!((usage.total_ns, usage.busiest_ns), (700, 500));
        assert_eq!((usage.user_ns, usage.system_ns), (175, 525));
    }

    #[test]
    fn our_own_work_is_seen() {
        let pid = std::process::id();
        let before = CpuTime::read(pid, None).expect("we can read ourselves");
        let mut random = fastrand::Rng::with_seed(1);
        let mut sum = 0_u64;
        // Enough work to be seen by a clock that counts nanoseconds: not a matter of speed.
        for _ in 0..20_000_000 {
            sum = sum.wrapping_add(random.u64(..));
        }
        let used = CpuTime::read(pid, None).expect("we can read ourselves").since(&before);
        assert!(used.total_ns > 0 && sum != 1, "{used:?}");
        assert_eq!(CpuTime::read(u32::MAX, None).map(|_| ()), None);
    }
}
