//! The application of one simulated shard: each message of a connection makes it do something to the connection's
//! session, by dice, and tell the oracle. It is also what gives out ids and asks the store.

use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;

use codec::http::request::Head;
use codec::message::RawJson;
use fastrand::Rng;
use shard::{
    Answer, Caller, Command, ConnectionId, Disconnect, Host, Invocation, Invoked, LoginEnd, Operation, Peer, Question,
    RawMessage, RawReplies, Reply, Request, Responded, Route, Session, SessionId, Sessions, ShardId, StoreRequest,
    Ticket, Time, Verdict, WriteError, WriteToken, Written,
};

use super::oracle::{Issued, Kind, Oracle, SUM, number};
use super::plan::{Plan, StorePlan};
use super::private::{Asked, CHANNELS, USERS};
use super::store::Store;

struct Tab {
    session: Session,
    /// How often it has written its own key.
    writes: i64,
    version: u64,
}

pub(super) struct Application {
    shard: usize,
    /// Which of the shards in this place.
    life: u32,
    plan: Plan,
    random: Rng,
    oracle: Rc<RefCell<Oracle>>,
    store: Rc<RefCell<Store>>,
    sessions: Sessions,
    commands: VecDeque<Command>,
    tabs: BTreeMap<ConnectionId, Tab>,
    waiting: BTreeMap<WriteToken, (Issued, SessionId, Session)>,
    /// Subscriptions that are not established yet.
    asked: BTreeMap<u64, Asked>,
    questions: u64,
    /// Connections whose doing goes on after all input, as an action's does that had to wait.
    tasks: Vec<ConnectionId>,
    /// Handles that outlive their connections for a while, as tasks do.
    kept: Vec<Session>,
    /// What a connection must have heard of, where each message asks the home.
    pub(super) floors: RefCell<BTreeMap<ConnectionId, u64>>,
    /// When the store will have something to say.
    pub(super) answers_at: Vec<Time>,
    /// Writes that every holder must see by now.
    pub(super) settled: Vec<SessionId>,
    /// New cookies: whose connection, and what it is to be given.
    pub(super) renewals: Vec<(Session, SessionId)>,
    pub(super) is_calm: bool,
}

impl Application {
    pub(super) fn new(
        (shard, life): (usize, u32),
        plan: &Plan,
        random: Rng,
        oracle: Rc<RefCell<Oracle>>,
        store: Rc<RefCell<Store>>,
        sessions: Sessions,
    ) -> Self {
        Self {
            shard,
            life,
            plan: plan.clone(),
            random,
            oracle,
            store,
            sessions,
            commands: VecDeque::new(),
            tabs: BTreeMap::new(),
            waiting: BTreeMap::new(),
            asked: BTreeMap::new(),
            questions: 0,
            tasks: Vec::new(),
            kept: Vec::new(),
            floors: RefCell::default(),
            answers_at: Vec::new(),
            settled: Vec::new(),
            renewals: Vec::new(),
            is_calm: false,
        }
    }

    pub(super) const fn sessions(&self) -> &Sessions {
        &self.sessions
    }

    pub(super) fn check_empty(&self) {
        assert!(
            self.waiting.is_empty(),
            "writes that are never acknowledged: {:?}",
            self.waiting.values().next().map(|known| &known.0)
        );
        assert!(self.asked.is_empty(), "subscriptions that are never established");
    }

    /// The shard has died: everybody was told of. Returns the writes that were not acknowledged.
    pub(super) fn check_abandoned(&mut self) -> Vec<Issued> {
        assert!(self.tabs.is_empty(), "let in and never reported gone");
        std::mem::take(&mut self.waiting).into_values().map(|(issued, ..)| issued).collect()
    }

    /// Lets go of what tasks would hold.
    pub(super) fn end_tasks(&mut self) {
        self.kept.clear();
    }

    /// What was left to be done; the shard hears of it when the turn is settled.
    pub(super) fn run_tasks(&mut self) {
        for id in std::mem::take(&mut self.tasks) {
            self.write_some(id);
        }
    }

