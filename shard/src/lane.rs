//! What waits for the mesh: one queue of envelopes per peer shard.

use crate::{Batch, Envelope};

#[derive(Debug, Default)]
pub(crate) struct Lane {
    /// A batch that the mesh had no room for; it goes before `batch`.
    returned: Option<Batch>,
    batch: Batch,
    bytes: usize,
}

impl Lane {
    pub(crate) fn push(&mut self, envelope: Envelope<'_>) {
        let before = self.batch.bytes();
        self.batch.push(envelope);
        self.bytes += self.batch.bytes() - before;
    }

    pub(crate) const fn bytes(&self) -> usize {
        self.bytes
    }

    pub(crate) fn poll(&mut self) -> Option<Batch> {
        let batch = match self.returned.take() {
            Some(batch) => batch,
            None if self.batch.is_empty() => return None,
            None => std::mem::take(&mut self.batch),
        };
        self.bytes -= batch.bytes();
        Some(batch)
    }

    pub(crate) fn give_back(&mut self, batch: Batch) {
        debug_assert!(self.returned.is_none(), "a lane is polled again only after its batch was taken or returned");
        self.bytes += batch.bytes();
        self.returned = Some(batch);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_returned_batch_goes_first_and_bytes_add_up() {
        let publication = |channel| Envelope::Publication { channel, data: Some("1") };
        let mut lane = Lane::default();
        lane.push(publication("a"));
        let first = lane.poll().expect("one envelope");
        assert_eq!(lane.bytes(), 0);
        lane.push(publication("b"));
        lane.give_back(first);
        assert!(lane.bytes() > 0);
        let order: Vec<_> = std::iter::from_fn(|| lane.poll())
            .flat_map(|batch| batch.iter().map(|envelope| format!("{envelope:?}")).collect::<Vec<_>>())
            .collect();
        assert_eq!(order, [format!("{:?}", publication("a")), format!("{:?}", publication("b"))]);
        assert_eq!(lane.bytes(), 0);
    }
}
