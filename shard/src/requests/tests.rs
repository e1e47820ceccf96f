//! Requests in every piecing and order, against an application that answers some at once and some when the test says so:
//! each gets its own answer, once, in the order asked, and what is malformed ends the connection.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use codec::http::response;
use codec::message::RawJson;

use crate::{
    Caller, Command, Config, ConnectionId, Disconnect, Door, Event, Host, Invocation, Invoked, Limits, Peer,
    RawMessage, RawReplies, Reply, Request, Responded, Route, Shard, ShardId, Ticket, Time, Verdict,
};

/// What waits for its answer: the body that it will have, and whether the connection stays open.
type Waiting = Rc<RefCell<Vec<(Ticket, String, bool)>>>;

/// Answers with method, target and body; what asks for `/later` when the test says so.
struct Mirror {
    waiting: Waiting,
    commands: Vec<Command>,
    cancelled: Vec<Ticket>,
}

impl Host for Mirror {
    fn secret(&mut self) -> [u8; 16] {
        [0; 16]
    }

    fn route(&mut self, path: &str) -> Option<Route> {
        (path == "/raw").then_some(Route::Raw(0))
    }

    fn request(&mut self, ticket: Ticket, _: Peer, request: Request<'_>, out: &mut Vec<u8>) -> Responded {
        let body = std::str::from_utf8(request.body).expect("the test sends text");
        let text = format!("{} {} {body}", request.head.method, request.head.target);
        if request.head.path == "/later" {
            self.waiting.borrow_mut().push((ticket, text, request.keep_alive));
            return Responded::Pending;
        }
        response::write(out, 200, &[], text.as_bytes(), request.keep_alive);
        Responded::Ready
    }

    fn connect(&mut self, _: Ticket, _: Caller<'_>, _: Route) -> Verdict {
        Verdict::Allow
    }

    fn disconnect(&mut self, _: Caller<'_>, _: &Disconnect) {}

    fn invoke(&mut self, _: Invocation<'_>, _: &mut Reply) -> Invoked {
        Invoked::Unknown
    }

    fn subscribe(&mut self, _: Ticket, _: Caller<'_>, _: &str, _: Option<RawJson<'_>>) -> Verdict {
        Verdict::Allow
    }

    fn publish(&mut self, _: Ticket, _: Caller<'_>, _: &str, _: Option<RawJson<'_>>) -> Verdict {
        Verdict::Allow
    }

    fn message(&mut self, _: Caller<'_>, _: u16, message: RawMessage<'_>, replies: &mut RawReplies<'_>) {
        replies.send(message);
    }

    fn poll_command(&mut self) -> Option<Command> {
        self.commands.pop()
    }

    fn congested(&mut self, _: bool) {}

    fn cancel(&mut self, ticket: Ticket) {
        self.cancelled.push(ticket);
    }
}

/// One shard, one connection, a kernel that takes everything.
struct World {
    shard: Shard,
    host: Mirror,
    id: ConnectionId,
    now: Time,
    sent: Vec<u8>,
    events: Vec<Event>,
}

impl World {
    fn new() -> Self {
        let limits = Limits { body_bytes_max: 1_000, ..Limits::default() };
        let mut shard = Shard::new(Config { id: ShardId(0), shards: 1, limits, seed: 1 }, Time::ZERO);
        let id = shard.handle_accept(Time::ZERO, ([127, 0, 0, 1], 1).into(), Door::Plain).expect("there is room");
        let host = Mirror { waiting: Rc::default(), commands: Vec::new(), cancelled: Vec::new() };
        Self { shard, host, id, now: Time::ZERO, sent: Vec::new(), events: Vec::new() }
    }

    fn pass(&mut self, enter: impl FnOnce(&mut Shard, Time, ConnectionId, &mut Mirror)) {
        self.shard.begin_turn(self.now);
        enter(&mut self.shard, self.now, self.id, &mut self.host);
        loop {
            self.shard.settle(self.now, &mut self.host);
            while let Some(transmit) = self.shard.poll_transmit() {
                self.sent.extend_from_slice(transmit.bytes);
            }
            self.events.extend(std::iter::from_fn(|| self.shard.poll_event()));
            self.shard.check();
            if !self.shard.has_work() {
                return;
            }
            self.shard.begin_turn(self.now);
        }
    }

