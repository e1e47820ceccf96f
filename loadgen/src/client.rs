//! *How* a connection speaks: the upgrade or the requests of long-polling, the SocketCluster handshake, heartbeats, the close, all by the codec. What is
//! said in between is the scenario's. Never does I/O, never reads a clock.

use codec::socketcluster::client::{self as socketcluster, ServerMessage};
use codec::socketcluster::{Dialect, Limits as PacketLimits};
use codec::websocket::{Decoder, Limits, Message, Opcode, Role, encode, handshake};

use crate::net::{Carry, Line, Wish};
use crate::plan::Nanoseconds;
use crate::polling::{self, Polling};
use crate::socketio::{self, Packet};

/// A connection whose unsent bytes exceed this is asked to send nothing more: its server does not read. What the kernel
/// takes comes on top of it (4 MiB by tcp_wmem).
pub(crate) const UNSENT_BYTES_MAX: usize = 4 * 1024 * 1024;
/// The longest message taken from a server.
const MESSAGE_BYTES_MAX: usize = 16 * 1024 * 1024;
/// By long-polling a server gives no code when it closes: as a WebSocket that was closed without one.
const POLLING_CLOSE_CODE: u16 = 1005;
/// The call id of the handshake; the scenario's own calls begin after it.
const HANDSHAKE_CALL: u64 = 1;

/// What is spoken on the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Protocol {
    /// Bare WebSocket messages.
    WebSocket,
    /// SocketCluster, as a client of version 2 speaks it.
    SocketCluster,
    /// Socket.IO, protocol 5 over Engine.IO 4.
    SocketIo,
    /// The same by long-polling.
    SocketIoPolling,
}

impl Protocol {
    /// Whether it is Socket.IO, by whatever transport.
    pub(crate) const fn is_socket_io(self) -> bool {
        matches!(self, Self::SocketIo | Self::SocketIoPolling)
    }
}

/// Where a connection is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    Connecting,
    Upgrading,
    Handshaking,
    Open,
    /// We said goodbye and wait for the server's end.
    Closing,
    /// The server said goodbye, with this code.
    Closed(u16),
    /// Something went wrong; it was counted.
    Broken,
}

/// What all connections of a worker share: words and tools, no state of any one of them.
pub(crate) struct Tongue {
    /// The Host header.
    pub(crate) host: String,
    /// The path to ask for.
    pub(crate) path: String,
    /// What to speak once the WebSocket is open.
    pub(crate) protocol: Protocol,
    /// Draws masks and keys.
    pub(crate) random: fastrand::Rng,
    /// Reads packets.
    pub(crate) packets: socketcluster::Decoder,
}

impl Tongue {
    /// Tools for one worker.
    pub(crate) fn new(host: String, path: String, protocol: Protocol, seed: u64) -> Self {
        let packets = socketcluster::Decoder::new(PacketLimits::default());
        Self { host, path, protocol, random: fastrand::Rng::with_seed(seed), packets }
    }

    /// Appends a text message whose text `write` appends: a masked frame, or a packet of a payload.
    pub(crate) fn say(&mut self, out: &mut Vec<u8>, length_hint: usize, write: impl FnOnce(&mut Vec<u8>)) {
        if self.protocol == Protocol::SocketIoPolling {
            return polling::say(out, write);
        }
        encode::masked_frame_with(out, Opcode::Text, self.random.u32(..).to_ne_bytes(), length_hint, write);
    }
}

/// What a connection tells its scenario.
#[derive(Debug)]
pub(crate) enum Event<'a> {
    /// Everything is said that must be said first.
    Ready,
    /// A text message that is neither a heartbeat nor part of the handshake.
    Text(&'a str),
    /// A heartbeat was answered.
    Ping,
    /// The server closes the connection.
    Closed(u16),
    /// The server broke a rule; the connection is given up.
    Broken(String),
}

/// One connection and its role in the scenario.
pub(crate) struct Client<R> {
    /// The scenario's part.
    pub(crate) role: R,
    /// When patience ends, in the stages that must not last.
    pub(crate) deadline: Nanoseconds,
    /// It was ready once: its end takes one from the open connections.
    pub(crate) was_ready: bool,
    stage: Stage,
    decoder: Decoder,
    key: [u8; 16],
    /// The part of the upgrade's answer that has come.
    head: Vec<u8>,
    /// The session, where there is no WebSocket.
    polling: Option<Box<Polling>>,
}

