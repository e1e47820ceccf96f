//! The CPUs of the shards: whether they share cores, clock down, straddle memory nodes, or one of them serves the network
//! card alone.

use super::finding::{Finding, Level};
use super::machine::{Machine, Unreadable};
use crate::config::cpus;

/// `shards` are the CPUs of the shards, in their order.
pub(super) fn findings(machine: &Machine, shards: &[usize]) -> Vec<Finding> {
    let mut distinct = shards.to_vec();
    distinct.sort_unstable();
    distinct.dedup();
    vec![
        sharing(shards, &distinct),
        siblings(machine, &distinct),
        governor(machine, &distinct),
        nodes(machine, &distinct),
        interrupts(machine, &distinct).unwrap_or_else(|error| Finding::unknown("interrupts", &error)),
    ]
}

fn sharing(shards: &[usize], distinct: &[usize]) -> Finding {
    const SUBJECT: &str = "shards";
    let found = format!("{} on CPUs {}", shards.len(), cpus::format(distinct));
    if distinct.len() == shards.len() {
        return Finding::ok(SUBJECT, found);
    }
    Finding::new(
        Level::Warning,
        SUBJECT,
        found,
        "shards that share a CPU take turns, which costs latency and gains nothing",
    )
    .change(format!("--shards {}", distinct.len()))
}

fn siblings(machine: &Machine, distinct: &[usize]) -> Finding {
    const SUBJECT: &str = "siblings";
    let mut cores: Vec<usize> = Vec::new();
    let mut first_of_each = Vec::new();
    for cpu in distinct {
        let path = format!("sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list");
        let siblings = match machine.list(&path) {
            Ok(siblings) => siblings,
            Err(error) => return Finding::unknown(SUBJECT, &error),
        };
        if !cores.contains(&siblings[0]) {
            cores.push(siblings[0]);
            first_of_each.push(*cpu);
        }
    }
    if cores.len() == distinct.len() {
        return Finding::ok(SUBJECT, "no two shards share a core");
    }
    let found = format!("{} CPUs are {} cores with sibling threads", distinct.len(), cores.len());
    let why =
        "siblings share one core's execution units: two shards there do less than two cores' work, with more jitter";
    Finding::new(Level::Warning, SUBJECT, found, why).change(format!(
        "--cpus {} (compare both: how much a sibling adds depends on the load)",
        cpus::format(&first_of_each)
    ))
}

fn governor(machine: &Machine, distinct: &[usize]) -> Finding {
    const SUBJECT: &str = "governor";
    if distinct.iter().all(|cpu| !machine.has(&format!("sys/devices/system/cpu/cpu{cpu}/cpufreq"))) {
        return Finding::ok(SUBJECT, "no frequency scaling to see here: a virtual machine leaves it to its host");
    }
    let mut slow = Vec::new();
    for cpu in distinct {
        match machine.text(&format!("sys/devices/system/cpu/cpu{cpu}/cpufreq/scaling_governor")) {
            Ok(governor) if governor == "performance" => {}
            Ok(governor) => slow.push((*cpu, governor)),
            Err(error) => return Finding::unknown(SUBJECT, &error),
        }
    }
    let Some((_, governor)) = slow.first() else { return Finding::ok(SUBJECT, "performance") };
    let list = cpus::format(&slow.iter().map(|(cpu, _)| *cpu).collect::<Vec<_>>());
    let why = "a CPU that clocks down between messages answers the next one late";
    Finding::new(Level::Warning, SUBJECT, format!("{governor} on CPUs {list}"), why)
        .change(format!("cpupower -c {list} frequency-set -g performance"))
}

fn nodes(machine: &Machine, distinct: &[usize]) -> Finding {
    const SUBJECT: &str = "numa";
    let nodes = match machine.list("sys/devices/system/node/online") {
        Ok(nodes) => nodes,
        Err(error) => return Finding::unknown(SUBJECT, &error),
    };
    if nodes.len() == 1 {
        return Finding::ok(SUBJECT, "one memory node");
    }
    let mut used = Vec::new();
    for node in nodes {
        match machine.list(&format!("sys/devices/system/node/node{node}/cpulist")) {
            Ok(list) if list.iter().any(|cpu| distinct.contains(cpu)) => used.push((node, cpus::format(&list))),
            Ok(_) => {}
            Err(error) => return Finding::unknown(SUBJECT, &error),
        }
    }
    let [first, _, ..] = &used[..] else { return Finding::ok(SUBJECT, "all shards on one memory node") };
    let why = "lanes between shards and the network card's memory then cross the nodes' link";
    Finding::new(Level::Note, SUBJECT, format!("shards on {} memory nodes", used.len()), why)
        .change(format!("one server per node, such as --cpus {}", first.1))
}

