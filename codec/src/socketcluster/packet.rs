//! The fields that packets of both directions are made of, taken out in the same pass that validates the text. It never
//! judges their meaning: a field of a type that the protocol has no use for counts as absent.

use super::DecodeError;
use crate::json::{JsonError, JsonLimits, Kind, Scanner, Span, Value, unescape_onto};
use crate::message::{CallId, RawJson};

/// Reusable memory for the packets of one message after the other. Nothing in it outlives a message.
#[derive(Debug, Default)]
pub(super) struct Packets {
    fields: Vec<Fields>,
    /// What strings with escapes stand for, one behind the other.
    unescaped: String,
}

impl Packets {
    /// Validates `text` and takes the packets out of it: the elements of an array, or the one value that is no array.
    #[inline]
    pub(super) fn scan<'a>(
        &'a mut self,
        text: &'a str,
        json: JsonLimits,
        batch_messages_max: usize,
    ) -> Result<Found<'a>, DecodeError> {
        self.fields.clear();
        self.unescaped.clear();
        if self.retained_bytes() > RETAINED_BYTES_MAX {
            *self = Self::default();
        }
        let mut scanner = Scanner::new(text, json).map_err(DecodeError::Json)?;
        let count = self.read(&mut scanner, text, batch_messages_max).map_err(DecodeError::Json)?;
        scanner.finish().map_err(DecodeError::Json)?;
        if count > batch_messages_max {
            return Err(DecodeError::BatchTooLong { batch_messages_max });
        }
        Ok(Found { text, unescaped: &self.unescaped, fields: self.fields.iter() })
    }

    /// Gives the number of packets; no more than the limit are taken out.
    #[inline]
    fn read(&mut self, scanner: &mut Scanner<'_>, text: &str, count_max: usize) -> Result<usize, JsonError> {
        let mut count = 1;
        match scanner.kind() {
            Some(Kind::Object) => self.read_packet(scanner, text)?,
            Some(Kind::Array) => {
                count = 0;
                scanner.array(|scanner| {
                    count += 1;
                    if count > count_max {
                        return scanner.value().map(drop);
                    }
                    if scanner.kind() == Some(Kind::Object) {
                        return self.read_packet(scanner, text);
                    }
                    self.fields.push(Fields::default());
                    scanner.value().map(drop)
                })?;
            }
            _ => {
                self.fields.push(Fields::default());
                scanner.value()?;
            }
        }
        Ok(count)
    }

    fn read_packet(&mut self, scanner: &mut Scanner<'_>, text: &str) -> Result<(), JsonError> {
        let mut ahead = scanner.clone();
        let Some(usual) = Usual::read(&mut ahead, text) else { return self.read_unusual_packet(scanner, text) };
        scanner.resume(&ahead);
        self.fields.push(usual.into_fields());
        Ok(())
    }

    /// A key that occurs twice counts with its last value, as in `JSON.parse`.
    #[inline(never)]
    fn read_unusual_packet(&mut self, scanner: &mut Scanner<'_>, text: &str) -> Result<(), JsonError> {
        let mut fields = Fields::default();
        let unescaped = &mut self.unescaped;
        let mut has_escapes = false;
        scanner.object(|scanner, key| {
            match PacketKey::of(key, text, unescaped) {
                PacketKey::Event => fields.event = string(scanner.value()?, &mut has_escapes),
                PacketKey::Data => fields.read_data(scanner, text, unescaped, &mut has_escapes)?,
                PacketKey::Call => fields.call = id(scanner.value()?),
                PacketKey::Reply => fields.reply = id(scanner.value()?),
                PacketKey::Error => {
                    let value = scanner.value()?;
                    fields.error = if value.kind == Kind::Null { Span::default() } else { value.span };
                }
                PacketKey::Other => scanner.value().map(drop)?,
            }
            Ok(())
        })?;
        if has_escapes {
            fields.unescape(text, unescaped);
        }
        self.fields.push(fields);
        Ok(())
    }

    /// Memory kept between two messages.
    pub(super) fn retained_bytes(&self) -> usize {
        self.fields.capacity() * size_of::<Fields>() + self.unescaped.capacity()
    }
}

/// Kept between two messages: the default batch of 1,000 packets needs a tenth, names with escapes next to nothing.
const RETAINED_BYTES_MAX: usize = 1024 * 1024;

