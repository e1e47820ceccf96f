//! Engine.IO, protocols 3 and 4: packets, the payloads that long-polling carries them in, the opening packet and the
//! refusals. One WebSocket message is one packet; a payload holds any number. It never knows what messages mean.

mod jsonp;
mod octets;
mod open;
mod packet;
mod payload;
mod refusal;

pub use jsonp::{read_form, write_call};
pub use open::Open;
pub use packet::{Packet, Version, write_binary, write_text};
pub use payload::{Encoding, Item, PayloadError, Reader, write_binary_packet, write_text_packet};
pub use refusal::Refusal;
