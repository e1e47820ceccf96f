//! The kernel's network settings that decide how many connections come in and what each send costs.

use super::finding::{Finding, Level};
use super::limits::grouped;
use super::machine::Machine;
use crate::config::{Settings, size};

/// Queues, ports, congestion control and memory of TCP. `connections` is how many there may be at most.
pub(super) fn findings(machine: &Machine, settings: &Settings, connections: u64) -> Vec<Finding> {
    vec![
        somaxconn(machine, settings),
        privileged(machine, settings),
        ports(machine, settings),
        congestion(machine),
        memory(machine, connections),
        buffers(machine),
        kernel_tls(machine, settings),
    ]
}

/// Told, and no reason to change anything: the server can speak TLS by itself (core/docs/security.md).
fn kernel_tls(machine: &Machine, settings: &Settings) -> Finding {
    const SUBJECT: &str = "kernel-tls";
    match machine.text("proc/sys/net/ipv4/tcp_available_ulp") {
        _ if !settings.tls.is_kernel_used => Finding::ok(SUBJECT, "not used: --ktls is off"),
        Ok(list) if list.split_whitespace().any(|name| name == "tls") => {
            Finding::ok(SUBJECT, "this kernel has it, for connections of TLS 1.3")
        }
        Ok(_) => Finding::ok(SUBJECT, "this kernel lacks it, or its module is not loaded (modprobe tls)"),
        Err(error) => Finding::unknown(SUBJECT, &error),
    }
}

fn somaxconn(machine: &Machine, settings: &Settings) -> Finding {
    const SUBJECT: &str = "somaxconn";
    let most = match machine.number("proc/sys/net/core/somaxconn") {
        Ok(most) => most,
        Err(error) => return Finding::unknown(SUBJECT, &error),
    };
    let backlog = settings.backlog;
    if most >= u64::from(backlog) {
        return Finding::ok(SUBJECT, format!("{most}, and --backlog is {backlog}"));
    }
    let why = "the kernel cuts the queue in front of each listener to it; a crowd that reconnects at once does not fit";
    Finding::new(Level::Warning, SUBJECT, format!("{most}, below --backlog ({backlog})"), why)
        .change(format!("sysctl -w net.core.somaxconn={backlog}"))
}

fn privileged(machine: &Machine, settings: &Settings) -> Finding {
    const SUBJECT: &str = "port";
    let first = match machine.number("proc/sys/net/ipv4/ip_unprivileged_port_start") {
        Ok(first) => first,
        Err(error) => return Finding::unknown(SUBJECT, &error),
    };
    let low = settings.listen.iter().map(|address| u64::from(address.port())).find(|port| *port != 0 && *port < first);
    let Some(port) = low else {
        return Finding::ok(SUBJECT, "every port to listen on is open to this user");
    };
    // CAP_NET_BIND_SERVICE.
    match machine.is_capable(10) {
        Ok(true) => Finding::ok(SUBJECT, format!("{port} is for the privileged, and this process is")),
        Ok(false) => Finding::new(Level::Problem, SUBJECT, format!("{port} is below {first}"), "only the privileged may listen there")
            .change("setcap cap_net_bind_service=+ep on the binary, or AmbientCapabilities=CAP_NET_BIND_SERVICE for a systemd service"),
        Err(error) => Finding::unknown(SUBJECT, &error),
    }
}

fn ports(machine: &Machine, settings: &Settings) -> Finding {
    const SUBJECT: &str = "port-range";
    let range = match machine.numbers("proc/sys/net/ipv4/ip_local_port_range") {
        Ok(range) => range,
        Err(error) => return Finding::unknown(SUBJECT, &error),
    };
    let [first, last] = range[..] else {
        return Finding::new(
            Level::Note,
            SUBJECT,
            "unknown: ip_local_port_range is not two numbers",
            "outgoing connections use it",
        );
    };
    let found = format!("{first} to {last}");
    let inside =
        settings.listen.iter().map(|address| u64::from(address.port())).find(|port| (first..=last).contains(port));
    if let Some(port) = inside {
        let why = format!("an outgoing connection may have taken {port} when the server starts");
        return Finding::new(Level::Warning, SUBJECT, found, why)
            .change(format!("sysctl -w net.ipv4.ip_local_reserved_ports={port}"));
    }
    let ports = (last + 1).saturating_sub(first);
    if ports >= PORTS_ENOUGH {
        return Finding::ok(SUBJECT, found);
    }
    let why = format!(
        "a proxy or load generator on this machine has {} connections to one address of the server; clients elsewhere are not concerned",
        grouped(ports)
    );
    Finding::new(Level::Note, SUBJECT, found, why).change("sysctl -w net.ipv4.ip_local_port_range='1024 65535'")
}

