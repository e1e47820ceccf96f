//! A supervised server: its death is a pause, and its end is the supervisor's.

use std::thread;
use std::time::{Duration, Instant};

use harness::http::Http;
use harness::member::Member;
use harness::process::Process;
use harness::server::{Server, start_command};
use harness::wait::{self, PATIENCE};
use harness::websocket::{Received, WebSocket};
use serde_json::json;

use crate::{Directory, ask, child, is_alive, next_child};

fn kill(pid: u32) {
    harness::system::signal(pid, libc::SIGKILL);
}

#[test]
fn whoever_comes_while_a_killed_server_is_away_is_served_by_the_next() {
    let server = Server::start(&["--supervise", "--restart-delay", "300ms"]);
    let first = child(&server);
    let mut clients = Vec::from_iter((0..20).map(|_| WebSocket::connect(server.address(), "/echo")));
    clients.iter_mut().for_each(|client| client.send_text("load"));
    kill(first);
    wait::until("it is gone", PATIENCE, || (!server.children().contains(&first)).then_some(()));
    assert!(server.children().is_empty(), "it waits before it starts another");
    let waiting = Vec::from_iter((0..20).map(|_| {
        thread::spawn({
            let address = server.address();
            move || ask(address)
        })
    }));
    for asking in waiting {
        asking.join().expect("an answer");
    }
    assert_ne!(next_child(&server, first, 2), first);
    let log = server.stderr();
    for words in ["the server has died", "signal 9", "the server is started again"] {
        assert_eq!(log.matches(words).count(), 1, "{words}: {log}");
    }
    server.signal(libc::SIGTERM);
    assert_eq!(server.into_process().wait(PATIENCE).code(), 0);
}

#[test]
fn a_supervised_server_that_is_killed_under_load_has_lost_no_acknowledged_write() {
    let place = Directory::new("supervised");
    let flags = place.session_flags();
    let mut flags = Vec::from_iter(flags.iter().map(String::as_str));
    flags.extend(["--supervise", "--restart-delay", "0s"]);
    let server = Server::start(&flags);
    let page = Http::get(server.address(), "/");
    let cookie = page.header("set-cookie").expect("a cookie").split(';').next().expect("a pair").to_owned();
    let (mut least, mut pid) = (0, child(&server));
    for round in 1..=3 {
        let mut member = Member::with_cookie(server.address(), &cookie);
        let all = member.call("session.all", &json!(null)).expect("the session is back");
        let sum = all["sum"].as_i64().unwrap_or(0);
        assert!(sum >= least, "round {round}: {sum}, but {least} was acknowledged");
        let calls = Vec::from_iter((0..60).map(|_| member.start_call("session.increment", &json!("sum"))));
        for call in calls.iter().take(30) {
            least = member.answer(*call).expect("an increment").as_i64().expect("a number");
        }
        kill(pid);
        pid = next_child(&server, pid, round + 1);
    }
    assert!(least >= 90, "{least}");
}

#[test]
fn a_server_that_dies_again_and_again_is_given_up_with_its_code() {
    let server = Server::start(&["--supervise", "--restart-delay", "20ms", "--max-restarts", "3"]);
    let mut pid = child(&server);
    for starts in 2..=4 {
        kill(pid);
        pid = next_child(&server, pid, starts);
    }
    kill(pid);
    let exit = server.into_process().wait(PATIENCE);
    assert_eq!(exit.code(), 128 + libc::SIGKILL, "{exit}");
    assert!(exit.stderr.contains("giving up"), "{exit}");
    for delay in ["delay_ms=20", "delay_ms=40", "delay_ms=80"] {
        assert_eq!(exit.stderr.matches(delay).count(), 1, "each is waited for twice as long as the one before: {exit}");
    }
}

#[test]
fn a_server_that_hangs_is_found_and_replaced() {
    let server = Server::start(&["--supervise", "--restart-delay", "0s", "--hang-timeout", "2s"]);
    let first = child(&server);
    let mut client = WebSocket::connect(server.address(), "/echo");
    harness::system::signal(first, libc::SIGSTOP);
    assert_ne!(next_child(&server, first, 2), first);
    ask(server.address());
    assert!(matches!(client.receive(), Received::End | Received::Reset));
    let log = server.stderr();
    for words in ["the server hangs, and is killed", "signal 9", "the server is started again"] {
        assert_eq!(log.matches(words).count(), 1, "{words}: {log}");
    }
    server.signal(libc::SIGTERM);
    assert_eq!(server.into_process().wait(PATIENCE).code(), 0);
}

