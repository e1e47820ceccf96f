//! A54: to a port that speaks TLS, bytes that are none, or too few.

use std::io;
use std::time::{Duration, Instant};

use super::super::case::{Case, Door, Seen, Time, Wanted};
use super::super::stage::Stage;
use super::super::wire::Look;

/// The beginning of a first message of TLS, 512 bytes announced.
const HELLO: &[u8] = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03";

pub(super) fn cases() -> Vec<Case> {
    let ended = |input: &str, bytes: Vec<u8>| {
        Case::new("A54", input, Door::Tls, Wanted::End, move |stage| {
            let mut wire = stage.connect_tls()?;
            wire.send(&bytes)?;
            wire.refusal(stage.timeout(Time::Handshake) + stage.patience())
        })
        .within(Time::Handshake)
    };
    vec![
        ended("nothing", Vec::new()),
        ended("noise", vec![0xa5; 4_096]),
        ended("half of a first message", HELLO.to_vec()),
        ended("HTTP", b"GET / HTTP/1.1\r\nHost: x\r\n\r\n".to_vec()),
        ended("SSL 2", b"\x80\x2e\x01\x00\x02\x00\x15\x00\x00\x00\x10".to_vec()),
        ended("an alert", b"\x15\x03\x03\x00\x02\x02\x28".to_vec()),
        ended("a message of 16 MiB in records", many_records()),
        Case::new("A54", "a first message that grows by a byte", Door::Tls, Wanted::End, drip).within(Time::Handshake),
        Case::new("A54", "TLS to the port without it", Door::Http, Wanted::End, |stage| {
            let mut wire = stage.connect()?;
            wire.send(HELLO)?;
            wire.refusal(stage.timeout(Time::Handshake) + stage.patience())
        })
        .within(Time::Handshake),
    ]
}

/// Records of a handshake message that announces 2^24 - 1 bytes, 256 KiB of it.
fn many_records() -> Vec<u8> {
    let mut bytes = b"\x16\x03\x01\x40\x00\x01\xff\xff\xff".to_vec();
    bytes.resize(5 + 0x4000, 0);
    for _ in 0..15 {
        bytes.extend(b"\x16\x03\x01\x40\x00");
        bytes.resize(bytes.len() + 0x4000, 0);
    }
    bytes
}

fn drip(stage: &Stage) -> io::Result<Seen> {
    let mut wire = stage.connect_tls()?;
    wire.send(HELLO)?;
    let end = Instant::now() + stage.timeout(Time::Handshake) + stage.patience();
    while Instant::now() < end {
        wire.send(&[0])?;
        if wire.look(Duration::from_millis(50))? == Look::End {
            return Ok(Seen::Ended);
        }
    }
    Ok(Seen::Nothing)
}
