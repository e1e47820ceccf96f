//! The bounds of people, with their units and defaults.

use std::time::Duration;

/// Limits that concern users.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PeopleLimits {
    /// Whether it is known who is online. What is said to users does not need it.
    pub is_online_known: bool,
    /// A user's connections are asked for a sign of life at least this often. 30 s.
    pub heartbeat: Duration,
    /// Silence of all its connections after which a user counts as offline. 60 s: two signs of life were missed.
    pub silence: Duration,
    /// Members in one answer. 1,000: 255 KB with the longest names.
    pub page_max: usize,
}

impl Default for PeopleLimits {
    fn default() -> Self {
        Self {
            is_online_known: true,
            heartbeat: Duration::from_secs(30),
            silence: Duration::from_secs(60),
            page_max: 1_000,
        }
    }
}