impl<R> Client<R> {
    /// A connection that is about to connect.
    pub(crate) fn new(role: R, tongue: &mut Tongue, deadline: Nanoseconds) -> Self {
        let key = tongue.random.u128(..).to_ne_bytes();
        let is_polling = tongue.protocol == Protocol::SocketIoPolling;
        Self {
            role,
            deadline,
            was_ready: false,
            stage: Stage::Connecting,
            decoder: Decoder::new(Role::Client),
            key,
            head: Vec::new(),
            polling: is_polling.then(|| Box::new(Polling::new(&tongue.host, &tongue.path))),
        }
    }

    /// Where the connection is in its life.
    pub(crate) const fn stage(&self) -> Stage {
        self.stage
    }

    /// Whether the scenario may speak.
    pub(crate) fn is_open(&self) -> bool {
        self.stage == Stage::Open
    }

    /// The connection stands: asks for a WebSocket. Long-polling asks by itself.
    pub(crate) fn connected(&mut self, tongue: &Tongue, out: &mut Vec<u8>) {
        if self.polling.is_some() {
            self.stage = Stage::Handshaking;
            return;
        }
        handshake::write_request(out, &tongue.host, &tongue.path, self.key, &[]);
        self.stage = Stage::Upgrading;
    }

    /// Says goodbye.
    pub(crate) fn close(&mut self, tongue: &mut Tongue, out: &mut Vec<u8>, deadline: Nanoseconds) {
        if matches!(self.stage, Stage::Handshaking | Stage::Open) {
            if self.polling.is_some() {
                tongue.say(out, 2, |out| out.extend_from_slice(socketio::DISCONNECT.as_bytes()));
                tongue.say(out, 1, |out| out.extend_from_slice(polling::CLOSE.as_bytes()));
            } else {
                encode::masked_close(out, tongue.random.u32(..).to_ne_bytes(), 1000, "");
            }
            self.stage = Stage::Closing;
            self.deadline = deadline;
        }
    }

    /// The connection failed in a way that was counted already.
    pub(crate) const fn break_off(&mut self) {
        self.stage = Stage::Broken;
    }

