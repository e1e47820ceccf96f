//! Memory of a process and of the kernel: resident pages, and what the slab holds for sockets.

use std::fs;

use serde::Serialize;

/// One reading.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Memory {
    /// Resident bytes of the process.
    pub(crate) resident: Option<u64>,
    /// Open descriptors of the process.
    pub(crate) descriptors: Option<u64>,
    /// Bytes of the kernel's slab caches, of the whole machine.
    pub(crate) slab: Option<u64>,
    /// Objects in the kernel's TCP cache, of the whole machine; readable by root only.
    pub(crate) tcp_objects: Option<u64>,
}

impl Memory {
    /// Reads a process (none: only the machine's part).
    pub(crate) fn read(pid: Option<u32>) -> Self {
        let status = pid.and_then(|pid| fs::read_to_string(format!("/proc/{pid}/status")).ok());
        let descriptors = pid.and_then(|pid| fs::read_dir(format!("/proc/{pid}/fd")).ok());
        Self {
            resident: status.and_then(|status| kilobytes(&status, "VmRSS")),
            descriptors: descriptors.map(|entries| entries.count() as u64),
            slab: meminfo("Slab"),
            tcp_objects: fs::read_to_string("/proc/slabinfo").ok().and_then(|slabs| objects(&slabs, "TCP")),
        }
    }

    /// Growth per connection of the process and of the slab since an earlier reading.
    pub(crate) fn growth(&self, earlier: &Self, connections: u64) -> (Option<f64>, Option<f64>) {
        #[allow(clippy::cast_precision_loss)]
        let each = |now: Option<u64>, then: Option<u64>| {
            Some((now? as f64 - then? as f64) / connections as f64).filter(|_| connections > 0)
        };
        (each(self.resident, earlier.resident), each(self.slab, earlier.slab))
    }
}

/// The most that a process had resident since its peak was forgotten, or since its start.
pub(crate) fn peak(pid: u32) -> Option<u64> {
    kilobytes(&fs::read_to_string(format!("/proc/{pid}/status")).ok()?, "VmHWM")
}

/// Lets a process's peak begin anew. Where that is not allowed, the peak is that of its whole life.
pub(crate) fn forget_peak(pid: u32) {
    let _ = fs::write(format!("/proc/{pid}/clear_refs"), "5");
}

/// Bytes of one line of /proc/meminfo.
pub(crate) fn meminfo(name: &str) -> Option<u64> {
    kilobytes(&fs::read_to_string("/proc/meminfo").ok()?, name)
}

fn kilobytes(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok().map(|kilobytes| kilobytes * 1024)
}

fn objects(slabs: &str, name: &str) -> Option<u64> {
    let line = slabs.lines().find(|line| line.split_ascii_whitespace().next() == Some(name))?;
    line.split_ascii_whitespace().nth(1)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_found_by_their_whole_name() {
        let text = "VmRSSx:   9 kB\nVmRSS:\t    1234 kB\n";
        assert_eq!(kilobytes(text, "VmRSS"), Some(1234 * 1024));
        assert_eq!(kilobytes(text, "Vm"), None);
        assert_eq!(objects("TCPv6 5 6\nTCP 70 80 2368\n", "TCP"), Some(70));
    }

    #[test]
    fn our_own_memory_is_read() {
        let memory = Memory::read(Some(std::process::id()));
        assert!(memory.resident.is_some_and(|bytes| bytes > 0) && memory.descriptors.is_some_and(|count| count > 2));
        assert_eq!(Memory::read(Some(u32::MAX)).resident, None);
    }

    #[test]
    fn growth_is_shared_among_connections() {
        let before = Memory { resident: Some(1_000), slab: Some(5_000), ..Memory::default() };
        let after = Memory { resident: Some(4_000), slab: None, ..Memory::default() };
        assert_eq!(after.growth(&before, 10), (Some(300.0), None));
        assert_eq!(after.growth(&before, 0).0, None);
    }
}
