//! Why sessions cannot be set up: said at the start, never later.

use std::fmt;
use std::io;
use std::path::PathBuf;

use super::keys::KEY_BYTES_MIN;

/// What is wrong.
#[derive(Debug)]
pub(crate) enum SessionStartError {
    /// The file with the keys cannot be read.
    KeyFile(PathBuf, io::Error),
    /// A line of it is no key; line 0: there is none.
    Key(PathBuf, usize),
    /// The system has no randomness.
    Random(String),
    /// The store cannot be opened.
    Store(PathBuf, String),
}

impl fmt::Display for SessionStartError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::KeyFile(path, error) => {
                write!(formatter, "cannot read the session keys in {}: {error}", path.display())
            }
            Self::Key(path, 0) => write!(formatter, "{} holds no session key", path.display()),
            Self::Key(path, line) => {
                write!(formatter, "{}:{line}: a session key has at least {KEY_BYTES_MIN} characters", path.display())
            }
            Self::Random(error) => write!(formatter, "cannot make a session key: {error}"),
            Self::Store(path, error) => write!(formatter, "cannot open the session store {}: {error}", path.display()),
        }
    }
}

impl std::error::Error for SessionStartError {}
