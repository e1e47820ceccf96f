//! socketioxide behind axum, on one thread: the event `echo` is answered with its argument, the event `message` goes to
//! everybody. Prints "listening on ADDRESS" and serves until it is killed.

use std::error::Error;

use axum::Router;
use axum::serve::ListenerExt;
use socketioxide::SocketIo;
use socketioxide::extract::{AckSender, Data, SocketRef};
use tokio::net::TcpListener;

/// Packets that may wait for a slow connection; beyond them events are dropped, which the generator counts as loss.
const BUFFER_MAX: usize = 4096;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let (layer, io) = SocketIo::builder().max_buffer_size(BUFFER_MAX).build_layer();
    io.ns("/", async |socket: SocketRef| {
        socket.on("echo", async |Data::<String>(text), answer: AckSender| drop(answer.send(&text)));
        socket.on("message", async |io: SocketIo, Data::<String>(text)| drop(io.emit("message", &text).await));
    });
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    println!("listening on {}", listener.local_addr()?);
    // A connection whose delay cannot be switched off is slow, and shows it.
    let listener = listener.tap_io(|stream| drop(stream.set_nodelay(true)));
    axum::serve(listener, Router::new().layer(layer)).await?;
    Ok(())
}
