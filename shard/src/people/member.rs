//! Who a connection is, and what follows: it is its user's as soon as that is known, its user is online once it is let
//! in, and a member of the channels that it is subscribed to where those show who is in them.
//!
//! ```text
//!   shard of a connection                      home of the user, of the channel
//!     first connection of the user let in  ──>   Member(user, here): online
//!     first subscription of the user       ──>   Member(channel, user, here): "join" to the channel's subscribers
//!     the last one gone                    ──>   Member(…, gone)
//! ```

use std::hash::BuildHasher;
use std::rc::Rc;

use codec::json::write_string;
use foldhash::fast::FixedState;

use super::message::PeopleMessage;
use super::users::NO_USER;
use crate::connection::State;
use crate::shard::Shard;
use crate::{Act, Audience, ConnectionId, Envelope, ShardId};

/// What a channel's subscribers are told.
#[derive(Clone, Copy)]
enum Presence {
    Join,
    Leave,
    /// Nobody is known to be there, until those who are have been named.
    Reset,
}

impl From<bool> for Presence {
    fn from(is_here: bool) -> Self {
        if is_here { Self::Join } else { Self::Leave }
    }
}

/// The event that tells a channel's subscribers who has come and gone.
pub(crate) const PRESENCE_EVENT: &str = "presence";

impl Shard {
    /// Where it is known who is in a channel, or whether a user is online. A fixed function: everybody knows it.
    pub(super) fn home_of(&self, name: &str) -> ShardId {
        let hash = FixedState::with_seed(0).hash_one(name);
        let index = (u128::from(hash) * self.lanes.len() as u128) >> 64;
        ShardId(u8::try_from(index).expect("the upper half of a product is below its factor, which is at most 128"))
    }

    /// Makes a connection the user's whom its token names, or else its session; or nobody's. Whatever may have changed
    /// either calls this.
    pub(crate) fn settle_user(&mut self, id: ConnectionId) {
        let Some(connection) = self.connections.live(id) else { return };
        if connection.state == State::Closing {
            return;
        }
        let by_token = connection.identity.as_ref().and_then(|identity| identity.user.clone());
        let by_session = || self.sessions.find(connection.session)?.user();
        let wanted = by_token.or_else(by_session);
        if self.users.name(connection.user) == wanted.as_deref() {
            return;
        }
        let is_admitted = connection.admitted;
        self.leave_user(id.slot, is_admitted);
        let Some(name) = wanted else { return };
        let user = self.users.attach(&name, id.slot);
        let connection = &mut self.connections[id.slot];
        connection.user = user;
        let brought = connection.subscriptions.len() as u32;
        if let Some(user) = self.users.get_mut(user) {
            user.subscriptions += brought;
        }
        self.seat_user(id, &name);
        if is_admitted {
            self.admit_user(id);
        }
        for channel in self.shown_channels(id.slot) {
            self.enter_channel(channel, user);
        }
    }

    /// A connection is let in: its user is here.
    pub(crate) fn admit_user(&mut self, id: ConnectionId) {
        let Some(user) = self.users.get_mut(self.connections[id.slot].user) else { return };
        user.admitted += 1;
        let is_first = user.admitted == 1;
        self.hasten_heartbeat(id);
        if is_first {
            let slot = self.connections[id.slot].user;
            self.announce(slot, true);
        }
    }

    /// A connection is its user's no more.
    pub(crate) fn leave_user(&mut self, connection: u32, is_admitted: bool) {
        let slot = std::mem::replace(&mut self.connections[connection].user, NO_USER);
        if slot == NO_USER {
            return;
        }
        if let Some(user) = self.users.get(slot) {
            let name = user.name.clone();
            self.unseat_user(connection, &name);
        }
        for channel in self.shown_channels(connection) {
            self.exit_channel(channel, slot);
        }
        let taken = self.connections[connection].subscriptions.len() as u32;
        if let Some(user) = self.users.get_mut(slot) {
            user.subscriptions -= taken;
        }
        if is_admitted && let Some(user) = self.users.get_mut(slot) {
            user.admitted -= 1;
            if user.admitted == 0 {
                self.announce(slot, false);
            }
        }
        self.users.detach(slot, connection);
    }

    /// Tells a user's home that it is here, or that it is gone, unless it knows.
    pub(super) fn announce(&mut self, slot: u32, is_here: bool) {
        if !self.limits.people.is_online_known {
            return;
        }
        let Some(user) = self.users.get_mut(slot) else { return };
        if std::mem::replace(&mut user.is_announced, is_here) != is_here {
            let name = user.name.clone();
            self.tell_home(None, &name, is_here);
        }
    }

    fn tell_home(&mut self, channel: Option<&str>, user: &str, is_here: bool) {
        let home = self.home_of(channel.unwrap_or(user));
        if home == self.id {
            return self.note_member(home, channel, user, is_here);
        }
        let message = PeopleMessage::Member { channel: channel.map(Into::into), user: user.into(), is_here };
        self.send_to_peer(home, Envelope::People(&message));
    }

    /// A shard, perhaps this one, says that a user has come to it, or is gone from it.
    pub(super) fn note_member(&mut self, from: ShardId, channel: Option<&str>, user: &str, is_here: bool) {
        let Some(channel) = channel else {
            if self.people.rosters.online.set(from, user, is_here) {
                self.metrics.users_changed += 1;
                if !self.is_joining() {
                    self.people.changes.push_back((user.into(), is_here));
                }
            }
            return;
        };
        if !self.people.rosters.set(channel, from, user, is_here) {
            return;
        }
        self.metrics.members_changed += 1;
        if !self.is_joining() {
            self.present(channel, is_here.into(), Some(user));
        }
    }