/// The packets that were found in one message, in order.
#[derive(Clone, Debug, Default)]
pub(super) struct Found<'a> {
    text: &'a str,
    unescaped: &'a str,
    fields: std::slice::Iter<'a, Fields>,
}

impl<'a> Iterator for Found<'a> {
    type Item = Packet<'a>;

    #[inline]
    fn next(&mut self) -> Option<Packet<'a>> {
        self.nth(0)
    }

    #[inline]
    fn nth(&mut self, skipped: usize) -> Option<Packet<'a>> {
        let fields = self.fields.nth(skipped)?;
        Some(Packet { text: self.text, unescaped: self.unescaped, fields })
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.fields.size_hint()
    }
}

impl ExactSizeIterator for Found<'_> {}

/// Where the fields of one packet lie. A value that is no object has none.
#[derive(Clone, Copy, Debug, Default)]
struct Fields {
    event: Span,
    data: Span,
    call: Span,
    reply: Span,
    error: Span,
    inner: Inner,
    /// What `data` stands for, and `data.data`, where they are strings with escapes and the event has them read.
    data_text: Span,
    inner_data_text: Span,
}

/// Where the members of `data` lie that any event knows.
#[derive(Clone, Copy, Debug, Default)]
struct Inner {
    channel: Span,
    data: Span,
    auth_token: Span,
    token: Span,
    message: Span,
    code: Span,
}

/// In the start of a span: it is one of the unescaped text. Texts have less than 2 GiB, so the bit is free.
const UNESCAPED: u32 = 1 << 31;

impl Fields {
    #[inline]
    fn read_data(
        &mut self,
        scanner: &mut Scanner<'_>,
        text: &str,
        unescaped: &mut String,
        has_escapes: &mut bool,
    ) -> Result<(), JsonError> {
        self.inner = Inner::default();
        if scanner.kind() != Some(Kind::Object) {
            let value = scanner.value()?;
            *has_escapes |= value.has_escapes;
            self.data = value.span;
            return Ok(());
        }
        let inner = &mut self.inner;
        self.data = scanner.object(|scanner, key| {
            let key = DataKey::of(key, text, unescaped);
            let value = scanner.value()?;
            match key {
                DataKey::Channel => inner.channel = string(value, has_escapes),
                DataKey::Data => {
                    *has_escapes |= value.has_escapes;
                    inner.data = value.span;
                }
                DataKey::AuthToken => inner.auth_token = string(value, has_escapes),
                DataKey::Token => inner.token = string(value, has_escapes),
                DataKey::Message => inner.message = string(value, has_escapes),
                DataKey::Code => inner.code = value.span,
                DataKey::Other => {}
            }
            Ok(())
        })?;
        Ok(())
    }

    /// Writes down what the strings with escapes stand for that this packet's event has read.
    #[cold]
    fn unescape(&mut self, text: &str, unescaped: &mut String) {
        unescape_in_place(&mut self.event, text, unescaped);
        match text_of(self.event, text, unescaped) {
            Some("#disconnect") => self.inner_data_text = self.inner.data.if_string(text),
            Some(event) if event.starts_with('#') => {}
            _ => return,
        }
        self.data_text = self.data.if_string(text);
        let inner = &mut self.inner;
        for span in [
            &mut self.data_text,
            &mut self.inner_data_text,
            &mut inner.channel,
            &mut inner.auth_token,
            &mut inner.token,
            &mut inner.message,
        ] {
            unescape_in_place(span, text, unescaped);
        }
    }
}

/// The fields of a packet that is written as every client writes events.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Usual {
    pub(super) event: Span,
    pub(super) data: Span,
    pub(super) call: Span,
    /// `data.channel` and `data.data`, of an event that is about a channel.
    pub(super) channel: Span,
    pub(super) inner_data: Span,
}

impl Usual {
    /// Takes the fields out of a text that is one such packet and nothing else.
    #[inline]
    pub(super) fn of_text(text: &str, json: JsonLimits) -> Option<Self> {
        let mut scanner = Scanner::new(text, json).ok()?;
        let usual = Self::read(&mut scanner, text)?;
        (scanner.place() == text.len()).then_some(usual)
    }

