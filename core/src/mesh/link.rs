//! One shard's end of the mesh: a lane to and a lane from every other shard, and everybody's doorbells. It never looks
//! into a batch.
//!
//! Stopping is a handshake: after its last batch a shard sends FIN, and it goes on receiving until every peer's FIN is
//! there. So nothing that was sent is lost, and no lane is dropped while somebody writes to it.

use std::sync::Arc;

use shard::{Batch, ShardId, ShardSet};

use super::lane::{Parcel, Receiver, Sender, lane};
use super::roll::{Notice, Roll};
use crate::net::Doorbell;

/// One shard's links to all others.
#[derive(Debug)]
pub(crate) struct Link {
    shard: ShardId,
    /// By shard; `None` at our own place, and where nobody lives.
    peers: Vec<Option<Peer>>,
    /// Where there is one.
    linked: ShardSet,
    roll: Arc<Roll>,
    doorbells: Arc<[Arc<Doorbell>]>,
    /// Peers that got a parcel in this pass and are rung at its end.
    posted: ShardSet,
    /// Peers whose FIN has not come.
    unfinished: ShardSet,
    /// Peers that have not got our FIN.
    unfinishing: ShardSet,
    metrics: Metrics,
}

/// What a link has counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Metrics {
    /// Batches sent.
    pub(crate) batches_sent: u64,
    /// Batches received.
    pub(crate) batches_received: u64,
    /// Batches given back because a lane was full.
    pub(crate) lanes_full: u64,
}

/// The ends of the two lanes between us and one other shard.
#[derive(Debug)]
pub(crate) struct Peer {
    sender: Sender,
    receiver: Receiver,
}

impl Peer {
    /// Two lanes, by their ends at either shard.
    pub(super) fn pair(lane_capacity: usize) -> (Self, Self) {
        let (there, here) = (lane(lane_capacity), lane(lane_capacity));
        (Self { sender: there.0, receiver: here.1 }, Self { sender: here.0, receiver: there.1 })
    }
}

/// Links for as many shards as there are doorbells, in their order. Lanes are allocated up front: 64 parcels of 56
/// bytes between each two of 64 shards are 15 MB, between each two of 8 shards 0.2 MB.
pub(crate) fn mesh(doorbells: Vec<Arc<Doorbell>>, lane_capacity: usize) -> Vec<Link> {
    let count = doorbells.len();
    assert!((1..=ShardId::COUNT_MAX).contains(&count), "the number of shards is checked before");
    let doorbells: Arc<[Arc<Doorbell>]> = doorbells.into();
    let roll = Roll::new(Arc::clone(&doorbells), lane_capacity);
    let id = |index| ShardId(u8::try_from(index).expect("128 shards at most"));
    let link = |index| Link::new(id(index), Arc::clone(&roll), Arc::clone(&doorbells));
    let mut links: Vec<_> = (0..count).map(link).collect();
    for one in 0..count {
        for other in one + 1..count {
            let (ours, theirs) = Peer::pair(lane_capacity);
            links[one].join(id(other), ours);
            links[other].join(id(one), theirs);
        }
    }
    links
}

impl Link {
    /// A link to nobody yet.
    pub(super) fn new(shard: ShardId, roll: Arc<Roll>, doorbells: Arc<[Arc<Doorbell>]>) -> Self {
        Self {
            shard,
            peers: doorbells.iter().map(|_| None).collect(),
            linked: ShardSet::EMPTY,
            roll,
            doorbells,
            posted: ShardSet::EMPTY,
            unfinished: ShardSet::EMPTY,
            unfinishing: ShardSet::EMPTY,
            metrics: Metrics::default(),
        }
    }

    /// Who lives.
    pub(crate) const fn roll(&self) -> &Arc<Roll> {
        &self.roll
    }

    /// What has become of other shards since, in order.
    pub(crate) fn notices(&self) -> Vec<Notice> {
        self.roll.notices(self.shard)
    }

    /// Lanes to and from a shard that has begun.
    pub(crate) fn join(&mut self, peer: ShardId, lanes: Peer) {
        self.peers[peer.index()] = Some(lanes);
        self.linked.insert(peer);
        self.unfinished.insert(peer);
        self.unfinishing.insert(peer);
    }

    /// A shard has died, and everything that it has sent was received: nobody waits for it.
    pub(crate) fn lose(&mut self, peer: ShardId) {
        self.peers[peer.index()] = None;
        for set in [&mut self.linked, &mut self.posted, &mut self.unfinished, &mut self.unfinishing] {
            set.remove(peer);
        }
    }

    /// Whose it is.
    pub(crate) const fn shard(&self) -> ShardId {
        self.shard
    }

    /// Our own doorbell.
    pub(crate) fn doorbell(&self) -> &Arc<Doorbell> {
        &self.doorbells[self.shard.index()]
    }

    /// The other shards that live.
    pub(crate) fn others(&self) -> impl Iterator<Item = ShardId> + use<> {
        self.linked.iter()
    }

