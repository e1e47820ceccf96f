//! The invariants of sessions, spelt out. The simulation calls this after every step, through [`Shard::check`].

use super::copy::{NO_SLOT, Stage};
use crate::connection::State;
use crate::shard::Shard;

impl Shard {
    pub(crate) fn check_sessions(&self) {
        let mut attached = 0;
        for session in self.sessions.all() {
            let id = session.id();
            let found = self.sessions.by_id(id).unwrap_or_else(|| panic!("{id} is not found under its id"));
            let state = session.state();
            drop(found);
            assert_eq!(state.is_home, id.home(self.lanes.len()) == self.id, "the home of {id}");
            assert!(!state.has_connections() || state.stage != Stage::Opening, "{id} is used before it is open");
            for slot in state.connections() {
                let connection = self.connections.get(slot).expect("a session's connection is there");
                assert_eq!(connection.session, state.slot, "a connection has another session than has it");
                attached += 1;
            }
            let Some(cold) = &state.cold else {
                assert!(state.is_home, "a copy knows its opening");
                continue;
            };
            let home = &cold.home;
            assert!(state.is_home || (home.holders.is_empty() && home.in_flight.is_empty()), "{id} is not home");
            assert!(!state.is_home || cold.cached.unacknowledged.is_empty(), "the home asks nobody");
            let is_lost =
                state.stage != Stage::Opening && !state.is_home && !self.serving.contains(id.home(self.lanes.len()));
            assert!(!cold.cached.is_orphan || !state.is_home, "{id} is its own orphan");
            assert!(!is_lost || cold.cached.is_orphan, "{id} does not know that its home has died");
            for (holder, _) in &home.holders {
                assert!(self.peers.contains(*holder), "a holder of {id} is no peer");
            }
            let mut last = 0;
            for entry in &home.in_flight {
                assert!(last < entry.version && entry.version <= state.version, "writes of {id} out of order");
                last = entry.version;
                let holds = |peer| home.holders.iter().any(|(holder, _)| *holder == peer);
                assert!(entry.waiting.iter().all(holds), "{id} waits for who has no copy");
                let is_awaited = !entry.waiting.is_empty() || entry.is_durable.is_none();
                assert!(is_awaited || last > home.in_flight[0].version, "the first write of {id} waits for nobody");
                let will_answer = entry.is_durable.is_some() || home.saving.is_some() || home.is_unsaved;
                assert!(will_answer, "a write of {id} waits for a save that nobody makes");
            }
        }
        let has_session = |connection: &&crate::connection::Connection| connection.session != NO_SLOT;
        let linked = self.connections.iter().map(|(_, connection)| connection).filter(has_session);
        let linked =
            linked.inspect(|connection| assert!(connection.state != State::Closing, "it has left its session"));
        assert_eq!(linked.count(), attached, "connections of sessions");
    }
}
