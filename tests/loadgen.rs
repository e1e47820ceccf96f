//! The load generator against the server it spawns: every scenario runs for a moment and says what it measured, as
//! JSON that adds up. That the figures are fast is nobody's claim here.

use std::process::Command;
use std::time::Duration;

use harness::process::{Exit, Process};
use harness::server::{self, Server};
use harness::tls::Certificates;
use serde_json::Value;

/// A second of measuring, a start, a ramp and a drain, on a loaded machine.
const LIMIT: Duration = Duration::from_secs(60);

/// For runs of which there are many.
const SHORT: [&str; 4] = ["--duration", "400ms", "--drain", "5s"];

/// Runs one scenario on a server of two shards, spawned and so ended by the generator.
fn spawned(scenario: &str, flags: &[&str]) -> Exit {
    let mut command = server::loadgen_command();
    let path = server::command().get_program().to_string_lossy().into_owned();
    command.arg(scenario).arg(format!("--spawn={path}")).args(["--quiet", "--json", "-"]);
    if !flags.contains(&"--duration") {
        command.args(["--duration", "1s"]);
    }
    command.args(flags).args(["--", "--shards", "2"]);
    Process::run(command, LIMIT)
}

/// Runs one scenario that must lose nothing, and returns its result.
fn measure(scenario: &str, flags: &[&str]) -> Value {
    let exit = spawned(scenario, &[&["--warmup", "100ms", "--thresholds", "loss==0,errors==0"][..], flags].concat());
    assert_eq!(exit.code(), 0, "{exit}");
    let result = json(&exit);
    assert_eq!(result["scenario"], scenario, "{result}");
    assert_eq!(result["counts"]["loss"], 0, "{result}");
    assert_eq!(result["counts"]["duplicates"], 0, "{result}");
    assert_eq!(result["counts"]["disorder"], 0, "{result}");
    assert_eq!(result["settings"]["server_shards"], 2, "{result}");
    for field in ["kernel", "cpu_model", "command_line"] {
        assert!(!result["machine"][field].is_null(), "the machine's {field} is recorded: {result}");
    }
    assert!(exit.stderr.contains("loss"), "the table for people goes to standard error\n{exit}");
    result
}

fn json(exit: &Exit) -> Value {
    serde_json::from_str(&exit.stdout).unwrap_or_else(|error| panic!("standard output is JSON alone: {error}\n{exit}"))
}

fn count(result: &Value, name: &str) -> u64 {
    result["counts"][name].as_u64().unwrap_or_else(|| panic!("counts.{name} is a number: {result}"))
}

/// The percentiles are there and in order.
fn has_latencies(result: &Value) {
    let corrected = &result["latency_ns"]["corrected"];
    let values = ["min", "p50", "p90", "p99", "p99.9", "max"].map(|name| corrected[name].as_u64());
    let values = Vec::from_iter(values.into_iter().flatten());
    assert!(values.len() == 6 && values[0] > 0 && values.is_sorted(), "latencies in order: {corrected}");
}

#[test]
fn echo_is_measured() {
    let result = measure("echo", &["-c", "20", "-R", "1k/s"]);
    assert!(count(&result, "received") > 0 && count(&result, "sent") == count(&result, "received"), "{result}");
    has_latencies(&result);
    assert!(result["server"]["cpu_ns_per_message"].as_f64().is_some_and(|cost| cost > 0.0), "{result}");
}

#[test]
fn calls_are_measured_open_and_closed() {
    for flags in [["-c", "20", "-R", "1k/s"], ["-c", "20", "--closed-loop", "--pipeline=4"]] {
        let result = measure("rpc", &flags);
        assert!(count(&result, "received") > 0, "{result}");
        has_latencies(&result);
        assert_eq!(result["settings"]["mode"], if flags[2] == "-R" { "open" } else { "closed" });
    }
}

#[test]
fn socket_io_is_spoken_to_our_server() {
    let result = measure("rpc", &["--protocol", "socketio", "--action", "app.echo", "-c", "20", "-R", "1k/s"]);
    assert!(count(&result, "received") > 0, "{result}");
    has_latencies(&result);
    for (scenario, flags) in [("connect", ["-R", "200/s"]), ("idle", ["-c", "100"])] {
        measure(scenario, &[&["--protocol", "socketio"][..], &flags].concat());
    }
}