fn congestion(machine: &Machine) -> Finding {
    const SUBJECT: &str = "congestion";
    match machine.text("proc/sys/net/ipv4/tcp_congestion_control") {
        Err(error) => Finding::unknown(SUBJECT, &error),
        Ok(name) if name == "bbr" => Finding::new(
            Level::Note,
            SUBJECT,
            name,
            "its pacing timers cost 10 to 12 % of a send in a fan-out and 2 % of an echo, as measured against cubic; \
             over lossy long distances it may be worth that",
        )
        .change("sysctl -w net.ipv4.tcp_congestion_control=cubic"),
        Ok(name) => Finding::ok(SUBJECT, name),
    }
}

fn memory(machine: &Machine, connections: u64) -> Finding {
    const SUBJECT: &str = "tcp_mem";
    let pages = match machine.numbers("proc/sys/net/ipv4/tcp_mem") {
        Ok(pages) => pages,
        Err(error) => return Finding::unknown(SUBJECT, &error),
    };
    let [_, pressure, most] = pages[..] else {
        return Finding::new(
            Level::Note,
            SUBJECT,
            "unknown: tcp_mem is not three numbers",
            "it bounds the bytes in all sockets",
        );
    };
    let bytes = pressure.saturating_mul(PAGE);
    let found = format!("pressure at {}, most {}", mebibytes(bytes), mebibytes(most.saturating_mul(PAGE)));
    // An idle connection holds none of it, an active one at least a page in each direction.
    if bytes / connections.max(1) >= 2 * PAGE {
        return Finding::ok(SUBJECT, found);
    }
    let why = format!(
        "{} connections that are all active would have less than two pages each: the kernel then drops what it has queued",
        grouped(connections)
    );
    let wanted = connections.saturating_mul(2);
    Finding::new(Level::Note, SUBJECT, found, why).change(format!(
        "sysctl -w net.ipv4.tcp_mem='{} {} {}'",
        wanted / 2,
        wanted,
        wanted * 2
    ))
}

fn buffers(machine: &Machine) -> Finding {
    const SUBJECT: &str = "tcp_wmem";
    let (wmem, rmem) =
        match (machine.numbers("proc/sys/net/ipv4/tcp_wmem"), machine.numbers("proc/sys/net/ipv4/tcp_rmem")) {
            (Ok(wmem), Ok(rmem)) => (wmem, rmem),
            (Err(error), _) | (_, Err(error)) => return Finding::unknown(SUBJECT, &error),
        };
    let ([.., sends], [.., receives]) = (&wmem[..], &rmem[..]) else {
        return Finding::new(
            Level::Note,
            SUBJECT,
            "unknown: tcp_wmem or tcp_rmem is empty",
            "they bound the bytes in one socket",
        );
    };
    let found = format!(
        "the kernel holds at most {} to send and {} received per connection",
        size::format(*sends),
        size::format(*receives)
    );
    if *sends <= SEND_ENOUGH {
        return Finding::ok(SUBJECT, found);
    }
    let why = "a slow consumer holds that much in the kernel before --outbox-bytes-max begins to count";
    Finding::new(Level::Note, SUBJECT, found, why).change("sysctl -w net.ipv4.tcp_wmem='4096 16384 4194304'")
}

fn mebibytes(bytes: u64) -> String {
    format!("{} MiB", bytes >> 20)
}

/// Linux's own default is 28,232 ports.
const PORTS_ENOUGH: u64 = 28_000;
/// The kernel counts socket memory in pages of this size on every machine that we build for.
const PAGE: u64 = 4096;
/// Linux's own default.
const SEND_ENOUGH: u64 = 4 << 20;
