//! Pending work: who wakes it, in which order sleeps end, what cancelling does, and that each bound holds.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::{Arc, Mutex};
use std::task::{Poll, Waker};
use std::time::Duration;

use futures_util::future::join_all;
use futures_util::stream::{FuturesUnordered, StreamExt};
use shard::{Command, Host, Time};

use super::{Outcome, World, answers, data};
use crate::app::{App, AppLimits, Args, Channels, Result, State, spawn};
use crate::time::{Elapsed, sleep, timeout};

type Seen = Rc<RefCell<Vec<u64>>>;

fn pending(outcome: &Outcome) -> shard::Ticket {
    let Outcome::Pending(ticket) = outcome else { panic!("{outcome:?} is not pending") };
    *ticket
}

async fn nap(Args(ms): Args<u64>) -> u64 {
    sleep(Duration::from_millis(ms)).await;
    ms
}

#[test]
fn sleeps_end_in_the_order_of_their_deadlines_and_never_early() {
    let mut world = World::new(App::new().action("nap", nap));
    let tickets = ["30", "10", "20", "10"].map(|ms| pending(&world.call("nap", Some(ms))));
    assert_eq!(world.host.next_wake(), Some(Time::ZERO), "new work wants a run at once");
    assert!(world.run().is_empty());
    assert_eq!(world.host.next_wake(), Some(world.now + Duration::from_millis(10)));
    assert!(world.run_after(Duration::from_micros(9_999)).is_empty(), "a sleep never ends early");
    assert_eq!(
        answers(world.run_after(Duration::from_micros(1))),
        [(tickets[1], data("10")), (tickets[3], data("10"))]
    );
    assert_eq!(answers(world.run_after(Duration::from_secs(1))), [(tickets[2], data("20")), (tickets[0], data("30"))]);
    assert_eq!(world.host.next_wake(), None);
    assert_eq!(world.rings(), 0, "the driver waits for the deadline, nobody has to ring");
}

#[test]
fn a_sleep_counts_from_the_pass_that_runs_it_and_not_from_the_one_before() {
    let mut world = World::new(App::new().action("nap", nap));
    world.run();
    // The driver slept for a minute: the time that the host knows is that old when the call comes in.
    world.now = world.now + Duration::from_secs(60);
    pending(&world.call("nap", Some("20")));
    assert!(world.run().is_empty());
    assert_eq!(world.host.next_wake(), Some(world.now + Duration::from_millis(20)));
}

#[test]
fn sleeps_inside_of_sets_of_futures_end_too() {
    async fn race(Args(naps): Args<Vec<u64>>) -> u64 {
        let mut set: FuturesUnordered<_> = naps.into_iter().map(|ms| nap(Args(ms))).collect();
        set.next().await.expect("there is one")
    }
    async fn all(Args(naps): Args<Vec<u64>>) -> u64 {
        join_all(naps.into_iter().map(|ms| nap(Args(ms)))).await.iter().sum()
    }
    let mut world = World::new(App::new().action("race", race).action("all", all));
    let naps = format!("{:?}", (1..=40).rev().collect::<Vec<u64>>());
    let [race, all] = ["race", "all"].map(|action| pending(&world.call(action, Some(&naps))));
    assert!(world.run().is_empty());
    assert_eq!(answers(world.run_after(Duration::from_millis(1))), [(race, data("1"))]);
    let mut done = Vec::new();
    for _ in 2..=40 {
        assert_eq!(done, []);
        done = answers(world.run_after(Duration::from_millis(1)));
    }
    assert_eq!(done, [(all, data("820"))]);
    assert_eq!(world.host.next_wake(), None, "the losers of the race have left their timers");
}

#[test]
fn a_timeout_ends_what_takes_too_long_and_leaves_what_does_not() {
    async fn limited(Args(ms): Args<u64>) -> bool {
        timeout(Duration::from_millis(10), nap(Args(ms))).await == Err(Elapsed)
    }
    let mut world = World::new(App::new().action("limited", limited));
    let [slow, quick] = ["11", "9"].map(|ms| pending(&world.call("limited", Some(ms))));
    world.run();
    assert_eq!(answers(world.run_after(Duration::from_millis(9))), [(quick, data("false"))]);
    assert_eq!(answers(world.run_after(Duration::from_millis(1))), [(slow, data("true"))]);
    assert_eq!(world.host.next_wake(), None);
}

