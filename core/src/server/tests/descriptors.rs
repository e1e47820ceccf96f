#![allow(unsafe_code)] // setrlimit(2) has no safe wrapper in the libraries at hand
//! A process without descriptors to spare. The limit is the whole process's, so the test runs itself again as a process
//! of its own, and lowers it there.

use std::fs::File;
use std::io::{self, Write};
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use socket2::{Domain, Socket, Type};
use tracing_subscriber::fmt::MakeWriter;

use super::client::Client;
use super::running::Running;
use crate::config::Settings;

const NAME: &str = "server::tests::descriptors::connections_that_find_no_descriptor_are_served_when_there_is_one";
const CHILD: &str = "SOCKETSHARD_TEST_DESCRIPTORS";

#[test]
fn connections_that_find_no_descriptor_are_served_when_there_is_one() {
    if std::env::var_os(CHILD).is_some() {
        return starve();
    }
    let program = std::env::current_exe().expect("this program");
    let child = Command::new(program).args(["--exact", NAME, "--nocapture"]).env(CHILD, "1").output();
    let output = child.expect("this program runs");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.contains("1 passed"), "{said}{}", String::from_utf8_lossy(&output.stderr));
}

fn starve() {
    let limit = libc::rlimit { rlim_cur: 100, rlim_max: 100 };
    // SAFETY: a valid structure, only read.
    assert_eq!(unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit) }, 0);
    let log = Log::default();
    tracing_subscriber::fmt().with_writer(log.clone()).init();
    let running = Running::start(1, &Settings::default(), |_| {});
    let sockets: Vec<_> =
        (0..10).map(|_| Socket::new(Domain::IPV4, Type::STREAM, None).expect("a descriptor")).collect();
    let fillers: Vec<_> = std::iter::from_fn(|| File::open("/dev/null").ok()).collect();
    assert!(fillers.len() > 10);
    for socket in &sockets {
        socket.connect(&running.address.into()).expect("the kernel accepts for the server");
    }
    let deadline = Instant::now() + Duration::from_secs(30);
    while !log.contains("cannot accept connections") {
        assert!(Instant::now() < deadline, "the server does not notice");
        std::thread::yield_now();
    }
    drop(fillers);
    let mut clients: Vec<_> = sockets.into_iter().map(|socket| Client::upgrade(socket.into())).collect();
    clients.iter_mut().for_each(|client| client.echo(b"served"));
    drop(clients);
    let report = running.stop_one();
    assert!(report.count("accepts_failed") > 0, "{report:?}");
    assert_eq!((report.count("accepted"), report.count("closed")), (10, 10), "{report:?}");
}

/// What was logged.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    fn contains(&self, words: &str) -> bool {
        String::from_utf8_lossy(&self.0.lock().expect("no writer panics")).contains(words)
    }
}

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().expect("no writer panics").write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Log {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}
