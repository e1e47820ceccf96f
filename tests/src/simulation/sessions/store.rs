//! The store of a simulated server: does what shards ask in their order, late, and not always. What it has is all that is
//! left after a crash.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use fastrand::Rng;
use shard::{Command, SessionId, StoreFailed, StoreRequest, Stored, Time};

use super::plan::{Plan, StorePlan};

#[derive(Debug)]
struct Asked {
    at: Time,
    /// Which of the shards in its place has asked.
    life: u32,
    request: StoreRequest,
    fails: bool,
}

pub(super) struct Store {
    plan: StorePlan,
    micros: u64,
    random: Rng,
    kept: BTreeMap<SessionId, Vec<u8>>,
    /// By shard, in order.
    queues: Vec<VecDeque<Asked>>,
    fails_until: Time,
    /// There is no room for what is saved; what is there can be read.
    full_until: Time,
    /// Sessions that it could not keep.
    unkept: BTreeSet<SessionId>,
    pub(super) is_calm: bool,
    pub(super) report: StoreReport,
}

/// What it was like to work with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StoreReport {
    /// Requests that it failed to do.
    pub failures: u64,
    /// Of those, because there was no room.
    pub fulls: u64,
    /// Answers that took long.
    pub delays: u64,
    /// Sessions that it has kept after it had not.
    pub recoveries: u64,
}

impl Store {
    pub(super) fn new(plan: &Plan, random: Rng) -> Self {
        Self {
            plan: plan.store,
            micros: plan.store_micros,
            random,
            kept: BTreeMap::new(),
            queues: (0..plan.shards).map(|_| VecDeque::new()).collect(),
            fails_until: Time::ZERO,
            full_until: Time::ZERO,
            unkept: BTreeSet::new(),
            is_calm: false,
            report: StoreReport::default(),
        }
    }

    /// Takes a request; when its answer is to be fetched.
    pub(super) fn ask(&mut self, now: Time, (shard, life): (usize, u32), request: StoreRequest) -> Time {
        let is_moody = self.plan == StorePlan::Moody && !self.is_calm;
        if is_moody && self.random.u8(..30) == 0 {
            self.fails_until = now + Duration::from_micros(self.random.u64(..300_000));
        }
        if is_moody && self.random.u8(..40) == 0 {
            self.full_until = now + Duration::from_micros(self.random.u64(..500_000));
        }
        let is_full = is_moody && self.full_until > now && matches!(request, StoreRequest::Save { .. });
        self.report.fulls += u64::from(is_full);
        let fails = is_full || is_moody && (self.fails_until > now || self.random.u8(..20) == 0);
        let most = if self.random.u8(..5) == 0 { self.micros } else { self.micros / 10 };
        let at = now + Duration::from_micros(self.random.u64(1..=most.max(1)));
        let queue = &mut self.queues[shard];
        let at = queue.back().map_or(at, |last| at.max(last.at));
        self.report.delays += u64::from(at.since(now) > SLOW);
        queue.push_back(Asked { at, life, request, fails });
        at
    }

    /// What it has to say to a shard by now.
    pub(super) fn answers(&mut self, now: Time, shard: usize, life: u32) -> Vec<Command> {
        let mut answers = Vec::new();
        while self.queues[shard].front().is_some_and(|asked| asked.at <= now) {
            let asked = self.queues[shard].pop_front().expect("it was just seen");
            self.report.failures += u64::from(asked.fails);
            // What a shard has asked that has died is done, and nobody hears of it.
            let is_awaited = asked.life == life;
            answers.extend(self.carry_out(asked).filter(|_| is_awaited));
        }
        answers
    }

    /// Everything else is gone; of what was under way some has still been done.
    pub(super) fn crash(&mut self, shards: usize) {
        for shard in 0..self.queues.len() {
            let done = self.random.usize(..=self.queues[shard].len());
            for _ in 0..done {
                let asked = self.queues[shard].pop_front().expect("no more than there are");
                let _ = self.carry_out(asked);
            }
        }
        self.queues = (0..shards).map(|_| VecDeque::new()).collect();
    }

    fn carry_out(&mut self, asked: Asked) -> Option<Command> {
        let failed = asked.fails.then_some(StoreFailed);
        match asked.request {
            StoreRequest::Load { session } => {
                let outcome = failed.map_or_else(|| Ok(self.kept.get(&session).cloned()), Err);
                Some(Command::SessionLoaded { session, outcome })
            }
            StoreRequest::Save { session, version, bytes, retires, .. } => {
                if asked.fails {
                    self.unkept.insert(session);
                } else {
                    self.report.recoveries += u64::from(self.unkept.remove(&session));
                    self.kept.insert(session, bytes);
                    self.kept.extend(retires.into_iter().map(|retired| (retired, Stored::Retired.encode())));
                }
                let outcome = failed.map_or(Ok(()), Err);
                Some(Command::SessionSaved { session, version, outcome })
            }
            StoreRequest::Remove { session } => {
                self.kept.remove(&session);
                None
            }
        }
    }
}

/// An answer that takes longer is a slow one.
const SLOW: Duration = Duration::from_millis(20);
