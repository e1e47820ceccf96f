//! The server under the seccomp profile that ships in core/deploy, and whatever it does otherwise: a call that the profile
//! does not name ends it at once.

use harness::http::Http;
use harness::member::Member;
use harness::process::Process;
use harness::server::{Server, command, start_command};
use harness::system::{self, Refusal};
use harness::tls::{Certificates, TlsClient};
use harness::wait::{self, PATIENCE};
use serde_json::{Value, json};

use crate::{Directory, ask, child, is_alive, next_child, text};

const PROFILE: &str = include_str!("../../core/deploy/seccomp.json");

/// TLS, sessions in a store, files, an admin listener, ended by SIGTERM in order.
#[test]
fn everything_that_the_server_does_is_in_the_profile_that_ships() {
    let (place, certificates) = (Directory::new("confined"), Certificates::new());
    std::fs::create_dir(place.0.join("files")).expect("a directory");
    std::fs::write(place.0.join("files/page.html"), "a page").expect("a file");
    let certificate = certificates.write("server", &["localhost"], 2090);
    let (file, key, files) =
        (certificates.certificate("server"), certificates.key("server"), text(&place.0.join("files")));
    let own_table = ["--direct-descriptors", "100"];
    for table in [[].as_slice(), &own_table] {
        let mut command = start_command();
        command.args(["--shards", "2", "--tls-listen", "127.0.0.1:0", "--tls-cert", &file, "--tls-key", &key]);
        command.args(["--static", &files, "--admin-listen", "127.0.0.1:0"]).args(place.session_flags()).args(table);
        system::confine(&mut command, PROFILE, Refusal::Kill);
        let server = Server::from_command(command);
        assert_eq!(Http::get(server.address(), "/page.html").body, b"a page");
        assert_eq!(Http::get(server.admin_address(), "/healthz").status, 200);
        let (mut near, mut far) = Member::pair(server.address());
        far.subscribe("news");
        near.publish("news", &json!(1));
        assert_eq!(far.publication(), ("news".to_owned(), json!(1)));
        assert_eq!(near.call("app.square", &json!(25)), Ok(json!(625)));
        assert_eq!(near.call("session.set", &json!(["a", 1])), Ok(json!(true)), "durable");
        let mut secure = TlsClient::connect(server.tls_address(), "localhost", &certificate).expect("TLS is spoken");
        secure.upgrade("localhost", "/echo", &[]).expect("the route is there");
        secure.echo(&[7; 100_000]);
        near.into_socket().reset();
        server.signal(libc::SIGHUP);
        server.signal(libc::SIGUSR1);
        wait::until("both were heard", PATIENCE, || {
            let log = server.stderr();
            (log.contains("certificates are read again") && log.matches("passes=").count() == 2).then_some(())
        });
        server.signal(libc::SIGTERM);
        drop((far, secure));
        let exit = server.into_process().wait(PATIENCE);
        assert_eq!(exit.code(), 0, "{exit}");
    }
}

/// A death and a hand-over, and a manager who is told.
#[test]
fn everything_that_the_supervisor_does_is_in_the_profile_that_ships() {
    let place = Directory::new("confined-supervisor");
    let manager = place.0.join("manager");
    let hears = std::os::unix::net::UnixDatagram::bind(&manager).expect("a socket");
    let mut command = start_command();
    command.args(["--shards", "2", "--supervise", "--restart-delay", "0s", "--drain", "20s", "--drain-spread", "1s"]);
    command.args(place.session_flags()).env("NOTIFY_SOCKET", &manager).env("WATCHDOG_USEC", "900000");
    system::confine(&mut command, PROFILE, Refusal::Kill);
    let server = Server::from_command(command);
    hears.set_read_timeout(Some(PATIENCE)).expect("an option");
    let mut said = [0; 64];
    // Signs of life may come before.
    while hears.recv(&mut said).is_ok_and(|length| &said[..length] != b"READY=1") {}
    assert!(said.starts_with(b"READY=1"), "it is told");
    let first = child(&server);
    system::signal(first, libc::SIGKILL);
    let second = next_child(&server, first, 2);
    ask(server.address());
    server.signal(libc::SIGUSR2);
    let third = next_child(&server, second, 3);
    ask(server.address());
    wait::until("the old one has gone", PATIENCE, || (!is_alive(second)).then_some(()));
    assert_eq!(child(&server), third);
    wait::until("its end is told", PATIENCE, || server.stderr().contains("the old server has gone").then_some(()));
    let log = server.stderr();
    assert_eq!(log.matches("the server has died").count(), 1, "only of what was done to it: {log}");
    assert!(log.contains("exit code 0"), "{log}");
    server.signal(libc::SIGTERM);
    let exit = server.into_process().wait(PATIENCE);
    assert_eq!(exit.code(), 0, "{exit}");
}

/// Where new privileges are not forbidden, an engine confines the container first and makes itself the server's user after
/// that, so that it is confined as well: one call of it that is refused, and no container starts.
#[test]
fn what_engines_call_until_the_server_begins_is_in_the_profile_that_ships() {
    let profile: Value = serde_json::from_str(PROFILE).expect("a profile is JSON");
    let groups = profile["syscalls"].as_array().expect("groups of calls");
    let names: Vec<_> = groups.iter().flat_map(|group| group["names"].as_array().expect("names")).collect();
    for call in CALLS_OF_ENGINES {
        assert!(names.iter().any(|name| *name == call), "{call} is refused");
    }
}

/// What looks at a machine calls more than what serves, and is run in containers as well.
#[test]
fn the_doctor_is_in_the_profile_that_ships_and_what_is_not_fails_and_kills_nobody() {
    let mut doctor = command();
    doctor.arg("doctor");
    system::confine(&mut doctor, PROFILE, Refusal::Kill);
    let exit = Process::run(doctor, PATIENCE);
    assert!(exit.status.code().is_some() && exit.stdout.contains("io_uring"), "{exit}");
    let mut outsider = std::process::Command::new("unshare");
    outsider.args(["--user", "true"]);
    system::confine(&mut outsider, PROFILE, Refusal::Fail);
    let exit = Process::run(outsider, PATIENCE);
    assert!(exit.code() != 0 && exit.stderr.contains("not permitted"), "{exit}");
}

/// What strace saw of crun 1.8 and 1.28 and of runc 1.1 and 1.3 from the filter to the server's first call; `faccessat` is what
/// runc falls back to, and its own `fchown` of the standard streams may fail.
const CALLS_OF_ENGINES: &[&str] = &[
    "capget",
    "capset",
    "chdir",
    "close",
    "close_range",
    "epoll_ctl",
    "execve",
    "faccessat",
    "faccessat2",
    "fcntl",
    "fstat",
    "fstatfs",
    "futex",
    "getcwd",
    "getdents64",
    "getpid",
    "getppid",
    "newfstatat",
    "openat",
    "openat2",
    "prctl",
    "pselect6",
    "read",
    "readlinkat",
    "rt_sigaction",
    "rt_sigprocmask",
    "rt_sigreturn",
    "setgid",
    "setgroups",
    "setresgid",
    "setresuid",
    "setuid",
    "statx",
    "tgkill",
    "write",
];
