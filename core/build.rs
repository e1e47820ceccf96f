//! Finds out what `version` says: the commit and the compiler. It never fails a build and needs no git: it reads the
//! files that git keeps, and where there are none (a source archive), the commit is left out.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed=SOCKETSHARD_COMMIT");
    if let Some(compiler) = compiler() {
        println!("cargo::rustc-env=SOCKETSHARD_BUILD_RUSTC={compiler}");
    }
    // Only of releases: during development every commit would rebuild the crate for a line that nobody reads.
    let is_release = env::var("PROFILE").is_ok_and(|profile| profile == "release");
    let given = env::var("SOCKETSHARD_COMMIT").ok();
    if let Some(commit) = given.or_else(|| is_release.then(commit).flatten()) {
        let short: String = commit.chars().filter(char::is_ascii_alphanumeric).take(12).collect();
        println!("cargo::rustc-env=SOCKETSHARD_BUILD_COMMIT={short}");
    }
}

/// `rustc 1.95.0`, without the hash and date that follow.
fn compiler() -> Option<String> {
    let output = Command::new(env::var_os("RUSTC")?).arg("--version").output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    let words: Vec<_> = text.split_whitespace().take(2).collect();
    (words.len() == 2).then(|| words.join(" "))
}

/// The commit that is checked out, from `.git` itself.
fn commit() -> Option<String> {
    let git = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR")?).parent()?.join(".git");
    let head = read(&git.join("HEAD"))?;
    let Some(reference) = head.strip_prefix("ref: ") else {
        return Some(head);
    };
    read(&git.join(reference)).or_else(|| packed(&git.join("packed-refs"), reference))
}

/// The file's text; cargo is told to build anew when it changes.
fn read(path: &Path) -> Option<String> {
    let text = fs::read_to_string(path).ok()?;
    println!("cargo::rerun-if-changed={}", path.display());
    Some(text.trim().to_owned())
}

fn packed(path: &Path, reference: &str) -> Option<String> {
    let text = read(path)?;
    text.lines().find_map(|line| line.strip_suffix(reference)?.strip_suffix(' ').map(str::to_owned))
}
