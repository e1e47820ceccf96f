//! The people behind the connections: which connections of this shard are whose, who is online anywhere, who is in which
//! channel, and what is said to users, sessions and everybody instead of to a channel.
//!
//! What is said to people goes to every shard, and each finds its own connections: nobody has to know where a user is,
//! so nothing said after a login can miss it. Who is online is known at one shard per user, its **home**, and who is in
//! a channel at one shard per channel: shards tell a home when the first connection of a user has come to them and when
//! the last has gone, in order, so that what a home knows is what is so.

mod address;
mod audience;
mod check;
mod limits;
mod member;
mod message;
mod private;
mod question;
mod roster;
mod silence;
mod users;
mod work;

pub use audience::{Act, Audience};
pub use limits::PeopleLimits;
pub(crate) use member::PRESENCE_EVENT;
pub use message::PeopleMessage;
pub(crate) use private::Change;
pub use question::{Answer, Question};
pub(crate) use users::{NO_USER, Users};
pub(crate) use work::People;
