//! `presence`: users log in, join a room that shows who is in it, stay, and leave, one after the other on each
//! connection; a watcher in each room hears of all of them, and every join and leave is checked against what was done.
//! A visit's latency runs from its intended time to the answers to login and subscription; when the watcher hears of it
//! is measured besides. In the end everybody leaves, and the server must say that as many are online as before.
//!
//! Connections are numbered over all workers: first the watchers, one for each room, then those of the users. Each user
//! has one room, one connection and one watcher, all of the same worker, and comes back only when the watcher has heard
//! of its last leave: on another shard, a join that overtakes a leave would be neither.

use std::collections::VecDeque;

use codec::message::RawJson;
use codec::socketcluster::client::{ServerMessage, invoke, subscribe, unsubscribe};

use super::attendance::{Attendance, Change, Verdict};
use super::calls::Pace;
use super::keeper::Keeper;
use super::payload::read_decimal;
use super::{After, Connections, Meter, Scenario, Wire, wire};
use crate::client::Tongue;
use crate::flight::Stamp;
use crate::plan::{Nanoseconds, share};

/// The calls of a connection's n-th visit are this many after those of the one before: 1 is the handshake.
const FIRST_CALL: u64 = 2;
const CALLS_PER_VISIT: u64 = 4;
/// Call of a watcher: its subscription; those after it ask who is online.
const WATCH_CALL: u64 = 2;
/// How long a goodbye waits for the server's end.
const CLOSE_WAIT: Nanoseconds = 2_000_000_000;
/// An event that is not heard for so long is lost, and its user may come back.
const EVENT_WAIT: Nanoseconds = 5_000_000_000;
/// Before every name of ours.
const USER: &str = "load-";

/// Who takes part.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Gathering {
    pub(crate) users: u64,
    pub(crate) rooms: u64,
    /// How long a user stays in its room.
    pub(crate) stay: Nanoseconds,
    /// Users leave by closing their connection, instead of logging out on it.
    pub(crate) disconnects: bool,
}

/// One connection's part: a watcher's room or a user's connection, by its number in this worker.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Role {
    Watcher(usize),
    Visitor(usize),
}

/// Where a connection of users is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// Nobody is logged in.
    Free,
    /// So many answers to login and subscription are missing.
    Joining(u8),
    Staying,
    /// So many answers to the end of the subscription and the logout are missing.
    Leaving(u8),
    /// Closes, to be opened again.
    Closing,
}

/// One connection of users.
#[derive(Clone, Copy, Debug)]
struct Visitor {
    stage: Stage,
    /// Visits begun.
    begun: u64,
    stamp: Stamp,
}

/// A user.
#[derive(Clone, Copy, Debug, Default)]
struct User {
    attendance: Attendance,
    /// When its latest visit was meant to begin, and when it left.
    intended: Nanoseconds,
    left: Nanoseconds,
}

/// The scenario, as one worker plays it.
#[derive(Debug)]
pub(crate) struct Presence {
    gathering: Gathering,
    pace: Pace,
    worker: usize,
    workers: usize,
    /// Watchers of this worker: its first slots.
    rooms: usize,
    visitors: Vec<Visitor>,
    users: Vec<User>,
    /// Who leaves when: in order, as all stay equally long.
    leaves: VecDeque<(Nanoseconds, usize, u64)>,
    /// Visitors whose next user may have become free to come.
    eager: Vec<usize>,
    /// Visitors whose next user still has something to be heard of, and since when.
    blocked: VecDeque<(Nanoseconds, usize)>,
    /// Visitors that are not free.
    active: u64,
    /// Changes that watchers have yet to hear of, and those that they should have heard in all.
    outstanding: u64,
    expected: u64,
    /// Of one worker only.
    keeper: Option<Keeper>,
    is_kicked: bool,
}

impl Presence {
    /// The part of a worker. The schedule of the pace is that of [`Self::part`].
    pub(crate) fn new(gathering: Gathering, pace: Pace, [worker, workers]: [usize; 2], connections: usize) -> Self {
        let rooms = size(share(gathering.rooms, worker as u64, workers as u64));
        let part = Self::part(gathering.rooms, worker as u64, workers as u64);
        let free = Stamp { intended: 0, sent: 0 };
        let visitor = Visitor { stage: Stage::Free, begun: 0, stamp: free };
        Self {
            gathering,
            pace,
            worker,
            workers,
            rooms,
            visitors: vec![visitor; connections - rooms],
            users: vec![User::default(); size(share(gathering.users, part, workers as u64))],
            leaves: VecDeque::new(),
            eager: Vec::new(),
            blocked: VecDeque::new(),
            active: 0,
            outstanding: 0,
            expected: 0,
            keeper: (worker == 0).then(Keeper::default),
            is_kicked: false,
        }
    }

