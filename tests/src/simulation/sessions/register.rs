//! What a value of a session is beyond doubt, by what was acknowledged: known after a write that no other overlapped, in
//! doubt from the moment that one is issued.

use std::time::Duration;

use shard::Time;

#[derive(Clone, Debug)]
pub(super) struct Register<T> {
    /// None: nobody can say.
    value: Option<T>,
    /// What must be there after a crash.
    durable: Option<T>,
    writing: usize,
    /// Writes have overlapped: whichever the home has ordered last counts.
    is_contended: bool,
    /// Until then a write of which nobody knows what became may still arrive.
    haunted_until: Time,
}

impl<T: Clone + Default> Default for Register<T> {
    fn default() -> Self {
        let value = Some(T::default());
        Self { durable: value.clone(), value, writing: 0, is_contended: false, haunted_until: Time::ZERO }
    }
}

impl<T: Clone> Register<T> {
    pub(super) const fn known(&self) -> Option<&T> {
        self.value.as_ref()
    }

    pub(super) const fn is_being_written(&self) -> bool {
        self.writing > 0
    }

    pub(super) fn issue(&mut self, now: Time) {
        self.is_contended |= self.writing > 0 || now < self.haunted_until;
        self.writing += 1;
        self.value = None;
        self.durable = None;
    }

    /// A write is acknowledged, with whether the store has it, or refused.
    pub(super) fn resolve(&mut self, outcome: Option<(T, bool)>) {
        self.writing = self.writing.saturating_sub(1);
        if self.writing > 0 {
            return;
        }
        if !std::mem::take(&mut self.is_contended)
            && let Some((value, is_durable)) = outcome
        {
            self.durable = is_durable.then(|| value.clone());
            self.value = Some(value);
        }
    }

    /// Nobody knows whether a write was done, or is about to be.
    pub(super) fn abandon(&mut self, now: Time) {
        self.resolve(None);
        self.is_contended |= self.writing > 0;
        self.haunted_until = now + LAST_WORDS;
    }

    /// Everything but the store is lost, and perhaps that. Where the last words of its home may still have brought it to
    /// somebody, it is known only if that makes no difference.
    pub(super) fn crash(&mut self, has_store: bool, has_last_words: bool)
    where
        T: Default + PartialEq,
    {
        let nothing = Some(T::default());
        self.value = if has_store {
            self.durable.clone()
        } else {
            nothing.filter(|_| !has_last_words || self.value == Some(T::default()))
        };
        self.durable = self.value.clone();
        self.writing = 0;
        self.is_contended = false;
    }
}

/// The last words of a shard that has died are heard by then.
const LAST_WORDS: Duration = Duration::from_secs(1);
