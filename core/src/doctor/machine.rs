//! The machine as its files show it, below a root that tests replace. It never writes, and never guesses: what is not
//! there or not understood is an error that names the file.

use std::fmt;
use std::fs;
use std::path::PathBuf;

use crate::config::cpus;
use crate::server::StartError;

/// Where to look, and how to try the ring.
#[derive(Debug)]
pub(crate) struct Machine {
    root: PathBuf,
    /// Builds a ring as the server does and sees it work.
    pub(super) probe: fn() -> Result<(), StartError>,
}

/// Why something is unknown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Unreadable {
    path: String,
    reason: String,
}

/// A resource limit of this process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Limit {
    pub(super) soft: u64,
    pub(super) hard: u64,
}

impl Machine {
    /// The machine below `root`.
    pub(crate) fn new(root: impl Into<PathBuf>, probe: fn() -> Result<(), StartError>) -> Self {
        Self { root: root.into(), probe }
    }

    /// A file's text, without the white space around it.
    pub(super) fn text(&self, path: &str) -> Result<String, Unreadable> {
        let text = fs::read_to_string(self.root.join(path)).map_err(|error| unreadable(path, error))?;
        Ok(text.trim().to_owned())
    }

    /// A file that is one number.
    pub(super) fn number(&self, path: &str) -> Result<u64, Unreadable> {
        self.numbers(path)?.first().copied().ok_or_else(|| unreadable(path, "it is empty"))
    }

    /// A file that is numbers and nothing else.
    pub(super) fn numbers(&self, path: &str) -> Result<Vec<u64>, Unreadable> {
        let text = self.text(path)?;
        let numbers: Result<Vec<_>, _> = text.split_whitespace().map(str::parse).collect();
        numbers.map_err(|_| unreadable(path, "it is not made of numbers"))
    }

    /// A file that is a list of CPUs or nodes, as `0-3,8`.
    pub(super) fn list(&self, path: &str) -> Result<Vec<usize>, Unreadable> {
        let text = self.text(path)?;
        cpus::parse(&text).map(|list| list.0).map_err(|error| unreadable(path, error))
    }

    /// The names in a folder, sorted.
    pub(super) fn names(&self, path: &str) -> Result<Vec<String>, Unreadable> {
        let entries = fs::read_dir(self.root.join(path)).map_err(|error| unreadable(path, error))?;
        let mut names: Vec<_> =
            entries.filter_map(Result::ok).map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        Ok(names)
    }

    /// Whether there is such a file or folder.
    pub(super) fn has(&self, path: &str) -> bool {
        self.root.join(path).exists()
    }

    /// The value behind `name:` in a file of such lines, without a `kB` behind it.
    pub(super) fn field(&self, path: &str, name: &str) -> Result<String, Unreadable> {
        let text = self.text(path)?;
        let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        value
            .map(|value| value.trim().trim_end_matches(" kB").to_owned())
            .ok_or_else(|| unreadable(path, format_args!("it has no {name}")))
    }

    /// A limit of this process, by its name in `/proc/self/limits`; no limit is the largest number.
    pub(super) fn limit(&self, name: &str) -> Result<Limit, Unreadable> {
        let path = "proc/self/limits";
        let text = self.text(path)?;
        let line = text.lines().find_map(|line| line.strip_prefix(name));
        let mut values = line.unwrap_or_default().split_whitespace().map(|value| match value {
            "unlimited" => Some(u64::MAX),
            value => value.parse().ok(),
        });
        match (values.next().flatten(), values.next().flatten()) {
            (Some(soft), Some(hard)) => Ok(Limit { soft, hard }),
            _ => Err(unreadable(path, format_args!("it has no {name}"))),
        }
    }

    /// The CPUs that this process may use.
    pub(super) fn allowed_cpus(&self) -> Result<Vec<usize>, Unreadable> {
        let path = "proc/self/status";
        let list = self.field(path, "Cpus_allowed_list")?;
        cpus::parse(&list).map(|list| list.0).map_err(|error| unreadable(path, error))
    }

    /// Whether this process holds the capability with that number.
    pub(super) fn is_capable(&self, capability: u32) -> Result<bool, Unreadable> {
        let path = "proc/self/status";
        let mask = self.field(path, "CapEff")?;
        let mask = u64::from_str_radix(&mask, 16).map_err(|error| unreadable(path, error))?;
        Ok(mask >> capability & 1 == 1)
    }

    /// Bytes of memory that programs could still take.
    pub(super) fn available_bytes(&self) -> Result<u64, Unreadable> {
        let path = "proc/meminfo";
        let kib: u64 = self.field(path, "MemAvailable")?.parse().map_err(|error| unreadable(path, error))?;
        Ok(kib.saturating_mul(1024))
    }
}

fn unreadable(path: &str, reason: impl fmt::Display) -> Unreadable {
    Unreadable { path: format!("/{path}"), reason: reason.to_string() }
}

impl fmt::Display for Unreadable {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: {}", self.path, self.reason)
    }
}

impl std::error::Error for Unreadable {}