    /// Whether a batch for this peer has a chance: its lane was not full when we last tried, or has been emptied since.
    pub(crate) fn has_room(&self, to: ShardId) -> bool {
        self.peers[to.index()].as_ref().is_some_and(|peer| !peer.sender.is_blocked())
    }

    /// Sends a batch, or gives it back; then our doorbell rings when there is room.
    pub(crate) fn send(&mut self, to: ShardId, batch: Batch) -> Result<(), Batch> {
        match self.post(to, Parcel::Batch(batch)) {
            Ok(()) => self.metrics.batches_sent += 1,
            Err(Parcel::Batch(batch)) => {
                self.metrics.lanes_full += 1;
                return Err(batch);
            }
            Err(Parcel::Fin) => unreachable!("a lane gives back what it was given"),
        }
        Ok(())
    }

    /// The next batch from this peer.
    pub(crate) fn receive(&mut self, from: ShardId) -> Option<Batch> {
        match self.peers[from.index()].as_ref()?.receiver.receive()? {
            Parcel::Batch(batch) => {
                self.metrics.batches_received += 1;
                Some(batch)
            }
            Parcel::Fin => {
                self.unfinished.remove(from);
                None
            }
        }
    }

    /// After having received from this peer: lets it go on if it waits for room.
    pub(crate) fn received(&self, from: ShardId) {
        if self.peers[from.index()].as_ref().is_some_and(|peer| peer.receiver.unblock()) {
            self.doorbells[from.index()].ring();
        }
    }

    /// At the end of a pass: rings everybody who got something, once.
    pub(crate) fn ring(&mut self) {
        for peer in std::mem::take(&mut self.posted).iter() {
            self.doorbells[peer.index()].ring();
        }
    }

    /// Says that nothing follows, to those who have not heard it; those whose lanes are full hear it when it is called
    /// again. Nothing may be sent after the first call.
    pub(crate) fn finish(&mut self) {
        for peer in self.unfinishing.iter() {
            if self.post(peer, Parcel::Fin).is_ok() {
                self.unfinishing.remove(peer);
            }
        }
    }

    /// Whether everybody has said and heard that nothing follows.
    pub(crate) fn is_finished(&self) -> bool {
        self.unfinished.is_empty() && self.unfinishing.is_empty()
    }

    /// The counters.
    pub(crate) const fn metrics(&self) -> Metrics {
        self.metrics
    }

