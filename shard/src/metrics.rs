//! A shard's counters: plain integers, read by whoever drives the shard.

/// What has happened on one shard since it started. Gauges say so; everything else only grows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Metrics {
    /// Connections accepted.
    pub connections_accepted: u64,
    /// Connections refused because `connections_max` was reached.
    pub connections_refused: u64,
    /// Connections refused because their address or their session had as many as it may.
    pub seats_refused: u64,
    /// Connections refused because the process held more memory than it may.
    pub memory_refusals: u64,
    /// Connections ended because they held the most of it.
    pub memory_ends: u64,
    /// Connections closed.
    pub connections_closed: u64,
    /// Protocol messages received.
    pub messages_received: u64,
    /// Text that no protocol message could be made of; ignored.
    pub messages_unknown: u64,
    /// Connections ended for breaking a wire protocol.
    pub protocol_errors: u64,
    /// HTTP requests received whole.
    pub requests: u64,
    /// Bodies of requests refused because they were longer than `body_bytes_max`.
    pub bodies_refused: u64,
    /// Requests that were not answered within `call_timeout`.
    pub requests_timed_out: u64,
    /// Connections opened by long-polling.
    pub polled_opened: u64,
    /// Those of them that went over to a WebSocket.
    pub polled_upgraded: u64,
    /// Times that such a WebSocket had as much on its way as it may have.
    pub carriers_full: u64,
    /// Connections that have lost their transport and waited for their clients.
    pub recovery_waits: u64,
    /// Those of them that their clients have taken up again.
    pub recoveries: u64,
    /// Clients that came back when not everything was there that they had missed: they have begun anew.
    pub recoveries_incomplete: u64,
    /// Events that were not kept, because they were too many.
    pub recovery_events_lost: u64,
    /// Requests of long-polling.
    pub polls: u64,
    /// Those of them, and upgrades, that knew a session's id but had not the cookie that has opened it.
    pub polls_refused: u64,
    /// Those of them that were carried to another shard.
    pub polls_carried: u64,
    /// Event streams that were let in.
    pub streams_opened: u64,
    /// Calls, subscriptions and publications that were answered with an error of the server's own.
    pub calls_refused: u64,
    /// HTTP connections ended because nothing was asked for on them, or nothing more.
    pub connections_idle: u64,
    /// Action calls.
    pub calls: u64,
    /// Calls refused because the connection had `calls_per_connection_max` pending.
    pub calls_busy: u64,
    /// Calls that missed `call_timeout`.
    pub calls_timed_out: u64,
    /// Events of the server that wanted an answer.
    pub client_calls: u64,
    /// Those that were refused because their client had `client_calls_max` to answer.
    pub client_calls_busy: u64,
    /// Those that were not answered in time.
    pub client_calls_timed_out: u64,
    /// Answers that nobody waited for.
    pub client_answers_ignored: u64,
    /// Volatile events not queued because their connection was not ready.
    pub volatile_dropped: u64,
    /// Clients that are not heard any more because they ask for too much.
    pub clients_ignored: u64,
    /// What they asked for since, and nobody heard.
    pub requests_ignored: u64,
    /// Requests refused because their client's rate was over its limit.
    pub requests_limited: u64,
    /// Tokens that clients presented and that counted.
    pub tokens_accepted: u64,
    /// Tokens that clients presented and that did not count.
    pub tokens_refused: u64,
    /// Tokens whose time was over when something came from their client.
    pub tokens_expired: u64,
    /// Logins that have failed, and tokens that nobody has signed, where those are limited.
    pub logins_failed: u64,
    /// Logins and tokens not looked at because too many from their address have failed.
    pub logins_refused: u64,
    /// Upgrades refused because of the page they came from.
    pub origins_refused: u64,
    /// Upgrades refused by the application.
    pub upgrades_refused: u64,
    /// Connections that have agreed to compression.
    pub compressions: u64,
    /// Connections that would have kept a context if fewer others had.
    pub contexts_refused: u64,
    /// Messages sent compressed; publications count once for each window that they are compressed for.
    pub messages_compressed: u64,
    /// Bytes by which those are shorter.
    pub compression_bytes_saved: u64,
    /// Publications accepted from clients and from the application.
    pub publications: u64,
    /// Publications that came over the mesh.
    pub publications_from_peers: u64,
    /// Copies of publications queued to local subscribers; slow consumers may lose them yet.
    pub deliveries: u64,
    /// Copies that a slow consumer has lost: the newest, by their channel's policy.
    pub deliveries_dropped_newest: u64,
    /// Copies that a slow consumer has lost: the oldest, by their channel's policy.
    pub deliveries_dropped_oldest: u64,
    /// Copies that a newer one of the same channel has replaced at a slow consumer.
    pub deliveries_conflated: u64,
    /// Copies that were to be kept for a slow consumer as the latest of their channel, and for which there was no room.
    pub deliveries_squeezed_out: u64,
    /// Copies not queued because the application does not want their subscriber to have them.
    pub deliveries_blocked: u64,
    /// Connections ended as slow consumers.
    pub slow_consumers: u64,
    /// Subscriptions refused by a limit.
    pub subscriptions_refused: u64,
    /// Connections ended by a time-out: handshake, heartbeat, send, idle.
    pub timeouts: u64,
    /// Times the shard had not looked for so long that its clients' deadlines were put off.
    pub standstills: u64,
    /// Times a socket was not read because of its outbox, the mesh or a pending hook.
    pub pauses: u64,
    /// Passes after which subscribers still waited for their turn's publications.
    pub turns_continued: u64,
    /// Peers that have died.
    pub peers_lost: u64,
    /// Sends that went short and were queued.
    pub sends_short: u64,
    /// Times something was said or done to users, sessions, channels' subscribers or everybody.
    pub addresses: u64,
    /// Users that came online or went, whose home this is.
    pub users_changed: u64,
    /// Users that fell silent, so that they counted as offline.
    pub users_silent: u64,
    /// Members that came to channels or left them, whose home this is.
    pub members_changed: u64,
    /// Sessions opened at this shard as their home.
    pub sessions_opened: u64,
    /// Copies of sessions asked for at their homes.
    pub sessions_copied: u64,
    /// Connections and copies refused because `sessions_max` was reached.
    pub sessions_refused: u64,
    /// Sessions that lived unused for too long.
    pub sessions_expired: u64,
    /// Sessions that got another id.
    pub sessions_rotated: u64,
    /// Sessions ended by the application.
    pub sessions_ended: u64,
    /// Writes that this shard has ordered as a home, its own application's not counted.
    pub session_writes: u64,
    /// Writes that it has refused as a home.
    pub session_writes_refused: u64,
    /// Questions to homes, where each message asks.
    pub session_reads: u64,
    /// Writes of this shard's application whose home has died before it acknowledged them.
    pub session_writes_lost: u64,
    /// Sessions that this shard has taken over as the home of a shard that has died.
    pub sessions_restored: u64,
    /// Loads asked of the store.
    pub session_loads: u64,
    /// Loads that failed.
    pub session_loads_failed: u64,
    /// Records of the store that could not be read.
    pub session_records_bad: u64,
    /// Saves asked of the store.
    pub session_saves: u64,
    /// Saves that failed.
    pub session_saves_failed: u64,
}
