//! Why a login has ended before its connection, for the hook that is told.

use shard::LoginEnd;

use super::call::{Call, FromCall, Occasion, Site};
use super::error::{Error, Result};

/// Extracts why a login has ended, in [`App::on_deauthenticated`](super::App::on_deauthenticated).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Deauthenticated {
    /// The token's time is over.
    Expired,
    /// The client has thrown its token away.
    Removed,
    /// The application has taken the token, or has logged the session out.
    Taken,
    /// The connection is another's now.
    Replaced,
    /// The client has shown a token that does not count.
    Refused,
}

impl FromCall for Deauthenticated {
    fn from_call(call: &Call<'_>) -> Result<Self> {
        let end = call.login_end.ok_or_else(|| Error::internal("no login has ended here"))?;
        Ok(match end {
            LoginEnd::Expired => Self::Expired,
            LoginEnd::Removed => Self::Removed,
            LoginEnd::Taken => Self::Taken,
            LoginEnd::Replaced => Self::Replaced,
            LoginEnd::Refused => Self::Refused,
        })
    }

    fn check(site: &Site<'_>) -> std::result::Result<(), String> {
        site.expect("Deauthenticated", &[Occasion::Deauthenticated])
    }
}
