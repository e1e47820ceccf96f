//! What a supervisor and its child say to each other, one byte each.

/// A word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::server) enum Word {
    /// The child: it is about to open the session store, which another child may hold.
    WantsStore,
    /// The child: every shard accepts.
    Ready,
    /// The child: every shard's loop goes round.
    Alive,
    /// To a child: another one takes the session store over.
    LetGo,
    /// To a child: that other one has come to nothing.
    TakeBack,
    /// To a child: another one accepts; go when your clients have gone.
    Retire,
}

impl Word {
    const ALL: [Self; 6] = [Self::WantsStore, Self::Ready, Self::Alive, Self::LetGo, Self::TakeBack, Self::Retire];

    /// As it is sent. Letters, for whoever looks with strace.
    pub(in crate::server) const fn byte(self) -> u8 {
        match self {
            Self::WantsStore => b's',
            Self::Ready => b'r',
            Self::Alive => b'a',
            Self::LetGo => b'L',
            Self::TakeBack => b'T',
            Self::Retire => b'R',
        }
    }

    /// What was sent; none for what a newer program may say.
    pub(super) fn of(byte: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|word| word.byte() == byte)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_is_understood_and_no_other() {
        for word in Word::ALL {
            assert_eq!(Word::of(word.byte()), Some(word));
        }
        assert_eq!(Word::of(b'?'), None);
    }
}
