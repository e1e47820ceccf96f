//! Little memory: while the process holds more than it may, nobody is let in, and if that is not enough, those end who hold
//! the most. Who measures is somebody else; a shard is told. It costs nothing while there is enough.

use crate::connection::{Connection, ending};
use crate::shard::Shard;
use crate::{ConnectionId, Disconnect, Door, Host, Time};

/// What the process says of its memory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Pressure {
    /// There is enough.
    #[default]
    None,
    /// It holds more than it may: nobody is let in.
    Full,
    /// It holds much more: whoever holds the most is ended as well.
    Over,
}

/// What a shard does about it.
#[derive(Debug)]
pub(crate) struct Relief {
    pressure: Pressure,
    /// Who holds so much is ended.
    threshold: usize,
    /// Where the search for them has got to; none: it is over.
    cursor: Option<usize>,
}

impl Default for Relief {
    fn default() -> Self {
        Self { pressure: Pressure::None, threshold: THRESHOLD_MAX, cursor: None }
    }
}

impl Shard {
    /// The memory was measured. Each time that there is far too little, those who hold half as much as the ones before are
    /// looked for: the greatest end first, and when it is enough, nobody further does.
    pub fn handle_pressure(&mut self, pressure: Pressure) {
        let relief = &mut self.relief;
        relief.pressure = pressure;
        match pressure {
            Pressure::Over if relief.cursor.is_none() => relief.cursor = Some(0),
            Pressure::Over | Pressure::Full => {}
            Pressure::None => *relief = Relief::default(),
        }
    }

    /// Whether somebody who comes by that door is let in; operators are.
    pub(crate) fn has_memory(&mut self, door: Door) -> bool {
        let has_memory = self.relief.pressure == Pressure::None || door == Door::Admin;
        self.metrics.memory_refusals += u64::from(!has_memory);
        has_memory
    }

    /// At each tick: goes on with the search, over so many connections at most.
    pub(crate) fn relieve<H: Host>(&mut self, now: Time, host: &mut H) {
        let Some(cursor) = self.relief.cursor else { return };
        let end = self.due.len().min(cursor + SLOTS_PER_TICK);
        for slot in cursor..end {
            let slot = u32::try_from(slot).expect("connections are bounded far below 2^32");
            let Some(connection) = self.connections.get(slot) else { continue };
            if connection.held_bytes() >= self.relief.threshold && connection.door != Door::Admin {
                let id = connection.id(slot);
                self.cut_off(now, id, host);
            }
        }
        self.relief.cursor = (end < self.due.len()).then_some(end);
        if self.relief.cursor.is_none() {
            self.relief.threshold = (self.relief.threshold / 2).max(THRESHOLD_MIN);
        }
    }

    /// Without a word: what would have to be said is what there is no memory for.
    fn cut_off<H: Host>(&mut self, now: Time, id: ConnectionId, host: &mut H) {
        if self.connection_mut(id).is_some_and(|connection| !connection.is_ending(ending::BROKEN)) {
            self.metrics.memory_ends += 1;
            self.break_connection(now, id, &Disconnect::new(1013, "short of memory"), host);
        }
    }
}

impl Connection {
    /// Bytes that are there for it alone and grow with what is done to it: queued, incomplete, or not looked at yet.
    fn held_bytes(&self) -> usize {
        let held =
            self.held.as_ref().map_or(0, |held| held.bytes.len() + held.arriving.as_ref().map_or(0, |it| it.bytes()));
        self.queued_bytes() + self.decoder.partial_bytes() + held
    }
}

/// The first to end hold this much: what an outbox may hold before its owner counts as a slow consumer.
const THRESHOLD_MAX: usize = 1 << 20;
/// The last: ending those who hold less gives back little more than their sockets.
const THRESHOLD_MIN: usize = 16 << 10;
/// A look takes some nanoseconds: a tenth of a millisecond per tick.
const SLOTS_PER_TICK: usize = 16_384;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Limits;
    use crate::world::World;

    fn tell(world: &mut World, pressure: Pressure) {
        world.shards[0].handle_pressure(pressure);
        world.wait(std::time::Duration::from_millis(50));
    }

    #[test]
    fn nobody_is_let_in_while_there_is_too_little_but_operators() {
        let mut world = World::new(1, Limits::default());
        let early = world.member(0, "10.0.0.1");
        tell(&mut world, Pressure::Full);
        let address = ([10, 0, 0, 2], 9).into();
        let now = world.now;
        assert!(world.shards[0].handle_accept(now, address, Door::Plain).is_none());
        assert!(world.shards[0].handle_accept(now, address, Door::Admin).is_some());
        assert!(world.ask(early, r#"{"event":"act","data":1,"cid":6}"#).is_some(), "who is there is served");
        assert_eq!((world.shards[0].metrics().memory_refusals, world.shards[0].metrics().memory_ends), (1, 0));
        tell(&mut world, Pressure::None);
        world.member(0, "10.0.0.2");
    }

    #[test]
    fn the_greatest_end_first_and_the_small_never() {
        let mut limits = Limits::default();
        limits.websocket.message_bytes_max = 16 << 20;
        let mut world = World::new(1, limits);
        // Messages that are never finished, of so many KiB each.
        let clients = [1_500, 600, 40, 1].map(|size: usize| {
            let client = world.upgrade(0, "10.0.0.1", "/raw");
            let mut frame = Vec::new();
            codec::websocket::encode::masked_fragment(
                &mut frame,
                codec::websocket::Opcode::Binary,
                false,
                [0; 4],
                &vec![7; size << 10],
            );
            world.heard(client);
            world.send_bytes(client, &frame);
            client
        });
        let there = |world: &mut World| clients.map(|client| !world.is_over(client));
        tell(&mut world, Pressure::Full);
        assert_eq!(there(&mut world), [true; 4]);
        tell(&mut world, Pressure::Over);
        assert_eq!(there(&mut world), [false, true, true, true]);
        tell(&mut world, Pressure::Over);
        assert_eq!(there(&mut world), [false, false, true, true]);
        for _ in 0..10 {
            tell(&mut world, Pressure::Over);
        }
        assert_eq!(there(&mut world), [false, false, false, true]);
        assert_eq!(world.shards[0].metrics().memory_ends, 3);
        tell(&mut world, Pressure::None);
        world.shards[0].check();
    }
}
