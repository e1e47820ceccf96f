//! What the fuzz targets share: cutting input into pieces as its own first bytes say, and the properties of the two
//! directions of WebSocket. Never draws randomness: the same input does the same.

pub mod chop;
pub mod inflate;
pub mod json;
pub mod socketcluster;
pub mod websocket;
