//! The tool as a program: how it is called, what it lists, and whom it does not attack.

use std::net::SocketAddr;
use std::process::Command;
use std::time::Duration;

use harness::process::Process;
use harness::server;

/// The whole catalogue takes some twenty seconds of waiting for time-outs; the rest is a loaded machine.
pub(crate) const LIMIT: Duration = Duration::from_secs(180);

/// `socketshard-loadgen attack` against that address.
pub(crate) fn attack(address: SocketAddr, flags: &[&str]) -> Command {
    let mut command = server::loadgen_command();
    command.args(["attack", "--target", &format!("ws://{address}")]).args(flags);
    command
}

#[test]
fn the_list_names_rows_and_inputs_and_needs_no_server() {
    let mut command = server::loadgen_command();
    command.args(["attack", "--list", "--only", "a9"]);
    let exit = Process::run(command, LIMIT);
    assert_eq!(exit.code(), 0, "{exit}");
    assert!(exit.stdout.contains("A9") && exit.stdout.contains("a length and chunks"), "{exit}");
    assert!(!exit.stdout.contains("A15"), "{exit}");
}

#[test]
fn nobody_elses_server_is_attacked() {
    let exit = Process::run(attack(SocketAddr::from(([192, 0, 2, 1], 80)), &[]), LIMIT);
    assert_eq!(exit.code(), 2, "{exit}");
    assert!(exit.stderr.contains("--i-own-this-target"), "{exit}");
}

#[test]
fn a_row_that_is_none_is_a_mistake() {
    let exit = Process::run(attack(SocketAddr::from(([127, 0, 0, 1], 1)), &["--only", "A99"]), LIMIT);
    assert_eq!(exit.code(), 2, "{exit}");
    assert!(exit.stderr.contains("A99"), "{exit}");
}

#[test]
fn where_nobody_listens_there_is_nothing_to_attack() {
    let exit = Process::run(attack(SocketAddr::from(([127, 0, 0, 1], 1)), &[]), LIMIT);
    assert_eq!(exit.code(), 1, "{exit}");
}
