//! The application of one simulated shard: decides hooks by dice, answers actions at once, later or never, and asks its
//! shard for things of its own. It tells the oracle what it decided, and holds the shard to the application's contract:
//! nobody calls who was not let in, everybody who was is reported gone once, every ticket is answered or cancelled.

use std::borrow::Cow;
use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;
use std::time::Duration;

use codec::http::response;
use codec::message::RawJson;
use fastrand::Rng;
use shard::{
    Answer, Caller, Command, ConnectionId, Disconnect, Host, Invocation, Invoked, LoginEnd, Peer, Question, RawMessage,
    RawReplies, Refusal, Reply, Request, Responded, Route, Ticket, Time, TokenError, Verdict, Verified,
};

use super::ledger::{channel_index, identity, payload};
use super::login::{Login, Presented, TokenVerdict, claims, token, verified};
use super::oracle::{Oracle, application};
use super::people::{Asking, whim as people_whim};
use super::plan::{CHANNELS, Plan};
use super::record::Decision;

/// What a ticket stands for.
#[derive(Clone, Debug)]
enum Waiting {
    Connect(Route),
    /// The packet that asked.
    Subscribe(u64),
    Publish(usize, u64),
    Authenticate(Login),
    Call,
}

#[derive(Debug)]
struct Pending {
    connection: ConnectionId,
    client: usize,
    waiting: Waiting,
}

pub(super) struct Application {
    shard: usize,
    /// Its name as a publisher: another one in each life of the shard.
    publisher: u64,
    plan: Plan,
    random: Rng,
    oracle: Rc<RefCell<Oracle>>,
    commands: VecDeque<Command>,
    /// Commands that come from outside a call, and when.
    later: Vec<(Time, Command)>,
    admitted: BTreeMap<ConnectionId, (usize, Route)>,
    pending: BTreeMap<Ticket, Pending>,
    /// A publication that was let through, until the commands of the same call are done.
    allowed: Option<(ConnectionId, usize, u64, u64)>,
    /// A token that was verified, until its hook is asked.
    presented: Option<Login>,
    pub(super) asking: Asking,
    /// Hooks let everything through and nothing is asked of the shard any more.
    pub(super) is_calm: bool,
    pub(super) congested_turns: u64,
}

impl Application {
    pub(super) fn new(shard: usize, life: u32, plan: &Plan, random: Rng, oracle: Rc<RefCell<Oracle>>) -> Self {
        Self {
            shard,
            publisher: application(shard) + 16 * u64::from(life),
            plan: plan.clone(),
            random,
            oracle,
            commands: VecDeque::new(),
            later: Vec::new(),
            admitted: BTreeMap::new(),
            pending: BTreeMap::new(),
            allowed: None,
            presented: None,
            asking: Asking::default(),
            is_calm: false,
            congested_turns: 0,
        }
    }

    /// Commands whose time has come.
    pub(super) fn due(&mut self, now: Time) -> Vec<Command> {
        let (due, later) = std::mem::take(&mut self.later).into_iter().partition(|(at, _)| *at <= now);
        self.later = later;
        due.into_iter().map(|(_, command): (Time, Command)| command).collect()
    }

    /// Asks questions, for a census.
    pub(super) fn ask_all(&mut self, questions: Vec<Question>) {
        let now = self.now();
        let commands = questions.into_iter().map(|question| (now, self.asking.ask(question, true)));
        self.later.extend(commands);
    }

    /// What was found out since.
    pub(super) fn found(&mut self) -> Vec<(Question, Answer)> {
        std::mem::take(&mut self.asking.found)
    }

    /// When the next command is due.
    pub(super) fn next_due(&self) -> Option<Time> {
        self.later.iter().map(|(at, _)| *at).min()
    }

    /// Something of the application's own accord.
    pub(super) fn act(&mut self) {
        if let Some(command) = self.whim() {
            let at = self.now();
            self.later.push((at, command));
        }
    }