    /// Which part of the users and their plan is a worker's: connections are dealt out in turn, watchers first.
    pub(crate) const fn part(rooms: u64, worker: u64, workers: u64) -> u64 {
        (worker + workers - rooms % workers) % workers
    }

    /// The user of a visitor's n-th visit: its own, one after the other.
    fn user(&self, visitor: usize, visit: u64) -> usize {
        let (users, visitors) = (self.users.len(), self.visitors.len());
        let own = (users - visitor).div_ceil(visitors) as u64;
        visitor + size(visit % own) * visitors
    }

    /// The name of a user's room.
    fn room(&self, user: usize) -> String {
        format!("room.{}", (user % self.rooms) * self.workers + self.worker)
    }

    fn is_over(&self, meter: &Meter) -> bool {
        meter.has_begun && meter.now >= meter.recorder.window().stop
    }

    /// The visitor's next user comes, if one is due and may.
    fn pump(&mut self, number: usize, wire: &mut Wire<'_, Role>, meter: &mut Meter) {
        let visitor = self.visitors[number];
        if visitor.stage != Stage::Free || self.pace.budget == 0 {
            return;
        }
        let intended = match &self.pace.schedule {
            Some(schedule) => schedule.intended(number as u64, visitor.begun),
            None => meter.now,
        };
        if !meter.accepts(intended) {
            return;
        }
        let user = self.user(number, visitor.begun);
        if self.users[user].attendance.outstanding() > 0 {
            self.blocked.push_back((meter.now, number));
            return;
        }
        let stamp = Stamp { intended, sent: meter.now };
        self.visitors[number] = Visitor { stage: Stage::Joining(2), stamp, begun: visitor.begun + 1 };
        self.users[user].intended = intended;
        self.make(user);
        self.active += 1;
        self.pace.budget -= 1;
        let call = FIRST_CALL + visitor.begun * CALLS_PER_VISIT;
        let login = format!("{{\"user\":\"{USER}{}\"}}", user * self.workers + self.worker);
        let login = RawJson::from_validated(&login);
        wire.tongue.say(wire.out, 80, |out| invoke(out, "app.login", Some(login), Some(call)));
        let room = self.room(user);
        wire.tongue.say(wire.out, 80, |out| subscribe(out, &room, Some(call + 1)));
        meter.recorder.departed(stamp);
    }

    /// A user comes or goes: its watcher should hear of it.
    fn make(&mut self, user: usize) {
        self.users[user].attendance.make();
        self.outstanding += 1;
        self.expected += 1;
    }

    /// The visitor's user leaves.
    fn leave(&mut self, number: usize, connections: &mut Connections<Role>, tongue: &mut Tongue, meter: &Meter) {
        let Some(wire) = wire(connections, tongue, self.rooms + number) else { return };
        let visit = self.visitors[number].begun - 1;
        let user = self.user(number, visit);
        self.users[user].left = meter.now;
        self.make(user);
        if self.gathering.disconnects {
            self.visitors[number].stage = Stage::Closing;
            let slot = wire.slot;
            let (client, out) = connections.get(slot).expect("it was there a moment ago");
            client.close(tongue, out, meter.now + CLOSE_WAIT);
            return;
        }
        self.visitors[number].stage = Stage::Leaving(2);
        let (room, call) = (self.room(user), FIRST_CALL + visit * CALLS_PER_VISIT);
        wire.tongue.say(wire.out, 80, |out| unsubscribe(out, &room, Some(call + 2)));
        wire.tongue.say(wire.out, 80, |out| invoke(out, "app.logout", None, Some(call + 3)));
    }

    /// A visitor is free for its next user.
    fn free(&mut self, number: usize) {
        self.visitors[number].stage = Stage::Free;
        self.active -= 1;
        self.eager.push(number);
    }

