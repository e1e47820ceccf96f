//! What a seed decides before a run of sessions begins.

use std::time::Duration;

use fastrand::Rng;
use shard::{Limits, SessionLimits};

use crate::simulation::plan::Faults;

/// What keeps sessions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum StorePlan {
    None,
    /// It answers, sooner or later.
    Good,
    /// At times it fails, or is full.
    Moody,
}

/// One run.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    pub(super) shards: usize,
    pub(super) browsers: usize,
    pub(super) limits: Limits,
    pub(super) faults: Faults,
    pub(super) lane_batches: usize,
    pub(super) store: StorePlan,
    pub(super) store_micros: u64,
    pub(super) storm: Duration,
    /// Between two acts of one tab, on average.
    pub(super) act_micros: u64,
    /// Whether sessions get other ids, and end.
    pub(super) has_rotations: bool,
    /// When everything but the store is lost.
    pub(super) crash: Option<Duration>,
}

impl Plan {
    pub(super) fn new(seed: u64) -> Self {
        let mut random = Rng::with_seed(seed);
        let is_calm = random.u8(..4) == 0;
        let faults = Faults {
            full_lanes: if is_calm { 0 } else { random.u32(..200) },
            full_lane_micros: random.u64(1_000..60_000),
            mesh_micros: *random.choice(&[50, 3_000, 40_000]).expect("three"),
            pass_micros: *random.choice(&[20, 300, 2_000]).expect("three"),
            ..Faults::default()
        };
        let storm = Duration::from_millis(random.u64(1_500..5_000));
        let store = match random.u8(..8) {
            0 | 1 => StorePlan::None,
            2..5 => StorePlan::Good,
            _ => StorePlan::Moody,
        };
        Self {
            shards: [1, 2, 5][usize::try_from(seed % 3).expect("below three")],
            browsers: random.usize(1..=4),
            limits: limits(&mut random),
            faults,
            lane_batches: random.usize(1..=4),
            store,
            store_micros: *random.choice(&[100, 5_000, 80_000]).expect("three"),
            storm,
            act_micros: random.u64(2_000..30_000),
            has_rotations: random.bool(),
            crash: (random.u8(..3) == 0).then(|| storm.mul_f64(random.f64())),
        }
    }
}

fn limits(random: &mut Rng) -> Limits {
    let hour = Duration::from_secs(3_600);
    Limits {
        lane_high_water_mark: *random.choice(&[300, 3_000, 100_000]).expect("three"),
        call_timeout: Duration::from_millis(*random.choice(&[100, 1_000, 4_000]).expect("three")),
        ping_interval: hour,
        ping_timeout: hour * 2,
        close_timeout: Duration::from_millis(500),
        sessions: SessionLimits {
            sessions_max: *random.choice(&[4, 1_000]).expect("two"),
            keys_max: 10_000,
            bytes_max: 1 << 20,
            writes_max: *random.choice(&[3, 1_000]).expect("two"),
            ttl: hour,
            cache: Duration::from_secs(random.u64(0..3)),
            reads_home: random.u8(..3) == 0,
            ..SessionLimits::default()
        },
        ..Limits::default()
    }
}
