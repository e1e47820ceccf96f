//! What this process and the system may hold: open files and locked memory.

use super::finding::{Finding, Level};
use super::machine::{Machine, Unreadable};
use crate::config::{Settings, count, size};

/// Connections that the settings allow in all.
pub(super) fn planned(settings: &Settings, shards: usize) -> u64 {
    (settings.limits.connections_max as u64).saturating_mul(shards as u64)
}

/// Connections that there are descriptors for. In the process's table each is one, and the server raises its soft limit to
/// the hard one; in the rings' own tables the hard limit holds for each shard.
pub(super) fn descriptors_free(machine: &Machine, settings: &Settings, shards: usize) -> Result<u64, Unreadable> {
    let limit = machine.limit("Max open files")?;
    let nr_open = machine.number("proc/sys/fs/nr_open").unwrap_or(u64::MAX);
    let direct = u64::from(settings.ring.direct_descriptors);
    Ok(match direct {
        0 => limit.hard.min(nr_open).saturating_sub(reserve(shards)),
        _ => direct.min(limit.hard).saturating_mul(shards as u64),
    })
}

/// What an idle server holds itself: the start-up checks ask for as many.
const fn reserve(shards: usize) -> u64 {
    32 + 16 * shards as u64
}

/// Open files of the process and of the system, and locked memory.
pub(super) fn findings(machine: &Machine, settings: &Settings, shards: usize) -> Vec<Finding> {
    let planned = planned(settings, shards);
    vec![files(machine, settings, shards), system_files(machine, planned), memlock(machine, settings, shards)]
}

fn files(machine: &Machine, settings: &Settings, shards: usize) -> Finding {
    const SUBJECT: &str = "descriptors";
    let planned = planned(settings, shards);
    let (limit, free) = match (machine.limit("Max open files"), descriptors_free(machine, settings, shards)) {
        (Ok(limit), Ok(free)) => (limit, free),
        (Err(error), _) | (_, Err(error)) => return Finding::unknown(SUBJECT, &error),
    };
    let found = format!("{} may be open, which leaves {} for connections", limit.hard, grouped(free));
    if limit.hard < reserve(shards) {
        let why = format!("the server needs {} before the first connection", reserve(shards));
        return Finding::new(Level::Problem, SUBJECT, found, why).change(raise(machine, reserve(shards) * 2));
    }
    if settings.ring.direct_descriptors > 0 {
        return direct(machine, u64::from(settings.ring.direct_descriptors), limit.hard, free, planned);
    }
    if free >= planned || limit.hard >= PLENTY {
        return Finding::ok(SUBJECT, found);
    }
    let why = format!(
        "each connection is one; --max-connections times the shards is {}, and what comes beyond the limit waits unaccepted",
        grouped(planned)
    );
    Finding::new(Level::Warning, SUBJECT, found, why).change(raise(machine, (planned + reserve(shards)).min(PLENTY)))
}

/// With the rings' own tables.
fn direct(machine: &Machine, places: u64, hard: u64, free: u64, planned: u64) -> Finding {
    const SUBJECT: &str = "descriptors";
    let found =
        format!("{} places for connections in the rings, {} of each shard", grouped(free), grouped(places.min(hard)));
    if places > hard {
        let why = format!("a ring's table may not be larger than the {hard} files that may be open");
        return Finding::new(Level::Problem, SUBJECT, found, why).change(raise(machine, places));
    }
    if free >= planned {
        return Finding::ok(SUBJECT, found);
    }
    let why = format!(
        "--max-connections times the shards is {}, and what comes beyond the places is reset",
        grouped(planned)
    );
    Finding::new(Level::Warning, SUBJECT, found, why)
        .change("a larger --direct-descriptors, or a smaller --max-connections")
}

fn raise(machine: &Machine, files: u64) -> String {
    let service =
        format!("LimitNOFILE={files} for a systemd service, or `ulimit -Hn {files}` as root before the start");
    match machine.number("proc/sys/fs/nr_open") {
        Ok(nr_open) if nr_open < files => format!("sysctl -w fs.nr_open={files}; then {service}"),
        _ => service,
    }
}

fn system_files(machine: &Machine, planned: u64) -> Finding {
    const SUBJECT: &str = "file-max";
    // Open, open and unused (always 0), and the most.
    let numbers = match machine.numbers("proc/sys/fs/file-nr") {
        Ok(numbers) => numbers,
        Err(error) => return Finding::unknown(SUBJECT, &error),
    };
    let [open, _, most] = numbers[..] else {
        return Finding::new(
            Level::Note,
            SUBJECT,
            "unknown: /proc/sys/fs/file-nr has another shape",
            "it bounds all programs together",
        );
    };
    let found = format!("{} of {} open files of the whole system", grouped(open), grouped(most));
    if most.saturating_sub(open) >= planned.min(PLENTY) {
        return Finding::ok(SUBJECT, found);
    }
    Finding::new(Level::Warning, SUBJECT, found, "all programs share them, and each connection is one")
        .change(format!("sysctl -w fs.file-max={}", open + planned.min(PLENTY) * 2))
}

fn memlock(machine: &Machine, settings: &Settings, shards: usize) -> Finding {
    const SUBJECT: &str = "memlock";
    let limit = match machine.limit("Max locked memory") {
        Ok(limit) => limit.hard,
        Err(error) => return Finding::unknown(SUBJECT, &error),
    };
    let text =
        if limit == u64::MAX { "unlimited".to_owned() } else { format!("{} may be locked", size::format(limit)) };
    let ring = MEMLOCK_ENTRY * u64::from(settings.ring.entries);
    let wanted = MEMLOCK_LEAST.max((ring + MEMLOCK_SHARD) * shards as u64);
    let change = |bytes: u64| {
        format!("LimitMEMLOCK={bytes} for a systemd service, or `ulimit -Hl {}` as root", bytes.div_ceil(1024))
    };
    if limit < MEMLOCK_LEAST {
        let why = format!("the runtime does not start with less than {}", size::format(MEMLOCK_LEAST));
        return Finding::new(Level::Problem, SUBJECT, text, why).change(change(wanted));
    }
    // Without CAP_IPC_LOCK (14) each shard's registered file buffers count, and on newer kernels its rings.
    if limit < wanted && machine.is_capable(14) != Ok(true) {
        let why = format!(
            "the rings of {shards} shards take up to {}, twice as much while one server takes over from another, and all \
             processes of a user share the limit",
            size::format(wanted)
        );
        return Finding::new(Level::Warning, SUBJECT, text, why).change(change(wanted));
    }
    Finding::ok(SUBJECT, text)
}

/// A number for people: `20k`, `1048576`.
pub(super) fn grouped(number: u64) -> String {
    if number == u64::MAX { "unlimited".to_owned() } else { count::format(number) }
}

/// The hard limit that distributions set where they mean "enough"; more is asked for only by name.
const PLENTY: u64 = 1 << 20;
/// What glommio checks before it starts.
const MEMLOCK_LEAST: u64 = 512 << 10;
/// 64 bytes in the submission queue and four times 16 in the completion queue, for each of `--ring-entries`.
const MEMLOCK_ENTRY: u64 = 128;
/// 64 KiB of file buffers, registered with each of an executor's three rings; 16 KiB for each of these; pages of heads.
const MEMLOCK_SHARD: u64 = 256 << 10;
