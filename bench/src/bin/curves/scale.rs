//! Tables for machines that nobody has measured, computed from the stored points of the one that was. Every row says
//! its arithmetic; what is assumed and not measured is a constant in here, with its reason.

use std::fmt::Write;
use std::path::Path;

use crate::curve::{Curve, Name, Point, Spread};
use crate::store;

/// Shards of the machine in the tables.
const SHARDS: f64 = 64.0;
/// Connections in the tables.
const CONNECTIONS: [f64; 3] = [1e5, 1e6, 1e7];
/// Seconds between pings, the default for SocketCluster's clients.
const PING_INTERVAL_S: f64 = 8.0;
/// Ticks per second, by default, each of which looks at a quarter of the slots.
const LOOKS_PER_S: f64 = 20.0 / 4.0;
/// Bytes on the wire for one heartbeat: ping, pong and an acknowledgement each, 66 B of Ethernet, IP and TCP headers
/// with timestamps each, and 2 and 6 B of frame.
const HEARTBEAT_WIRE_BYTES: f64 = 4.0 * 66.0 + 2.0 + 6.0;
/// Descriptors beside the connections: per shard a ring, listeners, doorbells and glommio's own; logs and the rest.
const DESCRIPTORS_PER_SHARD: f64 = 32.0;
/// Of all connections, those that have bytes in the kernel's buffers at one moment. Assumed: 1 in 100.
const ACTIVE_SHARE: f64 = 0.01;
/// What such a connection holds there. Assumed: one segment's memory each way, rounded up to pages.
const ACTIVE_BYTES: f64 = 16_384.0;
/// Connections that one source address can have to one listening address and port.
const PORTS: f64 = 64_511.0;

/// What one connection costs here.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Costs {
    /// Of the server, for each connection beyond the first thousands.
    user_bytes: f64,
    /// What a shard has beside them: buffers, arenas, the first thousands' share of tables.
    fixed_bytes: f64,
    /// Of the kernel, for one end.
    kernel_bytes: f64,
    /// Server CPU of one ping with its pong.
    heartbeat_us: f64,
    /// One slot looked at.
    look_ns: f64,
}

impl Costs {
    fn read(idle: &Curve) -> Result<Self, String> {
        let missing = || "the curve of idle connections lacks points; measure it again".to_owned();
        let crowds = || idle.points.iter().filter(|point| point.line == "idle");
        let first = crowds().min_by(|a, b| a.x.total_cmp(&b.x)).ok_or_else(missing)?;
        let last = crowds().max_by(|a, b| a.x.total_cmp(&b.x)).filter(|last| last.x > first.x).ok_or_else(missing)?;
        let slope = |quantity: fn(&Point) -> Option<Spread>| {
            let rise = quantity(last)?.median - quantity(first)?.median;
            Some(rise / (last.x - first.x))
        };
        let user_bytes = slope(|point| point.user_bytes).ok_or_else(missing)?;
        let sweep = idle.points.iter().find(|point| point.line == "sweep").ok_or_else(missing)?;
        Ok(Self {
            user_bytes,
            fixed_bytes: last.user_bytes.ok_or_else(missing)?.median - user_bytes * last.x,
            kernel_bytes: slope(|point| point.slab_bytes).ok_or_else(missing)? / 2.0,
            heartbeat_us: slope(|point| point.cpu_share).ok_or_else(missing)? * PING_INTERVAL_S * 1e6,
            look_ns: sweep.cpu_us.ok_or_else(missing)?.median * 1e3 / sweep.x,
        })
    }
}

/// All tables.
pub(crate) fn tables(folder: &Path) -> Result<String, String> {
    let costs = Costs::read(&store::read(Name::Idle, folder)?)?;
    let mut text = connections(&costs);
    text += &limits(&costs);
    text += &shards(&store::read(Name::Subscribers, folder)?, &store::read(Name::Shards, folder)?)?;
    Ok(text)
}

/// A row: what, arithmetic, and a value for each number of connections.
fn row(text: &mut String, what: &str, how: &str, value: impl Fn(f64) -> String) {
    let cells = CONNECTIONS.map(|count| format!("{} |", value(count))).join(" ");
    writeln!(text, "| {what} | {how} | {cells}").expect("a String takes everything");
}

