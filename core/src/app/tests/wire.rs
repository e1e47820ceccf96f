//! What a SocketCluster client sees of an application: its answers, errors, refusals and events, byte for byte, behind a
//! real shard.

use std::time::Duration;

use super::line::{HANDSHAKE, Line, messages};
use crate::app::{App, Args, Channel, Channels, Error, Peer, Result};
use crate::time::sleep;

#[test]
fn a_refused_connection_learns_why_and_is_closed_with_the_hooks_code() {
    let refuse = || -> Result { Err(Error::new("ClosedError", "not today").with("opensAt", 9).close_code(4501)) };
    let mut line = Line::open(App::new().on_connect(refuse), "/socketcluster/");
    let seen = line.say(HANDSHAKE);
    let refusal = concat!(
        r#"{"rid":1,"error":{"message":"not today","name":"ClosedError","opensAt":9,"statusCode":4501},"#,
        r#""data":{"code":4501}}"#
    );
    assert_eq!(seen.first().map(String::as_str), Some(refusal));
    assert!(seen.last().is_some_and(|last| last.starts_with("close Some((4501,")), "{seen:?}");
}

#[test]
fn what_a_connection_says_while_its_hook_is_pending_waits_for_the_verdict() {
    async fn admit() {
        sleep(Duration::from_millis(5)).await;
    }
    let mut line = Line::open(App::new().on_connect(admit).action("a", || 1), "/socketcluster/");
    assert!(line.say(HANDSHAKE).is_empty());
    assert!(line.say(r#"{"event":"a","cid":2}"#).is_empty());
    let seen = messages(line.pass_after(Duration::from_millis(5)));
    assert!(seen.len() == 2 && seen[0].starts_with(r#"{"rid":1,"data":{"id""#), "{seen:?}");
    assert_eq!(seen[1], r#"{"rid":2,"data":1}"#);
}

#[test]
fn errors_panics_and_unknown_names_are_answers_and_the_connection_lives_on() {
    let app = App::new()
        .action("refuse", || -> Result { Err(Error::new("NoError", "no").with("code", 7)) })
        .action("panic", || -> u8 { panic!("as asked") })
        .action("fine", || "fine");
    let mut line = Line::shaken(app);
    assert_eq!(
        line.say(r#"{"event":"refuse","cid":2}"#),
        [r#"{"rid":2,"error":{"message":"no","name":"NoError","code":7}}"#]
    );
    assert_eq!(
        line.say(r#"{"event":"panic","cid":3}"#),
        [r#"{"rid":3,"error":{"message":"Action panic failed","name":"ActionFailedError"}}"#]
    );
    assert_eq!(
        line.say(r#"{"event":"toString","cid":4}"#),
        [r#"{"rid":4,"error":{"message":"Unknown action toString","name":"UnknownActionError"}}"#]
    );
    assert_eq!(line.say(r#"{"event":"fine","cid":5}"#), [r#"{"rid":5,"data":"fine"}"#]);
    assert!(line.say(r#"{"event":"fine"}"#).is_empty(), "nobody asked for an answer");
}

#[test]
fn hooks_refuse_subscriptions_and_publications_with_their_own_errors() {
    fn members(Channel(channel): Channel, Args(key): Args<Option<u8>>) -> Result {
        if key == Some(7) { Ok(()) } else { Err(Error::new("MembersError", format!("{channel} is for members"))) }
    }
    let app =
        App::new().on_subscribe("club.*", members).on_publish("news", || -> Result { Err(Error::unauthorized()) });
    let mut line = Line::shaken(app);
    assert_eq!(
        line.say(r##"{"event":"#subscribe","data":{"channel":"club.a"},"cid":2}"##),
        [r#"{"rid":2,"error":{"message":"club.a is for members","name":"MembersError"}}"#]
    );
    assert_eq!(line.say(r##"{"event":"#subscribe","data":{"channel":"club.a","data":7},"cid":3}"##), [r#"{"rid":3}"#]);
    assert_eq!(
        line.say(r##"{"event":"#publish","data":{"channel":"news","data":1},"cid":4}"##),
        [r#"{"rid":4,"error":{"message":"you may not do this","name":"UnauthorizedError"}}"#]
    );
    assert_eq!(
        line.say(r##"{"event":"#publish","data":{"channel":"club.a","data":1},"cid":5}"##),
        [r##"{"event":"#publish","data":{"channel":"club.a","data":1}}"##, r#"{"rid":5}"#]
    );
}

#[test]
fn what_an_action_publishes_and_emits_arrives_before_its_answer() {
    fn act(peer: Peer, channels: Channels) -> Result<u8> {
        channels.publish("c", "to all")?;
        peer.emit("hello", "to one")?;
        channels.kick_out(&peer, "c", "enough")?;
        channels.publish("c", "to nobody")?;
        Ok(1)
    }
    let mut line = Line::shaken(App::new().action("act", act));
    assert_eq!(line.say(r##"{"event":"#subscribe","data":{"channel":"c"},"cid":2}"##), [r#"{"rid":2}"#]);
    assert_eq!(
        line.say(r#"{"event":"act","cid":3}"#),
        [
            r##"{"event":"#publish","data":{"channel":"c","data":"to all"}}"##,
            r#"{"event":"hello","data":"to one"}"#,
            r##"{"event":"#kickOut","data":{"channel":"c","message":"enough"}}"##,
            r#"{"rid":3,"data":1}"#,
        ]
    );
}

#[test]
fn calls_are_answered_in_the_order_in_which_they_finish() {
    async fn nap(Args(ms): Args<u64>) -> u64 {
        sleep(Duration::from_millis(ms)).await;
        ms
    }
    let mut line = Line::shaken(App::new().action("nap", nap).action("now", || 0));
    let batch = r#"[{"event":"nap","data":2,"cid":2},{"event":"nap","data":1,"cid":3},{"event":"now","cid":4}]"#;
    assert_eq!(line.say(batch), [r#"{"rid":4,"data":0}"#]);
    assert_eq!(messages(line.pass_after(Duration::from_millis(1))), [r#"{"rid":3,"data":1}"#]);
    assert_eq!(messages(line.pass_after(Duration::from_millis(1))), [r#"{"rid":2,"data":2}"#]);
}
