//! Actions that compute, refuse and wait. Run it with `cargo run --example rpc`, then call `math.add` with `[1, 2]`,
//! `math.divide` with `[1, 0]`, or `slow.answer`, from any SocketCluster client.

use std::process::ExitCode;
use std::time::Duration;

use socketshard::prelude::*;
use socketshard::time::sleep;

/// Arguments are extracted by type: two numbers, sent as an array.
async fn add(Args((left, right)): Args<(f64, f64)>) -> f64 {
    left + right
}

/// An error reaches the caller with its name, its message and what else it carries.
async fn divide(Args((left, right)): Args<(f64, f64)>) -> Result<f64> {
    if right == 0.0 {
        return Err(Error::new("DivisionError", "nothing can be divided by zero").with("dividend", left));
    }
    Ok(left / right)
}

/// Waiting holds up nobody else: the shard goes on meanwhile.
async fn answer() -> u32 {
    sleep(Duration::from_millis(750)).await;
    42
}

fn main() -> ExitCode {
    Server::from_args()
        .run(|| App::new().action("math.add", add).action("math.divide", divide).action("slow.answer", answer))
}
