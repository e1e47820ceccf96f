#![allow(unsafe_code)] // what a child does between fork and exec (affinity, death signal), and SIGTERM by its pid
//! A server under comparison as a child of ours: kept on its CPUs, known to listen by a line of its output, ended by its
//! pid, and by the kernel if we die first. Never touches a process that it did not start.

use std::collections::VecDeque;
use std::io::{self, BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::os::unix::process::CommandExt;
use std::process::{Child as Process, Command, Stdio};
use std::sync::mpsc::{RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// How long a server may take until it listens.
const START_WAIT: Duration = Duration::from_secs(20);
/// How long it may take to end after SIGTERM, before SIGKILL.
const STOP_WAIT: Duration = Duration::from_secs(5);
/// Between looks at whether it ended.
const LOOK: Duration = Duration::from_millis(5);
/// Lines of its output that are kept for an error, and bytes of each.
const LINES_MAX: usize = 8;
const LINE_BYTES_MAX: usize = 300;

type Tail = Arc<Mutex<VecDeque<String>>>;

/// A running server. It is ended when this is dropped.
#[derive(Debug)]
pub(crate) struct Child {
    process: Process,
    address: SocketAddr,
}

impl Child {
    /// Starts a command on those CPUs and waits until it says where it listens.
    pub(crate) fn start(mut command: Command, cpus: &[usize]) -> Result<Self, String> {
        let name = command.get_program().to_string_lossy().into_owned();
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        keep_on(&mut command, cpus);
        let mut process = command.spawn().map_err(|error| format!("cannot start {name}: {error}"))?;
        let tail = Tail::default();
        let (sender, receiver) = sync_channel(1);
        watch(process.stdout.take().expect("stdout is a pipe"), &tail, sender.clone());
        watch(process.stderr.take().expect("stderr is a pipe"), &tail, sender);
        let problem = match receiver.recv_timeout(START_WAIT) {
            Ok(address) => return Ok(Self { process, address }),
            Err(RecvTimeoutError::Timeout) => format!("did not listen within {} s", START_WAIT.as_secs()),
            Err(RecvTimeoutError::Disconnected) => "ended before it listened".to_owned(),
        };
        // It may have ended by itself; then there is nothing to kill.
        let _ = process.kill();
        let _ = process.wait();
        let lines: Vec<String> = tail.lock().map(|tail| tail.iter().cloned().collect()).unwrap_or_default();
        Err(format!("{name} {problem}: {}", lines.join(" | ")))
    }

    /// Its process.
    pub(crate) fn pid(&self) -> u32 {
        self.process.id()
    }

    /// Where it listens.
    pub(crate) const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Asks it to end, and ends it if it does not.
    fn stop(&mut self) {
        if !matches!(self.process.try_wait(), Ok(None)) {
            return;
        }
        let pid = libc::pid_t::try_from(self.process.id()).expect("the kernel's pids fit");
        // SAFETY: no memory is involved; the child is not reaped yet, so that the pid is still its own.
        unsafe { libc::kill(pid, libc::SIGTERM) };
        let deadline = Instant::now() + STOP_WAIT;
        while Instant::now() < deadline {
            if !matches!(self.process.try_wait(), Ok(None)) {
                return;
            }
            std::thread::sleep(LOOK);
        }
        // Errors mean that it is gone.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Keeps a command on those CPUs, and lets it die with the thread that starts it: the main one, so with us.
pub(crate) fn keep_on(command: &mut Command, cpus: &[usize]) {
    // SAFETY: an all-zero set is a valid value of this plain structure.
    let mut set: libc::cpu_set_t = unsafe { std::mem::zeroed() };
    for &cpu in cpus.iter().filter(|&&cpu| cpu < libc::CPU_SETSIZE as usize) {
        // SAFETY: the index is below the set's capacity.
        unsafe { libc::CPU_SET(cpu, &mut set) };
    }
    let is_free = cpus.is_empty();
    // SAFETY: between fork and exec only system calls are made, on memory that was prepared before.
    unsafe {
        command.pre_exec(move || {
            libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
            if is_free || libc::sched_setaffinity(0, size_of::<libc::cpu_set_t>(), &raw const set) == 0 {
                Ok(())
            } else {
                Err(io::Error::last_os_error())
            }
        });
    }
}

/// Reads a pipe to its end, so that its writer never waits for us.
fn watch(pipe: impl Read + Send + 'static, tail: &Tail, sender: SyncSender<SocketAddr>) {
    let tail = Arc::clone(tail);
    std::thread::spawn(move || {
        for line in BufReader::new(pipe).lines().map_while(Result::ok) {
            if let Some(address) = listening(&line) {
                // A second address, or nobody who waits for it any more: then it is not wanted.
                let _ = sender.try_send(address);
            }
            if let Ok(mut tail) = tail.lock() {
                if tail.len() == LINES_MAX {
                    tail.pop_front();
                }
                tail.push_back(line[..line.floor_char_boundary(LINE_BYTES_MAX)].to_owned());
            }
        }
    });
}

/// The address in `… listening on 127.0.0.1:40123 …`.
fn listening(line: &str) -> Option<SocketAddr> {
    let (_, rest) = line.split_once("listening on ")?;
    rest.split(' ').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    #[test]
    fn a_server_is_known_by_its_line_and_ended_by_its_pid() {
        let child = Child::start(shell("echo listening on 127.0.0.1:4711; exec sleep 60"), &[]).expect("it listens");
        assert_eq!(child.address(), SocketAddr::from(([127, 0, 0, 1], 4711)));
        let status = format!("/proc/{}/status", child.pid());
        assert!(std::fs::exists(&status).expect("/proc can be read"));
        drop(child);
        assert!(!std::fs::exists(&status).expect("/proc can be read"), "it is gone and reaped");
    }

    #[test]
    fn one_that_never_listens_is_quoted() {
        let problem = Child::start(shell("echo no such module >&2; exit 3"), &[]).expect_err("it ends");
        assert!(problem.contains("ended before it listened") && problem.contains("no such module"), "{problem}");
    }

    #[test]
    fn a_listening_line_is_understood_with_words_around_it() {
        let line = "socketshard listening on 127.0.0.1:40123 shards=2";
        assert_eq!(listening(line), Some(SocketAddr::from(([127, 0, 0, 1], 40123))));
        assert_eq!(listening("listening on nowhere"), None);
        assert_eq!(listening("127.0.0.1:1"), None);
    }
}