    /// Bytes came. Events go to `tell`, in order, with the role, the tools and the queue to answer into.
    pub(crate) fn receive(
        &mut self,
        line: Line,
        bytes: &mut [u8],
        tongue: &mut Tongue,
        out: &mut Vec<u8>,
        mut tell: impl FnMut(&mut R, &mut Tongue, &mut Vec<u8>, Event<'_>),
    ) -> Wish {
        match self.stage {
            Stage::Connecting | Stage::Closed(_) | Stage::Broken => Wish::Keep,
            _ if self.polling.is_some() => self.answer(line, bytes, tongue, out, &mut tell),
            Stage::Upgrading => self.upgrade(bytes, tongue, out, &mut tell),
            Stage::Handshaking | Stage::Open | Stage::Closing => self.messages(bytes, tongue, out, &mut tell),
        }
    }

    fn upgrade(
        &mut self,
        bytes: &mut [u8],
        tongue: &mut Tongue,
        out: &mut Vec<u8>,
        tell: &mut impl FnMut(&mut R, &mut Tongue, &mut Vec<u8>, Event<'_>),
    ) -> Wish {
        let mut collected = std::mem::take(&mut self.head);
        let all = if collected.is_empty() {
            bytes
        } else {
            collected.extend_from_slice(bytes);
            &mut collected[..]
        };
        let length = match handshake::check_response(all, self.key) {
            Ok(Some(length)) => length,
            Ok(None) => {
                self.head = all.to_vec();
                return Wish::Keep;
            }
            Err(error) => {
                self.stage = Stage::Broken;
                tell(&mut self.role, tongue, out, Event::Broken(format!("upgrade: {error}")));
                return Wish::Drop;
            }
        };
        match tongue.protocol {
            Protocol::WebSocket => {
                self.stage = Stage::Open;
                tell(&mut self.role, tongue, out, Event::Ready);
            }
            Protocol::SocketCluster => {
                self.stage = Stage::Handshaking;
                tongue.say(out, 64, |out| socketcluster::handshake(out, None, HANDSHAKE_CALL));
            }
            // The server speaks first.
            Protocol::SocketIo | Protocol::SocketIoPolling => self.stage = Stage::Handshaking,
        }
        let rest = &mut all[length..];
        if rest.is_empty() { Wish::Keep } else { self.messages(rest, tongue, out, tell) }
    }

    /// A request was answered, or a part of it has come.
    fn answer(
        &mut self,
        line: Line,
        bytes: &[u8],
        tongue: &mut Tongue,
        out: &mut Vec<u8>,
        tell: &mut impl FnMut(&mut R, &mut Tongue, &mut Vec<u8>, Event<'_>),
    ) -> Wish {
        let Self { role, stage, polling, .. } = self;
        let Some(polling) = polling else { return Wish::Keep };
        let outcome = polling.receive(line, bytes, |text| match text {
            polling::CLOSE if *stage == Stage::Closing => Ok(()),
            polling::CLOSE => {
                *stage = Stage::Closed(POLLING_CLOSE_CODE);
                tell(role, tongue, out, Event::Closed(POLLING_CLOSE_CODE));
                Ok(())
            }
            text => hear(stage, role, tongue, out, tell, text).map_or(Ok(()), Err),
        });
        match (outcome, &*stage) {
            // Whoever has gone is not refused.
            (Err(_), Stage::Closing) => Wish::Drop,
            (Err(text), _) => {
                *stage = Stage::Broken;
                tell(role, tongue, out, Event::Broken(text));
                Wish::Drop
            }
            // The goodbye was taken, or the server's has come: nobody else ends these lines.
            (Ok(()), Stage::Closing) if out.is_empty() && !polling.is_posting() => Wish::Drop,
            (Ok(()), Stage::Closed(_)) => Wish::Drop,
            (Ok(()), _) => Wish::Keep,
        }
    }

    fn messages(
        &mut self,
        bytes: &mut [u8],
        tongue: &mut Tongue,
        out: &mut Vec<u8>,
        tell: &mut impl FnMut(&mut R, &mut Tongue, &mut Vec<u8>, Event<'_>),
    ) -> Wish {
        let limits = Limits { message_bytes_max: MESSAGE_BYTES_MAX, ..Limits::default() };
        let Self { role, stage, decoder, .. } = self;
        let mut messages = decoder.decode(bytes, &limits);
        while let Some(message) = messages.next() {
            let broken = match message {
                Ok(Message::Text(text)) => hear(stage, role, tongue, out, tell, text),
                Ok(Message::Binary(_)) => Some("unexpected binary message".to_owned()),
                Ok(Message::Ping(payload)) => {
                    encode::masked_frame(out, Opcode::Pong, tongue.random.u32(..).to_ne_bytes(), payload);
                    None
                }
                Ok(Message::Pong(_)) => None,
                Ok(Message::Close(close)) => {
                    let code = close.map_or(1005, |(code, _)| code);
                    if *stage != Stage::Closing {
                        encode::masked_close(out, tongue.random.u32(..).to_ne_bytes(), code, "");
                        *stage = Stage::Closed(code);
                        tell(role, tongue, out, Event::Closed(code));
                    }
                    None
                }
                Err(error) => {
                    let code = error.close_code();
                    encode::masked_close(out, tongue.random.u32(..).to_ne_bytes(), code, "");
                    Some(format!("websocket: {error}"))
                }
            };
            if let Some(text) = broken {
                *stage = Stage::Broken;
                tell(role, tongue, out, Event::Broken(text));
                return Wish::Drop;
            }
        }
        Wish::Keep
    }
}

impl<R> Carry for Client<R> {
    fn carry(&mut self, said: &mut Vec<u8>, first: &mut Vec<u8>, second: &mut Vec<u8>) {
        let Some(polling) = &mut self.polling else { return };
        match self.stage {
            Stage::Handshaking | Stage::Open => polling.fetch(first),
            Stage::Closing => {}
            Stage::Connecting | Stage::Upgrading | Stage::Closed(_) | Stage::Broken => return,
        }
        polling.post(said, second);
    }
}

/// One text message. Says what is broken about it, if anything.
fn hear<R>(
    stage: &mut Stage,
    role: &mut R,
    tongue: &mut Tongue,
    out: &mut Vec<u8>,
    tell: &mut impl FnMut(&mut R, &mut Tongue, &mut Vec<u8>, Event<'_>),
    text: &str,
) -> Option<String> {
    if tongue.protocol.is_socket_io() {
        match (Packet::read(text), &*stage) {
            (Packet::Ping, _) => {
                tongue.say(out, 1, |out| out.extend_from_slice(socketio::PONG.as_bytes()));
                tell(role, tongue, out, Event::Ping);
                return None;
            }
            (Packet::Open, Stage::Handshaking) => {
                tongue.say(out, 2, |out| out.extend_from_slice(socketio::CONNECT.as_bytes()));
                return None;
            }
            (Packet::Connected, Stage::Handshaking) => {
                *stage = Stage::Open;
                tell(role, tongue, out, Event::Ready);
                return None;
            }
            (Packet::Refused(error), _) => return Some(format!("handshake: {error}")),
            _ => {}
        }
    }
    if tongue.protocol == Protocol::SocketCluster {
        // The longest ping has two bytes.
        if let Some(dialect) = (text.len() <= 2).then(|| Dialect::of_ping(text)).flatten() {
            tongue.say(out, 2, |out| out.extend_from_slice(dialect.pong().as_bytes()));
            tell(role, tongue, out, Event::Ping);
            return None;
        }
        if *stage == Stage::Handshaking {
            return match handshake_outcome(&mut tongue.packets, text) {
                None => None,
                Some(Ok(())) => {
                    *stage = Stage::Open;
                    tell(role, tongue, out, Event::Ready);
                    None
                }
                Some(Err(error)) => Some(format!("handshake: {error}")),
            };
        }
    }
    if *stage == Stage::Open {
        tell(role, tongue, out, Event::Text(text));
    }
    None
}

/// What a message says about the handshake, if anything.
fn handshake_outcome(packets: &mut socketcluster::Decoder, text: &str) -> Option<Result<(), String>> {
    let messages = match packets.decode(text) {
        Ok(messages) => messages,
        Err(error) => return Some(Err(format!("{error}"))),
    };
    for message in messages {
        match message {
            ServerMessage::Reply { call, outcome, .. } if call.as_str() == "1" => {
                return Some(outcome.map(drop).map_err(|error| error.as_str().to_owned()));
            }
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use codec::http::{HeaderStorage, request};

    const KEEP: u64 = u64::MAX;

    fn tongue(protocol: Protocol) -> Tongue {
        Tongue::new("localhost".to_owned(), "/x".to_owned(), protocol, 1)
    }

    /// Everything the client tells, as text.
    fn feed(client: &mut Client<()>, tongue: &mut Tongue, out: &mut Vec<u8>, bytes: &[u8]) -> (Vec<String>, Wish) {
        let mut told = Vec::new();
        let wish = client.receive(Line::First, &mut bytes.to_vec(), tongue, out, |(), _, _, event| {
            told.push(format!("{event:?}"));
        });
        (told, wish)
    }

    fn accept(asked: &[u8]) -> Vec<u8> {
        let mut storage = HeaderStorage::new();
        let (head, _) = request::parse(asked, &mut storage, 16_384).expect("valid").expect("complete");
        let accept = handshake::accept(&head).expect("acceptable");
        let mut out = Vec::new();
        handshake::write_response(&mut out, &accept, None);
        out
    }

    fn text(out: &mut Vec<u8>, text: &str) {
        encode::frame(out, Opcode::Text, text.as_bytes());
    }

    fn heard(out: &[u8]) -> Vec<String> {
        let mut decoder = Decoder::new(Role::Server);
        let mut bytes = out.to_vec();
        let mut messages = decoder.decode(&mut bytes, &Limits::default());
        let mut heard = Vec::new();
        while let Some(message) = messages.next() {
            heard.push(format!("{:?}", message.expect("a valid frame")));
        }
        heard
    }

    #[test]
    fn speaks_the_handshake_whatever_pieces_the_answer_comes_in() {
        let mut tongue = tongue(Protocol::SocketCluster);
        let mut client = Client::new((), &mut tongue, KEEP);
        let mut out = Vec::new();
        client.connected(&tongue, &mut out);
        let mut answer = accept(&out);
        text(&mut answer, "");
        text(&mut answer, r#"{"rid":1,"data":{"id":"x","pingTimeout":20000,"isAuthenticated":false}}"#);
        text(&mut answer, "hello");
        out.clear();
        let mut told = Vec::new();
        for byte in &answer {
            let (more, wish) = feed(&mut client, &mut tongue, &mut out, &[*byte]);
            told.extend(more);
            assert_eq!(wish, Wish::Keep);
        }
        assert_eq!(told, ["Ping", "Ready", "Text(\"hello\")"]);
        let said = heard(&out);
        assert!(said[0].contains("#handshake"), "{said:?}");
        assert_eq!(said[1], "Text(\"\")", "the pong of version 2 is empty");
        assert!(client.is_open());
    }

    #[test]
    fn speaks_the_handshake_of_socket_io() {
        let mut tongue = tongue(Protocol::SocketIo);
        let mut client = Client::new((), &mut tongue, KEEP);
        let mut out = Vec::new();
        client.connected(&tongue, &mut out);
        let mut answer = accept(&out);
        for packet in [r#"0{"sid":"a"}"#, "2", r#"40{"sid":"b"}"#, r#"42["message","x"]"#] {
            text(&mut answer, packet);
        }
        out.clear();
        let (told, wish) = feed(&mut client, &mut tongue, &mut out, &answer);
        assert_eq!(told, ["Ping", "Ready", r#"Text("42[\"message\",\"x\"]")"#]);
        assert_eq!(heard(&out), [r#"Text("40")"#, r#"Text("3")"#]);
        assert!(client.is_open() && wish == Wish::Keep);

        let mut refused = Vec::new();
        text(&mut refused, r#"44{"message":"no"}"#);
        let (told, wish) = feed(&mut client, &mut tongue, &mut out, &refused);
        assert!(told[0].contains("no") && wish == Wish::Drop, "{told:?}");
    }

    #[test]
    fn a_refused_upgrade_and_a_refused_handshake_are_told() {
        let mut tongue = tongue(Protocol::SocketCluster);
        let mut out = Vec::new();
        let mut client = Client::new((), &mut tongue, KEEP);
        client.connected(&tongue, &mut out);
        let refused = b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n";
        let (told, wish) = feed(&mut client, &mut tongue, &mut out, refused);
        assert!(told[0].contains("503") && wish == Wish::Drop, "{told:?}");

        let mut client = Client::new((), &mut tongue, KEEP);
        out.clear();
        client.connected(&tongue, &mut out);
        let mut answer = accept(&out);
        text(&mut answer, r#"{"rid":1,"error":{"message":"no","name":"E"}}"#);
        let (told, wish) = feed(&mut client, &mut tongue, &mut out, &answer);
        assert!(told[0].contains("handshake") && wish == Wish::Drop, "{told:?}");
        assert_eq!(client.stage(), Stage::Broken);
    }

    #[test]
    fn the_servers_close_is_told_with_its_code_and_answered() {
        let mut tongue = tongue(Protocol::WebSocket);
        let mut out = Vec::new();
        let mut client = Client::new((), &mut tongue, KEEP);
        client.connected(&tongue, &mut out);
        let mut answer = accept(&out);
        encode::close(&mut answer, 1001, "going");
        out.clear();
        let (told, _) = feed(&mut client, &mut tongue, &mut out, &answer);
        assert_eq!(told, ["Ready", "Closed(1001)"]);
        assert_eq!(client.stage(), Stage::Closed(1001));
        assert!(heard(&out)[0].contains("1001"));
    }

    #[test]
    fn a_frame_against_the_rules_breaks_the_connection() {
        let mut tongue = tongue(Protocol::WebSocket);
        let mut out = Vec::new();
        let mut client = Client::new((), &mut tongue, KEEP);
        client.connected(&tongue, &mut out);
        let mut answer = accept(&out);
        encode::masked_frame(&mut answer, Opcode::Text, [1, 2, 3, 4], b"masked by a server");
        let (told, wish) = feed(&mut client, &mut tongue, &mut out, &answer);
        assert!(told[1].contains("Broken") && wish == Wish::Drop, "{told:?}");
    }
}
