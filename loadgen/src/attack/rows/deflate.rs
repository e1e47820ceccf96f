//! A27 and A28: compression as a weapon.

use std::io;

use codec::websocket::deflate::Deflater;

use super::super::case::{Case, Door, Seen, Wanted};
use super::super::socket::{Socket, frame};
use super::super::stage::{OFFER, Stage};

/// A first byte: the last frame of a compressed text.
const COMPRESSED: u8 = 0x80 | 0x40 | 0x1;

pub(super) fn cases() -> Vec<Case> {
    let mut cases = vec![
        compressed("A27", "64 MiB of zeroes in 64 KiB", &[1009], || frame(COMPRESSED, &bomb(64))),
        compressed("A27", "the same in 60 fragments", &[1009], || {
            let bomb = bomb(64);
            let (first, rest) = bomb.split_at(bomb.len() / 60);
            let mut bytes = frame(0x41, first);
            bytes.extend(rest.chunks(bomb.len() / 59).flat_map(|piece| frame(0, piece)));
            bytes.extend(frame(0x80, b""));
            bytes
        }),
        compressed("A28", "bytes that are no DEFLATE", &[1002, 1007], || frame(COMPRESSED, &[0xff; 64])),
        compressed("A28", "a distance beyond the beginning", &[1002, 1007], || {
            // A block of fixed codes that copies 3 bytes from 1 byte back, where nothing is yet.
            frame(COMPRESSED, &[0x03, 0x02, 0x00])
        }),
        compressed("A28", "a reserved bit on a continuation", &[1002], || {
            [frame(0x41, &bomb(1)), frame(0x80 | 0x40, b"")].concat()
        }),
        compressed("A28", "a compressed ping", &[1002], || frame(0x80 | 0x40 | 0x9, b"")),
        Case::new("A28", "a compressed text that was not agreed to", Door::Echo, Wanted::Close(&[1002]), |stage| {
            let mut socket = Socket::echo(stage)?;
            socket.send(&frame(COMPRESSED, &bomb(1)))?;
            socket.ending(stage.patience())
        }),
    ];
    let offers = [
        "permessage-deflate; server_max_window_bits=99",
        "permessage-deflate; server_max_window_bits=7",
        "permessage-deflate; client_max_window_bits=0",
        "permessage-deflate; server_max_window_bits=10; server_max_window_bits=11",
        "permessage-deflate; no_such_parameter",
        "permessage-bzip2",
    ];
    cases.extend(
        offers.map(|offer| Case::new("A28", offer, Door::Echo, Wanted::Served, move |stage| declined(stage, offer))),
    );
    cases
}

/// Frames on an echo that has agreed to compression, and the code that ends it.
fn compressed(row: &'static str, input: &str, codes: &'static [u16], bytes: impl Fn() -> Vec<u8> + 'static) -> Case {
    Case::new(row, input, Door::Compression, Wanted::Close(codes), move |stage| {
        let socket = Socket::open(stage, stage.echo_path(), &[OFFER])?;
        let mut socket = match socket {
            Ok(socket) => socket,
            Err(seen) => return Ok(seen),
        };
        socket.send(&bytes())?;
        socket.ending(stage.patience())
    })
}

/// An offer that cannot be kept is declined, and the connection is good without it.
fn declined(stage: &Stage, offer: &str) -> io::Result<Seen> {
    match Socket::open(stage, stage.echo_path(), &[(OFFER.0, offer)])? {
        Ok(socket) if socket.answer().header(OFFER.0).is_some() => Ok(Seen::Wrong("agreed to it".to_owned())),
        Ok(mut socket) => socket.served(),
        Err(seen) => Ok(seen),
    }
}

/// So many MiB of zeroes, about a thousandth of that on the wire.
fn bomb(mebibytes: usize) -> Vec<u8> {
    const TAIL: [u8; 4] = [0x00, 0x00, 0xff, 0xff];
    let mut deflater = Deflater::new(9, 15);
    let mut one = Vec::new();
    deflater.deflate(&[0; 1 << 20], &mut one);
    // Each stands for itself; between two of them the end that every flush has and no message carries.
    let mut bytes = Vec::with_capacity(mebibytes * (one.len() + TAIL.len()));
    for index in 0..mebibytes {
        if index > 0 {
            bytes.extend(TAIL);
        }
        bytes.extend(&one);
    }
    bytes
}
