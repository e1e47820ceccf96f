//! Back-pressure towards a peer: while too much is queued for it, or for the mesh, or the application has not decided,
//! its socket is not read and what was received waits. Nothing is dropped; TCP slows the peer down.

use crate::connection::{State, pause};
use crate::heartbeat::stamp;
use crate::shard::{Event, Shard};
use crate::{ConnectionId, Host, Time};

/// Bytes that one turn may write before paused connections have to wait for the next: 16 MiB, a few milliseconds.
const TURN_BYTES_MAX: usize = 16 << 20;

impl Shard {
    /// Pauses the connection if it has to be; whether the rest of its bytes has to wait.
    #[inline]
    pub(crate) fn must_wait(&mut self, id: ConnectionId) -> bool {
        let high_water_mark = self.limits.outbox_high_water_mark;
        let has_overflowed = std::mem::take(&mut self.has_overflowed);
        let Some(connection) = self.connections.live(id) else { return true };
        if connection.state == State::Closing || connection.is_waiting() {
            return true;
        }
        let is_full = connection.queued_bytes() > high_water_mark;
        (is_full || has_overflowed || connection.pauses != 0) && self.wait_for(id, is_full, has_overflowed)
    }

    #[inline(never)]
    fn wait_for(&mut self, id: ConnectionId, is_full: bool, has_overflowed: bool) -> bool {
        let Some(connection) = self.connections.live(id) else { return true };
        let before = connection.pauses;
        if is_full {
            connection.pauses |= pause::OUTBOX;
        }
        if has_overflowed {
            connection.pauses |= pause::MESH;
        }
        let pauses = connection.pauses;
        if pauses != before {
            self.resumable.push(id);
            if before == 0 {
                self.metrics.pauses += 1;
                self.events.push_back(Event::PauseReceive(id));
            }
        }
        pauses != 0
    }

    /// A hook is pending: the connection's later messages wait for it.
    pub(crate) fn pause_for_hook(&mut self, id: ConnectionId) {
        let Some(connection) = self.connections.live(id) else { return };
        if connection.pauses == 0 {
            self.metrics.pauses += 1;
            self.events.push_back(Event::PauseReceive(id));
        }
        connection.pauses |= pause::HOOK;
    }

    /// The hook has decided.
    pub(crate) fn resume_after_hook(&mut self, id: ConnectionId) {
        let Some(connection) = self.connections.live(id) else { return };
        connection.pauses &= !pause::HOOK;
        self.resumable.push(id);
    }

    /// Lets paused connections go on whose reason to wait is gone.
    pub(crate) fn resume<H: Host>(&mut self, now: Time, host: &mut H) {
        self.update_congestion(host);
        let mut candidates = std::mem::take(&mut self.resumable);
        candidates.sort_unstable();
        candidates.dedup();
        for id in candidates {
            if self.turn.bytes() > TURN_BYTES_MAX {
                self.resumable.push(id);
                continue;
            }
            self.resume_one(now, id, host);
        }
    }

    fn resume_one<H: Host>(&mut self, now: Time, id: ConnectionId, host: &mut H) {
        let (low_water_mark, is_congested) = (self.limits.outbox_high_water_mark / 2, self.is_congested);
        let Some(connection) = self.connections.live(id) else { return };
        if connection.state == State::Closing {
            return;
        }
        if connection.pauses & pause::OUTBOX != 0 {
            if !connection.chain.is_empty() {
                // Whether the kernel takes this turn's bytes is known in the next turn.
                return self.resumable.push(id);
            }
            if connection.backlog_bytes() > low_water_mark {
                return; // `handle_sent` brings it back.
            }
        }
        let mesh = if is_congested { connection.pauses & pause::MESH } else { 0 };
        connection.pauses = connection.pauses & (pause::HOOK | pause::POLL) | mesh;
        if connection.pauses != 0 {
            return; // `update_congestion` or the hook's verdict brings it back.
        }
        connection.last_seen = stamp(now); // What it said meanwhile was not heard.
        if connection.held.is_some() && self.reads_home(now, id) {
            return; // The home's answer brings it back.
        }
        self.process_held(now, id, host);
        if let Some(connection) = self.connections.live(id)
            && connection.pauses == 0
        {
            self.events.push_back(Event::ResumeReceive(id));
        }
    }

    fn process_held<H: Host>(&mut self, now: Time, id: ConnectionId, host: &mut H) {
        let Some(connection) = self.connections.live(id) else { return };
        let Some(mut held) = connection.held.take() else { return };
        if self.is_stopping {
            return;
        }
        if let Some(arriving) = held.arriving.take() {
            connection.held_mut().arriving = Some(arriving);
        }
        if let Some((text, done)) = held.batch.take() {
            let mut protocol = self.protocol.take().expect("held bytes are processed when the turn settles");
            self.has_overflowed = false;
            self.handle_packets(now, id, &text, done, &mut protocol, host);
            self.protocol = Some(protocol);
            if self.must_wait(id) {
                if let Some(connection) = self.connections.live(id)
                    && connection.state != State::Closing
                {
                    connection.held_mut().bytes = held.bytes;
                }
                return;
            }
        }
        self.process(now, id, &mut held.bytes, host);
    }

    /// Tells publishers and the application when the lanes are too full, and when they are not any more.
    fn update_congestion<H: Host>(&mut self, host: &mut H) {
        if !self.is_congested {
            return;
        }
        if self.can_decongest() {
            self.is_congested = false;
            let waiting = self.connections.iter().filter(|(_, connection)| connection.pauses & pause::MESH != 0);
            self.resumable.extend(waiting.map(|(slot, connection)| connection.id(slot)));
        }
        host.congested(self.is_congested);
    }

    /// Whether lanes that were too full have room again.
    pub(crate) fn can_decongest(&self) -> bool {
        self.is_congested && self.lanes.iter().all(|lane| lane.bytes() <= self.limits.lane_high_water_mark / 2)
    }
}
