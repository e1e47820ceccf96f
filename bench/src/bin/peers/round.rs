//! One contestant's turn: its server is started anew, the generator plays once against it, and both are ended. Nothing
//! survives a turn but the figures.

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::child::{Child, keep_on};
use crate::measurement::Measurement;
use crate::peer::Ready;
use crate::scenario::Contestant;
use crate::workshop::Workshop;

/// What a run may take beyond its own time: connecting ten thousand at a slow server's pace, draining, goodbyes.
const PATIENCE: Duration = Duration::from_secs(90);
/// Between looks at whether the generator ended.
const LOOK: Duration = Duration::from_millis(20);
/// Idle connections are looked at after this long: as long as it takes a server to settle.
const IDLE_DURATION: Duration = Duration::from_secs(1);
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
        let runs = contestant.runs.iter().map(|arguments| {
            let result = self.run(contestant, ready, arguments, is_idle);
            match result {
                Ok(result) => Measurement::read(round, &result, !is_idle),
                Err(problem) => Measurement::failed(round, problem),
            }
        });
        let mut runs: Vec<Measurement> = runs.collect();
        let last = runs.pop().expect("a contestant has a run");
        match runs.pop() {
            Some(few) => Measurement::growth(&few, &last),
            None => last,
        }
    }

    fn run(
        &self,
        contestant: &Contestant,
        ready: &Ready,
        arguments: &[String],
        is_idle: bool,
    ) -> Result<Value, String> {
        let mut cpus = vec![self.server_cpu];
        if contestant.server_cpus > 1 {
            cpus.push(self.generator_cpu);
        }
        let child = Child::start(ready.command(&contestant.server), &cpus)?;
        let warmup = if contestant.peer.is_node() { self.node_warmup } else { self.warmup };
        let (warmup, duration) = if is_idle { (Duration::ZERO, IDLE_DURATION) } else { (warmup, self.duration) };
        let seconds = |duration: Duration| format!("{}ms", duration.as_millis());
        let file = self.scratch.join("run.json");
        // What the last run left must not be taken for this one's.
        let _ = std::fs::remove_file(&file);
        let mut command = Command::new(&self.generator);
        command.args(arguments).arg("--target").arg(format!("ws://{}", child.address()));
        command.arg("--server-pid").arg(child.pid().to_string()).arg("--cpus").arg(self.generator_cpu.to_string());
        command.arg("--duration").arg(seconds(duration)).arg("--warmup").arg(seconds(warmup));
        command.arg("--quiet").arg("--json").arg(&file);
        finish(command, warmup + duration + PATIENCE)?;
        let text = std::fs::read_to_string(&file).map_err(|error| format!("the generator's result: {error}"))?;
        serde_json::from_str(&text).map_err(|error| format!("the generator's result: {error}"))
    }
}

/// Runs the generator to its end, at most so long; what it complained of if it failed.
fn finish(mut command: Command, patience: Duration) -> Result<(), String> {
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    keep_on(&mut command, &[]);
    let mut process = command.spawn().map_err(|error| format!("cannot start the generator: {error}"))?;
    let mut complaint = process.stderr.take().expect("stderr is a pipe");
    let reader = std::thread::spawn(move || {
        let mut text = String::new();
        // A pipe that breaks leaves what was read.
        let _ = std::io::Read::read_to_string(&mut complaint, &mut text);
        text
    });
    let deadline = Instant::now() + patience;
    let status = loop {
        match process.try_wait() {
            Ok(Some(status)) => break status,
            Ok(None) if Instant::now() < deadline => std::thread::sleep(LOOK),
            _ => {
                // It may have ended in between; then there is nothing to kill.
                let _ = process.kill();
                let _ = process.wait();
                return Err(format!("the generator did not end within {} s", patience.as_secs()));
            }
        }
    };
    let said = reader.join().unwrap_or_default();
    let said = said.trim();
    let said = &said[..said.floor_char_boundary(COMPLAINT_BYTES_MAX)];
    if status.success() { Ok(()) } else { Err(format!("the generator failed ({status}): {said}")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_generator_that_fails_or_hangs_is_an_error() {
        let mut failing = Command::new("sh");
        failing.args(["-c", "echo refused >&2; exit 1"]);
        let problem = finish(failing, Duration::from_secs(20)).expect_err("it fails");
        assert!(problem.contains("refused"), "{problem}");
        let mut hanging = Command::new("sleep");
        hanging.arg("60");
        let problem = finish(hanging, Duration::ZERO).expect_err("no patience at all");
        assert!(problem.contains("did not end"), "{problem}");
    }
}
