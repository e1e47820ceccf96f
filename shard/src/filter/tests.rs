//! Filtered deliveries: who is asked, that order and barriers stay what they are, that others' channels take the plain
//! way.

use crate::world::{Client, World};
use crate::{Command, Limits};

/// Shards on which deliveries of channels that begin with `f` are asked about.
fn world(shards: usize) -> World {
    let mut world = World::new(shards, Limits::default());
    world.shards.iter_mut().for_each(|shard| shard.filter_deliveries(|channel| channel.starts_with('f')));
    world
}

fn subscriber(world: &mut World, shard: usize, channel: &str) -> Client {
    let client = world.member(shard, "10.0.0.1");
    let packet = format!(r##"{{"event":"#subscribe","data":{{"channel":"{channel}"}},"cid":2}}"##);
    assert_eq!(world.ask(client, &packet).as_deref(), Some(r#"{"rid":2}"#));
    client
}

fn publish(world: &mut World, client: Client, channel: &str, data: &str) {
    let packet = format!(r##"{{"event":"#publish","data":{{"channel":"{channel}","data":{data}}},"cid":3}}"##);
    world.send(client, &packet);
}

fn publication(channel: &str, data: &str) -> String {
    format!(r##"{{"event":"#publish","data":{{"channel":"{channel}","data":{data}}}}}"##)
}

#[test]
fn each_subscriber_on_each_shard_is_asked_about() {
    let mut world = world(2);
    let members = [0, 0, 1, 1].map(|shard| subscriber(&mut world, shard, "f"));
    // The stub wants no number above its connection's slot to be delivered.
    for data in ["0", "1", "2"] {
        publish(&mut world, members[0], "f", data);
    }
    let own = world.heard(members[0]);
    assert_eq!(own, [publication("f", "0"), r#"{"rid":3}"#.into(), r#"{"rid":3}"#.into(), r#"{"rid":3}"#.into()]);
    assert_eq!(world.heard(members[1]), [publication("f", "0"), publication("f", "1")]);
    assert_eq!(world.heard(members[2]), [publication("f", "0")]);
    assert_eq!(world.heard(members[3]), [publication("f", "0"), publication("f", "1")]);
    let count =
        |count: fn(&crate::Metrics) -> u64| world.shards.iter().map(|shard| count(shard.metrics())).sum::<u64>();
    assert_eq!((count(|metrics| metrics.deliveries), count(|metrics| metrics.deliveries_blocked)), (6, 6));
}

#[test]
fn other_channels_are_not_asked_about() {
    let mut world = world(1);
    let member = subscriber(&mut world, 0, "open");
    publish(&mut world, member, "open", "9");
    assert_eq!(world.heard(member), [publication("open", "9"), r#"{"rid":3}"#.into()]);
    assert!(!world.hosts[0].told.iter().any(|line| line.starts_with("deliver")));
}

#[test]
fn what_the_host_publishes_while_it_is_asked_comes_later_and_ends() {
    let mut world = world(1);
    let member = subscriber(&mut world, 0, "f");
    // Publishes again, with one less, for each number that it is asked about.
    world.hosts[0].echoes = true;
    publish(&mut world, member, "f", "0");
    assert_eq!(world.heard(member), [publication("f", "0"), r#"{"rid":3}"#.into()]);
    let other = subscriber(&mut world, 0, "f");
    world.hosts[0].commands.push_back(Command::Publish { channel: "f".into(), data: Some("1".into()) });
    world.send(other, "");
    world.wait(std::time::Duration::from_millis(50));
    assert_eq!(world.heard(other), [publication("f", "1"), publication("f", "0")]);
    assert_eq!(world.heard(member), [publication("f", "0")]);
}

#[test]
fn nothing_comes_after_an_unsubscription() {
    let mut world = world(2);
    let (near, far) = (subscriber(&mut world, 0, "f"), subscriber(&mut world, 1, "f"));
    publish(&mut world, near, "f", "0");
    assert_eq!(world.ask(far, r##"{"event":"#unsubscribe","data":"f","cid":4}"##).as_deref(), Some(r#"{"rid":4}"#));
    publish(&mut world, near, "f", "0");
    assert_eq!(world.heard(far), [""; 0]);
}
