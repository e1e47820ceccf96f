//! One contestant's turn: its server is started anew, the generator plays once against it, and both are ended. Nothing
//! survives a turn but the figures.

use std::io::Read as _;
use std::path::PathBuf;
use std::process::{Child as Process, Command, Stdio};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::child::{Child, keep_on};
use crate::measurement::Measurement;
use crate::peer::Ready;
use crate::scenario::{Contestant, Held};
use crate::workshop::Workshop;

/// What a run may take beyond its own time: connecting ten thousand at a slow server's pace, draining, goodbyes.
const PATIENCE: Duration = Duration::from_secs(90);
/// Between looks at whether the generator ended.
const LOOK: Duration = Duration::from_millis(20);
/// Idle connections are looked at after this long: as long as it takes a server to settle.
const IDLE_DURATION: Duration = Duration::from_secs(1);
/// The churn of handshakes before idle memory is measured: thousands of them.
const CHURN_DURATION: Duration = Duration::from_millis(500);
/// From the last connection that is held to the first that counts: subscriptions are made meanwhile.
const SETTLING: Duration = Duration::from_secs(1);
/// Bytes of the generator's complaint that are kept.
const COMPLAINT_BYTES_MAX: usize = 300;

/// How all turns are played.
#[derive(Clone, Debug)]
pub(crate) struct Rules {
    pub(crate) generator: PathBuf,
    pub(crate) scratch: PathBuf,
    pub(crate) server_cpu: usize,
    pub(crate) generator_cpu: usize,
    pub(crate) duration: Duration,
    pub(crate) warmup: Duration,
    /// Where a just-in-time compiler warms up first.
    pub(crate) node_warmup: Duration,
}

impl Rules {
    /// Rules for programs of that workshop; its scratch folder is made.
    pub(crate) fn new(
        workshop: &Workshop,
        [server_cpu, generator_cpu]: [usize; 2],
        [duration, warmup, node_warmup]: [Duration; 3],
    ) -> Result<Self, String> {
        let scratch = workshop.peers.join("scratch");
        std::fs::create_dir_all(&scratch).map_err(|error| format!("{}: {error}", scratch.display()))?;
        let generator = workshop.program("socketshard-loadgen");
        Ok(Self { generator, scratch, server_cpu, generator_cpu, duration, warmup, node_warmup })
    }

    /// Plays one contestant's turn of a round.
    pub(crate) fn play(&self, contestant: &Contestant, ready: &Ready, round: usize, is_idle: bool) -> Measurement {
        match self.run(contestant, ready, is_idle) {
            Ok(result) => Measurement::read(round, &result, !is_idle),
            Err(problem) => Measurement::failed(round, problem),
        }
    }

    fn run(&self, contestant: &Contestant, ready: &Ready, is_idle: bool) -> Result<Value, String> {
        let mut cpus = vec![self.server_cpu];
        if contestant.server_cpus > 1 {
            cpus.push(self.generator_cpu);
        }
        let child = Child::start(ready.command(&contestant.server), &cpus)?;
        let warmup = if contestant.peer.is_node() { self.node_warmup } else { self.warmup };
        let mut holder = contestant.held.as_ref().map(|held| self.hold(held, &child)).transpose()?;
        let (warmup, duration) = if is_idle { (Duration::ZERO, IDLE_DURATION) } else { (warmup, self.duration) };
        let file = self.scratch.join("run.json");
        // What the last run left must not be taken for this one's.
        let _ = std::fs::remove_file(&file);
        let mut command = self.generator(&contestant.load, &child, [warmup, duration]);
        command.arg("--json").arg(&file);
        let played = Generator::start(command)?.finish(warmup + duration + PATIENCE);
        if holder.as_mut().is_some_and(|holder| !holder.is_running()) {
            return Err("the connections that were to be held beside did not last".to_owned());
        }
        // A generator that measured nothing has failed, and its result says what it met.
        let text = match (std::fs::read_to_string(&file), played) {
            (Ok(text), _) => text,
            (Err(_), Err(problem)) => return Err(problem),
            (Err(error), Ok(())) => return Err(format!("the generator's result: {error}")),
        };
        serde_json::from_str(&text).map_err(|error| format!("the generator's result: {error}"))
    }

