//! Hooks: who is asked, what a refusal looks like, and that a pending one answers later.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use shard::{Command, Refusal, ShardId, SlowConsumer, Verdict};

use super::{Outcome, World};
use crate::app::{
    App, AppLimits, Args, Channel, Channels, Common, Disconnected, Error, Peer, RawArgs, Result, ShardHost, Spawner,
    State,
};
use crate::config::Settings;
use crate::time::sleep;

type Seen = Rc<RefCell<Vec<String>>>;

fn refusal(error: &str, code: u16) -> Verdict {
    Verdict::Refuse(Refusal { error: error.into(), code, status: 403 })
}

#[test]
fn without_hooks_everything_is_allowed() {
    let mut world = World::new(App::new());
    assert_eq!(world.connect().1, Verdict::Allow);
    assert_eq!(world.subscribe("any", None).1, Verdict::Allow);
    assert_eq!(world.publish("any", Some("1")).1, Verdict::Allow);
    world.disconnect(1000, "");
}

#[test]
fn the_operators_word_on_slow_consumers_comes_before_the_applications() {
    let app =
        || App::new().slow_consumer("ticks.*", SlowConsumer::Conflate).slow_consumer("*", SlowConsumer::DropOldest);
    let channel_policies = vec!["ticks.gold=close".parse().expect("a policy")];
    let common = |channel_policies| {
        Common::new(&Settings { channel_policies, ..Settings::default() }).expect("a random key can be made")
    };
    let host = ShardHost::new(app(), ShardId(0), common(channel_policies));
    let policies = host.slow_consumers().expect("there are some");
    let found = ["ticks.gold", "ticks.tin", "news"].map(policies);
    assert_eq!(found, [SlowConsumer::Close, SlowConsumer::Conflate, SlowConsumer::DropOldest].map(Some));
    assert!(ShardHost::new(App::new(), ShardId(0), common(Vec::new())).slow_consumers().is_none(), "none, no question");
}

