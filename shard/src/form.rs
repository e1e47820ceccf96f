//! The forms in which a push is written: one for each way of saying it that some connection needs. A publication or an
//! event is written once for each form that is in use among those here who are to have it, however many they are, and not
//! at all in the others. A form never depends on who the receiver is.

use std::hash::BuildHasher as _;

use codec::engineio::Version;
use codec::eventstream;
use codec::message::RawJson;
use codec::socketcluster::encode as socketcluster;
use codec::websocket::extension::WINDOW_BITS_MIN;
use codec::websocket::{Opcode, encode};
use foldhash::fast::FixedState;

use crate::people::{Audience, PRESENCE_EVENT};
use crate::policies::Terms;
use crate::shard::Shard;
use crate::socketcluster_09::write_socketcluster_09;
use crate::socketstream::services::write_services;
use crate::socketstream::write_socketstream;
use crate::turn::Arena;

/// How a subscription's publications are written; ten bits of its entry in the channel.
///
/// ```text
/// 0          SocketCluster
/// 1          an event stream
/// 8          SocketStream, on Engine.IO
/// 9, 10      the services of SocketStream 0.4, plain and on Engine.IO
/// 11         SocketCluster 0.9, on Engine.IO
/// 32 .. 63   Socket.IO on Engine.IO 4, and the namespace's number
/// 64 .. 95   Socket.IO on Engine.IO 3, and the namespace's number
/// + 128 × n  the same, compressed for the n-th window
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Form(u16);

impl Form {
    /// SocketCluster's `#publish`, in a text frame.
    pub(crate) const SOCKETCLUSTER: Self = Self(0);

    /// A block of an event stream.
    pub(crate) const EVENT_STREAM: Self = Self(1);

    /// SocketStream's event, in a text message of Engine.IO.
    pub(crate) const SOCKETSTREAM: Self = Self(8);

    /// An event of the services of SocketStream 0.4, in a text frame.
    pub(crate) const SERVICES: Self = Self(9);

    /// The same, in a text message of Engine.IO.
    pub(crate) const ENGINE_SERVICES: Self = Self(10);

    /// SocketCluster 0.9's event, in a text message of Engine.IO.
    pub(crate) const SOCKETCLUSTER_09: Self = Self(11);

    /// Namespaces of Socket.IO that have forms.
    pub(crate) const NAMESPACES_MAX: usize = 32;

    /// Socket.IO's event, named as the channel is; what is binary in it in frames of their own.
    pub(crate) const fn socketio(version: Version, namespace: u8) -> Self {
        debug_assert!((namespace as usize) < Self::NAMESPACES_MAX, "namespaces are counted when they are told");
        Self(namespace as u16 | if matches!(version, Version::V4) { SOCKETIO_4 } else { SOCKETIO_3 })
    }

    /// The same, compressed for a window of that size.
    pub(crate) const fn compressed(self, window_bits: u8) -> Self {
        Self(self.0 | ((window_bits - WINDOW_BITS_MIN + 1) as u16) << WINDOW_SHIFT)
    }

    /// The form before compression, and the window that it is compressed for.
    const fn parts(self) -> (Self, Option<u8>) {
        let plain = Self(self.0 & ((1 << WINDOW_SHIFT) - 1));
        match (self.0 >> WINDOW_SHIFT) as u8 {
            0 => (plain, None),
            group => (plain, Some(group - 1 + WINDOW_BITS_MIN)),
        }
    }

    /// Of Socket.IO's namespaces.
    pub(crate) const fn namespace(self) -> u8 {
        (self.0 & NAMESPACE_MASK) as u8
    }

    pub(crate) const fn from_bits(bits: u16) -> Self {
        Self(bits)
    }

    pub(crate) const fn bits(self) -> u16 {
        self.0
    }
}

const SOCKETIO_4: u16 = 32;
const SOCKETIO_3: u16 = 64;
const NAMESPACE_MASK: u16 = 31;

/// Above the seven bits of what is spoken: none, or one of seven windows.
const WINDOW_SHIFT: u16 = 7;

/// What is sent to many, in whatever form.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Push<'a> {
    /// Something was published to a channel.
    Publication { channel: &'a str, data: Option<RawJson<'a>>, terms: Terms },
    /// The application has addressed people.
    Event { event: &'a str, data: Option<RawJson<'a>>, audience: Audience, names: &'a str },
}

