//! The client of these tests: raw WebSocket frames over a blocking socket, every wait bounded.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::net::{Shutdown, TcpStream};
use std::time::Duration;

use codec::websocket::{Opcode, encode, handshake};
use socket2::{Domain, SockRef, Socket, Type};

/// A connection to `/echo`.
pub(super) struct Client {
    pub(super) stream: TcpStream,
}

impl Client {
    /// Connects and upgrades.
    pub(super) fn connect(address: SocketAddr) -> Self {
        Self::upgrade(TcpStream::connect_timeout(&address, PATIENCE).expect("the server listens"))
    }

    /// Connects with a receive window of a few kilobytes, which the server's sends fill at once.
    pub(super) fn connect_narrow(address: SocketAddr) -> Self {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
        socket.set_recv_buffer_size(4096).expect("an option");
        // Spread over the loopback's addresses, so that many connections find ports.
        socket.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into()).expect("a free port");
        socket.connect(&address.into()).expect("the server listens");
        Self::upgrade(socket.into())
    }

    /// Upgrades a connection.
    pub(super) fn upgrade(mut stream: TcpStream) -> Self {
        stream.set_nodelay(true).expect("an option");
        stream.set_read_timeout(Some(PATIENCE)).expect("an option");
        stream.set_write_timeout(Some(PATIENCE)).expect("an option");
        let mut request = Vec::new();
        handshake::write_request(&mut request, "test", "/echo", KEY, &[]);
        stream.write_all(&request).expect("the server reads");
        let mut answer = Vec::new();
        while !answer.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            stream.read_exact(&mut byte).expect("the server answers");
            answer.push(byte[0]);
        }
        let length = handshake::check_response(&answer, KEY).expect("a proper answer");
        assert_eq!(length, Some(answer.len()));
        Self { stream }
    }

    /// Sends a message.
    pub(super) fn send(&mut self, payload: &[u8]) {
        let mut frame = Vec::new();
        encode::masked_frame(&mut frame, Opcode::Binary, [1, 2, 3, 4], payload);
        self.stream.write_all(&frame).expect("the server reads");
    }

    /// Expects a message back, byte by byte.
    pub(super) fn expect(&mut self, payload: &[u8]) {
        let mut expected = Vec::new();
        encode::frame(&mut expected, Opcode::Binary, payload);
        let mut received = vec![0; expected.len()];
        self.stream.read_exact(&mut received).expect("the server answers");
        assert!(received == expected, "the answer differs from what was sent");
    }

    /// Expects a close frame with this code, answers it and expects the end.
    pub(super) fn expect_close(mut self, code: u16) {
        let mut head = [0; 4];
        self.stream.read_exact(&mut head).expect("the server says good-bye");
        assert_eq!((head[0], u16::from_be_bytes([head[2], head[3]])), (0x88, code));
        let mut answer = Vec::new();
        encode::masked_close(&mut answer, [1, 2, 3, 4], code, "");
        self.stream.write_all(&answer).expect("the server reads");
        let mut rest = Vec::new();
        self.stream.read_to_end(&mut rest).expect("an orderly end");
        assert_eq!(rest.len() + 2, usize::from(head[1]), "nothing but the reason follows the close");
    }

    /// A message there and back.
    pub(super) fn echo(&mut self, payload: &[u8]) {
        self.send(payload);
        self.expect(payload);
    }

    /// The same, with a server that may have lost the connection.
    pub(super) fn try_echo(&mut self, payload: &[u8]) -> std::io::Result<()> {
        let mut frame = Vec::new();
        encode::masked_frame(&mut frame, Opcode::Binary, [1, 2, 3, 4], payload);
        self.stream.write_all(&frame)?;
        let mut answer = vec![0; payload.len() + 2];
        self.stream.read_exact(&mut answer)?;
        assert!(answer.ends_with(payload), "an answer to something else");
        Ok(())
    }

    /// Ends the connection with a reset.
    pub(super) fn reset(self) {
        SockRef::from(&self.stream).set_linger(Some(Duration::ZERO)).expect("an option");
    }

    /// Ends our direction and expects the server's end.
    pub(super) fn half_close(mut self) {
        self.stream.shutdown(Shutdown::Write).expect("a connection");
        let mut rest = Vec::new();
        self.stream.read_to_end(&mut rest).expect("an orderly end");
    }
}

/// A payload that shows where it was torn.
pub(super) fn payload(seed: usize, length: usize) -> Vec<u8> {
    (0..length).map(|index| u8::try_from((index * 31 + index / 251 + seed * 7) % 251).expect("below 251")).collect()
}

const KEY: [u8; 16] = *b"0123456789abcdef";
/// Longer than any of this takes, on a machine that builds something else meanwhile.
const PATIENCE: Duration = Duration::from_secs(30);

/// Six hundred clients, four at a time, each with an echo and one answer that it does not wait for; a third of them reset.
pub(super) fn come_and_go(address: SocketAddr) {
    std::thread::scope(|scope| {
        for thread in 0..4 {
            scope.spawn(move || {
                for round in 0..150 {
                    let mut client = Client::connect(address);
                    client.echo(&payload(thread * 1000 + round, 100));
                    client.send(&payload(round, 100));
                    if round % 3 == 0 { client.reset() } else { drop(client) }
                }
            });
        }
    });
}