    fn act(&mut self, id: ConnectionId) {
        let Some(tab) = self.tabs.get_mut(&id) else { return };
        let session = tab.session.clone();
        assert!(session.version() >= tab.version, "the version of {} goes back", session.id());
        tab.version = session.version();
        if let Some(floor) = self.floors.borrow_mut().remove(&id) {
            assert!(session.is_ended() || session.version() >= floor, "{} was not read at its home", session.id());
        }
        self.oracle.borrow().check(&session, "a message");
        if self.random.u8(..4) == 0 {
            self.tasks.push(id);
        } else {
            self.write_some(id);
        }
    }

    fn write_some(&mut self, id: ConnectionId) {
        let Some(tab) = self.tabs.get(&id) else { return };
        let session = tab.session.clone();
        let repeats = if self.random.u8(..6) == 0 { self.random.u8(2..8) } else { 1 };
        for _ in 0..repeats {
            self.write(id, &session);
        }
        if self.random.u8(..20) == 0 {
            self.kept.push(session);
        }
        if self.random.u8(..20) == 0 {
            self.kept.clear();
        }
    }

    fn write(&mut self, id: ConnectionId, session: &Session) {
        let before = number(session, SUM);
        let other = format!("other{}", self.random.u8(..3));
        let (operation, kind) = match self.random.u8(..42) {
            0..12 => {
                let tab = self.tabs.get_mut(&id).expect("it acts");
                tab.writes += 1;
                let has_crashed = self.oracle.borrow().has_crashed;
                let key = format!("own{}-{}-{}-{}-{has_crashed}", self.shard, self.life, id.slot, id.generation);
                let text = tab.writes.to_string().into();
                (Operation::Set { key: key.as_str().into(), text, expires: 0 }, Kind::Own(key, tab.writes))
            }
            12..24 => {
                let by = self.random.i64(1..100);
                (Operation::Increment { key: SUM.into(), by }, Kind::Sum(by))
            }
            24 | 25 => {
                let expires = if self.random.bool() { 0 } else { session.now() + self.random.u64(..2_000) };
                let text = self.random.u32(..).to_string().into();
                (Operation::Set { key: other.into(), text, expires }, Kind::Other)
            }
            26 | 27 => (Operation::Remove { key: other.into() }, Kind::Other),
            28 => {
                let expires = session.now() + self.random.u64(..2_000);
                (Operation::Expire { key: other.into(), expires }, Kind::Other)
            }
            29 | 30 if self.plan.has_rotations && self.random.u8(..3) == 0 => {
                let to = self.id(session.id().home(self.plan.shards));
                (Operation::Rotate { to }, Kind::Rotate(to))
            }
            31 if self.plan.has_rotations && self.random.u8(..4) == 0 => (Operation::End, Kind::End),
            32..36 => self.private_channel(session),
            36 | 37 => self.user(),
            38..42 => {
                let channel = self.random.usize(..CHANNELS.len());
                return self.publish(channel);
            }
            _ => return,
        };
        let now = session.id();
        let Ok(receipt) = session.write(operation.clone()) else { return };
        if matches!(kind, Kind::User(_) | Kind::Channel(..)) {
            self.commands.push_back(Command::SettleSessions);
        }
        let mut oracle = self.oracle.borrow_mut();
        let shard = self.shard;
        oracle.note(&[10, shard as u64], || format!("shard {shard}: {now} {operation:?} as {:?}", receipt.token));
        let issued = oracle.issued(now, kind);
        match &issued.kind {
            Kind::Own(key, expected) => assert_eq!(number(session, key), *expected, "a write is read at once"),
            Kind::Sum(by) => assert_eq!(number(session, SUM), before + by, "an increment is read at once"),
            Kind::User(user) => {
                assert_eq!(session.user().as_deref(), user.map(|user| USERS[user]), "it is read at once")
            }
            Kind::Other | Kind::Rotate(_) | Kind::End | Kind::Channel(..) => {}
        }
        drop(oracle);
        match receipt.written {
            Some(written) => self.acknowledged(&(issued, now, session.clone()), Ok(written)),
            None => drop(self.waiting.insert(receipt.token, (issued, now, session.clone()))),
        }
    }

