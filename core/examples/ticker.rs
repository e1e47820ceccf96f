//! A ticker: prices that change once a second for the whole server, sent to the users who watch them and to nobody else.
//! Run it with `cargo run --example ticker`.
//!
//! ```js
//! const socket = socketClusterClient.create({ hostname: 'localhost', port: 8000 })
//! await socket.invoke('auth.login', { module: 'name', params: 'alice' })
//! await socket.invoke('ticker.watch', ['ACME', 'INIT'])
//! for await (const prices of socket.receiver('prices')) console.log(prices)
//! ```

use std::collections::HashMap;
use std::process::ExitCode;
use std::sync::{LazyLock, Mutex, PoisonError};
use std::time::Duration;

use serde_json::json;
use socketshard::prelude::*;

/// What is traded.
const SYMBOLS: [&str; 3] = ["ACME", "INIT", "OMNI"];

/// Who watches what: one table for all shards, as the one shard that has the ticker's clock must know of all. It is
/// locked for the length of a copy.
static WATCHED: LazyLock<Mutex<HashMap<String, Vec<&'static str>>>> = LazyLock::new(Mutex::default);

fn watched() -> std::sync::MutexGuard<'static, HashMap<String, Vec<&'static str>>> {
    WATCHED.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn watch(UserId(user): UserId, Args(symbols): Args<Vec<String>>) -> Result {
    let known = |symbol: &String| SYMBOLS.into_iter().find(|known| known == symbol);
    let symbols: Option<Vec<_>> = symbols.iter().map(known).collect();
    let symbols = symbols.ok_or_else(|| Error::not_found("there is no such symbol"))?;
    watched().insert(user, symbols);
    Ok(())
}

/// One event for each user, on all their connections, with the prices that they watch.
async fn tick(publish: Publish, prices: State<Prices>) -> Result {
    let prices = prices.step();
    let watched = watched().clone();
    for (user, symbols) in watched {
        let own: HashMap<_, _> = prices.iter().filter(|(symbol, _)| symbols.contains(symbol)).copied().collect();
        publish.user(&user, "prices", json!(own))?;
    }
    Ok(())
}

/// Prices that wander.
#[derive(Default)]
struct Prices(std::cell::Cell<u64>);

impl Prices {
    fn step(&self) -> [(&'static str, u64); 3] {
        let word = self.0.get().wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        self.0.set(word);
        std::array::from_fn(|index| (SYMBOLS[index], 9_900 + (word >> (20 * index)) % 200))
    }
}

fn main() -> ExitCode {
    Server::from_args().run(|| {
        App::new()
            .state(Prices::default())
            .authentication("name", |Args(name): Args<String>| Login::success(name))
            .action("ticker.watch", watch)
            .require_login("ticker.*")
            .every(Duration::from_secs(1), tick)
            .on_offline(|UserId(user): UserId| drop(watched().remove(&user)))
    })
}
