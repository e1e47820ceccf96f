//! Binary inside of JSON. Two spellings, one meaning: Socket.IO's placeholder, whose bytes follow in a message of their
//! own, and `{"base64":true,"data":…}`. Texts are valid JSON already; only objects of exactly these two members count.

use std::ops::Range;

use crate::base64;

/// Attachments of one packet that we send. Clients refuse more than 10; what is beyond stays as text.
pub const ATTACHMENTS_SENT_MAX: usize = 10;

/// Writes `text` with the attachments in the place of their placeholders; whether each placeholder has its attachment
/// and there are no more of them: a short text that names a long attachment a thousand times is refused.
#[must_use]
pub fn fill(out: &mut String, text: &str, attachments: &[Vec<u8>]) -> bool {
    let (mut done, mut filled) = (0, 0);
    for (range, number) in Objects::new(text).filter_map(|range| Some((range.clone(), placeholder(&text[range])?))) {
        let Some(bytes) = attachments.get(number).filter(|_| filled < attachments.len()) else { return false };
        filled += 1;
        out.push_str(&text[done..range.start]);
        done = range.end;
        let mut object = b"{\"base64\":true,\"data\":\"".to_vec();
        base64::encode(&mut object, bytes);
        object.extend_from_slice(b"\"}");
        out.push_str(std::str::from_utf8(&object).expect("base64 is text"));
    }
    out.push_str(&text[done..]);
    true
}

/// Where binary stands in a text, and what it is.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) range: Range<usize>,
    pub(super) bytes: Vec<u8>,
}

/// The binary in a text, as much as one packet may have.
pub(super) fn find(text: &str) -> Vec<Found> {
    // Most texts have none, and one pass over their bytes says so.
    if memchr::memmem::find(text.as_bytes(), b"\"base64\"").is_none() {
        return Vec::new();
    }
    let found = Objects::new(text).filter_map(|range| {
        let mut bytes = Vec::new();
        base64::decode(&mut bytes, base64_text(&text[range.clone()])?).then_some(Found { range, bytes })
    });
    found.take(ATTACHMENTS_SENT_MAX).collect()
}

/// Everything from a brace that opens, outside of strings, to the first that closes: an object without objects in it,
/// if it is one of ours.
struct Objects<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Objects<'a> {
    const fn new(text: &'a str) -> Self {
        Self { text, at: 0 }
    }
}

impl Iterator for Objects<'_> {
    type Item = Range<usize>;

    fn next(&mut self) -> Option<Self::Item> {
        let bytes = self.text.as_bytes();
        let mut opened = None;
        while let Some(&byte) = bytes.get(self.at) {
            match byte {
                b'"' => self.at = string_end(bytes, self.at),
                b'{' => {
                    opened = Some(self.at);
                    self.at += 1;
                }
                b'}' => {
                    self.at += 1;
                    if let Some(start) = opened.take() {
                        return Some(start..self.at);
                    }
                }
                _ => self.at += 1,
            }
        }
        None
    }
}

/// Behind the string whose opening quote is at `start`.
fn string_end(bytes: &[u8], start: usize) -> usize {
    let mut at = start + 1;
    while let Some(distance) = memchr::memchr2(b'"', b'\\', &bytes[at.min(bytes.len())..]) {
        at += distance;
        if bytes[at] == b'"' {
            return at + 1;
        }
        at += 2;
    }
    bytes.len()
}

/// The number of a placeholder.
fn placeholder(object: &str) -> Option<usize> {
    let (first, second) = members(object)?;
    let number = match (first, second) {
        (("\"_placeholder\"", "true"), ("\"num\"", number)) => number,
        (("\"num\"", number), ("\"_placeholder\"", "true")) => number,
        _ => return None,
    };
    // What is a placeholder and has no good number has no attachment either.
    Some(number.parse().unwrap_or(usize::MAX))
}

/// The base64 of an object that stands for binary.
fn base64_text(object: &str) -> Option<&str> {
    let (first, second) = members(object)?;
    let data = match (first, second) {
        (("\"base64\"", "true"), ("\"data\"", data)) => data,
        (("\"data\"", data), ("\"base64\"", "true")) => data,
        _ => return None,
    };
    data.strip_prefix('"')?.strip_suffix('"')
}

