//! What a seed decides before a run begins: how many shards and clients, which limits, how unkind the world is.

use std::time::Duration;

use codec::{socketcluster, websocket};
use fastrand::Rng;
use shard::{Limits, PeopleLimits, Shard, SlowConsumer};

use super::compression;

/// The channels everybody meets in: few, so that they do. Some have names that need care.
pub(super) const CHANNELS: [&str; 6] = ["news", "a", "__proto__", "say \"hi\"\\", "Grüße 🚀", "toString"];

/// How often, in 1,000, and how long things go wrong.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Faults {
    pub(super) short_sends: u32,
    pub(super) refused_sends: u32,
    pub(super) broken_sends: u32,
    pub(super) full_lanes: u32,
    pub(super) full_lane_micros: u64,
    pub(super) mesh_micros: u64,
    pub(super) network_micros: u64,
    pub(super) pass_micros: u64,
}

impl Faults {
    pub(super) fn happens(&self, per_thousand: u32, random: &mut Rng) -> bool {
        per_thousand > 0 && random.u32(..1_000) < per_thousand
    }

    /// Up to that long; mostly much shorter.
    pub(super) fn delay(&self, micros_max: u64, random: &mut Rng) -> Duration {
        let most = if random.u8(..4) == 0 { micros_max } else { micros_max / 8 };
        Duration::from_micros(random.u64(1..=most.max(1)))
    }
}

/// One run.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    pub(super) shards: usize,
    pub(super) clients: usize,
    pub(super) limits: Limits,
    pub(super) faults: Faults,
    /// While clients act.
    pub(super) storm: Duration,
    /// Between two acts of one client, on average.
    pub(super) act_micros: u64,
    /// Longest padding of a publication.
    pub(super) padding_bytes_max: usize,
    /// Batches that a lane holds.
    pub(super) lane_batches: usize,
    /// Bytes that a socket takes before its client reads; at least and at most.
    pub(super) room: (usize, usize),
    /// What happens to the channels' publications for slow consumers, where they have policies of their own.
    pub(super) policies: Option<[SlowConsumer; CHANNELS.len()]>,
    /// Channels in use.
    pub(super) channels: usize,
    /// Whether the run ends with a shutdown instead of with everybody leaving.
    pub(super) shuts_down: bool,
    /// Whether hooks may refuse, wait or answer late.
    pub(super) has_moody_hooks: bool,
    /// Whether clients join and leave channels more than they do anything else.
    pub(super) is_fickle: bool,
    /// Whether every client behaves, so that everything must arrive.
    pub(super) is_peaceful: bool,
    /// Whether clients stay, and often fall silent for longer than their users may.
    pub(super) is_drowsy: bool,
}

impl Plan {
    pub(super) fn new(seed: u64) -> Self {
        let mut random = Rng::with_seed(seed);
        let is_calm = random.u8(..4) == 0;
        let rare = |random: &mut Rng, most: u32| if is_calm { 0 } else { random.u32(..=most) };
        let faults = Faults {
            short_sends: rare(&mut random, 120),
            refused_sends: rare(&mut random, 60),
            broken_sends: rare(&mut random, 2),
            full_lanes: rare(&mut random, 150),
            full_lane_micros: random.u64(1_000..60_000),
            mesh_micros: *random.choice(&[50, 2_000, 30_000]).expect("three"),
            network_micros: *random.choice(&[100, 4_000, 25_000]).expect("three"),
            pass_micros: *random.choice(&[20, 300, 2_000]).expect("three"),
        };
        let mut plan = Self {
            shards: SHARDS[usize::try_from(seed % 3).expect("below three")],
            clients: random.usize(3..=12),
            limits: limits(&mut random),
            policies: (random.u8(..3) > 0).then(|| std::array::from_fn(|_| policy(&mut random))),
            faults,
            storm: Duration::from_millis(random.u64(1_500..3_500)),
            act_micros: random.u64(6_000..40_000),
            padding_bytes_max: *random.choice(&[0, 50, 700, 3_000]).expect("four"),
            lane_batches: random.usize(1..=4),
            room: *random.choice(&[(300, 2_000), (2_000, 20_000), (60_000, 200_000)]).expect("three"),
            channels: random.usize(1..=CHANNELS.len()),
            shuts_down: random.bool(),
            has_moody_hooks: random.u8(..3) > 0,
            is_fickle: random.u8(..4) == 0,
            is_peaceful: random.u8(..4) == 0,
            is_drowsy: false,
        };
        plan.limits.compression = compression::limits(&mut random);
        if plan.is_fickle {
            // Slow lanes and quick clients: that a channel is joined, left and joined again before the first interest
            // has been acknowledged must not be rare.
            plan.faults.mesh_micros = 60_000;
            plan.act_micros = random.u64(1_000..6_000);
            plan.storm = Duration::from_millis(random.u64(600..1_500));
            plan.channels = plan.channels.min(2);
            plan.clients = plan.clients.min(7);
        }
        plan
    }
}

