//! The three dialects of SocketCluster's heartbeat. Nothing else on the wire tells which one a client speaks, so a
//! server asks in each until one is answered. This file never decides when to ask.

/// Which heartbeat a client understands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Dialect {
    /// Empty messages both ways: socketcluster-client 15 and later, and most clients in other languages.
    V2,
    /// `#1` and `#2`: socketcluster-client 3 to 14.
    V1,
    /// `1` and `2`: socketcluster-client before 3.
    V0,
}

impl Dialect {
    /// What the server sends.
    #[must_use]
    pub const fn ping(self) -> &'static str {
        match self {
            Self::V2 => "",
            Self::V1 => "#1",
            Self::V0 => "1",
        }
    }

    /// What the client answers.
    #[must_use]
    pub const fn pong(self) -> &'static str {
        match self {
            Self::V2 => "",
            Self::V1 => "#2",
            Self::V0 => "2",
        }
    }

    /// The dialect to ask in when this one was not answered. The empty ping comes first because clients that know only
    /// it would choke on the others, while every client that knows another one ignores it.
    #[must_use]
    pub const fn next_probe(self) -> Self {
        match self {
            Self::V2 => Self::V1,
            Self::V1 => Self::V0,
            Self::V0 => Self::V2,
        }
    }

    /// The dialect that has this text as its pong.
    #[must_use]
    pub fn of_pong(text: &str) -> Option<Self> {
        [Self::V2, Self::V1, Self::V0].into_iter().find(|dialect| dialect.pong() == text)
    }

    /// The dialect that has this text as its ping.
    #[must_use]
    pub fn of_ping(text: &str) -> Option<Self> {
        [Self::V2, Self::V1, Self::V0].into_iter().find(|dialect| dialect.ping() == text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_dialect_is_found_by_its_own_texts_and_by_no_others() {
        for dialect in [Dialect::V2, Dialect::V1, Dialect::V0] {
            assert_eq!(Dialect::of_pong(dialect.pong()), Some(dialect));
            assert_eq!(Dialect::of_ping(dialect.ping()), Some(dialect));
        }
        for text in ["#1", "1", "#", "3", "#3", " "] {
            assert_eq!(Dialect::of_pong(text), None, "{text}");
        }
        for text in ["#2", "2", "#", "3", "#3", " "] {
            assert_eq!(Dialect::of_ping(text), None, "{text}");
        }
    }

    #[test]
    fn probing_starts_empty_and_visits_every_dialect() {
        let first = Dialect::V2;
        let second = first.next_probe();
        let third = second.next_probe();
        assert_eq!([first.ping(), second.ping(), third.ping()], ["", "#1", "1"]);
        assert_eq!(third.next_probe(), first);
    }
}
