//! What a seed decides before a run begins.

use std::time::Duration;

use fastrand::Rng;
use shard::{EngineLimits, Limits, RecoveryLimits, SeatLimits};

use crate::simulation::plan::Faults;

/// One run.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    pub(super) shards: usize,
    pub(super) persons: usize,
    /// Persons share them.
    pub(super) addresses: usize,
    pub(super) limits: Limits,
    pub(super) faults: Faults,
    pub(super) storm: Duration,
    /// Between two acts of one person, on average.
    pub(super) act_micros: u64,
    pub(super) lane_batches: usize,
}

impl Plan {
    pub(super) fn new(seed: u64) -> Self {
        let mut random = Rng::with_seed(seed ^ 0xca44);
        let faults = Faults {
            full_lanes: if random.bool() { 0 } else { random.u32(..=100) },
            full_lane_micros: random.u64(1_000..30_000),
            mesh_micros: *random.choice(&[50, 2_000, 30_000]).expect("three"),
            network_micros: *random.choice(&[100, 4_000, 25_000]).expect("three"),
            pass_micros: *random.choice(&[20, 300, 2_000]).expect("three"),
            ..Faults::default()
        };
        Self {
            // With one shard nobody is elsewhere.
            shards: [1, 2, 5][usize::try_from(seed % 3).expect("below three")],
            persons: random.usize(3..=7),
            addresses: random.usize(1..=3),
            limits: limits(&mut random),
            faults,
            storm: Duration::from_millis(random.u64(1_000..2_000)),
            act_micros: random.u64(5_000..25_000),
            lane_batches: random.usize(1..=4),
        }
    }

    /// How long nothing but a lost word keeps a seat: after that many have come round, everybody knows that it is free.
    pub(super) fn word(&self) -> Duration {
        let lanes =
            self.faults.mesh_micros + if self.faults.full_lanes > 0 { 4 * self.faults.full_lane_micros } else { 0 };
        Duration::from_micros(3 * lanes + 10 * self.faults.pass_micros + 2 * self.faults.network_micros) + TICK * 2
    }

    /// How long the server may take a session without a transport for one that lives.
    pub(super) fn session(&self) -> Duration {
        let engine = self.limits.engine;
        engine.ping_interval
            + engine.ping_timeout
            + self.limits.close_timeout * 2
            + Duration::from_secs(1)
            + self.word()
    }
}

fn limits(random: &mut Rng) -> Limits {
    let ping_interval = Duration::from_millis(random.u64(300..900));
    let window = *random.choice(&[0, 400, 60_000, 60_000]).expect("four");
    Limits {
        engine: EngineLimits { ping_interval, ping_timeout: Duration::from_millis(900), ..EngineLimits::default() },
        recovery: RecoveryLimits { window: Duration::from_millis(window), ..RecoveryLimits::default() },
        seats: SeatLimits { per_address: *random.choice(&[0, 0, 5, 9]).expect("four"), ..SeatLimits::default() },
        handshake_timeout: Duration::from_millis(2_500),
        close_timeout: Duration::from_millis(300),
        call_timeout: Duration::from_millis(4_000),
        lane_high_water_mark: *random.choice(&[500, 100_000]).expect("two"),
        ..Limits::default()
    }
}

pub(super) const TICK: Duration = Duration::from_millis(50);

/// How long anybody waits to be let in, at most, whatever dies meanwhile: less than it takes to give up.
pub(super) const PATIENCE: Duration = Duration::from_millis(2_000);
