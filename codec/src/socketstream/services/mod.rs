//! The realtime services of SocketStream 0.4. A message is a service's number, for services with callbacks the number of
//! one, or nothing, and what is said:
//!
//! ```text
//! 0|1|{"c":"connect","v":"0.0.1","sessionId":false}      0|1|{"version":"0.0.1","sessionId":"…"}
//! 0|2|{"c":"discover","p":{}}                            0|2|[{"params":{…},"handler":"function…"},…]
//! 1|1|{"m":"app.square","p":[25]}                        1|1|{"p":[625]}   1|1|{"e":{"message":…}}
//!                                                        2|{"e":"news","p":[…]}
//! ```
//!
//! The services are those that clients know: the system's own, calls, and events. What clients need to know of the latter
//! two they ask for with `discover`, and are sent as source text; it is ours, in the two files beside this one.

pub mod client;
pub mod encode;
mod request;

pub use request::Request;

/// The version that clients of these services have.
pub const VERSION: &str = "0.0.1";
