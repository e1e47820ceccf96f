//! Server to client, 0.3 to 0.5: each function appends one message as the transport carries it.

use crate::json::write_string;
use crate::message::RawJson;

/// The client may speak.
pub const READY: &str = "X|OK";

/// Whom an event is for: what clients are told of that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum To<'a> {
    /// Everybody.
    Everyone,
    /// These users.
    Users(&'a [&'a str]),
    /// Sessions, whose ids concern nobody else.
    Sessions,
    /// The subscribers of a channel.
    Channel(&'a str),
    /// The subscribers of any of these channels.
    Channels(&'a [&'a str]),
    /// One connection, by its public id.
    Connection(&'a str),
}

/// Answers a call: with one result or none, or with an error, which is an object with a `message`, or a string.
pub fn answer(out: &mut Vec<u8>, id: &str, outcome: Result<Option<RawJson<'_>>, RawJson<'_>>) {
    out.extend_from_slice(b"1|{");
    if !id.is_empty() {
        out.extend_from_slice(b"\"id\":");
        out.extend_from_slice(id.as_bytes());
        out.push(b',');
    }
    write_outcome(out, outcome);
    out.push(b'}');
}

/// An event with one argument, or none.
pub fn event(out: &mut Vec<u8>, to: To<'_>, name: &str, data: Option<RawJson<'_>>) {
    out.extend_from_slice(b"0|{\"t\":");
    match to {
        To::Everyone => out.extend_from_slice(b"\"all\""),
        To::Users(users) => {
            out.extend_from_slice(b"\"user\",\"users\":");
            write_names(out, users);
        }
        To::Sessions => out.extend_from_slice(b"\"session\""),
        To::Channel(channel) => {
            out.extend_from_slice(b"\"channel\",\"channels\":");
            write_names(out, &[channel]);
        }
        To::Channels(channels) => {
            out.extend_from_slice(b"\"channel\",\"channels\":");
            write_names(out, channels);
        }
        To::Connection(id) => {
            out.extend_from_slice(b"\"socketId\",\"socketId\":");
            write_string(out, id);
        }
    }
    out.extend_from_slice(b",\"e\":");
    write_string(out, name);
    write_list(out, data);
    out.extend_from_slice(b"}|");
    let meta = match to {
        To::Users(&[name]) | To::Channels(&[name]) | To::Channel(name) => name,
        To::Users(_) | To::Channels(_) | To::Everyone | To::Sessions | To::Connection(_) => "null",
    };
    // Clients cut at the last bar: one in the name would cut into the JSON.
    let meta = if meta.contains('|') { "null" } else { meta };
    out.extend_from_slice(meta.as_bytes());
}

/// `"p":[…]` or `"e":{…}`.
pub(super) fn write_outcome(out: &mut Vec<u8>, outcome: Result<Option<RawJson<'_>>, RawJson<'_>>) {
    match outcome {
        Ok(data) => {
            out.extend_from_slice(b"\"p\":[");
            out.extend_from_slice(data.map_or("", RawJson::as_str).as_bytes());
            out.push(b']');
        }
        Err(error) if error.as_str().starts_with('{') => {
            out.extend_from_slice(b"\"e\":");
            out.extend_from_slice(error.as_str().as_bytes());
        }
        Err(error) => {
            out.extend_from_slice(b"\"e\":{\"message\":");
            out.extend_from_slice(error.as_str().as_bytes());
            out.push(b'}');
        }
    }
}

/// `,"p":[…]`.
pub(super) fn write_list(out: &mut Vec<u8>, data: Option<RawJson<'_>>) {
    out.push(b',');
    write_outcome(out, Ok(data));
}

fn write_names(out: &mut Vec<u8>, names: &[&str]) {
    out.push(b'[');
    for (index, name) in names.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        write_string(out, name);
    }
    out.push(b']');
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(write: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        write(&mut out);
        String::from_utf8(out).expect("text")
    }

    fn raw(text: &str) -> RawJson<'_> {
        RawJson::from_validated(text)
    }

    #[test]
    fn answers_repeat_the_id_of_their_call() {
        assert_eq!(text(|out| answer(out, "1", Ok(Some(raw("25"))))), r#"1|{"id":1,"p":[25]}"#);
        assert_eq!(text(|out| answer(out, "\"a\"", Ok(None))), r#"1|{"id":"a","p":[]}"#);
        assert_eq!(text(|out| answer(out, "", Ok(Some(raw("9"))))), r#"1|{"p":[9]}"#);
        let error = raw(r#"{"message":"no"}"#);
        assert_eq!(text(|out| answer(out, "6", Err(error))), r#"1|{"id":6,"e":{"message":"no"}}"#);
        assert_eq!(text(|out| answer(out, "6", Err(raw("\"no\"")))), r#"1|{"id":6,"e":{"message":"no"}}"#);
    }

    #[test]
    fn events_say_whom_they_are_for() {
        let of = |to| text(|out| event(out, to, "news", Some(raw("[1]"))));
        assert_eq!(of(To::Everyone), r#"0|{"t":"all","e":"news","p":[[1]]}|null"#);
        assert_eq!(of(To::Users(&["a"])), r#"0|{"t":"user","users":["a"],"e":"news","p":[[1]]}|a"#);
        assert_eq!(of(To::Users(&["a", "b"])), r#"0|{"t":"user","users":["a","b"],"e":"news","p":[[1]]}|null"#);
        assert_eq!(of(To::Sessions), r#"0|{"t":"session","e":"news","p":[[1]]}|null"#);
        assert_eq!(of(To::Channel("c")), r#"0|{"t":"channel","channels":["c"],"e":"news","p":[[1]]}|c"#);
        assert_eq!(
            of(To::Channels(&["c", "d"])),
            r#"0|{"t":"channel","channels":["c","d"],"e":"news","p":[[1]]}|null"#
        );
        assert_eq!(of(To::Connection("x")), r#"0|{"t":"socketId","socketId":"x","e":"news","p":[[1]]}|null"#);
        assert_eq!(text(|out| event(out, To::Everyone, "e", None)), r#"0|{"t":"all","e":"e","p":[]}|null"#);
    }

    #[test]
    fn a_bar_in_a_name_does_not_cut_an_event() {
        let written = text(|out| event(out, To::Channel("a|b"), "e", None));
        assert_eq!(written, r#"0|{"t":"channel","channels":["a|b"],"e":"e","p":[]}|null"#);
    }
}
