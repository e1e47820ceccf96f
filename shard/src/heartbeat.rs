//! Time passing: pings, silence, deadlines. No timer per connection: one array says when each must be looked at again,
//! and every tick sweeps a quarter of it.

use std::time::Duration;

use codec::eventstream;
use codec::http::response;
use codec::message::{CallId, RawJson};
use codec::socketcluster::Dialect;
use codec::socketcluster::errors::WireError;
use codec::websocket::{Opcode, encode};

use crate::connection::{Heartbeat, Protocol, State};
use crate::pending::{Pending, Work};
use crate::people::NO_USER;
use crate::shard::Shard;
use crate::{ConnectionId, Disconnect, Host, Limits, Refusal, Time};

/// Microseconds in a stamp. A tenth of a second: fine enough for heartbeats, and 32 bits of it are 13 years.
const STAMP_MICROS: u64 = 100_000;

/// Slots that every tick sweeps at least: cheaper than deciding which.
const SWEEP_SLOTS_MIN: usize = 1_024;

/// A moment in stamps.
pub(crate) fn stamp(now: Time) -> u32 {
    u32::try_from(now.as_micros() / STAMP_MICROS).expect("a shard lives less than 13 years")
}

/// Durations in stamps, at least one.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Timing {
    pub(crate) handshake: u32,
    pub(crate) ping_interval: u32,
    pub(crate) ping_timeout: u32,
    pub(crate) probe: u32,
    /// Between Engine.IO's pings.
    pub(crate) engine_interval: u32,
    /// Silence after which its peer counts as gone.
    pub(crate) engine: u32,
    pub(crate) send: u32,
    pub(crate) close: u32,
    pub(crate) idle: u32,
    pub(crate) body: u32,
    /// How long a connection waits for its client.
    pub(crate) recovery: u32,
    pub(crate) user_heartbeat: u32,
    pub(crate) silence: u32,
}

impl Timing {
    /// Between two pings to a connection of that user.
    const fn interval(&self, user: u32) -> u32 {
        let is_shorter = user != NO_USER && self.user_heartbeat < self.ping_interval;
        if is_shorter { self.user_heartbeat } else { self.ping_interval }
    }

    pub(crate) fn new(limits: &Limits, _now: Time) -> Self {
        Self {
            handshake: stamps(limits.handshake_timeout),
            ping_interval: stamps(limits.ping_interval),
            ping_timeout: stamps(limits.ping_timeout),
            // Three dialects are tried within half of the client's patience, and no slower than one in two seconds.
            probe: stamps((limits.ping_timeout / 6).min(Duration::from_secs(2))),
            engine_interval: stamps(limits.engine.ping_interval),
            engine: stamps(limits.engine.ping_interval + limits.engine.ping_timeout),
            send: stamps(limits.send_timeout),
            close: stamps(limits.close_timeout),
            idle: stamps(limits.idle_timeout),
            body: stamps(limits.body_timeout),
            recovery: stamps(limits.recovery.window),
            user_heartbeat: stamps(limits.people.heartbeat),
            silence: stamps(limits.people.silence),
        }
    }
}

pub(crate) fn stamps(duration: Duration) -> u32 {
    let stamps = duration.as_micros().div_ceil(u128::from(STAMP_MICROS)).max(1);
    // A time-out of "for ever" is two years.
    u32::try_from(stamps).unwrap_or(u32::MAX).min(u32::MAX / 8)
}

impl Shard {
    /// Time has passed; to be called every 50 ms or so.
    pub fn handle_tick<H: Host>(&mut self, now: Time, host: &mut H) {
        while let Some((ticket, pending)) = self.pending.expire(now) {
            host.cancel(ticket);
            self.metrics.calls_timed_out += 1;
            self.expire_call(now, pending, host);
        }
        self.expire_client_calls(now, host);
        let slots = self.due.len();
        let stop = (slots / 4).max(SWEEP_SLOTS_MIN).min(slots);
        let now_stamp = stamp(now);
        for _ in 0..stop {
            let slot = self.sweep_cursor % slots;
            self.sweep_cursor = slot + 1;
            if self.due[slot] <= now_stamp {
                self.look_at(now, slot, host);
            }
        }
        self.relieve(now, host);
        self.sweep_sessions();
        self.sweep_users();
        self.tell_online();
        self.drain_commands(now, host);
    }