#[test]
fn a_cancelled_call_is_dropped_at_once_and_answers_nobody() {
    struct Guard(Seen);
    impl Drop for Guard {
        fn drop(&mut self) {
            self.0.borrow_mut().push(1);
        }
    }
    async fn wait(seen: State<Seen>) {
        let _guard = Guard(Rc::clone(&seen));
        sleep(Duration::from_secs(1)).await;
    }
    let seen = Seen::default();
    let mut world = World::new(App::new().state(Rc::clone(&seen)).action("wait", wait).action("nap", nap));
    // One that was not run yet, and one that was.
    for runs in 0..2 {
        let ticket = pending(&world.call("wait", None));
        (0..runs).for_each(|_| assert!(world.run().is_empty()));
        world.host.cancel(ticket);
        assert_eq!(seen.take(), [1], "the future is gone before cancel returns");
        world.host.cancel(ticket);
        assert!(world.run_after(Duration::from_secs(2)).is_empty());
        assert_eq!(world.host.next_wake(), None);
    }
    let ticket = pending(&world.call("nap", Some("1")));
    world.run();
    assert_eq!(answers(world.run_after(Duration::from_millis(1))), [(ticket, data("1"))]);
}

#[test]
fn a_destructor_that_panics_when_its_call_is_cancelled_harms_nobody() {
    struct Bomb;
    impl Drop for Bomb {
        fn drop(&mut self) {
            panic!("in a destructor");
        }
    }
    async fn wait() {
        let _bomb = Bomb;
        std::future::pending::<()>().await;
    }
    let mut world = World::new(App::new().action("wait", wait).action("nap", nap));
    let ticket = pending(&world.call("wait", None));
    world.run();
    world.host.cancel(ticket);
    assert_eq!(world.host.counters()[0], ("panics", 1));
    pending(&world.call("nap", Some("0")));
    world.run();
    assert_eq!(world.run_after(Duration::from_micros(1)).len(), 1);
}

