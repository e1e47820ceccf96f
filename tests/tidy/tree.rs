//! The rules of the tree as a whole: what may lie at its top, which crate may name which, and what no file may say.

use std::path::{Path, PathBuf};

use crate::rules::{Finding, finding};

/// Every file below `folder` that could be committed, as paths from `root`.
pub(crate) fn files(root: &Path, folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let entries = std::fs::read_dir(folder).expect("a folder of the tree can be read");
    for entry in entries {
        let path = entry.expect("a folder's entry can be read").path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if path.is_dir() && !path.is_symlink() && !IGNORED.contains(&name) {
            found.extend(files(root, &path));
        } else if path.is_file() {
            found.push(path.strip_prefix(root).expect("it lies below the root").to_owned());
        }
    }
    found.sort();
    found
}

/// The top level is pinned.
pub(crate) fn top_level<'a>(names: impl Iterator<Item = &'a str>) -> Vec<Finding> {
    let odd = names.filter(|name| !name.starts_with('.') && !IGNORED.contains(name) && !TOP_LEVEL.contains(name));
    odd.map(|name| finding(name, 1, format!("only {TOP_LEVEL:?} lie at the top"))).collect()
}

/// No arrow points up, and the state machine's manifest names no runtime.
pub(crate) fn manifest(path: &str, text: &str) -> Vec<Finding> {
    let Some((_, allowed)) = ARROWS.iter().find(|(manifest, _)| *manifest == path) else {
        return vec![finding(path, 1, "tidy.rs does not know what this crate may depend on")];
    };
    let is_pure = ["codec/Cargo.toml", "shard/Cargo.toml"].contains(&path);
    let mut found = Vec::new();
    let mut section = String::new();
    for (index, line) in text.lines().enumerate() {
        if let Some(name) = line.trim().strip_prefix('[') {
            section = name.trim_end_matches(']').to_owned();
        }
        if !section.ends_with("dependencies") {
            continue;
        }
        let name = line.split(['.', '=']).next().unwrap_or_default().trim();
        if OURS.contains(&name) && !allowed.contains(&name) {
            found.push(finding(path, index + 1, format!("{name} is above this crate")));
        }
        if is_pure && RUNTIMES.contains(&name) {
            found.push(finding(path, index + 1, format!("{name} has no place below core")));
        }
    }
    found
}

/// No file knows the machine it was written on.
pub(crate) fn machine_paths(path: &str, text: &str) -> Vec<Finding> {
    let needles = [concat!("/wo", "rk/"), concat!("/tmp/tar", "get-"), concat!("/ro", "ot/"), concat!("/ho", "me/")];
    let says = |line: &str| needles.iter().any(|needle| line.contains(needle));
    let lines = text.lines().enumerate().filter(|(_, line)| says(line));
    lines.map(|(index, _)| finding(path, index + 1, "a path of one machine")).collect()
}

/// No lock file of npm knows where the packages were downloaded.
pub(crate) fn registries(path: &str, text: &str) -> Vec<Finding> {
    if !path.ends_with("package-lock.json") {
        return Vec::new();
    }
    let lines = text.lines().enumerate().filter(|(_, line)| line.trim_start().starts_with("\"resolved\""));
    lines
        .map(|(index, _)| finding(path, index + 1, "the host of a registry (omit-lockfile-registry-resolved)"))
        .collect()
}

/// A build in a container gets every file of the tree: `ignored` is the text of .dockerignore.
pub(crate) fn left_out(path: &Path, ignored: &str) -> Vec<Finding> {
    let patterns = ignored.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    let hits = |pattern: &str| match pattern.strip_prefix("**/") {
        Some(name) => path.iter().any(|part| part == name),
        None => pattern.contains(['*', '!']) || path.starts_with(pattern),
    };
    let named = path.to_str().unwrap_or_default();
    patterns
        .filter(|pattern| hits(pattern))
        .map(|pattern| finding(named, 1, format!("{pattern} keeps it from images")))
        .collect()
}

