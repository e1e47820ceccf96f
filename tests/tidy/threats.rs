//! The threat table of `core/docs/security.md` against the tree: every row of the catalogue is there, every test that it
//! names exists, and the load generator has the rows of which it says so.

use std::collections::BTreeSet;

use crate::rules::{Finding, finding};

/// Rows of the catalogue, A1 and on.
const ROWS: usize = 65;

/// What a row says where the load generator plays it.
const TOOL: &str = "tool";

/// One row of the table: `| A9 | input | behaviour | shown by |`.
struct Threat<'a> {
    line: usize,
    name: &'a str,
    shown_by: &'a str,
}

/// Everything that is wrong with the table. `tests` are the names of all test functions, `played` the rows of the tool.
pub(crate) fn table(path: &str, text: &str, tests: &BTreeSet<String>, played: &BTreeSet<String>) -> Vec<Finding> {
    let threats = Vec::from_iter(text.lines().enumerate().filter_map(|(index, line)| threat(index + 1, line)));
    let mut found = Vec::new();
    for number in 1..=ROWS {
        let name = format!("A{number}");
        match threats.iter().filter(|threat| threat.name == name).count() {
            1 => {}
            0 => found.push(finding(path, 1, format!("the threat table has no {name}"))),
            count => found.push(finding(path, 1, format!("the threat table has {name} {count} times"))),
        }
    }
    for threat in &threats {
        let names = Vec::from_iter(names(threat.shown_by));
        let is_played = threat.shown_by.split(|c: char| !c.is_alphanumeric()).any(|word| word == TOOL);
        if names.is_empty() && !is_played && !threat.shown_by.contains("does not apply") {
            found.push(finding(path, threat.line, format!("{} is shown by nothing", threat.name)));
        }
        if is_played != played.contains(threat.name) {
            let says = if is_played { "says that the tool plays it" } else { "does not say that the tool plays it" };
            found.push(finding(path, threat.line, format!("{} {says}", threat.name)));
        }
        let missing = names.into_iter().filter(|name| !tests.contains(*name));
        found.extend(missing.map(|name| finding(path, threat.line, format!("there is no test {name}"))));
    }
    found
}

/// The rows that the tool has, from its list of titles.
pub(crate) fn played(rows: &str) -> BTreeSet<String> {
    let titles = rows.lines().filter_map(|line| line.trim().strip_prefix("(\"A")?.split_once("\", \""));
    titles.map(|(number, _)| format!("A{number}")).collect()
}

/// The names of the functions that are tests.
pub(crate) fn tests(code: &str) -> BTreeSet<String> {
    let after = code.split("#[test]").skip(1).filter_map(|rest| {
        // Other attributes may stand between.
        let name = rest.split_once("fn ")?.1;
        Some(name.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect::<String>())
    });
    after.collect()
}

fn threat(line: usize, text: &str) -> Option<Threat<'_>> {
    let mut cells = text.strip_prefix("| ")?.strip_suffix(" |")?.split(" | ");
    let name = cells.next().filter(|name| name.strip_prefix('A').is_some_and(|rest| rest.parse::<usize>().is_ok()))?;
    Some(Threat { line, name, shown_by: cells.last()? })
}

/// Names of tests: in backticks, with an underscore and without what paths have.
fn names(cell: &str) -> impl Iterator<Item = &str> {
    let quoted = cell.split('`').skip(1).step_by(2);
    quoted.filter(|name| name.contains('_') && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_'))
}

#[cfg(test)]
mod checks {
    use super::*;

    fn set(names: &[&str]) -> BTreeSet<String> {
        names.iter().map(|&name| name.to_owned()).collect()
    }

    fn findings(row: &str) -> Vec<String> {
        let found = table("x.md", row, &set(&["it_holds"]), &set(&["A2"]));
        let found = found.iter().map(ToString::to_string);
        found.filter(|finding| !finding.contains("has no")).collect()
    }

    #[test]
    fn a_row_names_a_test_that_exists_or_says_why_it_has_none() {
        assert_eq!(findings("| A1 | x | y | `tests/abuse`: `it_holds` |"), [""; 0]);
        assert_eq!(findings("| A1 | x | y | does not apply: there is no such thing |"), [""; 0]);
        assert_eq!(findings("| A1 | x | y | `tests/abuse` |").len(), 1);
        assert!(findings("| A1 | x | y | `it_held` |")[0].contains("it_held"));
    }

    #[test]
    fn a_row_of_the_tool_says_so() {
        assert_eq!(findings("| A2 | x | y | tool |"), [""; 0]);
        assert_eq!(findings("| A2 | x | y | `it_holds` |").len(), 1);
        assert_eq!(findings("| A1 | x | y | tool, `it_holds` |").len(), 1);
    }

    #[test]
    fn a_row_that_is_missing_or_there_twice_is_found() {
        let found = table("x.md", "| A1 | x | y | tool |\n| A1 | x | y | tool |", &set(&[]), &set(&["A1"]));
        assert_eq!(found.len(), ROWS, "{found:?}");
    }

    #[test]
    fn tests_and_titles_are_read() {
        assert_eq!(
            tests("#[test]\n#[should_panic]\nfn one() {}\nfn two() {}\n#[test]\nfn three_4() {}"),
            set(&["one", "three_4"])
        );
        assert_eq!(played("    (\"A9\", \"x\"),\n    (\"A10\", \"y\"),\n"), set(&["A9", "A10"]));
    }
}
