//! Deaths in the server's world: a shard's clients are cut off, and what it had not sent is lost. Who connects before another
//! shard has taken its place waits.

use std::time::Duration;

use fastrand::Rng;
use shard::{Batch, Config, Shard, ShardId, Time};

use super::application::Application;
use super::death::{Fate, Mortal, Notice, Tenure};
use super::mesh::Mesh;
use super::network::End;
use super::people::shows_members;
use super::station::Station;
use super::world::{Happening, World};

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
            Fate::Die(index) => Happening::Die(index),
            Fate::Rise(index) => Happening::Rise(index),
        };
        self.at(self.now + delay, happening);
    }

    fn vacancy(&self) -> Duration {
        Duration::from_millis(40)
    }

    fn died(&mut self, index: usize) {
        self.deaths += 1;
        let station = &mut self.stations[index];
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
    }

    fn succeed(&mut self, index: usize) {
        let old = &self.stations[index];
        let (life, is_calm) = (old.tenure.life + 1, old.application.is_calm);
        let seed = self.random.u64(..);
        let id = ShardId(u8::try_from(index).expect("few shards"));
        let config = Config { id, shards: self.plan.shards, limits: self.plan.limits, seed };
        let random = self.random.fork();
        let mut application = Application::new(index, life, &self.plan, random, self.oracle.clone());
        application.is_calm = is_calm;
        let mut shard = Shard::new(config, self.now);
        shard.show_members(shows_members);
        self.plan.tell_policies(&mut shard);
        let (accepts, tenure) = {
            let old = &mut self.stations[index];
            (std::mem::take(&mut old.accepts), std::mem::take(&mut old.tenure))
        };
        self.stations[index] = Station { accepts, tenure, ..Station::new(shard, application) };
        self.oracle.borrow_mut().note(&[11, index as u64], || format!("shard {index} is replaced"));
    }

    fn heard_last_words(&mut self, index: usize, dead: usize) {
        self.oracle.borrow_mut().ledger.lose(dead, index);
    }

    /// A shard is back when everybody knows that it is.
    fn noticed(&mut self) {
        let is_awaited = |shard: usize| {
            let is_news = |notice: &Notice| matches!(notice, Notice::Joined(peer) if *peer == shard);
            let has_news = |station: &Station| station.tenure.notices.iter().any(is_news);
            self.stations[shard].tenure.is_dead || self.stations.iter().any(has_news)
        };
        let away: Vec<_> = (0..self.plan.shards).filter(|shard| is_awaited(*shard)).collect();
        self.oracle.borrow_mut().people.away.retain(|shard| away.contains(shard));
    }
}
