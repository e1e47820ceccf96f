//! A directory, read into memory.

use std::collections::HashMap;
use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use super::asset::{Asset, CODINGS};

/// How files are served, and how much of them is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FilesOptions {
    /// The file that stands for its directory.
    pub index: String,
    /// How long clients may use a file without asking again; zero: they ask each time whether it is still the same.
    pub max_age: Duration,
    /// Bytes of one file; a larger one stops the start. One answer is held whole until its client has read it.
    pub file_bytes_max: u64,
    /// Bytes of all files together; more stop the start.
    pub bytes_max: u64,
}

impl Default for FilesOptions {
    fn default() -> Self {
        // 4 MiB is a large page's script; 64 MiB a site of them. All shards share one copy.
        Self { index: "index.html".to_owned(), max_age: Duration::ZERO, file_bytes_max: 4 << 20, bytes_max: 64 << 20 }
    }
}

/// The files of a directory, for [`App::files`](crate::App::files). Cheap to clone: all clones share the bytes, so make it
/// before `run`. Files that begin with a dot, links, and whatever is no file are left out. `a.js.br`, `a.js.zst` and
/// `a.js.gz` beside `a.js` are sent in its place to clients that take them.
#[derive(Clone, Debug)]
pub struct Files {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    directory: PathBuf,
    options: FilesOptions,
    table: Mutex<Arc<Table>>,
}

/// Files by their paths, each beginning with a slash.
pub(super) type Table = HashMap<Box<str>, Arc<Asset>, foldhash::fast::RandomState>;

/// Why a directory cannot be served.
#[derive(Debug)]
pub enum FilesError {
    /// Something cannot be read.
    Read(PathBuf, io::Error),
    /// A file is larger than it may be: its bytes.
    FileTooLarge(PathBuf, u64),
    /// All files together are.
    TooLarge(PathBuf, u64),
}

impl Files {
    /// Reads a directory with everything below it.
    ///
    /// # Errors
    /// When it cannot be read, or is larger than it may be.
    pub fn open(directory: impl Into<PathBuf>, options: FilesOptions) -> Result<Self, FilesError> {
        let directory = directory.into();
        let table = Mutex::new(Arc::new(read(&directory, &options)?));
        Ok(Self { shared: Arc::new(Shared { directory, options, table }) })
    }

    /// Reads it again; all clones serve what is there now. When it cannot be read, they go on with what they have.
    ///
    /// # Errors
    /// As [`Files::open`].
    pub fn reload(&self) -> Result<usize, FilesError> {
        let table = read(&self.shared.directory, &self.shared.options)?;
        let count = table.len();
        *self.table() = Arc::new(table);
        Ok(count)
    }

    /// The file of a decoded path, or of the directory that it names.
    pub(super) fn find(&self, path: &str) -> Option<Arc<Asset>> {
        let table = Arc::clone(&self.table());
        if path.ends_with('/') {
            return table.get(&*format!("{path}{}", self.shared.options.index)).cloned();
        }
        table.get(path).cloned()
    }

    fn table(&self) -> MutexGuard<'_, Arc<Table>> {
        // Only ever replaced as a whole.
        self.shared.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn read(directory: &Path, options: &FilesOptions) -> Result<Table, FilesError> {
    let mut found = Vec::new();
    walk(directory, "", &mut found)?;
    found.sort_unstable();
    let (mut table, mut total) = (Table::default(), 0);
    let mut load = |path: &Path| -> Result<(Vec<u8>, SystemTime), FilesError> {
        let failed = |error| FilesError::Read(path.to_owned(), error);
        let known = fs::metadata(path).map_err(failed)?;
        let modified = known.modified().map_err(failed)?;
        total += known.len();
        if known.len() > options.file_bytes_max {
            return Err(FilesError::FileTooLarge(path.to_owned(), known.len()));
        }
        if total > options.bytes_max {
            return Err(FilesError::TooLarge(directory.to_owned(), options.bytes_max));
        }
        let bytes = fs::read(path).map_err(failed)?;
        Ok((bytes, modified))
    };
    for (name, path) in &found {
        let is_form = CODINGS.iter().any(|(ending, _)| {
            let base = name.strip_suffix(ending).and_then(|base| base.strip_suffix('.'));
            base.is_some_and(|base| found.binary_search_by(|(known, _)| (**known).cmp(base)).is_ok())
        });
        if is_form {
            continue;
        }
        let (bytes, modified) = load(path)?;
        let mut asset = Asset::new(content_type(name), modified, options.max_age.as_secs(), bytes);
        for (ending, coding) in CODINGS {
            let form = format!("{name}.{ending}");
            if let Ok(index) = found.binary_search_by(|(known, _)| (**known).cmp(&*form)) {
                asset.add(coding, load(&found[index].1)?.0);
            }
        }
        table.insert(format!("/{name}").into(), Arc::new(asset));
    }
    Ok(table)
}

/// Finds the files below a directory: their names from there, and where they lie.
fn walk(directory: &Path, prefix: &str, found: &mut Vec<(String, PathBuf)>) -> Result<(), FilesError> {
    let failed = |error| FilesError::Read(directory.to_owned(), error);
    for entry in fs::read_dir(directory).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        // Names that no path can say are not served, and neither is what is hidden.
        let Ok(name) = entry.file_name().into_string() else { continue };
        if name.starts_with('.') {
            continue;
        }
        // This does not follow links: they are neither.
        let kind = entry.file_type().map_err(failed)?;
        if kind.is_dir() {
            walk(&entry.path(), &format!("{prefix}{name}/"), found)?;
        } else if kind.is_file() {
            found.push((format!("{prefix}{name}"), entry.path()));
        }
    }
    Ok(())
}

