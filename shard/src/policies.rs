//! Which channels' publications a slow consumer may lose, and how. Looked up once, when a channel comes into being.

use std::fmt;

use crate::SlowConsumer;
use crate::shard::Shard;

/// What is said of a channel of that name; nothing where the default counts.
type Saying = Box<dyn Fn(&str) -> Option<SlowConsumer>>;

/// The default, and what the application and the operator say of single channels.
pub(crate) struct Policies {
    default: SlowConsumer,
    of: Option<Saying>,
}

/// On which terms a push waits for a slow consumer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Terms {
    pub(crate) policy: SlowConsumer,
    /// Those with the same key are newer and older of the same, where only the latest is kept.
    pub(crate) key: u64,
}

impl Policies {
    pub(crate) fn new(default: SlowConsumer) -> Self {
        Self { default, of: None }
    }

    /// That of a channel.
    pub(crate) fn of(&self, channel: &str) -> SlowConsumer {
        self.of.as_ref().and_then(|of| of(channel)).unwrap_or(self.default)
    }

    /// That of what belongs to no channel. No such push is another one's successor: so where the latest of each is to be
    /// kept, the oldest goes.
    pub(crate) fn of_events(&self) -> SlowConsumer {
        match self.default {
            SlowConsumer::Conflate => SlowConsumer::DropOldest,
            policy => policy,
        }
    }

    /// Whether anything is dropped anywhere.
    pub(crate) fn may_drop(&self) -> bool {
        self.default != SlowConsumer::Close || self.of.is_some()
    }
}

impl fmt::Debug for Policies {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Policies").field("default", &self.default).finish_non_exhaustive()
    }
}

impl Shard {
    /// Gives the channels for which this function has one a policy of their own, before anything else happens.
    pub fn treat_slow_consumers(&mut self, policy: impl Fn(&str) -> Option<SlowConsumer> + 'static) {
        assert!(self.channels.len() == 0, "before anything else");
        self.channels.policies.of = Some(Box::new(policy));
    }
}
