//! What a row leaves behind at a server that can be looked at: what it has counted, the memory that it took at most, the
//! descriptors that did not come back. The table of counters is for our server; any other is watched without it.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde_json::Value;

use super::case::{Outcome, Verdict, Wanted};
use super::wire::Wire;
use crate::process::{self, Memory};

/// What one row may take of the server's memory at its height, besides what it had: a flooded shard's arenas and receive
/// buffers are some 40 MiB, and what stands in the outboxes of those who do not read comes on top.
const GROWTH_BYTES_MAX: u64 = 64 << 20;
/// How long descriptors and counters may take: the server posts its counters ten times a second, and ends what a row has
/// left by its time-outs.
const PATIENCE: Duration = Duration::from_secs(5);
/// Between two looks.
const PAUSE: Duration = Duration::from_millis(10);

/// Where to look.
#[derive(Clone, Debug, Default)]
pub(super) struct Watch {
    /// The server's admin listener.
    pub(super) admin: Option<SocketAddr>,
    /// Its process.
    pub(super) pid: Option<u32>,
}

/// What was there at one moment.
#[derive(Debug)]
pub(super) struct Sight {
    at: SystemTime,
    counters: BTreeMap<String, u64>,
    memory: Memory,
}

/// What became of it by the end of a row.
#[derive(Clone, Debug)]
pub(super) struct Trace {
    /// When the row began and ended, in milliseconds of Unix time: as far as a log's stamps can be compared with it.
    pub(super) span_ms: [u128; 2],
    /// What was counted meanwhile, the bystander's calls included.
    pub(super) counted: BTreeMap<String, u64>,
    /// By how much memory grew at the row's height.
    pub(super) growth_bytes: Option<u64>,
    /// Descriptors that were not there before.
    pub(super) descriptors: Option<u64>,
}

impl Watch {
    /// Whether there is anything to look at.
    pub(super) const fn can_look(&self) -> bool {
        self.admin.is_some() || self.pid.is_some()
    }

    /// Looks before a row.
    pub(super) fn before(&self) -> io::Result<Sight> {
        if let Some(pid) = self.pid {
            process::forget_peak(pid);
        }
        // In this order: the look at the counters is a connection itself.
        let memory = Memory::read(self.pid);
        Ok(Sight { at: SystemTime::now(), counters: self.counters()?, memory })
    }

    /// Looks after a row, when the server has had the time to count and to let go.
    pub(super) fn after(&self, row: &str, before: &Sight) -> io::Result<Trace> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let memory = Memory::read(self.pid);
            let counted = grown(&before.counters, &self.counters()?);
            let left = memory.descriptors.zip(before.memory.descriptors).map(|(now, then)| now.saturating_sub(then));
            let is_counted = self.admin.is_none() || is_marked(row, &counted).is_some();
            if (is_counted && left.is_none_or(|left| left == 0)) || Instant::now() >= deadline {
                let peak = self.pid.and_then(process::peak).zip(before.memory.resident);
                return Ok(Trace {
                    span_ms: [before.at, SystemTime::now()].map(millis),
                    counted,
                    growth_bytes: peak.map(|(peak, resident)| peak.saturating_sub(resident)),
                    descriptors: left,
                });
            }
            std::thread::sleep(PAUSE);
        }
    }

    fn counters(&self) -> io::Result<BTreeMap<String, u64>> {
        let Some(admin) = self.admin else { return Ok(BTreeMap::new()) };
        let mut wire = Wire::connect(admin, PATIENCE)?;
        wire.send(format!("GET /stats.json HTTP/1.1\r\nHost: {admin}\r\nConnection: close\r\n\r\n").as_bytes())?;
        let problem = |what: &str| io::Error::other(format!("the admin listener {admin} {what}"));
        let answer = wire.answer()?.map_err(|_| problem("does not answer"))?;
        if answer.status != 200 {
            return Err(problem(&format!("answers {}", answer.status)));
        }
        let stats: Value = serde_json::from_slice(&answer.body).map_err(|_| problem("gives no JSON"))?;
        let total = stats["total"].as_object().ok_or_else(|| problem("gives no counters"))?;
        Ok(total.iter().filter_map(|(name, value)| Some((name.clone(), value.as_u64()?))).collect())
    }
}

