//! Subscribers of the fan-out that never read what they are sent.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use codec::websocket::{Opcode, encode, handshake};
use socket2::{Domain, Socket, Type};

use super::load::CHANNEL_PREFIX;
use crate::server::Address;

/// Small, so that the server has a backlog soon.
const RECEIVE_BUFFER_BYTES: usize = 4 << 10;

/// How long the server may take to answer a handshake.
const PATIENCE: Duration = Duration::from_secs(10);

/// They are closed when this is dropped.
#[derive(Debug)]
pub(super) struct SlowReaders {
    streams: Vec<TcpStream>,
}

impl SlowReaders {
    pub(super) fn open(address: &Address, count: u16) -> Result<Self, String> {
        let open =
            |number: u16| open(address, number).map_err(|error| format!("a slow reader cannot connect: {error}"));
        Ok(Self { streams: (0..count).map(open).collect::<Result<_, _>>()? })
    }

    /// Ends them all; how many of them the server had ended before.
    pub(super) fn close(self) -> u64 {
        let was_ended = |mut stream: TcpStream| {
            let mut bytes = [0; 16 << 10];
            // Reads what there is, up to an end or nothing more.
            let is_quiet = stream.set_nonblocking(true).is_err();
            !is_quiet
                && loop {
                    match stream.read(&mut bytes) {
                        Ok(0) => break true,
                        Ok(_) => {}
                        Err(error) => break error.kind() != std::io::ErrorKind::WouldBlock,
                    }
                }
        };
        self.streams.into_iter().map(|stream| u64::from(was_ended(stream))).sum()
    }
}

/// A member of one of the fan-out's channels, from here on deaf.
fn open(address: &Address, number: u16) -> std::io::Result<TcpStream> {
    let socket = Socket::new(Domain::for_address(address.socket), Type::STREAM, None)?;
    socket.set_recv_buffer_size(RECEIVE_BUFFER_BYTES)?;
    socket.connect_timeout(&address.socket.into(), PATIENCE)?;
    let mut stream = TcpStream::from(socket);
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut request = Vec::new();
    handshake::write_request(&mut request, &address.host, "/socketcluster/", [7; 16], &[]);
    stream.write_all(&request)?;
    read_head(&mut stream)?;
    let channel = format!("{CHANNEL_PREFIX}{}", number % 4);
    let mut frames = Vec::new();
    for packet in [
        r##"{"event":"#handshake","data":{"authToken":null},"cid":1}"##.to_owned(),
        format!(r##"{{"event":"#subscribe","data":{{"channel":"{channel}"}},"cid":2}}"##),
    ] {
        encode::masked_frame(&mut frames, Opcode::Text, [7; 4], packet.as_bytes());
    }
    stream.write_all(&frames)?;
    Ok(stream)
}

fn read_head(stream: &mut TcpStream) -> std::io::Result<()> {
    let (mut head, mut byte) = (Vec::new(), [0]);
    while !head.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte)?;
        head.push(byte[0]);
        if head.len() > HEAD_BYTES_MAX {
            return Err(std::io::Error::other("an endless head"));
        }
    }
    if head.starts_with(b"HTTP/1.1 101 ") { Ok(()) } else { Err(std::io::Error::other("it is refused")) }
}

const HEAD_BYTES_MAX: usize = 16 << 10;