    /// Puts a session into a private channel, or takes it out. Mostly when nobody else is about to.
    fn private_channel(&mut self, session: &Session) -> (Operation, Kind) {
        let oracle = self.oracle.borrow();
        let channels = &oracle.logicals[oracle.logical(session.id())].concern.channels;
        let mut channel = self.random.usize(..CHANNELS.len());
        if channels[channel].is_being_written() && self.random.u8(..4) > 0 {
            channel = (channel + 1) % CHANNELS.len();
        }
        let key = format!("{}{}", Session::CHANNEL_PREFIX, CHANNELS[channel]).into();
        if self.random.u8(..3) > 0 {
            (Operation::Set { key, text: "true".into(), expires: 0 }, Kind::Channel(channel, true))
        } else {
            (Operation::Remove { key }, Kind::Channel(channel, false))
        }
    }

    /// Makes a session a user's, or nobody's.
    fn user(&mut self) -> (Operation, Kind) {
        let user = self.random.bool().then(|| self.random.usize(..USERS.len()));
        let key = Session::USER_KEY.into();
        let operation = match user {
            Some(user) => Operation::Set { key, text: format!("\"{}\"", USERS[user]).into(), expires: 0 },
            None => Operation::Remove { key },
        };
        (operation, Kind::User(user))
    }

    /// Publishes to a private channel.
    pub(super) fn publish(&mut self, channel: usize) {
        let number = self.oracle.borrow_mut().publish((self.shard, self.life), channel);
        let data = Some(number.to_string().into());
        self.commands.push_back(Command::Publish { channel: CHANNELS[channel].into(), data });
    }

    fn acknowledged(&mut self, known: &(Issued, SessionId, Session), outcome: Result<Written, WriteError>) {
        let (issued, id, session) = known;
        let shard = self.shard;
        let mut oracle = self.oracle.borrow_mut();
        oracle.note(&[11, shard as u64], || format!("shard {shard}: {id} {:?}: {outcome:?}", issued.kind));
        if let Ok(written) = &outcome {
            let has_store = self.plan.store != StorePlan::None;
            let is_exact = self.plan.store == StorePlan::Good;
            assert!(!written.is_durable || has_store, "durable without a store");
            assert!(written.is_durable || !is_exact, "a store that works has it");
        }
        if oracle.written(issued, *id, outcome) {
            self.settled.push(session.id());
        }
        if let (Kind::Channel(channel, true), Ok(_)) = (&issued.kind, outcome) {
            // As the application's `subscribe` does, which returns with the answer.
            self.questions += 1;
            self.asked.insert(self.questions, oracle.ask(issued.logical, *channel));
            let question = Question::Settled { channel: CHANNELS[*channel].into() };
            self.commands.push_back(Command::Ask { ticket: self.questions, question });
        }
        if let (Kind::Rotate(to), Ok(_)) = (&issued.kind, outcome) {
            oracle.rotated(session, *id, *to, &self.sessions);
            self.renewals.push((session.clone(), *id));
        }
    }

    fn id(&mut self, home: ShardId) -> SessionId {
        let random = self.random.u128(..).to_be_bytes();
        SessionId::with_home(random, home, self.plan.shards)
    }
}

impl Host for Application {
    fn secret(&mut self) -> [u8; 16] {
        [0; 16]
    }

    fn route(&mut self, path: &str) -> Option<Route> {
        (path == "/s").then_some(Route::SocketCluster)
    }

    fn request(&mut self, _: Ticket, _: Peer, _: Request<'_>, _: &mut Vec<u8>) -> Responded {
        unreachable!("nobody asks for pages here");
    }

    fn session(&mut self, _: Peer, head: &Head<'_>) -> Option<SessionId> {
        head.header("cookie").and_then(|cookie| cookie.strip_prefix("s=")).map(|id| id.parse().expect("nobody forges"))
    }

