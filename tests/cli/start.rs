//! Starting: where the server listens, how many shards it runs and on which CPUs.

use std::fs;
use std::process::Command;

use harness::http::Http;
use harness::member::Member;
use harness::server::{self, Server};
use serde_json::json;

/// The CPUs that this test may use, as the kernel lists them: `0-3,8`.
fn allowed_cpus() -> Vec<usize> {
    let status = fs::read_to_string("/proc/self/status").expect("the test has a status");
    let list = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:")).expect("the status lists CPUs");
    let number = |text: &str| text.trim().parse::<usize>().expect("CPUs have numbers");
    let ranges = list.split(',').map(|range| range.split_once('-').unwrap_or((range, range)));
    ranges.flat_map(|(first, last)| number(first)..=number(last)).collect()
}

#[test]
fn a_server_has_one_shard_per_allowed_cpu() {
    let server = Server::from_command(server::start_command());
    assert_eq!(server.shards(), allowed_cpus().len());
    assert_eq!(Http::get(server.address(), "/healthz").text().trim(), "ok");
}

#[test]
fn a_server_that_may_use_one_cpu_has_one_shard() {
    let cpu = allowed_cpus()[0].to_string();
    let start = server::start_command();
    let mut command = Command::new("taskset");
    command.args(["-c", &cpu]).arg(start.get_program()).args(start.get_args());
    let server = Server::from_command(command);
    assert_eq!(server.shards(), 1);
    let mut member = Member::connect(server.address());
    assert_eq!((member.shard(), member.call("app.square", &json!(25))), (0, Ok(json!(625))));
}

/// Rings whose buffers lie in huge pages count for 2 MiB each, where memory that is locked is limited.
#[test]
fn hardly_anything_of_a_server_is_in_huge_pages() {
    let server = Server::from_command(server::start_command());
    let maps = fs::read_to_string(format!("/proc/{}/smaps_rollup", server.pid())).expect("it lives");
    let line = maps.lines().find_map(|line| line.strip_prefix("AnonHugePages:")).expect("a sum");
    let kib = line.trim().trim_end_matches(" kB").parse::<u64>().expect("a number of kB");
    // What is touched before the program begins is not ours to say, but no more than that.
    assert!(kib <= 8192, "{kib} KiB");
}

#[test]
fn more_shards_than_cpus_are_served_all_the_same() {
    let shards = allowed_cpus().len() + 3;
    let mut command = server::start_command();
    command.args(["--shards", &shards.to_string()]);
    let server = Server::from_command(command);
    assert_eq!(server.shards(), shards);
    let mut members = Vec::from_iter((0..40).map(|_| Member::connect(server.address())));
    let homes = members.iter_mut().map(Member::shard);
    assert!(homes.max().is_some_and(|shard| shard > 0), "40 connections are not all on the first shard");
    for member in &mut members {
        member.subscribe("everywhere");
    }
    members[7].publish("everywhere", &json!("one"));
    for member in &mut members {
        assert_eq!(member.publication(), ("everywhere".to_owned(), json!("one")));
    }
}

#[test]
fn every_listen_address_is_served_on_every_shard() {
    let mut command = server::command();
    command.args(["start", "--shards", "2", "--listen", "127.0.0.1:0", "--listen", "[::1]:0"]);
    let server = Server::from_command(command);
    let line = server.stdout_lines().concat();
    let second = line.split([' ', ',']).find(|part| part.starts_with("[::1]:")).map(str::parse);
    let second = second.unwrap_or_else(|| panic!("the line names both addresses: {line}")).expect("it is an address");
    let (mut near, mut far) = Member::pair(server.address());
    let (mut third, mut fourth) = Member::pair(second);
    for member in [&mut near, &mut far, &mut third] {
        member.subscribe("both doors");
    }
    fourth.publish("both doors", &json!(1));
    for member in [&mut near, &mut far, &mut third] {
        assert_eq!(member.publication(), ("both doors".to_owned(), json!(1)));
    }
}