/// A key and its value.
type Member<'a> = (&'a str, &'a str);

/// The members of an object that has two, neither of them a container, as source texts of keys and values.
fn members(object: &str) -> Option<(Member<'_>, Member<'_>)> {
    let mut rest = object.strip_prefix('{')?.strip_suffix('}')?;
    let first = member(&mut rest)?;
    rest = rest.strip_prefix(',')?;
    let second = member(&mut rest)?;
    rest.is_empty().then_some((first, second))
}

fn member<'a>(rest: &mut &'a str) -> Option<Member<'a>> {
    let key = token(rest)?;
    *rest = rest.strip_prefix(':')?;
    Some((key, token(rest)?))
}

/// A string or a word, and the blanks around it.
fn token<'a>(rest: &mut &'a str) -> Option<&'a str> {
    const BLANKS: [char; 4] = [' ', '\t', '\n', '\r'];
    let text = rest.trim_start_matches(BLANKS);
    let end = if text.starts_with('"') {
        string_end(text.as_bytes(), 0)
    } else {
        text.find([',', ':', '}', ' ', '\t', '\n', '\r']).unwrap_or(text.len())
    };
    let (token, after) = text.split_at_checked(end)?;
    *rest = after.trim_start_matches(BLANKS);
    (!token.is_empty()).then_some(token)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(text: &str, attachments: &[&[u8]]) -> Option<String> {
        let mut out = String::new();
        let attachments: Vec<_> = attachments.iter().map(|bytes| bytes.to_vec()).collect();
        fill(&mut out, text, &attachments).then_some(out)
    }

    #[test]
    fn attachments_take_the_place_of_placeholders_wherever_they_are() {
        let text = r#"{"_placeholder":true,"num":0},{"deep":[{ "num" : 1 , "_placeholder" : true }],"a":"{\"_placeholder\":true,\"num\":7}"}"#;
        let expected = r#"{"base64":true,"data":"AQID"},{"deep":[{"base64":true,"data":"eno="}],"a":"{\"_placeholder\":true,\"num\":7}"}"#;
        assert_eq!(filled(text, &[&[1, 2, 3], b"zz"]).as_deref(), Some(expected));
    }

    #[test]
    fn a_placeholder_without_attachment_is_an_error() {
        for text in [
            r#"{"_placeholder":true,"num":1}"#,
            r#"{"_placeholder":true,"num":-1}"#,
            r#"{"_placeholder":true,"num":"0"}"#,
            r#"[{"_placeholder":true,"num":1e9}]"#,
            r#"[{"_placeholder":true,"num":0},{"_placeholder":true,"num":0}]"#,
        ] {
            assert_eq!(filled(text, &[b"a"]), None, "{text}");
        }
        for text in
            [r#"{"_placeholder":false,"num":3}"#, r#"{"num":3}"#, r#"{"_placeholder":true,"num":3,"x":1}"#, "{}"]
        {
            assert_eq!(filled(text, &[]).as_deref(), Some(text), "an object like any other");
        }
    }

    #[test]
    fn binary_is_found_in_either_order_and_not_in_strings() {
        let text =
            r#"[{"base64":true,"data":"AQID"},"{\"base64\":true,\"data\":\"AQID\"}",{"x":{"data":"","base64":true}}]"#;
        let found = find(text);
        assert_eq!(found.iter().map(|found| found.bytes.as_slice()).collect::<Vec<_>>(), [&[1, 2, 3][..], &[]]);
        assert_eq!(&text[found[1].range.clone()], r#"{"data":"","base64":true}"#);
        for text in
            [r#"{"base64":true,"data":"?"}"#, r#"{"base64":false,"data":"AQID"}"#, r#"{"base64":true,"data":1}"#]
        {
            assert!(find(text).is_empty(), "{text}");
        }
    }

    #[test]
    fn no_more_is_found_than_clients_take() {
        let text = format!("[{}]", [r#"{"base64":true,"data":"AQID"}"#; 12].join(","));
        assert_eq!(find(&text).len(), ATTACHMENTS_SENT_MAX);
    }
}
