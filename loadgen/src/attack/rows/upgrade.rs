//! A7, A8, A10 and A11: upgrades that are not quite, and what stands behind them.

use std::io;
use std::time::Instant;

use codec::websocket::{Opcode, encode};

use super::super::case::{Case, Door, Seen, Time, Wanted};
use super::super::socket::frame;
use super::super::stage::Stage;
use super::super::wire::Look;
use super::{PATH, SMUGGLED, upgrade};

/// An upgrade to the echo, with a request behind it.
fn refused(row: &'static str, input: &str, request: impl Into<String>, statuses: &'static [u16]) -> Case {
    let request = request.into();
    Case::new(row, input, Door::Echo, Wanted::Refusal(statuses), move |stage| {
        let mut wire = stage.connect()?;
        wire.send((request.replace(PATH, stage.echo_path()) + SMUGGLED).as_bytes())?;
        wire.refusal(stage.patience())
    })
}

pub(super) fn cases() -> Vec<Case> {
    let version = "Sec-WebSocket-Version: 13";
    let good = upgrade(version);
    let key = |key: &str| good.replace("Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n", key);
    let mut cases = vec![
        refused("A7", "a POST", good.replace("GET", "POST"), &[405]),
        refused("A7", "HTTP/1.0", good.replace("HTTP/1.1", "HTTP/1.0"), &[400]),
        refused("A7", "no word in Connection", good.replace("Connection: Upgrade", "Connection: keep-alive"), &[400]),
        refused("A7", "a body", upgrade(&format!("{version}\r\nContent-Length: {}", SMUGGLED.len())), &[400]),
        refused("A7", "chunks", upgrade(&format!("{version}\r\nTransfer-Encoding: chunked")), &[400]),
        refused("A7", "no key", key(""), &[400]),
        refused("A8", "a short key", key("Sec-WebSocket-Key: dGhlIHNhbXBsZQ==\r\n"), &[400]),
        refused("A8", "a long key", key("Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZSEhISE=\r\n"), &[400]),
        refused("A8", "a key that is no base64", key("Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZ!==\r\n"), &[400]),
        refused("A8", "two keys", key(&"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n".repeat(2)), &[400]),
        frames(good.clone()),
        request(good),
        refused("A11", "a path that has no WebSocket", upgrade(version).replace(PATH, "/nowhere"), &[404]),
    ];
    let versions = [
        ("no version", "X: 1"),
        ("version 0", "Sec-WebSocket-Version: 0"),
        ("version 8", "Sec-WebSocket-Version: 8"),
        ("version 14", "Sec-WebSocket-Version: 14"),
        ("a list of versions", "Sec-WebSocket-Version: 13, 8"),
        ("two versions", "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Version: 8"),
    ];
    cases.extend(versions.map(|(input, lines)| refused("A7", input, upgrade(lines), &[426])));
    cases.push(told());
    cases.push(frames_behind());
    cases
}

/// An upgrade with bytes behind it, and all that comes after the 101.
fn behind(stage: &Stage, upgrade: &str, bytes: &[u8]) -> io::Result<Result<Vec<u8>, Seen>> {
    let mut wire = stage.connect()?;
    wire.send(&[upgrade.replace(PATH, stage.echo_path()).as_bytes(), bytes].concat())?;
    match wire.answer()? {
        Ok(answer) if answer.status == 101 => {}
        Ok(answer) => return Ok(Err(answer.seen())),
        Err(seen) => return Ok(Err(seen)),
    }
    let end = Instant::now() + stage.timeout(Time::Close) + stage.patience();
    while wire.look(end.saturating_duration_since(Instant::now()))? == Look::More {}
    Ok(Ok(std::mem::take(wire.unread())))
}

/// Each frame is heard once and in its place, and nothing else is.
fn frames(good: String) -> Case {
    Case::new("A10", "frames behind the upgrade", Door::Echo, Wanted::Served, move |stage| {
        let (words, close) = ([&b"one"[..], b"two", b"three"], frame(0x88, &1000_u16.to_be_bytes()));
        let sent = Vec::from_iter(words.iter().flat_map(|word| frame(0x81, word)).chain(close));
        let mut due = Vec::new();
        words.iter().for_each(|word| encode::frame(&mut due, Opcode::Text, word));
        encode::frame(&mut due, Opcode::Close, &1000_u16.to_be_bytes());
        Ok(match behind(stage, &good, &sent)? {
            Ok(heard) if heard == due => Seen::Served,
            Ok(heard) => Seen::Wrong(format!("said {}", heard.escape_ascii())),
            Err(seen) => seen,
        })
    })
    .within(Time::Close)
}

/// A request there is a frame that is none.
fn request(good: String) -> Case {
    Case::new("A10", "a request behind the upgrade", Door::Echo, Wanted::Close(&[1002]), move |stage| {
        Ok(match behind(stage, &good, SMUGGLED.as_bytes())? {
            Ok(heard) if heard.windows(7).any(|window| window == b"HTTP/1.") => {
                Seen::Wrong("answered a request behind an upgrade".to_owned())
            }
            Ok(heard) => match heard[..] {
                [0x88, _, high, low, ..] => Seen::Closed(Some(u16::from_be_bytes([high, low]))),
                [] => Seen::Ended,
                _ => Seen::Wrong(format!("said {}", heard.escape_ascii())),
            },
            Err(seen) => seen,
        })
    })
    .within(Time::Close)
}

/// Who comes with another version is told which one is spoken (RFC 6455, section 4.4).
fn told() -> Case {
    Case::new("A7", "the answer to version 8", Door::Echo, Wanted::Served, |stage| {
        let mut wire = stage.connect()?;
        wire.send(upgrade("Sec-WebSocket-Version: 8").replace(PATH, stage.echo_path()).as_bytes())?;
        Ok(match wire.answer()? {
            Ok(answer) if answer.header("sec-websocket-version") == Some("13") => Seen::Served,
            Ok(answer) => answer.seen(),
            Err(seen) => seen,
        })
    })
}

/// A client that takes the upgrade for granted: what it sends must not be read as requests, nor as frames.
fn frames_behind() -> Case {
    Case::new("A11", "frames behind a refused upgrade", Door::Echo, Wanted::Refusal(&[426]), |stage| {
        let mut bytes = upgrade("Sec-WebSocket-Version: 8").replace(PATH, stage.echo_path()).into_bytes();
        bytes.extend(frame(0x81, SMUGGLED.as_bytes()));
        bytes.extend(SMUGGLED.as_bytes());
        let mut wire = stage.connect()?;
        wire.send(&bytes)?;
        wire.refusal(stage.patience())
    })
}
