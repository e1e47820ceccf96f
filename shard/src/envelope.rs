//! What crosses the mesh: envelopes, in batches of one flat buffer, so that a batch is one allocation whatever it holds
//! and the receiving shard copies out of it once, into its own arena. No reference count is shared between CPUs.

use crate::people::{Act, Audience, PeopleMessage};
use crate::polling::PollMessage;
use crate::session::SessionMessage;
use crate::{SeatMessage, Ticket};

/// One unit of the mesh.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Envelope<'a> {
    /// A publication for the peer's subscribers of the channel.
    Publication {
        /// The channel.
        channel: &'a str,
        /// The payload, valid JSON; absent differs from `null`.
        data: Option<&'a str>,
    },
    /// The sender has a first subscriber of the channel and wants its publications, or has none left.
    Interest {
        /// The channel.
        channel: &'a str,
        /// Which of the sender's interests in the channel this is; echoed by the acknowledgement.
        generation: u64,
        /// On or off.
        wanted: bool,
    },
    /// The sender has recorded the interest: every publication it accepts from now on will be sent.
    InterestAcknowledged {
        /// The channel.
        channel: &'a str,
        /// The acknowledged generation.
        generation: u64,
    },
    /// About a connection's seat with a holder, at the holder's home.
    Seat {
        /// Whose seat it is.
        holder: &'a str,
        /// What is said.
        message: SeatMessage,
    },
    /// The sender has told everything that it knows to a peer that has joined.
    Told,
    /// The sender answers: what it has to know before that, it knows.
    Serving,
    /// Something about a session.
    Session(&'a SessionMessage),
    /// Something about people.
    People(&'a PeopleMessage),
    /// Something about long-polling.
    Poll(&'a PollMessage),
    /// Something to be done to the peer's connections of an audience.
    Addressed {
        /// Whose connections.
        audience: Audience,
        /// Their names, with [`Audience::SEPARATOR`] between them.
        names: &'a str,
        /// What.
        act: Act<&'a str>,
    },
}

/// Envelopes for one peer, in order.
#[derive(Debug, Default)]
pub struct Batch {
    entries: Vec<Entry>,
    text: String,
    /// What is about sessions, behind the entries that say so: rare, and of many shapes.
    sessions: Vec<SessionMessage>,
    /// Likewise what is about people.
    people: Vec<PeopleMessage>,
    /// And about polling; boxed, because a batch is moved as it is.
    polls: Option<Box<Polls>>,
    /// Memory of both.
    boxed_bytes: usize,
}

#[derive(Debug, Default)]
struct Polls(Vec<PollMessage>);

#[derive(Clone, Copy, Debug)]
struct Entry {
    kind: Kind,
    channel_bytes: u32,
    data_bytes: u32,
    generation: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Publication,
    PublicationWithoutData,
    InterestOn,
    InterestOff,
    InterestAcknowledged,
    SeatAsked,
    SeatGiven,
    SeatDenied,
    SeatLeft,
    SeatHeld,
    Told,
    Serving,
    Session,
    People,
    Poll,
    Addressed(Audience, Verb),
}

/// Which act. Its second text comes behind the entry's two; `generation` has its length and, in the upper half, a close code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verb {
    Event,
    EventWithoutData,
    Volatile,
    VolatileWithoutData,
    Disconnect,
    KickOut,
}

impl Batch {
    /// Appends an envelope: one copy of its bytes.
    pub fn push(&mut self, envelope: Envelope<'_>) {
        let mut further = "";
        let (kind, channel, data, generation) = match envelope {
            Envelope::Publication { channel, data: Some(data) } => (Kind::Publication, channel, data, 0),
            Envelope::Publication { channel, data: None } => (Kind::PublicationWithoutData, channel, "", 0),
            Envelope::Interest { channel, generation, wanted: true } => (Kind::InterestOn, channel, "", generation),
            Envelope::Interest { channel, generation, wanted: false } => (Kind::InterestOff, channel, "", generation),
            Envelope::InterestAcknowledged { channel, generation } => {
                (Kind::InterestAcknowledged, channel, "", generation)
            }
            Envelope::Seat { holder, message } => {
                let (kind, ticket) = match message {
                    SeatMessage::Asked(ticket) => (Kind::SeatAsked, ticket.0),
                    SeatMessage::Given(ticket) => (Kind::SeatGiven, ticket.0),
                    SeatMessage::Denied(ticket) => (Kind::SeatDenied, ticket.0),
                    SeatMessage::Left => (Kind::SeatLeft, 0),
                    SeatMessage::Held => (Kind::SeatHeld, 0),
                };
                (kind, holder, "", ticket)
            }
            Envelope::Told => (Kind::Told, "", "", 0),
            Envelope::Serving => (Kind::Serving, "", "", 0),
            Envelope::Session(message) => {
                self.boxed_bytes += message.bytes();
                self.sessions.push(message.clone());
                (Kind::Session, "", "", 0)
            }
            Envelope::Poll(message) => {
                self.boxed_bytes += message.bytes();
                self.polls.get_or_insert_default().0.push(message.clone());
                (Kind::Poll, "", "", 0)
            }
            Envelope::People(message) => {
                self.boxed_bytes += message.bytes();
                self.people.push(message.clone());
                (Kind::People, "", "", 0)
            }
            Envelope::Addressed { audience, names, act } => {
                let (verb, first, second, code) = match act {
                    Act::Event { event, data, is_volatile } => {
                        let verb = match (data, is_volatile) {
                            (Some(_), false) => Verb::Event,
                            (None, false) => Verb::EventWithoutData,
                            (Some(_), true) => Verb::Volatile,
                            (None, true) => Verb::VolatileWithoutData,
                        };
                        (verb, event, data.unwrap_or_default(), 0)
                    }
                    Act::Disconnect { code, reason } => (Verb::Disconnect, "", reason, code),
                    Act::KickOut { channel, message } => (Verb::KickOut, channel, message, 0),
                };
                further = second;
                let generation = second.len() as u64 | u64::from(code) << 32;
                (Kind::Addressed(audience, verb), names, first, generation)
            }
        };
        let bytes = |text: &str| u32::try_from(text.len()).expect("names and messages are bounded far below 4 GiB");
        self.entries.push(Entry { kind, channel_bytes: bytes(channel), data_bytes: bytes(data), generation });
        self.text.push_str(channel);
        self.text.push_str(data);
        self.text.push_str(further);
    }

    /// The envelopes, in order.
    pub fn iter(&self) -> impl Iterator<Item = Envelope<'_>> {
        let mut rest = self.text.as_str();
        let (mut sessions, mut people, mut polls) =
            (self.sessions.iter(), self.people.iter(), self.polls.iter().flat_map(|polls| &polls.0));
        self.entries.iter().map(move |entry| {
            let (channel, after) = rest.split_at(entry.channel_bytes as usize);
            let (data, after) = after.split_at(entry.data_bytes as usize);
            rest = after;
            let generation = entry.generation;
            match entry.kind {
                Kind::Publication => Envelope::Publication { channel, data: Some(data) },
                Kind::PublicationWithoutData => Envelope::Publication { channel, data: None },
                Kind::InterestOn => Envelope::Interest { channel, generation, wanted: true },
                Kind::InterestOff => Envelope::Interest { channel, generation, wanted: false },
                Kind::InterestAcknowledged => Envelope::InterestAcknowledged { channel, generation },
                Kind::SeatAsked => seat(channel, SeatMessage::Asked(Ticket(generation))),
                Kind::SeatGiven => seat(channel, SeatMessage::Given(Ticket(generation))),
                Kind::SeatDenied => seat(channel, SeatMessage::Denied(Ticket(generation))),
                Kind::SeatLeft => seat(channel, SeatMessage::Left),
                Kind::SeatHeld => seat(channel, SeatMessage::Held),
                Kind::Told => Envelope::Told,
                Kind::Serving => Envelope::Serving,
                Kind::Session => Envelope::Session(sessions.next().expect("one for each entry of its kind")),
                Kind::Poll => Envelope::Poll(polls.next().expect("one for each entry of its kind")),
                Kind::People => Envelope::People(people.next().expect("one for each entry of its kind")),
                Kind::Addressed(audience, verb) => {
                    let (second, after) = rest.split_at((generation & u64::from(u32::MAX)) as usize);
                    rest = after;
                    let act = match verb {
                        Verb::Event | Verb::Volatile => {
                            Act::Event { event: data, data: Some(second), is_volatile: verb == Verb::Volatile }
                        }
                        Verb::EventWithoutData | Verb::VolatileWithoutData => {
                            Act::Event { event: data, data: None, is_volatile: verb == Verb::VolatileWithoutData }
                        }
                        Verb::Disconnect => {
                            let code = u16::try_from(generation >> 32).expect("it was one");
                            Act::Disconnect { code, reason: second }
                        }
                        Verb::KickOut => Act::KickOut { channel: data, message: second },
                    };
                    Envelope::Addressed { audience, names: channel, act }
                }
            }
        })
    }

    /// How many envelopes it holds.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether it holds none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Memory it stands for, against the lane's high-water mark.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.text.len() + self.entries.len() * size_of::<Entry>() + self.boxed_bytes
    }
}