    fn receive(&mut self, bytes: &[u8]) {
        let mut bytes = bytes.to_vec();
        self.pass(|shard, now, id, host| shard.handle_receive(now, id, &mut bytes, host));
    }

    /// Answers what has waited longest.
    fn answer(&mut self) {
        let (ticket, text, keep_alive) = self.host.waiting.borrow_mut().remove(0);
        let mut out = Vec::new();
        response::write(&mut out, 200, &[], text.as_bytes(), keep_alive);
        let command = Command::Respond { ticket, response: out };
        self.pass(|shard, now, _, host| shard.command(now, command, host));
    }

    fn tick_after(&mut self, time: Duration) {
        self.now = self.now + time;
        self.pass(|shard, now, _, host| shard.handle_tick(now, host));
    }

    /// Statuses and bodies of what was sent since the last look.
    fn answers(&mut self) -> Vec<(u16, String)> {
        let mut rest = String::from_utf8(std::mem::take(&mut self.sent)).expect("the test sends text");
        let mut answers = Vec::new();
        while let Some((head, tail)) = rest.split_once("\r\n\r\n") {
            let length = head.lines().find_map(|line| line.strip_prefix("Content-Length: "));
            let length = length.map_or(0, |length| length.parse().expect("a number"));
            answers.push((head[9..12].parse().expect("a status"), tail[..length].to_owned()));
            rest = tail[length..].to_owned();
        }
        assert_eq!(rest, "");
        answers
    }

