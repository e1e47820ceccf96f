//! Time in which this shard did not look: its process was stopped, its machine had no time for it, or an action held the
//! loop. Clients are not to blame for what was not heard of them meanwhile.

use std::time::Duration;

use crate::heartbeat::stamps;
use crate::shard::Shard;

impl Shard {
    /// Between the last pass and this one, which has just begun, that much time was lost: every deadline is so much later,
    /// those of clients and those of calls. What is counted by the hour, sessions and tokens, is not.
    pub fn handle_standstill(&mut self, lost: Duration) {
        self.metrics.standstills += 1;
        self.pending.postpone(lost);
        let lost = stamps(lost);
        for slot in 0..self.due.len() {
            let number = u32::try_from(slot).expect("connections are bounded far below 2^32");
            let Some(connection) = self.connections.get_mut(number) else { continue };
            connection.last_seen = connection.last_seen.saturating_add(lost).min(self.now);
            connection.deadline = connection.deadline.saturating_add(lost);
            if let Some(outbox) = &mut connection.outbox {
                outbox.postpone(lost, self.now);
            }
            self.due[slot] = self.due[slot].saturating_add(lost);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Limits;
    use crate::world::World;

    #[test]
    fn clients_are_not_blamed_for_the_silence_of_a_shard_that_stood_still() {
        let mut world = World::new(1, Limits::default());
        let (silent, lively) = (world.upgrade(0, "10.0.0.1", "/raw"), world.upgrade(0, "10.0.0.2", "/raw"));
        let handshaking = world.accept(0, "10.0.0.3");
        world.wait(Duration::from_secs(9));
        let _ = (world.heard(silent), world.heard(lively));
        world.stand_still(Duration::from_secs(3_600));
        assert_eq!((world.heard(silent), world.heard(lively)), (vec![], vec![]));
        assert!(!world.is_over(handshaking));
        world.wait(Duration::from_millis(900));
        assert!(!world.is_over(handshaking), "it had ten seconds, and has had nine and a bit");
        world.wait(Duration::from_secs(1));
        assert!(world.is_over(handshaking));
        // An answer to the ping of before, which has waited in the socket.
        world.send_bytes(lively, &[0x8a, 0x80, 0, 0, 0, 0]);
        world.wait(Duration::from_secs(7));
        world.wait(Duration::from_secs(3));
        assert_eq!(world.heard(silent).last().map(String::as_str), Some("close 4001 client pong timed out"));
        assert!(!world.heard(lively).iter().any(|heard| heard.starts_with("close")));
        assert_eq!(world.shards[0].metrics().standstills, 1);
    }
}
