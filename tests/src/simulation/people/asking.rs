//! What one application asks about people, and whether that is what it is answered: each question once, each page in
//! order, and in a census every page until there is none.

use std::collections::BTreeMap;

use shard::{Answer, Command, Question};

/// The questions of one application.
#[derive(Debug, Default)]
pub(in super::super) struct Asking {
    last: u64,
    open: BTreeMap<u64, Asked>,
    /// What was found out in a census: pages are put together.
    pub(in super::super) found: Vec<(Question, Answer)>,
    pub(in super::super) answers: u64,
}

#[derive(Debug)]
struct Asked {
    question: Question,
    /// Earlier pages; `None`: nobody is interested in the rest.
    census: Option<Vec<Box<str>>>,
}

impl Asking {
    /// Asks something.
    pub(in super::super) fn ask(&mut self, question: Question, is_census: bool) -> Command {
        self.put(question, is_census.then(Vec::new))
    }

    fn put(&mut self, question: Question, census: Option<Vec<Box<str>>>) -> Command {
        self.last += 1;
        self.open.insert(self.last, Asked { question: question.clone(), census });
        Command::Ask { ticket: self.last, question }
    }

    /// An answer; perhaps the next question follows.
    pub(in super::super) fn answered(&mut self, ticket: u64, answer: Answer, page_max: usize) -> Option<Command> {
        let known = self.open.remove(&ticket);
        let Asked { question, census } = known.unwrap_or_else(|| panic!("{answer:?} to no question, or again"));
        self.answers += 1;
        match (&question, &answer) {
            (Question::Members { after, count, .. }, Answer::Members { users, has_more }) => {
                let most = page_max.min(*count);
                assert!(users.len() <= most, "{users:?} are more than {most}");
                assert!(!has_more || users.len() == most, "{users:?} are fewer than {most}, but there are more");
                assert!(users.is_sorted_by(|a, b| a < b), "{users:?} are not in order");
                assert!(after.as_ref() < users.first() || users.is_empty(), "{users:?} follow {after:?}");
            }
            (Question::IsMember { .. }, Answer::IsMember(_))
            | (Question::Count { .. }, Answer::Count(_))
            | (Question::Settled { .. }, Answer::Settled) => {}
            _ => panic!("{question:?} is answered with {answer:?}"),
        }
        let mut found = census?;
        let Question::Members { channel, count, .. } = question else {
            self.found.push((question, answer));
            return None;
        };
        let Answer::Members { users, has_more } = answer else { return None };
        assert!(!has_more || !users.is_empty(), "an empty page, but there are more");
        found.extend(users);
        if has_more {
            let after = found.last().cloned();
            return Some(self.put(Question::Members { channel, after, count }, Some(found)));
        }
        let question = Question::Members { channel, after: None, count };
        self.found.push((question, Answer::Members { users: found, has_more }));
        None
    }

    /// All is quiet: everything is answered.
    pub(in super::super) fn check_empty(&self) {
        assert!(self.open.is_empty(), "never answered: {:?}", self.open);
    }
}
