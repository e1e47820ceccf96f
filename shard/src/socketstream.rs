//! SocketStream's messages, 0.3 to 0.5, to what the shard does, and its answers. A call is an action's; a client is
//! subscribed by the application, through its session, or subscribes itself by calls, where Socket.IO's clients may by
//! events. A publication is the event that is named like its channel.

pub(crate) mod services;

use std::borrow::Cow;

use codec::arguments::Arguments;
use codec::json::unescape;
use codec::message::{CallId, ClientMessage, Operation, RawJson};
use codec::socketstream::encode::{self as socketstream, To};
use codec::socketstream::{Call, Message};

use crate::form::Push;
use crate::people::Audience;
use crate::shard::Shard;
use crate::tongue::write_text;
use crate::{ConnectionId, Host, Time};

impl Shard {
    /// The client may speak.
    pub(crate) fn socketstream_let_in(&mut self, id: ConnectionId) {
        self.say_text(id, 8, |out| out.extend_from_slice(socketstream::READY.as_bytes()));
    }

    pub(crate) fn socketstream_message<H: Host>(&mut self, now: Time, id: ConnectionId, text: &str, host: &mut H) {
        match Message::decode(text, self.limits.socketcluster.json) {
            Some(Message::Call(call)) => {
                let number = call.id.map_or("", RawJson::as_str);
                self.listed_call(now, id, &call, CallId::new(RawJson::from_validated(number)), host);
            }
            // What it keeps of its session is not ours: a cookie has told us whose it is.
            Some(Message::Hello(_)) => {}
            None => self.handle_packet(now, id, ClientMessage::Unknown, host),
        }
    }

    /// A call with a list of arguments.
    fn listed_call<H: Host>(&mut self, now: Time, id: ConnectionId, call: &Call<'_>, number: CallId<'_>, host: &mut H) {
        let malformed = |operation| ClientMessage::Malformed { operation, call: Some(number) };
        let mut scratch = String::new();
        let message = match (call.method.as_deref(), call.arguments) {
            (None, _) => malformed(Operation::Invoke),
            (_, None) => malformed(Operation::Arguments),
            (Some(name @ ("subscribe" | "unsubscribe" | "publish")), Some(arguments))
                if self.socketio.has_channel_events =>
            {
                self.channel_call(name, arguments, number)
            }
            (Some(name), _) if self.limits.socketcluster.names.check_action(name).is_err() => {
                malformed(Operation::Invoke)
            }
            (Some(name), Some(arguments)) => {
                let data = arguments.data(&mut scratch);
                ClientMessage::Invoke { action: Cow::Borrowed(name), data, call: Some(number) }
            }
        };
        self.handle_packet(now, id, message, host);
    }

    /// The calls by which a client joins, leaves and publishes: the channel's name, then what there is to say.
    fn channel_call<'a>(&self, name: &str, arguments: Arguments<'a>, number: CallId<'a>) -> ClientMessage<'a> {
        let limits = &self.limits.socketcluster;
        let mut list = arguments.iter(limits.json);
        let channel = list.next().and_then(unescape).filter(|name| limits.names.check_channel(name).is_ok());
        let (data, call) = (list.next(), Some(number));
        let operation = match name {
            "subscribe" => Operation::Subscribe,
            "unsubscribe" => Operation::Unsubscribe,
            _ => Operation::Publish,
        };
        match (operation, channel) {
            (_, None) => ClientMessage::Malformed { operation, call },
            (Operation::Subscribe, Some(channel)) if channel.starts_with(INTERNAL) => {
                ClientMessage::Malformed { operation, call }
            }
            (Operation::Subscribe, Some(channel)) => ClientMessage::Subscribe { channel, data, call },
            (Operation::Unsubscribe, Some(channel)) => ClientMessage::Unsubscribe { channel, call },
            (_, Some(channel)) => ClientMessage::Publish { channel, data, call },
        }
    }

    pub(crate) fn answer_socketstream(
        &mut self,
        id: ConnectionId,
        call: CallId<'_>,
        outcome: Result<Option<RawJson<'_>>, RawJson<'_>>,
    ) {
        self.say_text(id, 128, |out| socketstream::answer(out, call.as_str(), outcome));
    }

    pub(crate) fn socketstream_emit(&mut self, id: ConnectionId, name: &str, data: Option<RawJson<'_>>) {
        let public_id = self.public_id(id);
        let to = To::Connection(std::str::from_utf8(&public_id).expect("public ids are ASCII"));
        self.say_text(id, 256, |out| socketstream::event(out, to, name, data));
    }
}

/// Appends a push as these clients are told it.
pub(crate) fn write_socketstream(out: &mut Vec<u8>, push: Push<'_>) {
    let (name, data) = push.as_event();
    let list: Vec<&str>;
    let to = match push {
        Push::Publication { channel, .. } => To::Channel(channel),
        Push::Event { audience: Audience::Channels, names, .. } => To::Channel(names),
        Push::Event { audience: Audience::Users, names, .. } => {
            list = names.split(Audience::SEPARATOR).collect();
            To::Users(&list)
        }
        Push::Event { audience: Audience::AnyChannel, names, .. } => {
            list = names.split(Audience::SEPARATOR).collect();
            To::Channels(&list)
        }
        Push::Event { audience: Audience::Sessions, .. } => To::Sessions,
        Push::Event { audience: Audience::Connections, names, .. } => To::Connection(names),
        Push::Event { audience: Audience::Everyone, .. } => To::Everyone,
    };
    let hint = 64 + 2 * name.len() + data.map_or(0, |data| data.as_str().len());
    write_text(out, true, hint, |out| socketstream::event(out, to, name, data));
}

/// How the names of events begin that clients obey: a publication must not reload their pages.
const INTERNAL: &str = "__ss:";
