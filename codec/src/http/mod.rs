//! HTTP/1.1, strict and bounded: heads and bodies of requests as a server reads them, responses as a server writes and
//! a client reads them. It never decides what a request is for.

pub mod body;
pub mod error;
pub mod headers;
pub mod query;
pub mod request;
pub mod response;
mod scan;

pub use error::HttpError;
pub use headers::{HEADERS_MAX, HeaderStorage, Headers};
pub use scan::HEAD_BYTES_MAX;