    /// Reads the packet that begins here if it is written as every SocketCluster client writes events (`JSON.stringify`
    /// without whitespace, members in this order, no escapes in names); otherwise the scanner is anywhere. It only ever
    /// takes what the general way takes, and finds the same fields for it, but for those of `data` that the event does
    /// not know.
    #[inline]
    fn read(scanner: &mut Scanner<'_>, text: &str) -> Option<Self> {
        if !scanner.allows(2) || !scanner.take(br#"{"event":"#) {
            return None;
        }
        let mut usual = Self { event: scanner.take_plain_string()?, ..Self::default() };
        let has_data = scanner.take(br#","data":"#);
        if usual.event.inside(text).as_bytes().first() == Some(&b'#') {
            let is_of_channel = matches!(usual.event.inside(text).as_bytes(), b"#publish" | b"#subscribe");
            let start = scanner.place();
            if !is_of_channel || !has_data || !scanner.take(br#"{"channel":"#) {
                return None;
            }
            usual.channel = scanner.take_plain_string()?;
            if scanner.take(br#","data":"#) {
                usual.inner_data = scanner.take_value(2)?;
            }
            if !scanner.take(b"}") {
                return None;
            }
            usual.data = scanner.span(start);
        } else if has_data {
            usual.data = scanner.take_value(1)?;
        }
        if scanner.take(br#","cid":"#) {
            usual.call = scanner.take_number()?;
        }
        scanner.take(b"}").then_some(usual)
    }

    fn into_fields(self) -> Fields {
        let inner = Inner { channel: self.channel, data: self.inner_data, ..Inner::default() };
        Fields { event: self.event, data: self.data, call: self.call, inner, ..Fields::default() }
    }
}

/// What the string at a span of either text stands for.
#[inline]
fn text_of<'a>(span: Span, text: &'a str, unescaped: &'a str) -> Option<&'a str> {
    if span.is_absent() {
        None
    } else if span.start & UNESCAPED == 0 {
        Some(span.inside(text))
    } else {
        Some(&unescaped[(span.start & !UNESCAPED) as usize..span.end as usize])
    }
}

/// Lets a string's span point to what it stands for, where that differs from what is written.
fn unescape_in_place(span: &mut Span, text: &str, unescaped: &mut String) {
    if span.is_absent() || !span.inside(text).contains('\\') {
        return;
    }
    let start = place(unescaped.len()) | UNESCAPED;
    unescape_onto(unescaped, span.inside(text)).expect("the scanner has checked every escape");
    *span = Span { start, end: place(unescaped.len()) };
}

fn place(length: usize) -> u32 {
    u32::try_from(length).expect("an unescaped string is shorter than it is written, and the text has less than 2 GiB")
}

/// The span of a string; absent for another kind of value.
#[inline]
fn string(value: Value, has_escapes: &mut bool) -> Span {
    *has_escapes |= value.has_escapes;
    if value.kind == Kind::String { value.span } else { Span::default() }
}

/// v2 servers take numbers only, v1 servers anything truthy; numbers (0 too) and strings are what clients send.
#[inline]
fn id(value: Value) -> Span {
    if matches!(value.kind, Kind::Number | Kind::String) { value.span } else { Span::default() }
}

/// A packet's keys.
#[derive(Clone, Copy)]
enum PacketKey {
    Event,
    Data,
    Call,
    Reply,
    Error,
    Other,
}

impl PacketKey {
    #[inline]
    fn of(key: Value, text: &str, unescaped: &mut String) -> Self {
        let named = |name: &str| match name.as_bytes() {
            b"event" => Self::Event,
            b"data" => Self::Data,
            b"cid" => Self::Call,
            b"rid" => Self::Reply,
            b"error" => Self::Error,
            _ => Self::Other,
        };
        let name = key.span.inside(text);
        if key.has_escapes { with_unescaped(name, unescaped, named) } else { named(name) }
    }
}

/// The keys of a packet's `data`.
#[derive(Clone, Copy)]
enum DataKey {
    Channel,
    Data,
    AuthToken,
    Token,
    Message,
    Code,
    Other,
}

impl DataKey {
    #[inline]
    fn of(key: Value, text: &str, unescaped: &mut String) -> Self {
        let named = |name: &str| match name.as_bytes() {
            b"channel" => Self::Channel,
            b"data" => Self::Data,
            b"authToken" => Self::AuthToken,
            b"token" => Self::Token,
            b"message" => Self::Message,
            b"code" => Self::Code,
            _ => Self::Other,
        };
        let name = key.span.inside(text);
        if key.has_escapes { with_unescaped(name, unescaped, named) } else { named(name) }
    }
}

/// No client escapes keys. One that is longer than any of ours, each letter as `\u0000`, is not looked at.
#[cold]
fn with_unescaped<T>(name: &str, unescaped: &mut String, named: impl FnOnce(&str) -> T) -> T {
    let start = unescaped.len();
    if name.len() <= 6 * "authToken".len() {
        unescape_onto(unescaped, name).expect("the scanner has checked every escape");
    }
    let key = named(&unescaped[start..]);
    unescaped.truncate(start);
    key
}

/// What one packet says.
#[derive(Clone, Copy, Debug)]
pub(super) struct Packet<'a> {
    text: &'a str,
    unescaped: &'a str,
    fields: &'a Fields,
}