    fn post(&mut self, to: ShardId, parcel: Parcel) -> Result<(), Parcel> {
        let Some(peer) = &self.peers[to.index()] else { return Err(parcel) };
        peer.sender.send(parcel)?;
        self.posted.insert(to);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::time::{Duration, Instant};

    use shard::Envelope;

    use super::*;
    use crate::config::RingSettings;
    use crate::net::Sockets;

    const FLOOD: u64 = 3_000;

    /// What a shard does, reduced to the mesh: every batch of a flood is answered with a batch, in order, and nothing
    /// is dropped when a lane is full. It sleeps whenever it has nothing to do, so a lost ring shows as a missed deadline.
    struct Flooder {
        link: Link,
        queues: Vec<VecDeque<Batch>>,
        sent: u64,
        requests: Vec<u64>,
        replies: Vec<u64>,
    }

    impl Flooder {
        fn new(link: Link) -> Self {
            let count = link.peers.len();
            let queues = (0..count).map(|_| VecDeque::new()).collect();
            Self { link, queues, sent: 0, requests: vec![0; count], replies: vec![0; count] }
        }

        fn receive(&mut self) {
            for from in self.link.others() {
                let mut any = false;
                while let Some(batch) = self.link.receive(from) {
                    any = true;
                    self.handle(from, &batch);
                }
                if any {
                    self.link.received(from);
                }
            }
        }

        fn handle(&mut self, from: ShardId, batch: &Batch) {
            for envelope in batch.iter() {
                let Envelope::Interest { generation, wanted, channel } = envelope else {
                    panic!("not ours: {envelope:?}")
                };
                assert_eq!(channel, format!("from {}", from.0));
                let expected = if wanted { &mut self.requests } else { &mut self.replies };
                assert_eq!(generation, expected[from.index()], "in order, none lost, none twice");
                expected[from.index()] += 1;
                if wanted {
                    let reply = self.envelope(generation, false);
                    self.queues[from.index()].push_back(reply);
                }
            }
        }

        fn envelope(&self, generation: u64, wanted: bool) -> Batch {
            let mut batch = Batch::default();
            batch.push(Envelope::Interest { channel: &format!("from {}", self.link.shard.0), generation, wanted });
            batch
        }

        fn send(&mut self) {
            if self.sent < FLOOD {
                for to in self.link.others() {
                    let request = self.envelope(self.sent, true);
                    self.queues[to.index()].push_back(request);
                }
                self.sent += 1;
            }
            for to in self.link.others() {
                while self.link.has_room(to) {
                    let Some(batch) = self.queues[to.index()].pop_front() else { break };
                    if let Err(batch) = self.link.send(to, batch) {
                        self.queues[to.index()].push_front(batch);
                    }
                }
            }
            if self.is_done() {
                self.link.finish();
            }
            self.link.ring();
        }

        fn is_done(&self) -> bool {
            let everything = |counts: &Vec<u64>| self.link.others().all(|peer| counts[peer.index()] == FLOOD);
            everything(&self.requests) && everything(&self.replies) && self.queues.iter().all(VecDeque::is_empty)
        }

        fn run(mut self) -> Metrics {
            let deadline = Instant::now() + Duration::from_secs(60);
            let settings =
                RingSettings { entries: 8, receive_buffers: 1, receive_buffer_bytes: 64, direct_descriptors: 0 };
            // A tick of a minute: nobody is woken by it, a lost ring would last until the deadline.
            let mut sockets = Sockets::new(&settings, Arc::clone(self.link.doorbell()), Duration::from_secs(61))
                .expect("a kernel with io_uring");
            let mut completions = Vec::new();
            while !self.link.is_finished() {
                assert!(Instant::now() < deadline, "stuck: {:?} {:?} {:?}", self.sent, self.requests, self.replies);
                self.receive();
                self.send();
                let sleeps = self.sent == FLOOD && !self.link.is_finished() && self.link.doorbell().sleep();
                sockets.enter(sleeps).expect("a ring");
                self.link.doorbell().answer();
                sockets.drain(&mut completions).expect("a ring");
                for completion in completions.drain(..) {
                    sockets.interpret(completion, shard::Time::ZERO).expect("a ring");
                }
            }
            self.link.metrics()
        }
    }

    fn flood(shards: usize, capacity: usize) {
        let doorbells = (0..shards).map(|_| Arc::new(Doorbell::new().expect("an eventfd"))).collect();
        let threads: Vec<_> = mesh(doorbells, capacity)
            .into_iter()
            .map(|link| std::thread::spawn(move || Flooder::new(link).run()))
            .collect();
        for thread in threads {
            let metrics = thread.join().expect("no assertion failed");
            assert_eq!(metrics.batches_sent, 2 * FLOOD * (shards as u64 - 1));
            assert_eq!(metrics.batches_sent, metrics.batches_received);
            assert!(capacity > 1 || metrics.lanes_full > 0, "the test must fill its lanes");
        }
    }

    #[test]
    fn floods_both_ways_through_lanes_of_one_arrive_complete_and_in_order() {
        flood(2, 1);
    }

    #[test]
    fn three_shards_answer_each_other_through_small_lanes() {
        flood(3, 2);
    }

    #[test]
    fn what_a_dead_shard_has_sent_is_received_before_its_successor_is_met() {
        let doorbells = (0..2).map(|_| Arc::new(Doorbell::new().expect("an eventfd"))).collect();
        let mut links = mesh(doorbells, 2);
        let (dead, other) = (ShardId(1), ShardId(0));
        let batch = || {
            let mut batch = Batch::default();
            batch.push(Envelope::Told);
            batch
        };
        links[1].send(other, batch()).expect("room");
        let roll = Arc::clone(links[0].roll());
        assert!(links[0].notices().is_empty());
        drop(links.pop());
        roll.strike_off(dead);
        let mut successor = roll.enter(dead);
        let mut survivor = links.pop().expect("the first");
        let notices = survivor.notices();
        assert!(matches!(notices[..], [Notice::Lost(ShardId(1)), Notice::Joined(ShardId(1), _)]), "{notices:?}");
        assert!(survivor.notices().is_empty(), "each is told once");
        assert_eq!(survivor.receive(dead).map(|batch| batch.len()), Some(1));
        for notice in notices {
            match notice {
                Notice::Lost(peer) => survivor.lose(peer),
                Notice::Joined(peer, lanes) => survivor.join(peer, lanes),
            }
        }
        assert!(survivor.receive(dead).is_none(), "the lane is new");
        survivor.send(dead, batch()).expect("room");
        assert_eq!(successor.receive(other).map(|batch| batch.len()), Some(1));
        successor.finish();
        survivor.finish();
        assert!(survivor.receive(dead).is_none() && successor.receive(other).is_none());
        assert!(survivor.is_finished() && successor.is_finished());
    }

    #[test]
    fn nobody_waits_for_a_dead_shard_at_the_end() {
        let doorbells = (0..3).map(|_| Arc::new(Doorbell::new().expect("an eventfd"))).collect();
        let mut links = mesh(doorbells, 2);
        let roll = Arc::clone(links[0].roll());
        drop(links.pop());
        roll.strike_off(ShardId(2));
        for link in &mut links {
            assert_eq!(link.notices().len(), 1);
            link.lose(ShardId(2));
            link.finish();
        }
        assert!(links[0].receive(ShardId(1)).is_none() && links[1].receive(ShardId(0)).is_none());
        assert!(links.iter().all(Link::is_finished));
    }

    #[test]
    fn a_shard_alone_has_nothing_to_finish() {
        let doorbell = Arc::new(Doorbell::new().expect("an eventfd"));
        let mut links = mesh(vec![doorbell], 4);
        assert!(links[0].is_finished());
        assert_eq!(links[0].others().count(), 0);
        links[0].finish();
    }
}