/// Which CPUs serve the interrupts of network cards. Loopback has none.
fn interrupts(machine: &Machine, distinct: &[usize]) -> Result<Finding, Unreadable> {
    const SUBJECT: &str = "interrupts";
    let table = machine.text("proc/interrupts")?;
    let columns: Vec<usize> = table
        .lines()
        .next()
        .unwrap_or_default()
        .split_whitespace()
        .filter_map(|name| name.strip_prefix("CPU")?.parse().ok())
        .collect();
    let mut per_cpu = vec![0_u64; columns.len()];
    let mut cards = Vec::new();
    for card in machine.names("sys/class/net")? {
        let numbers = interrupt_numbers(machine, &card);
        for line in table.lines().skip(1) {
            let Some((number, rest)) = line.trim_start().split_once(':') else { continue };
            if numbers.iter().any(|wanted| wanted == number) {
                let counts = rest.split_whitespace().map_while(|count| count.parse::<u64>().ok());
                per_cpu.iter_mut().zip(counts).for_each(|(sum, count)| *sum += count);
            }
        }
        if !numbers.is_empty() {
            cards.push(card);
        }
    }
    let total: u64 = per_cpu.iter().sum();
    if cards.is_empty() || total < INTERRUPTS_ENOUGH {
        return Ok(Finding::new(
            Level::Note,
            SUBJECT,
            format!("unknown: network cards have caused {total} interrupts here"),
            "too few to see how they spread; ask again under load",
        ));
    }
    let busiest = (0..per_cpu.len()).max_by_key(|index| per_cpu[*index]).expect("a total above zero has a column");
    let (cpu, share) = (columns[busiest], per_cpu[busiest] * 100 / total);
    let steered = cards.iter().any(|card| is_steered(machine, card));
    let found = format!("CPU {cpu} serves {share} % of the interrupts of {}", cards.join(", "));
    if share < SHARE_MAX || distinct.len() == 1 || steered {
        return Ok(Finding::ok(SUBJECT, found));
    }
    let card = &cards[0];
    let why = "its shard gets less of it than the others, and every packet for them takes a detour";
    let (count, last) = (distinct.len(), distinct.last().copied().unwrap_or(0));
    // One bit for each CPU up to the last; the kernel ignores those beyond its own.
    let mask =
        if last < 63 { format!("{:x}", (1_u64 << (last + 1)) - 1) } else { "a mask of the shards' CPUs".to_owned() };
    Ok(Finding::new(Level::Warning, SUBJECT, found, why).change(format!(
        "ethtool -L {card} combined {count}, with irqbalance or smp_affinity one queue to each CPU; for a card of one queue \
         echo {mask} > /sys/class/net/{card}/queues/rx-0/rps_cpus"
    )))
}

/// A card's interrupts; a virtio card's belong to the device above it. Virtual interfaces have none.
fn interrupt_numbers(machine: &Machine, card: &str) -> Vec<String> {
    let folders = ["device/msi_irqs", "device/../msi_irqs"];
    folders.iter().find_map(|folder| machine.names(&format!("sys/class/net/{card}/{folder}")).ok()).unwrap_or_default()
}

/// Whether the kernel spreads a card's packets in software (RPS).
fn is_steered(machine: &Machine, card: &str) -> bool {
    let mask = machine.text(&format!("sys/class/net/{card}/queues/rx-0/rps_cpus"));
    mask.is_ok_and(|mask| mask.chars().any(|digit| !matches!(digit, '0' | ',')))
}

/// Below this the counts are those of starting up and of somebody's shell.
const INTERRUPTS_ENOUGH: u64 = 100_000;
/// Per cent of one CPU: with two CPUs of a fair spread it is 50.
const SHARE_MAX: u64 = 80;