/// Each GET and POST of a session comes by a TCP connection of its own, and on two shards half of them to the wrong one.
#[test]
fn long_polling_is_spoken_to_shards_that_carry_it_to_each_other() {
    let polling = ["--protocol", "socketio-polling"];
    let play = |scenario: &str, flags: &[&str]| measure(scenario, &[&polling[..], &SHORT, flags].concat());
    for pace in [["-R", "500/s"], ["--closed-loop", "--pipeline=20"]] {
        let result = play("rpc", &[&["--action", "app.echo", "-c", "20"][..], &pace].concat());
        assert!(count(&result, "received") > 0, "{result}");
        has_latencies(&result);
    }
    play("connect", &["-R", "50/s"]);
    assert_eq!(play("idle", &["-c", "50", "--subscribe"])["connections"]["open"], 50);
}

#[test]
fn channels_are_heard_by_every_protocol_that_has_them() {
    for protocol in ["socketio", "socketio-polling"] {
        let flags = ["--subscribers", "20", "--publishers", "4", "--channels", "2", "-R", "50/s"];
        let result = measure("fanout", &[&["--protocol", protocol][..], &SHORT, &flags].concat());
        assert_eq!(count(&result, "received"), 10 * count(&result, "sent"), "{result}");
        let shards = result["publishers_on_shard"].as_object().map(serde_json::Map::len);
        assert_eq!(shards, Some(2), "publishers are spread over both shards: {result}");
    }
}

#[test]
fn every_protocol_is_spoken_with_tls() {
    let socketio = ["--protocol", "socketio", "--action", "app.echo", "-c", "10", "-R", "200/s"];
    let polling = ["--protocol", "socketio-polling", "--action", "app.echo", "-c", "10", "-R", "200/s"];
    let runs: [(&str, &[&str]); 5] = [
        ("echo", &["-c", "10", "--closed-loop", "--size", "64KiB"]),
        ("rpc", &["-c", "10", "-R", "200/s"]),
        ("rpc", &socketio),
        ("rpc", &polling),
        ("connect", &["-R", "50/s"]),
    ];
    for (scenario, flags) in runs {
        let result = measure(scenario, &[&["--tls"][..], &SHORT, flags].concat());
        assert!(count(&result, "received") > 0, "{result}");
    }
}

#[test]
fn a_certificate_is_judged_by_the_authorities_that_are_named() {
    let certificates = Certificates::new();
    certificates.write("server", &["localhost", "127.0.0.1"], 2090);
    certificates.write("other", &["localhost", "127.0.0.1"], 2090);
    let (file, key) = (certificates.certificate("server"), certificates.key("server"));
    let server = Server::start(&["--tls-listen", "127.0.0.1:0", "--tls-cert", &file, "--tls-key", &key]);
    let target = format!("wss://{}", server.tls_address());
    let run = |trust: &[&str]| {
        let mut command = server::loadgen_command();
        command.args(["rpc", "-n", "50", "--quiet", "--target", &target, "--thresholds", "loss==0,errors==0"]);
        command.args(trust);
        Process::run(command, LIMIT)
    };
    for trust in [&["--ca", &file][..], &["--insecure"]] {
        let exit = run(trust);
        assert_eq!(exit.code(), 0, "{exit}");
    }
    let exit = run(&["--ca", &certificates.certificate("other")]);
    assert!(exit.code() == 1 && exit.stderr.contains("certificate"), "{exit}");
    assert_eq!(run(&[]).code(), 2, "nobody is trusted unasked");
}

#[test]
fn every_delivery_of_a_fanout_is_accounted_for() {
    let result = measure("fanout", &["--subscribers", "50", "--publishers", "4", "--channels", "2", "-R", "100/s"]);
    assert!(count(&result, "expected_deliveries") > 0, "{result}");
    // 50 subscribers on 2 channels: 25 deliveries for each publication. Those of the warm-up are expected, too.
    assert_eq!(count(&result, "received"), 25 * count(&result, "sent"), "{result}");
    assert!(count(&result, "expected_deliveries") >= count(&result, "received"), "{result}");
    let shards = result["publishers_on_shard"].as_object().map(serde_json::Map::len);
    assert_eq!(shards, Some(2), "publishers are spread over both shards: {result}");
    has_latencies(&result);
}

#[test]
fn idle_connections_are_held_and_weighed() {
    let result = measure("idle", &["-c", "500", "--ramp", "5k/s"]);
    assert_eq!(result["connections"]["open"], 500, "{result}");
    assert!(result["memory"]["bytes_per_connection"].is_number(), "{result}");
}

#[test]
fn handshakes_are_counted() {
    let result = measure("connect", &["-R", "200/s"]);
    assert!(count(&result, "received") > 0, "{result}");
    has_latencies(&result);
}