#[test]
fn a_connection_is_refused_with_the_hooks_own_error_and_code() {
    fn admit(_peer: Peer, open: State<RefCell<bool>>) -> Result {
        if *open.borrow() {
            return Ok(());
        }
        Err(Error::new("ClosedError", "not today").with("opensAt", 9).close_code(4501))
    }
    let mut world = World::new(App::new().state(RefCell::new(false)).on_connect(admit));
    assert_eq!(world.connect().1, refusal(r#"{"message":"not today","name":"ClosedError","opensAt":9}"#, 4501));
    let mut world = World::new(App::new().state(RefCell::new(true)).on_connect(admit));
    assert_eq!(world.connect().1, Verdict::Allow);
}

#[test]
fn a_pending_hook_gives_its_verdict_by_command() {
    async fn admit() -> Result {
        sleep(Duration::from_millis(5)).await;
        Err(Error::unauthorized())
    }
    let mut world = World::new(App::new().on_connect(admit));
    let (ticket, verdict) = world.connect();
    assert_eq!(verdict, Verdict::Pending);
    assert!(world.run().is_empty());
    let commands = world.run_after(Duration::from_millis(5));
    let [Command::Verdict { ticket: told, verdict: Err(refused) }] = &*commands else { panic!("{commands:?}") };
    assert_eq!((*told, refused.code), (ticket, 4008));
    assert_eq!(&*refused.error, r#"{"message":"you may not do this","name":"UnauthorizedError"}"#);
}

#[test]
fn a_disconnect_hook_learns_who_left_and_how() {
    fn left(peer: Peer, end: Disconnected, seen: State<Seen>) {
        seen.borrow_mut().push(format!("{} {} {}", peer.id(), end.code, end.reason));
    }
    async fn later(end: Disconnected, channels: Channels) -> Result {
        sleep(Duration::from_millis(1)).await;
        channels.publish("left", end.code)
    }
    let seen = Seen::default();
    let mut world = World::new(App::new().state(Rc::clone(&seen)).on_disconnect(left).on_disconnect(later));
    world.disconnect(1006, "lost");
    assert_eq!(*seen.borrow(), ["3-7-9 1006 lost"]);
    assert!(world.run().is_empty());
    let commands = world.run_after(Duration::from_millis(1));
    assert!(matches!(&*commands, [Command::Publish { data: Some(data), .. }] if &**data == "1006"), "{commands:?}");
}

#[test]
fn subscribe_hooks_see_the_channel_and_what_the_client_says() {
    fn check(Channel(channel): Channel, Args(password): Args<Option<String>>) -> Result {
        if password.as_deref() == Some("sesame") {
            return Ok(());
        }
        Err(Error::new("PasswordError", format!("{channel} wants a password")))
    }
    let mut world = World::new(App::new().on_subscribe("private.*", check));
    assert_eq!(world.subscribe("open", None).1, Verdict::Allow);
    assert_eq!(world.subscribe("private.a", Some(r#""sesame""#)).1, Verdict::Allow);
    let refused = refusal(r#"{"message":"private.a wants a password","name":"PasswordError"}"#, 4008);
    assert_eq!(world.subscribe("private.a", None).1, refused);
    let wrong = world.subscribe("private.a", Some("7")).1;
    assert!(matches!(&wrong, Verdict::Refuse(refusal) if refusal.error.contains("InvalidArgumentsError")), "{wrong:?}");
}

#[test]
fn all_hooks_that_match_must_allow_and_the_first_refusal_decides() {
    let hook = |name: &'static str, allows: bool| {
        move |seen: State<Seen>| {
            seen.borrow_mut().push(name.to_owned());
            if allows { Ok(()) } else { Err(Error::new(name, "no")) }
        }
    };
    let seen = Seen::default();
    let mut world = World::new(
        App::new()
            .state(Rc::clone(&seen))
            .on_publish("*", hook("all", true))
            .on_publish("other", hook("other", false))
            .on_publish("a.*", hook("prefix", false))
            .on_publish("a.b", hook("exact", false)),
    );
    assert_eq!(world.publish("a.b", None).1, refusal(r#"{"message":"no","name":"prefix"}"#, 4008));
    assert_eq!(seen.take(), ["all", "prefix"]);
    assert_eq!(world.publish("b", None).1, Verdict::Allow);
    assert_eq!(seen.take(), ["all"]);
}

#[test]
fn hooks_behind_a_pending_one_are_asked_when_it_has_allowed() {
    async fn slow() {
        sleep(Duration::from_millis(1)).await;
    }
    fn last(Channel(channel): Channel, raw: RawArgs, seen: State<Seen>) -> Result {
        seen.borrow_mut().push(format!("{channel} {:?}", raw.as_str()));
        Err(Error::new("LastError", "no"))
    }
    let seen = Seen::default();
    let mut world = World::new(
        App::new().state(Rc::clone(&seen)).on_publish("*", slow).on_publish("*", slow).on_publish("*", last),
    );
    let (ticket, verdict) = world.publish("c", Some("[ 1 ]"));
    assert_eq!(verdict, Verdict::Pending);
    world.run();
    assert!(world.run_after(Duration::from_millis(1)).is_empty(), "the second one waits now");
    assert!(seen.borrow().is_empty());
    let commands = world.run_after(Duration::from_millis(1));
    let [Command::Verdict { ticket: told, verdict: Err(refused) }] = &*commands else { panic!("{commands:?}") };
    assert_eq!((*told, &*refused.error), (ticket, r#"{"message":"no","name":"LastError"}"#));
    assert_eq!(*seen.borrow(), [r#"c Some("[ 1 ]")"#]);
}

#[test]
fn a_panicking_hook_refuses_whether_at_once_or_later() {
    async fn later() {
        sleep(Duration::from_millis(1)).await;
        panic!("later");
    }
    fn at_once() {
        panic!("at once");
    }
    let mut world =
        World::new(App::new().on_subscribe("now", at_once).on_subscribe("later", later).on_disconnect(at_once));
    let internal = r#"{"message":"internal error","name":"InternalError"}"#;
    assert_eq!(world.subscribe("now", None).1, refusal(internal, 4008));
    assert_eq!(world.subscribe("later", None).1, Verdict::Pending);
    world.run();
    let commands = world.run_after(Duration::from_millis(1));
    assert!(
        matches!(&*commands, [Command::Verdict { verdict: Err(refused), .. }] if &*refused.error == internal),
        "{commands:?}"
    );
    world.disconnect(1000, "");
    assert_eq!(world.host.counters()[0], ("panics", 3));
}

#[test]
fn start_hooks_run_once_and_may_spawn() {
    fn begin(spawner: Spawner, channels: Channels) -> Result {
        spawner.spawn(async move {
            loop {
                sleep(Duration::from_secs(1)).await;
                let _ = channels.publish("tick", ());
            }
        })
    }
    let mut world = World::new(App::new().on_start(begin));
    assert!(world.run().is_empty());
    for _ in 0..3 {
        let commands = world.run_after(Duration::from_secs(1));
        assert!(matches!(&*commands, [Command::Publish { .. }]), "{commands:?}");
    }
}

#[test]
fn more_pending_hooks_than_the_limit_are_refused_as_busy() {
    async fn never() {
        std::future::pending().await
    }
    let limits = AppLimits { tasks_max: 2, ..AppLimits::default() };
    let mut world = World::new(App::new().limits(limits).on_connect(never).action("wait", never));
    let (first, verdict) = world.connect();
    assert_eq!(verdict, Verdict::Pending);
    assert!(matches!(world.call("wait", None), Outcome::Pending(_)));
    let busy = r#"{"message":"the server is busy, try again later","name":"BusyError"}"#;
    assert_eq!(world.connect().1, refusal(busy, 4008));
    assert_eq!(world.call("wait", None), Outcome::Error(busy.to_owned()));
    assert_eq!(world.host.counters()[2], ("tasks_refused", 2));
    shard::Host::cancel(&mut world.host, first);
    assert_eq!(world.connect().1, Verdict::Pending);
}