    /// An answer to a visitor's call.
    fn visitor_answered(&mut self, number: usize, call: u64, error: Option<String>, meter: &mut Meter) {
        let visitor = self.visitors[number];
        let visit = call.checked_sub(FIRST_CALL).map(|call| call / CALLS_PER_VISIT);
        let is_of_leave = call.wrapping_sub(FIRST_CALL) % CALLS_PER_VISIT >= 2;
        let is_known = visit.is_some_and(|visit| visit + 1 == visitor.begun);
        if let Some(error) = error {
            meter.recorder.counters().error(&format!("refused: {error}"));
        }
        let stage = &mut self.visitors[number].stage;
        match *stage {
            Stage::Joining(left) if is_known && !is_of_leave => {
                *stage = if left > 1 { Stage::Joining(left - 1) } else { Stage::Staying };
                if left == 1 {
                    meter.recorder.answered(visitor.stamp, meter.now);
                    self.leaves.push_back((meter.now + self.gathering.stay, number, visitor.begun));
                }
            }
            Stage::Leaving(left) if is_known && is_of_leave => {
                *stage = Stage::Leaving(left - 1);
                if left == 1 {
                    Self::has_left(meter);
                    self.free(number);
                }
            }
            _ => meter.recorder.counters().unexpected += 1,
        }
    }

    /// A user has left: with its visit, a whole one is over.
    fn has_left(meter: &mut Meter) {
        let window = meter.recorder.window();
        let is_in_window = meter.now >= window.warm && meter.now < window.stop;
        meter.recorder.people().left_in_window += u64::from(is_in_window);
    }

    /// A watcher hears an event: of its room and of our users, or of nobody's business.
    fn hear(&mut self, room: usize, data: &str, meter: &mut Meter) {
        let Some((heard_in, change, user)) = read_event(data) else {
            return meter.recorder.counters().error("a presence event that makes no sense");
        };
        let (workers, worker) = (self.workers, self.worker);
        let local = |number: u64| (size(number) % workers == worker).then_some(size(number) / workers);
        let Some(user) = user.strip_prefix(USER) else { return };
        let user = user.parse().ok().and_then(local).filter(|user| *user < self.users.len());
        let heard_in = heard_in.strip_prefix("room.").and_then(|room| room.parse().ok()).and_then(local);
        let Some(user) = user.filter(|user| heard_in == Some(room) && user % self.rooms == room) else {
            return meter.recorder.counters().error("a presence event of another room");
        };
        let before = self.users[user].attendance.outstanding();
        let verdict = self.users[user].attendance.hear(change);
        let after = self.users[user].attendance.outstanding();
        self.outstanding -= u64::from(before - after);
        let tally = &mut meter.recorder.counters().tally;
        if verdict == Verdict::Repeated {
            tally.duplicates += 1;
            return;
        }
        tally.unique += 1;
        let User { intended, left, .. } = self.users[user];
        // The leaves of the end come all at once, after the window: they say nothing about those of the plan.
        let since = if change == Change::Join { intended } else { left };
        if meter.recorder.window().records(since) {
            let age = meter.now.saturating_sub(since).max(1);
            let people = meter.recorder.people();
            let histogram = if change == Change::Join { &mut people.join_heard } else { &mut people.leave_heard };
            histogram.saturating_record(age);
        }
        if after == 0 {
            self.eager.push(user % self.visitors.len());
        }
    }

    /// An answer to a watcher's call: its subscription, or who is online.
    fn watcher_answered(&mut self, room: usize, call: u64, data: Result<Option<u64>, String>, meter: &mut Meter) {
        let keeper = self.keeper.as_mut().filter(|_| room == 0);
        if call == WATCH_CALL {
            if let Err(error) = data {
                meter.recorder.counters().error(&format!("refused: {error}"));
            }
            // The keeper is prepared when it knows who is online.
            meter.prepared += u64::from(keeper.is_none());
            return;
        }
        let answer = data.and_then(|count| count.ok_or_else(|| "no count".to_owned()));
        let question = call.wrapping_sub(WATCH_CALL + 1);
        match keeper.and_then(|keeper| keeper.answered(question, answer)) {
            None => return meter.recorder.counters().unexpected += 1,
            Some(Err(error)) => meter.recorder.counters().error(&format!("users.online: {error}")),
            Some(Ok([before, online])) => {
                let people = meter.recorder.people();
                people.online_max = people.online_max.max(online);
                people.online = Some([before, online]);
            }
        }
        meter.prepared += u64::from(question == 0);
    }

    /// Asks who is online, if somebody should.
    fn ask_online(&mut self, connections: &mut Connections<Role>, tongue: &mut Tongue, meter: &Meter) {
        let is_end = self.has_emptied(meter);
        let Some(keeper) = self.keeper.as_mut() else { return };
        let Some(wire) = wire(connections, tongue, 0) else { return };
        let Some(question) = keeper.ask(meter.now, meter.has_begun, is_end) else { return };
        let nobody = RawJson::from_validated("{\"count\":0}");
        let call = WATCH_CALL + 1 + question;
        wire.tongue.say(wire.out, 80, |out| invoke(out, "users.online", Some(nobody), Some(call)));
    }

