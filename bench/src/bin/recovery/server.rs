#![allow(unsafe_code)] // signals to the server by its process id
//! The server that is broken: this program again, with `start`, in a directory of its own. It ends with its owner, and
//! nothing is signalled that was not started here.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// A running server.
#[derive(Debug)]
pub(crate) struct Server {
    child: Child,
    directory: PathBuf,
    lines: Lines,
    address: SocketAddr,
}

/// What it has said on both outputs, and when.
type Lines = Arc<Mutex<Vec<(Instant, String)>>>;

impl Server {
    /// Starts a supervised server with so many shards, and a store for its sessions, and waits until it listens.
    pub(crate) fn start(shards: usize, more: &[String]) -> Result<Self, String> {
        let directory = std::env::temp_dir().join(format!("socketshard-recovery-{}", std::process::id()));
        // What an earlier round has left behind.
        let _ = fs::remove_dir_all(&directory);
        let io = |error: std::io::Error| format!("{}: {error}", directory.display());
        fs::create_dir_all(&directory).map_err(io)?;
        let (key, store) = (directory.join("key"), directory.join("sessions"));
        fs::write(&key, "a key of a measurement, with nothing to keep\n").map_err(io)?;
        let own = std::env::current_exe().map_err(|error| format!("cannot find this program: {error}"))?;
        let mut command = Command::new(own);
        command.args(["start", "--listen", "127.0.0.1:0", "--supervise", "--hang-timeout", "1s"]);
        command.args(["--shards", &shards.to_string()]);
        command.arg("--session-key-file").arg(&key).arg("--session-store").arg(&store).args(more);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().map_err(|error| format!("cannot start the server: {error}"))?;
        let lines = Lines::default();
        follow(child.stdout.take().expect("stdout is a pipe"), &lines);
        follow(child.stderr.take().expect("stderr is a pipe"), &lines);
        let unspecified = SocketAddr::from(([0, 0, 0, 0], 0));
        let mut server = Self { child, directory, lines, address: unspecified };
        let (_, line) = server.await_line(LISTENING, Instant::now())?;
        let address = line.split_once(LISTENING).and_then(|(_, rest)| rest.split([' ', ',']).next()?.parse().ok());
        server.address = address.ok_or_else(|| format!("no address: {line}"))?;
        Ok(server)
    }

    /// Where it listens.
    pub(crate) const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Waits for a line with these words that came later; when it came.
    pub(crate) fn await_line(&mut self, words: &str, since: Instant) -> Result<(Instant, String), String> {
        let deadline = Instant::now() + START_WAIT;
        loop {
            let lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(found) = lines.iter().find(|(at, line)| *at >= since && line.contains(words)) {
                return Ok(found.clone());
            }
            let last: Vec<_> = lines.iter().rev().take(5).map(|(_, line)| line.clone()).collect();
            drop(lines);
            if Instant::now() > deadline || !matches!(self.child.try_wait(), Ok(None)) {
                return Err(format!("the server did not say {words:?}: {}", last.join(" | ")));
            }
            std::thread::sleep(LOOK);
        }
    }

    /// Kills the process that serves, and leaves the supervisor to it.
    pub(crate) fn kill(&self) -> Result<(), String> {
        let supervisor = self.child.id();
        let children = fs::read_to_string(format!("/proc/{supervisor}/task/{supervisor}/children"))
            .map_err(|error| format!("/proc/{supervisor}: {error}"))?;
        let server = children.split_whitespace().next().and_then(|pid| pid.parse().ok());
        let server: libc::pid_t = server.ok_or("the supervisor has no server")?;
        // SAFETY: no memory is involved. The supervisor, which lives, has not waited for it yet.
        if unsafe { libc::kill(server, libc::SIGKILL) } == 0 { Ok(()) } else { Err("it is gone already".to_owned()) }
    }

    fn stop(&mut self) {
        let pid = libc::pid_t::try_from(self.child.id()).expect("the kernel's pids fit");
        // SAFETY: no memory is involved; it was not waited for, so that the pid is its own. The second time is at once.
        unsafe {
            libc::kill(pid, libc::SIGTERM);
            libc::kill(pid, libc::SIGTERM);
        }
        let deadline = Instant::now() + STOP_WAIT;
        while Instant::now() < deadline && matches!(self.child.try_wait(), Ok(None)) {
            std::thread::sleep(LOOK);
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            self.stop();
        }
        // Fails only for what has ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
        remove(&self.directory);
    }
}

/// A supervisor that was killed leaves a server that is about to end, and may still write.
fn remove(directory: &Path) {
    for _ in 0..100 {
        if fs::remove_dir_all(directory).is_ok() || !directory.exists() {
            return;
        }
        std::thread::sleep(LOOK);
    }
}

fn follow(output: impl Read + Send + 'static, lines: &Lines) {
    let lines = Arc::clone(lines);
    std::thread::spawn(move || {
        for line in BufReader::new(output).lines().map_while(Result::ok) {
            let mut lines = lines.lock().unwrap_or_else(PoisonError::into_inner);
            if lines.len() < LINES_MAX {
                lines.push((Instant::now(), line));
            }
        }
    });
}

/// The words of a server whose shards all accept.
pub(crate) const LISTENING: &str = "socketshard listening on ";
const START_WAIT: Duration = Duration::from_secs(20);
const STOP_WAIT: Duration = Duration::from_secs(5);
const LOOK: Duration = Duration::from_millis(1);
/// A round has some dozens.
const LINES_MAX: usize = 10_000;
