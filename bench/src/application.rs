//! An application of the public API, as an author writes it: actions with typed arguments, ready at once.

use shard::{Host, ShardId};
use socketshard::{App, Args, RawArgs};

/// One shard's copy of it: `app.echo`, `app.square` of one number, `app.add` of two.
#[must_use]
pub fn application() -> impl Host {
    let app = App::new().action("app.echo", echo).action("app.square", square).action("app.add", add);
    socketshard::host(app, ShardId(0))
}

async fn echo(argument: RawArgs) -> RawArgs {
    argument
}

async fn square(Args(number): Args<f64>) -> f64 {
    number * number
}

async fn add(Args((left, right)): Args<(u64, u64)>) -> Option<u64> {
    left.checked_add(right)
}
