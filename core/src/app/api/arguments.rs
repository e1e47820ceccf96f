//! The argument of a call by HTTP: JSON in the body or behind the question mark, or what forms send. It never guesses
//! types: what a form sends is text.

use std::collections::HashMap;

use codec::http::request::Head;
use codec::json::{JsonLimits, Scanner, write_string};

use crate::app::error::{Error, Result};

/// The argument that a request brings; the body counts before the query.
pub(super) fn argument(head: &Head<'_>, body: &[u8], limits: JsonLimits) -> Result<Option<Box<str>>> {
    if body.is_empty() {
        return head.query.map_or(Ok(None), |query| of_query(query, limits));
    }
    let is_form =
        head.header("content-type").is_some_and(|kind| media_type(kind) == "application/x-www-form-urlencoded");
    let text = std::str::from_utf8(body).map_err(|_| Error::invalid_arguments("the body is not UTF-8"))?;
    if let Some(json) = json(text, limits) {
        return Ok(Some(json.into()));
    }
    if is_form { form(text).map(Some) } else { Err(Error::invalid_arguments("the body is not JSON")) }
}

/// `?25` and `?{"a":1}` are JSON, `?a=1&b=2` an object of strings, and everything else is a string.
fn of_query(query: &str, limits: JsonLimits) -> Result<Option<Box<str>>> {
    if query.is_empty() {
        return Ok(None);
    }
    let text = decode(query, false)?;
    if let Some(json) = json(&text, limits) {
        return Ok(Some(json.into()));
    }
    if query.contains('=') {
        return form(query).map(Some);
    }
    let mut out = Vec::new();
    write_string(&mut out, &text);
    Ok(Some(into_text(out)))
}

/// The text without the blanks around it, if it is one JSON value.
fn json(text: &str, limits: JsonLimits) -> Option<&str> {
    let text = text.trim_matches([' ', '\t', '\r', '\n']);
    let mut scanner = Scanner::new(text, limits).ok()?;
    scanner.value().ok()?;
    scanner.finish().ok()?;
    Some(text)
}

/// `a=1&b=2` as an object; what is there several times is an array.
fn form(text: &str) -> Result<Box<str>> {
    let mut places: HashMap<String, usize, foldhash::fast::RandomState> = HashMap::default();
    let mut fields: Vec<(String, Vec<String>)> = Vec::new();
    for pair in text.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let (name, value) = (decode(name, true)?, decode(value, true)?);
        match places.get(&name) {
            Some(&place) => fields[place].1.push(value),
            None => {
                places.insert(name.clone(), fields.len());
                fields.push((name, vec![value]));
            }
        }
    }
    let mut out = vec![b'{'];
    for (index, (name, values)) in fields.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        write_string(&mut out, name);
        out.push(b':');
        match &**values {
            [value] => write_string(&mut out, value),
            values => {
                for (index, value) in values.iter().enumerate() {
                    out.push(if index == 0 { b'[' } else { b',' });
                    write_string(&mut out, value);
                }
                out.push(b']');
            }
        }
    }
    out.push(b'}');
    Ok(into_text(out))
}

/// Percent-decodes, strictly; in forms a plus is a blank.
pub(super) fn decode(text: &str, is_form: bool) -> Result<String> {
    let malformed = || Error::invalid_arguments("malformed percent-encoding");
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        out.push(match byte {
            b'%' => {
                let mut digit = || bytes.next().and_then(|byte| char::from(byte).to_digit(16));
                let (high, low) = (digit().ok_or_else(malformed)?, digit().ok_or_else(malformed)?);
                u8::try_from(high << 4 | low).expect("two digits of four bits each")
            }
            b'+' if is_form => b' ',
            byte => byte,
        });
    }
    String::from_utf8(out).map_err(|_| malformed())
}

/// Without parameters, in small letters.
fn media_type(value: &str) -> String {
    value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

fn into_text(json: Vec<u8>) -> Box<str> {
    String::from_utf8(json).expect("it was written from text").into_boxed_str()
}

#[cfg(test)]
mod tests {
    use codec::http::{HeaderStorage, request};

    use super::*;

    fn read(target: &str, headers: &str, body: &[u8]) -> Result<Option<String>, String> {
        let text = format!("POST {target} HTTP/1.1\r\nHost: a\r\n{headers}\r\n");
        let mut storage = HeaderStorage::new();
        let (head, _) = request::parse(text.as_bytes(), &mut storage, 64 << 10).expect("good").expect("whole");
        let argument = argument(&head, body, JsonLimits { depth_max: 8 });
        argument.map(|text| text.map(String::from)).map_err(|error| error.message().to_owned())
    }

    fn query(query: &str) -> Option<String> {
        read(&format!("/api/a{query}"), "", b"").expect("an argument")
    }

    #[test]
    fn a_query_is_json_or_a_form_or_a_string() {
        for (text, expected) in [
            ("", None),
            ("?", None),
            ("?25", Some("25")),
            ("?-1.5e3", Some("-1.5e3")),
            ("?null", Some("null")),
            ("?%22a=b%22", Some(r#""a=b""#)),
            ("?%7B%22a%22:[1,2]%7D", Some(r#"{"a":[1,2]}"#)),
            ("?{\"a\":1}", Some(r#"{"a":1}"#)),
            ("?a=1&b=2", Some(r#"{"a":"1","b":"2"}"#)),
            ("?a=1&b=&a=%C3%A4+b&a=x%2By", Some(r#"{"a":["1","ä b","x+y"],"b":""}"#)),
            ("?&a=1&&b", Some(r#"{"a":"1","b":""}"#)),
            ("?hello%20%22you%22", Some(r#""hello \"you\"""#)),
            ("?007", Some(r#""007""#)),
            ("?1+1", Some(r#""1+1""#)),
            ("?__proto__=1&toString=2", Some(r#"{"__proto__":"1","toString":"2"}"#)),
        ] {
            assert_eq!(query(text).as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn malformed_escapes_are_refused() {
        for text in ["?%", "?%2", "?%zz", "?%ff", "?a=%f", "?%+1=2"] {
            assert_eq!(read(&format!("/api/a{text}"), "", b""), Err("malformed percent-encoding".to_owned()), "{text}");
        }
    }

    #[test]
    fn a_body_is_json_whatever_it_is_called_or_a_form() {
        let form = "Content-Type: application/x-www-form-urlencoded; charset=utf-8\r\n";
        assert_eq!(read("/api/a?1", "", b" {\"a\": [ 1 ]}\n"), Ok(Some("{\"a\": [ 1 ]}".to_owned())));
        assert_eq!(read("/api/a", form, b"25"), Ok(Some("25".to_owned())), "curl -d 25");
        assert_eq!(read("/api/a", form, b"a=1&b=x+y"), Ok(Some(r#"{"a":"1","b":"x y"}"#.to_owned())));
        assert_eq!(read("/api/a", "", b"a=1"), Err("the body is not JSON".to_owned()));
        assert_eq!(read("/api/a", "", b"\xff"), Err("the body is not UTF-8".to_owned()));
        assert_eq!(read("/api/a", "", b"[[[[[[[[[1]]]]]]]]]"), Err("the body is not JSON".to_owned()));
    }

    #[test]
    fn a_form_of_very_many_fields_is_read_in_one_go() {
        let body = (0..100_000).map(|index| format!("k{index}=1&")).collect::<String>();
        let text = read("/api/a", "Content-Type: application/x-www-form-urlencoded\r\n", body.as_bytes());
        assert!(text.is_ok_and(|text| text.is_some_and(|text| text.ends_with(r#","k99999":"1"}"#))));
    }
}
