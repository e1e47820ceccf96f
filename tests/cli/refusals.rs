//! Machines on which the server cannot run: each is told apart by an exit code and a message that says the way out.

use std::net::{SocketAddr, TcpListener};
use std::process::Command;

use harness::process::{Exit, Process};
use harness::server::{self, Server};
use harness::system::{self, Resource};
use harness::wait::PATIENCE;

/// Expects the command to give up with that code, having said each of the words and having served nobody.
fn gives_up(command: Command, code: i32, words: &[&str]) -> Exit {
    let exit = Process::run(command, PATIENCE);
    assert_eq!(exit.code(), code, "{exit}");
    assert_eq!(exit.stdout, "", "it never says that it listens\n{exit}");
    for word in words {
        assert!(exit.stderr.contains(word), "the message mentions {word:?}\n{exit}");
    }
    assert!(!exit.stderr.contains("panicked"), "{exit}");
    exit
}

fn start_on(address: SocketAddr) -> Command {
    let mut command = server::command();
    command.args(["start", "--listen", &address.to_string()]);
    command
}

#[test]
fn a_key_file_that_cannot_be_had_is_66_for_check_too() {
    for command in ["start", "check"] {
        let mut missing = server::command();
        missing.args([command, "--auth-key-file", "/nowhere/key"]);
        gives_up(missing, 66, &["/nowhere/key", "No such file"]);
        let mut public = server::command();
        let key = concat!(env!("CARGO_MANIFEST_DIR"), "/data/keys/rsa.pub.pem");
        public.args([command, "--auth-key-file", &format!("HS256:{key}")]);
        gives_up(public, 66, &["not a key for HS256"]);
    }
}

#[test]
fn a_secret_on_the_command_line_is_refused_without_being_repeated() {
    let mut command = server::command();
    command.args(["start", "--auth-key", "open-sesame"]);
    let exit = gives_up(command, 2, &["SOCKETSHARD_AUTH_KEY"]);
    assert!(!exit.stderr.contains("sesame"), "{exit}");
}

#[test]
fn a_port_that_another_program_has_is_75() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback has a free port");
    let address = listener.local_addr().expect("a bound socket has an address");
    gives_up(start_on(address), 75, &[&address.to_string()]);
}

/// The shards share their port among themselves, but not with a second server.
#[test]
fn a_port_that_another_server_has_is_75() {
    let first = Server::start(&[]);
    gives_up(start_on(first.address()), 75, &[&first.address().to_string()]);
}

#[test]
fn an_address_of_another_machine_is_refused() {
    // 192.0.2.0/24 is kept for documentation (RFC 5737): no machine has it.
    gives_up(start_on(SocketAddr::from(([192, 0, 2, 1], 20_080))), 76, &["192.0.2.1:20080"]);
}

#[test]
fn io_uring_behind_a_seccomp_filter_is_10() {
    for errno in [libc::EPERM, libc::ENOSYS] {
        let mut command = server::start_command();
        system::deny_io_uring(&mut command, errno);
        gives_up(command, 10, &["io_uring", "seccomp"]);
    }
}

#[test]
fn too_little_lockable_memory_is_11() {
    let mut command = server::start_command();
    system::limit(&mut command, Resource::LockedBytes, 64 << 10);
    gives_up(command, 11, &["ulimit -l"]);
}

#[test]
fn too_few_descriptors_are_12() {
    let mut command = server::start_command();
    system::limit(&mut command, Resource::Descriptors, 16);
    gives_up(command, 12, &["ulimit -Hn", "16"]);
}

#[test]
fn a_cpu_that_is_not_allowed_is_13() {
    let mut command = server::start_command();
    command.args(["--cpus", "1000"]);
    gives_up(command, 13, &["1000"]);
}
