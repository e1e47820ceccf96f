//! What `start --help-tuning` says: the flags that measurement showed to matter to speed and latency, what each trades
//! and when to change it. Names, defaults and ranges are the command line's own; nothing is said here that was not
//! measured, or that does not say that it was not.

use std::fmt::Write as _;

use super::arguments;

/// A flag that is worth turning.
#[derive(Debug)]
pub(super) struct Knob {
    /// Its long name, without the dashes.
    pub(super) flag: &'static str,
    /// What its value counts.
    pub(super) unit: &'static str,
    /// What it buys, and with what; with figures where there are some.
    pub(super) trades: &'static str,
    /// When to change it, and in which direction.
    pub(super) change: &'static str,
}

/// All knobs, the most worthwhile first.
pub(super) const KNOBS: &[Knob] = &[
    Knob {
        flag: "shards",
        unit: "threads, one per CPU",
        trades: "throughput against CPUs for others. A shard is one thread; more of them than CPUs take turns and gain \
                 nothing.",
        change: "Leave a CPU free for a proxy, a database or the network card's interrupts where they run on the same \
                 machine; under a quota of CPU time take no more shards than whole CPUs.",
    },
    Knob {
        flag: "cpus",
        unit: "CPU numbers",
        trades: "nearness against independence: shards on sibling threads share a core, shards on two memory nodes a link.",
        change: "socketshard doctor says where shards share a core or straddle nodes, and which list avoids it.",
    },
    Knob {
        flag: "tick",
        unit: "time",
        trades: "the fineness of time-outs and heartbeats against wake-ups of an idle shard: 20 a second at 50ms are \
                 about 0.3 % of a CPU, 50 a second at 20ms about 0.6 %.",
        change: "Lower it only for time-outs below a second that must be kept closely.",
    },
    Knob {
        flag: "spin-us",
        unit: "microseconds",
        trades: "CPU against latency: before it sleeps, a shard looks at its ring and its doorbell for that long, and \
                 is not woken by the kernel for what comes meanwhile. At 0, 50 and 200 the calls of one connection took \
                 73, 26 and 30 us at the median, and 15,000 calls a second over 200 connections 118, 103 and 60 us, for \
                 38, 70 and 99 % of a CPU.",
        change: "Raise it where every shard has a CPU of its own and latency matters at low load. At full load it \
                 changes nothing, because a busy shard never sleeps.",
    },
    Knob {
        flag: "backlog",
        unit: "connections, per listener",
        trades: "some memory of the kernel's against refused crowds: it keeps who has connected until a pass accepts them.",
        change: "Raise it together with net.core.somaxconn, which cuts it, where crowds reconnect at once.",
    },
    Knob {
        flag: "ring-entries",
        unit: "operations",
        trades: "system calls against memory: a full queue is submitted in the middle of a pass. One operation is 64 \
                 bytes, and the completion queue has four times as many of 16 bytes: 512 KiB per shard at 4096.",
        change: "Raise it when the metrics (SIGUSR1) count submission_overflows or completion_overflows, as with \
                 channels of more subscribers on a shard than entries.",
    },
    Knob {
        flag: "receive-buffers",
        unit: "buffers of a shard",
        trades: "memory against stalls: a receive that finds no buffer waits for the next pass. In 4 to 8 MiB, between \
                 128 and 1024 buffers made no difference beyond the noise for small messages; with 1,000 connections \
                 that always ask, 128 were too few for at most one receive in 1,000.",
        change: "Raise it when the metrics count buffers_exhausted or the log warns of it: no fewer buffers than \
                 connections that have something to say in the same pass.",
    },
    Knob {
        flag: "receive-buffer-bytes",
        unit: "bytes",
        trades: "memory against system work for large messages: a burst that does not fit one buffer is several \
                 receives. Runs of sixteen calls of 1 KiB took 1.22 us of CPU per call with 32KiB, 1.34 with 16KiB \
                 (equal within the noise) and 1.57 with 4KiB.",
        change: "Raise it for clients that send bursts above its size; halve it and double --receive-buffers for many \
                 clients with small messages.",
    },
    Knob {
        flag: "direct-descriptors",
        unit: "connections of a shard",
        trades: "a limit of open files that holds for each shard instead of for all together, against some percent of \
                 CPU, and memory for the table.",
        change: "Set it where more connections than the limit are wanted and the limit cannot be raised.",
    },
    Knob {
        flag: "sends-per-pass",
        unit: "sends of a shard",
        trades: "latency of everybody against throughput of huge channels: subscribers beyond it wait for the next pass, \
                 and between two passes others are heard and answered. 256 sends were 1.0 to 1.5 ms of the \
                 kernel's time; 512 cost no less CPU.",
        change: "Raise it where a shard serves one huge channel and nothing else; lower it where calls must not wait a \
                 millisecond behind publications. The metrics count turns_continued.",
    },
    Knob {
        flag: "outbox-high-water-mark",
        unit: "bytes, per connection",
        trades: "bursts against memory: above it the server does not read from the connection whose answers pile up.",
        change: "Raise it for clients that call much and read in bursts; the metrics count pauses.",
    },
    Knob {
        flag: "outbox-bytes-max",
        unit: "bytes, per connection",
        trades: "patience with slow consumers against memory: every connection may make the server hold this much, on \
                 top of what the kernel holds (net.ipv4.tcp_wmem).",
        change: "Raise it for bursts of publications to slow networks; lower it where many slow ones come together.",
    },
    Knob {
        flag: "lane-capacity",
        unit: "batches, per pair of shards",
        trades: "memory against waiting between shards. A batch carries everything that a pass has for a peer, so a few \
                 are enough for any throughput.",
        change: "Raise it only when the metrics count lanes_full.",
    },
    Knob {
        flag: "lane-high-water-mark",
        unit: "bytes, per pair of shards",
        trades: "bursts against memory: above it the publishers of this shard are not read. Nothing is lost.",
        change: "Raise it for bursts of large publications across shards.",
    },
    Knob {
        flag: "max-batch",
        unit: "packets of one message",
        trades: "efficient clients against fairness: a shard works through a whole message before it turns to the next \
                 connection, at some hundred nanoseconds a packet.",
        change: "Lower it where clients are not trusted to leave time for others.",
    },
    Knob {
        flag: "drain-batch",
        unit: "connections per pass",
        trades: "a quick end against smooth service of those that are still there while a server stops.",
        change: "Raise it when a server with very many connections does not finish within --drain.",
    },
];

