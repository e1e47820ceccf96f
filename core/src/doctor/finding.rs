//! One thing that was looked at, and what there is to say about it.

use super::machine::Unreadable;

/// How much a finding matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Level {
    /// As it should be.
    Ok,
    /// Worth knowing; also what could not be read.
    Note,
    /// It costs speed or room.
    Warning,
    /// The server does not start, or not as planned.
    Problem,
}

/// What was found about one subject.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Finding {
    pub(crate) level: Level,
    /// Its name, for scripts: it does not change.
    pub(crate) subject: &'static str,
    pub(crate) found: String,
    /// Why it matters; empty where everything is as it should be.
    pub(crate) why: String,
    /// What changes it: a command, or a flag of the server.
    pub(crate) change: Option<String>,
}

impl Level {
    /// Its name, as it is printed.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Note => "note",
            Self::Warning => "warning",
            Self::Problem => "problem",
        }
    }
}

impl Finding {
    /// Nothing to change.
    pub(super) fn ok(subject: &'static str, found: impl Into<String>) -> Self {
        Self { level: Level::Ok, subject, found: found.into(), why: String::new(), change: None }
    }

    /// Something to know or to change.
    pub(super) fn new(level: Level, subject: &'static str, found: impl Into<String>, why: impl Into<String>) -> Self {
        Self { level, subject, found: found.into(), why: why.into(), change: None }
    }

    /// With the way to change it.
    pub(super) fn change(mut self, command: impl Into<String>) -> Self {
        self.change = Some(command.into());
        self
    }

    /// It could not be read.
    pub(super) fn unknown(subject: &'static str, error: &Unreadable) -> Self {
        Self::new(Level::Note, subject, format!("unknown: {error}"), "what cannot be read cannot be judged")
    }
}
