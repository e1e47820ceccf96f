//! Work that the application does from time to time, once for the whole server.

use std::future::poll_fn;
use std::pin::Pin;
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use super::call::{Call, Occasion};
use super::endpoint::Hook;
use super::error::Result;
use super::fence::fence;
use super::handler::Step;
use super::hooks::{fenced, name};
use super::local::{Counters, Local};
use super::tasks::{LocalFuture, hook_panicked};
use super::timer::sleep;

/// A hook and its period.
pub(super) struct Periodic {
    pub(super) period: Duration,
    pub(super) hook: Rc<dyn Hook>,
}

impl Periodic {
    /// Runs it over and over. A run that is longer than the period delays the next one and is never overtaken by it; an
    /// error or a panic is logged and ends that run alone.
    pub(super) async fn run(self, local: Rc<Local>) {
        let mut due = local.now() + self.period;
        loop {
            sleep(due.since(local.now())).await;
            let call = Call::start(&local);
            match fenced(&call, || self.hook.call(&call)) {
                None => {}
                Some(Step::Done(outcome)) => report(outcome),
                Some(Step::Later(pending)) => finish(&local, pending).await,
            }
            // From when it was due, not from when it was run: the period is kept in the long run. Of several that were
            // missed meanwhile only the last is made up for.
            due = due + self.period;
            let missed = local.now().since(due).as_nanos() / self.period.as_nanos();
            due = due + self.period * u32::try_from(missed).unwrap_or(u32::MAX);
        }
    }
}

async fn finish(local: &Local, mut pending: LocalFuture<Result>) {
    let outcome = poll_fn(|task| {
        let polled = fence(|| Pin::new(&mut pending).poll(task));
        polled.unwrap_or_else(|panic| {
            Counters::count(&local.counters.panics);
            hook_panicked(name(Occasion::Start), &panic);
            Poll::Ready(Ok(()))
        })
    });
    report(outcome.await);
}

fn report(outcome: Result) {
    if let Err(error) = outcome {
        tracing::warn!(%error, "periodic work failed");
    }
}