    /// A call or a hook has not answered in time.
    fn expire_call<H: Host>(&mut self, now: Time, pending: Pending, host: &mut H) {
        if let Some(connection) = self.connections.live(pending.connection) {
            connection.calls = connection.calls.saturating_sub(1);
        }
        let Work::Call { action } = &pending.work else {
            let mut error = Vec::new();
            WireError::Custom { name: "TimeoutError", message: "The server's hook timed out" }.write(&mut error);
            let error: Box<str> = String::from_utf8(error).expect("error objects are text").into();
            return self.conclude(now, pending, Err(Refusal { error, code: 4008, status: 503 }), host);
        };
        if let Some(call) = &pending.call {
            let call = CallId::new(RawJson::from_validated(call));
            self.answer_error(pending.connection, call, &WireError::ActionTimedOut { action });
        }
    }

    fn look_at<H: Host>(&mut self, now: Time, slot: usize, host: &mut H) {
        let number = u32::try_from(slot).expect("connections are bounded far below 2^32");
        let Some(connection) = self.connections.get(number) else {
            self.due[slot] = u32::MAX;
            return;
        };
        let id = connection.id(number);
        let is_over = connection.deadline <= stamp(now);
        match connection.state {
            State::Request if is_over => self.request_timed_out(now, id, host),
            State::Handshake if is_over => {
                self.metrics.timeouts += 1;
                self.close(now, id, &Disconnect::new(4005, "handshake timed out"), host);
            }
            State::Closing if is_over => {
                if !self.still_reads(now, id) {
                    self.give_up(id);
                }
            }
            State::Open => self.beat(now, id, host),
            State::Request | State::Handshake | State::Closing => self.due[slot] = connection.deadline,
        }
    }

    fn request_timed_out<H: Host>(&mut self, now: Time, id: ConnectionId, host: &mut H) {
        if self.still_reads(now, id) {
            return;
        }
        let idle_timeout = self.timing.idle;
        let Some(connection) = self.connections.live(id) else { return };
        if connection.outbox.is_some() {
            self.metrics.timeouts += 1;
            return self.break_connection(now, id, &Disconnect::new(1006, "nothing could be sent"), host);
        }
        if connection.pauses != 0 {
            // It is we who do not listen: an answer is pending, and has its own time.
            connection.deadline = stamp(now) + idle_timeout;
            self.due[id.slot as usize] = connection.deadline;
            return;
        }
        let has_begun = connection.held.as_ref().is_some_and(|held| held.arriving.is_some() || !held.bytes.is_empty());
        if has_begun {
            self.write(id, |out| response::write(out, 408, &[], b"request timed out", false));
        }
        self.metrics.timeouts += u64::from(has_begun);
        self.metrics.connections_idle += u64::from(!has_begun);
        self.close(now, id, &Disconnect::new(1006, "request timed out"), host);
    }

    /// Whether a client still reads the answer to its request, which may be long; then that is its next deadline.
    fn still_reads(&mut self, now: Time, id: ConnectionId) -> bool {
        let send_timeout = self.timing.send;
        let Some(connection) = self.connections.live(id).filter(|known| known.protocol == Protocol::Http) else {
            return false;
        };
        let since = connection.outbox.as_ref().and_then(|outbox| outbox.in_flight_since());
        let Some(stuck_at) = since.map(|since| since + send_timeout).filter(|at| *at > stamp(now)) else {
            return false;
        };
        connection.deadline = stuck_at;
        self.due[id.slot as usize] = stuck_at;
        true
    }

