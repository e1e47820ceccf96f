//! The counts to compare with, as JSON in the repository, and what counts as a change.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde::{Deserialize, Serialize};

/// More than this above the baseline is a failure. Two runs of one binary differ by less than 0.1 %.
const TOLERANCE: f64 = 0.02;

/// Counts and what they were made with.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Baseline {
    /// Versions of callgrind and compiler, and the vector instructions.
    pub(crate) tools: String,
    /// Instructions per operation, by case.
    pub(crate) instructions: BTreeMap<String, f64>,
}

/// A count beside its baseline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// More than the tolerance above.
    Slower,
    /// More than the tolerance below: the baseline should follow.
    Faster,
    /// Within it.
    Same,
    /// There is none.
    Unknown,
}

/// Compares.
pub(crate) fn judge(found: f64, known: Option<f64>) -> Verdict {
    match known {
        None => Verdict::Unknown,
        Some(known) if found > known * (1.0 + TOLERANCE) => Verdict::Slower,
        Some(known) if found < known * (1.0 - TOLERANCE) => Verdict::Faster,
        Some(_) => Verdict::Same,
    }
}

impl Baseline {
    /// Reads it.
    pub(crate) fn read(path: &Path) -> Result<Self, String> {
        let text = fs::read_to_string(path).map_err(|error| format!("no baseline in {}: {error}", path.display()))?;
        serde_json::from_str(&text).map_err(|error| format!("the baseline in {} is no such: {error}", path.display()))
    }

    /// Replaces it.
    pub(crate) fn write(&self, path: &Path) -> Result<(), String> {
        let text = serde_json::to_string_pretty(self).expect("names and finite numbers are JSON");
        fs::write(path, text + "\n").map_err(|error| format!("cannot write {}: {error}", path.display()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_per_cent_more_is_a_failure_and_less_is_not() {
        assert_eq!(judge(102.1, Some(100.0)), Verdict::Slower);
        assert_eq!(judge(101.9, Some(100.0)), Verdict::Same);
        assert_eq!(judge(98.1, Some(100.0)), Verdict::Same);
        assert_eq!(judge(97.9, Some(100.0)), Verdict::Faster);
        assert_eq!(judge(1.0, None), Verdict::Unknown);
    }

    #[test]
    fn a_baseline_survives_its_file_and_a_broken_one_is_named() {
        let folder = std::env::temp_dir().join(format!("socketshard-baseline-{}", std::process::id()));
        fs::create_dir_all(&folder).expect("a folder for the test");
        let path = folder.join("instructions.json");
        let mut baseline = Baseline { tools: "a tool".to_owned(), ..Baseline::default() };
        baseline.instructions.insert("rpc".to_owned(), 1_234.5);
        baseline.write(&path).expect("written");
        assert_eq!(Baseline::read(&path), Ok(baseline));
        fs::write(&path, "{\"tools\":1}").expect("written");
        assert!(Baseline::read(&path).expect_err("no text").contains("instructions.json"));
        fs::remove_dir_all(&folder).expect("removed");
        assert!(Baseline::read(&path).is_err());
    }
}
