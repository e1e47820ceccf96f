//! From long-polling to a WebSocket: the connection stays what and where it is, and gets a carrier, a WebSocket on
//! whichever shard it came to. What the carrier hears is received by the connection; what the mailbox gets is written to
//! the carrier, as far as that has room (`carrying`).
//!
//! ```text
//! carrier: 2probe ──Probe──> connection: requests are answered with a noop, 3probe ──Carried──> carrier
//! carrier: 5 ─────Switch──> connection: no requests any more, the mailbox ──Carried──> carrier; frames ──Carry──>
//! ```

use codec::engineio::{Packet, Refusal, Version};
use codec::websocket::handshake::{self, Accept};
use codec::websocket::{Message, Opcode, encode};

use super::carrying::Carrier;
use super::{PollMessage, Polled, Poller, SessionKey};
use crate::connection::{Connection, Protocol, State};
use crate::engineio::Engine;
use crate::heartbeat::stamp;
use crate::requests::Next;
use crate::shard::Shard;
use crate::{ConnectionId, Disconnect, Envelope, Host, SessionId, ShardId, Time};

/// The shard of the other half has died.
const LOST: Disconnect = Disconnect::new(1006, "the shard has failed");

impl Shard {
    /// A WebSocket that names a session. Whether there is one is asked with its first packet.
    pub(crate) fn open_carrier(
        &mut self,
        id: ConnectionId,
        accept: &Accept,
        version: Version,
        key: SessionKey,
        bound_to: Option<SessionId>,
    ) -> Next {
        let Some(connection) = self.connections.live(id) else { return Next::Nothing };
        connection.state = State::Handshake;
        connection.protocol = Protocol::Carrier;
        let mut engine = Engine::new(version);
        engine.carrier = Some(Box::new(Carrier::asking(key, bound_to)));
        connection.engine = Some(engine);
        self.write(id, |out| handshake::write_response_with(out, accept, None, &[]));
        Next::Frames
    }

    /// A message that a carrier has heard.
    pub(crate) fn carrier_message<H: Host>(&mut self, now: Time, id: ConnectionId, message: Message<'_>, host: &mut H) {
        let interval = self.timing.engine;
        let Some(connection) = self.connections.live(id) else { return };
        let Some(engine) = connection.engine.as_mut() else { return };
        let version = engine.version;
        let Some(carrier) = engine.carrier.as_mut() else { return };
        let (key, bound_to) = (carrier.key, carrier.bound_to);
        if carrier.is_switched {
            let mut frames = Vec::new();
            match message {
                Message::Text(text) => encode::masked_frame(&mut frames, Opcode::Text, [0; 4], text.as_bytes()),
                Message::Binary(bytes) => encode::masked_frame(&mut frames, Opcode::Binary, [0; 4], bytes),
                _ => return,
            }
            return self.tell_carried(key, PollMessage::Carry { key, frames });
        }
        let packet = match message {
            Message::Text(text) => Packet::from_text(version, text),
            _ => None,
        };
        match packet {
            Some(Packet::Ping("probe")) => self.tell_carried(key, PollMessage::Probe { connection: id, key, bound_to }),
            Some(Packet::Upgrade) => {
                carrier.is_switched = true;
                connection.state = State::Open;
                connection.deadline = stamp(now) + interval;
                self.due[id.slot as usize] = connection.deadline;
                self.tell_carried(key, PollMessage::Switch { connection: id, key, bound_to });
            }
            // Anything else is not how one goes over; the session goes on without it.
            _ => self.engine_violation(now, id, "an upgrade begins with a probe", host),
        }
    }

    pub(crate) fn tell_carried(&mut self, key: SessionKey, message: PollMessage) {
        if key.shard == self.id {
            // Not in place: frames are being looked at.
            self.poll_work.push_back((self.id, message));
        } else if let PollMessage::Probe { connection, .. } = message
            && !self.peers.contains(key.shard)
        {
            self.poll_work.push_back((self.id, PollMessage::CarrierEnded { connection }));
        } else {
            self.send_to_peer(key.shard, Envelope::Poll(&message));
        }
    }

    pub(crate) fn tell_carrier(&mut self, carrier: Poller, message: PollMessage) {
        if carrier.shard == self.id {
            self.poll_work.push_back((self.id, message));
        } else {
            self.send_to_peer(carrier.shard, Envelope::Poll(&message));
        }
    }

    /// What is said about upgrades, on either side.
    pub(super) fn handle_upgrade<H: Host>(&mut self, now: Time, from: ShardId, message: PollMessage, host: &mut H) {
        match message {
            PollMessage::Probe { connection, key, bound_to } => {
                self.probed(now, Poller { shard: from, connection }, key, bound_to, host);
            }
            PollMessage::Switch { connection, key, bound_to } => {
                self.switched(now, Poller { shard: from, connection }, key, bound_to, host);
            }
            PollMessage::Carry { key, mut frames } => self.carried(now, key, &mut frames, host),
            PollMessage::CarrierGone { connection, key, code } => {
                self.carrier_lost(now, Poller { shard: from, connection }, key, code, host);
            }
            PollMessage::Carried { connection, bytes } => self.write_carried(connection, &bytes),
            PollMessage::Landed { connection, key, bytes } => {
                self.carried_landed(Poller { shard: from, connection }, key, bytes);
            }
            PollMessage::CarrierEnded { connection } => {
                if self.speaks(connection) == Some(Protocol::Carrier) {
                    self.leave(now, connection, &Disconnect::new(1000, ""), host);
                }
            }
            PollMessage::Request { .. }
            | PollMessage::Answer { .. }
            | PollMessage::Recover(_)
            | PollMessage::Recovered { .. }
            | PollMessage::Gone { .. } => {}
        }
    }

