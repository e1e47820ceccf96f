//! Doctor and the help on tuning: on this machine, whatever it is, they answer, change nothing and end with their codes.

use harness::process::{Exit, Process};
use harness::server::{self, Server};
use harness::system::{self, Resource};
use harness::wait::PATIENCE;
use serde_json::Value;

fn run(arguments: &[&str]) -> Exit {
    let mut command = server::command();
    command.args(arguments);
    Process::run(command, PATIENCE)
}

/// The finding about a subject in what `doctor --format json` has printed.
fn finding(exit: &Exit, subject: &str) -> Value {
    let found: Value = serde_json::from_str(&exit.stdout).unwrap_or_else(|error| panic!("{error}\n{exit}"));
    let findings = found["findings"].as_array().unwrap_or_else(|| panic!("it has findings\n{exit}"));
    let one = findings.iter().find(|finding| finding["subject"] == subject);
    one.unwrap_or_else(|| panic!("it looks at {subject}\n{exit}")).clone()
}

#[test]
fn a_machine_that_runs_the_tests_has_a_ring_and_no_problem() {
    let exit = run(&["doctor", "--format", "json", "--shards", "1", "--max-connections", "100"]);
    assert_eq!(exit.code(), 0, "{exit}");
    for subject in ["ring", "shards", "descriptors"] {
        assert_eq!(finding(&exit, subject)["level"], "ok", "{exit}");
    }
    let found: Value = serde_json::from_str(&exit.stdout).expect("it was read before");
    assert_eq!(
        (&found["problems"], &found["capacity"]["connections_by_settings"]),
        (&Value::from(false), &Value::from(100))
    );
    let text = run(&["doctor", "--shards", "1", "--max-connections", "100"]);
    assert_eq!((text.code(), text.stderr.as_str()), (0, ""), "{text}");
    assert!(text.stdout.contains("Expected capacity") && text.stdout.contains("of 64 bytes"), "{text}");
}

#[test]
fn what_stops_a_server_is_a_problem_that_ends_with_1() {
    let mut command = server::command();
    command.args(["doctor", "--format", "json"]);
    system::deny_io_uring(&mut command, libc::EPERM);
    let exit = Process::run(command, PATIENCE);
    assert_eq!(exit.code(), 1, "{exit}");
    assert_eq!(finding(&exit, "ring")["level"], "problem", "{exit}");
    assert_eq!(finding(&exit, "seccomp")["level"], "warning", "{exit}");

    let mut command = server::command();
    command.args(["doctor", "--format", "json"]);
    system::limit(&mut command, Resource::LockedBytes, 64 << 10);
    let exit = Process::run(command, PATIENCE);
    assert_eq!((exit.code(), finding(&exit, "memlock")["level"].as_str()), (1, Some("problem")), "{exit}");

    let exit = run(&["doctor", "--format", "json", "--cpus", "1023"]);
    assert_eq!((exit.code(), finding(&exit, "shards")["level"].as_str()), (1, Some("problem")), "{exit}");
}

#[test]
fn doctor_reads_the_flags_of_start_and_refuses_what_it_refuses() {
    assert_eq!(run(&["doctor", "--ping-interval", "30s", "--ping-timeout", "20s"]).code(), 3);
    assert_eq!(run(&["doctor", "--shards", "0"]).code(), 2);
    assert_eq!(run(&["doctor", "--format", "xml"]).code(), 2);
}

#[test]
fn doctor_may_look_while_a_server_runs() {
    let server = Server::start(&[]);
    let exit = run(&["doctor", "--listen", &server.address().to_string()]);
    assert!(exit.stdout.contains("Expected capacity"), "{exit}");
}

#[test]
fn the_help_on_tuning_has_every_knob_with_its_default() {
    let exit = run(&["start", "--help-tuning"]);
    assert_eq!(exit.code(), 0, "{exit}");
    for knob in ["--spin-us (default 0;", "--receive-buffers (default 128;", "--ring-entries (default 4096;"] {
        assert!(exit.stdout.contains(knob), "{knob} is there\n{exit}");
    }
    assert_eq!(run(&["--help-tuning"]).stdout, exit.stdout, "start is understood");
}
