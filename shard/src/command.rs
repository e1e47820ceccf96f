//! What the application asks for, from actions, hooks and tasks.

use codec::message::{CallId, RawJson};

use crate::connection::{Protocol, State};
use crate::invoking::ClientCall;
use crate::pending::{Pending, Work};
use crate::shard::Shard;
use crate::{Command, Disconnect, Host, RawMessage, RawReplies, Refusal, Reply, Ticket, Time};

impl Shard {
    /// Does everything the application has queued. Called after each call into it, before that call is answered: what
    /// an action publishes leaves before its reply.
    #[inline]
    pub(crate) fn drain_commands<H: Host>(&mut self, now: Time, host: &mut H) {
        self.apply_commands(now, host);
        if !self.login_ends.is_empty() {
            self.tell_login_ends(now, host);
        }
    }

    #[inline]
    pub(crate) fn apply_commands<H: Host>(&mut self, now: Time, host: &mut H) {
        // A shard that is joining does not know yet who wants what: its application has to wait.
        while !self.is_joining()
            && let Some(command) = host.poll_command()
        {
            self.apply(now, command, host);
        }
        self.settle_sessions();
        self.flush_sessions();
    }

    pub(crate) fn apply<H: Host>(&mut self, now: Time, command: Command, host: &mut H) {
        match command {
            Command::Reply { ticket, reply } => self.replied(ticket, &reply),
            Command::Respond { ticket, response } => self.responded(now, ticket, &response, host),
            Command::Verdict { ticket, verdict } => self.decided(now, ticket, verdict, host),
            Command::Publish { channel, data } => {
                self.publish(&channel, data.as_deref().map(RawJson::from_validated));
                self.deliver_filtered(now, host);
            }
            Command::Emit { connection, event, data, is_volatile } => {
                let data = data.as_deref().map(RawJson::from_validated);
                let Some(known) = self.connections.live(connection) else { return };
                if known.state != State::Open {
                    return;
                }
                if is_volatile && !known.is_ready() {
                    self.metrics.volatile_dropped += 1;
                    return;
                }
                self.emit(connection, &event, data);
            }
            Command::Invoke { connection, ticket, event, data, timeout } => {
                self.invoke_client(now, connection, &ClientCall { ticket, event, data, timeout }, host);
            }
            Command::Join { connection, ticket, channel } => {
                let joined = self.join_by_command(connection, &channel);
                host.client_answered(ticket, joined.map(|()| None));
            }
            Command::Leave { connection, channel } => {
                self.take_out(connection, &channel);
            }
            Command::Send { connection, payload } => {
                let Some(known) = self.connections.live(connection) else { return };
                if known.state == State::Open && matches!(known.protocol, Protocol::Raw(_) | Protocol::EngineIo(_)) {
                    let framing = known.framing();
                    let message = match &payload {
                        Ok(text) => RawMessage::Text(text),
                        Err(bytes) => RawMessage::Binary(bytes),
                    };
                    self.write(connection, |out| RawReplies::new(out, framing).send(message));
                }
            }
            Command::KickOut { connection, channel, message } => {
                self.kick_out(connection, &channel, &message);
            }
            Command::SetToken { connection, token, verified } => self.set_token(now, connection, &token, verified),
            Command::RemoveToken { connection } => self.remove_token(connection),
            Command::SettleSessions => self.settle_sessions(),
            Command::SessionLoaded { session, outcome } => self.loaded(session, outcome),
            Command::SessionSaved { session, version, outcome } => self.saved(session, version, outcome),
            Command::Address { audience, names, act, except } => {
                self.address(audience, &names, act.as_ref(), except);
            }
            Command::Ask { ticket, question } => self.ask(ticket, question),
            Command::LoginFailed { connection } => self.note_failed_login(now, connection),
            Command::Disconnect { connection, disconnect } => self.close(now, connection, &disconnect, host),
        }
    }

    pub(crate) fn take_pending(&mut self, ticket: Ticket) -> Option<Pending> {
        let pending = self.pending.remove(ticket)?;
        if let Some(connection) = self.connections.live(pending.connection) {
            connection.calls = connection.calls.saturating_sub(1);
        }
        Some(pending)
    }

    fn replied(&mut self, ticket: Ticket, reply: &Reply) {
        let Some(pending) = self.take_pending(ticket) else { return };
        if let Some(call) = &pending.call {
            self.answer(pending.connection, CallId::new(RawJson::from_validated(call)), reply.outcome());
        }
    }

    fn decided<H: Host>(&mut self, now: Time, ticket: Ticket, verdict: Result<(), Refusal>, host: &mut H) {
        let Some(pending) = self.take_pending(ticket) else { return };
        self.conclude(now, pending, verdict, host);
    }

    /// Does what a pending hook has allowed, or answers with its refusal; then the connection's later messages follow.
    pub(crate) fn conclude<H: Host>(
        &mut self,
        now: Time,
        pending: Pending,
        verdict: Result<(), Refusal>,
        host: &mut H,
    ) {
        let Pending { connection: id, call, work } = pending;
        let call = call.as_deref().map(|call| CallId::new(RawJson::from_validated(call)));
        match work {
            Work::Call { .. } => {}
            Work::Handshake { objection } => {
                self.finish_handshake(now, id, call, objection.map(|objection| *objection), verdict, host);
            }
            Work::Greeting => self.finish_greeting(now, id, verdict, host),
            Work::Authenticate { identity, is_handshake } => {
                if !self.finish_authenticate(now, id, call, (identity, is_handshake), verdict, host) {
                    return; // It waits for the next hook.
                }
            }
            Work::Bearer(work) => {
                if !self.finish_bearer(now, id, *work, verdict, host) {
                    return; // As above.
                }
            }
            Work::Upgrade(upgrade) => self.finish_upgrade(now, id, &upgrade, verdict, host),
            Work::Seat(_) => self.seat_timed_out(now, id, host),
            // None of these asks a hook: it is their time that is over.
            Work::Request { keep_alive, is_head } => {
                return self.request_unanswered(now, id, keep_alive, is_head, host);
            }
            Work::Session(_) | Work::RequestSession(_) => self.refuse_session(now, id, host),
            Work::Recover { namespace, token, .. } => {
                self.resume_after_hook(id);
                return self.begin_namespace(now, id, namespace, token.as_deref(), host);
            }
            Work::Read => self.close(now, id, &Disconnect::new(1013, "the session cannot be read"), host),
            Work::Subscribe { channel } => self.finish_subscribe(id, &channel, call, verdict),
            Work::Publish { channel, data } => {
                let data = data.as_deref().map(RawJson::from_validated);
                self.finish_publish(now, id, &channel, data, call, verdict, host);
            }
        }
        self.resume_after_hook(id);
    }
}