/// Each signal wakes the thread that gives them, which must not begin to wait anew each time.
#[test]
fn a_server_that_is_asked_for_reports_all_the_time_gives_its_signs_of_life_nevertheless() {
    let server = Server::start(&["--supervise", "--hang-timeout", "1s"]);
    let first = child(&server);
    let began = Instant::now();
    wait::until("more than the time-out is over", PATIENCE, || {
        server.signal(libc::SIGUSR1);
        (began.elapsed() > Duration::from_millis(2_500)).then_some(())
    });
    assert_eq!(child(&server), first);
    assert!(!server.stderr().contains("hangs"), "{}", server.stderr());
}

/// As a container is paused, or a machine: the time counts for nobody.
#[test]
fn a_supervisor_that_was_stopped_as_well_does_not_blame_its_server() {
    let server = Server::start(&["--supervise", "--hang-timeout", "1s"]);
    let first = child(&server);
    server.signal(libc::SIGSTOP);
    harness::system::signal(first, libc::SIGSTOP);
    let began = Instant::now();
    let long = Duration::from_millis(2_500);
    wait::until("it is long enough", PATIENCE, || (began.elapsed() > long).then_some(()));
    server.signal(libc::SIGCONT);
    harness::system::signal(first, libc::SIGCONT);
    wait::until("both shards have noticed", PATIENCE, || {
        (server.stderr().matches("stood still").count() == 2).then_some(())
    });
    ask(server.address());
    assert_eq!(child(&server), first);
    assert!(!server.stderr().contains("hangs"), "{}", server.stderr());
}

#[test]
fn a_start_that_would_fail_again_is_not_tried_again() {
    for (flags, code) in [(["--session-key-file", "/nowhere"], 66), (["--tls-cert", "/nowhere"], 3)] {
        let mut command = start_command();
        command.arg("--supervise").args(flags);
        let exit = Process::run(command, PATIENCE);
        assert_eq!(exit.code(), code, "{exit}");
        assert!(!exit.stderr.contains("is started again"), "{exit}");
    }
}

#[test]
fn a_supervisor_that_is_killed_leaves_no_server_behind() {
    let server = Server::start(&["--supervise"]);
    let child = child(&server);
    let mut client = WebSocket::connect(server.address(), "/echo");
    server.signal(libc::SIGKILL);
    assert_eq!(client.expect_close().0, 1001, "it goes as if it were asked to");
    drop(client);
    wait::until("the server is gone", PATIENCE, || (!is_alive(child)).then_some(()));
}

#[test]
fn signals_reach_the_server_and_its_end_is_the_supervisors() {
    let server = Server::start(&["--supervise", "--drain", "20s", "--drain-spread", "2s"]);
    server.signal(libc::SIGUSR1);
    server.signal(libc::SIGHUP);
    wait::until("both were heard", PATIENCE, || {
        let log = server.stderr();
        (log.contains("passes=") && log.contains("nothing to reload")).then_some(())
    });
    let mut clients = Vec::from_iter((0..10).map(|_| WebSocket::connect(server.address(), "/echo")));
    server.signal(libc::SIGTERM);
    wait::until("it is not ready any more", PATIENCE, || {
        (Http::get(server.address(), "/readyz").status == 503).then_some(())
    });
    for client in &mut clients {
        assert_eq!(client.expect_close().0, 1001);
    }
    drop(clients);
    assert_eq!(server.into_process().wait(PATIENCE).code(), 0);
}

#[test]
fn a_second_signal_ends_both_at_once() {
    let server = Server::start(&["--supervise", "--close-timeout", "1m", "--drain", "1m"]);
    let mut stubborn = WebSocket::connect(server.address(), "/echo");
    server.signal(libc::SIGTERM);
    let _ = stubborn.receive();
    server.signal(libc::SIGTERM);
    let exit = server.into_process().wait(PATIENCE);
    assert_eq!(exit.code(), 128 + libc::SIGTERM, "{exit}");
}
