//! The size of each shard's io_uring.

use clap::Args;

use crate::config::{count, size};

/// The group "Socket ring".
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Socket ring")]
pub(super) struct RingFlags {
    /// Entries of a shard's submission queue
    ///
    /// Range: 64 to 16384, a power of two; the completion queue has four times as many. Raise it when the metrics count
    /// overflows.
    #[arg(
        long, value_name = "COUNT", env = "SOCKETSHARD_RING_ENTRIES", default_value = "4096",
        value_parser = count::within::<u32>(64..=16_384),
    )]
    pub(super) ring_entries: u32,

    /// Receive buffers of a shard
    ///
    /// Range: 2 to 32768, a power of two. They are shared: an idle connection holds none. Raise it when the metrics
    /// count receives that found none free.
    #[arg(
        long, value_name = "COUNT", env = "SOCKETSHARD_RECEIVE_BUFFERS", default_value = "128",
        value_parser = count::within::<u16>(2..=32_768),
    )]
    pub(super) receive_buffers: u16,

    /// Bytes of one receive buffer
    ///
    /// Range: 512 to 1MiB. Raise it when clients send mostly large messages; lower it to save memory (--receive-buffers
    /// times this, per shard).
    #[arg(
        long, value_name = "SIZE", env = "SOCKETSHARD_RECEIVE_BUFFER_BYTES", default_value = "32KiB",
        value_parser = size::within::<u32>(512..=(1 << 20)),
    )]
    pub(super) receive_buffer_bytes: u32,

    /// Connections that a shard keeps in its ring and not in the process's descriptors
    ///
    /// Range: 0 to 1M, and not more than the limit of open files (ulimit -n); 0 keeps them in descriptors. Set it
    /// where that limit cannot be raised: it then holds for each shard, not for all together. A few percent more CPU; a
    /// shard that is full resets who comes. Needs Linux 6.8.
    #[arg(
        long, value_name = "COUNT", env = "SOCKETSHARD_DIRECT_DESCRIPTORS", default_value = "0",
        value_parser = count::within::<u32>(0..=1_000_000),
    )]
    pub(super) direct_descriptors: u32,
}
