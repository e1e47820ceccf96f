//! Shards that die at any step, and their successors: what a shard had not sent is lost, the others hear of it when they come
//! round, and another one takes its place a little later. What becomes of its clients is the world's that they live in.

use std::time::Duration;

use fastrand::Rng;
use shard::{Batch, Host, Shard, ShardId, Time};

use super::mesh::Mesh;

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

/// How a place among the shards is filled.
#[derive(Debug, Default)]
pub(super) struct Tenure {
    /// The shard has died, and nothing has taken its place.
    pub(super) is_dead: bool,
    /// How many there were in its place before.
    pub(super) life: u32,
    /// What it has not heard of others.
    pub(super) notices: Vec<Notice>,
}

impl Tenure {
    /// The first one.
    pub(super) const fn new() -> Self {
        Self { is_dead: false, life: 0, notices: Vec::new() }
    }
}

/// What has to be done, sooner or later.
pub(super) enum Fate {
    Die(usize),
    Rise(usize),
}

/// A world in which shards die.
pub(super) trait Mortal {
    type Application: Host;

    fn shards(&self) -> usize;
    fn now(&self) -> Time;
    fn random(&mut self) -> &mut Rng;
    fn mesh(&mut self) -> &mut Mesh;
    fn tenure(&mut self, index: usize) -> &mut Tenure;
    fn shard(&mut self, index: usize) -> (&mut Shard, &mut Self::Application);
    fn wake(&mut self, index: usize);
    fn take_batch(&mut self, index: usize, peer: usize, batch: &Batch);
    /// It happens that much later.
    fn later(&mut self, delay: Duration, fate: Fate);
    /// How long nobody takes the place of a shard, at most.
    fn vacancy(&self) -> Duration;
    /// A shard has died: its clients are cut off.
    fn died(&mut self, index: usize);
    /// A shard and its application for that place, with nothing that the last one had.
    fn succeed(&mut self, index: usize);
    /// A shard has handled the last words of another one.
    fn heard_last_words(&mut self, _index: usize, _dead: usize) {}
    /// Something was noticed, or somebody has come.
    fn noticed(&mut self) {}

    /// A shard dies.
    fn die(&mut self, index: usize) {
        if self.tenure(index).is_dead {
            return;
        }
        let tenure = self.tenure(index);
        tenure.is_dead = true;
        tenure.notices.clear();
        let (shard, application) = self.shard(index);
        shard.abandon(application);
        self.died(index);
        for other in (0..self.shards()).filter(|other| *other != index) {
            let words = self.mesh().cut(index, other);
            if !self.tenure(other).is_dead {
                self.tenure(other).notices.push(Notice::Lost(index, words));
                self.wake(other);
            }
        }
        let most = u64::try_from(self.vacancy().as_micros()).expect("less than a second");
        let vacancy = Duration::from_micros(self.random().u64(..most));
        self.later(vacancy, Fate::Rise(index));
    }

    /// Another one takes its place, with a link to everybody who lives.
    fn rise(&mut self, index: usize) {
        let life = self.tenure(index).life + 1;
        self.succeed(index);
        *self.tenure(index) = Tenure { life, ..Tenure::new() };
        self.shard(index).0.begin_anew();
        let now = self.now();
        for other in (0..self.shards()).filter(|other| *other != index) {
            if !self.tenure(other).is_dead {
                self.shard(index).0.handle_peer_joined(now, id(other));
                self.tenure(other).notices.push(Notice::Joined(index));
                self.wake(other);
            }
        }
        self.wake(index);
        self.noticed();
    }

    /// What a shard has heard of others since its last pass.
    fn take_notices(&mut self, index: usize) {
        let now = self.now();
        for notice in std::mem::take(&mut self.tenure(index).notices) {
            match notice {
                Notice::Lost(peer, words) => {
                    words.iter().for_each(|batch| self.take_batch(index, peer, batch));
                    self.heard_last_words(index, peer);
                    let (shard, application) = self.shard(index);
                    shard.handle_peer_lost(now, id(peer), application);
                }
                Notice::Joined(peer) => self.shard(index).0.handle_peer_joined(now, id(peer)),
            }
            self.shard(index).0.check();
        }
        self.noticed();
    }

    /// One after the other, at times before the last one is back.
    fn kill_shards(&mut self) {
        let index = self.any_shard();
        self.die(index);
        let most = 2 * u64::try_from(self.vacancy().as_micros()).expect("less than a second");
        while self.random().u8(..3) == 0 {
            let delay = Duration::from_micros(self.random().u64(..most));
            let index = self.any_shard();
            self.later(delay, Fate::Die(index));
        }
    }

    fn any_shard(&mut self) -> usize {
        let shards = self.shards();
        self.random().usize(..shards)
    }
}

fn id(index: usize) -> ShardId {
    ShardId(u8::try_from(index).expect("few shards"))
}