impl<'a> Push<'a> {
    /// The event as which a push is told where publications are events, named like their channels.
    pub(crate) const fn as_event(self) -> (&'a str, Option<RawJson<'a>>) {
        match self {
            Self::Publication { channel, data, .. } => (channel, data),
            Self::Event { event, data, .. } => (event, data),
        }
    }
}

/// A push as it was written in one form: where in the turn's shared arena.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Written {
    pub(crate) form: Form,
    pub(crate) start: u32,
    pub(crate) end: u32,
    /// Its number, where it has one.
    pub(crate) offset: u64,
}

impl Shard {
    /// The push at hand in this form, written now unless it was before.
    pub(crate) fn written(&mut self, form: Form, push: Push<'_>) -> Written {
        if let Some(written) = self.written.iter().find(|written| written.form == form) {
            return *written;
        }
        if self.channels.policies.may_drop() {
            self.turn.note_pushed(self.terms(form, push));
        }
        let start = self.turn.end(Arena::Shared);
        let (plain, window_bits) = form.parts();
        self.write_form(plain, push);
        if let Some(window_bits) = window_bits {
            self.compress_push(window_bits, start);
        }
        let offset = self.recovery.as_ref().map_or(0, |recoveries| recoveries.offset());
        let written = Written { form, start, end: self.turn.end(Arena::Shared), offset };
        self.written.push(written);
        written
    }

    /// On which terms a push waits: one of a channel for those of this form.
    fn terms(&self, form: Form, push: Push<'_>) -> Terms {
        match push {
            Push::Publication { terms, .. } => Terms { key: terms.key << 16 | u64::from(form.bits()), ..terms },
            Push::Event { event, audience: Audience::Channels, names, .. } if event != PRESENCE_EVENT => {
                self.event_terms(form, names, event)
            }
            Push::Event { .. } => Terms { policy: self.channels.policies.of_events(), key: 0 },
        }
    }

    /// An event to a channel waits as its publications do. Where only the latest waits, that is the latest of each name.
    fn event_terms(&self, form: Form, channel: &str, event: &str) -> Terms {
        let slot = self.channels.find(channel).expect("an event is written for subscribers, of whom the channel knows");
        let Terms { policy, key } = self.channels.channel(slot).terms();
        let hash = FixedState::with_seed(self.seed).hash_one((key, form.bits(), event));
        // Those of publications are counted, and never come that far.
        Terms { policy, key: hash | 1 << 63 }
    }

    /// Appends whole frames to the shared arena.
    fn write_form(&mut self, form: Form, push: Push<'_>) {
        match form {
            Form::EVENT_STREAM => return write_event_stream(&mut self.turn.shared, push),
            Form::SOCKETSTREAM => return write_socketstream(&mut self.turn.shared, push),
            Form::SERVICES => return write_services(&mut self.turn.shared, false, push),
            Form::ENGINE_SERVICES => return write_services(&mut self.turn.shared, true, push),
            Form::SOCKETCLUSTER_09 => return write_socketcluster_09(&mut self.turn.shared, push),
            _ => {}
        }
        match form.0 & !NAMESPACE_MASK {
            SOCKETIO_4 => self.write_socketio(Version::V4, (form.0 & NAMESPACE_MASK) as u8, push),
            SOCKETIO_3 => self.write_socketio(Version::V3, (form.0 & NAMESPACE_MASK) as u8, push),
            _ => write_socketcluster(&mut self.turn.shared, push),
        }
    }
}

fn write_event_stream(out: &mut Vec<u8>, push: Push<'_>) {
    match push {
        Push::Publication { channel, data, .. } => eventstream::publication(out, channel, data),
        Push::Event { event, data, .. } => eventstream::event(out, event, data),
    }
}

fn write_socketcluster(out: &mut Vec<u8>, push: Push<'_>) {
    match push {
        Push::Publication { channel, data, .. } => {
            let hint = socketcluster::publication_length_hint(channel, data);
            encode::frame_with(out, Opcode::Text, hint, |out| socketcluster::publication(out, channel, data));
        }
        Push::Event { event, data, .. } => {
            let hint = 24 + event.len() + data.map_or(0, |data| data.as_str().len());
            encode::frame_with(out, Opcode::Text, hint, |out| socketcluster::event(out, event, data));
        }
    }
}
