//! Where the peers come from: the tree, the folder of built programs, and the commands that build into it. Everything
//! that is built lies below cargo's target folder; the tree gets nothing but node_modules, which git ignores.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Lines of a failed command that are quoted.
const LINES_MAX: usize = 6;

/// The tree and its target folder.
#[derive(Clone, Debug)]
pub(crate) struct Workshop {
    /// The root of the repository.
    pub(crate) root: PathBuf,
    /// Where cargo put this program, and puts ours beside it.
    pub(crate) programs: PathBuf,
    /// Where the peers are built.
    pub(crate) peers: PathBuf,
    /// Whether anything may be built, or only what is there be used.
    pub(crate) may_build: bool,
}

impl Workshop {
    /// The workshop around this program.
    pub(crate) fn find(may_build: bool) -> Result<Self, String> {
        let own = std::env::current_exe().map_err(|error| format!("cannot find this program: {error}"))?;
        let programs = own.parent().ok_or("this program lies in no folder")?.to_owned();
        let target = programs.parent().ok_or("this program does not lie in a target folder")?;
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the crate lies in the tree").to_owned();
        if !root.join("bench/peers").is_dir() {
            return Err(format!("{} is gone: build this program again where it is to run", root.display()));
        }
        Ok(Self { root, peers: target.join("peers"), programs, may_build })
    }

    /// The sources of the peers.
    pub(crate) fn sources(&self, name: &str) -> PathBuf {
        self.root.join("bench/peers").join(name)
    }

    /// Our own program of that name.
    pub(crate) fn program(&self, name: &str) -> PathBuf {
        self.programs.join(name)
    }

    /// Builds our server and the generator as this program was built: released or for development.
    pub(crate) fn build_ours(&self) -> Result<(), String> {
        if self.may_build {
            let target = self.programs.parent().expect("`find` went through it");
            let mut command = self.cargo();
            command.current_dir(&self.root).args([
                "build",
                "--locked",
                "-p",
                "socketshard",
                "-p",
                "socketshard-loadgen",
            ]);
            command.arg("--target-dir").arg(target);
            if self.is_released() {
                command.arg("--release");
            }
            run(&mut command)?;
        }
        ["socketshard", "socketshard-loadgen"].into_iter().try_for_each(|name| self.has(&self.program(name)))?;
        if self.may_build {
            let stamp = format!("{} {}", self.fingerprint().unwrap_or_default(), self.head().unwrap_or_default());
            std::fs::create_dir_all(&self.peers)
                .and_then(|()| std::fs::write(self.stamp(), stamp))
                .map_err(|error| format!("{}: {error}", self.stamp().display()))?;
        }
        Ok(())
    }

    /// Whether this program, and so ours beside it, is optimised.
    pub(crate) fn is_released(&self) -> bool {
        self.programs.file_name().is_some_and(|name| name == "release")
    }

    /// That a file is there.
    pub(crate) fn has(&self, file: &Path) -> Result<(), String> {
        let hint = if self.may_build { "" } else { " (run once without --no-build)" };
        if file.is_file() { Ok(()) } else { Err(format!("{} is missing{hint}", file.display())) }
    }

    /// Cargo, without what an outer cargo set for this program.
    pub(crate) fn cargo(&self) -> Command {
        let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        command.env_remove("CARGO_TARGET_DIR").env_remove("CARGO_MANIFEST_DIR");
        command
    }

    /// The commit from which our server was built: noted then, since the tree may have moved on.
    pub(crate) fn commit(&self) -> Option<String> {
        let stamp = std::fs::read_to_string(self.stamp()).ok()?;
        let (fingerprint, commit) = stamp.split_once(' ')?;
        (self.fingerprint()? == fingerprint && !commit.is_empty()).then(|| commit.to_owned())
    }

    fn stamp(&self) -> PathBuf {
        let kind = if self.is_released() { "release" } else { "dev" };
        self.peers.join(format!("socketshard-{kind}.commit"))
    }

    /// What tells one build of our server from another.
    fn fingerprint(&self) -> Option<String> {
        let metadata = self.program("socketshard").metadata().ok()?;
        let time = metadata.modified().ok()?.duration_since(std::time::UNIX_EPOCH).ok()?;
        Some(format!("{}-{}", metadata.len(), time.as_nanos()))
    }

    /// The commit of the tree, with a mark if the tree differs from it.
    fn head(&self) -> Option<String> {
        let git = |arguments: &[&str]| {
            let mut command = Command::new("git");
            command.arg("-C").arg(&self.root).args(arguments);
            output(&mut command).ok()
        };
        let commit = git(&["rev-parse", "--short=12", "HEAD"])?.trim().to_owned();
        let changes = git(&["status", "--porcelain", "--untracked-files=no", "--", "codec", "shard", "core"])?;
        Some(if changes.trim().is_empty() { commit } else { format!("{commit} with changes") })
    }
}

/// Runs a command to its end; what it said last if it failed.
pub(crate) fn run(command: &mut Command) -> Result<(), String> {
    output(command).map(drop)
}

/// Runs a command to its end and gives its output.
pub(crate) fn output(command: &mut Command) -> Result<String, String> {
    let name = Path::new(command.get_program()).file_name().unwrap_or_default().to_string_lossy().into_owned();
    let done = command.stdin(Stdio::null()).output().map_err(|error| format!("cannot run {name}: {error}"))?;
    if done.status.success() {
        return Ok(String::from_utf8_lossy(&done.stdout).into_owned());
    }
    let said = String::from_utf8_lossy(&done.stderr);
    let lines: Vec<&str> = said.lines().rev().take(LINES_MAX).collect();
    let lines: Vec<&str> = lines.into_iter().rev().collect();
    Err(format!("{name} failed ({}): {}", done.status, lines.join(" | ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_command_is_quoted_and_a_missing_one_named() {
        let failed = run(Command::new("sh").args(["-c", "echo no compiler >&2; exit 2"])).expect_err("it fails");
        assert!(failed.contains("no compiler") && failed.contains("sh failed"), "{failed}");
        let missing = run(&mut Command::new("no-such-program-here")).expect_err("there is none");
        assert!(missing.contains("no-such-program-here"), "{missing}");
        assert_eq!(output(Command::new("sh").args(["-c", "echo yes"])), Ok("yes\n".to_owned()));
    }

    #[test]
    fn what_is_not_built_is_named_with_what_to_do() {
        let workshop = Workshop::find(false).expect("tests run in the tree");
        let problem = workshop.has(Path::new("/nonexistent/peer")).expect_err("it is not there");
        assert!(problem.contains("/nonexistent/peer") && problem.contains("--no-build"), "{problem}");
    }
}
