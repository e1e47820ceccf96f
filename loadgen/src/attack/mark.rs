//! The counters by which our server shows each row. Any other server is attacked without them.

use std::collections::BTreeMap;
use std::fmt;

/// A counter, and how much of it is a row's at least: beside what is caused by the bystanders, who only call, and by the
/// looks themselves, which are subtracted.
pub(super) type Mark = (&'static str, u64);

/// What has to have grown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Marks {
    /// One of these: it depends on a client's timing which.
    Any(&'static [Mark]),
    /// Each of these.
    All(&'static [Mark]),
}

impl Marks {
    /// Those of a row.
    pub(super) fn of(row: &str) -> Self {
        let is_known = |(rows, _): &&(&[&str], Self)| rows.contains(&row);
        MARKS.iter().find(is_known).map_or(Self::Any(&[]), |(_, marks)| *marks)
    }

    /// Whether what was counted shows it.
    pub(super) fn show(self, counted: &BTreeMap<String, u64>) -> bool {
        let has_grown = |(mark, least): &Mark| counted.get(*mark).is_some_and(|count| count >= least);
        match self {
            Self::Any(marks) => marks.iter().any(has_grown),
            Self::All(marks) => marks.iter().all(has_grown),
        }
    }

    /// What was counted of it, in words.
    pub(super) fn describe(self, counted: &BTreeMap<String, u64>) -> String {
        let found = self.list().iter().filter_map(|(mark, _)| Some(format!("{mark} {}", counted.get(*mark)?)));
        let found = Vec::from_iter(found).join(", ");
        if found.is_empty() { "nothing of it".to_owned() } else { found }
    }

    const fn list(self) -> &'static [Mark] {
        match self {
            Self::Any(marks) | Self::All(marks) => marks,
        }
    }
}

impl fmt::Display for Marks {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let marks = Vec::from_iter(self.list().iter().map(|(mark, least)| format!("{mark} {least}")));
        formatter.write_str(&marks.join(if matches!(self, Self::Any(_)) { " or " } else { " and " }))
    }
}

const MARKS: &[(&[&str], Marks)] = &[
    (&["A1", "A2", "A4"], Marks::All(&[("timeouts", 1)])),
    (&["A3"], Marks::All(&[("connections_idle", 64)])),
    (&["A5", "A7", "A8", "A9", "A11", "A12", "A13", "A14", "A55"], Marks::All(&[("protocol_errors", 1)])),
    (&["A10", "A15", "A16", "A17", "A18", "A19", "A20", "A21"], Marks::All(&[("protocol_errors", 1)])),
    (&["A22", "A23", "A24", "A25", "A27", "A28"], Marks::All(&[("protocol_errors", 1)])),
    // Served within their limits: exactly as much is done as was asked for, or more of it by others.
    (&["A6"], Marks::All(&[("requests", 50)])),
    (&["A26"], Marks::All(&[("messages", 40_400)])),
    (&["A36"], Marks::All(&[("publications", 5_000), ("deliveries", 100_000)])),
    (&["A39"], Marks::All(&[("calls", 20_150), ("calls_busy", 50)])),
    (&["A45"], Marks::All(&[("requests", 40)])),
    (&["A53"], Marks::All(&[("accepted", 300), ("requests", 300)])),
    (&["A64"], Marks::All(&[("requests_refused", 2)])),
    (&["A30", "A31"], Marks::All(&[("messages_unknown", 1)])),
    (&["A32", "A33", "A34"], Marks::All(&[("calls_refused", 1)])),
    (&["A35"], Marks::All(&[("subscriptions_refused", 1)])),
    (&["A38"], Marks::Any(&[("slow_consumers", 1), ("timeouts", 1)])),
    (&["A41"], Marks::All(&[("origins_refused", 1)])),
    (&["A43", "A50"], Marks::All(&[("requests_refused", 1)])),
    (&["A44"], Marks::All(&[("cookies_refused", 1)])),
    (&["A46"], Marks::Any(&[("polls_refused", 1), ("protocol_errors", 1)])),
    (&["A47"], Marks::All(&[("tokens_refused", 1)])),
    (&["A54"], Marks::All(&[("tls_failures", 1)])),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attack::rows;

    #[test]
    fn every_row_shows_by_some_counter() {
        for (row, _) in rows::TITLES {
            assert!(!Marks::of(row).list().is_empty(), "{row}");
        }
        let rows = MARKS.iter().flat_map(|(rows, _)| *rows);
        assert_eq!(rows.count(), rows::TITLES.len(), "each is there once");
    }

    #[test]
    fn one_of_several_is_told_from_all_of_them() {
        const BOTH: &[Mark] = &[("calls", 20), ("calls_busy", 5)];
        let counted = |calls, busy| BTreeMap::from([("calls".to_owned(), calls), ("calls_busy".to_owned(), busy)]);
        let shown = |calls, busy| [Marks::Any(BOTH), Marks::All(BOTH)].map(|marks| marks.show(&counted(calls, busy)));
        assert_eq!(shown(20, 5), [true, true]);
        assert_eq!(shown(20, 4), [true, false]);
        assert_eq!(shown(19, 4), [false, false]);
        assert_eq!(Marks::All(BOTH).describe(&counted(19, 4)), "calls 19, calls_busy 4");
        assert_eq!(Marks::All(BOTH).to_string(), "calls 20 and calls_busy 5");
        assert_eq!(Marks::Any(BOTH).describe(&BTreeMap::new()), "nothing of it");
    }
}
