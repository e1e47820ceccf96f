//! Compression (RFC 7692): what was agreed with whom, the compressors that all share, the contexts that few may keep, and
//! frames on their way out. Nothing here exists for a connection that has agreed to nothing.
//!
//! Every message can be inflated without the ones before it, unless the connection keeps a context of its own: so one
//! compressor serves the whole shard, and a publication is compressed once for each size of window, as a form like any
//! other (`form.rs`). Where a publication has passed a connection with a context, the context begins anew.

use codec::http::request::Head;
use codec::websocket::deflate::{self, Deflater, Saved};
use codec::websocket::extension::{self, Agreement, Terms, WINDOW_BITS_MAX, WINDOW_BITS_MIN};
use codec::websocket::inflate::{Inflater, Inflation};

use crate::ConnectionId;
use crate::connection::{Connection, ending};
use crate::shard::Shard;

/// Whether and how messages are compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CompressionLimits {
    /// Whether permessage-deflate is agreed to at all. Off: it costs more CPU than most messages are worth.
    pub is_on: bool,
    /// Connections of the shard that may keep a context between messages. None: at 419 KiB each, a thousand are
    /// 429 MB.
    pub contexts_max: usize,
    /// Messages of fewer bytes go out as they are. 1 KiB: less fits one packet anyway.
    pub message_bytes_min: usize,
    /// Of the compressor: 1 is fast, 9 is small. 1.
    pub level: u8,
    /// The largest window of either side, in bits: 15 is all of DEFLATE's.
    pub window_bits_max: u8,
}

impl Default for CompressionLimits {
    fn default() -> Self {
        Self { is_on: false, contexts_max: 0, message_bytes_min: 1 << 10, level: 1, window_bits_max: WINDOW_BITS_MAX }
    }
}

/// What all connections of the shard share; each is made when it is first needed.
#[derive(Debug)]
pub(crate) struct Compressors {
    limits: CompressionLimits,
    /// By window.
    deflaters: [Option<Box<Deflater>>; WINDOWS],
    inflater: Option<Box<Inflater>>,
    /// The message that was inflated last.
    inflated: Vec<u8>,
    /// Frames while they are compressed.
    scratch: Vec<u8>,
    /// Connections that keep a context.
    contexts: usize,
    /// What is queued now stays as it is.
    spares_secret: bool,
    saved: Saved,
}

/// One for each size of window, in bits.
const WINDOWS: usize = (WINDOW_BITS_MAX - WINDOW_BITS_MIN + 1) as usize;

/// What a connection has agreed to, and the contexts that it keeps for it.
#[derive(Debug)]
pub(crate) struct Compression {
    agreement: Agreement,
    deflater: Option<Box<Deflater>>,
    inflater: Option<Box<Inflater>>,
    /// The client has got compressed messages that our compressor does not know.
    is_stale: bool,
}

const _: () = assert!(size_of::<Compression>() <= 32, "everybody who has agreed to compression has one");

impl Compression {
    fn keeps_context(&self) -> bool {
        self.agreement.server_takes_over || self.agreement.client_takes_over
    }

    /// The window of the compressor whose messages the client understands.
    pub(crate) const fn window_bits(&self) -> u8 {
        self.agreement.server_window_bits
    }

    /// What was queued may be lost: the next message refers to nothing before it.
    pub(crate) const fn begin_anew(&mut self) {
        self.is_stale = true;
    }
}

/// A decompressor on loan while input is decoded.
#[derive(Debug)]
pub(crate) struct Lent {
    inflater: Box<Inflater>,
    out: Vec<u8>,
}

impl Lent {
    pub(crate) fn inflation(&mut self) -> Inflation<'_> {
        Inflation { inflater: &mut self.inflater, out: &mut self.out }
    }
}

impl Shard {
    /// What can be agreed on with whoever sends this upgrade.
    pub(crate) fn agree_compression(&self, head: &Head<'_>) -> Option<Agreement> {
        let limits = self.limits.compression;
        let terms = Terms { window_bits_max: limits.window_bits_max, takes_over: limits.contexts_max > 0 };
        if limits.is_on { extension::agree(head, terms) } else { None }
    }

    /// What is agreed on in the end: without contexts, where too many are kept already.
    pub(crate) fn settle_compression(&mut self, agreement: Agreement) -> Agreement {
        if self.compressors.contexts < self.limits.compression.contexts_max {
            return agreement;
        }
        let modest = agreement.without_takeover();
        self.metrics.contexts_refused += u64::from(modest != agreement);
        modest
    }

    /// From here on the connection's frames are compressed.
    pub(crate) fn begin_compression(&mut self, id: ConnectionId, agreement: Agreement) {
        let Some(connection) = self.connections.live(id) else { return };
        let compression = Compression { agreement, deflater: None, inflater: None, is_stale: false };
        self.metrics.compressions += 1;
        self.compressors.contexts += usize::from(compression.keeps_context());
        connection.compression = Some(Box::new(compression));
        connection.endings |= ending::COMPRESSES;
    }