    /// A command is about to be done. What is numbered gets its number now: in the order in which it is done.
    pub(super) fn carry_out(&mut self, command: &mut Command) {
        let mut oracle = self.oracle.borrow_mut();
        let now = oracle.now;
        match command {
            Command::Publish { channel, data } => {
                let (publisher, number) = (self.publisher, oracle.next_number());
                let padding = self.random.usize(..=self.plan.padding_bytes_max);
                *data = Some(payload(publisher, number, padding).into());
                oracle.accept(self.shard, channel_index(channel), publisher, number);
            }
            Command::Verdict { ticket, verdict } => {
                let Some(pending) = self.pending.remove(ticket) else { return };
                decided(&mut oracle, &mut self.admitted, self.shard, pending, verdict);
            }
            Command::Reply { ticket, .. } | Command::Respond { ticket, .. } => drop(self.pending.remove(ticket)),
            Command::Emit { connection, data, .. } => {
                if let Some((client, Route::SocketCluster)) = self.admitted.get(connection) {
                    oracle.records[*client].events_sent += 1;
                    *data = Some(oracle.records[*client].events_sent.to_string().into());
                }
            }
            Command::Send { connection, payload } => {
                if let Some((client, Route::Raw(_))) = self.admitted.get(connection) {
                    let payload = payload.clone().map(String::from).map_err(Vec::from);
                    oracle.records[*client].echoes.push_back(payload);
                }
            }
            Command::KickOut { connection, channel, .. } => {
                let moment = oracle.ledger.moment();
                if let Some((client, _)) = self.admitted.get(connection)
                    && let Some(known) = oracle.records[*client].subscriptions.get_mut(&channel_index(channel))
                {
                    known.kick(moment, true);
                }
            }
            Command::SetToken { connection, verified, .. } => {
                if let Some((client, Route::SocketCluster)) = self.admitted.get(connection) {
                    oracle.records[*client].set_login(now, verified);
                }
            }
            Command::RemoveToken { connection } => {
                if let Some((client, _)) = self.admitted.get(connection) {
                    oracle.records[*client].login = None;
                }
            }
            Command::SettleSessions | Command::SessionLoaded { .. } | Command::SessionSaved { .. } => {
                panic!("there are no sessions here")
            }
            Command::Address { audience, names, act, .. } => {
                let padding = self.random.usize(..=self.plan.padding_bytes_max);
                oracle.say(self.shard, *audience, names, act, padding);
            }
            Command::Ask { .. } => {}
            Command::Invoke { .. } | Command::Join { .. } | Command::Leave { .. } => panic!("no client is asked here"),
            Command::LoginFailed { .. } => panic!("nobody counts logins here"),
            Command::Disconnect { connection, disconnect } => {
                if let Some((client, _)) = self.admitted.get(connection) {
                    let record = &mut oracle.records[*client];
                    record.closes.insert(disconnect.code);
                    record.is_doomed = true;
                    record.may_vanish_unopened = true;
                }
            }
        }
    }

    /// The shard has died: it has told of everybody.
    pub(super) fn check_abandoned(&self) {
        assert!(self.admitted.is_empty(), "let in and never reported gone: {:?}", self.admitted);
    }

    /// At the end of a run.
    pub(super) fn check_empty(&self) {
        assert!(self.admitted.is_empty(), "let in and never reported gone: {:?}", self.admitted);
        self.asking.check_empty();
        assert!(self.pending.is_empty(), "neither answered nor cancelled: {:?}", self.pending);
        assert!(self.allowed.is_none() && self.commands.is_empty(), "commands are left");
    }

    /// Something that an application may ask for at any time.
    fn whim(&mut self) -> Option<Command> {
        let chosen = self.random.usize(..self.admitted.len().max(1));
        let (connection, (client, route)) = self.admitted.iter().nth(chosen).map(|(id, known)| (*id, *known))?;
        if self.random.u8(..4) == 0 {
            return Some(people_whim(&mut self.asking, &self.plan, &mut self.random));
        }
        let channel = self.random.usize(..self.plan.channels);
        Some(match (self.random.u8(..20), route) {
            (0..9, _) => publication(channel),
            (9..15, _) => greeting(connection, route),
            (15, Route::SocketCluster) => self.set_token(connection, client, 0),
            (16, Route::SocketCluster) => Command::RemoveToken { connection },
            (17..19, Route::SocketCluster) => {
                Command::KickOut { connection, channel: CHANNELS[channel].into(), message: "out".into() }
            }
            _ if self.plan.is_peaceful => publication(channel),
            _ => Command::Disconnect { connection, disconnect: Disconnect::new(4_100, "a whim") },
        })
    }

    fn now(&self) -> Time {
        self.oracle.borrow().now
    }

