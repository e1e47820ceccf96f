//! Who asks the server how many users are online: before the plan, now and then, and in the end until it is as many as
//! before. Never reads a clock.

use crate::plan::Nanoseconds;

/// Between two questions.
const PAUSE: Nanoseconds = 100_000_000;

/// The questions of a run. At most one is open.
#[derive(Debug, Default)]
pub(crate) struct Keeper {
    before: Option<u64>,
    latest: u64,
    next: Nanoseconds,
    questions: u64,
    /// The open question, and whether everybody was to have left when it was asked.
    asked: Option<(u64, bool)>,
    is_content: bool,
    is_refused: bool,
}

impl Keeper {
    /// The number of the question to be asked now, if one is; from 0. `is_end` tells that all of ours have left.
    pub(crate) fn ask(&mut self, now: Nanoseconds, has_begun: bool, is_end: bool) -> Option<u64> {
        let is_early = !has_begun && self.before.is_some();
        if self.asked.is_some() || self.is_done() || is_early || now < self.next {
            return None;
        }
        let question = self.questions;
        self.questions += 1;
        self.next = now + PAUSE;
        self.asked = Some((question, is_end));
        Some(question)
    }

    /// The server's answer: how many were online before the plan, and are now. None when that question is not open.
    pub(crate) fn answered(&mut self, question: u64, answer: Result<u64, String>) -> Option<Result<[u64; 2], String>> {
        let (_, is_end) = self.asked.take_if(|(asked, _)| *asked == question)?;
        match answer {
            Ok(online) => {
                let before = *self.before.get_or_insert(online);
                self.latest = online;
                self.is_content |= is_end && online == before;
                Some(Ok([before, online]))
            }
            Err(error) => {
                self.is_refused = true;
                Some(Err(error))
            }
        }
    }

    /// Whether nothing more is to be asked: the users are gone, or the server does not answer such questions.
    pub(crate) const fn is_done(&self) -> bool {
        self.is_content || self.is_refused
    }

    /// What is wrong at the end of the run.
    pub(crate) fn complaint(&self) -> Option<String> {
        let (before, latest) = (self.before?, self.latest);
        let is_wrong = !self.is_done();
        is_wrong.then(|| format!("users.online is {latest} instead of {before} after everybody was to leave"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_asks_before_then_at_intervals_and_until_the_number_is_back() {
        let mut keeper = Keeper::default();
        assert_eq!(keeper.ask(0, false, false), Some(0));
        assert_eq!(keeper.ask(PAUSE, false, false), None, "one at a time");
        assert_eq!(keeper.answered(7, Ok(1)), None);
        assert_eq!(keeper.answered(0, Ok(3)), Some(Ok([3, 3])));
        assert_eq!(keeper.ask(PAUSE, false, false), None, "the plan has not begun");
        assert_eq!(keeper.ask(PAUSE, true, false), Some(1));
        assert_eq!(keeper.answered(1, Ok(3)), Some(Ok([3, 3])));
        assert!(!keeper.is_done(), "it was not asked at the end");
        assert_eq!(keeper.ask(2 * PAUSE - 1, true, true), None);
        assert_eq!(keeper.ask(2 * PAUSE, true, true), Some(2));
        assert_eq!(keeper.answered(2, Ok(9)), Some(Ok([3, 9])));
        assert!(keeper.complaint().expect("six too many").contains("9 instead of 3"));
        assert_eq!(keeper.ask(3 * PAUSE, true, true), Some(3));
        assert_eq!(keeper.answered(3, Ok(3)), Some(Ok([3, 3])));
        assert!(keeper.is_done() && keeper.complaint().is_none() && keeper.ask(9 * PAUSE, true, true).is_none());
    }

    #[test]
    fn a_server_that_does_not_know_is_asked_once() {
        let mut keeper = Keeper::default();
        keeper.ask(0, false, false);
        assert_eq!(keeper.answered(0, Err("no such action".to_owned())), Some(Err("no such action".to_owned())));
        assert!(keeper.is_done() && keeper.ask(PAUSE, true, true).is_none());
    }
}
