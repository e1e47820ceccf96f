//! One input, what the server should do about it, and the verdict on what it did.

use std::fmt;
use std::time::{Duration, Instant};

use super::mark::Marks;
use super::stage::Stage;

/// One input of one row.
pub(crate) struct Case {
    /// The row of the catalogue, like `A9`.
    pub(crate) row: &'static str,
    /// What is sent, in a few words.
    pub(crate) input: String,
    /// What the server has to have for it.
    pub(crate) door: Door,
    /// What it should do.
    pub(crate) wanted: Wanted,
    /// How long it may take, beyond what is waited for any answer.
    pub(crate) time: Time,
    act: Act,
}

/// Sends it, and says what was seen.
type Act = Box<dyn Fn(&Stage) -> std::io::Result<Seen>>;

/// What a case needs of the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Door {
    /// HTTP.
    Http,
    /// A WebSocket that sends every message back.
    Echo,
    /// SocketCluster, with the actions and open channels of the demo.
    SocketCluster,
    /// Long-polling of Engine.IO.
    Polling,
    /// Actions by HTTP.
    Api,
    /// The echo, with permessage-deflate.
    Compression,
    /// Pages that set a cookie.
    Cookie,
    /// A port that speaks TLS.
    Tls,
}

/// Which of the server's time-outs ends it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Time {
    /// None: an answer is due at once.
    Answer,
    Handshake,
    Body,
    /// The time for reading, then that for the end, or that for asking nothing more.
    Send,
    Close,
}

/// What a server did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Seen {
    /// It answered with a status; how many answers came after that one, and whether it ended the connection.
    Answer { status: u16, more: usize, is_over: bool },
    /// It closed the WebSocket, with this code or none.
    Closed(Option<u16>),
    /// It ended the connection without a word.
    Ended,
    /// It refused what was asked, by a protocol's own means, and the connection goes on.
    Refused(String),
    /// It serves the connection as if nothing had happened.
    Served,
    /// Nothing came in time.
    Nothing,
    /// Something that nobody should see.
    Wrong(String),
}

/// What a server should do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// One of these statuses and the end; what follows is not answered.
    Refusal(&'static [u16]),
    /// One of these statuses, whatever follows.
    Status(&'static [u16]),
    /// A close frame with one of these codes.
    Close(&'static [u16]),
    /// An error in the protocol's own terms.
    Error,
    /// The end of the connection, with or without a word.
    End,
    /// As if nothing had happened.
    Served,
    /// Any answer at all, soon.
    Answer,
    /// Counters have grown by so much.
    Counted(Marks),
    /// Memory has not grown beyond a bound.
    Bounded,
    /// All descriptors are there again.
    Returned,
}

/// How it turned out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Ok,
    /// Not as the catalogue wants it, but refused.
    Other,
    Failed,
    /// The server has no such door.
    None,
}

/// A case that was played.
#[derive(Clone, Debug)]
pub(crate) struct Outcome {
    pub(crate) row: &'static str,
    pub(crate) input: String,
    pub(crate) wanted: Wanted,
    pub(crate) seen: String,
    pub(crate) verdict: Verdict,
    pub(crate) elapsed: Duration,
}

impl Case {
    pub(crate) fn new(
        row: &'static str,
        input: impl Into<String>,
        door: Door,
        wanted: Wanted,
        act: impl Fn(&Stage) -> std::io::Result<Seen> + 'static,
    ) -> Self {
        Self { row, input: input.into(), door, wanted, time: Time::Answer, act: Box::new(act) }
    }

    /// The server ends it when that time is up.
    pub(crate) const fn within(mut self, time: Time) -> Self {
        self.time = time;
        self
    }

    /// The same, done in another way.
    pub(crate) fn playing(mut self, act: impl Fn(&Stage) -> std::io::Result<Seen> + 'static) -> Self {
        self.act = Box::new(act);
        self
    }

    /// Plays it.
    pub(crate) fn play(&self, stage: &Stage) -> Outcome {
        let begin = Instant::now();
        let (seen, mut verdict) = if stage.has(self.door) {
            let seen = (self.act)(stage).unwrap_or_else(|error| Seen::Wrong(error.to_string()));
            (seen.to_string(), self.wanted.judge(&seen))
        } else {
            (format!("no {:?} there", self.door), Verdict::None)
        };
        let elapsed = begin.elapsed();
        if elapsed > stage.bound(self.time) && verdict != Verdict::None {
            verdict = Verdict::Failed;
        }
        Outcome { row: self.row, input: self.input.clone(), wanted: self.wanted, seen, verdict, elapsed }
    }
}

impl Wanted {
    /// The verdict on what was seen.
    pub(crate) fn judge(self, seen: &Seen) -> Verdict {
        let is_as_wanted = match (self, seen) {
            (Self::Refusal(statuses), Seen::Answer { status, more: 0, is_over: true })
            | (Self::Status(statuses), Seen::Answer { status, .. }) => statuses.contains(status),
            (Self::Close(codes), Seen::Closed(Some(code))) => codes.contains(code),
            (Self::Error, Seen::Refused(_))
            | (Self::End, Seen::Closed(_) | Seen::Ended | Seen::Answer { is_over: true, .. })
            | (Self::Served, Seen::Served) => true,
            (Self::Answer, seen) => !matches!(seen, Seen::Nothing | Seen::Wrong(_)),
            _ => false,
        };
        let is_refusal = match seen {
            Seen::Answer { status, more, .. } => *status >= 400 && *more == 0,
            Seen::Closed(_) | Seen::Ended | Seen::Refused(_) => true,
            Seen::Served | Seen::Nothing | Seen::Wrong(_) => false,
        };
        match (is_as_wanted, self) {
            (true, _) => Verdict::Ok,
            // Whoever was to be served and is refused was hurt; who was to be ended must be.
            (false, Self::Served | Self::End | Self::Answer) => Verdict::Failed,
            (false, _) if is_refusal => Verdict::Other,
            (false, _) => Verdict::Failed,
        }
    }
}

impl fmt::Display for Wanted {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |numbers: &[u16]| Vec::from_iter(numbers.iter().map(u16::to_string)).join(" or ");
        match self {
            Self::Refusal(statuses) => write!(formatter, "{}, the end", list(statuses)),
            Self::Status(statuses) => formatter.write_str(&list(statuses)),
            Self::Close(codes) => write!(formatter, "close {}", list(codes)),
            Self::Error => formatter.write_str("an error"),
            Self::End => formatter.write_str("the end"),
            Self::Served => formatter.write_str("served"),
            Self::Answer => formatter.write_str("any answer"),
            Self::Counted(marks) => write!(formatter, "{marks}"),
            Self::Bounded => formatter.write_str("a bound"),
            Self::Returned => formatter.write_str("none left"),
        }
    }
}