    /// A hook's answer, by dice.
    fn decide(&mut self, ticket: Ticket, peer: Peer, waiting: Waiting) -> Verdict {
        let client = client_of(peer);
        assert!(self.allowed.is_none(), "commands are done after every call, before the next");
        if self.is_calm || !self.plan.has_moody_hooks {
            return Verdict::Allow;
        }
        let refusal = Refusal { error: "{\"name\":\"MoodError\",\"message\":\"no\"}".into(), code: 4_123, status: 403 };
        match self.random.u8(..24) {
            0 => Verdict::Refuse(refusal),
            1..5 => {
                self.pending.insert(ticket, Pending { connection: peer.connection, client, waiting });
                let verdict = if self.random.u8(..4) == 0 { Err(refusal) } else { Ok(()) };
                self.answer(Command::Verdict { ticket, verdict });
                Verdict::Pending
            }
            _ => Verdict::Allow,
        }
    }

    /// Answers a ticket: in the same call, soon, too late, or never.
    fn answer(&mut self, command: Command) {
        let timeout = u64::try_from(self.plan.limits.call_timeout.as_micros()).expect("some seconds");
        let micros = match self.random.u8(..16) {
            0..3 => return self.commands.push_back(command),
            3..13 => self.random.u64(..20_000),
            13 | 14 => self.random.u64(..timeout * 3 / 2),
            _ => return,
        };
        let at = self.now() + Duration::from_micros(micros);
        self.later.push((at, command));
    }

    fn check_admitted(&self, peer: Peer) -> usize {
        let client = client_of(peer);
        let known = self.admitted.get(&peer.connection).map(|(client, _)| *client);
        assert_eq!(known, Some(client), "a call of somebody who is not let in");
        assert!(self.allowed.is_none(), "commands are done after every call, before the next");
        client
    }
}

impl Host for Application {
    fn secret(&mut self) -> [u8; 16] {
        [0; 16]
    }

    fn route(&mut self, path: &str) -> Option<Route> {
        match path {
            "/socketcluster/" => Some(Route::SocketCluster),
            "/echo" => Some(Route::Raw(7)),
            _ => None,
        }
    }

    fn request(&mut self, ticket: Ticket, peer: Peer, request: Request<'_>, response: &mut Vec<u8>) -> Responded {
        let text = [request.head.target.as_bytes(), b" ", request.body].concat();
        if request.head.path == "/later" && !self.is_calm {
            let mut response = Vec::new();
            response::write(&mut response, 200, &[], &text, request.keep_alive);
            let client = client_of(peer);
            let connection = peer.connection;
            self.pending.insert(ticket, Pending { connection, client, waiting: Waiting::Call });
            self.answer(Command::Respond { ticket, response });
            return Responded::Pending;
        }
        response::write(response, 200, &[], &text, request.keep_alive);
        Responded::Ready
    }

    fn verify(&mut self, token: &str) -> Result<Verified, TokenError> {
        let mut oracle = self.oracle.borrow_mut();
        let now = oracle.now;
        let Presented { client, index, outcome } = oracle.mint.verify(now, token);
        let expires = outcome.as_ref().ok().and_then(|verified| verified.lifetime).map(|lifetime| now + lifetime);
        let user = outcome.as_ref().ok().and_then(|verified| verified.user.clone());
        let login = Login { claims: claims(token), expires, user, at: now, since: index, is_late: false };
        let record = &mut oracle.records[client];
        record.heard_packet = index;
        if outcome.is_ok() {
            self.presented = Some(login);
        } else {
            record.decide_token(now, login, TokenVerdict::Bad);
        }
        outcome
    }

    fn authenticate(&mut self, ticket: Ticket, caller: Caller<'_>) -> Verdict {
        let login = self.presented.take().expect("it was verified before");
        assert_eq!(caller.claims, Some(&*login.claims), "the hook is asked about another token");
        assert_eq!(caller.user, login.user.as_deref(), "the hook is asked about another user");
        let verdict = self.decide(ticket, caller.peer, Waiting::Authenticate(login.clone()));
        let decided = match &verdict {
            Verdict::Allow => TokenVerdict::Good,
            Verdict::Refuse(_) => TokenVerdict::Refused,
            Verdict::Pending => TokenVerdict::Pending,
        };
        let mut oracle = self.oracle.borrow_mut();
        let now = oracle.now;
        let record = &mut oracle.records[client_of(caller.peer)];
        if decided == TokenVerdict::Pending {
            // It has to wait, and the hook may take longer than a handshake may.
            record.closes.insert(4_005);
            record.may_vanish_unopened = true;
        }
        record.decide_token(now, login, decided);
        verdict
    }