    /// Lets the server touch what it touches once, then holds connections for as long as what is returned lives.
    fn hold(&self, held: &Held, child: &Child) -> Result<Generator, String> {
        let churn = self.generator(&held.churn, child, [Duration::ZERO, CHURN_DURATION]);
        Generator::start(churn)?.finish(CHURN_DURATION + PATIENCE)?;
        let mut holder = Generator::start(self.generator(&held.load, child, [Duration::ZERO, 2 * PATIENCE]))?;
        // Its own sockets: a server may keep its connections where no descriptor shows them.
        let descriptors = format!("/proc/{}/fd", holder.process.id());
        let deadline = Instant::now() + PATIENCE;
        while std::fs::read_dir(&descriptors).map_or(0, Iterator::count)
            < usize::try_from(held.connections).unwrap_or(usize::MAX)
        {
            if !holder.is_running() || Instant::now() > deadline {
                return Err(format!("{} connections could not be held", held.connections));
            }
            std::thread::sleep(LOOK);
        }
        std::thread::sleep(SETTLING);
        Ok(holder)
    }

    fn generator(&self, load: &[String], child: &Child, [warmup, duration]: [Duration; 2]) -> Command {
        let milliseconds = |duration: Duration| format!("{}ms", duration.as_millis());
        let mut command = Command::new(&self.generator);
        command.args(load).arg("--quiet").arg("--target").arg(format!("ws://{}", child.address()));
        command.arg("--server-pid").arg(child.pid().to_string()).arg("--cpus").arg(self.generator_cpu.to_string());
        command.arg("--duration").arg(milliseconds(duration)).arg("--warmup").arg(milliseconds(warmup));
        command
    }
}

/// A running generator. It is ended when this is dropped.
#[derive(Debug)]
struct Generator {
    process: Process,
    complaint: Option<JoinHandle<String>>,
}

impl Generator {
    fn start(mut command: Command) -> Result<Self, String> {
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        keep_on(&mut command, &[]);
        let mut process = command.spawn().map_err(|error| format!("cannot start the generator: {error}"))?;
        let mut pipe = process.stderr.take().expect("stderr is a pipe");
        let complaint = std::thread::spawn(move || {
            let mut text = String::new();
            // A pipe that breaks leaves what was read.
            let _ = pipe.read_to_string(&mut text);
            text
        });
        Ok(Self { process, complaint: Some(complaint) })
    }

    fn is_running(&mut self) -> bool {
        matches!(self.process.try_wait(), Ok(None))
    }

    /// Waits for its end, at most so long; what it complained of if it failed.
    fn finish(mut self, patience: Duration) -> Result<(), String> {
        let deadline = Instant::now() + patience;
        let status = loop {
            match self.process.try_wait() {
                Ok(Some(status)) => break status,
                Ok(None) if Instant::now() < deadline => std::thread::sleep(LOOK),
                _ => return Err(format!("the generator did not end within {} s", patience.as_secs())),
            }
        };
        let said = self.complaint.take().and_then(|reader| reader.join().ok()).unwrap_or_default();
        let said = said.trim();
        let said = &said[..said.floor_char_boundary(COMPLAINT_BYTES_MAX)];
        if status.success() { Ok(()) } else { Err(format!("the generator failed ({status}): {said}")) }
    }
}

impl Drop for Generator {
    fn drop(&mut self) {
        // It may have ended already; then there is nothing to kill.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn generator(script: &str) -> Generator {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        Generator::start(command).expect("sh starts")
    }

    #[test]
    fn a_generator_that_fails_or_hangs_is_an_error() {
        let problem = generator("echo refused >&2; exit 1").finish(Duration::from_secs(20)).expect_err("it fails");
        assert!(problem.contains("refused"), "{problem}");
        let problem = generator("exec sleep 60").finish(Duration::ZERO).expect_err("no patience at all");
        assert!(problem.contains("did not end"), "{problem}");
        assert_eq!(generator("exit 0").finish(Duration::from_secs(20)), Ok(()));
    }

    #[test]
    fn a_generator_is_ended_with_what_holds_it() {
        let mut held = generator("exec sleep 60");
        assert!(held.is_running());
        let status = format!("/proc/{}/status", held.process.id());
        drop(held);
        assert!(!std::fs::exists(status).expect("/proc can be read"), "it is gone and reaped");
    }
}
