//! A shard dies, and another one takes its place: as a home it begins with what the others hold and the store has.

use std::collections::BTreeSet;
use std::time::Duration;

use fastrand::Rng;
use shard::{Batch, Shard, Time};

use super::application::Application;
use super::plan::StorePlan;
use super::world::{Happening, Input, Stage, World};
use crate::simulation::death::{Fate, Mortal, Tenure};
use crate::simulation::mesh::Mesh;

impl Mortal for World {
    type Application = Application;

    fn shards(&self) -> usize {
        self.plan.shards
    }

    fn now(&self) -> Time {
        self.now
    }

    fn random(&mut self) -> &mut Rng {
        &mut self.random
    }

    fn mesh(&mut self) -> &mut Mesh {
        &mut self.mesh
    }

    fn tenure(&mut self, index: usize) -> &mut Tenure {
        &mut self.stations[index].tenure
    }

    fn shard(&mut self, index: usize) -> (&mut Shard, &mut Application) {
        let station = &mut self.stations[index];
        (&mut station.shard, &mut station.application)
    }

    fn wake(&mut self, index: usize) {
        self.queue_pass(index);
    }

    fn take_batch(&mut self, index: usize, peer: usize, batch: &Batch) {
        self.receive_batch(index, peer, batch);
    }

    fn later(&mut self, delay: Duration, fate: Fate) {
        let happening = match fate {
            Fate::Die(index) => Happening::Die(self.life, index),
            Fate::Rise(index) => Happening::Rise(self.life, index),
        };
        self.at(self.now + delay, happening);
    }

    fn vacancy(&self) -> Duration {
        Duration::from_millis(60)
    }

    fn died(&mut self, index: usize) {
        self.deaths += 1;
        self.oracle.borrow_mut().note(&[5, index as u64], || format!("shard {index} dies"));
        let station = &mut self.stations[index];
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
    }

    fn succeed(&mut self, index: usize) {
        let life = self.stations[index].tenure.life + 1;
        let mut successor = self.station(index, life);
        let old = &mut self.stations[index];
        std::mem::swap(&mut successor.inputs, &mut old.inputs);
        std::mem::swap(&mut successor.tenure, &mut old.tenure);
        successor.application.is_calm = old.application.is_calm;
        self.stations[index] = successor;
        self.oracle.borrow_mut().note(&[6, index as u64], || format!("shard {index} is replaced"));
    }
}

impl World {
    /// Of a session whose home is dead or does not know yet what there is, and of which nobody who lives has a copy, there
    /// is what the store has.
    fn forget_unheld(&mut self, index: usize) {
        let mut held = BTreeSet::new();
        let mut oracle = self.oracle.borrow_mut();
        for station in self.stations.iter().filter(|station| !station.tenure.is_dead) {
            let ready = station.application.sessions().all().into_iter().filter(|session| session.is_ready());
            held.extend(ready.map(|session| oracle.logical(session.id())));
            station.application.floors.borrow_mut().clear();
        }
        let is_away = |home: usize| self.stations[home].tenure.is_dead || self.stations[home].shard.is_joining();
        let has_store = self.plan.store != StorePlan::None;
        for (logical, id) in oracle.all() {
            let home = id.home(self.plan.shards).index();
            if is_away(home) {
                oracle.home_died(logical, has_store, held.contains(&logical));
            }
        }
        debug_assert!(is_away(index));
    }
}
