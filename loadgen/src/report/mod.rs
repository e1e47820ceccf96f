//! What a run found, and the forms it is told in. Never measures.

mod json;
mod progress;
mod summary;
mod text;

pub(crate) use json::write as json;
pub(crate) use progress::Progress;
pub(crate) use summary::{Cpu, Summary};
pub(crate) use text::table;
