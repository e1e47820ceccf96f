//! The comparison for a moment, with nobody but ours: what it stores adds up and what it prints names everyone. That
//! any figure is good is nobody's claim here. The peers need compilers and registries and are left out.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

const SCENARIOS: &str = "call-64-p16,fanout-64-w1,handshake,idle";

/// The comparison's own program.
fn peers() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_peers"))
}

/// The first and the last CPU that this process may use.
fn cpus() -> [String; 2] {
    let status = std::fs::read_to_string("/proc/self/status").expect("/proc can be read");
    let list = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:")).expect("the kernel tells it");
    let numbers: Vec<&str> = list.trim().split([',', '-']).collect();
    [numbers[0], numbers[numbers.len() - 1]].map(str::to_owned)
}

fn run(arguments: &[&str]) -> Output {
    // Where the whole workspace was built, our programs lie beside this one already.
    let is_built = ["socketshard", "socketshard-loadgen"].iter().all(|name| peers().with_file_name(name).is_file());
    let mut command = Command::new(peers());
    command.args(arguments).args(is_built.then_some("--no-build"));
    command.output().expect("the program starts")
}

fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join(name)
}

#[test]
fn a_round_of_ours_is_measured_stored_and_printed() {
    let stored = file("peers.json");
    let [server_cpu, cpu] = cpus();
    let output = run(&[
        "--only",
        "ours",
        "--scenario",
        SCENARIOS,
        "--rounds",
        "1",
        "--duration",
        "200ms",
        "--warmup",
        "50ms",
        "--server-cpu",
        &server_cpu,
        "--cpu",
        &cpu,
        "--json",
        &stored.to_string_lossy(),
    ]);
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let complaints = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{complaints}");
    let text = std::fs::read_to_string(&stored).expect("it was stored");
    let report: Value = serde_json::from_str(&text).expect("it is JSON");
    assert_eq!(report["schema"], "socketshard-peers/1");
    for name in ["cpu_model", "kernel", "congestion_control", "rustc", "commit"] {
        assert!(report["machine"][name].as_str().is_some_and(|fact| !fact.is_empty()), "{name} in {report}");
    }
    let scenarios = report["scenarios"].as_array().expect("a list");
    assert_eq!(scenarios.len(), SCENARIOS.split(',').count());
    for scenario in scenarios {
        let name = scenario["name"].as_str().expect("a name");
        let rows = scenario["rows"].as_array().expect("a list");
        assert!(!rows.is_empty(), "{name} has no rows");
        for row in rows {
            let run = &row["runs"][0];
            assert!(run["problem"].is_null(), "{name}: {row}");
            let figure = if name == "idle" { "bytes_per_connection" } else { "cpu_ns" };
            assert!(run[figure].as_f64().is_some_and(|figure| figure > 0.0), "{name}: {run}");
            assert_eq!(row["summary"]["valid_runs"], 1, "{name}");
            assert!(said.contains(row["label"].as_str().expect("a label")), "{name} in {said}");
        }
    }
    let peers = report["peers"].as_array().expect("a list");
    let ours = peers.iter().filter(|peer| peer["version"].is_string()).count();
    assert_eq!((peers.len(), ours), (10, 1), "everyone is named, and only ours took part: {peers:?}");
    assert!(said.contains("* uwebsockets: not asked for") && said.contains("not measured"), "{said}");

    let shown = run(&["--show", "--markdown", "--json", &stored.to_string_lossy()]);
    let shown = String::from_utf8_lossy(&shown.stdout).into_owned();
    assert!(shown.contains("|---|--:|") && shown.contains("socketshard, SocketCluster"), "{shown}");
}

#[test]
fn what_cannot_be_is_refused() {
    let broken = file("peers-broken.json");
    std::fs::write(&broken, "{}").expect("it can be written");
    let output = run(&["--show", "--json", &broken.to_string_lossy()]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success() && said.contains("peers-broken.json"), "{said}");
    let output = Command::new(peers()).args(["--scenario", "storm"]).output().expect("the program starts");
    assert_eq!(output.status.code(), Some(2), "a misspelt scenario is a usage error");
}
