//! A machine in trouble: no descriptors, no time, no room on the disk.

use std::process::Command;
use std::time::{Duration, Instant};

use harness::http::Http;
use harness::member::Member;
use harness::server::{Server, command, start_command};
use harness::system::{self, Resource};
use harness::wait::{self, PATIENCE};
use harness::websocket::{MASK, WebSocket};
use serde_json::json;

use crate::{Directory, text};

#[test]
fn without_descriptors_those_who_are_there_are_served_and_those_who_come_wait() {
    let mut command = start_command();
    command.args(["--shards", "2", "--handshake-timeout", "1m", "--idle-timeout", "1m"]);
    system::limit(&mut command, Resource::Descriptors, 128);
    let server = Server::from_command(command);
    let began = Instant::now();
    let mut early = Vec::from_iter((0..10).map(|_| WebSocket::connect(server.address(), "/echo")));
    let mut crowd = Vec::from_iter((0..150).map(|_| Http::connect(server.address())));
    wait::until("it has run out of descriptors", PATIENCE, || {
        server.stderr().contains("cannot accept connections").then_some(())
    });
    for client in &mut early {
        client.send_text("still here");
        assert_eq!(client.receive_text(), "still here");
    }
    // It does not spin: each of two listeners is tried once in 50 ms.
    let failures = server.count("accepts_failed");
    let tries = 2 * (1 + began.elapsed().as_millis() / 50);
    assert!(failures > 0 && u128::from(failures) <= tries, "{failures} failures, {tries} tries at most");
    let mut late = crowd.split_off(120);
    drop(crowd);
    for client in &mut late {
        client.send(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n");
        assert_eq!(client.response(false).status, 200);
    }
    early.iter_mut().for_each(|client| client.send_text("and here"));
    early.iter_mut().for_each(|client| assert_eq!(client.receive_text(), "and here"));
    server.assert_no_panic();
}

/// Three seconds are longer than the server's patience here: each client would count as gone.
#[test]
fn a_process_that_was_stopped_does_not_blame_its_clients() {
    let server = Server::start(&["--ping-interval", "500ms", "--ping-timeout", "2s"]);
    let mut clients = Vec::from_iter((0..50).map(|_| WebSocket::connect(server.address(), "/echo")));
    server.signal(libc::SIGSTOP);
    let began = Instant::now();
    wait::until("three seconds have passed", PATIENCE, || (began.elapsed() > Duration::from_secs(3)).then_some(()));
    server.signal(libc::SIGCONT);
    wait::until("both shards have noticed", PATIENCE, || {
        (server.stderr().matches("stood still").count() == 2).then_some(())
    });
    for client in &mut clients {
        client.send_text("still here");
        assert_eq!(client.receive_text(), "still here");
    }
    assert_eq!((server.count("standstills"), server.count("timeouts")), (2, 0));
}

/// The store's own file system, of 16 MiB, which only the server and we by its process can see.
fn small_disk(place: &Directory) -> Server {
    let disk = place.0.join("disk");
    std::fs::create_dir(&disk).expect("a directory");
    let mut flags = place.session_flags();
    flags[3] = text(&disk.join("store"));
    let (program, is_root) = (command(), std::fs::metadata("/proc/self").is_ok_and(|own| owner(&own) == 0));
    let mut shell = Command::new("unshare");
    // Who is not root is, in a namespace of their own; where that is forbidden the test says so by failing.
    shell.args(if is_root { ["--mount"].as_slice() } else { &["--mount", "--map-root-user"] });
    let script = r#"mount -t tmpfs -o size=16m tmpfs "$0" && exec "$@""#;
    shell.args(["sh", "-c", script]).arg(&disk).arg(program.get_program());
    shell.args(["start", "--listen", "127.0.0.1:0", "--shards", "2"]).args(flags);
    Server::from_command(shell)
}

fn owner(file: &std::fs::Metadata) -> u32 {
    std::os::unix::fs::MetadataExt::uid(file)
}

#[test]
fn a_full_disk_is_told_and_ends_no_session_and_room_is_noticed() {
    let place = Directory::new("full-disk");
    let server = small_disk(&place);
    let mut member = Member::connect(server.address());
    assert_eq!(member.call("session.set", &json!(["a", 1])), Ok(json!(true)), "durable");
    let filler = format!("/proc/{}/root{}", server.pid(), text(&place.0.join("disk/filler")));
    let zeros = vec![0; 1 << 16];
    let mut file = std::fs::File::create(&filler).expect("a file on the small disk");
    while std::io::Write::write_all(&mut file, &zeros).is_ok() {}
    let value = "x".repeat(8_000);
    wait::until("a write is not durable", PATIENCE, || {
        (member.call("session.set", &json!(["b", value])) == Ok(json!(false))).then_some(())
    });
    wait::until("the log says so", PATIENCE, || server.stderr().contains("the session store fails").then_some(()));
    assert!(server.count("session_saves_failed") > 0);
    assert_eq!(server.stderr().matches("the session store fails").count(), 1, "said once");
    assert_eq!(member.call("session.set", &json!(["c", 3])), Ok(json!(false)));
    let all = member.call("session.all", &json!(null)).expect("the session goes on");
    assert_eq!((&all["a"], &all["c"]), (&json!(1), &json!(3)));
    std::fs::remove_file(&filler).expect("it is there");
    wait::until("writes are durable", PATIENCE, || {
        (member.call("session.set", &json!(["d", 4])) == Ok(json!(true))).then_some(())
    });
    wait::until("the log says so", PATIENCE, || server.stderr().contains("works again").then_some(()));
}

#[test]
fn a_store_that_cannot_be_written_is_told_at_the_start() {
    let place = Directory::new("read-only");
    let mut flags = place.session_flags();
    // Nobody can write there, root included.
    flags[3] = "/proc/self/store".to_owned();
    let mut command = start_command();
    command.args(flags);
    let exit = harness::process::Process::run(command, PATIENCE);
    assert_eq!(exit.code(), 66, "{exit}");
    assert!(exit.stderr.contains("cannot open the session store"), "{exit}");
}

/// Six subscribers who never read hold 24 MiB each, beside one who reads.
#[test]
fn those_who_hold_the_most_are_ended_before_the_memory_is_and_others_are_served() {
    let flags = ["--memory-max", "64MiB", "--outbox-bytes-max", "64MiB", "--send-timeout", "5m"];
    let server = Server::start(&[&flags[..], &["--ping-timeout", "5m", "--ping-interval", "1m"]].concat());
    let (mut healthy, mut publisher) = Member::pair(server.address());
    let mut slow = Vec::from_iter((0..6).map(|_| Member::connect(server.address())));
    healthy.subscribe("hot");
    slow.iter_mut().for_each(|member| member.subscribe("hot"));
    let text = "x".repeat(60_000);
    for number in 0..400 {
        publisher.publish("hot", &json!([number, text]));
        assert_eq!(healthy.publication().1[0], json!(number), "who reads misses nothing");
    }
    wait::until("it says so", PATIENCE, || server.stderr().contains("who holds the most is ended").then_some(()));
    wait::until("there is enough again", PATIENCE, || server.stderr().contains("everybody is let in").then_some(()));
    let ended = server.count("memory_ends");
    assert!((1..=6).contains(&ended), "{ended}");
    server.expect_told("memory_ends");
    assert!(server.resident_bytes() < 80 << 20, "{}", server.resident_bytes());
    // The shards hear of it at their next ticks.
    wait::until("newcomers are let in", PATIENCE, || WebSocket::try_connect(server.address(), "/echo").ok());
    publisher.publish("hot", &json!(["after"]));
    assert_eq!(healthy.publication().1[0], json!("after"));
}

/// Messages that are never finished, each too small for its client to be ended for it, until there is too little memory;
/// and then they are given up.
#[test]
fn a_balancer_is_told_while_the_memory_is_full_and_when_it_is_not_any_more() {
    // What receive buffers take on is not given back: few, so that it is little.
    let flags = ["--admin-listen", "127.0.0.1:0", "--receive-buffers", "16", "--ping-timeout", "5m"];
    let alone = Server::start(&flags).resident_bytes();
    let memory_max = (alone + FULL_BYTES).to_string();
    let server = Server::start(&[&flags[..], &["--memory-max", &memory_max]].concat());
    let readiness = || Http::get(server.admin_address(), "/readyz");
    let mut inside = Http::connect(server.address());
    let mut ask = || {
        inside.send(b"GET /readyz HTTP/1.1\r\nHost: x\r\n\r\n");
        inside.response(false).status
    };
    assert_eq!((readiness().status, ask()), (200, 200));
    let mut holders = Vec::new();
    let mut header = vec![0x02, 0x80 | 126, 0x3C, 0x00];
    header.extend(MASK);
    header.extend(vec![7; 15 << 10]);
    let refusal = wait::until("the memory is full", PATIENCE, || {
        // Nobody is let in when it is; the kernel accepts for it, and then it ends.
        if let Ok(mut holder) = WebSocket::try_connect(server.address(), "/echo") {
            holder.send_raw(&header).expect("a fresh connection takes bytes");
            holders.push(holder);
        }
        Some(readiness()).filter(|answer| answer.status == 503)
    });
    assert_eq!(refusal.body, b"short of memory\n");
    assert!(holders.len() > 100, "{} clients are {FULL_BYTES} bytes", holders.len());
    wait::until("who is there is told as well", PATIENCE, || (ask() == 503).then_some(()));
    assert_eq!(server.count("memory_ends"), 0, "nobody is ended for so little");
    drop(holders);
    wait::until("it is ready again", PATIENCE, || (readiness().status == 200).then_some(()));
    wait::until("who is there is told so", PATIENCE, || (ask() == 200).then_some(()));
    wait::until("newcomers are let in", PATIENCE, || WebSocket::try_connect(server.address(), "/echo").ok());
}

/// What a server may take on beside what it has at its start.
const FULL_BYTES: u64 = 12 << 20;

/// So little that the server itself is too much: nobody comes in but operators, and who is there goes on.
#[test]
fn nobody_is_let_in_while_the_memory_is_full_but_operators() {
    let server = Server::start(&["--memory-max", "1MiB", "--admin-listen", "127.0.0.1:0"]);
    wait::until("nobody is let in", PATIENCE, || {
        let mut http = Http::connect(server.address());
        // The kernel accepts for it; it is ended unheard.
        let _ = http.try_send(b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        http.read_to_end().is_empty().then_some(())
    });
    assert_eq!(Http::get(server.admin_address(), "/healthz").status, 200);
    wait::until("refusals are counted", PATIENCE, || {
        let metrics = String::from_utf8(Http::get(server.admin_address(), "/metrics").body).expect("text");
        let refusals = metrics.lines().filter(|line| line.contains("memory_refusals") && !line.starts_with('#'));
        (refusals.filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok()).sum::<u64>() > 0).then_some(())
    });
    server.expect_told("memory_refusals");
    assert_eq!(server.stderr().matches("far too little memory").count(), 1, "said once");
}
