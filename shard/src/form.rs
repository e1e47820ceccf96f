//! The forms in which a push is written: one for each way of saying it that some connection needs. A publication or an
//! event is written once for each form that is in use among those here who are to have it, however many they are, and not
//! at all in the others. A form never depends on who the receiver is.

use codec::message::RawJson;
use codec::socketcluster::encode as socketcluster;
use codec::websocket::{Opcode, encode};

use crate::shard::Shard;
use crate::turn::Arena;

/// How a subscription's publications are written; one byte of its entry in the channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Form(u8);

impl Form {
    /// SocketCluster's `#publish`, in a text frame.
    pub(crate) const SOCKETCLUSTER: Self = Self(0);

    pub(crate) const fn from_byte(byte: u8) -> Self {
        Self(byte)
    }

    pub(crate) const fn byte(self) -> u8 {
        self.0
    }
}

/// What is sent to many, in whatever form.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Push<'a> {
    /// Something was published to a channel.
    Publication { channel: &'a str, data: Option<RawJson<'a>> },
    /// The application has addressed people.
    Event { event: &'a str, data: Option<RawJson<'a>> },
}

/// A push as it was written in one form: where in the turn's shared arena.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Written {
    pub(crate) form: Form,
    pub(crate) start: u32,
    pub(crate) end: u32,
}

impl Shard {
    /// The push at hand in this form, written now unless it was before.
    pub(crate) fn written(&mut self, form: Form, push: Push<'_>) -> Written {
        if let Some(written) = self.written.iter().find(|written| written.form == form) {
            return *written;
        }
        let start = self.turn.end(Arena::Shared);
        write(&mut self.turn.shared, form, push);
        let written = Written { form, start, end: self.turn.end(Arena::Shared) };
        self.written.push(written);
        written
    }
}

/// Appends whole frames.
fn write(out: &mut Vec<u8>, form: Form, push: Push<'_>) {
    debug_assert_eq!(form, Form::SOCKETCLUSTER, "the only one there is");
    match push {
        Push::Publication { channel, data } => {
            let hint = socketcluster::publication_length_hint(channel, data);
            encode::frame_with(out, Opcode::Text, hint, |out| socketcluster::publication(out, channel, data));
        }
        Push::Event { event, data } => {
            let hint = 24 + event.len() + data.map_or(0, |data| data.as_str().len());
            encode::frame_with(out, Opcode::Text, hint, |out| socketcluster::event(out, event, data));
        }
    }
}