    /// The client has reached us by a WebSocket: requests that wait are sent home, so that it can go over.
    fn probed<H: Host>(
        &mut self,
        now: Time,
        carrier: Poller,
        key: SessionKey,
        bound_to: Option<SessionId>,
        host: &mut H,
    ) {
        let is_bound = self.is_bound_elsewhere(&key, bound_to);
        let polling = self.polling_of(&key).filter(|polling| polling.carrier.is_none() && !is_bound);
        let Some(polling) = polling else {
            return self.tell_carrier(carrier, PollMessage::CarrierEnded { connection: carrier.connection });
        };
        polling.upgrading = Some(carrier);
        let mut bytes = Vec::new();
        encode::frame(&mut bytes, Opcode::Text, b"3probe");
        self.tell_carrier(carrier, PollMessage::Carried { connection: carrier.connection, bytes });
        self.release_poll(now, key.connection, host);
    }

    fn switched<H: Host>(
        &mut self,
        now: Time,
        carrier: Poller,
        key: SessionKey,
        bound_to: Option<SessionId>,
        host: &mut H,
    ) {
        let is_bound = self.is_bound_elsewhere(&key, bound_to);
        let polling = self.polling_of(&key).filter(|polling| polling.carrier.is_none() && !is_bound);
        let Some(polling) = polling else {
            return self.tell_carrier(carrier, PollMessage::CarrierEnded { connection: carrier.connection });
        };
        polling.upgrading = Some(carrier);
        self.release_poll(now, key.connection, host);
        if let Some(polling) = self.polling_of(&key) {
            polling.carry_by(carrier);
            self.metrics.polled_upgraded += 1;
            self.leave_address_seat(key.connection.slot);
        }
        self.serve_poll(now, key.connection, host);
    }

    fn carried<H: Host>(&mut self, now: Time, key: SessionKey, frames: &mut [u8], host: &mut H) {
        let bytes_max = self.limits.engine.payload_bytes_max;
        if self.polling_of(&key).is_none() {
            return;
        }
        let held = self.connections.live(key.connection).and_then(|known| known.held.as_ref());
        if held.map_or(0, |held| held.bytes.len()) > bytes_max {
            return self.engine_violation(now, key.connection, "too much at once", host);
        }
        self.receive(now, key.connection, frames, host);
    }

    /// A shard has died: what it carried here has lost its carrier, what lived there is gone, and nobody there waits.
    pub(crate) fn forget_polls<H: Host>(&mut self, now: Time, peer: ShardId, host: &mut H) {
        let asked = self.polls.iter().filter(|(_, context)| context.key.is_some_and(|key| key.shard == peer));
        let mut asked: Vec<_> = asked.map(|(id, _)| *id).collect();
        asked.sort_unstable();
        for id in asked {
            self.poll_answered(now, id, &Polled::Refused(Refusal::SessionUnknown), host);
        }
        let all: Vec<_> = self.connections.iter().map(|(slot, connection)| connection.id(slot)).collect();
        for id in all {
            let Some(engine) = self.connections.live(id).and_then(|connection| connection.engine.as_mut()) else {
                continue;
            };
            if engine.carrier.as_ref().is_some_and(|carrier| carrier.key.shard == peer) {
                self.leave(now, id, &LOST, host);
                continue;
            }
            let Some(polling) = &mut engine.polling else { continue };
            polling.waiting.take_if(|poller| poller.shard == peer);
            polling.upgrading.take_if(|poller| poller.shard == peer);
            if let Some(carrier) = polling.carrier.filter(|carrier| carrier.shard == peer) {
                let secret = polling.secret;
                let key = SessionKey { shard: self.id, connection: id, secret };
                self.carrier_lost(now, carrier, key, LOST.code, host);
            }
        }
    }

    /// The carrier's end is the connection's, once it is all that there is.
    fn carrier_lost<H: Host>(&mut self, now: Time, carrier: Poller, key: SessionKey, code: u16, host: &mut H) {
        let Some(polling) = self.polling_of(&key) else { return };
        if polling.upgrading == Some(carrier) {
            polling.upgrading = None;
        }
        if polling.carrier == Some(carrier) {
            polling.carrier = None;
            if self.wait_for_client(now, key.connection, host) {
                return;
            }
            let Some(connection) = self.connections.live(key.connection) else { return };
            if let Some(outbox) = &mut connection.outbox {
                outbox.discard_queue();
            }
            if connection.state == State::Closing {
                self.linger(key.connection);
            } else {
                self.leave(now, key.connection, &Disconnect::new(code, "the connection has ended"), host);
            }
        }
    }

    /// A carrier is gone.
    pub(crate) fn carrier_gone(&mut self, id: ConnectionId, code: u16) {
        let carrier = self.connections.live(id).and_then(|known| known.engine.as_mut()?.carrier.take());
        if let Some(Carrier { key, .. }) = carrier.map(|carrier| *carrier) {
            self.tell_carried(key, PollMessage::CarrierGone { connection: id, key, code });
        }
    }

    /// The session that a sid names, for an upgrade.
    pub(crate) fn carrier_key(&self, sid: &str) -> Result<SessionKey, Refusal> {
        SessionKey::parse(sid, self.lanes.len()).ok_or(Refusal::SessionUnknown)
    }

    /// What a key opens.
    pub(super) fn polling_of(&mut self, key: &SessionKey) -> Option<&mut super::Polling> {
        self.connections.live(key.connection).and_then(Connection::polling_mut).filter(|known| {
            // Whoever guesses learns nothing from the time that it takes.
            known.secret.iter().zip(&key.secret).fold(0, |differing, (one, other)| differing | (one ^ other)) == 0
        })
    }
}
