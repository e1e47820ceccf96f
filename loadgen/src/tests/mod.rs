//! Whole runs against the small server beside this file, over real sockets and threads: what the server does wrong must
//! be found, exactly as often as it did it, and nothing may be found when it does nothing wrong.

mod server;

use std::process::ExitCode;

use clap::Parser as _;
use server::{Fault, Server};

use crate::args::Args;
use crate::report::{self, Summary};
use crate::run::run;
use crate::settings::decide;

/// Runs a command line against a server.
fn played(server: &Server, line: &str) -> Summary {
    let url = server.url();
    let words = ["x"].into_iter().chain(line.split_whitespace()).chain(["--quiet", "--target", &url]);
    let settings = decide(Args::try_parse_from(words).expect(line)).expect(line);
    run(settings).expect(line)
}

#[test]
fn an_honest_echo_is_clean() {
    let found = played(&Server::start(Fault::None), "echo --closed-loop -n 2000 -c 4 --pipeline 8");
    let counters = &found.totals.counters;
    assert_eq!((counters.sent, counters.received, counters.in_window), (2_000, 2_000, 2_000));
    assert_eq!((found.loss(), counters.errors_total(), counters.unsent), (0, 0, 0), "{:?}", counters.errors);
    assert_eq!((counters.opened, found.connections), (4, 4));
    assert!(counters.closes.is_empty());
    assert!(found.seconds > 0.0 && found.rate() > 0.0);
}

#[test]
fn large_messages_survive_a_socket_that_takes_them_in_parts() {
    let found = played(&Server::start(Fault::Narrow), "echo --closed-loop -n 60 -c 2 --pipeline 16 --size 512KiB");
    let counters = &found.totals.counters;
    assert_eq!((counters.received, counters.errors_total()), (60, 0), "{:?}", counters.errors);
    assert!(counters.short_sends > 0, "the socket was to be filled: {counters:?}");
}

#[test]
fn an_open_loop_sends_what_was_planned() {
    let found = played(&Server::start(Fault::None), "rpc -R 2k/s -n 600 -c 7 --threads 2");
    let counters = &found.totals.counters;
    assert_eq!((counters.sent, counters.received, counters.unsent), (600, 600, 0));
    assert_eq!((found.loss(), counters.errors_total()), (0, 0), "{:?}", counters.errors);
    assert_eq!(found.totals.corrected.len(), 600);
    assert!(counters.pings >= 7, "every handshake brought a heartbeat: {counters:?}");
}

#[test]
fn wrong_answers_are_errors() {
    let server = Server::start(Fault::Lie);
    for line in ["echo -n 50 --closed-loop -c 2", "rpc -n 50 --closed-loop -c 2"] {
        let found = played(&server, line);
        assert_eq!(found.totals.counters.errors_total(), 50, "{line}: {:?}", found.totals.counters.errors);
    }
}

#[test]
fn a_close_by_the_server_is_counted_with_its_code_and_its_calls_are_lost() {
    // Handshake, heartbeat and three calls are the first five messages of each connection.
    let server = Server::start(Fault::Close(6, 4_001));
    let found = played(&server, "rpc -n 50 --closed-loop -c 2");
    let counters = &found.totals.counters;
    assert_eq!(counters.closes.iter().collect::<Vec<_>>(), [(&4_001, &2)]);
    assert_eq!((counters.received, found.loss()), (6, 2), "three calls of each were answered, the fourth was not");
}

const FANOUT: &str = "fanout --subscribers 10 --publishers 2 --channels 2 -R 400/s -n 200";

#[test]
fn an_honest_fan_out_is_clean() {
    let found = played(&Server::start(Fault::None), FANOUT);
    let counters = &found.totals.counters;
    assert_eq!((counters.sent, counters.expected, counters.tally.unique), (200, 1_000, 1_000));
    assert_eq!((found.loss(), counters.tally.duplicates, counters.tally.disorder), (0, 0, 0));
    assert_eq!(counters.errors_total(), 0, "{:?}", counters.errors);
}

#[test]
fn lost_deliveries_are_found() {
    let server = Server::start(Fault::Drop(50));
    let found = played(&server, FANOUT);
    let tally = found.totals.counters.tally;
    assert_eq!((server.faults(), found.loss(), tally.duplicates, tally.disorder), (20, 20, 0, 0));
}

#[test]
fn repeated_deliveries_are_found() {
    let server = Server::start(Fault::Repeat(50));
    let found = played(&server, FANOUT);
    let tally = found.totals.counters.tally;
    assert_eq!((server.faults(), found.loss(), tally.duplicates, tally.disorder), (20, 0, 20, 0));
}

#[test]
fn delayed_deliveries_are_found() {
    // One publisher: the next delivery of a connection is then of the same stream.
    let server = Server::start(Fault::Delay(7));
    let line = "fanout --subscribers 10 --publishers 1 --channels 1 -R 400/s -n 100 --warmup 0s";
    let found = played(&server, line);
    let tally = found.totals.counters.tally;
    // What is still held back when the publications end never comes.
    assert_eq!(tally.disorder + found.loss(), server.faults());
    assert!(tally.disorder > 100 && tally.duplicates == 0, "{tally:?}");
}

