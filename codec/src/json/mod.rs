//! JSON text: validated while it is walked through, and never copied. Payloads are never turned into values and back:
//! what is forwarded is the source text of a value, byte for byte. It never interprets what the text means; protocols do.

mod error;
mod members;
mod scan;
mod skip;
mod string;
mod token;

pub use error::{JsonError, JsonLimits, NESTING_MAX};
pub use members::members;
pub use scan::{Kind, Scanner, Span, Value};
pub use string::{unescape, write_string};
pub(crate) use string::{unescape_onto, write_escaped};
