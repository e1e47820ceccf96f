//! Peers in Rust: small programs in a workspace of their own, with its own lock file, so that their dependencies stay
//! out of ours. Needs the registry the first time.

use std::path::Path;

use crate::peer::Ready;
use crate::workshop::{Workshop, run};

/// Builds the workspace if need be, and gives the program of that name.
pub(crate) fn prepare(workshop: &Workshop, name: &str, arguments: &[&str]) -> Result<Ready, String> {
    let sources = workshop.sources("rust");
    let target = workshop.peers.join("rust");
    if workshop.may_build {
        let mut command = workshop.cargo();
        command.current_dir(&sources).args(["build", "--release", "--locked", "-p"]).arg(format!("peer-{name}"));
        // As uWebSockets is built: for the CPU under it.
        command.env("RUSTFLAGS", "-C target-cpu=native").arg("--target-dir").arg(&target);
        run(&mut command)?;
    }
    let program = target.join("release").join(format!("peer-{name}"));
    workshop.has(&program)?;
    let package = if name == "tungstenite" { "tokio-tungstenite" } else { name };
    Ok(Ready::new(program, arguments, version(&sources.join("Cargo.lock"), package)?))
}

/// The version that a lock file pins.
fn version(lock: &Path, package: &str) -> Result<String, String> {
    let text = std::fs::read_to_string(lock).map_err(|error| format!("{}: {error}", lock.display()))?;
    let version = pinned(&text, package).ok_or_else(|| format!("{} does not pin {package}", lock.display()))?;
    Ok(format!("{package} {version}"))
}

fn pinned<'a>(lock: &'a str, package: &str) -> Option<&'a str> {
    let (_, rest) = lock.split_once(&format!("name = \"{package}\"\nversion = \""))?;
    rest.split('"').next()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_read_from_the_lock_file() {
        let lock =
            "[[package]]\nname = \"ab\"\nversion = \"1.0.0\"\n\n[[package]]\nname = \"b\"\nversion = \"2.0.1\"\n";
        assert_eq!(pinned(lock, "b"), Some("2.0.1"));
        assert_eq!(pinned(lock, "c"), None);
    }
}
