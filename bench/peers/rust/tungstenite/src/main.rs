//! tokio-tungstenite as its users write it, on one thread: `/echo` sends every message back, `/fanout` sends every
//! message to all. Prints "listening on ADDRESS" and serves until it is killed.

use std::error::Error;

use futures_util::{SinkExt, StreamExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::broadcast;
use tokio::task::LocalSet;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::server::{Request, Response};
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;

/// Messages that a slow subscriber may lag behind; beyond them it is dropped, which the generator counts as loss.
const LAG_MAX: usize = 4096;

type Result<T = ()> = std::result::Result<T, Box<dyn Error>>;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result {
    let config = config(std::env::args().skip(1))?;
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    println!("listening on {}", listener.local_addr()?);
    let (everybody, _) = broadcast::channel(LAG_MAX);
    let serve = async {
        loop {
            let (stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            let everybody = everybody.clone();
            // What a connection dies of shows at its other end.
            tokio::task::spawn_local(async move { drop(converse(stream, config, everybody).await) });
        }
    };
    LocalSet::new().run_until(serve).await
}

/// The defaults, or `--read-buffer-bytes N`.
fn config(mut arguments: impl Iterator<Item = String>) -> Result<WebSocketConfig> {
    let mut config = WebSocketConfig::default();
    while let Some(argument) = arguments.next() {
        match (argument.as_str(), arguments.next()) {
            ("--read-buffer-bytes", Some(bytes)) => config = config.read_buffer_size(bytes.parse()?),
            _ => return Err(format!("what is {argument}?").into()),
        }
    }
    Ok(config)
}

async fn converse(stream: TcpStream, config: WebSocketConfig, everybody: broadcast::Sender<Message>) -> Result {
    let mut is_fanout = false;
    #[allow(clippy::result_large_err)] // the callback's type is the crate's
    let look = |request: &Request, response: Response| {
        is_fanout = request.uri().path() == "/fanout";
        Ok(response)
    };
    let socket = tokio_tungstenite::accept_hdr_async_with_config(stream, look, Some(config)).await?;
    if is_fanout { fanout(socket, everybody).await } else { echo(socket).await }
}

async fn echo(mut socket: WebSocketStream<TcpStream>) -> Result {
    while let Some(message) = socket.next().await {
        let message = message?;
        if message.is_text() || message.is_binary() {
            socket.send(message).await?;
        }
    }
    Ok(())
}

async fn fanout(mut socket: WebSocketStream<TcpStream>, everybody: broadcast::Sender<Message>) -> Result {
    let mut inbox = everybody.subscribe();
    loop {
        tokio::select! {
            message = socket.next() => match message {
                Some(message) => {
                    let message = message?;
                    if message.is_text() {
                        everybody.send(message)?;
                    }
                }
                None => return Ok(()),
            },
            message = inbox.recv() => {
                socket.feed(message?).await?;
                while let Ok(message) = inbox.try_recv() {
                    socket.feed(message).await?;
                }
                socket.flush().await?;
            }
        }
    }
}
