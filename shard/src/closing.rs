//! How connections end. Whatever the cause, the same steps: leave (subscriptions, calls, the application's hook), say
//! what is left to say, watch it go out, end our direction, wait for the peer's, free the slot.

use std::rc::Rc;

use codec::http::response;
use codec::socketcluster::encode as socketcluster;
use codec::websocket::{Opcode, encode};

use crate::connection::{Protocol, State, ending, pause};
use crate::heartbeat::stamp;
use crate::shard::{Event, Shard};
use crate::turn::Chain;
use crate::{Caller, ConnectionId, Disconnect, Host, Time};

/// Close codes from here on tell clients not to come back.
const NO_RETURN: u16 = 4500;

impl Shard {
    /// Ends a connection from our side, with a close frame if it has come that far.
    pub(crate) fn close<H: Host>(&mut self, now: Time, id: ConnectionId, disconnect: &Disconnect, host: &mut H) {
        let Some(connection) = self.connection_mut(id) else { return };
        if connection.state == State::Closing {
            return;
        }
        if connection.state == State::Request && connection.calls != 0 {
            // A request that was heard is not left without an answer.
            self.write(id, |out| response::write(out, 503, &[("Retry-After", "1")], b"", false));
        } else if matches!(connection.state, State::Handshake | State::Open) {
            if connection.only_listens() || connection.protocol == Protocol::Http {
                // What is no WebSocket has no close frame.
                self.stream_farewell(id, disconnect);
                return self.leave(now, id, disconnect, host);
            }
            let announces = connection.protocol == Protocol::SocketCluster && connection.heartbeat.announces_close();
            let connection_is_socketio = connection.protocol == Protocol::SocketIo;
            let (code, reason) = (disconnect.code, disconnect.reason.as_ref());
            if announces {
                let said = Some(reason).filter(|reason| !reason.is_empty());
                self.write(id, |out| {
                    encode::frame_with(out, Opcode::Text, 64, |out| socketcluster::disconnect(out, code, said));
                });
            }
            if code >= NO_RETURN && connection_is_socketio {
                self.socketio_farewell(id);
            }
            self.write(id, |out| encode::close(out, code, reason));
        }
        self.leave(now, id, disconnect, host);
    }

    /// The peer's close frame: it is answered with its own code (RFC 6455 section 5.5.1).
    pub(crate) fn close_received<H: Host>(
        &mut self,
        now: Time,
        id: ConnectionId,
        close: Option<(u16, &str)>,
        host: &mut H,
    ) {
        if self.wait_for_client(now, id, host) {
            return;
        }
        let (code, reason) = close.unwrap_or((1005, ""));
        self.write(id, |out| encode::close(out, code, ""));
        if let Some(connection) = self.connection_mut(id) {
            connection.endings |= ending::CLOSES_EXCHANGED;
        }
        self.leave(now, id, &Disconnect { code, reason: reason.to_owned().into() }, host);
    }

    /// The peer will send no more.
    pub(crate) fn end_received<H: Host>(&mut self, now: Time, id: ConnectionId, host: &mut H) {
        if self.wait_for_client(now, id, host) {
            return;
        }
        let Some(connection) = self.connection_mut(id) else { return };
        connection.endings |= ending::END_RECEIVED;
        if connection.state == State::Closing {
            self.linger(id);
        } else {
            self.leave(now, id, &Disconnect::new(1006, "connection lost"), host);
        }
    }

    /// Nothing can be sent any more.
    pub(crate) fn break_connection<H: Host>(
        &mut self,
        now: Time,
        id: ConnectionId,
        disconnect: &Disconnect,
        host: &mut H,
    ) {
        if self.wait_for_client(now, id, host) {
            return;
        }
        let Some(connection) = self.connection_mut(id) else { return };
        connection.endings |= ending::BROKEN;
        connection.chain = Chain::EMPTY;
        if let Some(outbox) = &mut connection.outbox {
            outbox.discard();
            if outbox.is_empty() {
                connection.outbox = None;
            }
        }
        if connection.state == State::Closing {
            self.linger(id);
        } else {
            self.leave(now, id, disconnect, host);
        }
    }

    /// Those who let too much pile up: what is queued is dropped, the close frame follows what is in the air.
    pub(crate) fn end_slow_consumers<H: Host>(&mut self, now: Time, host: &mut H) {
        for id in std::mem::take(&mut self.slow_consumers) {
            let Some(connection) = self.connection_mut(id) else { continue };
            if connection.state == State::Closing {
                continue;
            }
            if let Some(outbox) = &mut connection.outbox {
                outbox.discard_queue();
            }
            connection.chain = Chain::EMPTY;
            if let Some(compression) = &mut connection.compression {
                compression.begin_anew();
            }
            self.metrics.slow_consumers += 1;
            self.close(now, id, &Disconnect::new(1013, "slow consumer"), host);
        }
    }

