//! What a row leaves behind at a server that can be looked at: what it has counted, the memory that it took at most, the
//! CPU time where that is what a row is after, the descriptors that did not come back.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde_json::Value;

use super::case::{Outcome, Verdict, Wanted};
use super::mark::Marks;
use super::wire::Wire;
use crate::process::{self, CpuTime, Memory};

/// What one row may take of the server's memory at its height, besides what it had: a flooded shard's arenas and receive
/// buffers are some 40 MiB, and what stands in the outboxes of those who do not read comes on top.
const GROWTH_BYTES_MAX: u64 = 64 << 20;
/// What a row may take of the server's CPU time, all threads together and the bystander's calls included, where its input
/// is made to cost more than its length. A6: 50 heads of 15,000 blanks. In linear time they and their connections are some
/// 10 ms; a search that begins again at each blank takes 50 times 112 million steps.
const CPU_MAX: &[(&str, Duration)] = &[("A6", Duration::from_millis(500))];
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
    cpu: Option<CpuTime>,
}

/// What became of it by the end of a row.
#[derive(Clone, Debug)]
pub(super) struct Trace {
    /// When the row began and ended, in milliseconds of Unix time: as far as a log's stamps can be compared with it.
    pub(super) span_ms: [u128; 2],
    /// What was counted meanwhile, the bystander's calls included and our own looks not.
    pub(super) counted: BTreeMap<String, u64>,
    /// By how much memory grew at the row's height.
    pub(super) growth_bytes: Option<u64>,
    /// CPU time that was used meanwhile.
    pub(super) cpu: Option<Duration>,
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
        let (memory, at) = (Memory::read(self.pid), SystemTime::now());
        Ok(Sight { at, counters: self.counters()?, memory, cpu: self.cpu() })
    }

    /// Looks after a row, when the server has had the time to count and to let go.
    pub(super) fn after(&self, row: &str, before: &Sight) -> io::Result<Trace> {
        let deadline = Instant::now() + PATIENCE;
        let cpu = self.cpu().zip(before.cpu.as_ref()).map(|(now, then)| now.since(then).total_ns);
        // The one before is counted after it was answered.
        let mut looks = 1;
        loop {
            let memory = Memory::read(self.pid);
            looks += 1;
            let counted = grown(&before.counters, &self.counters()?, looks);
            let left = memory.descriptors.zip(before.memory.descriptors).map(|(now, then)| now.saturating_sub(then));
            let is_counted = self.admin.is_none() || Marks::of(row).show(&counted);
            if (is_counted && left.is_none_or(|left| left == 0)) || Instant::now() >= deadline {
                let peak = self.pid.and_then(process::peak).zip(before.memory.resident);
                return Ok(Trace {
                    span_ms: [before.at, SystemTime::now()].map(millis),
                    counted,
                    cpu: cpu.map(Duration::from_nanos),
                    growth_bytes: peak.map(|(peak, resident)| peak.saturating_sub(resident)),
                    descriptors: left,
                });
            }
            std::thread::sleep(PAUSE);
        }
    }

    fn cpu(&self) -> Option<CpuTime> {
        CpuTime::read(self.pid?, None)
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
            let marks = Marks::of(row);
            let seen = marks.describe(&self.counted);
            outcomes.push(outcome("what is counted", Wanted::Counted(marks), seen, marks.show(&self.counted)));
        }
        let cpu_max = CPU_MAX.iter().find(|(known, _)| *known == row);
        if let Some((used, (_, most))) = self.cpu.zip(cpu_max) {
            let seen = format!("{} ms", used.as_millis());
            outcomes.push(outcome("CPU time", Wanted::Bounded, seen, used <= *most));
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

/// What has become more, beside so many looks of ours: each is a connection and a request.
fn grown(before: &BTreeMap<String, u64>, now: &BTreeMap<String, u64>, looks: u64) -> BTreeMap<String, u64> {
    let more = |(name, value): (&String, &u64)| {
        let own = if matches!(name.as_str(), "accepted" | "requests") { looks } else { 0 };
        let more = value.saturating_sub(before.get(name).copied().unwrap_or(0)).saturating_sub(own);
        (more > 0).then(|| (name.clone(), more))
    };
    now.iter().filter_map(more).collect()
}

fn millis(time: SystemTime) -> u128 {
    time.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_judged_by_what_it_leaves() {
        let trace = |counter: &str, growth_bytes, left| Trace {
            span_ms: [0, 1],
            counted: BTreeMap::from([(counter.to_owned(), 3), ("messages".to_owned(), 50)]),
            cpu: Some(Duration::from_secs(9)),
            growth_bytes: Some(growth_bytes),
            descriptors: Some(left),
        };
        let verdicts = |trace: Trace| Vec::from_iter(trace.outcomes("A9").iter().map(|one| one.verdict));
        assert_eq!(verdicts(trace("protocol_errors", 1 << 20, 0)), [Verdict::Ok; 3]);
        assert_eq!(verdicts(trace("timeouts", 65 << 20, 1)), [Verdict::Failed; 3]);
        let unseen = Trace { growth_bytes: None, descriptors: None, ..trace("protocol_errors", 0, 0) };
        assert_eq!(verdicts(unseen).len(), 1, "what cannot be looked at is not judged");
    }

    #[test]
    fn looks_are_not_what_a_row_is_shown_by_and_time_is_where_a_row_is_after_it() {
        let counters = |requests| BTreeMap::from([("requests".to_owned(), requests), ("calls".to_owned(), requests)]);
        let counted = grown(&counters(5), &counters(58), 4);
        assert_eq!((counted["requests"], counted["calls"]), (49, 53));
        let trace = |counted, millis| Trace {
            span_ms: [0, 1],
            counted,
            cpu: Some(Duration::from_millis(millis)),
            growth_bytes: None,
            descriptors: None,
        };
        let verdicts = |trace: Trace| Vec::from_iter(trace.outcomes("A6").iter().map(|one| one.verdict));
        assert_eq!(verdicts(trace(counted, 501)), [Verdict::Failed; 2]);
        assert_eq!(verdicts(trace(counters(50), 500)), [Verdict::Ok; 2]);
    }
}