#[test]
fn a_closed_fan_out_waits_for_deliveries_on_other_threads() {
    let line = "fanout --subscribers 9 --publishers 2 --channels 1 --closed-loop --pipeline 2 -n 300 --threads 3";
    let found = played(&Server::start(Fault::None), line);
    let counters = &found.totals.counters;
    assert_eq!((counters.sent, counters.tally.unique, found.loss()), (300, 2_700, 0), "{:?}", counters.errors);
}

#[test]
fn publishers_spread_over_the_shards() {
    let line = "fanout --subscribers 2 --publishers 4 --channels 1 -R 100/s -n 20 --server-shards 2";
    let found = played(&Server::start(Fault::None), line);
    let publishers = &found.totals.counters.publishers;
    assert_eq!(publishers.iter().collect::<Vec<_>>(), [(&0, &2), (&1, &2)]);
    assert_eq!((found.loss(), found.totals.counters.errors_total()), (0, 0));
}

#[test]
fn handshakes_are_counted_one_by_one() {
    let server = Server::start(Fault::None);
    let found = played(&server, "connect --closed-loop -n 60 -c 4");
    let counters = &found.totals.counters;
    assert_eq!((counters.sent, counters.received, counters.opened), (60, 60, 60), "{:?}", counters.errors);
    assert_eq!((found.loss(), counters.errors_total()), (0, 0));
    let kept = played(&server, "connect --keep-open -R 500/s -c 20");
    assert_eq!((kept.totals.counters.received, kept.connections), (20, 20));
}

#[test]
fn idle_connections_are_held_and_answer_heartbeats() {
    let found = played(&Server::start(Fault::None), "idle -c 50 -d 200ms");
    let counters = &found.totals.counters;
    assert_eq!((counters.opened, found.connections, counters.pings), (50, 50, 50));
    assert_eq!(counters.errors_total(), 0, "{:?}", counters.errors);
    assert!(report::table(&found).contains("idle: held"));
}

#[test]
fn a_server_that_is_not_there_is_a_clear_error() {
    let words = ["x", "rpc", "--quiet", "--target", "ws://127.0.0.1:1"];
    let settings = decide(Args::try_parse_from(words).expect("valid")).expect("valid");
    assert!(run(settings).expect_err("nobody listens").contains("connection refused"));
}

#[test]
fn a_failed_threshold_is_exit_code_4() {
    let server = Server::start(Fault::None);
    let code = |thresholds: &str| {
        let found = played(&server, &format!("rpc -n 20 --closed-loop -c 2 --thresholds {thresholds}"));
        format!("{:?}", ExitCode::from(crate::exit_code(&found)))
    };
    assert_eq!(code("loss==0,errors<0.01%"), format!("{:?}", ExitCode::SUCCESS));
    assert_eq!(code("loss==0,rate<1/m"), format!("{:?}", ExitCode::from(4)));
}

const PRESENCE: &str = "presence --users 40 --stay 20ms --warmup 0s -n 100";

#[test]
fn an_honest_presence_is_clean_however_users_leave() {
    for flags in [
        "-c 20 --rooms 4 -R 500/s",
        "-c 20 --rooms 4 --closed-loop",
        "-c 17 --rooms 5 -R 500/s --threads 3",
        "-c 20 --rooms 4 -R 200/s --leave disconnect --threads 2",
        "-c 20 --rooms 4 --closed-loop --leave disconnect",
    ] {
        let line = format!("{PRESENCE} {flags}");
        let found = played(&Server::start(Fault::None), &line);
        let counters = &found.totals.counters;
        assert_eq!(counters.errors_total(), 0, "{line}: {:?}", counters.errors);
        assert_eq!((counters.sent, counters.received, counters.unsent), (100, 100, 0), "{line}");
        assert_eq!((counters.expected, counters.tally.unique), (200, 200), "{line}: a join and a leave for each");
        assert_eq!((found.loss(), counters.tally.duplicates), (0, 0), "{line}");
        let people = found.totals.people.as_ref().expect("people were measured");
        assert_eq!(people.online, Some([0, 0]), "{line}: everybody left");
        assert_eq!(people.join_heard.len(), 100, "{line}");
    }
}

#[test]
fn lost_and_repeated_joins_and_leaves_are_found() {
    // Members hear of each other, too, so that not every fault is seen by a watcher: each user is alone in its room.
    let line = "presence --users 4 --rooms 4 -R 100/s -n 40 --stay 1ms --warmup 0s --drain 1s";
    let repeated = played(&Server::start(Fault::Repeat(1)), line);
    let counters = &repeated.totals.counters;
    assert_eq!((repeated.loss(), counters.tally.unique, counters.tally.duplicates), (0, 80, 80));
    let server = Server::start(Fault::Drop(1));
    let lost = played(&server, line);
    let counters = &lost.totals.counters;
    assert_eq!((counters.received, counters.tally.unique, lost.loss()), (4, 0, 8), "nobody comes back unheard");
    assert_eq!(counters.unsent, 36);
}

#[test]
fn users_that_do_not_leave_are_found() {
    let found = played(&Server::start(Fault::Ghosts), &format!("{PRESENCE} -c 20 -R 500/s --drain 500ms"));
    let errors = &found.totals.counters.errors;
    assert!(errors.keys().any(|error| error.contains("users.online is 100 instead of 0")), "{errors:?}");
}
