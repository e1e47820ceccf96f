//! Sessions and time: what nobody uses is given back or forgotten, values end, what the store refused is tried again. No
//! timer per session: every tick looks at a few slots.

use super::copy::{Session, Stage, Writer, seconds};
use super::{Operation, StoreRequest};
use crate::Time;
use crate::shard::Shard;

/// Slots that every tick looks at, at least, and the part of all: a round takes no longer than 200 ticks, ten seconds.
const SLOTS_MIN: usize = 256;
const ROUND_TICKS: usize = 200;

/// How coarsely use is noted, in seconds, for a session that lives so many milliseconds unused: a twenty-fourth of it, at
/// most an hour. A save of a session in use is no more frequent than that.
pub(crate) fn touch_seconds(lifetime_millis: u64) -> u32 {
    u32::try_from((lifetime_millis / 24_000).clamp(1, 3_600)).expect("at most an hour")
}

/// What is to become of a session.
enum Fate {
    Stays,
    /// The copy goes back.
    Released,
    /// It leaves the memory; the store has it, or there is nothing to have.
    Forgotten,
    /// Its time is over.
    Expired,
}

impl Shard {
    /// Time has passed.
    pub(crate) fn sweep_sessions(&mut self) {
        let slots = self.sessions.slots();
        for _ in 0..(slots / ROUND_TICKS).max(SLOTS_MIN).min(slots) {
            let slot = self.session_work.sweep_cursor % slots;
            self.session_work.sweep_cursor = slot + 1;
            let slot = u32::try_from(slot).expect("sessions are bounded far below 2^32");
            if let Some(session) = self.sessions.find(slot) {
                self.sweep_session(&session);
            }
        }
        self.sessions.forget_retired();
    }

    fn sweep_session(&mut self, session: &Session) {
        self.drop_lost_openers(session);
        self.end_values(session);
        match self.fate(session) {
            Fate::Stays => self.touch(session),
            Fate::Released => self.release_copy(session),
            Fate::Forgotten => self.sessions.remove(session),
            Fate::Expired => {
                self.metrics.sessions_expired += 1;
                let (id, is_stored) = {
                    let state = session.state();
                    (state.id, state.version > 0 && self.sessions.context().has_store)
                };
                self.sessions.remove(session);
                if is_stored {
                    self.session_work.requests.push_back(StoreRequest::Remove { session: id });
                }
            }
        }
    }

    fn fate(&self, session: &Session) -> Fate {
        let is_held = session.is_held();
        let state = session.state();
        let now = session.now();
        if is_held || state.has_connections() || !state.is_idle() {
            return Fate::Stays;
        }
        let idle = u64::from(seconds(now).saturating_sub(state.touched)) * 1_000;
        let is_uncached = idle > u64::try_from(self.limits.sessions.cache.as_millis()).unwrap_or(u64::MAX);
        if !state.is_home {
            return if is_uncached || state.stage == Stage::Ended { Fate::Released } else { Fate::Stays };
        }
        match state.stage {
            Stage::Opening => Fate::Stays,
            Stage::Ended => Fate::Forgotten,
            Stage::Ready if idle > self.lifetime_millis(state.lifetime) => Fate::Expired,
            Stage::Ready if is_uncached && (state.version == 0 || self.sessions.context().has_store) => Fate::Forgotten,
            Stage::Ready => Fate::Stays,
        }
    }

    /// Notes that a session is in use, and has what the store could not save saved.
    fn touch(&mut self, session: &Session) {
        let is_held = session.is_held();
        let mut state = session.state();
        if !state.is_home || state.stage == Stage::Opening {
            return;
        }
        let now = seconds(session.now());
        let lifetime = self.lifetime_millis(state.lifetime);
        let is_used = is_held || state.has_connections() || state.has_holders();
        let has_store = self.sessions.context().has_store;
        if is_used && now.saturating_sub(state.touched) >= touch_seconds(lifetime) {
            state.touched = now;
            if has_store && state.version > 0 {
                state.cold_mut().home.is_unsaved = true;
            }
        }
        if state.cold.as_ref().is_some_and(|cold| cold.home.is_unsaved && cold.home.saving.is_none()) {
            let slot = state.slot;
            self.session_work.unsaved.push(slot);
        }
    }