/// By the name's ending. Text is UTF-8.
fn content_type(name: &str) -> String {
    let kind = mime_guess::from_path(name).first_or_octet_stream();
    let is_text = kind.type_() == mime_guess::mime::TEXT || kind.subtype() == mime_guess::mime::JAVASCRIPT;
    if is_text && kind.get_param("charset").is_none() { format!("{kind}; charset=utf-8") } else { kind.to_string() }
}

impl fmt::Display for FilesError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Read(path, error) => write!(formatter, "{}: {error}", path.display()),
            Self::FileTooLarge(path, bytes) => {
                write!(formatter, "{} has {bytes} bytes, more than --static-max-file", path.display())
            }
            Self::TooLarge(path, bytes) => {
                write!(formatter, "the files below {} are larger than --static-cache, {bytes} bytes", path.display())
            }
        }
    }
}

impl std::error::Error for FilesError {}

#[cfg(test)]
mod tests {
    use super::*;

    struct Place(PathBuf);

    impl Place {
        fn new(name: &str) -> Self {
            let path = std::env::temp_dir().join(format!("socketshard-files-{}-{name}", std::process::id()));
            fs::create_dir_all(path.join("sub/.git")).expect("a place for files");
            Self(path)
        }

        fn write(&self, name: &str, text: &str) {
            fs::write(self.0.join(name), text).expect("files can be written");
        }
    }

    impl Drop for Place {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn files_are_found_by_their_paths_and_hidden_ones_and_links_are_not() {
        let place = Place::new("paths");
        for name in ["index.html", "a b.js", "a b.js.gz", "alone.gz", ".secret", "sub/index.html", "sub/.git/config"] {
            place.write(name, name);
        }
        std::os::unix::fs::symlink("/etc/passwd", place.0.join("link")).expect("links can be made");
        std::os::unix::fs::symlink("/etc", place.0.join("linked")).expect("links can be made");
        let files = Files::open(&place.0, FilesOptions::default()).expect("it can be read");
        for path in ["/", "/index.html", "/a b.js", "/alone.gz", "/sub/", "/sub/index.html"] {
            assert!(files.find(path).is_some(), "{path}");
        }
        for path in [
            "",
            "/sub",
            "/.secret",
            "/sub/.git/config",
            "/link",
            "/linked/passwd",
            "/a b.js.gz",
            "/../etc/passwd",
            "/sub/../index.html",
            "//index.html",
            "/index.html/",
            "/./index.html",
            "/index.html\0",
            "index.html",
        ] {
            assert!(files.find(path).is_none(), "{path}");
        }
    }

    #[test]
    fn what_has_changed_is_served_after_a_reload_and_what_is_too_large_is_refused() {
        let place = Place::new("reload");
        place.write("a.txt", "one");
        let options = FilesOptions { file_bytes_max: 10, bytes_max: 15, ..FilesOptions::default() };
        let files = Files::open(&place.0, options).expect("it can be read");
        let clone = files.clone();
        place.write("b.txt", "two");
        assert!(clone.find("/b.txt").is_none());
        assert_eq!(files.reload().expect("it can be read"), 2);
        assert!(clone.find("/b.txt").is_some());
        place.write("b.txt", "more than ten bytes");
        assert!(matches!(files.reload(), Err(FilesError::FileTooLarge(..))));
        place.write("b.txt", "ten bytes!");
        place.write("c.txt", "ten bytes!");
        assert!(matches!(files.reload(), Err(FilesError::TooLarge(..))));
        assert!(clone.find("/b.txt").is_some(), "the old ones go on");
    }

    #[test]
    fn types_are_those_of_endings() {
        assert_eq!(content_type("a/b.HTML"), "text/html; charset=utf-8");
        assert_eq!(content_type("a.js"), "text/javascript; charset=utf-8");
        assert_eq!(content_type("a.svg"), "image/svg+xml");
        assert_eq!(content_type("a.unheard-of"), "application/octet-stream");
    }
}
