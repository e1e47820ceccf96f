//! How a connection ended, for the disconnect hook.

use std::borrow::Cow;

use super::call::{Call, FromCall, Occasion, Site};
use super::error::{Error, Result};

/// Extracts the close code and the reason of a connection that is gone. The code is 1006 when it was lost without one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Disconnected {
    /// The WebSocket close code.
    pub code: u16,
    /// The reason, possibly empty.
    pub reason: Cow<'static, str>,
}

impl FromCall for Disconnected {
    fn from_call(call: &Call<'_>) -> Result<Self> {
        let disconnect = call.disconnect.ok_or_else(|| Error::internal("nobody has disconnected here"))?;
        Ok(Self { code: disconnect.code, reason: disconnect.reason.clone() })
    }

    fn check(site: &Site<'_>) -> std::result::Result<(), String> {
        site.expect("Disconnected", &[Occasion::Disconnect])
    }
}
