//! One load of a round: a scenario, played by this program as a process of its own.

use std::ffi::OsString;
use std::io::Read;
use std::process::{Child, Command, Stdio};
use std::thread::JoinHandle;
use std::time::Duration;

use serde_json::Value;

use super::args::Args;
use crate::server::Address;

/// How long connections may take to be answered after the measurement: a machine that does other things too.
const DRAIN: &str = "10s";

/// The channels of the fan-out, which slow readers hear as well.
pub(super) const CHANNEL_PREFIX: &str = "soak/";

/// A scenario that runs. It is ended when this is dropped.
#[derive(Debug)]
pub(super) struct Load {
    pub(super) name: &'static str,
    child: Child,
    /// What it writes, read all the time: pipes are short.
    output: Option<JoinHandle<String>>,
    complaint: Option<JoinHandle<String>>,
}

/// All loads of a round.
pub(super) fn all(args: &Args, address: &Address) -> Result<Vec<Load>, String> {
    let (half, third) = ((args.connections / 2).max(2), (args.connections / 3).max(1));
    let tenth = (args.rate / 10.0).max(1.0);
    let calls = format!("-c {third} -R {}/s", (args.rate / 3.0).max(1.0));
    let rooms = (half / 10).max(1);
    let loads = [
        ("calls", format!("rpc {calls}")),
        ("socketio", format!("rpc --protocol socketio --action app.echo {calls}")),
        ("polling", format!("rpc --protocol socketio-polling --action app.echo {calls}")),
        ("sessions", format!("rpc --action session.increment --data \"visits\" -c {rooms} -R {tenth}/s")),
        (
            "events",
            format!(
                "fanout --protocol socketio --channel-prefix events/ --subscribers {rooms} --publishers 2 -R {tenth}/s"
            ),
        ),
        (
            "fanout",
            format!(
                "fanout --channel-prefix {CHANNEL_PREFIX} --subscribers {half} --publishers 4 --channels 4 -s 2KiB -R {tenth}/s"
            ),
        ),
        (
            "users",
            format!(
                "presence --users {half} --connections {half} --rooms {rooms} --stay 300ms --leave disconnect -R {tenth}/s"
            ),
        ),
        ("churn", format!("connect -c 32 -R {tenth}/s")),
    ];
    loads.into_iter().map(|(name, line)| Load::start(name, &line, args.interval, address)).collect()
}

impl Load {
    fn start(name: &'static str, line: &str, interval: Duration, address: &Address) -> Result<Self, String> {
        let program = std::env::current_exe().map_err(|error| format!("cannot find this program: {error}"))?;
        let mut command = Command::new(program);
        command.args(line.split(' ').map(OsString::from));
        command.args([
            "--target",
            &format!("ws://{}", address.host),
            "--duration",
            &format!("{}ms", interval.as_millis()),
        ]);
        command.args(["--warmup", "200ms", "--drain", DRAIN, "--quiet", "--json", "-"]);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().map_err(|error| format!("cannot start {name}: {error}"))?;
        let output = child.stdout.take().map(read_all);
        let complaint = child.stderr.take().map(read_all);
        Ok(Self { name, child, output, complaint })
    }

    pub(super) fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// What it found.
    pub(super) fn result(mut self) -> Result<(&'static str, Value), String> {
        let name = self.name;
        let status = self.child.wait().map_err(|error| format!("{name} cannot be waited for: {error}"))?;
        let text =
            |reader: Option<JoinHandle<String>>| reader.and_then(|reader| reader.join().ok()).unwrap_or_default();
        let (output, complaint) = (text(self.output.take()), text(self.complaint.take()));
        serde_json::from_str(&output)
            .map(|value| (name, value))
            .map_err(|_| format!("{name} has measured nothing ({status}): {}", complaint.trim()))
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        // It has ended, unless the round was interrupted.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn read_all(mut pipe: impl Read + Send + 'static) -> JoinHandle<String> {
    std::thread::spawn(move || {
        let mut text = String::new();
        // What is not text is no result.
        let _ = pipe.read_to_string(&mut text);
        text
    })
}
