//! A server small enough to be trusted: blocking, a thread for each connection, echo and SocketCluster by the codec's
//! server direction, with faults on demand. It counts the faults it commits.

use std::collections::HashMap;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use codec::http::{HeaderStorage, request};
use codec::message::{ClientMessage, RawJson};
use codec::socketcluster::{Decoder as Packets, Limits as PacketLimits, encode as packet};
use codec::websocket::{Decoder, Limits, Message, Opcode, Role, encode, handshake};

/// What the server does wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    None,
    /// Every n-th delivery is not made.
    Drop(u64),
    /// Every n-th delivery is made twice.
    Repeat(u64),
    /// Every n-th delivery comes after the next one of its connection.
    Delay(u64),
    /// Every answer is wrong.
    Lie,
    /// The connection is closed with that code at its n-th message.
    Close(u64, u16),
    /// Who logs out stays online.
    Ghosts,
    /// None, but its sockets take little at a time.
    Narrow,
}

type Peers = HashMap<String, Vec<Arc<Mutex<Peer>>>>;

struct Peer {
    stream: TcpStream,
    delayed: Option<Vec<u8>>,
    /// Who is logged in, and in which room.
    user: Option<String>,
    room: Option<String>,
}

/// The server. Its threads end with their connections; the listener's ends with the process of the test.
pub(super) struct Server {
    address: SocketAddr,
    faults: Arc<AtomicU64>,
}

struct State {
    fault: Fault,
    faults: Arc<AtomicU64>,
    deliveries: AtomicU64,
    accepted: AtomicUsize,
    online: AtomicUsize,
    channels: Mutex<Peers>,
}

impl Server {
    pub(super) fn start(fault: Fault) -> Self {
        let listener = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).expect("a free port");
        if fault == Fault::Narrow {
            // Inherited by the accepted sockets: the peer's send buffer grows with what we take, so that it stays small.
            socket2::SockRef::from(&listener).set_recv_buffer_size(4_096).expect("a size that kernels accept");
        }
        let address = listener.local_addr().expect("bound");
        let faults = Arc::new(AtomicU64::new(0));
        let state = Arc::new(State {
            fault,
            faults: Arc::clone(&faults),
            deliveries: AtomicU64::new(0),
            accepted: AtomicUsize::new(0),
            online: AtomicUsize::new(0),
            channels: Mutex::new(HashMap::new()),
        });
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let state = Arc::clone(&state);
                std::thread::spawn(move || {
                    let peer = Peer {
                        stream: stream.try_clone().expect("a descriptor"),
                        delayed: None,
                        user: None,
                        room: None,
                    };
                    let peer = Arc::new(Mutex::new(peer));
                    // How a connection ended does not matter here.
                    let _ = serve(&stream, &peer, &state);
                    exit(&peer, &state);
                    log_out(&peer, &state);
                });
            }
        });
        Self { address, faults }
    }

    pub(super) fn url(&self) -> String {
        format!("ws://{}", self.address)
    }

    /// How many faults it committed.
    pub(super) fn faults(&self) -> u64 {
        self.faults.load(Ordering::SeqCst)
    }
}

fn serve(stream: &TcpStream, peer: &Arc<Mutex<Peer>>, state: &State) -> Option<()> {
    let mut reader = stream.try_clone().ok()?;
    let shard = state.accepted.fetch_add(1, Ordering::SeqCst) % 2;
    let mut head = Vec::new();
    let mut buffer = vec![0; 65_536];
    let is_echo = loop {
        let length = reader.read(&mut buffer).ok().filter(|&length| length > 0)?;
        head.extend_from_slice(&buffer[..length]);
        let mut storage = HeaderStorage::new();
        if let Some((request, _)) = request::parse(&head, &mut storage, 16_384).ok()? {
            let accept = handshake::accept(&request).ok()?;
            let mut out = Vec::new();
            handshake::write_response(&mut out, &accept, None);
            reader.write_all(&out).ok()?;
            break request.path == "/echo";
        }
    };
    let (mut decoder, mut packets) = (Decoder::new(Role::Server), Packets::new(PacketLimits::default()));
    let limits = Limits { message_bytes_max: 1 << 24, ..Limits::default() };
    let mut count = 0;
    loop {
        let length = reader.read(&mut buffer).ok().filter(|&length| length > 0)?;
        let mut messages = decoder.decode(&mut buffer[..length], &limits);
        let mut out = Vec::new();
        while let Some(message) = messages.next() {
            count += 1;
            match message.ok()? {
                Message::Close(_) => {
                    encode::close(&mut out, 1000, "");
                    peer.lock().ok()?.stream.write_all(&out).ok()?;
                    return stream.shutdown(std::net::Shutdown::Both).ok();
                }
                Message::Text(_) if matches!(state.fault, Fault::Close(nth, _) if nth == count) => {
                    let Fault::Close(_, code) = state.fault else { return None };
                    state.faults.fetch_add(1, Ordering::SeqCst);
                    encode::close(&mut out, code, "enough");
                }
                Message::Text(text) if is_echo => {
                    let lie = if state.fault == Fault::Lie { "!" } else { "" };
                    encode::frame(&mut out, Opcode::Text, format!("{text}{lie}").as_bytes());
                }
                Message::Text(text) => {
                    for message in packets.decode(text).ok()? {
                        answer(&message, peer, state, shard, &mut out);
                    }
                }
                _ => {}
            }
        }
        peer.lock().ok()?.stream.write_all(&out).ok()?;
    }
}