    /// Takes a connection out of everything it was part of; from here on it is only watched until its last bytes are
    /// out.
    pub(crate) fn leave<H: Host>(&mut self, now: Time, id: ConnectionId, disconnect: &Disconnect, host: &mut H) {
        let deadline = stamp(now) + self.timing.close;
        let Some(connection) = self.connections.live(id) else { return };
        let is_carrier = connection.protocol == Protocol::Carrier;
        let is_stream = connection.only_listens();
        let is_polling = connection.pauses & pause::POLL != 0;
        let is_paused = std::mem::take(&mut connection.pauses) != 0;
        let is_admitted = std::mem::take(&mut connection.admitted);
        let has_calls = std::mem::take(&mut connection.calls) != 0;
        let (peer, identity, user) = (connection.peer(id.slot), connection.identity.take(), connection.user);
        connection.state = State::Closing;
        connection.held = None;
        connection.decoder = codec::websocket::Decoder::new(codec::websocket::Role::Server);
        connection.deadline = deadline;
        self.due[id.slot as usize] = deadline;
        if is_paused {
            // The peer's end must be seen.
            self.events.push_back(Event::ResumeReceive(id));
        }
        let user = self.users.get(user).map(|user| Rc::clone(&user.name));
        if is_polling {
            self.poller_gone(id);
        }
        if is_stream {
            self.streams.remove(&id);
        }
        if is_carrier {
            self.carrier_gone(id, disconnect.code);
        }
        self.end_client_calls(id, None, host);
        self.unsubscribe_all(id);
        self.leave_user(id.slot, is_admitted);
        self.end_compression(id);
        self.detach_session(id);
        if has_calls {
            for ticket in self.pending.of(id) {
                self.pending.remove(ticket);
                host.cancel(ticket);
            }
        }
        self.linger(id);
        if !self.login_ends.is_empty() {
            self.tell_login_ends(now, host); // What ended before comes before the end.
        }
        if is_admitted {
            let claims = identity.as_ref().map(|identity| &*identity.claims);
            host.disconnect(Caller { peer, claims, user: user.as_deref() }, disconnect);
            self.drain_commands(now, host);
        }
    }

    /// Has the connection's last bytes watched when the turn settles.
    pub(crate) fn linger(&mut self, id: ConnectionId) {
        let Some(connection) = self.connections.live(id) else { return };
        if !connection.is_ending(ending::LINGERING) {
            connection.endings |= ending::LINGERING;
            self.lingering.push(id);
        }
    }

    pub(crate) fn watch_lingering(&mut self) {
        for id in std::mem::take(&mut self.lingering) {
            self.watch(id);
        }
    }

    fn watch(&mut self, id: ConnectionId) {
        let Some(connection) = self.connections.live(id) else { return };
        connection.endings &= !ending::LINGERING;
        if connection.is_ending(ending::BROKEN) {
            if !connection.in_flight() {
                return self.release(id);
            }
            if !connection.is_ending(ending::ABORTED) {
                connection.endings |= ending::ABORTED;
                self.events.push_back(Event::Abort(id));
            }
            return; // `handle_sent` brings it back.
        }
        if connection.is_polled() {
            return self.watch_polled(id);
        }
        if connection.in_flight() {
            return; // As above.
        }
        if !connection.is_drained() {
            return self.linger(id);
        }
        // After both close frames the server closes at once (RFC 6455 section 7.1.1): that ends our direction as well,
        // and saves a call and the wait for the peer's end.
        if connection.is_ending(ending::END_RECEIVED | ending::CLOSES_EXCHANGED) {
            return self.release(id);
        }
        if !connection.is_ending(ending::SHUT_DOWN) {
            connection.endings |= ending::SHUT_DOWN;
            self.events.push_back(Event::Shutdown(id)); // `end_received` or the deadline brings it back.
        }
    }

    /// Its time is up.
    pub(crate) fn give_up(&mut self, id: ConnectionId) {
        let Some(connection) = self.connections.live(id) else { return };
        connection.endings |= ending::BROKEN;
        self.linger(id);
    }

    fn release(&mut self, id: ConnectionId) {
        let connection = self.connections.remove(id.slot);
        debug_assert!(connection.subscriptions.is_empty() && !connection.in_flight(), "released too early");
        self.due[id.slot as usize] = u32::MAX;
        self.metrics.connections_closed += 1;
        if self.seats.is_some() {
            self.leave_seats(id.slot);
        }
        if let Some(meters) = &mut self.meters {
            meters.forget(id.slot);
        }
        self.end_recovery(id.slot);
        if connection.is_polled() {
            self.polled_released(connection.engine);
        } else {
            self.events.push_back(Event::Close(id));
        }
    }

    /// A connection without a socket waits until its last words are fetched, or its time is up.
    fn watch_polled(&mut self, id: ConnectionId) {
        let is_stopping = self.is_stopping;
        let Some(connection) = self.connections.live(id) else { return };
        if !connection.chain.is_empty() {
            return self.linger(id);
        }
        if is_stopping || connection.outbox.as_ref().is_none_or(|outbox| outbox.is_empty()) {
            self.release(id);
        }
    }

    /// At shutdown: tells the next batch of connections to leave.
    pub(crate) fn drain_some<H: Host>(&mut self, now: Time, host: &mut H) {
        let Some(cursor) = self.drain_cursor else { return };
        let end = self.due.len().min(cursor + self.limits.drain_connections_per_turn);
        self.drain_cursor = Some(end);
        for slot in cursor..end {
            let slot = u32::try_from(slot).expect("connections are bounded far below 2^32");
            let Some(connection) = self.connections.get(slot) else { continue };
            let id = connection.id(slot);
            self.close(now, id, &Disconnect::new(1001, "server is going away"), host);
        }
    }
}