#[test]
fn what_another_thread_wakes_rings_the_doorbell_and_runs() {
    #[derive(Clone, Default)]
    struct Gate(Arc<Mutex<(bool, Option<Waker>)>>);
    async fn pass(gate: State<Gate>) -> &'static str {
        std::future::poll_fn(|task| {
            let mut gate = gate.0.lock().expect("nobody panics with it");
            gate.1 = Some(task.waker().clone());
            if gate.0 { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
        "passed"
    }
    let gate = Gate::default();
    let mut world = World::new(App::new().state(gate.clone()).action("pass", pass));
    let ticket = pending(&world.call("pass", None));
    assert!(world.run().is_empty());
    assert_eq!(world.rings(), 0);
    std::thread::spawn(move || {
        let mut gate = gate.0.lock().expect("nobody panics with it");
        gate.0 = true;
        gate.1.take().expect("the action waits").wake();
    })
    .join()
    .expect("it only opens the gate");
    assert_eq!(world.rings(), 1);
    assert_eq!(answers(world.run()), [(ticket, data("\"passed\""))]);
}

#[test]
fn tasks_that_wake_each_other_run_in_one_pass_and_without_a_ring() {
    async fn chain(Args(length): Args<u32>, channels: Channels) -> Result {
        fn link(rest: u32, channels: Channels) -> Result {
            spawn(async move {
                let outcome = if rest == 0 { channels.publish("end", ()) } else { link(rest - 1, channels) };
                assert_eq!(outcome, Ok(()));
            })
        }
        link(length, channels)
    }
    let mut world = World::new(App::new().action("chain", chain));
    world.call("chain", Some("5"));
    assert!(matches!(&*world.run(), [Command::Publish { .. }]));
    assert_eq!(world.rings(), 0);
}

#[test]
fn a_task_that_wakes_itself_without_end_leaves_the_pass_and_rings() {
    async fn spin() {
        std::future::poll_fn::<(), _>(|task| {
            task.waker().wake_by_ref();
            Poll::Pending
        })
        .await;
    }
    let mut world = World::new(App::new().action("spin", spin).action("nap", nap));
    pending(&world.call("spin", None));
    let ticket = pending(&world.call("nap", Some("1")));
    assert!(world.run().is_empty());
    assert_eq!(world.rings(), 1, "the driver must come back for it");
    assert_eq!(answers(world.run_after(Duration::from_millis(1))), [(ticket, data("1"))]);
    assert_eq!(world.rings(), 2);
}

#[test]
fn a_spawned_task_that_panics_ends_alone() {
    fn begin(seen: State<Seen>) -> Result {
        spawn(async { panic!("in a task") })?;
        spawn(async move { seen.borrow_mut().push(2) })
    }
    let seen = Seen::default();
    let mut world = World::new(App::new().state(Rc::clone(&seen)).action("begin", begin));
    assert_eq!(world.call("begin", None), Outcome::Data(None));
    assert!(world.run().is_empty());
    assert_eq!(*seen.borrow(), [2]);
    assert_eq!(world.host.counters()[0], ("panics", 1));
}

#[test]
fn spawning_above_the_limit_is_refused_and_what_ends_makes_room() {
    fn begin(Args(count): Args<usize>) -> Result {
        (0..count).try_for_each(|_| spawn(sleep(Duration::from_millis(1))))
    }
    let limits = AppLimits { tasks_max: 3, ..AppLimits::default() };
    let mut world = World::new(App::new().limits(limits).action("begin", begin));
    assert!(matches!(world.call("begin", Some("4")), Outcome::Error(error) if error.contains("BusyError")));
    world.run();
    world.run_after(Duration::from_millis(1));
    assert_eq!(world.call("begin", Some("3")), Outcome::Data(None));
}

#[test]
fn more_sleeps_than_the_limit_fail_the_call_that_asks_for_them() {
    async fn many(Args(count): Args<usize>) {
        join_all((0..count).map(|_| sleep(Duration::from_millis(1)))).await;
    }
    let limits = AppLimits { timers_max: 10, ..AppLimits::default() };
    let mut world = World::new(App::new().limits(limits).action("many", many));
    let ticket = pending(&world.call("many", Some("11")));
    let failed = Outcome::Error(r#"{"message":"Action many failed","name":"ActionFailedError"}"#.to_owned());
    assert_eq!(answers(world.run()), [(ticket, failed)]);
    assert_eq!(world.host.next_wake(), None, "it took its other sleeps with it");
    let ticket = pending(&world.call("many", Some("10")));
    world.run();
    assert_eq!(answers(world.run_after(Duration::from_millis(1))), [(ticket, Outcome::Data(None))]);
}

#[test]
fn publishers_wait_while_the_lanes_are_congested() {
    async fn publish(channels: Channels) -> Result<&'static str> {
        assert_eq!(channels.publish("c", 1).map_err(|error| error.name().to_owned()), Err("BusyError".to_owned()));
        channels.ready().await;
        channels.publish("c", 2)?;
        Ok("published")
    }
    let mut world = World::new(App::new().action("publish", publish));
    world.host.congested(true);
    let ticket = pending(&world.call("publish", None));
    assert!(world.run().is_empty());
    world.host.congested(true);
    assert!(world.run().is_empty());
    world.host.congested(false);
    assert_eq!(world.rings(), 1);
    let mut commands = world.run();
    let answer = commands.pop().expect("the publication and the answer");
    assert!(matches!(&*commands, [Command::Publish { data: Some(data), .. }] if &**data == "2"), "{commands:?}");
    assert_eq!(answers(vec![answer]), [(ticket, data("\"published\""))]);
}

#[test]
fn what_is_pending_when_the_shard_ends_is_dropped() {
    struct Guard(Seen);
    impl Drop for Guard {
        fn drop(&mut self) {
            self.0.borrow_mut().push(7);
        }
    }
    async fn wait(seen: State<Seen>, peer: crate::app::Peer, kept: State<RefCell<Vec<crate::app::Peer>>>) {
        kept.borrow_mut().push(peer);
        let _guard = Guard(Rc::clone(&seen));
        sleep(Duration::from_secs(1)).await;
    }
    let seen = Seen::default();
    let kept = RefCell::new(Vec::<crate::app::Peer>::new());
    let mut world = World::new(App::new().state(Rc::clone(&seen)).state(kept).action("wait", wait));
    pending(&world.call("wait", None));
    world.run();
    pending(&world.call("wait", None));
    drop(world);
    assert_eq!(*seen.borrow(), [7, 7]);
    assert_eq!(Rc::strong_count(&seen), 1, "state that holds peers is let go too");
}

#[test]
#[should_panic(expected = "sleep is awaited on a shard")]
fn a_sleep_outside_of_a_shard_says_so() {
    let mut sleep = std::pin::pin!(sleep(Duration::ZERO));
    let _ = sleep.as_mut().poll(&mut std::task::Context::from_waker(Waker::noop()));
}