    /// Whether the plan is over and everybody here has left.
    fn has_emptied(&self, meter: &Meter) -> bool {
        (self.is_over(meter) || self.pace.budget == 0) && self.active == 0
    }

    /// Those whose time is over leave; when the plan is, everybody does.
    fn end_visits(&mut self, connections: &mut Connections<Role>, tongue: &mut Tongue, meter: &Meter) {
        let is_over = self.is_over(meter);
        while let Some(&(_, number, visit)) = self.leaves.front().filter(|(time, ..)| is_over || *time <= meter.now) {
            self.leaves.pop_front();
            let visitor = self.visitors[number];
            if visitor.stage == Stage::Staying && visitor.begun == visit {
                self.leave(number, connections, tongue, meter);
            }
        }
    }

    /// Whose last change was not heard for long is not waited for any longer.
    fn end_waiting(&mut self, meter: &Meter) {
        while let Some(&(since, number)) = self.blocked.front().filter(|(since, _)| meter.now > since + EVENT_WAIT) {
            self.blocked.pop_front();
            let visitor = self.visitors[number];
            let user = self.user(number, visitor.begun);
            if visitor.stage == Stage::Free && self.users[user].left <= since {
                self.outstanding -= u64::from(self.users[user].attendance.give_up());
                self.eager.push(number);
            }
        }
    }

    /// Any message, whatever it looks like.
    fn read(&mut self, role: Role, tongue: &mut Tongue, meter: &mut Meter, text: &str) -> Result<(), String> {
        let messages = tongue.packets.decode(text).map_err(|error| error.to_string())?;
        for message in messages {
            match (message, role) {
                (ServerMessage::Reply { call, outcome, .. }, role) => {
                    let (call, _) = read_decimal(call.as_str().as_bytes()).ok_or("an answer to no call")?;
                    let error = outcome.as_ref().err().map(|error| error.as_str().to_owned());
                    match role {
                        Role::Visitor(number) => self.visitor_answered(number, call, error, meter),
                        Role::Watcher(room) => {
                            let count = outcome.ok().flatten().and_then(|data| read_count(data.as_str()));
                            self.watcher_answered(room, call, error.map_or(Ok(count), Err), meter);
                        }
                    }
                }
                (ServerMessage::Event { name, data: Some(data), .. }, Role::Watcher(room)) if name == "presence" => {
                    self.hear(room, data.as_str(), meter);
                }
                (ServerMessage::Event { name, .. }, Role::Visitor(_)) if name == "presence" => {
                    meter.recorder.people().bystanders += 1;
                }
                (ServerMessage::SetAuthToken { .. } | ServerMessage::RemoveAuthToken { .. }, _) => {}
                _ => return Err("a message that nobody asked for".to_owned()),
            }
        }
        Ok(())
    }
}

fn size(number: u64) -> usize {
    usize::try_from(number).expect("bounded by the settings")
}

/// What the answer of `users.online` says.
fn read_count(data: &str) -> Option<u64> {
    #[derive(serde::Deserialize)]
    struct Online {
        count: u64,
    }
    serde_json::from_str::<Online>(data).ok().map(|online| online.count)
}

/// The channel, the change and the user of an event.
fn read_event(data: &str) -> Option<(String, Change, String)> {
    #[derive(serde::Deserialize)]
    struct Event {
        channel: String,
        event: String,
        user: String,
    }
    let Event { channel, event, user } = serde_json::from_str(data).ok()?;
    let change = match event.as_str() {
        "join" => Change::Join,
        "leave" => Change::Leave,
        _ => return None,
    };
    Some((channel, change, user))
}

impl Scenario for Presence {
    type Role = Role;

    fn role(&mut self, slot: usize, _meter: &Meter) -> Role {
        slot.checked_sub(self.rooms).map_or(Role::Watcher(slot), Role::Visitor)
    }

    fn ready(&mut self, wire: &mut Wire<'_, Role>, meter: &mut Meter) {
        match *wire.role {
            Role::Watcher(room) => {
                let room = self.room(room);
                wire.tongue.say(wire.out, 80, |out| subscribe(out, &room, Some(WATCH_CALL)));
            }
            Role::Visitor(number) => {
                meter.prepared += 1;
                self.eager.push(number);
            }
        }
    }

