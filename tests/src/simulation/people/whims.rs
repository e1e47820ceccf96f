//! What an application says to people and asks about them, of its own accord and in calls.

use fastrand::Rng;
use shard::{Act, Audience, Command, Question, SlowConsumer};

use super::USERS;
use super::asking::Asking;
use super::said::channel_names;
use crate::simulation::plan::{CHANNELS, Plan};

/// Something about people.
pub(in super::super) fn whim(asking: &mut Asking, plan: &Plan, random: &mut Rng) -> Command {
    match random.u8(..24) {
        0..9 => asking.ask(question(plan, random), false),
        9 | 10 => {
            let channel = CHANNELS[random.usize(..plan.channels)].into();
            address(Act::KickOut { channel, message: "".into() }, plan, random)
        }
        11 if !plan.is_peaceful && !plan.is_drowsy => {
            let code = 4_200 + random.u16(..100);
            let act = Act::Disconnect { code, reason: "".into() };
            let names = user_names(1, random);
            if random.bool() { address_to(Audience::Users, names, act) } else { address(act, plan, random) }
        }
        _ => address(Act::Event { event: "said".into(), data: None, is_volatile: false }, plan, random),
    }
}

/// One of all questions.
pub(super) fn question(plan: &Plan, random: &mut Rng) -> Question {
    let channel: Box<str> = CHANNELS[random.usize(..plan.channels)].into();
    let user: Box<str> = (*random.choice(&USERS[1..]).expect("four")).into();
    let perhaps = random.bool().then(|| channel.clone());
    match random.u8(..6) {
        0..3 => Question::Members { channel: perhaps, after: random.bool().then_some(user), count: random.usize(1..5) },
        3 => Question::IsMember { channel: perhaps, user },
        4 => Question::Count { channel },
        _ => Question::Settled { channel },
    }
}

fn address(act: Act<Box<str>>, plan: &Plan, random: &mut Rng) -> Command {
    match random.u8(..8) {
        0..3 => {
            let count = random.usize(1..=2);
            address_to(Audience::Users, user_names(count, random), act)
        }
        3..7 => {
            let mut channels: Vec<_> = (0..plan.channels).collect();
            random.shuffle(&mut channels);
            channels.truncate(random.usize(1..=2));
            // The judge has to know in which order an event comes.
            let is_conflated = |channel: &usize| plan.policy(*channel) == SlowConsumer::Conflate;
            if matches!(act, Act::Event { .. })
                && let Some(conflated) = channels.iter().copied().find(is_conflated)
            {
                channels = vec![conflated];
            }
            address_to(Audience::Channels, channel_names(&channels), act)
        }
        _ => address_to(Audience::Everyone, "".into(), act),
    }
}

fn address_to(audience: Audience, names: Box<str>, act: Act<Box<str>>) -> Command {
    Command::Address { audience, names, act, except: None }
}

fn user_names(count: usize, random: &mut Rng) -> Box<str> {
    let mut users = USERS[1..].to_vec();
    random.shuffle(&mut users);
    users.truncate(count);
    users.join("\n").into()
}
