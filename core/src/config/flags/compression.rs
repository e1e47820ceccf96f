//! Whether messages are compressed, and what that may cost.

use clap::Args;

use crate::config::{count, size};

/// The group "Compression".
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Compression")]
pub(super) struct CompressionFlags {
    /// Compress messages of clients that offer it (permessage-deflate)
    ///
    /// Off by default: on a fast network it costs more than it brings. Set it where the network is what is scarce and
    /// messages are text of a kilobyte or more. A publication is compressed once per shard, however many hear it.
    #[arg(long, env = "SOCKETSHARD_COMPRESS")]
    pub(super) compress: bool,

    /// Bytes from which on a message is compressed
    ///
    /// Range: 0 to 64MiB. Lower it where messages much alike are sent to clients that keep a context.
    #[arg(
        long, value_name = "SIZE", env = "SOCKETSHARD_COMPRESS_THRESHOLD", default_value = "1KiB",
        value_parser = size::within::<usize>(0..=(64 << 20)),
    )]
    pub(super) compress_threshold: usize,

    /// How hard the compressor tries
    ///
    /// Range: 1 to 9. 1 is fast, 6 takes about three times as long and saves some percent more.
    #[arg(
        long, value_name = "LEVEL", env = "SOCKETSHARD_COMPRESS_LEVEL", default_value = "1",
        value_parser = clap::value_parser!(u8).range(1..=9),
    )]
    pub(super) compress_level: u8,

    /// Bits of the largest window, of either side
    ///
    /// Range: 9 to 15. A context of 9 bits takes 293KiB of memory instead of 419KiB, and shrinks long messages less.
    #[arg(
        long, value_name = "BITS", env = "SOCKETSHARD_COMPRESS_WINDOW", default_value = "15",
        value_parser = clap::value_parser!(u8).range(9..=15),
    )]
    pub(super) compress_window: u8,

    /// Connections of a shard that may keep a context between messages
    ///
    /// Range: 0 to 1M, at 419KiB each. The others begin each message anew, with compressors that all share. Raise it where few
    /// clients get many messages that are much alike.
    #[arg(
        long, value_name = "COUNT", env = "SOCKETSHARD_COMPRESS_CONTEXTS", default_value = "0",
        value_parser = count::within::<usize>(0..=1_000_000),
    )]
    pub(super) compress_contexts: usize,
}
