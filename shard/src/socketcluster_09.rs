//! The packets of SocketCluster 0.9 to what the shard does, and its answers. A publication is the event that is named like
//! its channel. These clients know nothing of tokens: what is said of them comes as events.

use codec::message::{CallId, ClientMessage, RawJson};
use codec::socketcluster::v09::{self, Message};

use crate::form::Push;
use crate::shard::Shard;
use crate::tongue::write_text;
use crate::{ConnectionId, Host, Time};

impl Shard {
    /// The client was let in, and speaks when it hears of it.
    pub(crate) fn socketcluster_09_let_in(&mut self, id: ConnectionId) {
        let public_id = self.public_id(id);
        let public_id = std::str::from_utf8(&public_id).expect("public ids are ASCII");
        self.say_text(id, 96, |out| v09::connect(out, public_id));
    }

    pub(crate) fn socketcluster_09_refused(&mut self, id: ConnectionId, error: RawJson<'_>) {
        self.say_text(id, 128, |out| v09::fail(out, error));
    }

    pub(crate) fn socketcluster_09_message<H: Host>(&mut self, now: Time, id: ConnectionId, text: &str, host: &mut H) {
        match v09::decode(text, &self.limits.socketcluster) {
            Some(Message::Common(message)) => self.handle_packet(now, id, message, host),
            Some(Message::Ready { call }) => {
                if let Some(call) = call
                    && self.is_heard(now, id, host)
                {
                    self.answer_socketcluster_09(id, call, Ok(None));
                }
            }
            None => self.handle_packet(now, id, ClientMessage::Unknown, host),
        }
    }

    pub(crate) fn answer_socketcluster_09(
        &mut self,
        id: ConnectionId,
        call: CallId<'_>,
        outcome: Result<Option<RawJson<'_>>, RawJson<'_>>,
    ) {
        self.say_text(id, 128, |out| v09::answer(out, call, outcome));
    }

    /// Sends an event, unless the client would take it for one of its own.
    pub(crate) fn socketcluster_09_emit(&mut self, id: ConnectionId, name: &str, data: Option<RawJson<'_>>) {
        if !v09::is_reserved(name) {
            self.say_text(id, 256, |out| v09::event(out, name, data));
        }
    }
}

/// Appends a push as these clients are told it.
pub(crate) fn write_socketcluster_09(out: &mut Vec<u8>, push: Push<'_>) {
    let (name, data) = push.as_event();
    let hint = 24 + name.len() + data.map_or(0, |data| data.as_str().len());
    write_text(out, true, hint, |out| v09::event(out, name, data));
}
