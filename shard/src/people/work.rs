//! The state of people on one shard, and what they leave to be done when the turn settles: where the host can be called.

use std::collections::{HashMap, VecDeque};

use foldhash::fast::FixedState;

use super::address::Reached;
use super::message::PeopleMessage;
use super::question::{Answer, Gathering};
use super::roster::Rosters;
use crate::shard::Shard;
use crate::{ConnectionId, Disconnect, Envelope, Host, ShardId, Time};

/// Which channels show who is in them.
pub(crate) type ShowsMembers = Box<dyn Fn(&str) -> bool>;

pub(crate) struct People {
    pub(crate) rosters: Rosters,
    pub(crate) shows_members: ShowsMembers,
    pub(super) gatherings: HashMap<u64, Gathering, FixedState>,
    /// For the application.
    pub(super) answers: VecDeque<(u64, Answer)>,
    /// Users who have come online (`true`) or gone, whose home this is; for the application.
    pub(super) changes: VecDeque<(Box<str>, bool)>,
    /// Connections to close.
    pub(super) closing: Vec<(ConnectionId, Disconnect)>,
    /// Connections of an audience, while it is addressed.
    pub(super) reached: Vec<Reached>,
    /// By shard: how many users are online whose home that is.
    online: Box<[u64]>,
    /// What the peers and the host know of our own count.
    pub(super) own_told: u64,
    total_told: u64,
    pub(super) sweep_cursor: usize,
}

impl People {
    pub(crate) fn new(shards: usize) -> Self {
        Self {
            rosters: Rosters::default(),
            shows_members: Box::new(|_| false),
            gatherings: HashMap::default(),
            answers: VecDeque::new(),
            changes: VecDeque::new(),
            closing: Vec::new(),
            reached: Vec::new(),
            online: vec![0; shards].into(),
            own_told: 0,
            total_told: 0,
            sweep_cursor: 0,
        }
    }

    /// A home has died.
    pub(super) fn forget_online(&mut self, shard: ShardId) {
        self.online[shard.index()] = 0;
    }

    fn has_work(&self) -> bool {
        !(self.answers.is_empty() && self.changes.is_empty() && self.closing.is_empty())
    }
}

impl Shard {
    /// Says which channels show who is in them. To be set before anything else happens, to the same on every shard.
    pub fn show_members(&mut self, shows_members: impl Fn(&str) -> bool + 'static) {
        assert!(self.connections.is_empty(), "before anything else");
        self.people.shows_members = Box::new(shows_members);
    }

    /// A peer has something to say about people.
    pub(crate) fn handle_people(&mut self, from: ShardId, message: &PeopleMessage) {
        match message {
            PeopleMessage::Member { channel, user, is_here } => {
                self.note_member(from, channel.as_deref(), user, *is_here);
            }
            PeopleMessage::Online { users } => self.people.online[from.index()] = *users,
            PeopleMessage::Ask { ticket, question } => self.asked(from, *ticket, question),
            PeopleMessage::Told { ticket, answer } => self.told(from, *ticket, answer.clone()),
        }
    }

    /// Does what is left to be done.
    pub(crate) fn finish_people<H: Host>(&mut self, now: Time, host: &mut H) {
        let own = self.people.rosters.online.len() as u64;
        self.people.online[self.id.index()] = own;
        let total = self.people.online.iter().sum();
        if total != std::mem::replace(&mut self.people.total_told, total) {
            host.online(total);
        }
        while self.people.has_work() {
            for (id, disconnect) in std::mem::take(&mut self.people.closing) {
                self.close(now, id, &disconnect, host);
            }
            while let Some((ticket, answer)) = self.people.answers.pop_front() {
                host.answered(ticket, answer);
            }
            while let Some((user, is_online)) = self.people.changes.pop_front() {
                host.user_changed(&user, is_online);
            }
            self.drain_commands(now, host);
        }
    }

    /// Has a connection closed when the turn settles, from where the host cannot be called.
    pub(crate) fn close_later(&mut self, id: ConnectionId, disconnect: Disconnect) {
        self.people.closing.push((id, disconnect));
    }

    /// Time has passed: the peers learn how many are online.
    pub(crate) fn tell_online(&mut self) {
        let users = self.people.rosters.online.len() as u64;
        if users == std::mem::replace(&mut self.people.own_told, users) {
            return;
        }
        for peer in self.peers.iter() {
            self.send_to_peer(peer, Envelope::People(&PeopleMessage::Online { users }));
        }
    }

    /// Users who are online anywhere, as far as is known here: what other homes say is a tick old at most.
    #[must_use]
    pub fn online(&self) -> u64 {
        self.people.total_told
    }

    /// Users with connections here.
    #[must_use]
    pub fn users(&self) -> usize {
        self.users.len()
    }
}