const TOP_LEVEL: &[&str] =
    &["Cargo.lock", "Cargo.toml", "LICENSE", "README.md", "bench", "codec", "core", "loadgen", "shard", "tests"];

/// Folders that git ignores, or that are git's own.
const IGNORED: &[&str] = &[".cache", ".git", "__pycache__", "node_modules", "target"];

const OURS: &[&str] = &["codec", "shard", "socketshard", "harness", "loadgen"];

const RUNTIMES: &[&str] = &["glommio", "io-uring", "libc", "socket2", "tokio", "mio", "tracing"];

/// What of ours each crate may depend on.
const ARROWS: &[(&str, &[&str])] = &[
    ("codec/Cargo.toml", &[]),
    ("codec/fuzz/Cargo.toml", &["codec"]),
    ("shard/Cargo.toml", &["codec"]),
    ("core/Cargo.toml", &["codec", "shard"]),
    ("loadgen/Cargo.toml", &["codec"]),
    ("bench/Cargo.toml", &["codec", "shard", "socketshard"]),
    ("bench/peers/rust/Cargo.toml", &[]),
    ("bench/peers/rust/fastwebsockets/Cargo.toml", &[]),
    ("bench/peers/rust/socketioxide/Cargo.toml", &[]),
    ("bench/peers/rust/tungstenite/Cargo.toml", &[]),
    ("bench/peers/uwebsockets/Cargo.toml", &[]),
    ("tests/Cargo.toml", &["codec", "shard", "socketshard"]),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stranger_at_the_top_is_found() {
        assert_eq!(top_level(["core", ".ci", "target", "docs", "Makefile"].into_iter()).len(), 2);
    }

    #[test]
    fn an_arrow_upward_is_found_in_any_section_and_notation() {
        let core =
            "[package]\nname = \"socketshard\"\n[dependencies]\ncodec.workspace = true\nshard = { path = \"x\" }\n";
        assert_eq!(manifest("core/Cargo.toml", core), []);
        assert_eq!(manifest("shard/Cargo.toml", core).len(), 1);
        assert_eq!(manifest("codec/Cargo.toml", core).len(), 2);
        assert_eq!(manifest("shard/Cargo.toml", "[dev-dependencies]\nsocketshard.workspace = true\n").len(), 1);
        assert_eq!(manifest("shard/Cargo.toml", "[dependencies]\nglommio = \"0.9\"\nlibc.workspace = true\n").len(), 2);
        assert_eq!(manifest("shard/Cargo.toml", "[package]\nglommio = 1\n"), []);
        assert_eq!(manifest("new/Cargo.toml", "").len(), 1, "a crate nobody judged");
    }

    #[test]
    fn a_path_of_one_machine_is_found() {
        for bad in [concat!("see /wo", "rk/main"), concat!("dir=/ro", "ot/.cargo"), concat!("/tmp/tar", "get-x")] {
            assert_eq!(machine_paths("a.md", bad).len(), 1, "{bad}");
        }
        assert_eq!(machine_paths("a.md", "the network/ring and /tmp/x"), []);
    }

    #[test]
    fn a_file_that_an_image_would_not_get_is_found() {
        let ignored = "# outputs\ntarget\n**/node_modules\ncodec/fuzz/target\n";
        for kept in ["codec/fuzz/src/lib.rs", "core/target.rs", "Cargo.toml"] {
            assert_eq!(left_out(Path::new(kept), ignored), [], "{kept}");
        }
        for lost in ["target/release/x", "tests/clients/node_modules/x.js", "codec/fuzz/target/y"] {
            assert_eq!(left_out(Path::new(lost), ignored).len(), 1, "{lost}");
        }
        assert_eq!(
            left_out(Path::new("Cargo.toml"), "*.toml\n!Cargo.toml\n").len(),
            2,
            "forms that this rule cannot read"
        );
    }

    #[test]
    fn a_registry_in_a_lock_file_is_found() {
        let text = "{\n  \"resolved\": \"https://registry.example/x.tgz\"\n}\n";
        assert_eq!(registries("tests/clients/package-lock.json", text).len(), 1);
        assert_eq!(registries("tests/data/x.json", text), []);
    }
}
