//! Files of a directory, served over HTTP. All of them are read when the server starts, and again when it is told to, so
//! that no request ever touches the disk: a path is looked up in a table, and there is nothing to escape from. What is not
//! to be had so (links, hidden files, files that are too large) is not in the table.

mod asset;
mod folder;
mod shelf;

pub use folder::{Files, FilesError, FilesOptions};
pub(super) use shelf::Shelves;