    /// Tells a channel's subscribers who has come or gone, or that those who are there will be named.
    fn presence(channel: &str, what: Presence, user: Option<&str>) -> String {
        let mut data = Vec::with_capacity(48 + channel.len() + user.map_or(0, str::len));
        data.extend_from_slice(b"{\"channel\":");
        write_string(&mut data, channel);
        data.extend_from_slice(match what {
            Presence::Join => b",\"event\":\"join\"",
            Presence::Leave => b",\"event\":\"leave\"",
            Presence::Reset => b",\"event\":\"reset\"",
        });
        if let Some(user) = user {
            data.extend_from_slice(b",\"user\":");
            write_string(&mut data, user);
        }
        data.push(b'}');
        String::from_utf8(data).expect("names are text, and so is what is around them")
    }

    fn present(&mut self, channel: &str, what: Presence, user: Option<&str>) {
        let data = Self::presence(channel, what, user);
        let act = Act::Event { event: PRESENCE_EVENT, data: Some(&data), is_volatile: false };
        self.address(Audience::Channels, channel, act, None);
    }

    /// Tells a peer that has joined of the users and members here whose home it is, and how many are online here.
    pub(crate) fn tell_people(&mut self, peer: ShardId) {
        let online = self.users.iter().filter(|(_, user)| user.is_announced).map(|(_, user)| (None, user.name.clone()));
        let mut here: Vec<(Option<Rc<str>>, Rc<str>)> = online.collect();
        for (_, channel) in self.channels.iter() {
            let members = channel.members.iter().flat_map(|members| members.keys());
            let names = members.filter_map(|user| self.users.get(*user)).map(|user| user.name.clone());
            here.extend(names.map(|user| (Some(channel.name.clone()), user)));
        }
        here.sort_unstable();
        for (channel, user) in here {
            if self.home_of(channel.as_ref().unwrap_or(&user)) == peer {
                let message = PeopleMessage::Member {
                    channel: channel.as_deref().map(Into::into),
                    user: (&*user).into(),
                    is_here: true,
                };
                self.send_to_peer(peer, Envelope::People(&message));
            }
        }
        let users = self.people.own_told;
        self.send_to_peer(peer, Envelope::People(&PeopleMessage::Online { users }));
    }

    /// A peer has died: its users are gone, and whoever was told by it who is in a channel has to begin anew.
    pub(crate) fn forget_people(&mut self, peer: ShardId) {
        let rosters = &self.people.rosters;
        let mut gone: Vec<(Option<Box<str>>, Box<str>)> =
            rosters.online.of(peer).map(|user| (None, user.into())).collect();
        for (channel, roster) in rosters.iter() {
            gone.extend(roster.of(peer).map(|user| (Some(channel.into()), user.into())));
        }
        gone.sort_unstable();
        for (channel, user) in gone {
            self.note_member(peer, channel.as_deref(), &user, false);
        }
        self.people.forget_online(peer);
        let shown = self.channels.iter().filter(|(_, channel)| channel.members.is_some());
        let mut shown: Vec<Rc<str>> = shown.map(|(_, channel)| channel.name.clone()).collect();
        shown.sort_unstable();
        for channel in shown {
            if self.home_of(&channel) == peer {
                let data = Self::presence(&channel, Presence::Reset, None);
                let act = Act::Event { event: PRESENCE_EVENT, data: Some(&data), is_volatile: false };
                self.reach(Audience::Channels, &channel, act, None);
            }
        }
    }

    /// As a home that takes another's place, and knows now who is there: tells the application who is online, and names
    /// everybody who is in a channel.
    pub(crate) fn present_members(&mut self) {
        let online = self.people.rosters.online.iter().map(|(user, _)| (user.into(), true));
        self.people.changes.extend(online);
        let mut members: Vec<(Box<str>, Box<str>)> = Vec::new();
        for (channel, roster) in self.people.rosters.iter() {
            members.extend(roster.iter().map(|(user, _)| (channel.into(), user.into())));
        }
        members.sort_unstable();
        for (channel, user) in members {
            self.present(&channel, Presence::Join, Some(&user));
        }
    }

    /// A connection is subscribed to a channel that shows its members: its user is in it.
    pub(crate) fn enter_channel(&mut self, channel: u32, user: u32) {
        let known = self.channels.channel_mut(channel);
        let Some(members) = &mut known.members else { return };
        let subscriptions = members.entry(user).or_default();
        *subscriptions += 1;
        if *subscriptions == 1
            && let Some(user) = self.users.get(user)
        {
            let (channel, user) = (known.name.clone(), user.name.clone());
            self.tell_home(Some(&channel), &user, true);
        }
    }

    /// A connection of a user is subscribed to the channel no more.
    pub(crate) fn exit_channel(&mut self, channel: u32, user: u32) {
        let known = self.channels.channel_mut(channel);
        let Some(members) = &mut known.members else { return };
        let Some(subscriptions) = members.get_mut(&user) else { return };
        *subscriptions -= 1;
        if *subscriptions == 0 {
            members.remove(&user);
            if let Some(user) = self.users.get(user) {
                let (channel, user) = (known.name.clone(), user.name.clone());
                self.tell_home(Some(&channel), &user, false);
            }
        }
    }

    /// The channels of a connection that show who is in them.
    fn shown_channels(&self, connection: u32) -> Vec<u32> {
        let subscriptions = self.connections[connection].subscriptions.iter();
        let channels = subscriptions.map(|subscription| subscription.channel);
        channels.filter(|channel| self.channels.channel(*channel).members.is_some()).collect()
    }
}
