//! A7, A8, A10 and A11: upgrades that are not quite, and what stands behind them.

use super::super::case::{Case, Door, Seen, Wanted};
use super::super::socket::frame;
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
        Case::new("A10", "a frame behind the upgrade", Door::Echo, Wanted::Served, move |stage| {
            let mut wire = stage.connect()?;
            let mut bytes = good.replace(PATH, stage.echo_path()).into_bytes();
            bytes.extend(frame(0x81, b"hi"));
            wire.send(&bytes)?;
            wire.shutdown_write();
            let answer = match wire.answer()? {
                Ok(answer) if answer.status == 101 => answer,
                Ok(answer) => return Ok(answer.seen()),
                Err(seen) => return Ok(seen),
            };
            while wire.unread().len() < 4 && wire.look(stage.patience())? == super::super::wire::Look::More {}
            Ok(if wire.unread().starts_with(b"\x81\x02hi") { Seen::Served } else { answer.seen() })
        }),
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
