//! A shard dies, and another one takes its place: as a home it begins with what the others hold and the store has.

use std::collections::BTreeSet;
use std::time::Duration;

use shard::{Batch, ShardId};

use super::plan::StorePlan;
use super::world::{Happening, Input, Stage, World};

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
        self.oracle.borrow_mut().note(&[5, index as u64], || format!("shard {index} dies"));
        let station = &mut self.stations[index];
        station.is_dead = true;
        station.notices.clear();
        station.shard.abandon(&mut station.application);
        for issued in station.application.check_abandoned() {
            self.oracle.borrow_mut().abandoned(&issued);
        }
        let gone: Vec<_> = std::mem::take(&mut station.ports).into_values().collect();
        // Those who have not been accepted wait in the kernel's queue.
        let tabs = &self.tabs;
        station.inputs.retain(|input| matches!(input, Input::Connect(tab) if tabs[*tab].id.is_none()));
        for tab in gone {
            self.tabs[tab].stage = Stage::Away;
            self.tabs[tab].id = None;
        }
        self.forget_unheld(index);
        for other in 0..self.plan.shards {
            let words = self.mesh.cut(index, other);
            if other != index && !self.stations[other].is_dead {
                self.stations[other].notices.push(Notice::Lost(index, words));
                self.wake(other);
            }
        }
        let at = self.now + Duration::from_micros(self.random.u64(..60_000));
        self.at(at, Happening::Rise(self.life, index));
    }

    /// Of a session whose home is dead or does not know yet what there is, and of which nobody who lives has a copy, there
    /// is what the store has.
    fn forget_unheld(&mut self, index: usize) {
        let mut held = BTreeSet::new();
        let mut oracle = self.oracle.borrow_mut();
        for station in self.stations.iter().filter(|station| !station.is_dead) {
            let ready = station.application.sessions().all().into_iter().filter(|session| session.is_ready());
            held.extend(ready.map(|session| oracle.logical(session.id())));
            station.application.floors.borrow_mut().clear();
        }
        let is_away = |home: usize| self.stations[home].is_dead || self.stations[home].shard.is_joining();
        let has_store = self.plan.store != StorePlan::None;
        for (logical, id) in oracle.all() {
            let home = id.home(self.plan.shards).index();
            if is_away(home) {
                oracle.home_died(logical, has_store, held.contains(&logical));
            }
        }
        debug_assert!(is_away(index));
    }

    /// Another one takes its place, with a link to everybody who lives.
    pub(super) fn rise(&mut self, index: usize) {
        let life = self.stations[index].life + 1;
        let inputs = std::mem::take(&mut self.stations[index].inputs);
        let is_calm = self.stations[index].application.is_calm;
        let mut station = self.station(index, life);
        station.application.is_calm = is_calm;
        station.inputs = inputs;
        station.shard.begin_anew();
        for other in (0..self.plan.shards).filter(|other| *other != index) {
            if !self.stations[other].is_dead {
                station.shard.handle_peer_joined(self.now, id(other));
                self.stations[other].notices.push(Notice::Joined(index));
                self.wake(other);
            }
        }
        self.stations[index] = station;
        self.oracle.borrow_mut().note(&[6, index as u64], || format!("shard {index} is replaced"));
        self.wake(index);
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
                    let station = &mut self.stations[index];
                    station.shard.handle_peer_lost(now, id(peer), &mut station.application);
                }
                Notice::Joined(peer) => self.stations[index].shard.handle_peer_joined(now, id(peer)),
            }
            self.stations[index].shard.check();
        }
    }

    /// One after the other, at times before the last one is back.
    pub(super) fn kill_shards(&mut self) {
        let index = self.random.usize(..self.plan.shards);
        self.die(index);
        while self.random.u8(..3) == 0 {
            let at = self.now + Duration::from_micros(self.random.u64(..120_000));
            let index = self.random.usize(..self.plan.shards);
            self.at(at, Happening::Die(self.life, index));
        }
    }
}

fn id(index: usize) -> ShardId {
    ShardId(u8::try_from(index).expect("few shards"))
}