    fn connect(&mut self, ticket: Ticket, caller: Caller<'_>, route: Route) -> Verdict {
        let peer = caller.peer;
        self.check_claims(caller, None);
        assert!(!self.admitted.contains_key(&peer.connection), "let in twice");
        let verdict = self.decide(ticket, peer, Waiting::Connect(route));
        let client = client_of(peer);
        match &verdict {
            Verdict::Allow => {
                self.admitted.insert(peer.connection, (client, route));
                if !self.is_calm && self.random.u8(..4) == 0 {
                    self.commands.push_back(greeting(peer.connection, route));
                }
                if !self.is_calm && !self.plan.is_peaceful && self.random.u8(..40) == 0 {
                    let disconnect = Disconnect::new(4_101, "not you");
                    self.commands.push_back(Command::Disconnect { connection: peer.connection, disconnect });
                }
            }
            Verdict::Refuse(refusal) => {
                let mut oracle = self.oracle.borrow_mut();
                oracle.records[client].closes.insert(refusal.code);
                oracle.records[client].statuses.insert(403);
            }
            Verdict::Pending => {
                // A hook that runs out of time refuses.
                let mut oracle = self.oracle.borrow_mut();
                oracle.records[client].closes.insert(4_008);
                oracle.records[client].closes.insert(4_005);
                oracle.records[client].statuses.insert(408);
                oracle.records[client].statuses.insert(403);
                oracle.records[client].may_vanish_unopened = true;
            }
        }
        verdict
    }

    fn deauthenticated(&mut self, caller: Caller<'_>, _: LoginEnd) {
        let client = client_of(caller.peer);
        self.oracle.borrow_mut().records[client].login_ended(caller.claims.expect("logins here are by tokens"));
    }

    fn disconnect(&mut self, caller: Caller<'_>, disconnect: &Disconnect) {
        let peer = caller.peer;
        let known = self.admitted.remove(&peer.connection);
        assert!(known.is_some(), "client {} was not let in, or is gone twice: {disconnect:?}", client_of(peer));
        let mut oracle = self.oracle.borrow_mut();
        let now = oracle.now;
        let record = &mut oracle.records[client_of(peer)];
        record.told.reported = Some(disconnect.code);
        record.left_at = Some(now);
        record.check_unended(caller.claims);
        drop(oracle);
        let left = self.pending.values().find(|pending| pending.connection == peer.connection);
        assert!(left.is_none(), "gone, but not cancelled: {left:?}");
        self.allowed = self.allowed.filter(|(connection, ..)| *connection != peer.connection);
        if !self.is_calm && self.random.u8(..8) == 0 {
            let channel = self.random.usize(..self.plan.channels);
            self.commands.push_back(publication(channel));
        }
    }

    fn invoke(&mut self, invocation: Invocation<'_>, reply: &mut Reply) -> Invoked {
        let client = self.check_admitted(invocation.caller.peer);
        let data = invocation.data.map_or("", RawJson::as_str);
        let index = matches!(invocation.action, "login" | "logout" | "who").then(|| data.parse().expect("its number"));
        self.check_claims(invocation.caller, index);
        if !self.is_calm
            && self.random.u8(..6) == 0
            && let Some(command) = self.whim()
        {
            self.commands.push_back(command);
        }
        match invocation.action {
            "echo" => reply.set_data(data),
            "nothing" => reply.set_empty(),
            "fail" => {
                reply.write_error(|out| out.extend_from_slice(b"{\"name\":\"FailError\",\"message\":\"as asked\"}"))
            }
            "who" => reply.set_data(invocation.caller.claims.unwrap_or("null")),
            "logout" => {
                self.commands.push_back(Command::RemoveToken { connection: invocation.caller.peer.connection });
                reply.set_empty();
            }
            "login" if self.random.u8(..4) == 0 => {
                let (ticket, connection) = (invocation.ticket, invocation.caller.peer.connection);
                let token = self.set_token(connection, client, 0);
                self.owe_token(client, index, &token);
                self.pending.insert(ticket, Pending { connection, client, waiting: Waiting::Call });
                let at = self.now() + Duration::from_micros(self.random.u64(..20_000));
                self.later.extend([(at, token), (at, Command::Reply { ticket, reply: Reply::default() })]);
                return Invoked::Pending;
            }
            "login" => {
                let token = self.set_token(invocation.caller.peer.connection, client, index.expect("its number"));
                self.owe_token(client, index, &token);
                self.commands.push_back(token);
                reply.set_empty();
            }
            "later" | "never" => {
                let (ticket, connection) = (invocation.ticket, invocation.caller.peer.connection);
                self.pending.insert(ticket, Pending { connection, client, waiting: Waiting::Call });
                if invocation.action == "later" {
                    let mut late = Reply::default();
                    late.set_data(data);
                    self.answer(Command::Reply { ticket, reply: late });
                }
                return Invoked::Pending;
            }
            _ => return Invoked::Unknown,
        }
        Invoked::Ready
    }

