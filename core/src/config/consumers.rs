//! Policies for slow consumers as flags write them: `close` for all channels, `ticks.*=conflate` for some.

use std::fmt;
use std::str::FromStr;

use shard::SlowConsumer;

use crate::app::Pattern;

/// The policy of some channels for their slow consumers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChannelPolicy {
    pub(crate) channels: Pattern,
    pub(crate) policy: SlowConsumer,
}

/// One value of the flag.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Consumers {
    /// What all channels have that have no other.
    All(SlowConsumer),
    /// What some have.
    Some(ChannelPolicy),
}

/// Reads a flag's value. What is behind the last `=` is the policy: names of channels may have one too.
pub(crate) fn parse(text: &str) -> Result<Consumers, String> {
    match text.rsplit_once('=') {
        None => policy(text).map(Consumers::All),
        Some((channels, name)) => {
            let channels = Pattern::parse(channels)?;
            Ok(Consumers::Some(ChannelPolicy { channels, policy: policy(name)? }))
        }
    }
}

fn policy(text: &str) -> Result<SlowConsumer, String> {
    let found = POLICIES.iter().find(|(name, _)| *name == text);
    let found = found.or_else(|| (text == "drop").then_some(&POLICIES[1]));
    found.map(|(_, policy)| *policy).ok_or_else(|| {
        let names = POLICIES.map(|(name, _)| format!("'{name}'")).join(", ");
        format!("a policy is one of {names}, for some channels CHANNEL=POLICY or PREFIX*=POLICY")
    })
}

/// What a policy is called.
pub(crate) fn name(policy: SlowConsumer) -> &'static str {
    POLICIES.iter().find(|(_, known)| *known == policy).expect("all are listed").0
}

const POLICIES: [(&str, SlowConsumer); 4] = [
    ("close", SlowConsumer::Close),
    ("drop-newest", SlowConsumer::DropNewest),
    ("drop-oldest", SlowConsumer::DropOldest),
    ("conflate", SlowConsumer::Conflate),
];

impl FromStr for ChannelPolicy {
    type Err = String;

    /// Reads `ticks.*=conflate`, as the flag does.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match parse(text)? {
            Consumers::Some(policy) => Ok(policy),
            Consumers::All(_) => Err("which channels? CHANNEL=POLICY or PREFIX*=POLICY".to_owned()),
        }
    }
}

impl fmt::Display for ChannelPolicy {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}={}", self.channels, name(self.policy))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_policy_is_for_all_channels_or_for_some() {
        assert_eq!(parse("close"), Ok(Consumers::All(SlowConsumer::Close)));
        assert_eq!(parse("drop"), parse("drop-newest"));
        for text in ["ticks.*=conflate", "a=b=drop-oldest", "*=close", "news=drop-newest"] {
            let policy: ChannelPolicy = text.parse().expect("it is one");
            assert_eq!(policy.to_string(), text);
        }
        assert!("conflate".parse::<ChannelPolicy>().is_err());
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
        for text in ["", "keep", "ticks.*", "ticks.*=", "=close", "*.ticks=close", "ticks=Close"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