    fn is_closing(&self) -> bool {
        self.events.contains(&Event::Shutdown(self.id))
    }
}

fn ok(body: &str) -> (u16, String) {
    (200, body.to_owned())
}

const STREAM: &str = "GET /a?b HTTP/1.1\r\nHost: x\r\n\r\n\
    POST /b HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello\
    POST /later HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n4;x\r\ndefg\r\n0\r\nT: 1\r\n\r\n\
    \r\nPUT /c HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nGET\
    GET /later HTTP/1.1\r\nHost: x\r\n\r\n\
    GET /d HTTP/1.0\r\n\r\n";

#[test]
fn requests_in_pieces_are_answered_whole_and_in_order() {
    for piece in [1, 2, 3, 7, 20, 64, 150, STREAM.len()] {
        let mut world = World::new();
        for bytes in STREAM.as_bytes().chunks(piece) {
            world.receive(bytes);
        }
        assert_eq!(world.answers(), [ok("GET /a?b "), ok("POST /b hello")], "in pieces of {piece}");
        world.answer();
        assert_eq!(world.answers(), [ok("POST /later abcdefg"), ok("PUT /c GET")], "in pieces of {piece}");
        assert!(!world.is_closing());
        world.answer();
        assert_eq!(world.answers(), [ok("GET /later "), ok("GET /d ")], "in pieces of {piece}");
        assert!(world.is_closing(), "HTTP/1.0 does not keep alive");
        assert_eq!(world.shard.metrics().requests, 6);
    }
}

#[test]
fn a_connection_is_not_read_while_an_answer_is_pending_and_is_read_again() {
    let mut world = World::new();
    world.receive(b"GET /later HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_eq!(world.events, [Event::PauseReceive(world.id)]);
    world.answer();
    assert_eq!(world.events, [Event::PauseReceive(world.id), Event::ResumeReceive(world.id)]);
    world.receive(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_eq!(world.answers(), [ok("GET /later "), ok("GET / ")]);
}

#[test]
fn a_request_that_nobody_answers_gets_504_and_the_next_its_answer() {
    let mut world = World::new();
    world.receive(b"GET /later HTTP/1.1\r\nHost: x\r\n\r\nGET /next HTTP/1.1\r\nHost: x\r\n\r\n");
    world.tick_after(Duration::from_secs(9));
    assert_eq!(world.answers(), []);
    world.tick_after(Duration::from_secs(2));
    let error = r#"{"message":"the request was not answered in time","name":"TimeoutError"}"#;
    assert_eq!(world.answers(), [(504, error.to_owned()), ok("GET /next ")]);
    assert_eq!((world.host.cancelled.len(), world.shard.metrics().requests_timed_out), (1, 1));
    world.answer();
    assert_eq!(world.answers(), [], "an answer that comes too late is nobody's");
}

#[test]
fn a_body_is_asked_for_when_its_client_waits_for_that() {
    let mut world = World::new();
    world.receive(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n");
    assert_eq!(world.answers(), [(100, String::new())]);
    world.receive(b"h");
    world.receive(b"i");
    assert_eq!(world.answers(), [ok("POST / hi")]);
    // Who does not wait is not asked.
    world.receive(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nExpect: 100-Continue\r\n\r\nh");
    assert_eq!(world.answers(), []);
    world.receive(b"i");
    assert_eq!(world.answers(), [ok("POST / hi")]);
    world.receive(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nExpect: miracles\r\n\r\nhi");
    assert_eq!(world.answers(), [(417, "unknown expectation".to_owned())]);
    assert!(world.is_closing());
}

#[test]
fn a_body_that_is_too_long_or_malformed_ends_the_connection() {
    let post = |rest: &str| format!("POST / HTTP/1.1\r\nHost: x\r\n{rest}");
    for (request, status) in [
        (post("Content-Length: 1001\r\n\r\n"), 413),
        (post("Content-Length: 99999999999999999\r\nExpect: 100-continue\r\n\r\n"), 413),
        (post("Transfer-Encoding: chunked\r\n\r\n3e9\r\n"), 413),
        (post("Transfer-Encoding: chunked\r\n\r\n1\nx"), 400),
        (post("Transfer-Encoding: chunked\r\n\r\n1\r\nxx"), 400),
    ] {
        for piece in [1, request.len()] {
            let mut world = World::new();
            for bytes in request.as_bytes().chunks(piece) {
                world.receive(bytes);
            }
            world.receive(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n");
            let answers = world.answers();
            let last = answers.last().expect("an answer");
            assert_eq!(last.0, status, "{request}");
            assert!(world.is_closing() && answers.len() == 1 + usize::from(answers[0].0 == 100), "{answers:?}");
            assert_eq!(world.shard.metrics().bodies_refused, u64::from(status == 413));
        }
    }
}

#[test]
fn a_body_that_does_not_come_in_time_is_answered_with_408() {
    let mut world = World::new();
    world.receive(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n");
    for _ in 0..29 {
        world.tick_after(Duration::from_secs(1));
        world.receive(b"a");
    }
    assert_eq!(world.answers(), []);
    world.tick_after(Duration::from_secs(2));
    assert_eq!(world.answers(), [(408, "request timed out".to_owned())]);
    assert!(world.is_closing());
}

#[test]
fn a_stop_answers_who_waits() {
    let mut world = World::new();
    world.receive(b"GET /later HTTP/1.1\r\nHost: x\r\n\r\n");
    world.pass(|shard, now, _, _| shard.handle_shutdown(now));
    assert_eq!(world.answers(), [(503, String::new())]);
    assert_eq!(world.host.cancelled.len(), 1);
}

#[test]
fn an_upgrade_may_follow_requests_and_frames_may_follow_the_upgrade() {
    let mut world = World::new();
    let mut bytes = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nhi".to_vec();
    codec::websocket::handshake::write_request(&mut bytes, "x", "/raw", [1; 16], &[]);
    codec::websocket::encode::masked_frame_with(&mut bytes, codec::websocket::Opcode::Text, [1; 4], 2, |out| {
        out.extend_from_slice(b"yo");
    });
    world.receive(&bytes);
    assert!(world.sent.ends_with(b"\x81\x02yo"));
    assert!(world.sent.windows(12).any(|window| window == b"HTTP/1.1 101"));
}
