//! The fields that packets of both directions are made of. It never judges their meaning: a field of a type that the
//! protocol has no use for counts as absent.

use super::DecodeError;
use crate::json::{Document, ElementCursor, Kind, Scanner, Value};
use crate::message::{CallId, RawJson};

/// The packets of one message: the elements of an array, or the one value that is no array.
#[derive(Debug)]
pub(super) struct Packets<'a> {
    document: Document<'a>,
    /// How far the array has been read; absent where the message is none.
    cursor: Option<ElementCursor>,
    remaining: usize,
}

impl<'a> Packets<'a> {
    pub(super) fn scan(
        scanner: &'a mut Scanner,
        text: &'a str,
        batch_messages_max: usize,
    ) -> Result<Self, DecodeError> {
        let document = scanner.scan(text).map_err(DecodeError::Json)?;
        let root = document.root();
        let elements = root.elements();
        let (cursor, remaining) = match root.kind() {
            Kind::Array => (Some(elements.cursor()), elements.len()),
            _ => (None, 1),
        };
        if remaining > batch_messages_max {
            return Err(DecodeError::BatchTooLong { batch_messages_max });
        }
        Ok(Self { document, cursor, remaining })
    }

    pub(super) const fn remaining(&self) -> usize {
        self.remaining
    }

    /// Reads the next packet.
    pub(super) fn next<T>(&mut self, read: impl FnOnce(Value<'_, 'a>) -> T) -> Option<T> {
        self.remaining = self.remaining.checked_sub(1)?;
        let Some(cursor) = &mut self.cursor else {
            return Some(read(self.document.root()));
        };
        let mut elements = self.document.elements_from(*cursor);
        let value = elements.next()?;
        *cursor = elements.cursor();
        Some(read(value))
    }
}

/// What one JSON object says, where a key that occurs twice counts with its last value, as in `JSON.parse`.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Packet<'d, 'a> {
    pub(super) event: Option<&'a str>,
    pub(super) data: Option<Value<'d, 'a>>,
    /// The sender wants an answer with this id.
    pub(super) call: Option<Id<'a>>,
    /// This is the answer to the call with this id.
    pub(super) reply: Option<Id<'a>>,
    /// Absent where it is `null`.
    pub(super) error: Option<Value<'d, 'a>>,
}

/// A call id, or one that is longer than ids may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Id<'a> {
    Good(CallId<'a>),
    TooLong,
}

impl<'d, 'a> Packet<'d, 'a> {
    /// Reads the fields of an object; another kind of value has none.
    pub(super) fn read(object: Value<'d, 'a>, call_id_bytes_max: usize) -> Self {
        let mut packet = Packet::default();
        for (key, value) in object.members() {
            match key {
                "event" => packet.event = value.as_str(),
                "data" => packet.data = Some(value),
                "cid" => packet.call = Id::read(value, call_id_bytes_max),
                "rid" => packet.reply = Id::read(value, call_id_bytes_max),
                "error" => packet.error = (value.kind() != Kind::Null).then_some(value),
                _ => {}
            }
        }
        packet
    }

    /// What an answer says.
    pub(super) fn outcome(&self) -> Result<Option<RawJson<'a>>, RawJson<'a>> {
        match self.error {
            Some(error) => Err(error.raw()),
            None => Ok(self.data.map(Value::raw)),
        }
    }
}

impl<'a> Id<'a> {
    /// v2 servers take numbers only, v1 servers anything truthy; numbers (0 too) and strings are what clients send.
    fn read(value: Value<'_, 'a>, call_id_bytes_max: usize) -> Option<Self> {
        if !matches!(value.kind(), Kind::Number | Kind::String) {
            return None;
        }
        let raw = value.raw();
        Some(if raw.as_str().len() > call_id_bytes_max { Self::TooLong } else { Self::Good(CallId::new(raw)) })
    }
}

/// The last member of an object with this name.
pub(super) fn member<'d, 'a>(object: Value<'d, 'a>, name: &str) -> Option<Value<'d, 'a>> {
    object.members().filter(|(key, _)| *key == name).last().map(|(_, value)| value)
}
