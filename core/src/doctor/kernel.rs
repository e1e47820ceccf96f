//! The kernel: whether it has the io_uring that the server needs, and whether this process may use it.

use super::finding::{Finding, Level};
use super::machine::Machine;
use crate::server::StartError;

/// The kernel's version, the switches and filters in front of io_uring, and the ring itself.
pub(super) fn findings(machine: &Machine) -> Vec<Finding> {
    let ring = (machine.probe)();
    vec![release(machine), switch(machine, ring.is_ok()), filter(machine, ring.is_ok()), probe(ring), clock(machine)]
}

fn release(machine: &Machine) -> Finding {
    const SUBJECT: &str = "kernel";
    let release = match machine.text("proc/sys/kernel/osrelease") {
        Ok(release) => release,
        Err(error) => return Finding::unknown(SUBJECT, &error),
    };
    let mut numbers = release.split(|byte: char| !byte.is_ascii_digit()).map(|part| part.parse::<u32>().ok());
    let (Some(Some(major)), Some(Some(minor))) = (numbers.next(), numbers.next()) else {
        return Finding::new(
            Level::Note,
            SUBJECT,
            format!("unknown: '{release}' is no version"),
            "it decides what io_uring can do",
        );
    };
    if (major, minor) < NEEDED {
        Finding::new(
            Level::Problem,
            SUBJECT,
            format!("Linux {release}"),
            "the server needs multishot time-outs, receives and accepts of io_uring: Linux 6.4",
        )
        .change("install a kernel of 6.4 or newer, 6.6 at best")
    } else if (major, minor) < BEST {
        Finding::new(
            Level::Note,
            SUBJECT,
            format!("Linux {release}"),
            "from 6.6 on the ring does without one indirection per operation (NO_SQARRAY)",
        )
    } else {
        Finding::ok(SUBJECT, format!("Linux {release}"))
    }
}

fn switch(machine: &Machine, works: bool) -> Finding {
    const SUBJECT: &str = "io_uring_disabled";
    let value = match machine.number("proc/sys/kernel/io_uring_disabled") {
        Ok(value) => value,
        // The switch came with Linux 6.6.
        Err(_) if works => return Finding::ok(SUBJECT, "this kernel has no such switch"),
        Err(error) => return Finding::unknown(SUBJECT, &error),
    };
    match value {
        0 => Finding::ok(SUBJECT, "0: io_uring is open to everybody"),
        1 if works => Finding::ok(SUBJECT, "1: io_uring is open to the privileged, and this process is"),
        _ => Finding::new(
            Level::Problem,
            SUBJECT,
            format!("{value}: io_uring is closed to {}", if value == 1 { "the unprivileged" } else { "everybody" }),
            "the server has no other way to its sockets",
        )
        .change("sysctl -w kernel.io_uring_disabled=0"),
    }
}

fn filter(machine: &Machine, works: bool) -> Finding {
    const SUBJECT: &str = "seccomp";
    match machine.field("proc/self/status", "Seccomp") {
        Err(error) => Finding::unknown(SUBJECT, &error),
        Ok(mode) if mode == "0" => Finding::ok(SUBJECT, "no filter of system calls"),
        Ok(_) if works => Finding::ok(SUBJECT, "a filter of system calls, which lets io_uring through"),
        Ok(_) => Finding::new(
            Level::Warning,
            SUBJECT,
            "a filter of system calls is installed, and io_uring does not work",
            "container engines block io_uring by default",
        )
        .change("allow io_uring_setup, io_uring_enter and io_uring_register in a profile: docker run --security-opt seccomp=PROFILE"),
    }
}

fn probe(ring: Result<(), StartError>) -> Finding {
    const SUBJECT: &str = "ring";
    match ring {
        Ok(()) => Finding::ok(SUBJECT, "a ring with the server's flags, its buffers and a multishot operation works"),
        Err(error) => Finding::new(Level::Problem, SUBJECT, error.to_string(), "the server does not start"),
    }
}

fn clock(machine: &Machine) -> Finding {
    const SUBJECT: &str = "clock";
    match machine.text("sys/devices/system/clocksource/clocksource0/current_clocksource") {
        Err(error) => Finding::unknown(SUBJECT, &error),
        Ok(source)
            if matches!(source.as_str(), "tsc" | "kvm-clock" | "hyperv_clocksource_tsc_page" | "arch_sys_counter") =>
        {
            Finding::ok(SUBJECT, source)
        }
        Ok(source) => Finding::new(
            Level::Warning,
            SUBJECT,
            source,
            "each pass of a shard reads the clock, and this source needs a system call or a slow device for it",
        )
        .change("echo tsc > /sys/devices/system/clocksource/clocksource0/current_clocksource"),
    }
}

/// Multishot time-outs.
const NEEDED: (u32, u32) = (6, 4);
/// `IORING_SETUP_NO_SQARRAY`.
const BEST: (u32, u32) = (6, 6);
