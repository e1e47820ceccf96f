//! What a room's watcher must hear of one user: a join for each visit and a leave after it, in turn. Events of one kind
//! in a row are repetitions, unless the other kind is missing between them: what we did ourselves tells the two apart.
//! Never reads a clock.

/// What a watcher hears.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    Join,
    Leave,
}

/// What an event says about those before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// The one that was to come next.
    Next,
    /// The one after that: the other kind is missing before it.
    Skipped,
    /// Heard before, or of something that nobody did.
    Repeated,
}

/// One user's comings and goings. The even ones are joins, the odd ones leaves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Attendance {
    /// How many the user has made.
    made: u32,
    /// How many of them the watcher has heard, missing ones included.
    heard: u32,
}

impl Attendance {
    /// The user comes, or goes.
    pub(crate) const fn make(&mut self) {
        self.made += 1;
    }

    /// How many changes the watcher has yet to hear of.
    pub(crate) const fn outstanding(self) -> u32 {
        self.made - self.heard
    }

    /// The watcher hears of a change.
    pub(crate) const fn hear(&mut self, change: Change) -> Verdict {
        let is_next_kind = self.heard.is_multiple_of(2) == matches!(change, Change::Join);
        let steps = if is_next_kind { 1 } else { 2 };
        if self.heard + steps > self.made {
            return Verdict::Repeated;
        }
        self.heard += steps;
        if is_next_kind { Verdict::Next } else { Verdict::Skipped }
    }

    /// What was not heard by now never will be: how many changes that are.
    pub(crate) const fn give_up(&mut self) -> u32 {
        let missing = self.outstanding();
        self.heard = self.made;
        missing
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The verdicts on a sequence of `+` (comes), `-` (goes), `J` and `L` (heard).
    fn verdicts(story: &str) -> (Vec<Verdict>, u32) {
        let mut attendance = Attendance::default();
        let mut verdicts = Vec::new();
        for letter in story.chars() {
            match letter {
                'J' => verdicts.push(attendance.hear(Change::Join)),
                'L' => verdicts.push(attendance.hear(Change::Leave)),
                _ => attendance.make(),
            }
        }
        (verdicts, attendance.outstanding())
    }

    #[test]
    fn joins_and_leaves_alternate() {
        use Verdict::{Next, Repeated, Skipped};
        for (story, expected, outstanding) in [
            ("+J-L+J-L", vec![Next; 4], 0),
            ("+-JL", vec![Next; 2], 0),
            ("+JJ-L", vec![Next, Repeated, Next], 0),
            ("+J-LL", vec![Next, Next, Repeated], 0),
            ("+-L", vec![Skipped], 0),
            ("+J-+J-L", vec![Next, Skipped, Next], 0),
            ("J", vec![Repeated], 0),
            ("+L", vec![Repeated], 1),
            ("+J-", vec![Next], 1),
        ] {
            assert_eq!(verdicts(story), (expected, outstanding), "{story}");
        }
    }

    #[test]
    fn what_is_given_up_is_not_waited_for() {
        let mut attendance = Attendance::default();
        attendance.make();
        attendance.make();
        assert_eq!((attendance.give_up(), attendance.outstanding()), (2, 0));
        attendance.make();
        assert_eq!(attendance.hear(Change::Join), Verdict::Next);
    }
}
