//! HTTP/1.1 heads, strict and bounded: requests as a server reads them, responses as a server writes and a client
//! reads them. Bodies of requests are never read here: a head says how its body would be framed, and the layer above
//! refuses it.

pub mod error;
pub mod headers;
pub mod request;
pub mod response;
mod scan;

pub use error::HttpError;
pub use headers::{HEADERS_MAX, HeaderStorage, Headers};
pub use scan::HEAD_BYTES_MAX;
