//! What an application says to people and asks about them, and the work that it does once for the server.

use std::cell::Cell;
use std::rc::Rc;

use shard::{Act, Answer, Audience, Question};

use super::*;
use crate::{AppLimits, Publish, UserId, UserPage, Users};

/// A world on the shard that does what is done once.
fn first(app: App) -> World {
    World { host: ShardHost::new(app, ShardId(0), common()), ..World::new(App::new()) }
}

fn addressed(commands: Vec<Command>) -> Vec<(Audience, String, Act<Box<str>>)> {
    let address = |command| match command {
        Command::Address { audience, names, act, .. } => (audience, names.into(), act),
        other => panic!("not addressed to anybody: {other:?}"),
    };
    commands.into_iter().map(address).collect()
}

fn event(event: &str, data: &str) -> Act<Box<str>> {
    Act::Event { event: event.into(), data: Some(data.into()), is_volatile: false }
}

#[test]
fn each_audience_is_named_once() {
    let mut world = World::new(App::new().action("say", |publish: Publish| {
        publish.user(["b", "a", "b"], "one", 1)?;
        publish.channel("room", "two", [2])?;
        publish.broadcast("three", Option::<u8>::None)?;
        publish.user(Vec::<String>::new(), "nobody", 0)
    }));
    assert_eq!(world.call("say", None), Outcome::Data(None));
    let expected = [
        (Audience::Users, "b\na".to_owned(), event("one", "1")),
        (Audience::Channels, "room".to_owned(), event("two", "[2]")),
        (Audience::Everyone, String::new(), event("three", "null")),
    ];
    assert_eq!(addressed(world.commands()), expected);
}

/// From actions, hooks, login modules, pages of events, timers, and work of their own: it is the same everywhere.
#[test]
fn events_are_published_from_everywhere() {
    fn tell(publish: &Publish, what: &str) -> crate::Result {
        publish.user("alice", what, 0)?;
        publish.session("one", what, 0)?;
        publish.channel(["a", "b"], what, 0)?;
        publish.broadcast(what, 0)
    }
    let hook = |what: &'static str| move |publish: Publish| tell(&publish, what);
    let later = |publish: Publish| async move {
        crate::time::sleep(Duration::from_millis(10)).await;
        tell(&publish, "later")
    };
    let app = App::new()
        .action("act", hook("action"))
        .action("later", later)
        .action("spawn", |publish: Publish| {
            crate::spawn(async move { tell(&publish, "spawned").expect("there is room") })
        })
        .on_start(hook("start"))
        .on_server_start(hook("server start"))
        .on_connect(hook("connect"))
        .on_disconnect(hook("disconnect"))
        .on_subscribe("*", hook("subscribe"))
        .on_publish("*", hook("publish"))
        .on_invoke("act", hook("invoke"))
        .on_deauthenticated(hook("deauthenticated"))
        .on_online(hook("online"))
        .on_offline(hook("offline"))
        .every(Duration::from_millis(50), hook("period"));
    let mut world = first(app);
    assert!(matches!(world.connect().1, shard::Verdict::Allow));
    world.subscribe("c", None);
    world.publish("c", None);
    world.call("act", None);
    world.call("later", None);
    world.call("spawn", None);
    world.host.deauthenticated(caller(), shard::LoginEnd::Taken);
    world.host.user_changed("alice", true);
    world.host.user_changed("alice", false);
    world.disconnect(1000, "");
    let mut commands = world.run();
    for _ in 0..6 {
        commands.extend(world.run_after(Duration::from_millis(10)));
    }
    let said = addressed(commands.into_iter().filter(|known| matches!(known, Command::Address { .. })).collect());
    let expected = "start,server start,connect,disconnect,subscribe,publish,invoke,action,later,spawned,deauthenticated,\
                    online,offline,period";
    let expected: Vec<&str> = expected.split(',').collect();
    for what in &expected {
        let own: Vec<_> = said.iter().filter(|(.., act)| *act == event(what, "0")).collect();
        let audiences: Vec<_> = own.iter().map(|(audience, names, _)| (*audience, names.as_str())).collect();
        let all = [
            (Audience::Users, "alice"),
            (Audience::Sessions, "one"),
            (Audience::Channels, "a\nb"),
            (Audience::Everyone, ""),
        ];
        assert_eq!(audiences, all, "{what}");
    }
    assert_eq!(said.len(), 4 * expected.len(), "and nothing else: {said:?}");
}

#[test]
fn what_cannot_be_said_is_an_error_and_says_nothing() {
    type Attempt = fn(&Publish) -> crate::Result;
    let attempts: [Attempt; 5] = [
        |publish| publish.user("", "event", 1),
        |publish| publish.user("a\nb", "event", 1),
        |publish| publish.user("a", "#publish", 1),
        |publish| publish.broadcast("", 1),
        |publish| publish.user(vec!["x".repeat(300)], "event", 1),
    ];
    for attempt in attempts {
        let mut world = World::new(App::new().action("say", move |publish: Publish| attempt(&publish)));
        assert!(matches!(world.call("say", None), Outcome::Error(_)));
        assert!(world.commands().is_empty());
    }
    let limits = AppLimits { recipients_max: 2, ..AppLimits::default() };
    let app = App::new().limits(limits).action("say", |publish: Publish| publish.user(["a", "b", "c"], "event", 1));
    assert!(matches!(World::new(app).call("say", None), Outcome::Error(error) if error.contains("more than 2")));
}

