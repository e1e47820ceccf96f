//! Socket.IO, protocols 5 and 4, on top of Engine.IO's messages: packets with namespaces, ids and attachments, and what
//! the server says. Binary is a JSON object here, `{"base64":true,"data":…}`, as SocketCluster's clients write it: it
//! becomes attachments for Socket.IO's clients, and their attachments become that. It never builds a value.

mod attachment;
pub mod encode;
mod packet;

pub use crate::arguments::Arguments;
pub use attachment::{ATTACHMENTS_SENT_MAX, fill};
pub use packet::{Kind, Limits, Packet, PacketError, is_reserved};
