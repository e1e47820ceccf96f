//! One shard's counters as one line of a log. It never resets them.

use std::fmt::Write;

use shard::{Shard, ShardId};

use crate::app::Refused;
use crate::mesh;
use crate::net::SocketMetrics;
use crate::observe::board::Counters;

/// How many counters are of refusals.
pub(super) const REFUSALS: usize = 26;

/// What the loop counts itself.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Counts {
    /// Passes of the loop.
    pub(super) passes: u64,
    /// Times it looked for work before sleeping (`--spin-us`).
    pub(super) spins: u64,
    /// Times it found some, so that it did not sleep.
    pub(super) spin_hits: u64,
    /// Shards that have died in its place before it.
    pub(super) replaced: u64,
}

/// `shard 0: connections=3 channels=0 passes=7 …`; of all but the first two, those that are zero are left out.
pub(super) fn line(shard: ShardId, counters: &[(&'static str, u64)]) -> String {
    let mut line = format!("shard {}:", shard.0);
    for (index, (name, count)) in counters.iter().enumerate() {
        if index < 2 || *count > 0 {
            write!(line, " {name}={count}").expect("writing to a string");
        }
    }
    line
}

/// All counters by their names.
pub(super) fn counters(
    counts: Counts,
    shard: &Shard,
    sockets: SocketMetrics,
    mesh: mesh::Metrics,
    application: (&[(&'static str, u64)], Refused),
) -> Counters {
    let metrics = shard.metrics();
    let counters = [
        ("connections", shard.connections() as u64),
        ("channels", shard.channels() as u64),
        ("passes", counts.passes),
        ("spins", counts.spins),
        ("spin_hits", counts.spin_hits),
        ("shards_replaced", counts.replaced),
        ("accepted", metrics.connections_accepted),
        ("closed", metrics.connections_closed),
        ("messages", metrics.messages_received),
        ("requests", metrics.requests),
        ("requests_timed_out", metrics.requests_timed_out),
        ("streams_opened", metrics.streams_opened),
        ("polled_opened", metrics.polled_opened),
        ("polled_upgraded", metrics.polled_upgraded),
        ("carriers_full", metrics.carriers_full),
        ("polls", metrics.polls),
        ("polls_carried", metrics.polls_carried),
        ("calls", metrics.calls),
        ("calls_timed_out", metrics.calls_timed_out),
        ("requests_ignored", metrics.requests_ignored),
        ("compressions", metrics.compressions),
        ("contexts_refused", metrics.contexts_refused),
        ("messages_compressed", metrics.messages_compressed),
        ("compression_bytes_saved", metrics.compression_bytes_saved),
        ("connections_idle", metrics.connections_idle),
        ("standstills", metrics.standstills),
        ("pauses", metrics.pauses),
        ("turns_continued", metrics.turns_continued),
        ("sends_short", metrics.sends_short),
        ("addresses", metrics.addresses),
        ("users_changed", metrics.users_changed),
        ("users_silent", metrics.users_silent),
        ("members_changed", metrics.members_changed),
        ("batches_sent", mesh.batches_sent),
        ("batches_received", mesh.batches_received),
        ("lanes_full", mesh.lanes_full),
    ];
    let refusals = refusals(shard, sockets, application.1);
    let (tokens, deliveries) = (token_counters(shard), delivery_counters(shard));
    let (clients, sessions, sockets) = (client_counters(shard), session_counters(shard), socket_counters(sockets));
    let of_shard = counters.iter().chain(&refusals).chain(&tokens).chain(&deliveries).chain(&clients).chain(&sessions);
    of_shard.chain(&sockets).chain(application.0).copied().collect()
}

/// What no client does that plays by the rules and keeps to its limits: the log says when one of these has grown. That one
/// goes without a goodbye (`timeouts`) happens to honest ones as well, but not all at once; and who is turned away
/// because there is no memory has done nothing, but is to be told of like all who are.
pub(super) const fn refusals(
    shard: &Shard,
    sockets: SocketMetrics,
    application: Refused,
) -> [(&'static str, u64); REFUSALS] {
    let metrics = shard.metrics();
    [
        ("refused", metrics.connections_refused),
        ("seats_refused", metrics.seats_refused),
        ("memory_refusals", metrics.memory_refusals),
        ("memory_ends", metrics.memory_ends),
        ("messages_unknown", metrics.messages_unknown),
        ("protocol_errors", metrics.protocol_errors),
        ("bodies_refused", metrics.bodies_refused),
        ("polls_refused", metrics.polls_refused),
        ("calls_refused", metrics.calls_refused),
        ("calls_busy", metrics.calls_busy),
        ("clients_ignored", metrics.clients_ignored),
        ("requests_limited", metrics.requests_limited),
        ("subscriptions_refused", metrics.subscriptions_refused),
        ("timeouts", metrics.timeouts),
        ("tokens_refused", metrics.tokens_refused),
        ("upgrades_refused", metrics.upgrades_refused),
        ("logins_failed", metrics.logins_failed),
        ("logins_refused", metrics.logins_refused),
        ("origins_refused", metrics.origins_refused),
        ("slow_consumers", metrics.slow_consumers),
        ("client_calls_busy", metrics.client_calls_busy),
        ("sessions_refused", metrics.sessions_refused),
        ("tls_failures", sockets.tls.failures),
        ("requests_refused", application.requests),
        ("cookies_refused", application.cookies),
        ("admin_refused", application.admin),
    ]
}

/// Who has shown to be somebody, and for how long.
const fn token_counters(shard: &Shard) -> [(&'static str, u64); 2] {
    let metrics = shard.metrics();
    [("tokens_accepted", metrics.tokens_accepted), ("tokens_expired", metrics.tokens_expired)]
}

/// What was published, and what became of it.
const fn delivery_counters(shard: &Shard) -> [(&'static str, u64); 8] {
    let metrics = shard.metrics();
    [
        ("publications", metrics.publications),
        ("publications_from_peers", metrics.publications_from_peers),
        ("deliveries", metrics.deliveries),
        ("deliveries_dropped_newest", metrics.deliveries_dropped_newest),
        ("deliveries_dropped_oldest", metrics.deliveries_dropped_oldest),
        ("deliveries_conflated", metrics.deliveries_conflated),
        ("deliveries_squeezed_out", metrics.deliveries_squeezed_out),
        ("deliveries_blocked", metrics.deliveries_blocked),
    ]
}

/// What clients were asked, and who came back.
const fn client_counters(shard: &Shard) -> [(&'static str, u64); 8] {
    let metrics = shard.metrics();
    [
        ("client_calls", metrics.client_calls),
        ("client_calls_timed_out", metrics.client_calls_timed_out),
        ("client_answers_ignored", metrics.client_answers_ignored),
        ("volatile_dropped", metrics.volatile_dropped),
        ("recovery_waits", metrics.recovery_waits),
        ("recoveries", metrics.recoveries),
        ("recoveries_incomplete", metrics.recoveries_incomplete),
        ("recovery_events_lost", metrics.recovery_events_lost),
    ]
}

/// Of sessions, and of the shards that were lost with theirs.
fn session_counters(shard: &Shard) -> [(&'static str, u64); 17] {
    let metrics = shard.metrics();
    [
        ("sessions", shard.sessions() as u64),
        ("sessions_opened", metrics.sessions_opened),
        ("sessions_copied", metrics.sessions_copied),
        ("sessions_expired", metrics.sessions_expired),
        ("sessions_rotated", metrics.sessions_rotated),
        ("sessions_ended", metrics.sessions_ended),
        ("session_writes", metrics.session_writes),
        ("session_writes_refused", metrics.session_writes_refused),
        ("session_writes_lost", metrics.session_writes_lost),
        ("peers_lost", metrics.peers_lost),
        ("sessions_restored", metrics.sessions_restored),
        ("session_reads", metrics.session_reads),
        ("session_loads", metrics.session_loads),
        ("session_loads_failed", metrics.session_loads_failed),
        ("session_records_bad", metrics.session_records_bad),
        ("session_saves", metrics.session_saves),
        ("session_saves_failed", metrics.session_saves_failed),
    ]
}

/// What happened at the sockets.
const fn socket_counters(sockets: SocketMetrics) -> [(&'static str, u64); 12] {
    [
        ("enters", sockets.enters),
        ("buffers_exhausted", sockets.buffers_exhausted),
        ("accepts_failed", sockets.accepts_failed),
        ("peers_silent", sockets.peers_silent),
        ("tls_connections", sockets.tls.connections),
        ("tls_handshakes", sockets.tls.handshakes),
        ("tls_truncations", sockets.tls.truncations),
        ("tls_offloaded", sockets.tls.offloaded),
        ("tls_offloads_refused", sockets.tls.offloads_refused),
        ("tls_keys_renewed", sockets.tls.keys_renewed),
        ("submission_overflows", sockets.submission_overflows),
        ("completion_overflows", sockets.completion_overflows),
    ]
}

#[cfg(test)]
mod tests {
    use shard::{Config, Limits, ShardId, Time};

    use super::*;

    #[test]
    fn a_report_names_what_has_happened_and_leaves_out_what_has_not() {
        let config = Config { id: ShardId(1), shards: 2, limits: Limits::default(), seed: 1 };
        let shard = Shard::new(config, Time::ZERO);
        let sockets = SocketMetrics { buffers_exhausted: 4, ..SocketMetrics::default() };
        let counts = Counts { passes: 7, ..Counts::default() };
        let application = (&[("panics", 2), ("none", 0)][..], Refused::default());
        let counters = counters(counts, &shard, sockets, mesh::Metrics::default(), application);
        assert_eq!(
            line(shard.id(), &counters),
            "shard 1: connections=0 channels=0 passes=7 buffers_exhausted=4 panics=2"
        );
    }
}
