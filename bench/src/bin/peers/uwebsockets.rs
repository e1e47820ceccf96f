//! uWebSockets: its C++ sources ship in a crate, which cargo fetches by a manifest that pins it; the system's compilers
//! build them together with our own application. Needs gcc and g++ (C++20), and the registry the first time.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::workshop::{Workshop, output, run};

/// The crate and what it is called in the table.
const CRATE: &str = "libuwebsockets-sys";
/// What uSockets consists of with its epoll loop.
const SOURCES: [&str; 6] = ["bsd", "context", "loop", "socket", "udp", "eventing/epoll_kqueue"];
/// The fastest of what its own makefile offers for a server without TLS and compression.
const FLAGS: [&str; 5] = ["-O3", "-march=native", "-DLIBUS_USE_EPOLL", "-DLIBUS_NO_SSL", "-DUWS_NO_ZLIB"];

/// Builds it if need be: the program and its version.
pub(crate) fn prepare(workshop: &Workshop) -> Result<(PathBuf, String), String> {
    let (folder, version) = fetch(workshop)?;
    let out = workshop.peers.join("uwebsockets");
    let program = out.join("app");
    let app = workshop.sources("uwebsockets").join("app.cpp");
    if workshop.may_build && is_older(&program, &app) {
        std::fs::create_dir_all(&out).map_err(|error| format!("{}: {error}", out.display()))?;
        compile(&folder.join("uWebSockets"), &out, &app)?;
    }
    workshop.has(&program)?;
    Ok((program, version))
}

/// Where cargo keeps the crate, and its version.
fn fetch(workshop: &Workshop) -> Result<(PathBuf, String), String> {
    let mut command = workshop.cargo();
    command.current_dir(workshop.sources("uwebsockets"));
    command.args(["metadata", "--format-version", "1", "--locked"]);
    if !workshop.may_build {
        command.arg("--offline");
    }
    let metadata: Value =
        serde_json::from_str(&output(&mut command)?).map_err(|error| format!("cargo metadata: {error}"))?;
    let package = metadata["packages"].as_array().into_iter().flatten().find(|package| package["name"] == CRATE);
    let manifest = package.and_then(|package| package["manifest_path"].as_str());
    let folder = manifest.and_then(|manifest| Path::new(manifest).parent());
    let version = package.and_then(|package| package["version"].as_str());
    let (Some(folder), Some(version)) = (folder, version) else {
        return Err(format!("cargo does not know where {CRATE} lies"));
    };
    Ok((folder.to_owned(), format!("in {CRATE} {version}")))
}

fn compile(sources: &Path, out: &Path, app: &Path) -> Result<(), String> {
    let headers = [sources.join("uSockets/src"), sources.join("src")];
    let compiler = |program: &str| {
        let mut command = Command::new(program);
        command.args(FLAGS);
        for folder in &headers {
            command.arg("-I").arg(folder);
        }
        command
    };
    let mut objects = Vec::new();
    for source in SOURCES {
        let object = out.join(source.replace('/', "-")).with_extension("o");
        let file = headers[0].join(source).with_extension("c");
        run(compiler("gcc").arg("-c").arg(file).arg("-o").arg(&object))?;
        objects.push(object);
    }
    run(compiler("g++").arg("-std=c++20").arg(app).args(objects).arg("-o").arg(out.join("app")))
}

/// Whether a built file is missing or older than its source.
fn is_older(built: &Path, source: &Path) -> bool {
    let time = |path: &Path| path.metadata().and_then(|metadata| metadata.modified()).ok();
    time(built).is_none_or(|built| time(source).is_none_or(|source| source > built))
}