impl Trace {
    /// The verdicts on it.
    pub(super) fn outcomes(&self, row: &'static str) -> Vec<Outcome> {
        let outcome = |input: &str, wanted: Wanted, seen: String, is_good: bool| Outcome {
            row,
            input: input.to_owned(),
            wanted,
            seen,
            verdict: if is_good { Verdict::Ok } else { Verdict::Failed },
            elapsed: Duration::ZERO,
        };
        let mut outcomes = Vec::new();
        if !self.counted.is_empty() {
            let found = is_marked(row, &self.counted);
            let seen = found.map_or_else(|| "nothing of it".to_owned(), |(mark, count)| format!("{mark} {count}"));
            outcomes.push(outcome("what is counted", Wanted::Counted(marks(row)), seen, found.is_some()));
        }
        if let Some(bytes) = self.growth_bytes {
            let seen = format!("{} KiB more", bytes >> 10);
            outcomes.push(outcome("memory at its height", Wanted::Bounded, seen, bytes <= GROWTH_BYTES_MAX));
        }
        if let Some(left) = self.descriptors {
            outcomes.push(outcome("descriptors afterwards", Wanted::Returned, format!("{left} more"), left == 0));
        }
        outcomes
    }
}

/// What has become more.
fn grown(before: &BTreeMap<String, u64>, now: &BTreeMap<String, u64>) -> BTreeMap<String, u64> {
    let more = |(name, value): (&String, &u64)| {
        let more = value.saturating_sub(before.get(name).copied().unwrap_or(0));
        (more > 0).then(|| (name.clone(), more))
    };
    now.iter().filter_map(more).collect()
}

fn millis(time: SystemTime) -> u128 {
    time.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis())
}

/// The counter by which a row shows, and by how much it has grown.
fn is_marked(row: &str, counted: &BTreeMap<String, u64>) -> Option<(&'static str, u64)> {
    marks(row)
        .iter()
        .find_map(|(mark, least)| Some((*mark, counted.get(*mark).copied().filter(|count| count >= least)?)))
}

/// The counters by which our server shows a row: one of them must have grown by that much at least.
fn marks(row: &str) -> &'static [Mark] {
    let is_known = |(rows, _): &&(&[&str], &[Mark])| rows.contains(&row);
    MARKS.iter().find(is_known).map_or(&[], |(_, marks)| marks)
}

/// A counter and how much of it is a row's.
pub(super) type Mark = (&'static str, u64);

/// Rows that are served show by the number of what is served, beside what the bystanders and the looks themselves cause.
const MARKS: &[(&[&str], &[Mark])] = &[
    (&["A1", "A2", "A4"], &[("timeouts", 1)]),
    (&["A3"], &[("connections_idle", 64)]),
    (&["A5", "A7", "A8", "A9", "A11", "A12", "A13", "A14", "A55"], &[("protocol_errors", 1)]),
    (&["A15", "A16", "A17", "A18", "A19", "A20", "A21", "A22", "A23", "A24", "A25"], &[("protocol_errors", 1)]),
    (&["A27", "A28"], &[("protocol_errors", 1)]),
    (&["A6", "A10", "A45", "A64"], &[("requests", 2)]),
    (&["A26"], &[("messages", 10_000)]),
    (&["A30", "A31"], &[("messages_unknown", 1)]),
    (&["A32", "A33", "A34"], &[("calls_refused", 1)]),
    (&["A35"], &[("subscriptions_refused", 1)]),
    (&["A36"], &[("publications", 1_000)]),
    (&["A38"], &[("slow_consumers", 1), ("timeouts", 1)]),
    (&["A39"], &[("messages", 1_000)]),
    (&["A41"], &[("origins_refused", 1)]),
    (&["A43", "A50"], &[("requests_refused", 1)]),
    (&["A44"], &[("cookies_refused", 1)]),
    (&["A46"], &[("polls_refused", 1), ("protocol_errors", 1)]),
    (&["A47"], &[("tokens_refused", 1)]),
    (&["A53"], &[("accepted", 200)]),
    (&["A54"], &[("tls_failures", 1)]),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attack::rows;

    #[test]
    fn every_row_shows_by_some_counter() {
        for (row, _) in rows::TITLES {
            assert!(!marks(row).is_empty(), "{row}");
        }
        let rows = MARKS.iter().flat_map(|(rows, _)| *rows);
        assert_eq!(rows.count(), rows::TITLES.len(), "each is there once");
    }

    #[test]
    fn a_row_is_judged_by_what_it_leaves() {
        let trace = |counter: &str, growth_bytes, left| Trace {
            span_ms: [0, 1],
            counted: BTreeMap::from([(counter.to_owned(), 3), ("messages".to_owned(), 50)]),
            growth_bytes: Some(growth_bytes),
            descriptors: Some(left),
        };
        let verdicts = |trace: Trace| Vec::from_iter(trace.outcomes("A9").iter().map(|one| one.verdict));
        assert_eq!(verdicts(trace("protocol_errors", 1 << 20, 0)), [Verdict::Ok; 3]);
        assert_eq!(verdicts(trace("timeouts", 65 << 20, 1)), [Verdict::Failed; 3]);
        let unseen = Trace { growth_bytes: None, descriptors: None, ..trace("protocol_errors", 0, 0) };
        assert_eq!(verdicts(unseen).len(), 1, "what cannot be looked at is not judged");
    }
}