    fn subscribe(&mut self, ticket: Ticket, caller: Caller<'_>, channel: &str, data: Option<RawJson<'_>>) -> Verdict {
        let peer = caller.peer;
        let client = self.check_admitted(peer);
        assert!(CHANNELS.contains(&channel), "a mangled name: {channel}");
        let index = data.and_then(|data| data.as_str().parse().ok()).expect("subscribes here carry their number");
        self.check_claims(caller, Some(index));
        let verdict = self.decide(ticket, peer, Waiting::Subscribe(index));
        let decision = match &verdict {
            Verdict::Allow => Decision::Allowed,
            Verdict::Refuse(_) => Decision::Refused,
            Verdict::Pending => Decision::Pending,
        };
        self.oracle.borrow_mut().decide(client, index, decision);
        self.disconnect_on_a_whim(peer);
        verdict
    }

    fn publish(&mut self, ticket: Ticket, caller: Caller<'_>, channel: &str, data: Option<RawJson<'_>>) -> Verdict {
        let peer = caller.peer;
        let client = self.check_admitted(peer) as u64;
        self.check_claims(caller, None);
        let identity = data.and_then(|data| identity(data.as_str()));
        let (publisher, number) = identity.expect("publications here have a payload");
        assert_eq!(publisher, client, "published by another");
        let channel = channel_index(channel);
        let verdict = self.decide(ticket, peer, Waiting::Publish(channel, number));
        if verdict == Verdict::Allow {
            self.allowed = Some((peer.connection, channel, publisher, number));
        }
        self.disconnect_on_a_whim(peer);
        verdict
    }

    fn message(&mut self, caller: Caller<'_>, route: u16, message: RawMessage<'_>, replies: &mut RawReplies<'_>) {
        let client = self.check_admitted(caller.peer);
        assert_eq!(route, 7);
        let owned = match message {
            RawMessage::Text(text) => Ok(text.to_owned()),
            RawMessage::Binary(bytes) => Err(bytes.to_vec()),
        };
        let record = &mut self.oracle.borrow_mut().records[client];
        assert_eq!(record.echoes_asked.pop_front().as_ref(), Some(&owned), "raw messages come in order, whole");
        record.echoes.push_back(owned);
        replies.send(message);
    }

    fn poll_command(&mut self) -> Option<Command> {
        let Some(mut command) = self.commands.pop_front() else {
            if let Some((_, channel, publisher, number)) = self.allowed.take() {
                self.oracle.borrow_mut().accept(self.shard, channel, publisher, number);
            }
            return None;
        };
        self.carry_out(&mut command);
        Some(command)
    }

    fn answered(&mut self, ticket: u64, answer: Answer) {
        let next = self.asking.answered(ticket, answer, self.plan.limits.people.page_max);
        self.commands.extend(next);
    }

    fn online(&mut self, users: u64) {
        self.oracle.borrow_mut().people.online.totals.insert(self.shard, users);
    }

    fn user_changed(&mut self, user: &str, is_online: bool) {
        self.oracle.borrow_mut().user_changed(self.shard, user, is_online);
    }

    fn congested(&mut self, congested: bool) {
        self.congested_turns += u64::from(congested);
    }

    fn cancel(&mut self, ticket: Ticket) {
        let known = self.pending.remove(&ticket);
        let Some(known) = known else { panic!("{ticket:?} is cancelled, but nobody waited for it") };
        if let Waiting::Authenticate(login) = known.waiting {
            let mut oracle = self.oracle.borrow_mut();
            let now = oracle.now;
            oracle.records[known.client].decide_token(now, login, TokenVerdict::Refused);
        }
    }
}