#[test]
fn a_question_is_answered_once_and_left_when_nobody_waits() {
    let mut world = World::new(App::new().action("who", |users: Users| async move {
        let page = users.page(Some("a"), 7).await?;
        let is_online = users.is_online("c").await?;
        Ok::<_, crate::Error>((page, is_online))
    }));
    let Outcome::Pending(ticket) = world.call("who", None) else { panic!("it has to ask") };
    let asked = |commands: Vec<Command>| match &commands[..] {
        [Command::Ask { ticket, question }] => (*ticket, question.clone()),
        other => panic!("not a question: {other:?}"),
    };
    let (first, question) = asked(world.run());
    assert_eq!(question, Question::Members { channel: None, after: Some("a".into()), count: 7 });
    world.host.answered(first, Answer::Members { users: vec!["b".into()], has_more: true });
    let (second, question) = asked(world.run());
    assert_eq!(question, Question::IsMember { channel: None, user: "c".into() });
    assert_ne!(first, second, "a number is never used again");
    world.host.answered(first, Answer::IsMember(false));
    assert!(world.run().is_empty(), "that was asked before");
    world.host.answered(second, Answer::IsMember(true));
    let page = r#"[{"users":["b"],"next":"b"},true]"#;
    assert_eq!(answers(world.run()), [(ticket, Outcome::Data(Some(page.to_owned())))]);
    let Outcome::Pending(ticket) = world.call("who", None) else { panic!("it has to ask") };
    let (third, _) = asked(world.run());
    world.host.cancel(ticket);
    world.host.answered(third, Answer::IsMember(true));
    assert!(world.run().is_empty());
}

#[test]
fn users_who_come_and_go_are_told_with_their_names() {
    let said = |publish: Publish, event: &str, UserId(user): UserId| publish.broadcast(event, user);
    let mut world = World::new(
        App::new()
            .on_online(move |publish: Publish, user: UserId| said(publish, "here", user))
            .on_offline(move |publish: Publish, user: UserId| said(publish, "gone", user)),
    );
    world.host.user_changed("alice", true);
    world.host.user_changed("alice", false);
    let expected = ["here", "gone"].map(|what| (Audience::Everyone, String::new(), event(what, r#""alice""#)));
    assert_eq!(addressed(world.commands()), expected);
    world.host.online(17);
    let counted = World::new(App::new().action("count", |users: Users| users.online()));
    assert_eq!({ counted }.call("count", None), Outcome::Data(Some("0".to_owned())));
}

#[test]
fn a_caller_is_whom_its_connection_is() {
    let app = App::new()
        .action("me", |UserId(user): UserId| user)
        .action("maybe", |user: Option<UserId>| user)
        .action("inside.me", |UserId(user): UserId| user)
        .require_login("inside.*");
    let mut world = World::new(app);
    let mut call = |action, user| {
        let ticket = world.ticket();
        let caller = Caller { user, ..caller() };
        let invocation = Invocation { ticket, caller, action, data: None, wants_reply: true };
        assert_eq!(world.host.invoke(invocation, &mut world.reply), Invoked::Ready);
        outcome(&world.reply)
    };
    let alice = Outcome::Data(Some(r#""alice""#.to_owned()));
    for action in ["me", "maybe", "inside.me"] {
        assert_eq!(call(action, Some("alice")), alice, "{action}");
    }
    assert_eq!(call("maybe", None), Outcome::Data(Some("null".to_owned())));
    for action in ["me", "inside.me"] {
        assert!(matches!(call(action, None), Outcome::Error(error) if error.contains("UnauthenticatedError")));
    }
}

#[test]
fn periodic_work_keeps_its_period_on_one_shard_and_outlives_its_failures() {
    let app = || {
        let runs = Rc::new(Cell::new(0));
        App::new().on_server_start(|publish: Publish| publish.broadcast("start", 0)).every(
            Duration::from_millis(100),
            move |publish: Publish| {
                let run = runs.replace(runs.get() + 1) + 1;
                async move {
                    match run {
                        2 => panic!("the second run"),
                        3 => crate::time::sleep(Duration::from_millis(250)).await,
                        4 => return Err(crate::Error::new("FourthError", "the fourth run")),
                        _ => {}
                    }
                    publish.broadcast("run", run)
                }
            },
        )
    };
    assert!(World::new(app()).run_after(Duration::from_secs(1)).is_empty(), "on the first shard only");
    let mut world = first(app());
    let mut said = Vec::new();
    for step in 0..100 {
        for (_, _, act) in addressed(world.run()) {
            said.push((step * 10, act));
        }
        world.now = world.now + Duration::from_millis(10);
    }
    // The third run takes 250 ms from 300 on. The fourth, due at 500, follows at once and fails; that of 400 is left out.
    let runs = [(100, 1), (550, 3), (600, 5), (700, 6), (800, 7), (900, 8)];
    let mut expected = vec![(0, event("start", "0"))];
    expected.extend(runs.map(|(at, run)| (at, event("run", &run.to_string()))));
    assert_eq!(said.len(), expected.len(), "{said:?}");
    for ((at, act), (due, expected)) in said.iter().zip(&expected) {
        assert!(act == expected && (*due..=due + 20).contains(at), "{said:?}");
    }
}

#[test]
fn a_page_reads_as_its_json() {
    let page = UserPage { users: vec!["a".to_owned()], next: None };
    assert_eq!(serde_json::to_string(&page).expect("it is JSON"), r#"{"users":["a"],"next":null}"#);
}