/// A call id, or one that is longer than ids may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Id<'a> {
    Good(CallId<'a>),
    TooLong,
}

impl<'a> Packet<'a> {
    #[inline]
    pub(super) fn event(self) -> Option<&'a str> {
        self.string(self.fields.event)
    }

    #[inline]
    pub(super) fn data(self) -> Option<RawJson<'a>> {
        self.raw(self.fields.data)
    }

    /// `data`, if it is a string; of protocol events only.
    pub(super) fn data_text(self) -> Option<&'a str> {
        self.string_of(self.fields.data, self.fields.data_text)
    }

    /// The sender wants an answer with this id.
    #[inline]
    pub(super) fn call(self, call_id_bytes_max: usize) -> Option<Id<'a>> {
        self.id(self.fields.call, call_id_bytes_max)
    }

    /// This is the answer to the call with this id.
    #[inline]
    pub(super) fn reply(self, call_id_bytes_max: usize) -> Option<Id<'a>> {
        self.id(self.fields.reply, call_id_bytes_max)
    }

    /// What an answer says. An error that is `null` is none.
    pub(super) fn outcome(self) -> Result<Option<RawJson<'a>>, RawJson<'a>> {
        match self.raw(self.fields.error) {
            Some(error) => Err(error),
            None => Ok(self.data()),
        }
    }

    /// `data.channel`.
    #[inline]
    pub(super) fn channel(self) -> Option<&'a str> {
        self.string(self.fields.inner.channel)
    }

    /// `data.data`.
    #[inline]
    pub(super) fn inner_data(self) -> Option<RawJson<'a>> {
        self.raw(self.fields.inner.data)
    }

    /// `data.data`, if it is a string; of `#disconnect` only.
    pub(super) fn inner_data_text(self) -> Option<&'a str> {
        self.string_of(self.fields.inner.data, self.fields.inner_data_text)
    }

    /// `data.authToken`.
    pub(super) fn auth_token(self) -> Option<&'a str> {
        self.string(self.fields.inner.auth_token)
    }

    /// `data.token`.
    pub(super) fn token(self) -> Option<&'a str> {
        self.string(self.fields.inner.token)
    }

    /// `data.message`.
    pub(super) fn message(self) -> Option<&'a str> {
        self.string(self.fields.inner.message)
    }

    /// `data.code`, if it is a number of no more than 16 bits as written (no sign, fraction or exponent).
    pub(super) fn code(self) -> Option<u16> {
        self.raw(self.fields.inner.code)?.as_str().parse().ok()
    }

    #[inline]
    fn raw(self, span: Span) -> Option<RawJson<'a>> {
        (!span.is_absent()).then(|| span.raw(self.text))
    }

    #[inline]
    fn string(self, span: Span) -> Option<&'a str> {
        text_of(span, self.text, self.unescaped)
    }

    /// The text of a value that is kept as it is written, too.
    fn string_of(self, written: Span, unescaped: Span) -> Option<&'a str> {
        self.string(if unescaped.is_absent() { written.if_string(self.text) } else { unescaped })
    }

    #[inline]
    fn id(self, span: Span, call_id_bytes_max: usize) -> Option<Id<'a>> {
        let raw = self.raw(span)?;
        Some(if raw.as_str().len() > call_id_bytes_max { Id::TooLong } else { Id::Good(CallId::new(raw)) })
    }
}

#[cfg(test)]
mod tests;
