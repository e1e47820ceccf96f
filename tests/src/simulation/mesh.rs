//! The links between shards: one FIFO lane for each ordered pair, of small capacity, with delays, and with phases in
//! which it takes nothing. Nothing is ever lost or reordered within a lane; lanes know nothing of each other.

use std::collections::VecDeque;

use fastrand::Rng;
use shard::{Batch, Time};

use super::plan::Faults;

#[derive(Default)]
struct Lane {
    batches: VecDeque<(Time, Batch)>,
    /// Takes nothing until then.
    full_until: Time,
}

pub(super) struct Mesh {
    shards: usize,
    capacity: usize,
    lanes: Vec<Lane>,
}

/// What became of a batch.
pub(super) enum Sent {
    /// It arrives then.
    Arrives(Time),
    /// There is no room: until then, or until the receiver has made some.
    Full(Batch, Option<Time>),
}

impl Mesh {
    pub(super) fn new(shards: usize, capacity: usize) -> Self {
        Self { shards, capacity, lanes: (0..shards * shards).map(|_| Lane::default()).collect() }
    }

    pub(super) fn send(
        &mut self,
        now: Time,
        (from, to): (usize, usize),
        batch: Batch,
        faults: &Faults,
        random: &mut Rng,
    ) -> Sent {
        let capacity = self.capacity;
        let lane = &mut self.lanes[from * self.shards + to];
        if faults.happens(faults.full_lanes, random) {
            lane.full_until = now + faults.delay(faults.full_lane_micros, random);
        }
        if lane.full_until > now {
            return Sent::Full(batch, Some(lane.full_until));
        }
        if lane.batches.len() >= capacity {
            return Sent::Full(batch, None);
        }
        let at = now + faults.delay(faults.mesh_micros, random);
        let at = lane.batches.back().map_or(at, |(last, _)| at.max(*last));
        lane.batches.push_back((at, batch));
        Sent::Arrives(at)
    }

    /// The next batch that has arrived.
    pub(super) fn receive(&mut self, now: Time, from: usize, to: usize) -> Option<Batch> {
        let lane = &mut self.lanes[from * self.shards + to];
        if lane.batches.front().is_none_or(|(at, _)| *at > now) {
            return None;
        }
        lane.batches.pop_front().map(|(_, batch)| batch)
    }

    /// A shard has died: the lanes between it and another begin anew. What it had sent is still to be received.
    pub(super) fn cut(&mut self, dead: usize, other: usize) -> Vec<Batch> {
        self.lanes[other * self.shards + dead] = Lane::default();
        let lane = std::mem::take(&mut self.lanes[dead * self.shards + other]);
        lane.batches.into_iter().map(|(_, batch)| batch).collect()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.lanes.iter().all(|lane| lane.batches.is_empty())
    }
}