fn connections(costs: &Costs) -> String {
    let Costs { user_bytes, fixed_bytes, kernel_bytes, heartbeat_us, look_ns } = *costs;
    let mut text = String::from("| idle connections on 64 shards | arithmetic | 100 k | 1 M | 10 M |\n");
    text += "|---|---|--:|--:|--:|\n";
    let per_shard = |count: f64| count / SHARDS;
    row(&mut text, "connections of one shard", "N ÷ 64", |count| quantity(per_shard(count)));
    let how = format!("N × {user_bytes:.0} B + 64 × {}", bytes(fixed_bytes));
    row(&mut text, "memory of the server", &how, |count| bytes(count * user_bytes + SHARDS * fixed_bytes));
    let how = format!("N × {kernel_bytes:.0} B, our end");
    row(&mut text, "memory of the kernel, nothing in flight", &how, |count| bytes(count * kernel_bytes));
    let how = format!("N × {:.0} % × {}", ACTIVE_SHARE * 100.0, bytes(ACTIVE_BYTES));
    row(&mut text, "kernel, with 1 in 100 in flight, more", &how, |count| bytes(count * ACTIVE_SHARE * ACTIVE_BYTES));
    row(&mut text, "heartbeats per second", "N ÷ 8 s", |count| quantity(count / PING_INTERVAL_S));
    let how = format!("heartbeats × {heartbeat_us:.1} µs ÷ 64");
    row(&mut text, "their CPU, of each shard", &how, |count| {
        share(per_shard(count) / PING_INTERVAL_S * heartbeat_us / 1e6)
    });
    let how = format!("heartbeats × {HEARTBEAT_WIRE_BYTES:.0} B × 8");
    row(&mut text, "their traffic, both directions", &how, |count| {
        format!("{} Mbit/s", quantity(count / PING_INTERVAL_S * HEARTBEAT_WIRE_BYTES * 8.0 / 1e6))
    });
    let how = format!("N ÷ 64 × 5 looks/s × {look_ns:.2} ns");
    row(&mut text, "sweep of deadlines, of each shard", &how, |count| {
        share(per_shard(count) * LOOKS_PER_S * look_ns / 1e9)
    });
    let how = format!("N ÷ 64 ÷ 4 × {look_ns:.2} ns");
    row(&mut text, "longest hold of the loop by one tick's sweep", &how, |count| {
        format!("{} µs", quantity((per_shard(count) / 4.0).max(1_024.0) * look_ns / 1e3))
    });
    text + "\n"
}

/// What the machine must allow.
fn limits(costs: &Costs) -> String {
    let mut text = String::from("| to be allowed | arithmetic | 100 k | 1 M | 10 M |\n|---|---|--:|--:|--:|\n");
    let descriptors = |count: f64| count + SHARDS * DESCRIPTORS_PER_SHARD;
    row(&mut text, "`RLIMIT_NOFILE`, `fs.nr_open`", "N + 64 × 32", |count| format!("{:.0}", descriptors(count)));
    row(&mut text, "`fs.file-max`", "that and a tenth for the rest", |count| {
        format!("{:.0}", descriptors(count) * 1.1)
    });
    let pages = |count: f64| count * ACTIVE_SHARE * ACTIVE_BYTES / 4_096.0;
    row(&mut text, "`net.ipv4.tcp_mem`, third value", "pages of what is in flight, four times over", |count| {
        format!("{:.0}", (pages(count) * 4.0).max(1e5))
    });
    row(&mut text, "memory of the machine", "server, kernel and flight, and a quarter to spare", |count| {
        let server = count * costs.user_bytes + SHARDS * costs.fixed_bytes;
        bytes((server + count * costs.kernel_bytes + count * ACTIVE_SHARE * ACTIVE_BYTES) * 1.25)
    });
    row(&mut text, "a generator's source addresses", "N ÷ 64,511 ports, 1024 to 65,535 less ours", |count| {
        format!("{:.0}", (count / PORTS).ceil())
    });
    text + "\n"
}

/// The model of fan-out over shards: who is the publisher's shard pushes once to each other shard, which encodes again.
fn shards(subscribers: &Curve, shards: &Curve) -> Result<String, String> {
    let missing = |what: &str| format!("the stored curves lack {what}; measure subscribers and shards again");
    let cpu = |curve: &Curve, line: &str, x: f64| curve.median(line, x, |point| point.cpu_us);
    let push = cpu(shards, "mesh: push", 1.0).ok_or_else(|| missing("the mesh"))?;
    let receive = cpu(shards, "mesh: receive, encode, deliver to one", 1.0).ok_or_else(|| missing("the mesh"))?;
    let counts = [1.0, 2.0, 4.0, 8.0, 12.0, 64.0];
    let mut text = format!(
        "Model, not a measurement: efficiency = S·d ÷ (S·d + (n - 1)·{:.3} µs), with a push of {push:.3} µs and \
         {receive:.3} µs to receive, encode and queue for each peer shard.\n\n",
        push + receive
    );
    text += "| fan-out on n shards, over n × one shard | d, µs | 1 | 2 | 4 | 8 | 12 | 64 |\n";
    text += "|---|--:|--:|--:|--:|--:|--:|--:|\n";
    for (line, audience) in [("W=1", 1_000.0), ("W=16", 1_000.0), ("W=16", 100.0), ("W=16", 10.0)] {
        let delivery = cpu(subscribers, line, audience).ok_or_else(|| missing("a fan-out"))?;
        let work = audience * delivery;
        // With fewer subscribers than shards, no more shards than subscribers want the channel.
        let efficiency = |count: f64| work / (work + (count.min(audience) - 1.0) * (push + receive));
        let cells = counts.map(|count| format!("{:.3} |", efficiency(count))).join(" ");
        writeln!(text, "| {line}, S = {audience:.0} subscribers on all shards | {delivery:.3} | {cells}")
            .expect("a String takes everything");
    }
    Ok(text)
}

