//! One patient conversation with the server before the load begins, so that a server that is not there, refuses, or
//! speaks something else is named once and clearly instead of ten thousand times. Blocking, with a deadline.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use super::Address;
use crate::client::{Client, Event, Tongue};
use crate::net::Wish;

/// How long the server has for the whole conversation.
const PATIENCE: Duration = Duration::from_secs(5);

/// Connects, upgrades and (by the tongue's protocol) shakes hands.
pub(crate) fn probe(address: &Address, tongue: &mut Tongue) -> Result<(), String> {
    let deadline = Instant::now() + PATIENCE;
    let place = format!("ws://{}{}", address.host, tongue.path);
    let mut stream = TcpStream::connect_timeout(&address.socket, PATIENCE).map_err(|error| match error.kind() {
        ErrorKind::ConnectionRefused => {
            format!("{place}: connection refused; is the server running? (--spawn starts ours)")
        }
        _ => format!("{place}: {error}"),
    })?;
    let mut client = Client::new((), tongue, u64::MAX);
    let mut out = Vec::new();
    client.connected(tongue, &mut out);
    let mut buffer = [0; 4096];
    loop {
        stream.write_all(&out).map_err(|error| format!("{place}: {error}"))?;
        out.clear();
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            let stage = format!("{:?}", client.stage()).to_lowercase();
            return Err(format!("{place}: no answer within {} s while {stage}", PATIENCE.as_secs()));
        }
        stream.set_read_timeout(Some(left)).map_err(|error| format!("{place}: {error}"))?;
        let length = match stream.read(&mut buffer) {
            Ok(0) => return Err(format!("{place}: the server closed the connection during the handshake")),
            Ok(length) => length,
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => continue,
            Err(error) => return Err(format!("{place}: {error}")),
        };
        let mut broken = None;
        let wish = client.receive(&mut buffer[..length], tongue, &mut out, |(), _, _, event| match event {
            Event::Broken(text) => broken = Some(text),
            Event::Closed(code) => broken = Some(format!("the server closed with code {code}")),
            Event::Ready | Event::Text(_) | Event::Ping => {}
        });
        if let Some(text) = broken {
            return Err(format!("{place}: {text}"));
        }
        if client.is_open() || wish == Wish::Drop {
            client.close(tongue, &mut out, u64::MAX);
            // The conversation has served its purpose; how it ends does not matter.
            let _ = stream.write_all(&out);
            return Ok(());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::Protocol;
    use std::net::{SocketAddr, TcpListener};

    fn answered_with(answer: &'static [u8]) -> Result<(), String> {
        let listener = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).expect("a free port");
        let address = Address::of(listener.local_addr().expect("bound"));
        let server = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().expect("a connection");
            let _ = stream.read(&mut [0; 4096]);
            let _ = stream.write_all(answer);
        });
        let mut tongue = Tongue::new(address.host.clone(), "/x".to_owned(), Protocol::SocketCluster, 1);
        let result = probe(&address, &mut tongue);
        server.join().expect("the server ends");
        result
    }

    #[test]
    fn a_server_that_is_something_else_is_named() {
        let problem = answered_with(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n").expect_err("no WebSocket");
        assert!(problem.contains("404") && problem.contains("/x"), "{problem}");
        let problem = answered_with(b"SSH-2.0-x\r\n\r\n").expect_err("no HTTP");
        assert!(problem.contains("upgrade"), "{problem}");
        let problem = answered_with(b"").expect_err("silence");
        assert!(problem.contains("closed"), "{problem}");
    }

    #[test]
    fn a_server_that_is_not_there_is_named() {
        let listener = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).expect("a free port");
        let address = Address::of(listener.local_addr().expect("bound"));
        drop(listener);
        let mut tongue = Tongue::new(address.host.clone(), "/".to_owned(), Protocol::WebSocket, 1);
        assert!(probe(&address, &mut tongue).expect_err("nobody listens").contains("refused"));
    }
}
