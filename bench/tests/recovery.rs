//! The tool that measures recoveries, in short: a shard that dies, a process that is killed and one that hangs lose nothing,
//! whatever the time it takes. It ends with an error when they do.

use std::process::Command;

use serde_json::Value;

#[test]
fn whoever_is_cut_off_by_a_dead_shard_or_a_dead_or_hung_process_is_back_with_everything() {
    let path = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("recovery.json");
    let mut command = Command::new(env!("CARGO_BIN_EXE_recovery"));
    command.args(["--breaks", "1", "--clients", "24", "--publishes-every", "10", "--json"]).arg(&path);
    let output = command.output().expect("it was built for this test");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    let table = String::from_utf8_lossy(&output.stdout);
    assert!(table.contains("| acknowledged writes or sessions lost | 0 | 0 | 0 |"), "{table}");
    let text = std::fs::read_to_string(&path).expect("it wrote its figures");
    let figures: Value = serde_json::from_str(&text).expect("JSON");
    let round = |kind: usize| &figures["breaks"][kind]["rounds"][0];
    let affected = |kind| round(kind)["affected"].as_u64().expect("a number");
    assert!((1..24).contains(&affected(0)), "one of two shards had died: {text}");
    assert_eq!([affected(1), affected(2)], [24; 2], "everybody's process was killed, by us or for hanging");
    for kind in 0..3 {
        assert!(round(kind)["writes"].as_u64() > Some(24) && round(kind)["on_successor"].as_u64() > Some(0), "{text}");
    }
}
