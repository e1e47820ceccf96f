//! Who the caller has shown to be: the claims of its token, decoded to a type of the application's.

use serde::de::DeserializeOwned;

use super::call::{Call, FromCall, Site};
use super::error::{Error, Result};

/// Extracts the claims of the caller's token. A caller without one gets an `UnauthenticatedError` and the action is not
/// run; `Option<Auth<T>>` takes both. Claims that are not a `T`, as tokens of an older version of the application may
/// be, are answered with a `ClaimsError`.
///
/// Actions and all hooks that are about a connection may take it. The
/// disconnect hook sees whose the connection last was, even if the token's time is over by then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Auth<T>(pub T);

impl<T: DeserializeOwned> FromCall for Auth<T> {
    fn from_call(call: &Call<'_>) -> Result<Self> {
        Option::<Self>::from_call(call)?.ok_or_else(Error::unauthenticated)
    }

    fn check(site: &Site<'_>) -> std::result::Result<(), String> {
        if site.occasion.has_peer() { Ok(()) } else { site.expect("Auth", &[]) }
    }
}

impl<T: DeserializeOwned> FromCall for Option<Auth<T>> {
    fn from_call(call: &Call<'_>) -> Result<Self> {
        Ok(call.claims.map(read_claims).transpose()?.map(Auth))
    }

    fn check(site: &Site<'_>) -> std::result::Result<(), String> {
        Auth::<T>::check(site)
    }
}

/// Claims as what the application takes them for.
pub(super) fn read_claims<T: DeserializeOwned>(claims: &str) -> Result<T> {
    serde_json::from_str(claims).map_err(|error| {
        tracing::debug!(%error, "the claims of a token are not what the application takes");
        Error::new("ClaimsError", "the token does not say what is needed here: log in again")
    })
}
