//! A child process whose output is kept and whose end is certain: it is killed by its own id when dropped. It never
//! touches a process that it did not start.

use std::collections::VecDeque;
use std::fmt;
use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crate::system;
use crate::wait;

/// A running child.
#[derive(Debug)]
pub struct Process {
    child: Child,
    program: String,
    stdout: Stream,
    stderr: Stream,
}

/// How a child ended, with everything it said.
#[derive(Clone, Debug)]
pub struct Exit {
    /// What it returned, or the signal that ended it.
    pub status: ExitStatus,
    /// Its standard output.
    pub stdout: String,
    /// Its standard error.
    pub stderr: String,
}

impl Process {
    /// Starts the command with both outputs captured and no input.
    ///
    /// # Panics
    /// When the program cannot be started.
    #[must_use]
    pub fn start(mut command: Command) -> Self {
        let program = command.get_program().to_string_lossy().into_owned();
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap_or_else(|error| panic!("cannot start {program}: {error}"));
        let stdout = Stream::follow(child.stdout.take().expect("stdout was just piped"));
        let stderr = Stream::follow(child.stderr.take().expect("stderr was just piped"));
        Self { child, program, stdout, stderr }
    }

    /// Runs the command to its end.
    ///
    /// # Panics
    /// When it does not end within `limit`.
    #[must_use]
    pub fn run(command: Command, limit: Duration) -> Exit {
        Self::start(command).wait(limit)
    }

    /// Waits for the child to end by itself.
    ///
    /// # Panics
    /// When it does not within `limit`: then it is killed, and its last words are shown.
    #[must_use]
    pub fn wait(mut self, limit: Duration) -> Exit {
        let end = std::time::Instant::now() + limit;
        loop {
            if let Some(status) = self.status() {
                self.stdout.join();
                self.stderr.join();
                return Exit { status, stdout: self.stdout.text(), stderr: self.stderr.text() };
            }
            assert!(wait::remaining(end).is_some(), "{} did not end within {limit:?}\n{self}", self.program);
            thread::sleep(Duration::from_millis(2));
        }
    }

    /// Sends a signal.
    pub fn signal(&self, signal: i32) {
        system::signal(self.pid(), signal);
    }

    /// How it ended, if it has.
    pub fn status(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("a child that was not waited for can be asked")
    }

    /// The process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Complete lines of standard output so far, the oldest dropped beyond the bound.
    #[must_use]
    pub fn stdout_lines(&self) -> Vec<String> {
        self.stdout.lines()
    }

    /// What it wrote to standard error so far.
    #[must_use]
    pub fn stderr(&self) -> String {
        self.stderr.text()
    }

    /// Bytes of memory that are resident now.
    #[must_use]
    pub fn resident_bytes(&self) -> u64 {
        let status = self.proc_file("status");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("a live process has VmRSS");
        let kib = line.trim().trim_end_matches(" kB").parse::<u64>().expect("VmRSS is a number of kB");
        kib << 10
    }

    /// Open descriptors now.
    #[must_use]
    pub fn descriptors(&self) -> usize {
        fs::read_dir(format!("/proc/{}/fd", self.pid())).expect("a live process has descriptors").count()
    }

    /// The processes that it has started and that were not waited for yet, the oldest first.
    #[must_use]
    pub fn children(&self) -> Vec<u32> {
        let text = self.proc_file(&format!("task/{}/children", self.pid()));
        text.split_whitespace().map(|pid| pid.parse().expect("process ids are numbers")).collect()
    }

    fn proc_file(&self, name: &str) -> String {
        fs::read_to_string(format!("/proc/{}/{name}", self.pid()))
            .unwrap_or_else(|error| panic!("/proc/{}/{name}: {error}\n{self}", self.pid()))
    }
}

impl fmt::Display for Process {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "--- stdout of {}\n{}\n--- its stderr\n{}", self.program, self.stdout.text(), self.stderr())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Both fail only for a child that has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if thread::panicking() {
            eprintln!("{self}");
        }
    }
}

impl Exit {
    /// The exit code.
    ///
    /// # Panics
    /// When a signal ended it.
    #[must_use]
    pub fn code(&self) -> i32 {
        self.status.code().unwrap_or_else(|| panic!("ended by signal {:?}\n{self}", self.status.signal()))
    }
}

impl fmt::Display for Exit {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}\n--- stdout\n{}\n--- stderr\n{}", self.status, self.stdout, self.stderr)
    }
}

/// One output of a child, read by a thread of its own so that the child never blocks on it.
#[derive(Debug)]
struct Stream {
    lines: Arc<Mutex<VecDeque<String>>>,
    reader: Option<JoinHandle<()>>,
}

impl Stream {
    fn follow(source: impl Read + Send + 'static) -> Self {
        let lines = Arc::new(Mutex::new(VecDeque::new()));
        let sink = Arc::clone(&lines);
        let reader = thread::spawn(move || {
            for line in BufReader::new(source).split(b'\n').map_while(Result::ok) {
                let mut lines = sink.lock().unwrap_or_else(PoisonError::into_inner);
                if lines.len() == LINES_MAX {
                    lines.pop_front();
                }
                lines.push_back(String::from_utf8_lossy(&line).into_owned());
            }
        });
        Self { lines, reader: Some(reader) }
    }

    /// Waits for the end of the output, which comes with the end of the child.
    fn join(&mut self) {
        if let Some(reader) = self.reader.take() {
            reader.join().expect("the reader of an output does not panic");
        }
    }

    fn lines(&self) -> Vec<String> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }

    fn text(&self) -> String {
        self.lines().join("\n")
    }
}

/// Enough for every test's reading; a child that logs without end costs a bounded amount.
const LINES_MAX: usize = 10_000;

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    #[test]
    fn output_and_exit_code_are_kept() {
        let exit = Process::run(shell("echo out; echo err >&2; exit 7"), wait::PATIENCE);
        assert_eq!((exit.code(), exit.stdout.as_str(), exit.stderr.as_str()), (7, "out", "err"));
    }

    #[test]
    fn a_dropped_child_is_gone() {
        let process = Process::start(shell("echo up; exec sleep 600"));
        wait::until("the child speaks", wait::PATIENCE, || process.stdout_lines().pop());
        let path = format!("/proc/{}", process.pid());
        assert!(process.resident_bytes() > 0 && process.descriptors() >= 3);
        drop(process);
        assert!(!std::path::Path::new(&path).exists());
    }

    #[test]
    fn a_signal_arrives() {
        let process = Process::start(shell("trap 'exit 9' TERM; echo up; while :; do sleep 0.01; done"));
        wait::until("the child speaks", wait::PATIENCE, || process.stdout_lines().pop());
        process.signal(libc::SIGTERM);
        assert_eq!(process.wait(wait::PATIENCE).code(), 9);
    }

    #[test]
    #[should_panic(expected = "did not end within")]
    fn a_child_that_hangs_is_named() {
        let _ = Process::run(shell("exec sleep 600"), Duration::from_millis(20));
    }
}
