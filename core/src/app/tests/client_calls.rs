//! Events that clients answer: what the application is told, whatever became of them.

use std::time::Duration;

use codec::message::RawJson;
use serde_json::Value;
use shard::{Answer, Command, Host, Question, Unanswered};

use super::{Outcome, World, answers, connection};
use crate::{App, Args, Peer, Result};

fn world() -> World {
    World::new(
        App::new()
            .action(
                "ask",
                |peer: Peer, Args(event): Args<String>| async move { peer.invoke::<Value>(&event, [1]).await },
            )
            .action("ask.number", |peer: Peer| async move { peer.invoke::<u8>("number", ()).await })
            .action("join", |peer: Peer, Args(room): Args<String>| async move { peer.join(&room).await }),
    )
}

/// Asks, has the client answer so, and returns what the action makes of it.
fn answered(action: &str, outcome: std::result::Result<Option<&str>, Unanswered<'_>>) -> Outcome {
    let mut world = world();
    let Outcome::Pending(ticket) = world.call(action, Some("\"sure\"")) else { panic!("it waits") };
    let commands = world.commands();
    let [Command::Invoke { connection: to, ticket: asked, timeout, .. }] = &commands[..] else {
        panic!("one question: {commands:?}");
    };
    assert_eq!((*to, *timeout), (connection(), Duration::from_secs(10)));
    world.host.client_answered(*asked, outcome.map(|data| data.map(RawJson::from_validated)));
    let [(answered, outcome)] = &answers(world.run())[..] else { panic!("one answer") };
    assert_eq!(*answered, ticket);
    outcome.clone()
}

fn data(text: &str) -> Outcome {
    Outcome::Data(Some(text.to_owned()))
}

#[test]
fn an_answer_is_what_the_client_says() {
    assert_eq!(answered("ask", Ok(Some("{\"a\":1}"))), data("{\"a\":1}"));
    assert_eq!(answered("ask", Ok(None)), data("null"));
    assert_eq!(answered("ask.number", Ok(Some("7"))), data("7"));
    let wrong = answered("ask.number", Ok(Some("\"seven\"")));
    assert!(matches!(&wrong, Outcome::Error(error) if error.contains("InvalidAnswerError")), "{wrong:?}");
}

#[test]
fn every_way_of_not_answering_has_its_error() {
    for (unanswered, name) in [
        (Unanswered::TimedOut, "TimeoutError"),
        (Unanswered::Ended, "DisconnectedError"),
        (Unanswered::Busy, "BusyError"),
        (Unanswered::Unsupported, "UnsupportedError"),
        (Unanswered::Hook, "HookError"),
        (Unanswered::Error(RawJson::from_validated("{\"name\":\"OwnError\",\"message\":\"no\"}")), "OwnError"),
        (Unanswered::Error(RawJson::from_validated("\"no\"")), "\"Error\""),
        (Unanswered::Error(RawJson::from_validated("17")), "\"Error\""),
    ] {
        let outcome = answered("ask", Err(unanswered));
        assert!(matches!(&outcome, Outcome::Error(error) if error.contains(name)), "{unanswered:?}: {outcome:?}");
    }
}

#[test]
fn an_event_that_no_client_may_be_sent_is_not_asked() {
    let mut world = world();
    let outcome = world.call("ask", Some("\"#secret\""));
    assert!(matches!(outcome, Outcome::Error(error) if error.contains("InternalError")));
    assert!(world.commands().is_empty());
}

#[test]
fn joining_a_room_waits_until_nothing_passes_it_by() -> Result {
    let mut world = world();
    let Outcome::Pending(ticket) = world.call("join", Some("\"room\"")) else { panic!("it waits") };
    let [Command::Join { ticket: joined, .. }] = world.commands()[..] else { panic!("one command") };
    world.host.client_answered(joined, Ok(None));
    let commands = world.run();
    let [Command::Ask { ticket: settled, question: Question::Settled { .. } }] = commands[..] else {
        panic!("one question: {commands:?}");
    };
    world.host.answered(settled, Answer::Settled);
    assert_eq!(answers(world.run()), [(ticket, Outcome::Data(None))]);
    Ok(())
}
