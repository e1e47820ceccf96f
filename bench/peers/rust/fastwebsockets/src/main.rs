//! fastwebsockets behind hyper, as its examples have it, on one thread: `/echo` sends every message back, `/fanout`
//! sends every message to all. Prints "listening on ADDRESS" and serves until it is killed.

use std::error::Error;
use std::pin::pin;

use bytes::Bytes;
use fastwebsockets::upgrade::{self, UpgradeFut};
use fastwebsockets::{Frame, OpCode, Payload, WebSocketError};
use http_body_util::Empty;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::broadcast;
use tokio::task::{LocalSet, spawn_local};

/// Messages that a slow subscriber may lag behind; beyond them it is dropped, which the generator counts as loss.
const LAG_MAX: usize = 4096;

type Result<T = ()> = std::result::Result<T, Box<dyn Error>>;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    println!("listening on {}", listener.local_addr()?);
    let (everybody, _) = broadcast::channel(LAG_MAX);
    let serve = async {
        loop {
            let (stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            // What a connection dies of shows at its other end.
            spawn_local(serve(stream, everybody.clone()));
        }
    };
    LocalSet::new().run_until(serve).await
}

async fn serve(stream: TcpStream, everybody: broadcast::Sender<Bytes>) {
    let service = service_fn(move |request| answer(request, everybody.clone()));
    let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
    drop(connection.with_upgrades().await);
}

async fn answer(
    mut request: Request<Incoming>,
    everybody: broadcast::Sender<Bytes>,
) -> std::result::Result<Response<Empty<Bytes>>, WebSocketError> {
    let is_fanout = request.uri().path() == "/fanout";
    let (response, upgraded) = upgrade::upgrade(&mut request)?;
    spawn_local(async move {
        drop(if is_fanout { fanout(upgraded, everybody).await } else { echo(upgraded).await });
    });
    Ok(response)
}

async fn echo(upgraded: UpgradeFut) -> Result {
    let mut socket = upgraded.await?;
    loop {
        let frame = socket.read_frame().await?;
        match frame.opcode {
            OpCode::Close => return Ok(()),
            // A new frame: the old one still names the client's mask, which a server must not.
            OpCode::Text | OpCode::Binary => {
                socket.write_frame(Frame::new(true, frame.opcode, None, frame.payload)).await?;
            }
            _ => {}
        }
    }
}

async fn fanout(upgraded: UpgradeFut, everybody: broadcast::Sender<Bytes>) -> Result {
    let mut inbox = everybody.subscribe();
    let (mut reader, mut writer) = upgraded.await?.split(tokio::io::split);
    reader.set_auto_close(false);
    reader.set_auto_pong(false);
    let mut reading = pin!(async move {
        loop {
            let frame = reader.read_frame(&mut |_| async { Ok::<_, WebSocketError>(()) }).await?;
            match frame.opcode {
                OpCode::Close => return Ok::<_, Box<dyn Error>>(()),
                OpCode::Text => drop(everybody.send(Bytes::copy_from_slice(&frame.payload))?),
                _ => {}
            }
        }
    });
    loop {
        tokio::select! {
            end = &mut reading => {
                end?;
                return Ok(writer.write_frame(Frame::close(1000, b"")).await?);
            }
            message = inbox.recv() => writer.write_frame(Frame::text(Payload::Borrowed(&message?))).await?,
        }
    }
}
