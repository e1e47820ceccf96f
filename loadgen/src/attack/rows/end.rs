//! A25: ends that do not end, and what comes after them.

use std::io;
use std::time::{Duration, Instant};

use super::super::case::{Case, Door, Seen, Time, Wanted};
use super::super::socket::{Heard, Socket, frame};
use super::super::stage::Stage;

pub(super) fn cases() -> Vec<Case> {
    vec![
        Case::new("A25", "a message after the close frame", Door::Echo, Wanted::Close(&[1000]), |stage| {
            let mut socket = Socket::echo(stage)?;
            socket.send(&[frame(0x88, &1000_u16.to_be_bytes()), frame(0x81, b"too late")].concat())?;
            loop {
                match socket.hear(stage.patience())? {
                    Heard::Text(text) => return Ok(Seen::Wrong(format!("answered {text:?} after the end"))),
                    Heard::Close(code) => return closed(stage, &mut socket, code),
                    Heard::End => return Ok(Seen::Ended),
                    Heard::Late => return Ok(Seen::Nothing),
                    Heard::Binary(_) | Heard::Pong => {}
                }
            }
        })
        .within(Time::Close),
        Case::new("A25", "no answer to the server's close frame", Door::Echo, Wanted::Close(&[1002]), |stage| {
            let mut socket = Socket::echo(stage)?;
            socket.send(&frame(0x83, b"an opcode of nobody's"))?;
            match socket.ending(stage.patience())? {
                Seen::Closed(code) => closed(stage, &mut socket, code),
                seen => Ok(seen),
            }
        })
        .within(Time::Close),
        Case::new("A25", "an end without a close frame", Door::Echo, Wanted::End, |stage| {
            let mut socket = Socket::echo(stage)?;
            socket.wire().shutdown_write();
            socket.ending(stage.patience())
        }),
    ]
}

/// After its close frame the server ends the TCP connection, whether or not we do: first its own half, and when its time is
/// up what we still say is answered by a reset.
fn closed(stage: &Stage, socket: &mut Socket, code: Option<u16>) -> io::Result<Seen> {
    let end = Instant::now() + stage.timeout(Time::Close) + stage.patience();
    match socket.hear(end.saturating_duration_since(Instant::now()))? {
        Heard::End => {}
        Heard::Late => return Ok(Seen::Nothing),
        other => return Ok(Seen::Wrong(format!("said {other:?} after its close frame"))),
    }
    while socket.wire().push(&frame(0x8a, b"still here"), PAUSE)?.is_some() {
        if Instant::now() >= end {
            return Ok(Seen::Wrong("it is still there".to_owned()));
        }
        std::thread::sleep(PAUSE);
    }
    Ok(Seen::Closed(code))
}

/// Between two words of a client that does not go.
const PAUSE: Duration = Duration::from_millis(20);
