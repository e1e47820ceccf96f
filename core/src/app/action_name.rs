//! The name that an action was called by, for hooks and actions that serve many.

use super::call::{Call, FromCall, Occasion, Site};
use super::error::Result;

/// Extracts the name of the action that is called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ActionName(pub String);

impl FromCall for ActionName {
    fn from_call(call: &Call<'_>) -> Result<Self> {
        Ok(Self(call.subject.to_owned()))
    }

    fn check(site: &Site<'_>) -> std::result::Result<(), String> {
        site.expect("ActionName", &[Occasion::Action, Occasion::Invoke])
    }
}