impl Plan {
    /// A storm so short that a connection can be killed at each of its steps.
    pub(super) fn brief(seed: u64) -> Self {
        let mut plan = Self::new(seed);
        plan.storm = Duration::from_millis(400);
        plan.clients = plan.clients.min(6);
        plan
    }

    /// Few clients, so that one who falls silent is at times the only one that its user has or had; and
    /// connections that may be silent for much longer than users, and have room for what comes meanwhile.
    pub(super) fn drowsy(seed: u64) -> Self {
        let mut plan = Self::new(seed);
        plan.storm = Duration::from_secs(12);
        plan.clients = plan.clients.min(4);
        plan.act_micros = 20_000;
        plan.is_peaceful = false;
        plan.is_fickle = false;
        plan.is_drowsy = true;
        plan.has_moody_hooks = false;
        plan.limits.ping_timeout = plan.limits.ping_interval * 8;
        plan.limits.people.silence = plan.limits.ping_interval * 2 + Duration::from_millis(200);
        plan.limits.send_timeout = plan.limits.ping_timeout;
        plan.padding_bytes_max = 50;
        plan.room = (60_000, 200_000);
        plan.faults.broken_sends = 0;
        plan
    }
}

impl Plan {
    /// What happens to a channel's publications for slow consumers.
    pub(super) fn policy(&self, channel: usize) -> SlowConsumer {
        self.policies.map_or(self.limits.slow_consumer, |policies| policies[channel])
    }

    /// Tells a new shard what the channels have of their own.
    pub(super) fn tell_policies(&self, shard: &mut Shard) {
        if let Some(policies) = self.policies {
            let place = |name: &str| CHANNELS.iter().position(|known| *known == name);
            shard.treat_slow_consumers(move |name| place(name).map(|channel| policies[channel]));
        }
    }
}

fn policy(random: &mut Rng) -> SlowConsumer {
    let policies = [SlowConsumer::DropNewest, SlowConsumer::DropOldest, SlowConsumer::Conflate];
    if random.u8(..5) < 2 { SlowConsumer::Close } else { *random.choice(&policies).expect("three") }
}

/// One shard has no mesh; two have the simplest; with five a subscriber waits for four acknowledgements.
const SHARDS: [usize; 3] = [1, 2, 5];

/// Small enough that a few seconds of virtual time reach each of them.
fn limits(random: &mut Rng) -> Limits {
    let ping_interval = Duration::from_millis(random.u64(300..700));
    let outbox_high_water_mark = *random.choice(&[1_000, 8_000, 64_000]).expect("three");
    Limits {
        connections_max: *random.choice(&[4, 100]).expect("two"),
        head_bytes_max: 4 << 10,
        body_bytes_max: 4 << 10,
        body_timeout: Duration::from_millis(500),
        websocket: websocket::Limits { message_bytes_max: 48 << 10, fragments_max: 8 },
        socketcluster: socketcluster::Limits { batch_messages_max: 16, ..socketcluster::Limits::default() },
        subscriptions_per_connection_max: *random.choice(&[2, 100]).expect("two"),
        channels_max: *random.choice(&[3, 100, 100]).expect("three"),
        client_calls_max: 100,
        calls_per_connection_max: *random.choice(&[3, 50]).expect("two"),
        call_timeout: Duration::from_millis(*random.choice(&[300, 1_000, 4_000]).expect("three")),
        stream_retry: Duration::from_secs(1),
        outbox_high_water_mark,
        outbox_bytes_max: outbox_high_water_mark * *random.choice(&[2, 4]).expect("two"),
        slow_consumer: policy(random),
        send_timeout: Duration::from_millis(random.u64(800..2_000)),
        handshake_timeout: Duration::from_millis(random.u64(500..1_000)),
        ping_interval,
        ping_timeout: ping_interval * 3,
        close_timeout: Duration::from_millis(random.u64(300..800)),
        idle_timeout: Duration::from_millis(random.u64(500..1_500)),
        lane_high_water_mark: *random.choice(&[200, 2_000, 100_000]).expect("three"),
        sends_per_pass: if random.bool() { random.usize(1..=3) } else { 256 },
        drain_connections_per_turn: random.usize(1..=3),
        seats: shard::SeatLimits::default(),
        quotas: shard::QuotaLimits { per_address: 0, per_user: *random.choice(&[0, 0, 1, 3]).expect("four") },
        rates: shard::RateLimits::default(),
        engine: shard::EngineLimits::default(),
        recovery: shard::RecoveryLimits::default(),
        compression: shard::CompressionLimits::default(),
        sessions: shard::SessionLimits::default(),
        people: PeopleLimits {
            is_online_known: true,
            heartbeat: ping_interval * random.u32(1..=3),
            // A sign of life is due every interval; more than half an interval is left for it to come.
            silence: ping_interval * random.u32(2..=4) + Duration::from_millis(200),
            page_max: random.usize(1..=3),
        },
    }
}