impl fmt::Display for Seen {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Answer { status, more, is_over } => {
                write!(formatter, "{status}")?;
                if *more > 0 {
                    write!(formatter, ", {more} more answered")?;
                }
                formatter.write_str(if *is_over { ", the end" } else { "" })
            }
            Self::Closed(Some(code)) => write!(formatter, "close {code}"),
            Self::Closed(None) => formatter.write_str("close without a code"),
            Self::Ended => formatter.write_str("the end"),
            Self::Refused(name) => formatter.write_str(name),
            Self::Served => formatter.write_str("served"),
            Self::Nothing => formatter.write_str("nothing"),
            Self::Wrong(what) => formatter.write_str(what),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const END: Seen = Seen::Answer { status: 400, more: 0, is_over: true };

    #[test]
    fn what_the_catalogue_wants_is_ok() {
        for (wanted, seen) in [
            (Wanted::Refusal(&[400, 431]), END),
            (Wanted::Status(&[400]), END),
            (Wanted::End, END),
            (Wanted::End, Seen::Ended),
            (Wanted::Close(&[1002]), Seen::Closed(Some(1002))),
            (Wanted::Error, Seen::Refused("BrokerError".to_owned())),
            (Wanted::Served, Seen::Served),
            (Wanted::Answer, Seen::Served),
        ] {
            assert_eq!(wanted.judge(&seen), Verdict::Ok, "{wanted} and {seen}");
        }
    }

    #[test]
    fn another_refusal_is_no_harm() {
        for (wanted, seen) in [
            (Wanted::Refusal(&[431]), END),
            (Wanted::Refusal(&[400]), Seen::Ended),
            (Wanted::Close(&[1002]), Seen::Closed(Some(1007))),
            (Wanted::Close(&[1002]), Seen::Ended),
            (Wanted::Error, Seen::Closed(None)),
        ] {
            assert_eq!(wanted.judge(&seen), Verdict::Other, "{wanted} and {seen}");
        }
    }

    #[test]
    fn what_was_let_through_or_hangs_has_failed() {
        let smuggled = Seen::Answer { status: 400, more: 1, is_over: true };
        let accepted = Seen::Answer { status: 200, more: 0, is_over: true };
        for (wanted, seen) in [
            (Wanted::Refusal(&[400]), smuggled),
            (Wanted::Refusal(&[400]), accepted),
            (Wanted::Close(&[1002]), Seen::Served),
            (Wanted::Close(&[1002]), Seen::Nothing),
            (Wanted::Served, Seen::Closed(Some(1000))),
            (Wanted::End, Seen::Nothing),
            (Wanted::Error, Seen::Served),
            (Wanted::Answer, Seen::Nothing),
        ] {
            assert_eq!(wanted.judge(&seen), Verdict::Failed, "{wanted} and {seen}");
        }
    }
}
