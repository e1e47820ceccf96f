//! Who may come in: tokens, the keys that sign and verify them, and the origins of pages. It judges text that it is given
//! and never talks to a client.

mod authority;
mod key;
mod origin;
#[cfg(test)]
mod tests;

pub(crate) use authority::{Authority, Signed};
#[cfg(test)]
pub(crate) use key::Key;
pub(crate) use key::KeyError;
pub(crate) use origin::Origins;
