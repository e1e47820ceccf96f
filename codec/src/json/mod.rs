//! JSON text: validated by simd-json, then looked at in place. Payloads are never turned into values and back: what is
//! forwarded is the source text of a value, byte for byte. It never interprets what the text means; protocols do.

mod scan;
mod string;

pub(crate) use scan::ElementCursor;
pub use scan::{Document, Elements, JsonError, JsonLimits, Kind, Members, Scanner, Value};
pub(crate) use string::write_escaped;
pub use string::{unescape, write_string};
