//! The realtime services of SocketStream 0.4: what is asked of them to what the shard does, and its answers.

use codec::message::{CallId, ClientMessage, RawJson};
use codec::socketstream::services::{Request, encode as services};

use crate::form::Push;
use crate::shard::Shard;
use crate::socketio::message_of;
use crate::tongue::write_text;
use crate::{ConnectionId, Host, Time};

impl Shard {
    pub(crate) fn services_message<H: Host>(&mut self, now: Time, id: ConnectionId, text: &str, host: &mut H) {
        match Request::decode(text, self.limits.socketcluster.json) {
            Some(Request::Call { callback, call }) => {
                self.listed_call(now, id, &call, CallId::new(RawJson::from_validated(callback)), host);
            }
            Some(Request::Connect { callback }) => {
                if self.is_heard(now, id, host) {
                    self.tell_session(id, callback);
                }
            }
            Some(Request::Discover { callback }) => {
                if self.is_heard(now, id, host) {
                    self.say_text(id, 2_048, |out| services::discovered(out, callback));
                }
            }
            None => self.handle_packet(now, id, ClientMessage::Unknown, host),
        }
    }

    /// Whose connection it is; the client keeps that, though it is the cookie that we believe.
    fn tell_session(&mut self, id: ConnectionId, callback: &str) {
        let session = match self.session_of(id) {
            Some(session) => session.to_string(),
            None => String::from_utf8(self.public_id(id).to_vec()).expect("public ids are ASCII"),
        };
        self.say_text(id, 96, |out| services::connected(out, callback, &session));
    }

    pub(crate) fn services_refused(&mut self, id: ConnectionId, error: RawJson<'_>) {
        self.say_text(id, 128, |out| services::error(out, &message_of(error.as_str())));
    }

    pub(crate) fn answer_services(
        &mut self,
        id: ConnectionId,
        call: CallId<'_>,
        outcome: Result<Option<RawJson<'_>>, RawJson<'_>>,
    ) {
        self.say_text(id, 128, |out| services::answer(out, call.as_str(), outcome));
    }

    pub(crate) fn services_emit(&mut self, id: ConnectionId, name: &str, data: Option<RawJson<'_>>) {
        self.say_text(id, 128, |out| services::event(out, name, data));
    }
}

/// Appends a push as the clients of these services are told it.
pub(crate) fn write_services(out: &mut Vec<u8>, is_on_engine: bool, push: Push<'_>) {
    let (name, data) = push.as_event();
    let hint = 32 + name.len() + data.map_or(0, |data| data.as_str().len());
    write_text(out, is_on_engine, hint, |out| services::event(out, name, data));
}
