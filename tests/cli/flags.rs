//! The command line: what it accepts, what it refuses, and what it says about itself.

use harness::process::{Exit, Process};
use harness::server;
use harness::wait::PATIENCE;

fn run(arguments: &[&str]) -> Exit {
    let mut command = server::command();
    command.args(arguments);
    Process::run(command, PATIENCE)
}

#[test]
fn a_wrong_flag_is_answered_with_the_nearest_right_one() {
    for (wrong, right) in [("--prot", "--port"), ("--shard", "--shards"), ("--ping-intervall", "--ping-interval")] {
        let exit = run(&["start", wrong, "1"]);
        assert_eq!(exit.code(), 2, "{wrong}\n{exit}");
        assert!(exit.stderr.contains(&format!("'{right}'")), "{wrong} suggests {right}\n{exit}");
        assert_eq!(exit.stdout, "", "{wrong}: standard output is for the listening line\n{exit}");
    }
}

#[test]
fn a_wrong_command_is_refused() {
    let exit = run(&["strat"]);
    assert_eq!(exit.code(), 2, "{exit}");
    assert!(exit.stderr.contains("'start'"), "{exit}");
}

#[test]
fn values_that_cannot_be_are_refused_by_name() {
    for (flag, value) in [
        ("--port", "65536"),
        ("--port", "http"),
        ("--listen", "127.0.0.1"),
        ("--listen", "127.0.0.1:99999"),
        ("--shards", "0"),
        ("--shards", "-1"),
        ("--shards", "many"),
        ("--cpus", "0-"),
        ("--cpus", "3-1"),
        ("--max-message", "12XB"),
        ("--max-message", "-1"),
        ("--max-message", "99999999999999999999"),
        ("--ping-interval", "0s"),
        ("--ping-interval", "8"),
        ("--ping-interval", "NaNs"),
        ("--ping-interval", "-8s"),
        ("--handshake-timeout", "99999999999999999999s"),
        ("--log-level", "loud"),
        ("--log-format", "xml"),
        ("--slow-consumer", "wait"),
    ] {
        let exit = run(&["start", &format!("{flag}={value}")]);
        assert_eq!(exit.code(), 2, "{flag}={value}\n{exit}");
        assert!(exit.stderr.contains(flag), "{flag}={value}: the message names the flag\n{exit}");
        assert!(exit.stderr.contains(value), "{flag}={value}: the message shows the value\n{exit}");
    }
}

#[test]
fn settings_that_contradict_each_other_are_refused() {
    for (flags, names) in [
        (["--ping-interval", "30s", "--ping-timeout", "20s"], ["ping-interval", "ping-timeout"]),
        (
            ["--outbox-bytes-max", "64KiB", "--outbox-high-water-mark", "1MiB"],
            ["outbox-bytes-max", "outbox-high-water-mark"],
        ),
    ] {
        let exit = run(&[&["start", "--listen", "127.0.0.1:0"][..], &flags].concat());
        assert_eq!(exit.code(), 3, "{flags:?}\n{exit}");
        for name in names {
            assert!(exit.stderr.contains(name), "{flags:?}: the message names {name}\n{exit}");
        }
    }
}

#[test]
fn check_judges_settings_without_serving() {
    let exit = run(&["check", "--port", "8123", "--shards", "1"]);
    assert_eq!(exit.code(), 0, "{exit}");
    assert!(exit.stdout.contains("8123"), "the settings are shown\n{exit}");
    assert!(!exit.stdout.contains("listening"), "{exit}");
    assert_eq!(run(&["check", "--ping-interval", "30s", "--ping-timeout", "20s"]).code(), 3);
}

#[test]
fn the_environment_speaks_where_flags_do_not() {
    let check = |arguments: &[&str], port: &str| {
        let mut command = server::command();
        command.arg("check").args(arguments).env("SOCKETSHARD_PORT", port);
        Process::run(command, PATIENCE)
    };
    assert!(check(&[], "8124").stdout.contains("8124"));
    let both = check(&["--port", "8125"], "8124");
    assert!(both.stdout.contains("8125") && !both.stdout.contains("8124"), "{both}");
    assert_eq!(check(&[], "http").code(), 2);
}

#[test]
fn a_misspelt_variable_is_not_ignored() {
    let mut command = server::command();
    command.args(["start", "--listen", "127.0.0.1:0"]).env("SOCKETSHARD_PROT", "8000");
    let exit = Process::run(command, PATIENCE);
    assert_eq!(exit.code(), 3, "{exit}");
    assert!(exit.stderr.contains("SOCKETSHARD_PROT") && exit.stderr.contains("SOCKETSHARD_PORT"), "{exit}");
}

#[test]
fn the_version_is_told_in_one_line() {
    for arguments in [["version"], ["--version"], ["-V"]] {
        let exit = run(&arguments);
        assert_eq!(exit.code(), 0, "{exit}");
        let line = exit.stdout.lines().next().unwrap_or_default();
        assert!(line.starts_with("socketshard ") && line.contains(env!("CARGO_PKG_VERSION")), "{exit}");
    }
}

#[test]
fn help_lists_flags_and_exit_codes() {
    let exit = run(&["start", "--help"]);
    assert_eq!(exit.code(), 0, "{exit}");
    for part in ["--listen", "--port", "--shards", "--cpus", "--max-message", "--ping-timeout", "--slow-consumer", "75"]
    {
        assert!(exit.stdout.contains(part), "--help mentions {part}\n{exit}");
    }
    let short = run(&["start", "-h"]);
    assert!(short.stdout.len() < exit.stdout.len(), "-h is the short one");
}
