//! Work of the application that no call waits for. It runs on the shard that spawned it, never moves, and ends with it.

use std::rc::Rc;

use super::call::{Call, FromCall};
use super::error::Result;
use super::local::Local;
use super::tasks::Work;

/// Extracts the way to spawn background work on this shard.
#[derive(Clone, Debug)]
pub struct Spawner {
    local: Rc<Local>,
}

impl Spawner {
    /// Runs the future on this shard until it is done. A panic in it is logged and ends it alone.
    ///
    /// # Errors
    /// When the shard has as much pending work as its limit allows.
    pub fn spawn(&self, work: impl Future<Output = ()> + 'static) -> Result {
        self.local.spawn(Work::Background { name: "spawned", work: Box::pin(work) })
    }
}

impl FromCall for Spawner {
    fn from_call(call: &Call<'_>) -> Result<Self> {
        Ok(Self { local: Rc::clone(call.local()) })
    }
}

/// As [`Spawner::spawn`], from wherever the application's code runs.
///
/// # Errors
/// As [`Spawner::spawn`].
///
/// # Panics
/// Outside of a shard.
pub fn spawn(work: impl Future<Output = ()> + 'static) -> Result {
    let local = Local::current().expect("spawn is called on a shard: by an action, a hook or a spawned task");
    Spawner { local }.spawn(work)
}
