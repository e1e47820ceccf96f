//! The machine under the run: its facts for the report, the CPUs and descriptors the process may use, the signals it
//! handles. Never measures anything.
#![allow(unsafe_code)] // affinity, limits and signals have no safe wrappers in the standard library

use std::fs;
use std::io;
use std::time::Duration;

use serde::Serialize;

/// What a result must carry to be compared with another.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Facts {
    pub(crate) kernel: String,
    pub(crate) cpu_model: String,
    /// CPUs that the process may use.
    pub(crate) cpus_allowed: Vec<usize>,
    /// CPUs of the machine.
    pub(crate) cpus_online: usize,
    pub(crate) memory_bytes: u64,
    pub(crate) governor: Option<String>,
    pub(crate) mitigations: Vec<String>,
    pub(crate) descriptors_max: u64,
    pub(crate) somaxconn: Option<u64>,
    pub(crate) local_port_range: Option<String>,
    pub(crate) command_line: Vec<String>,
}

/// Reads the facts; what this machine does not tell is left empty.
pub(crate) fn facts() -> Facts {
    let trimmed = |path: &str| fs::read_to_string(path).ok().map(|text| text.trim().to_owned());
    let cpuinfo = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let field = |name: &str| {
        let line = cpuinfo.lines().find(|line| line.starts_with(name))?;
        line.split_once(':').map(|(_, value)| value.trim().to_owned())
    };
    let mut mitigations: Vec<String> = fs::read_dir("/sys/devices/system/cpu/vulnerabilities")
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| {
            let state = fs::read_to_string(entry.path()).ok()?;
            let name = entry.file_name().to_string_lossy().into_owned();
            state.starts_with("Mitigation").then(|| format!("{name}: {}", state.trim()))
        })
        .collect();
    mitigations.sort();
    Facts {
        kernel: trimmed("/proc/sys/kernel/osrelease").unwrap_or_default(),
        cpu_model: field("model name").unwrap_or_default(),
        cpus_allowed: allowed_cpus(),
        cpus_online: cpuinfo.lines().filter(|line| line.starts_with("processor")).count(),
        memory_bytes: crate::process::meminfo("MemTotal").unwrap_or(0),
        governor: trimmed("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"),
        mitigations,
        descriptors_max: descriptors_max(),
        somaxconn: trimmed("/proc/sys/net/core/somaxconn").and_then(|text| text.parse().ok()),
        local_port_range: trimmed("/proc/sys/net/ipv4/ip_local_port_range"),
        command_line: std::env::args().collect(),
    }
}

/// The CPUs that this process may use, ascending.
pub(crate) fn allowed_cpus() -> Vec<usize> {
    // SAFETY: an all-zero set is a valid value of this plain structure.
    let mut set: libc::cpu_set_t = unsafe { std::mem::zeroed() };
    // SAFETY: the set is alive and its size is stated.
    let result = unsafe { libc::sched_getaffinity(0, size_of::<libc::cpu_set_t>(), &raw mut set) };
    if result != 0 {
        return Vec::new();
    }
    // SAFETY: every index is below the set's capacity.
    (0..libc::CPU_SETSIZE as usize).filter(|&cpu| unsafe { libc::CPU_ISSET(cpu, &set) }).collect()
}

/// Keeps the calling thread, and those it will start, on some CPUs. Makes only system calls: may run after `fork`.
pub(crate) fn set_affinity(cpus: &[usize]) -> io::Result<()> {
    // SAFETY: as in `allowed_cpus`.
    let mut set: libc::cpu_set_t = unsafe { std::mem::zeroed() };
    for &cpu in cpus.iter().filter(|&&cpu| cpu < libc::CPU_SETSIZE as usize) {
        // SAFETY: the index is below the set's capacity.
        unsafe { libc::CPU_SET(cpu, &mut set) };
    }
    // SAFETY: the set is alive and its size is stated.
    let result = unsafe { libc::sched_setaffinity(0, size_of::<libc::cpu_set_t>(), &raw const set) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

fn descriptor_limits() -> libc::rlimit {
    let mut limits = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the structure is alive.
    unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limits) };
    limits
}

/// How many descriptors this process may ever have.
pub(crate) fn descriptors_max() -> u64 {
    descriptor_limits().rlim_max
}

/// Raises the limit of open descriptors as far as the machine lets us.
pub(crate) fn raise_descriptors() {
    let mut limits = descriptor_limits();
    limits.rlim_cur = limits.rlim_max;
    // SAFETY: the structure is alive. A failure shows as connections that cannot be opened, with their error.
    unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limits) };
}

/// Lets this thread's sleeps end on time: the default slack adds 50 us to each.
pub(crate) fn sleep_precisely() {
    // SAFETY: takes numbers only. Where it fails, sleeps are less precise, which the lag in the report shows.
    unsafe { libc::prctl(libc::PR_SET_TIMERSLACK, 1_u64) };
}

/// The thread id of the caller.
pub(crate) fn thread_id() -> u32 {
    // SAFETY: takes nothing, cannot fail.
    u32::try_from(unsafe { libc::gettid() }).expect("thread ids are positive")
}

fn stop_signals() -> libc::sigset_t {
    // SAFETY: an all-zero set is a valid value that the calls below initialise; the signals exist.
    unsafe {
        let mut set: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&raw mut set);
        libc::sigaddset(&raw mut set, libc::SIGINT);
        libc::sigaddset(&raw mut set, libc::SIGTERM);
        set
    }
}

/// Blocks SIGINT and SIGTERM in this thread and all it will start; `wait_for_stop` collects them.
pub(crate) fn block_signals() {
    let set = stop_signals();
    // SAFETY: the set is alive; the old one is not wanted.
    unsafe { libc::pthread_sigmask(libc::SIG_BLOCK, &raw const set, std::ptr::null_mut()) };
}

/// Undoes `block_signals`. Makes only system calls: may run after `fork`.
pub(crate) fn unblock_signals() {
    let set = stop_signals();
    // SAFETY: as in `block_signals`.
    unsafe { libc::pthread_sigmask(libc::SIG_UNBLOCK, &raw const set, std::ptr::null_mut()) };
}

/// Sleeps at most so long; true if SIGINT or SIGTERM came.
pub(crate) fn wait_for_stop(time: Duration) -> bool {
    let set = stop_signals();
    let timeout = libc::timespec {
        tv_sec: libc::time_t::try_from(time.as_secs()).unwrap_or(libc::time_t::MAX),
        tv_nsec: libc::c_long::from(time.subsec_nanos()),
    };
    // SAFETY: set and timeout are alive; the details of the signal are not wanted.
    unsafe { libc::sigtimedwait(&raw const set, std::ptr::null_mut(), &raw const timeout) > 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_machine_tells_its_facts() {
        let facts = facts();
        assert!(!facts.kernel.is_empty() && facts.cpus_online > 0 && facts.memory_bytes > 0);
        assert!(!facts.cpus_allowed.is_empty() && facts.descriptors_max > 0);
    }

    #[test]
    fn a_thread_can_be_kept_on_one_cpu() {
        let cpu = *allowed_cpus().last().expect("there is a CPU");
        let seen = std::thread::spawn(move || {
            set_affinity(&[cpu]).expect("an allowed CPU");
            allowed_cpus()
        });
        assert_eq!(seen.join().expect("no panic"), [cpu]);
    }
}