/// `1.6 M`, `156 k`, `12.5`.
fn quantity(value: f64) -> String {
    match value {
        _ if value >= 1e6 => format!("{:.3} M", value / 1e6),
        _ if value >= 1e4 => format!("{:.1} k", value / 1e3),
        _ if value >= 100.0 => format!("{value:.0}"),
        _ => format!("{value:.1}"),
    }
}

fn bytes(value: f64) -> String {
    match value {
        _ if value >= 1e9 => format!("{:.1} GB", value / 1e9),
        _ if value >= 1e6 => format!("{:.1} MB", value / 1e6),
        _ => format!("{:.0} kB", value / 1e3),
    }
}

fn share(value: f64) -> String {
    if value >= 0.001 { format!("{:.1} %", value * 100.0) } else { format!("{:.3} %", value * 100.0) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::curve::SCHEMA;

    fn curve(name: Name, points: Vec<Point>) -> Curve {
        Curve {
            schema: SCHEMA.to_owned(),
            name,
            rounds: 1,
            seconds: 1.0,
            machine: serde_json::Value::Null,
            commit: None,
            command: String::new(),
            points,
        }
    }

    fn crowd(x: f64) -> Point {
        Point {
            line: "idle".to_owned(),
            x,
            user_bytes: Spread::of([5e6 + 400.0 * x]),
            slab_bytes: Spread::of([10_000.0 * x]),
            cpu_share: Spread::of([0.003 + x / 8.0 * 6e-6]),
            ..Point::default()
        }
    }

    fn cost(line: &str, x: f64, us: f64) -> Point {
        Point { line: line.to_owned(), x, cpu_us: Spread::of([us]), ..Point::default() }
    }

    #[test]
    fn coefficients_are_slopes_and_the_table_multiplies_them() {
        let idle = curve(Name::Idle, vec![crowd(1_000.0), crowd(19_000.0), cost("sweep", 1e5, 50.0)]);
        let costs = Costs::read(&idle).expect("complete");
        let near = |found: f64, expected: f64| assert!((found / expected - 1.0).abs() < 1e-6, "{found} {expected}");
        near(costs.user_bytes, 400.0);
        near(costs.fixed_bytes, 5e6);
        near(costs.kernel_bytes, 5_000.0);
        near(costs.heartbeat_us, 6.0);
        near(costs.look_ns, 0.5);
        let text = connections(&costs);
        assert!(text.contains("| N × 400 B + 64 × 5.0 MB | 360.0 MB | 720.0 MB | 4.3 GB |"), "{text}");
        assert!(text.contains("| N ÷ 8 s | 12.5 k | 125.0 k | 1.250 M |"), "{text}");
        assert!(text.contains("| heartbeats × 6.0 µs ÷ 64 | 0.1 % | 1.2 % | 11.7 % |"), "{text}");
        assert!(limits(&costs).contains("| 102048 | 1002048 | 10002048 |"));
    }

    #[test]
    fn a_curve_without_its_points_is_refused() {
        assert!(Costs::read(&curve(Name::Idle, vec![crowd(1_000.0)])).is_err());
        assert!(Costs::read(&curve(Name::Idle, vec![crowd(1.0), crowd(2.0)])).is_err(), "no sweep");
    }

    #[test]
    fn the_model_of_shards_loses_what_the_mesh_costs() {
        let points = [("W=1", 1e3, 2.0), ("W=16", 1e3, 0.2), ("W=16", 100.0, 0.3), ("W=16", 10.0, 1.0)];
        let fan_out = curve(Name::Subscribers, points.map(|(line, x, us)| cost(line, x, us)).to_vec());
        let push = cost("mesh: push", 1.0, 0.1);
        let mesh = curve(Name::Shards, vec![push, cost("mesh: receive, encode, deliver to one", 1.0, 0.1)]);
        let text = shards(&fan_out, &mesh).expect("complete");
        // 10 µs of work against one peer's 0.2 µs; ten subscribers want it on ten shards at most.
        assert!(text.contains("| W=16, S = 10 subscribers on all shards | 1.000 | 1.000 | 0.980 |"), "{text}");
        assert!(text.lines().last().expect("rows").ends_with("| 0.847 | 0.847 |"), "{text}");
        assert!(shards(&fan_out, &fan_out).is_err());
    }
}
