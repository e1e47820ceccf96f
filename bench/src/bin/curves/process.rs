//! The programs under measurement as children: a server on its CPUs, generators on theirs. Each is ended when it is
//! dropped, by its handle and no other way. Never measures anything.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use serde_json::Value;

/// How long a server may take until it listens.
const START_WAIT: Duration = Duration::from_secs(10);
/// How long a crowd may take to connect: 20,000 at 10,000 a second, and room to spare.
const CROWD_WAIT: Duration = Duration::from_secs(30);

/// Where the programs are, and which CPUs they use.
#[derive(Clone, Debug)]
pub(crate) struct Programs {
    pub(crate) folder: PathBuf,
    pub(crate) server_cpus: Vec<usize>,
    pub(crate) generator_cpus: Vec<usize>,
}

/// A child that does not outlive its owner.
#[derive(Debug)]
struct Owned(Child);

impl Drop for Owned {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A server that listens.
#[derive(Debug)]
pub(crate) struct Server {
    child: Owned,
    address: String,
    shards: usize,
}

/// Connections that are held in the background.
#[derive(Debug)]
pub(crate) struct Crowd {
    _child: Option<Owned>,
}

impl Server {
    /// How many connections it has, by the kernel's word: it may hold them without descriptors of the process.
    fn connections(&self) -> Result<u64, String> {
        let table = std::fs::read_to_string("/proc/net/tcp").map_err(|error| format!("/proc/net/tcp: {error}"))?;
        let port = self.address.rsplit(':').next().and_then(|port| port.parse::<u16>().ok());
        let port = port.ok_or_else(|| format!("{} has no port", self.address))?;
        Ok(established(&table, &format!(":{port:04X}")))
    }
}

impl Programs {
    /// Starts a server with a shard on each of its CPUs.
    pub(crate) fn serve(&self) -> Result<Server, String> {
        let shards = self.server_cpus.len();
        let mut command = Command::new(self.folder.join("socketshard"));
        command.args(["start", "--listen", "127.0.0.1:0", "--log-level", "error"]);
        command.args(["--shards", &shards.to_string(), "--cpus", &list(&self.server_cpus)]);
        let mut child = start(&mut command)?;
        let stdout = child.0.stdout.take().expect("stdout is a pipe");
        let (sender, receiver) = mpsc::sync_channel(1);
        // Reads on to the end, so that the server never waits for its own output.
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                if let Some(address) = listening(&line) {
                    let _ = sender.try_send(address);
                }
            }
        });
        let address = receiver.recv_timeout(START_WAIT).map_err(|_| "the server did not say that it listens")?;
        Ok(Server { child, address, shards })
    }

    /// Runs the generator against a server to its end; what it found.
    pub(crate) fn generate(&self, server: &Server, arguments: &[String]) -> Result<Value, String> {
        let mut command = self.generator(server, arguments);
        let output = command.args(["--json", "-"]).output().map_err(|error| problem(&command, &error))?;
        let said = String::from_utf8_lossy(&output.stderr);
        if !output.status.success() {
            let tail: Vec<_> = said.lines().rev().take(5).collect();
            return Err(format!("loadgen {} ended with {}: {tail:?}", arguments.join(" "), output.status));
        }
        let text = String::from_utf8_lossy(&output.stdout);
        serde_json::from_str(&text).map_err(|error| format!("loadgen's result is no JSON: {error}"))
    }

    /// Holds idle connections to a server until the crowd is dropped. They are there when this returns.
    pub(crate) fn crowd(&self, server: &Server, connections: u64) -> Result<Crowd, String> {
        if connections == 0 {
            return Ok(Crowd { _child: None });
        }
        let arguments = ["idle", "-d", "10m", "-c", &connections.to_string()].map(str::to_owned);
        let mut child = start(&mut self.generator(server, &arguments))?;
        let deadline = Instant::now() + CROWD_WAIT;
        while server.connections()? < connections {
            if let Ok(Some(status)) = child.0.try_wait() {
                return Err(format!("the generator of {connections} idle connections ended with {status}"));
            }
            if Instant::now() > deadline {
                return Err(format!("{connections} idle connections did not come up in {} s", CROWD_WAIT.as_secs()));
            }
            std::thread::sleep(Duration::from_millis(200));
        }
        Ok(Crowd { _child: Some(child) })
    }

    fn generator(&self, server: &Server, arguments: &[String]) -> Command {
        let mut command = Command::new(self.folder.join("socketshard-loadgen"));
        command.args(arguments).arg("--quiet").args(["--target", &format!("ws://{}", server.address)]);
        command.args(["--server-pid", &server.child.0.id().to_string()]);
        command.args(["--server-shards", &server.shards.to_string(), "--cpus", &list(&self.generator_cpus)]);
        command
    }
}

fn start(command: &mut Command) -> Result<Owned, String> {
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    command.spawn().map(Owned).map_err(|error| problem(command, &error))
}

fn problem(command: &Command, error: &std::io::Error) -> String {
    let program = Path::new(command.get_program()).display();
    format!("cannot start {program}: {error}; cargo build --release -p socketshard -p socketshard-loadgen makes it")
}

/// `0,2,3`.
fn list(cpus: &[usize]) -> String {
    cpus.iter().map(usize::to_string).collect::<Vec<_>>().join(",")
}

/// The address in `socketshard listening on 127.0.0.1:40123 shards=2`.
fn listening(line: &str) -> Option<String> {
    line.strip_prefix("socketshard listening on ")?.split(' ').next().map(str::to_owned)
}

/// Established connections of a local port in the kernel's table of sockets, both in its notation.
fn established(table: &str, port: &str) -> u64 {
    let is_ours = |line: &&str| {
        let mut columns = line.split_ascii_whitespace().skip(1);
        let is_local = columns.next().is_some_and(|local| local.ends_with(port));
        is_local && columns.nth(1) == Some("01")
    };
    table.lines().filter(is_ours).count() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_programs_and_the_kernel_say_is_understood() {
        assert_eq!(listening("socketshard listening on 127.0.0.1:9 shards=2").as_deref(), Some("127.0.0.1:9"));
        assert_eq!(listening("hello"), None);
        let table = "  sl  local_address rem_address   st tx_queue\n   0: 0100007F:1F90 00000000:0000 0A 0\n   \
                     1: 0100007F:1F90 0100007F:C350 01 0\n   2: 0100007F:C350 0100007F:1F90 01 0\n";
        assert_eq!((established(table, ":1F90"), established(table, ":0050")), (1, 0));
        assert_eq!(list(&[0, 2, 3]), "0,2,3");
    }

    #[test]
    fn a_missing_program_is_named_with_what_builds_it() {
        let programs =
            Programs { folder: PathBuf::from("/nonexistent"), server_cpus: vec![0], generator_cpus: vec![1] };
        let problem = programs.serve().expect_err("nothing there");
        assert!(problem.contains("/nonexistent/socketshard") && problem.contains("cargo build"), "{problem}");
    }
}