    /// An open connection: is it still there, does it take what it is sent, is a ping due?
    fn beat<H: Host>(&mut self, now: Time, id: ConnectionId, host: &mut H) {
        if self.beat_waiting(now, id, host) {
            return;
        }
        let (now_stamp, timing) = (stamp(now), self.timing);
        let Some(connection) = self.connections.live(id) else { return };
        if connection.pauses != 0 || connection.only_listens() {
            // It is we who do not listen. Hooks, flights and lanes have their own time-outs.
            connection.last_seen = now_stamp;
        }
        let patience = if connection.engine.is_some() { timing.engine } else { timing.ping_timeout };
        let silent_at = connection.last_seen + patience;
        let stuck_at =
            connection.outbox.as_ref().and_then(|outbox| outbox.in_flight_since()).map(|at| at + timing.send);
        if stuck_at.is_some_and(|at| at <= now_stamp) {
            self.metrics.timeouts += 1;
            return self.break_connection(now, id, &Disconnect::new(1013, "nothing could be sent"), host);
        }
        if silent_at <= now_stamp {
            self.metrics.timeouts += 1;
            if self.wait_for_client(now, id, host) {
                return;
            }
            return self.close(now, id, &Disconnect::new(4001, "client pong timed out"), host);
        }
        if connection.deadline <= now_stamp {
            if connection.only_listens() {
                self.expire_token(now, id, host); // Nothing comes from it that would show that its time is over.
            }
            self.ping(id, now_stamp);
            if let Some(meters) = &mut self.meters {
                meters.tidy(id.slot, now);
            }
        }
        let Some(connection) = self.connections.live(id) else { return };
        self.due[id.slot as usize] = connection.deadline.min(silent_at).min(stuck_at.unwrap_or(u32::MAX));
    }

    /// Sends the ping that is due, and says when the next one will be.
    fn ping(&mut self, id: ConnectionId, now: u32) {
        let timing = self.timing;
        let Some(connection) = self.connections.live(id) else { return };
        let heartbeat = connection.heartbeat;
        if connection.engine.is_some() {
            return self.engine_ping(id, now);
        }
        let interval = timing.interval(connection.user);
        if connection.only_listens() {
            connection.deadline = now + interval;
            return self.write(id, |out| out.extend_from_slice(eventstream::HEARTBEAT));
        }
        if connection.protocol != Protocol::SocketCluster {
            connection.deadline = now + interval;
            return self.write(id, |out| encode::frame(out, Opcode::Ping, b""));
        }
        connection.deadline = now
            + match heartbeat {
                // After the last dialect nobody answers in: the client may be gone; start over at the usual pace.
                Heartbeat::Locked(_) | Heartbeat::Probing(Dialect::V0) => interval,
                Heartbeat::Probing(_) => timing.probe,
            };
        if let Heartbeat::Probing(dialect) = heartbeat {
            connection.heartbeat = Heartbeat::Probing(dialect.next_probe());
        }
        self.write(id, |out| encode::frame(out, Opcode::Text, heartbeat.dialect().ping().as_bytes()));
    }

    /// The client has answered a ping, and so told its dialect.
    pub(crate) fn pong_received(&mut self, now: Time, id: ConnectionId, dialect: Dialect) {
        let timing = self.timing;
        let Some(connection) = self.connections.live(id) else { return };
        if matches!(connection.heartbeat, Heartbeat::Probing(_)) {
            connection.heartbeat = Heartbeat::Locked(dialect);
            connection.deadline = stamp(now) + timing.interval(connection.user);
        }
    }

    /// A connection is a user's from now on: its next ping is no later than a user's may be.
    pub(crate) fn hasten_heartbeat(&mut self, id: ConnectionId) {
        let latest = self.now + self.timing.user_heartbeat;
        let Some(connection) = self.connections.live(id) else { return };
        if connection.engine.is_none() && connection.deadline > latest {
            connection.deadline = latest;
            self.due[id.slot as usize] = self.due[id.slot as usize].min(latest);
        }
    }

    /// A connection was let in: its heartbeat begins.
    pub(crate) fn start_heartbeat(&mut self, now: Time, id: ConnectionId) {
        let timing = self.timing;
        let Some(connection) = self.connections.live(id) else { return };
        let is_probing =
            connection.protocol == Protocol::SocketCluster && matches!(connection.heartbeat, Heartbeat::Probing(_));
        connection.deadline = stamp(now)
            + match is_probing {
                _ if connection.engine.is_some() => timing.engine_interval,
                // The first question early: the dialect must be known well before the client's patience ends.
                true => timing.probe.div_ceil(2),
                false => timing.ping_interval,
            };
        self.due[id.slot as usize] = connection.deadline;
    }
}