    fn new_session(&mut self, _: Peer) -> Option<(SessionId, Box<str>)> {
        let id = self.id(ShardId(u8::try_from(self.shard).expect("few shards")));
        self.oracle.borrow_mut().made(id);
        Some((id, format!("s={id}").into()))
    }

    fn store(&mut self, request: StoreRequest) {
        assert!(self.plan.store != StorePlan::None, "nobody is there to be asked");
        let now = self.oracle.borrow().now;
        self.answers_at.push(self.store.borrow_mut().ask(now, (self.shard, self.life), request));
    }

    fn session_written(&mut self, token: WriteToken, outcome: Result<Written, WriteError>) {
        let known = self.waiting.remove(&token).expect("an acknowledgement of what nobody wrote, or the second");
        self.acknowledged(&known, outcome);
    }

    fn connect(&mut self, _: Ticket, caller: Caller<'_>, _: Route) -> Verdict {
        let peer = caller.peer;
        let session = self.sessions.find(peer.session).expect("every connection has a session");
        let IpAddr::V6(address) = peer.address.ip() else { unreachable!("clients have such addresses") };
        let bits = address.to_bits();
        let cookie = (bits != 0).then(|| SessionId::new(bits.to_be_bytes()));
        let is_exact = self.plan.store != StorePlan::Moody;
        let version = session.version();
        self.oracle.borrow_mut().opened(cookie, &session, is_exact);
        self.oracle.borrow_mut().listen(self.shard, peer.connection, session.id());
        self.tabs.insert(peer.connection, Tab { session, writes: 0, version });
        Verdict::Allow
    }

    fn disconnect(&mut self, caller: Caller<'_>, _: &Disconnect) {
        self.tabs.remove(&caller.peer.connection);
        self.floors.borrow_mut().remove(&caller.peer.connection);
        self.oracle.borrow_mut().silence(self.shard, caller.peer.connection, caller.user);
    }

    fn deauthenticated(&mut self, caller: Caller<'_>, _: LoginEnd) {
        assert!(caller.claims.is_none(), "here are no tokens");
        self.oracle.borrow_mut().login_ended(self.shard, caller.peer.connection, caller.user);
    }

    fn answered(&mut self, ticket: u64, answer: Answer) {
        assert_eq!(answer, Answer::Settled, "nothing else is asked");
        let asked = self.asked.remove(&ticket).expect("a question is answered once");
        self.oracle.borrow_mut().settle(&asked);
    }

    fn invoke(&mut self, invocation: Invocation<'_>, reply: &mut Reply) -> Invoked {
        assert_eq!(invocation.action, "go", "nothing else is called");
        let Caller { peer, user, .. } = invocation.caller;
        self.oracle.borrow_mut().check_user(self.shard, peer.connection, user);
        if !self.is_calm {
            self.act(peer.connection);
        }
        reply.set_empty();
        Invoked::Ready
    }

    fn subscribe(&mut self, _: Ticket, _: Caller<'_>, _: &str, _: Option<RawJson<'_>>) -> Verdict {
        Verdict::Allow
    }

    fn publish(&mut self, _: Ticket, _: Caller<'_>, _: &str, _: Option<RawJson<'_>>) -> Verdict {
        Verdict::Allow
    }

    fn message(&mut self, _: Caller<'_>, _: u16, _: RawMessage<'_>, _: &mut RawReplies<'_>) {
        unreachable!("there is no raw route");
    }

    fn poll_command(&mut self) -> Option<Command> {
        self.commands.pop_front()
    }

    fn congested(&mut self, _: bool) {}

    fn cancel(&mut self, _: Ticket) {}
}

/// Where a client comes from: its cookie, so that the application can tell what it came with.
pub(super) fn address(cookie: Option<SessionId>) -> SocketAddr {
    let bits = cookie.map_or(0, |id| u128::from_be_bytes(*id.bytes()));
    SocketAddr::new(IpAddr::V6(bits.into()), 1)
}