#[test]
fn users_come_and_go_and_every_room_hears_of_it() {
    let line = ["--users", "60", "--connections", "30", "--rooms", "6", "--stay", "50ms", "--rate", "100/s"];
    for leave in ["logout", "disconnect"] {
        let result = measure("presence", &[&line[..], &["--leave", leave]].concat());
        let presence = &result["presence"];
        // Those of the warm-up come and go as well.
        assert!(count(&result, "received") > 0, "{result}");
        assert!(count(&result, "expected_deliveries") >= 2 * count(&result, "received"), "{result}");
        assert_eq!(presence["events_heard"], result["counts"]["expected_deliveries"], "{result}");
        assert!(presence["latency_ns"]["leave_heard"]["p50"].as_u64().is_some_and(|p50| p50 > 0), "{result}");
        assert_eq!(presence["latency_ns"]["join_heard"]["count"], result["counts"]["received"], "{result}");
        assert_eq!((&presence["online_before"], &presence["online_end"]), (&0.into(), &0.into()), "{result}");
        assert!(presence["online_max"].as_u64().is_some_and(|most| most > 0), "{result}");
        assert!(result["server"]["cpu_ns_per_message"].as_f64().is_some_and(|cost| cost > 0.0), "{result}");
        has_latencies(&result);
    }
}

#[test]
fn a_threshold_that_does_not_hold_is_exit_code_4() {
    let exit = spawned("rpc", &["-c", "2", "-R", "100/s", "--warmup", "0s", "--thresholds", "p50<1ns"]);
    assert_eq!(exit.code(), 4, "{exit}");
    let result = json(&exit);
    assert_eq!(result["thresholds"][0]["passed"], false, "{result}");
}

#[test]
fn a_running_server_is_measured_as_a_target() {
    let server = Server::start(&[]);
    let mut command = server::loadgen_command();
    command.args(["rpc", "--target", &format!("ws://{}", server.address()), "-n", "500", "--json", "-", "--quiet"]);
    command.args(["--server-pid", &server.pid().to_string(), "--thresholds", "loss==0"]);
    let exit = Process::run(command, LIMIT);
    assert_eq!(exit.code(), 0, "{exit}");
    assert_eq!(count(&json(&exit), "received"), 500, "{exit}");
    let descriptors = server.descriptors();
    drop(harness::member::Member::connect(server.address()));
    server.wait_for_descriptors(descriptors, harness::wait::PATIENCE);
}

#[test]
fn what_cannot_be_measured_is_an_error() {
    let run = |arguments: &[&str]| {
        let mut command: Command = server::loadgen_command();
        command.args(arguments);
        Process::run(command, LIMIT)
    };
    assert_eq!(run(&["rpc", "--conections", "5"]).code(), 2);
    assert_eq!(run(&["rpc", "--target", "ws://192.0.2.1:20080"]).code(), 2, "not loopback, and nobody allowed it");
    // Nobody listens: a port that was free a moment ago.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("loopback has a free port");
    let target = format!("ws://{}", listener.local_addr().expect("a bound socket has an address"));
    drop(listener);
    let exit = run(&["rpc", "--target", &target, "-d", "1s"]);
    assert_eq!(exit.code(), 1, "{exit}");
    assert!(exit.stderr.contains("refused"), "{exit}");
}

#[test]
fn a_soak_plays_everything_at_once_and_watches_the_server() {
    let mut command = server::loadgen_command();
    let path = server::command().get_program().to_string_lossy().into_owned();
    command.arg("soak").arg(format!("--spawn={path}")).args(["--duration", "2s", "--interval", "500ms"]);
    command.args(["--warmup", "0s", "--connections", "10", "--rate", "100/s", "--slow-readers", "2"]);
    command.args(["--thresholds", "loss==0,duplicates==0,disorder==0,errors==0", "--quiet", "--json", "-"]);
    command.args(["--", "--shards", "2"]);
    let exit = Process::run(command, LIMIT);
    assert_eq!(exit.code(), 0, "{exit}");
    let result = json(&exit);
    let rounds = result["rounds"].as_array().unwrap_or_else(|| panic!("a list: {result}"));
    assert!(!rounds.is_empty() && count(&result, "received") > 0, "{result}");
    for round in rounds {
        for load in ["calls", "socketio", "polling", "sessions", "events", "fanout", "users", "churn"] {
            assert!(round["latency_ns"][load]["count"].as_u64().is_some_and(|count| count > 0), "{load}: {round}");
        }
        let at_rest = &round["at_rest"];
        assert!(at_rest["resident"].as_u64() > Some(0) && at_rest["descriptors"].as_u64() > Some(0), "{round}");
        assert!(round["descriptors_max"].as_u64() > at_rest["descriptors"].as_u64(), "connections are gone: {round}");
    }
    assert!(exit.stderr.contains("an hour") || exit.stderr.contains("fewer than three"), "{exit}");
    assert!(result["server_cpu_share"].as_f64().is_some_and(|share| share > 0.0), "{result}");
}