    /// Nothing more is said to the connection, nor heard of it.
    pub(crate) fn end_compression(&mut self, id: ConnectionId) {
        let Some(connection) = self.connections.live(id) else { return };
        if let Some(compression) = connection.compression.take() {
            connection.endings &= !ending::COMPRESSES;
            self.compressors.contexts -= usize::from(compression.keeps_context());
        }
    }

    /// What inflates the messages of a connection that has agreed to compress them.
    #[cold]
    pub(crate) fn lend_inflater(&mut self, id: ConnectionId) -> Option<Lent> {
        let compression = self.connections.live(id)?.compression.as_mut()?;
        let takes_over = compression.agreement.client_takes_over;
        let place = if takes_over { &mut compression.inflater } else { &mut self.compressors.inflater };
        let inflater = place.take().unwrap_or_else(|| Box::new(Inflater::new(takes_over)));
        Some(Lent { inflater, out: std::mem::take(&mut self.compressors.inflated) })
    }

    /// Puts back what was lent.
    #[cold]
    pub(crate) fn return_inflater(&mut self, id: ConnectionId, lent: Lent) {
        let Lent { inflater, mut out } = lent;
        if out.capacity() > SCRATCH_BYTES_KEPT {
            out = Vec::new();
        }
        self.compressors.inflated = out;
        if !inflater.takes_over() {
            self.compressors.inflater = Some(inflater);
        } else if let Some(connection) = self.connections.live(id)
            && let Some(compression) = &mut connection.compression
        {
            compression.inflater = Some(inflater);
        }
    }

    /// Compresses the push at the end of its arena, once for all who have agreed to that window.
    #[cold]
    pub(crate) fn compress_push(&mut self, window_bits: u8, start: u32) {
        let bytes_min = self.limits.compression.message_bytes_min;
        let (deflater, scratch) = self.compressors.deflater(window_bits);
        let saved = deflater.deflate_frames(&mut self.turn.shared, start as usize, bytes_min, false, scratch);
        self.compressors.count(saved);
    }

    /// What compression has brought so far.
    pub(crate) const fn count_compression(&mut self) {
        self.metrics.messages_compressed = self.compressors.saved.frames;
        self.metrics.compression_bytes_saved = self.compressors.saved.bytes;
    }

    /// What is said meanwhile is not compressed: beside text that an attacker has chosen, its length would tell of it.
    pub(crate) fn spare_secret(&mut self, say: impl FnOnce(&mut Self)) {
        self.compressors.spares_secret = true;
        say(self);
        self.compressors.spares_secret = false;
    }
}

impl Compressors {
    pub(crate) fn new(limits: CompressionLimits) -> Self {
        Self {
            limits,
            deflaters: Default::default(),
            inflater: None,
            inflated: Vec::new(),
            scratch: Vec::new(),
            contexts: 0,
            spares_secret: false,
            saved: Saved::default(),
        }
    }

    /// Compresses a connection's own frames, from `start` to the end of their arena.
    #[cold]
    pub(crate) fn compress(&mut self, connection: &mut Connection, direct: &mut Vec<u8>, start: u32) {
        let bytes_min = self.limits.message_bytes_min;
        let Some(compression) = &mut connection.compression else { return };
        if self.spares_secret || direct.len() - (start as usize) < bytes_min {
            return;
        }
        let agreement = compression.agreement;
        let (deflater, scratch) = if agreement.server_takes_over {
            let (limits, window_bits) = (self.limits, agreement.server_window_bits);
            let own = compression.deflater.get_or_insert_with(|| new_deflater(limits, window_bits));
            if std::mem::take(&mut compression.is_stale) {
                own.reset();
            }
            (own, &mut self.scratch)
        } else {
            self.deflater(agreement.server_window_bits)
        };
        let takes_over = agreement.server_takes_over;
        let saved = deflater.deflate_frames(direct, start as usize, bytes_min, takes_over, scratch);
        self.count(saved);
    }

    /// The one that all share who have agreed to that window, and where frames lie meanwhile.
    fn deflater(&mut self, window_bits: u8) -> (&mut Box<Deflater>, &mut Vec<u8>) {
        let place = &mut self.deflaters[usize::from(window_bits - WINDOW_BITS_MIN)];
        (place.get_or_insert_with(|| new_deflater(self.limits, window_bits)), &mut self.scratch)
    }

    fn count(&mut self, saved: Saved) {
        self.saved.frames += saved.frames;
        self.saved.bytes += saved.bytes;
        if self.scratch.capacity() > SCRATCH_BYTES_KEPT {
            self.scratch = Vec::new();
        }
    }
}

impl Connection {
    /// These publications pass a connection that compresses: if one is compressed, the client's window has moved on
    /// without our compressor.
    #[cold]
    pub(crate) fn passes(&mut self, frames: &[u8]) {
        if let Some(compression) = &mut self.compression {
            compression.is_stale |= compression.agreement.server_takes_over && deflate::has_compressed(frames);
        }
    }
}

fn new_deflater(limits: CompressionLimits, window_bits: u8) -> Box<Deflater> {
    Box::new(Deflater::new(limits.level, window_bits))
}

/// Room for messages beyond this is given back at once: eight of the largest default size.
const SCRATCH_BYTES_KEPT: usize = 1 << 20;

#[cfg(test)]
mod tests;
