//! What a container or a service manager leaves of the machine: CPU time, CPUs, memory; and two settings of the kernel
//! for this process.

use super::finding::{Finding, Level};
use super::machine::{Machine, Unreadable};
use crate::config::{cpus, size};

/// What the control groups of this process allow. `None`: as much as there is.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Allowance {
    /// CPUs' worth of time, in thousandths.
    pub(super) milli_cpus: Option<u64>,
    /// Bytes that are left of the memory's limit.
    pub(super) bytes_left: Option<u64>,
    bytes: Option<u64>,
}

/// The tightest limits from this process's group up to the root: a parent's bind as well.
pub(super) fn allowance(machine: &Machine) -> Result<Allowance, Unreadable> {
    let mut allowance = Allowance::default();
    for line in machine.text("proc/self/cgroup")?.lines() {
        let mut parts = line.splitn(3, ':');
        let (Some(_), Some(controllers), Some(path)) = (parts.next(), parts.next(), parts.next()) else { continue };
        for controller in controllers.split(',') {
            // Version 2 has one tree, in a folder of its own where version 1 is mounted too.
            let root =
                if controller.is_empty() { "sys/fs/cgroup".to_owned() } else { format!("sys/fs/cgroup/{controller}") };
            for folder in ancestors(&root, path) {
                allowance.take(machine, &folder);
            }
        }
    }
    Ok(allowance)
}

/// The folder of a group and those above it. A container sees its own group as the root: then only the last is there.
fn ancestors(root: &str, path: &str) -> Vec<String> {
    let mut path = path.trim_matches('/');
    let mut folders = Vec::new();
    while !path.is_empty() {
        folders.push(format!("{root}/{path}"));
        path = path.rsplit_once('/').map_or("", |(parent, _)| parent);
    }
    folders.push(root.to_owned());
    folders
}

impl Allowance {
    fn take(&mut self, machine: &Machine, folder: &str) {
        let number = |name: &str| machine.number(&format!("{folder}/{name}")).ok();
        // Version 2 writes `max 100000` or `150000 100000`; version 1 has two files, and -1 for no limit.
        let both = machine.text(&format!("{folder}/cpu.max")).ok();
        let quota = match both.as_deref().and_then(|text| text.split_once(' ')) {
            Some((quota, period)) => quota.parse().ok().zip(period.parse().ok()),
            None => number("cpu.cfs_quota_us").zip(number("cpu.cfs_period_us")),
        };
        if let Some((quota, period)) = quota {
            self.milli_cpus = least(self.milli_cpus, u64::saturating_mul(quota, 1000) / u64::max(period, 1));
        }
        let limit = number("memory.max").or_else(|| number("memory.limit_in_bytes")).filter(|bytes| *bytes < NO_LIMIT);
        let used = number("memory.current").or_else(|| number("memory.usage_in_bytes")).unwrap_or(0);
        if let Some(bytes) = limit {
            self.bytes = least(self.bytes, bytes);
            self.bytes_left = least(self.bytes_left, bytes.saturating_sub(used));
        }
    }
}

fn least(before: Option<u64>, now: u64) -> Option<u64> {
    Some(before.map_or(now, |before| before.min(now)))
}

/// Limits of the container, large pages and timers.
pub(super) fn findings(machine: &Machine, shards: usize) -> Vec<Finding> {
    let mut findings = match allowance(machine) {
        Ok(allowance) => vec![cpu_time(allowance, shards), memory(allowance)],
        Err(error) => vec![Finding::unknown("cpu-quota", &error), Finding::unknown("memory-limit", &error)],
    };
    findings.extend([cpuset(machine), large_pages(machine), timer_slack(machine)]);
    findings
}

fn cpu_time(allowance: Allowance, shards: usize) -> Finding {
    const SUBJECT: &str = "cpu-quota";
    let Some(milli) = allowance.milli_cpus else { return Finding::ok(SUBJECT, "no limit on CPU time") };
    let found = format!("{}.{:03} CPUs' worth of time", milli / 1000, milli % 1000);
    if milli >= shards as u64 * 1000 {
        return Finding::ok(SUBJECT, found);
    }
    let why = format!(
        "{shards} shards that are busy use it up, and then all of them stand still until the next period, for up to 100 ms"
    );
    Finding::new(Level::Warning, SUBJECT, found, why).change(format!(
        "--shards {}, or a larger --cpus of the container, or whole CPUs instead of a quota (--cpuset-cpus)",
        (milli / 1000).max(1)
    ))
}

fn memory(allowance: Allowance) -> Finding {
    const SUBJECT: &str = "memory-limit";
    match allowance.bytes {
        None => Finding::ok(SUBJECT, "no limit but the machine's memory"),
        Some(bytes) => Finding::ok(
            SUBJECT,
            format!("{}, of which {} are left", size::format(bytes), size::format(allowance.bytes_left.unwrap_or(0))),
        ),
    }
}

fn cpuset(machine: &Machine) -> Finding {
    const SUBJECT: &str = "cpuset";
    match (machine.allowed_cpus(), machine.list("sys/devices/system/cpu/online")) {
        (Ok(allowed), Ok(online)) if allowed.len() < online.len() => Finding::new(
            Level::Note,
            SUBJECT,
            format!("CPUs {} of {}", cpus::format(&allowed), cpus::format(&online)),
            "a container, taskset or a service manager keeps this process off the others",
        ),
        (Ok(allowed), Ok(_)) => Finding::ok(SUBJECT, format!("all CPUs: {}", cpus::format(&allowed))),
        (Err(error), _) | (_, Err(error)) => Finding::unknown(SUBJECT, &error),
    }
}

fn large_pages(machine: &Machine) -> Finding {
    const SUBJECT: &str = "large-pages";
    match machine.text("sys/kernel/mm/transparent_hugepage/enabled") {
        Err(error) => Finding::unknown(SUBJECT, &error),
        Ok(text) if text.contains("[always]") => Finding::new(
            Level::Note,
            SUBJECT,
            "always",
            "memory then comes in pieces of 2 MiB, and a server with few connections holds more than it uses; what it does to speed was not measured",
        )
        .change("echo madvise > /sys/kernel/mm/transparent_hugepage/enabled"),
        Ok(text) => {
            let chosen = text.split(['[', ']']).nth(1).unwrap_or(&text).to_owned();
            Finding::ok(SUBJECT, chosen)
        }
    }
}

fn timer_slack(machine: &Machine) -> Finding {
    const SUBJECT: &str = "timer-slack";
    match machine.number("proc/self/timerslack_ns") {
        Err(error) => Finding::unknown(SUBJECT, &error),
        Ok(slack) if slack <= SLACK_MAX => Finding::ok(SUBJECT, format!("{} us", slack / 1000)),
        Ok(slack) => Finding::new(
            Level::Note,
            SUBJECT,
            format!("{} us", slack / 1000),
            "ticks and the application's timers may come that much later; messages do not wait for it",
        )
        .change("start the server from a process with the default slack (TimerSlackNSec=50us for a systemd service)"),
    }
}

/// Version 1 writes the largest multiple of a page where there is no limit.
const NO_LIMIT: u64 = 1 << 60;
/// A tenth of the default tick.
const SLACK_MAX: u64 = 5_000_000;