/// Answers one packet.
fn answer(message: &ClientMessage<'_>, peer: &Arc<Mutex<Peer>>, state: &State, shard: usize, out: &mut Vec<u8>) {
    let mut text = Vec::new();
    match message {
        ClientMessage::Handshake { call: Some(call), .. } => {
            packet::handshake_reply(&mut text, *call, "id", 20_000, false, None);
            encode::frame(out, Opcode::Text, &text);
            // A heartbeat right away: the generator must answer it.
            return encode::frame(out, Opcode::Text, b"");
        }
        ClientMessage::Invoke { action, data, call: Some(call) } => {
            let number = shard.to_string();
            let online = format!("{{\"count\":{},\"users\":[],\"next\":null}}", state.online.load(Ordering::SeqCst));
            match action.as_ref() {
                "app.login" => log_in(peer, state, *data),
                "app.logout" => log_out(peer, state),
                _ => {}
            }
            let data = match (action.as_ref(), state.fault) {
                ("users.online", _) => Some(RawJson::from_validated(&online)),
                ("app.login" | "app.logout", _) => None,
                ("app.shard", _) => Some(RawJson::from_validated(&number)),
                (_, Fault::Lie) => Some(RawJson::from_validated("\"lie\"")),
                _ => *data,
            };
            packet::reply(&mut text, *call, data);
        }
        ClientMessage::Subscribe { channel, call: Some(call), .. } => {
            let mut channels = state.channels.lock().expect("no panic");
            channels.entry(channel.to_string()).or_default().push(Arc::clone(peer));
            drop(channels);
            enter(peer, state, channel);
            packet::reply(&mut text, *call, None);
        }
        ClientMessage::Unsubscribe { call: Some(call), .. } => {
            exit(peer, state);
            packet::reply(&mut text, *call, None);
        }
        ClientMessage::Publish { channel, data, call: Some(call) } => {
            publish(channel, *data, state);
            packet::reply(&mut text, *call, None);
        }
        _ => return,
    }
    encode::frame(out, Opcode::Text, &text);
}

/// Somebody is logged in as the user that the call names.
fn log_in(peer: &Arc<Mutex<Peer>>, state: &State, data: Option<RawJson<'_>>) {
    let data: serde_json::Value = serde_json::from_str(data.expect("a user").as_str()).expect("JSON");
    peer.lock().expect("no panic").user = Some(data["user"].as_str().expect("a name").to_owned());
    state.online.fetch_add(1, Ordering::SeqCst);
}

/// Nobody is logged in, perhaps as before.
fn log_out(peer: &Arc<Mutex<Peer>>, state: &State) {
    if peer.lock().expect("no panic").user.take().is_some() && state.fault != Fault::Ghosts {
        state.online.fetch_sub(1, Ordering::SeqCst);
    }
}

/// A logged-in user is in a room.
fn enter(peer: &Arc<Mutex<Peer>>, state: &State, room: &str) {
    let mut known = peer.lock().expect("no panic");
    let Some(user) = known.user.clone() else { return };
    known.room = Some(room.to_owned());
    drop(known);
    tell(state, room, "join", &user);
}

/// Nobody is in a room, perhaps as before.
fn exit(peer: &Arc<Mutex<Peer>>, state: &State) {
    let mut known = peer.lock().expect("no panic");
    let (user, Some(room)) = (known.user.clone(), known.room.take()) else { return };
    drop(known);
    let mut channels = state.channels.lock().expect("no panic");
    channels.entry(room.clone()).or_default().retain(|one| !Arc::ptr_eq(one, peer));
    drop(channels);
    tell(state, &room, "leave", &user.expect("a member is logged in"));
}

fn tell(state: &State, room: &str, event: &str, user: &str) {
    let data = serde_json::json!({ "channel": room, "event": event, "user": user });
    let mut frame = Vec::new();
    let text = serde_json::json!({ "event": "presence", "data": data }).to_string();
    encode::frame(&mut frame, Opcode::Text, text.as_bytes());
    deliver(room, &frame, state);
}

fn publish(channel: &str, data: Option<RawJson<'_>>, state: &State) {
    let (mut text, mut frame) = (Vec::new(), Vec::new());
    packet::publication(&mut text, channel, data);
    encode::frame(&mut frame, Opcode::Text, &text);
    deliver(channel, &frame, state);
}

fn deliver(channel: &str, frame: &[u8], state: &State) {
    // Held while delivering: two publishers must not mix their frames.
    let channels = state.channels.lock().expect("no panic");
    for peer in channels.get(channel).into_iter().flatten() {
        let mut peer = peer.lock().expect("no panic");
        let nth = state.deliveries.fetch_add(1, Ordering::SeqCst) + 1;
        let is_hit = |every: u64| nth.is_multiple_of(every);
        let mut bytes = match state.fault {
            Fault::Drop(every) if is_hit(every) => Vec::new(),
            Fault::Repeat(every) if is_hit(every) => [frame, frame].concat(),
            Fault::Delay(every) if is_hit(every) && peer.delayed.is_none() => {
                peer.delayed = Some(frame.to_vec());
                state.faults.fetch_add(1, Ordering::SeqCst);
                continue;
            }
            _ => frame.to_vec(),
        };
        if bytes.len() != frame.len() {
            state.faults.fetch_add(1, Ordering::SeqCst);
        }
        bytes.extend(peer.delayed.take().unwrap_or_default());
        // A subscriber that is gone is the test's business, not the server's.
        let _ = peer.stream.write_all(&bytes);
    }
}