    fn text(&mut self, wire: &mut Wire<'_, Role>, meter: &mut Meter, text: &str) {
        // Most of what comes: what a room's other members hear, and answers without data.
        if let Role::Visitor(number) = *wire.role {
            if text.starts_with("{\"event\":\"presence\",") {
                meter.recorder.people().bystanders += 1;
                return;
            }
            if let Some((call, digits)) = text.strip_prefix("{\"rid\":").and_then(|rest| read_decimal(rest.as_bytes()))
                && &text[7 + digits..] == "}"
            {
                return self.visitor_answered(number, call, None, meter);
            }
        }
        if let Err(problem) = self.read(*wire.role, wire.tongue, meter, text) {
            meter.recorder.counters().error(&problem);
        }
    }

    fn ended(&mut self, _slot: usize, role: &mut Role, was_ready: bool, meter: &mut Meter) -> After {
        let Role::Visitor(number) = *role else {
            return if was_ready { After::Gone } else { After::Reopen };
        };
        let visitor = self.visitors[number];
        match visitor.stage {
            Stage::Free => return if was_ready { After::Gone } else { After::Reopen },
            Stage::Closing => {
                Self::has_left(meter);
                self.free(number);
                return After::Reopen;
            }
            Stage::Joining(_) => meter.recorder.lost(visitor.stamp, meter.now),
            Stage::Staying | Stage::Leaving(_) => {}
        }
        if !matches!(visitor.stage, Stage::Leaving(_)) {
            // Its end is a leave as well.
            let user = self.user(number, visitor.begun - 1);
            self.users[user].left = meter.now;
            self.make(user);
        }
        self.free(number);
        After::Gone
    }

    fn step(&mut self, connections: &mut Connections<Role>, tongue: &mut Tongue, meter: &mut Meter) {
        self.end_visits(connections, tongue, meter);
        self.end_waiting(meter);
        let Some(horizon) = meter.horizon() else { return self.ask_online(connections, tongue, meter) };
        let may_begin = meter.now >= meter.recorder.window().start;
        if self.pace.schedule.is_none() && may_begin && !std::mem::replace(&mut self.is_kicked, true) {
            self.eager.extend(0..self.visitors.len());
        }
        while let Some(due) = self.pace.schedule.as_mut().and_then(|schedule| schedule.next_due(horizon)) {
            meter.recorder.lagged(meter.now - due.intended);
            self.eager.push(due.connection);
        }
        for number in std::mem::take(&mut self.eager) {
            if let Some(mut wire) = wire(connections, tongue, self.rooms + number) {
                self.pump(number, &mut wire, meter);
            }
        }
        self.ask_online(connections, tongue, meter);
    }

    fn begin(&mut self, start: Nanoseconds) {
        if let Some(schedule) = &mut self.pace.schedule {
            schedule.begin(start);
        }
    }

    fn next_time(&self, meter: &Meter) -> Option<Nanoseconds> {
        let window = meter.recorder.window();
        let visit = match &self.pace.schedule {
            _ if !meter.has_begun || self.pace.budget == 0 => None,
            Some(schedule) => schedule.next_time().filter(|&time| time < window.stop),
            None => (!self.is_kicked).then_some(window.start),
        };
        let leave = self.leaves.front().map(|&(time, ..)| time.min(window.stop));
        [visit, leave].into_iter().flatten().min()
    }

    fn is_settled(&self, meter: &Meter) -> bool {
        self.has_emptied(meter) && self.outstanding == 0 && self.keeper.as_ref().is_none_or(Keeper::is_done)
    }

    fn finish(&mut self, _connections: &mut Connections<Role>, meter: &mut Meter) {
        meter.recorder.counters().expected += self.expected;
        if let Some(complaint) = self.keeper.as_ref().filter(|_| meter.has_begun).and_then(Keeper::complaint) {
            meter.recorder.counters().error(&complaint);
        }
        let stop = meter.recorder.window().stop.min(meter.now);
        for number in 0..self.visitors.len() {
            let Visitor { stage, mut begun, stamp } = self.visitors[number];
            // What the goodbyes end is counted here.
            self.visitors[number].stage = Stage::Free;
            if matches!(stage, Stage::Joining(_)) {
                meter.recorder.lost(stamp, meter.now);
            }
            while let Some(schedule) = self.pace.schedule.as_ref().filter(|_| meter.has_begun) {
                let intended = schedule.intended(number as u64, begun);
                if intended >= stop {
                    break;
                }
                meter.recorder.unsent(intended, meter.now);
                begun += 1;
            }
        }
    }
}