const fn seat(holder: &str, message: SeatMessage) -> Envelope<'_> {
    Envelope::Seat { holder, message }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_gives_back_what_was_pushed_in_order() {
        let member = PeopleMessage::Member { channel: None, user: "alice".into(), is_here: true };
        let envelopes = [
            Envelope::Interest { channel: "a", generation: 7, wanted: true },
            Envelope::Publication { channel: "a", data: Some("{\"x\":1}") },
            Envelope::Publication { channel: "ünï", data: None },
            Envelope::InterestAcknowledged { channel: "", generation: u64::MAX },
            Envelope::Addressed {
                audience: Audience::Users,
                names: "alice\nbob",
                act: Act::Event { event: "hello", data: Some("[1]"), is_volatile: false },
            },
            Envelope::People(&member),
            Envelope::Addressed {
                audience: Audience::Everyone,
                names: "",
                act: Act::Disconnect { code: 4999, reason: "why not" },
            },
            Envelope::Addressed {
                audience: Audience::Sessions,
                names: "x",
                act: Act::KickOut { channel: "a", message: "" },
            },
            Envelope::Addressed {
                audience: Audience::Channels,
                names: "a",
                act: Act::Event { event: "e", data: None, is_volatile: false },
            },
            Envelope::Addressed {
                audience: Audience::AnyChannel,
                names: "a\nb",
                act: Act::Event { event: "e", data: Some("1"), is_volatile: true },
            },
            Envelope::Addressed {
                audience: Audience::AnyChannel,
                names: "a",
                act: Act::Event { event: "e", data: None, is_volatile: true },
            },
            Envelope::Interest { channel: "a", generation: 8, wanted: false },
            Envelope::Seat { holder: "a10.0.0.1", message: SeatMessage::Asked(Ticket(9)) },
            Envelope::Seat { holder: "a10.0.0.1", message: SeatMessage::Given(Ticket(9)) },
            Envelope::Seat { holder: "a10.0.0.1", message: SeatMessage::Denied(Ticket(u64::MAX)) },
            Envelope::Seat { holder: "s", message: SeatMessage::Left },
            Envelope::Told,
            Envelope::Seat { holder: "s", message: SeatMessage::Held },
            Envelope::Serving,
        ];
        let mut batch = Batch::default();
        assert!(batch.is_empty());
        envelopes.into_iter().for_each(|envelope| batch.push(envelope));
        assert_eq!(batch.len(), envelopes.len());
        assert_eq!(batch.iter().collect::<Vec<_>>(), envelopes);
    }
}
