//! What TLS is spoken with: certificates and keys from files or of our own making, who is shown which, and how all of it
//! is replaced while connections go on. It never touches a socket and never logs a key.

mod credentials;
mod error;
mod keeper;
mod private_key;
mod resolver;
mod self_signed;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
mod validity;

pub(crate) use error::TlsError;
pub(crate) use keeper::{Acceptor, TlsKeeper};
