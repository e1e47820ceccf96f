//! The application that is broken: actions on sessions and channels, one by which a shard dies, and one by which it hangs.

use std::process::ExitCode;
use std::time::Duration;

use socketshard::{App, Args, Peer, Result, Server, Session};

/// Runs the server as the command line says, until it ends.
pub(crate) fn serve() -> ExitCode {
    Server::from_args().run(|| {
        App::new()
            .action("square", |Args(number): Args<f64>| number * number)
            .action("shard", |peer: Peer| peer.shard())
            .action("count", |session: Session| async move { session.increment(SUM, 1).await })
            .action("counted", |session: Session| session.get::<i64>(SUM))
            .action("join", |session: Session| async move { session.channel().subscribe(OF_SESSIONS).await })
            .action("break", || -> Result { socketshard::break_shard() })
            .action("hang", || std::thread::sleep(FOR_EVER))
    })
}

/// Longer than anybody waits for a shard.
const FOR_EVER: Duration = Duration::from_secs(3_600);
/// What each session counts.
const SUM: &str = "sum";
/// The channel that clients subscribe to, each time they connect.
pub(crate) const OF_CLIENTS: &str = "of-clients";
/// The channel that sessions were subscribed to once; nobody asks for it again.
pub(crate) const OF_SESSIONS: &str = "of-sessions";
