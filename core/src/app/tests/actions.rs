//! Actions: how they are found, what each extractor gives them, what their answers look like.

use std::cell::Cell;
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use shard::{Command, Disconnect};

use super::{Outcome, World, answers, connection, data};
use crate::app::{App, AppLimits, Args, Call, Channels, Error, FromCall, Peer, RawArgs, Result, Spawner, State};

fn invalid(message: &str) -> Outcome {
    Outcome::Error(format!(r#"{{"message":"{message}","name":"InvalidArgumentsError"}}"#))
}

#[test]
fn functions_of_every_kind_are_actions() {
    async fn nothing() {}
    fn double(Args(number): Args<i64>) -> i64 {
        2 * number
    }
    async fn half(Args(number): Args<i64>) -> Result<i64> {
        if number % 2 == 0 { Ok(number / 2) } else { Err(Error::invalid_arguments("odd")) }
    }
    let factor = 10;
    let mut world = World::new(
        App::new()
            .action("nothing", nothing)
            .action("double", double)
            .action("half", half)
            .action("closure", move |Args(number): Args<i64>| factor * number)
            .action("later", async |Args(number): Args<i64>| number + 1)
            .action("option", |Args(number): Args<Option<i64>>| number)
            .action("unit", || ()),
    );
    assert_eq!(world.call("nothing", None), Outcome::Data(None));
    assert_eq!(world.call("double", Some("21")), data("42"));
    assert_eq!(world.call("half", Some("42")), data("21"));
    assert_eq!(world.call("half", Some("43")), invalid("odd"));
    assert_eq!(world.call("closure", Some("4")), data("40"));
    assert_eq!(world.call("later", Some("4")), data("5"));
    assert_eq!(world.call("option", None), data("null"));
    assert_eq!(world.call("unit", Some("1")), Outcome::Data(None));
    assert!(world.commands().is_empty() && world.run().is_empty());
}

#[test]
fn names_of_javascripts_prototype_are_names_like_all_others() {
    let mut world = World::new(App::new().action("constructor", || 1).action("a.__proto__", || 2));
    assert_eq!(world.call("constructor", None), data("1"));
    assert_eq!(world.call("a.__proto__", None), data("2"));
    for name in ["toString", "__proto__", "hasOwnProperty", "a", "a.", "", "CONSTRUCTOR", "constructor "] {
        assert_eq!(world.call(name, None), Outcome::Unknown, "{name}");
    }
}

#[test]
fn args_decode_one_json_value_and_absent_counts_as_null() {
    #[derive(Deserialize)]
    struct Point {
        x: i32,
        #[serde(default)]
        y: i32,
    }
    let mut world = World::new(
        App::new()
            .action("pair", |Args((left, right)): Args<(i32, String)>| format!("{left}{right}"))
            .action("list", |Args(list): Args<Vec<i32>>| list.len())
            .action("point", |Args(point): Args<Point>| point.x + point.y)
            .action("unit", |Args(()): Args<()>| "unit"),
    );
    assert_eq!(world.call("pair", Some(r#"[1,"ü"]"#)), data(r#""1ü""#));
    assert_eq!(world.call("list", Some("[[]]")), invalid("invalid type: sequence, expected i32 at line 1 column 1"));
    assert_eq!(world.call("list", Some("[]")), data("0"));
    assert_eq!(world.call("point", Some(r#"{"x":3}"#)), data("3"));
    assert_eq!(world.call("point", Some("{}")), invalid("missing field `x` at line 1 column 2"));
    assert_eq!(world.call("unit", None), data(r#""unit""#));
    assert_eq!(world.call("unit", Some("null")), data(r#""unit""#));
    assert_eq!(world.call("list", None), invalid("invalid type: null, expected a sequence at line 1 column 4"));
}

#[test]
fn an_error_does_not_quote_a_large_argument_back() {
    let mut world = World::new(App::new().action("number", |Args(number): Args<u8>| number));
    let Outcome::Error(error) = world.call("number", Some(&format!("\"{}\"", "ü".repeat(50_000)))) else {
        panic!("it is no number")
    };
    assert!(error.len() < 400 && error.contains("invalid type: string"), "{error}");
}

#[test]
fn raw_arguments_pass_through_byte_for_byte() {
    let mut world =
        World::new(App::new().action("echo", async |raw: RawArgs| raw).action("fallible", |raw: RawArgs| Ok(raw)));
    let odd = r#"{ "a" : [1.0, 1e2,"\u00fc"] , "a":null }"#;
    assert_eq!(world.call("echo", Some(odd)), data(odd));
    assert_eq!(world.call("fallible", Some("[]")), data("[]"));
    assert_eq!(world.call("echo", Some("null")), data("null"));
    assert_eq!(world.call("echo", None), Outcome::Data(None));
    // A pooled buffer keeps nothing of its last use.
    assert_eq!(world.call("echo", Some("1")), data("1"));
}

#[test]
fn a_peer_knows_itself_and_can_be_disconnected_and_sent_events() {
    fn act(peer: Peer) -> Result<String> {
        peer.emit("greeting", BTreeMap::from([("text", "hi")]))?;
        peer.disconnect(4001, "bye")?;
        Ok(format!("{} {} {}", peer.id(), peer.address(), peer.shard()))
    }
    let mut world = World::new(App::new().action("act", act));
    assert_eq!(world.call("act", None), data(r#""3-7-9 127.0.0.1:5000 3""#));
    let mut commands = world.commands().into_iter();
    let Some(Command::Emit { connection: to, event, data, .. }) = commands.next() else {
        panic!("an event comes first")
    };
    assert_eq!((to, &*event, data.as_deref()), (connection(), "greeting", Some(r#"{"text":"hi"}"#)));
    let Some(Command::Disconnect { connection: whom, disconnect }) = commands.next() else { panic!("then the end") };
    assert_eq!((whom, disconnect), (connection(), Disconnect::new(4001, "bye")));
    assert!(commands.next().is_none());
}

#[test]
fn a_peer_refuses_what_the_protocol_does_not_allow() {
    let mut world = World::new(
        App::new()
            .action("code", |peer: Peer, Args(code): Args<u16>| peer.disconnect(code, ""))
            .action("event", |peer: Peer, Args(event): Args<String>| peer.emit(&event, 1)),
    );
    for code in ["0", "999", "1005", "1006", "1015", "2000", "5000"] {
        assert!(matches!(world.call("code", Some(code)), Outcome::Error(_)), "{code}");
    }
    for event in [r#""""#, r##""#publish""##, "\"a\\nb\""] {
        assert!(matches!(world.call("event", Some(event)), Outcome::Error(_)), "{event}");
    }
    assert!(world.commands().is_empty());
}

#[test]
fn channels_publish_values_and_text_and_kick_out() {
    #[derive(Serialize)]
    struct News<'a> {
        text: &'a str,
    }
    fn act(channels: Channels, peer: Peer, raw: RawArgs) -> Result {
        channels.publish("news", News { text: "x" })?;
        channels.publish_raw("news", &raw)?;
        channels.publish_raw("news", &RawArgs::default())?;
        channels.kick_out(&peer, "news", "enough")
    }
    let mut world = World::new(App::new().action("act", act));
    assert_eq!(world.call("act", Some("[ 1 ]")), Outcome::Data(None));
    let texts: Vec<_> = world.commands().iter().map(|command| format!("{command:?}")).collect();
    assert_eq!(
        texts,
        [
            r#"Publish { channel: "news", data: Some("{\"text\":\"x\"}") }"#,
            r#"Publish { channel: "news", data: Some("[ 1 ]") }"#,
            r#"Publish { channel: "news", data: None }"#,
            concat!(
                r#"KickOut { connection: ConnectionId { slot: 7, generation: 9 }, channel: "news", "#,
                r#"message: "enough" }"#
            ),
        ]
    );
}

#[test]
fn a_bad_channel_name_and_a_value_that_is_not_json_are_errors() {
    let mut world = World::new(
        App::new()
            .action("name", |channels: Channels, Args(name): Args<String>| channels.publish(&name, 1))
            .action("map", |channels: Channels| channels.publish("c", BTreeMap::from([((1, 2), 3)]))),
    );
    assert_eq!(world.call("name", Some(r#""""#)), invalid("channel name is empty"));
    assert_eq!(world.call("name", Some(r#""a\u0000""#)), invalid("channel name has a control character"));
    assert!(matches!(world.call("map", None), Outcome::Error(error) if error.contains("InternalError")));
    assert!(world.commands().is_empty());
}

#[test]
fn a_full_command_queue_refuses_publications_with_a_busy_error() {
    fn burst(channels: Channels, Args(count): Args<usize>) -> Result {
        (0..count).try_for_each(|number| channels.publish("c", number))
    }
    let limits = AppLimits { commands_max: 10, ..AppLimits::default() };
    let mut world = World::new(App::new().limits(limits).action("burst", burst));
    assert_eq!(world.call("burst", Some("10")), Outcome::Data(None));
    assert_eq!(world.commands().len(), 10);
    let busy = r#"{"message":"the server is busy, try again later","name":"BusyError"}"#;
    assert_eq!(world.call("burst", Some("11")), Outcome::Error(busy.to_owned()));
    assert_eq!(world.commands().len(), 10);
    assert_eq!(world.host.counters()[1], ("commands_refused", 1));
    assert_eq!(world.call("burst", Some("1")), Outcome::Data(None));
}

#[test]
fn state_is_one_value_of_each_type_for_the_whole_shard() {
    struct Counter(Cell<u32>);
    fn count(counter: State<Counter>, name: State<&'static str>) -> String {
        counter.0.set(counter.0.get() + 1);
        format!("{}{}", *name, counter.0.get())
    }
    let mut world = World::new(App::new().action("count", count).state(Counter(Cell::new(0))).state("n"));
    assert_eq!(world.call("count", None), data(r#""n1""#));
    assert_eq!(world.call("count", None), data(r#""n2""#));
}

#[test]
fn extractors_of_the_applications_own_are_arguments_too() {
    struct Adult(u8);
    impl FromCall for Adult {
        fn from_call(call: &Call<'_>) -> Result<Self> {
            let Args(age) = Args::from_call(call)?;
            if age >= 18 { Ok(Self(age)) } else { Err(Error::unauthorized()) }
        }
    }
    let mut world = World::new(App::new().action("age", |Adult(age): Adult| age));
    assert_eq!(world.call("age", Some("30")), data("30"));
    assert_eq!(
        world.call("age", Some("3")),
        Outcome::Error(r#"{"message":"you may not do this","name":"UnauthorizedError"}"#.to_owned())
    );
}

#[test]
fn six_arguments_are_extracted_in_order() {
    async fn all(
        Args(number): Args<u8>,
        raw: RawArgs,
        peer: Peer,
        channels: Channels,
        state: State<u16>,
        spawner: Spawner,
    ) -> Result<String> {
        spawner.spawn(async move {
            let _ = channels.publish("later", 1);
        })?;
        Ok(format!("{number} {:?} {} {}", raw.as_str(), peer.shard(), *state))
    }
    let mut world = World::new(App::new().state(5_u16).action("all", all));
    assert_eq!(world.call("all", Some("1")), data(r#""1 Some(\"1\") 3 5""#));
    assert!(matches!(&*world.run(), [Command::Publish { .. }]));
}

#[test]
fn a_panicking_action_fails_its_own_call_and_nothing_else() {
    async fn late(Args(number): Args<u32>) -> u32 {
        crate::time::sleep(std::time::Duration::from_micros(1)).await;
        assert!(number != 13, "unlucky");
        number
    }
    let mut world = World::new(
        App::new()
            .action("app.panics", |Args(number): Args<u32>| 100 / number)
            .action("extract", |_: Unlucky| ())
            .action("late", late),
    );
    let failed =
        |action: &str| Outcome::Error(format!(r#"{{"message":"Action {action} failed","name":"ActionFailedError"}}"#));
    assert_eq!(world.call("app.panics", Some("0")), failed("app.panics"));
    assert_eq!(world.call("app.panics", Some("4")), data("25"));
    assert_eq!(world.call("extract", None), failed("extract"));
    let [Outcome::Pending(unlucky), Outcome::Pending(lucky)] =
        ["13", "12"].map(|number| world.call("late", Some(number)))
    else {
        panic!("both wait")
    };
    assert!(world.run().is_empty());
    let mut done = answers(world.run_after(std::time::Duration::from_millis(1)));
    done.sort_by_key(|(ticket, _)| *ticket);
    assert_eq!(done, [(unlucky, failed("late")), (lucky, data("12"))]);
    assert_eq!(world.host.counters()[0], ("panics", 3));
    assert_eq!(world.call("app.panics", Some("5")), data("20"));
}

struct Unlucky;

impl FromCall for Unlucky {
    fn from_call(_call: &Call<'_>) -> Result<Self> {
        panic!("in an extractor")
    }
}

#[test]
#[should_panic(expected = "action \"a.b\" is there twice")]
fn a_name_registered_twice_stops_the_start() {
    let _ = App::new().action("a.b", || 1).action("a.b", || 2);
}

#[test]
fn ill_formed_names_stop_the_start() {
    let long = "x".repeat(256);
    let reasons = [
        ("", "name is empty"),
        ("#publish", "the protocol's own"),
        ("a..b", "empty part"),
        (".a", "empty part"),
        ("a.", "empty part"),
        ("a\nb", "control character"),
        (&*long, "longer than 255 bytes"),
    ];
    for (name, reason) in reasons {
        let panic = super::super::fence::fence(|| App::new().action(name, || 1)).map(|_| ()).expect_err(name);
        assert!(panic.text.contains(reason), "{name:?}: {}", panic.text);
    }
}

#[test]
#[should_panic(expected = "action \"count\" takes State<u64>, and the application has no u64")]
fn state_that_is_missing_stops_the_start() {
    World::new(App::new().action("count", |count: State<u64>| *count));
}

#[test]
#[should_panic(expected = "action \"x\" takes Channel, which is not there")]
fn an_extractor_that_is_never_there_stops_the_start() {
    World::new(App::new().action("x", |channel: crate::app::Channel| channel.0));
}

#[test]
#[should_panic(expected = "state of type u8 is there twice")]
fn state_of_one_type_twice_stops_the_start() {
    let _ = App::new().state(1_u8).state(2_u8);
}
