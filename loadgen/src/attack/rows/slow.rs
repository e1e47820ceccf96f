//! A1 to A4, A19 and A38: whoever takes time from a server without giving it anything. Each ends by one of its time-outs.

use std::io;
use std::time::{Duration, Instant};

use serde_json::json;

use super::super::case::{Case, Door, Seen, Time, Wanted};
use super::super::member::Member;
use super::super::socket::{Socket, frame, header};
use super::super::stage::Stage;
use super::super::wire::{Look, Wire};

/// Between two bytes that drip.
const DRIP: Duration = Duration::from_millis(20);

/// How many connections do the same thing at once.
const CROWD: usize = 64;

/// What a reader that has stopped is sent at most: more than both kernels and a server's own bounds take.
const UNREAD_BYTES_MAX: usize = 64 << 20;

pub(super) fn cases() -> Vec<Case> {
    let head = |input: &str, begin: &'static str, drop: &'static str| {
        Case::new("A1", input, Door::Http, Wanted::End, move |stage| {
            drip(stage, Time::Handshake, begin.as_bytes(), drop.as_bytes())
        })
        .within(Time::Handshake)
    };
    let body = |input: &str, lines: &str| {
        let begin = format!("POST / HTTP/1.1\r\nHost: x\r\n{lines}\r\n\r\n");
        Case::new("A2", input, Door::Http, Wanted::Refusal(&[408]), move |stage| {
            drip(stage, Time::Body, begin.as_bytes(), b"1")
        })
        .within(Time::Body)
    };
    vec![
        head("a header that grows by a byte", "GET / HTTP/1.1\r\nHost: x\r\nX-Drip: ", "a"),
        head("a target that grows by a byte", "GET /", "a"),
        head("64 heads that stop halfway", "", "").playing(|stage| crowd(stage, b"GET / HTTP/1.1\r\nHost:")),
        body("a body that grows by a byte", "Content-Length: 100000"),
        body("a chunk's size that grows by a digit", "Transfer-Encoding: chunked\r\nX: 1").playing(|stage| {
            let begin = b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nffff\r\n";
            drip(stage, Time::Body, begin, b"a")
        }),
        Case::new("A2", "pages that are asked for and not read", Door::Http, Wanted::End, |stage| {
            let request = format!("GET / HTTP/1.1\r\nHost: {}\r\n\r\n", stage.host()).repeat(100);
            flood(stage, &mut stage.connect()?, request.as_bytes())
        })
        .within(Time::Send),
        Case::new("A3", "64 connections that say nothing", Door::Http, Wanted::End, |stage| crowd(stage, b""))
            .within(Time::Handshake),
        Case::new("A4", "no #handshake", Door::SocketCluster, Wanted::Close(&[4005]), |stage| {
            let mut member = Member::before_handshake(stage)?;
            member.socket().ending(stage.timeout(Time::Handshake) + stage.patience())
        })
        .within(Time::Handshake),
        Case::new("A19", "200 messages of 100,000 bytes of which 4 come", Door::Echo, Wanted::Served, |stage| {
            let mut bytes = header(0x82, 100_000);
            bytes.extend([0; 4]);
            let sockets: io::Result<Vec<_>> = (0..200).map(|_| announced(stage, &bytes)).collect();
            let seen = Socket::echo(stage)?.served();
            drop(sockets?);
            seen
        }),
        Case::new("A19", "10 MiB announced, a byte at a time", Door::Echo, Wanted::Close(&[1009]), |stage| {
            let mut socket = announced(stage, &header(0x82, 10 << 20))?;
            socket.ending(stage.patience())
        }),
        Case::new("A38", "an echo that is not read", Door::Echo, Wanted::End, |stage| {
            let message = frame(0x82, &[7; 64 << 10]);
            let mut socket = Socket::echo(stage)?;
            flood(stage, socket.wire(), &message)
        })
        .within(Time::Send),
        Case::new("A38", "a hot channel that is not read", Door::SocketCluster, Wanted::End, hot_channel)
            .within(Time::Send),
    ]
}

/// Begins something, and goes on with it slowly until the server ends it.
fn drip(stage: &Stage, time: Time, begin: &[u8], drop: &[u8]) -> io::Result<Seen> {
    let mut wire = stage.connect()?;
    wire.send(begin)?;
    let end = Instant::now() + stage.timeout(time) + stage.patience();
    while Instant::now() < end {
        wire.send(drop)?;
        if wire.look(DRIP)? != Look::Late {
            return wire.refusal(stage.patience());
        }
    }
    Ok(Seen::Nothing)
}

/// Many connections send these bytes and nothing more: what became of the last of them to end.
fn crowd(stage: &Stage, bytes: &[u8]) -> io::Result<Seen> {
    let mut wires = Vec::new();
    for _ in 0..CROWD {
        let mut wire = stage.connect()?;
        wire.send(bytes)?;
        wires.push(wire);
    }
    let end = Instant::now() + stage.timeout(Time::Handshake) + stage.patience();
    for wire in &mut wires {
        loop {
            match wire.look(end.saturating_duration_since(Instant::now()))? {
                Look::More => {}
                Look::End => break,
                Look::Late => return Ok(Seen::Nothing),
            }
        }
    }
    Ok(Seen::Ended)
}

fn announced(stage: &Stage, bytes: &[u8]) -> io::Result<Socket> {
    let mut socket = Socket::echo(stage)?;
    socket.send(bytes)?;
    Ok(socket)
}

/// Sends the same again and again, as long as the server takes it, and reads nothing, until it ends the connection.
fn flood(stage: &Stage, wire: &mut Wire, bytes: &[u8]) -> io::Result<Seen> {
    let end = Instant::now() + stage.timeout(Time::Send) + stage.patience();
    let (mut at, mut sent) = (0, 0);
    while Instant::now() < end {
        let Some(length) = wire.push(&bytes[at..], DRIP)? else { return Ok(Seen::Ended) };
        at = (at + length) % bytes.len();
        sent += length;
        if sent > UNREAD_BYTES_MAX {
            // It reads on, to see the end of who was told goodbye: nothing to be gained by haste.
            std::thread::sleep(DRIP);
        }
    }
    Ok(Seen::Nothing)
}

/// Subscribes, reads nothing, while somebody publishes more than is kept for anybody.
fn hot_channel(stage: &Stage) -> io::Result<Seen> {
    const CHANNEL: &str = "attack.hot";
    let mut reader = Member::open(stage)?;
    if let Err(seen) = reader.call("#subscribe", &json!({ "channel": CHANNEL }))? {
        return Ok(seen);
    }
    let mut publisher = Member::open(stage)?;
    let text = "x".repeat(60_000);
    // 1,000 times 60 kB are more than two kernels' buffers and any outbox.
    for _ in 0..1_000 {
        if let Err(seen) = publisher.call("#publish", &json!({ "channel": CHANNEL, "data": text }))? {
            return Ok(Seen::Wrong(format!("the publisher was hurt: {seen}")));
        }
    }
    // Reads what had been on its way, and then the end. A call would wait behind it.
    let end = Instant::now() + stage.timeout(Time::Send) + stage.patience();
    loop {
        match reader.packet(end.saturating_duration_since(Instant::now()))? {
            Ok(_) => {}
            Err(seen) => return Ok(seen),
        }
    }
}
