//! The command line: what a person types, what the program answers, and the code it ends with. It never opens a socket;
//! `server` does.

mod arguments;
mod exit;
mod request;
mod server;
mod tuning;
mod version;

#[cfg(test)]
mod flag_table;

pub use server::{Server, run};
