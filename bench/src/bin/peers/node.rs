//! Peers on Node: small programs over packages that npm installs by a lock file, beside them and ignored by git. Needs
//! node, npm and the registry the first time.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::peer::Ready;
use crate::workshop::{Workshop, run};

/// Installs the packages if need be, and gives the program of that name.
pub(crate) fn prepare(workshop: &Workshop, package: &str) -> Result<Ready, String> {
    let sources = workshop.sources("node");
    let modules = sources.join("node_modules");
    if workshop.may_build && !modules.join(".package-lock.json").is_file() {
        run(Command::new("npm").current_dir(&sources).args(["ci", "--no-audit", "--no-fund"]))?;
    }
    let program = sources.join(format!("{package}.js"));
    workshop.has(&program)?;
    workshop.has(&modules.join(package).join("package.json"))?;
    run(Command::new("node").arg("--version"))?;
    let version = version(&modules.join(package).join("package.json"))?;
    Ok(Ready::new("node", &[&program.to_string_lossy()], format!("{package} {version}")))
}

fn version(manifest: &Path) -> Result<String, String> {
    let problem = |error: &dyn std::fmt::Display| format!("{}: {error}", manifest.display());
    let text = std::fs::read_to_string(manifest).map_err(|error| problem(&error))?;
    let manifest: Value = serde_json::from_str(&text).map_err(|error| problem(&error))?;
    Ok(manifest["version"].as_str().unwrap_or("of no version").to_owned())
}
