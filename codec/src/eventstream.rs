//! Server-sent events (`text/event-stream`, HTML Living Standard section 9.2): blocks of lines, one event each, and a blank
//! line behind each. One direction only; what is written is always whole blocks, so that a stream may end after any of them.

use std::time::Duration;

use crate::http::response::push_safe;
use crate::json::write_string;
use crate::message::RawJson;
use crate::socketcluster::encode::write_decimal;

/// A comment: nothing to the page, a sign of life to what is between.
pub const HEARTBEAT: &[u8] = b":\n\n";

/// Appends what a publication is to a page: a `message`, whose data names the channel. A channel may be called anything,
/// `error` as well, so that it is not the event's name.
pub fn publication(out: &mut Vec<u8>, channel: &str, data: Option<RawJson<'_>>) {
    out.extend_from_slice(b"data: {\"channel\":");
    write_string(out, channel);
    if let Some(data) = data {
        out.extend_from_slice(b",\"data\":");
        push_lines(out, data.as_str());
    }
    out.extend_from_slice(b"}\n\n");
}

/// Appends an event with a name. Without data it has `null`: a page is not told of events that have none at all.
pub fn event(out: &mut Vec<u8>, name: &str, data: Option<RawJson<'_>>) {
    out.extend_from_slice(b"event: ");
    push_safe(out, name);
    out.extend_from_slice(b"\ndata: ");
    push_lines(out, data.unwrap_or(RawJson::NULL).as_str());
    out.extend_from_slice(b"\n\n");
}

/// Appends how long the page is to wait before it comes back.
pub fn retry(out: &mut Vec<u8>, wait: Duration) {
    out.extend_from_slice(b"retry: ");
    write_decimal(out, u64::try_from(wait.as_millis()).unwrap_or(u64::MAX));
    out.extend_from_slice(b"\n\n");
}

/// Appends JSON inside of a `data` field. Its line breaks, which it has between tokens only, become the field's own.
fn push_lines(out: &mut Vec<u8>, json: &str) {
    let mut lines = json.split(['\n', '\r']);
    out.extend_from_slice(lines.next().unwrap_or_default().as_bytes());
    for line in lines {
        out.extend_from_slice(b"\ndata: ");
        out.extend_from_slice(line.as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The events of a stream as a browser dispatches them: their names and data.
    fn dispatched(stream: &[u8]) -> Vec<(String, String)> {
        let text = std::str::from_utf8(stream).expect("text").replace("\r\n", "\n").replace('\r', "\n");
        let (mut events, mut name, mut data) = (Vec::new(), String::new(), String::new());
        for line in text.split('\n') {
            if line.is_empty() {
                if let Some(data) = data.strip_suffix('\n') {
                    let name = if name.is_empty() { "message" } else { &name };
                    events.push((name.to_owned(), data.to_owned()));
                }
                name.clear();
                data.clear();
                continue;
            }
            let (field, value) = line.split_once(':').unwrap_or((line, ""));
            let value = value.strip_prefix(' ').unwrap_or(value);
            match field {
                "event" => value.clone_into(&mut name),
                "data" => {
                    data.push_str(value);
                    data.push('\n');
                }
                _ => {}
            }
        }
        events
    }

    fn json(text: &str) -> Option<RawJson<'_>> {
        Some(RawJson::from_validated(text))
    }

    #[test]
    fn publications_are_messages_that_name_their_channel() {
        let mut out = Vec::new();
        publication(&mut out, "news", json("{\"a\":1}"));
        publication(&mut out, "a \"b\"\n", None);
        assert_eq!(
            String::from_utf8_lossy(&out),
            "data: {\"channel\":\"news\",\"data\":{\"a\":1}}\n\ndata: {\"channel\":\"a \\\"b\\\"\\n\"}\n\n"
        );
    }

    #[test]
    fn data_of_several_lines_stays_the_same_data() {
        for text in ["{\n\"a\":\r\n1}", "\r\r[1,\n\n2]", "\n1\n"] {
            let mut out = Vec::new();
            event(&mut out, "tick", json(text));
            publication(&mut out, "c", json(text));
            let events = dispatched(&out);
            let value = |text: &str| serde_json::from_str::<serde_json::Value>(text).expect("JSON");
            assert_eq!((events.len(), &*events[0].0, &*events[1].0), (2, "tick", "message"), "{text:?}");
            assert_eq!(value(&events[0].1), value(text));
            assert_eq!(value(&events[1].1)["data"], value(text));
        }
    }

    #[test]
    fn no_name_and_no_data_break_out_of_their_lines() {
        let mut out = Vec::new();
        event(&mut out, "a\ndata: forged\r\n\r\nb", json("\"\\n\\ndata: forged\""));
        event(&mut out, "bare", None);
        let events = dispatched(&out);
        assert_eq!(events.len(), 2, "{events:?}");
        assert_eq!(events[0], ("a data: forged    b".to_owned(), "\"\\n\\ndata: forged\"".to_owned()));
        assert_eq!(events[1], ("bare".to_owned(), "null".to_owned()));
    }

    #[test]
    fn the_pause_and_signs_of_life_are_no_events() {
        let mut out = Vec::new();
        retry(&mut out, Duration::from_millis(2_500));
        out.extend_from_slice(HEARTBEAT);
        assert_eq!(String::from_utf8_lossy(&out), "retry: 2500\n\n:\n\n");
        assert_eq!(dispatched(&out), []);
    }
}