/// The text.
pub(super) fn text() -> String {
    let command = arguments::command();
    let start = command.find_subcommand("start").expect("the command line has a start");
    let mut text = String::from(INTRODUCTION);
    for knob in KNOBS {
        let flag = start.get_arguments().find(|argument| argument.get_long() == Some(knob.flag));
        let flag = flag.expect("a test looks every knob up");
        let default = match flag.get_default_values().first() {
            Some(value) => value.to_string_lossy().into_owned(),
            None => "all allowed".to_owned(),
        };
        write!(text, "\n--{} (default {default}; {})\n", knob.flag, knob.unit).expect("text");
        text.push_str(&wrap(&format!("Trades {}", knob.trades)));
        text.push_str(&wrap(knob.change));
    }
    text.push_str(END);
    text
}

/// Breaks a paragraph into lines, indented.
fn wrap(paragraph: &str) -> String {
    let mut text = String::new();
    let mut line = String::new();
    for word in paragraph.split_whitespace() {
        if !line.is_empty() && line.len() + word.len() + 1 > COLUMNS - INDENT.len() {
            text.push_str(&format!("{INDENT}{line}\n"));
            line.clear();
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    if !line.is_empty() {
        text.push_str(&format!("{INDENT}{line}\n"));
    }
    text
}

const INTRODUCTION: &str = "\
What to tune, the most worthwhile first. The defaults are those that measured best on the whole:
change one at a time, and compare the CPU per message before and after in one sitting, which
socketshard-loadgen says. What to change about the machine is said by: socketshard doctor
";

const END: &str = "
How it was measured, and all figures: core/docs/performance.md. Every other flag, with its range and
when to change it: socketshard start --help
";

const INDENT: &str = "    ";
const COLUMNS: usize = 100;

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_knob_is_a_flag_and_every_flag_of_speed_is_a_knob() {
        let command = arguments::command();
        let start = command.find_subcommand("start").expect("the command line has a start");
        let flags: BTreeSet<_> = start.get_arguments().filter_map(clap::Arg::get_long).collect();
        let knobs: BTreeSet<_> = KNOBS.iter().map(|knob| knob.flag).collect();
        assert_eq!(knobs.len(), KNOBS.len(), "no knob is described twice");
        assert_eq!(knobs.difference(&flags).next(), None, "every knob is a flag");
        let speed = ["ring", "tick", "receive", "backlog", "spin", "outbox", "lane", "batch", "direct"];
        let of_speed = flags.into_iter().filter(|flag| speed.iter().any(|part| flag.contains(part)));
        let of_speed = of_speed.filter(|flag| !flag.contains("redirect"));
        let missing: Vec<_> = of_speed.filter(|flag| !knobs.contains(flag)).collect();
        assert_eq!(missing, [""; 0], "every flag of speed is described");
    }

    #[test]
    fn the_text_has_every_default_and_fits_into_100_columns() {
        let text = text();
        assert!(text.lines().all(|line| line.chars().count() <= 100), "{text}");
        for (flag, default) in [("tick", "50ms"), ("ring-entries", "4096"), ("spin-us", "0"), ("cpus", "all allowed")] {
            assert!(text.contains(&format!("\n--{flag} (default {default}; ")), "{text}");
        }
    }

    #[test]
    fn a_paragraph_is_broken_between_words_and_loses_none() {
        let paragraph = "word ".repeat(60);
        let lines = wrap(&paragraph);
        assert_eq!(lines.split_whitespace().count(), 60);
        assert!(lines.lines().all(|line| line.starts_with(INDENT) && line.len() <= COLUMNS), "{lines}");
    }
}
