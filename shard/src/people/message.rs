//! What shards tell each other about people.

use super::{Answer, Question};

/// One message of one shard to another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PeopleMessage {
    /// To the home: a user has come to the sender, or has gone from it.
    Member {
        /// Of which channel; none: of those who are online.
        channel: Option<Box<str>>,
        /// Who.
        user: Box<str>,
        /// Come or gone.
        is_here: bool,
    },
    /// To everybody: how many users are online whose home is the sender.
    Online {
        /// So many.
        users: u64,
    },
    /// Something is asked.
    Ask {
        /// Echoed by the answer.
        ticket: u64,
        /// What.
        question: Question,
    },
    /// The answer.
    Told {
        /// The question's.
        ticket: u64,
        /// What is so.
        answer: Answer,
    },
}

impl PeopleMessage {
    /// Memory it stands for, against the lane's high-water mark.
    pub(crate) fn bytes(&self) -> usize {
        let text = match self {
            Self::Member { channel, user, .. } => channel.as_ref().map_or(0, |channel| channel.len()) + user.len(),
            Self::Online { .. } => 0,
            Self::Ask { question, .. } => question.bytes(),
            Self::Told { answer, .. } => answer.bytes(),
        };
        size_of::<Self>() + text
    }
}
