//! SocketStream, in the two protocols that its generations speak, both directions. They never keep anything per
//! connection.
//!
//! 0.3 to 0.5 on Engine.IO 3: a *responder's* id, a bar, and what is said; clients speak when they were told `X|OK`.
//!
//! ```text
//! 1|{"m":"app.square","id":1,"p":[25]}     a call        1|{"id":1,"p":[625]}   1|{"id":1,"e":{"message":…}}
//! 0|{"t":"channel","channels":["c"],"e":"name","p":[…]}|c                       an event, and whom it is for
//! ```
//!
//! The realtime services of 0.4, on Engine.IO 3 and on plain WebSockets, are in [`services`].

mod call;
pub mod client;
pub mod encode;
mod message;
pub mod services;

pub use call::Call;
pub use message::Message;
