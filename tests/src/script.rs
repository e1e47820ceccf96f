//! Scripts outside of Rust that report their steps as JSON lines on standard output, one for each:
//! `{"step":"square","ok":true,"ms":3}` or `{"step":"square","ok":false,"error":"…"}`.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_json::Value;

use crate::process::Process;
use crate::server::Server;

/// A running script and the steps that it was asked for.
#[derive(Debug)]
pub struct Script {
    name: String,
    process: Process,
    steps: Vec<String>,
}

impl Script {
    /// Starts the command, which is expected to report exactly these steps.
    #[must_use]
    pub fn start(name: impl Into<String>, command: Command, steps: &[&str]) -> Self {
        let steps = steps.iter().map(|step| (*step).to_owned()).collect();
        Self { name: name.into(), process: Process::start(command), steps }
    }

    /// Waits for the script's end and checks that it reported each step, in order, as passed.
    ///
    /// # Panics
    /// When a step failed or is missing: with what the script said, and what the server wrote to standard error.
    pub fn expect_every_step(self, limit: Duration, server: &Server) {
        let Self { name, process, steps } = self;
        let exit = process.wait(limit);
        let mut passed = Vec::new();
        for line in exit.stdout.lines() {
            let report: Value = serde_json::from_str(line).unwrap_or_else(|_| panic!("not a report: {line}\n{exit}"));
            let step = report["step"].as_str().unwrap_or_else(|| panic!("a report names its step: {line}")).to_owned();
            let error = report["error"].as_str().unwrap_or("no error was reported");
            let log = server.stderr();
            assert_eq!(report["ok"], true, "{name} fails at {step}:\n{error}\n{}\n--- server\n{log}", exit.stderr);
            println!("{name} {step}: {} ms", report["ms"]);
            passed.push(step);
        }
        assert_eq!(passed, steps, "{name} reports every step\n{exit}");
        assert_eq!(exit.code(), 0, "{name}\n{exit}");
    }
}

/// A file of the tests' own folder.
#[must_use]
pub fn local(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// A file that `tests/run` puts in place.
///
/// # Panics
/// When it is not there: a test that went on without it would prove nothing.
pub fn installed(path: &str) -> PathBuf {
    let path = local(path);
    assert!(path.exists(), "{} is missing: tests/run installs it", path.display());
    path
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wait::PATIENCE;

    fn report(script: &str, steps: &[&str]) {
        let mut server = Command::new("sh");
        server.args(["-c", "echo 'socketshard listening on 127.0.0.1:9 shards=2'; exec sleep 600"]);
        let server = Server::from_command(server);
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        Script::start("script", command, steps).expect_every_step(PATIENCE, &server);
    }

    #[test]
    fn a_script_that_passes_every_step_is_believed() {
        report(r#"echo '{"step":"a","ok":true,"ms":1}'; echo '{"step":"b","ok":true,"ms":1}'"#, &["a", "b"]);
    }

    #[test]
    #[should_panic(expected = "fails at b")]
    fn a_failed_step_is_named() {
        report(r#"echo '{"step":"a","ok":true}'; echo '{"step":"b","ok":false,"error":"x"}'; exit 1"#, &["a", "b"]);
    }

    #[test]
    #[should_panic(expected = "reports every step")]
    fn a_step_that_is_left_out_is_missed() {
        report(r#"echo '{"step":"a","ok":true,"ms":1}'"#, &["a", "b"]);
    }
}
