//! Shards that die at any step, and their successors: a shard's clients are cut off, what it had not sent is lost, the
//! others hear of it when they come round, and another one takes its place a little later. Who connects meanwhile waits.

use std::time::Duration;

use shard::{Batch, Config, Shard, ShardId};

use super::application::Application;
use super::network::End;
use super::people::shows_members;
use super::station::Station;
use super::world::{Happening, World};

/// What is cut off when so many things have happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kill {
    Nothing,
    /// The connection of one client.
    Connection(u64),
    /// A shard, and sometimes others soon after it.
    Shard(u64),
}

/// What a shard hears of another.
#[derive(Debug)]
pub(super) enum Notice {
    /// It has died; these are its last words.
    Lost(usize, Vec<Batch>),
    /// Another one has begun in its place.
    Joined(usize),
}

impl World {
    /// A shard dies.
    pub(super) fn die(&mut self, index: usize) {
        if self.stations[index].is_dead {
            return;
        }
        self.deaths += 1;
        let station = &mut self.stations[index];
        station.is_dead = true;
        station.notices.clear();
        station.shard.abandon(&mut station.application);
        station.application.check_abandoned();
        let clients: Vec<_> = std::mem::take(&mut station.ports).into_values().map(|(_, client)| client).collect();
        let mut oracle = self.oracle.borrow_mut();
        oracle.note(&[10, index as u64], || format!("shard {index} dies"));
        oracle.shard_died(index, &clients);
        drop(oracle);
        for client in clients {
            self.links[client].flight = None;
            self.end_down(client);
            self.links[client].end_up(self.now, End::Reset);
            self.at(self.now, Happening::Up(client));
        }
        for other in 0..self.plan.shards {
            let words = self.mesh.cut(index, other);
            if other != index && !self.stations[other].is_dead {
                self.stations[other].notices.push(Notice::Lost(index, words));
                self.wake(other);
            }
        }
        let at = self.now + Duration::from_micros(self.random.u64(..40_000));
        self.at(at, Happening::Rise(index));
    }

    /// Another one takes its place, with a link to everybody who lives.
    pub(super) fn rise(&mut self, index: usize) {
        let old = &self.stations[index];
        let (life, is_calm) = (old.life + 1, old.application.is_calm);
        let seed = self.random.u64(..);
        let config = Config { id: id(index), shards: self.plan.shards, limits: self.plan.limits, seed };
        let random = self.random.fork();
        let mut application = Application::new(index, life, &self.plan, random, self.oracle.clone());
        application.is_calm = is_calm;
        let mut shard = Shard::new(config, self.now);
        shard.show_members(shows_members);
        self.plan.tell_policies(&mut shard);
        shard.begin_anew();
        for other in (0..self.plan.shards).filter(|other| *other != index) {
            if !self.stations[other].is_dead {
                shard.handle_peer_joined(self.now, id(other));
                self.stations[other].notices.push(Notice::Joined(index));
                self.wake(other);
            }
        }
        let accepts = std::mem::take(&mut self.stations[index].accepts);
        self.stations[index] = Station { life, accepts, ..Station::new(shard, application) };
        self.oracle.borrow_mut().note(&[11, index as u64], || format!("shard {index} is replaced"));
        self.wake(index);
        self.look_who_is_back();
    }

    /// What a shard has heard of others since its last pass.
    pub(super) fn take_notices(&mut self, index: usize) {
        let now = self.now;
        for notice in std::mem::take(&mut self.stations[index].notices) {
            match notice {
                Notice::Lost(peer, words) => {
                    for batch in words {
                        self.take_batch(index, peer, &batch);
                    }
                    self.oracle.borrow_mut().ledger.lose(peer, index);
                    let station = &mut self.stations[index];
                    station.shard.handle_peer_lost(now, id(peer), &mut station.application);
                }
                Notice::Joined(peer) => self.stations[index].shard.handle_peer_joined(now, id(peer)),
            }
            self.stations[index].shard.check();
        }
        self.look_who_is_back();
    }

    /// A shard is back when everybody knows that it is.
    fn look_who_is_back(&mut self) {
        let is_awaited = |shard: usize| {
            let is_news = |notice: &Notice| matches!(notice, Notice::Joined(peer) if *peer == shard);
            self.stations[shard].is_dead || self.stations.iter().any(|station| station.notices.iter().any(is_news))
        };
        let away: Vec<_> = (0..self.plan.shards).filter(|shard| is_awaited(*shard)).collect();
        self.oracle.borrow_mut().people.away.retain(|shard| away.contains(shard));
    }

    /// One after the other, at times before the last one is back.
    pub(super) fn kill_shards(&mut self) {
        let index = self.random.usize(..self.plan.shards);
        self.die(index);
        while self.random.u8(..3) == 0 {
            let at = self.now + Duration::from_micros(self.random.u64(..80_000));
            let index = self.random.usize(..self.plan.shards);
            self.at(at, Happening::Die(index));
        }
    }
}

fn id(index: usize) -> ShardId {
    ShardId(u8::try_from(index).expect("few shards"))
}