    /// Values whose time is over leave every copy, in the home's order.
    fn end_values(&mut self, session: &Session) {
        let over: Vec<Box<str>> = {
            let (now, state) = (session.now(), session.state());
            if !state.is_home || state.stage != Stage::Ready {
                return;
            }
            state.view.all().iter().filter(|value| value.is_over(now)).map(|value| (&*value.key).into()).collect()
        };
        for key in over {
            self.flush_session(session);
            self.write_home(session, Writer::Home, Operation::Remove { key });
        }
    }

    /// Those whose deadline is over wait no more.
    fn drop_lost_openers(&self, session: &Session) {
        if let Some(cold) = &mut session.state().cold {
            cold.waiting.retain(|opener| match opener {
                super::copy::Opener::Connection(_, ticket) => self.pending.is_waiting(*ticket),
                super::copy::Opener::Peer(..) => true,
            });
        }
    }

    /// The turn's time, for everything that is counted in Unix time.
    pub(crate) fn set_session_time(&self, now: Time) {
        self.sessions.context().now.set(self.session_work.epoch + now.as_micros() / 1_000);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::{Config, Limits, SessionConfig, SessionLimits, ShardId};

    fn shard(sessions: SessionLimits) -> Shard {
        let limits = Limits { sessions, ..Limits::default() };
        let mut shard = Shard::new(Config { id: ShardId(0), shards: 1, limits, seed: 1 }, Time::ZERO);
        shard.open_sessions(SessionConfig { has_store: false, epoch: 1_000_000 });
        shard.begin_turn(Time::ZERO);
        shard
    }

    fn at(shard: &mut Shard, millis: u64) {
        shard.begin_turn(Time::from_micros(millis * 1_000));
        shard.sweep_sessions();
    }

    fn set(session: &Session, key: &str, expires: u64) {
        let operation = Operation::Set { key: key.into(), text: "1".into(), expires };
        session.write(operation).expect("there is room");
    }

    #[test]
    fn a_value_is_gone_at_its_time_and_taken_out_by_the_sweep() {
        let mut shard = shard(SessionLimits::default());
        let session = shard.sessions.make_for_tests().expect("there is room");
        set(&session, "short", session.now() + 500);
        set(&session, "long", 0);
        shard.begin_turn(Time::from_micros(499_000));
        assert_eq!((session.get("short").as_deref(), session.version()), (Some("1"), 2));
        shard.begin_turn(Time::from_micros(500_000));
        assert_eq!((session.get("short"), session.all().len(), session.version()), (None, 1, 2), "nobody reads it");
        shard.sweep_sessions();
        assert_eq!((session.all().len(), session.version()), (1, 3), "and the home has ordered its removal");
    }

    #[test]
    fn an_unused_session_lives_for_its_time_and_an_unwritten_one_for_that_of_the_cache() {
        let ttl = Duration::from_secs(48);
        let mut shard = shard(SessionLimits { ttl, cache: Duration::from_secs(3), ..SessionLimits::default() });
        let written = shard.sessions.make_for_tests().expect("there is room");
        let unwritten = shard.sessions.make_for_tests().expect("there is room");
        set(&written, "a", 0);
        drop(unwritten);
        at(&mut shard, 3_000);
        assert_eq!(shard.sessions(), 2);
        at(&mut shard, 5_000);
        assert_eq!(shard.sessions(), 1, "nobody has written to it");
        at(&mut shard, 60_000);
        assert_eq!((shard.sessions(), shard.metrics().sessions_expired), (1, 0), "it is in use while a handle is kept");
        drop(written);
        at(&mut shard, 109_000);
        assert_eq!(shard.sessions(), 1);
        at(&mut shard, 112_000);
        assert_eq!((shard.sessions(), shard.metrics().sessions_expired), (0, 1));
    }

    #[test]
    fn an_id_that_was_given_up_is_remembered_for_as_long_as_a_session_lives() {
        let ttl = Duration::from_secs(10);
        let mut shard = shard(SessionLimits { ttl, retired_max: 2, ..SessionLimits::default() });
        let ids = [1u8, 2, 3].map(|byte| super::super::SessionId::new([byte; 16]));
        for id in ids {
            shard.sessions.retire(id, None);
        }
        assert_eq!(ids.map(|id| shard.sessions.is_retired(id)), [false, true, true], "the oldest makes room");
        at(&mut shard, 9_999);
        assert!(shard.sessions.is_retired(ids[2]));
        at(&mut shard, 10_000);
        assert!(!shard.sessions.is_retired(ids[2]));
    }
}