impl Application {
    /// What a shard says of a caller's login must be right.
    fn check_claims(&self, caller: Caller<'_>, index: Option<u64>) {
        let mut oracle = self.oracle.borrow_mut();
        let now = oracle.now;
        let record = &mut oracle.records[client_of(caller.peer)];
        record.heard_packet = record.heard_packet.max(index.unwrap_or(0));
        record.check_claims(now, caller, index);
    }

    /// A new token for a connection, in the call of packet `index` or at a time of the application's own.
    fn set_token(&mut self, connection: ConnectionId, client: usize, index: u64) -> Command {
        let mut oracle = self.oracle.borrow_mut();
        let ends = self.random.u8(..4) > 0 && !self.is_calm;
        let lifetime = ends.then(|| Duration::from_micros(self.random.u64(1_000..2_000_000)));
        let now = oracle.now;
        let number = oracle.mint.mint(lifetime.map(|lifetime| now + lifetime));
        let token = token(client, index, number);
        let verified = verified(&token, lifetime);
        Command::SetToken { connection, token: token.into(), verified }
    }

    /// Whoever calls this will have the token before the answer.
    fn owe_token(&self, client: usize, index: Option<u64>, command: &Command) {
        if let (Command::SetToken { token, .. }, Some(index)) = (command, index) {
            self.oracle.borrow_mut().records[client].tokens_due.insert(index, token.to_string());
        }
    }

    /// Rarely, a hook throws its caller out, whatever its verdict.
    fn disconnect_on_a_whim(&mut self, peer: Peer) {
        if !self.is_calm && !self.plan.is_peaceful && self.random.u8(..100) == 0 {
            let disconnect = Disconnect { code: 4_102, reason: Cow::Borrowed("enough") };
            self.commands.push_back(Command::Disconnect { connection: peer.connection, disconnect });
        }
    }
}

/// A pending hook's verdict is about to be done.
fn decided(
    oracle: &mut Oracle,
    admitted: &mut BTreeMap<ConnectionId, (usize, Route)>,
    shard: usize,
    pending: Pending,
    verdict: &Result<(), Refusal>,
) {
    let now = oracle.now;
    match (pending.waiting, verdict) {
        (Waiting::Connect(route), Ok(())) => {
            admitted.insert(pending.connection, (pending.client, route));
        }
        (Waiting::Connect(_), Err(refusal)) => {
            oracle.records[pending.client].closes.insert(refusal.code);
            oracle.records[pending.client].statuses.insert(403);
        }
        (Waiting::Subscribe(index), verdict) => {
            let decision = if verdict.is_ok() { Decision::Allowed } else { Decision::Refused };
            oracle.decide(pending.client, index, decision);
        }
        (Waiting::Publish(channel, number), Ok(())) => {
            oracle.accept(shard, channel, pending.client as u64, number);
        }
        (Waiting::Publish(..), Err(_)) => {}
        (Waiting::Authenticate(login), verdict) => {
            let verdict = if verdict.is_ok() { TokenVerdict::Good } else { TokenVerdict::Refused };
            oracle.records[pending.client].decide_token(now, login, verdict);
        }
        (Waiting::Call, _) => panic!("a verdict about a call"),
    }
}

/// The payload gets its number when it is published.
fn publication(channel: usize) -> Command {
    Command::Publish { channel: CHANNELS[channel].into(), data: None }
}

/// Something for one client; an event gets its number when it is sent.
fn greeting(connection: ConnectionId, route: Route) -> Command {
    match route {
        Route::SocketCluster | Route::SocketIo | Route::SocketStream | Route::Services | Route::EventStream => {
            Command::Emit { connection, event: "tick".into(), data: None, is_volatile: false }
        }
        Route::Raw(_) | Route::EngineIo(_) => Command::Send { connection, payload: Ok("hello".into()) },
    }
}

/// A client's address carries its number.
pub(super) fn client_of(peer: Peer) -> usize {
    let std::net::IpAddr::V4(address) = peer.address.ip() else { panic!("simulated clients have IPv4 addresses") };
    usize::from(address.octets()[2]) << 8 | usize::from(address.octets()[3])
}
