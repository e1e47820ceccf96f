//! One patient conversation with the server before the load begins, so that a server that is not there, refuses, or
//! speaks something else is named once and clearly instead of ten thousand times. Blocking, with a deadline.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use rustls::ClientConnection;

use super::Address;
use crate::client::{Client, Event, Protocol, Tongue};
use crate::net::{Carry as _, Line, Trust};

/// How long the server has for the whole conversation.
const PATIENCE: Duration = Duration::from_secs(5);

/// Connects, upgrades and (by the tongue's protocol) shakes hands.
pub(crate) fn probe(address: &Address, trust: Option<&Trust>, tongue: &mut Tongue) -> Result<(), String> {
    let scheme = if trust.is_some() { "wss" } else { "ws" };
    let place = format!("{scheme}://{}{}", address.host, tongue.path);
    let connect = || {
        Stream::connect(address, trust).map_err(|error| match error.kind() {
            ErrorKind::ConnectionRefused => {
                format!("{place}: connection refused; is the server running? (--spawn starts ours)")
            }
            _ => format!("{place}: {error}"),
        })
    };
    let mut first = connect()?;
    let mut second = (tongue.protocol == Protocol::SocketIoPolling).then(connect).transpose()?;
    converse(&place, &mut first, second.as_mut(), tongue)
}

fn converse(
    place: &str,
    first: &mut Stream,
    mut second: Option<&mut Stream>,
    tongue: &mut Tongue,
) -> Result<(), String> {
    let deadline = Instant::now() + PATIENCE;
    let mut client = Client::new((), tongue, u64::MAX);
    let mut said = Vec::new();
    client.connected(tongue, &mut said);
    let mut buffer = [0; 4096];
    loop {
        let failed = |error: std::io::Error| format!("{place}: {error}");
        // Without a second line what is said goes to the first; with one, a POST is answered before the GET that waits.
        let (mut out, mut posted) = (Vec::new(), Vec::new());
        let mut line = Line::First;
        if let Some(second) = &mut second {
            client.carry(&mut said, &mut out, &mut posted);
            second.send(&posted).map_err(failed)?;
            line = if posted.is_empty() { Line::First } else { Line::Second };
        } else {
            std::mem::swap(&mut said, &mut out);
        }
        first.send(&out).map_err(failed)?;
        if client.is_open() {
            client.close(tongue, &mut said, u64::MAX);
            // The conversation has served its purpose; how it ends does not matter.
            client.carry(&mut said, &mut out, &mut posted);
            let _ = second.as_mut().map_or_else(|| first.send(&said), |second| second.send(&posted));
            return Ok(());
        }
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            let stage = format!("{:?}", client.stage()).to_lowercase();
            return Err(format!("{place}: no answer within {} s while {stage}", PATIENCE.as_secs()));
        }
        let stream = second.as_deref_mut().filter(|_| line == Line::Second).unwrap_or(first);
        let length = match stream.receive(&mut buffer, left) {
            Ok(0) => return Err(format!("{place}: the server closed the connection during the handshake")),
            Ok(length) => length,
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => continue,
            Err(error) => return Err(failed(error)),
        };
        let mut broken = None;
        client.receive(line, &mut buffer[..length], tongue, &mut said, |(), _, _, event| match event {
            Event::Broken(text) => broken = Some(text),
            Event::Closed(code) => broken = Some(format!("the server closed with code {code}")),
            Event::Ready | Event::Text(_) | Event::Ping => {}
        });
        if let Some(text) = broken {
            return Err(format!("{place}: {text}"));
        }
    }
}

/// A blocking stream, with TLS or without.
struct Stream {
    tcp: TcpStream,
    tls: Option<ClientConnection>,
}

impl Stream {
    fn connect(address: &Address, trust: Option<&Trust>) -> std::io::Result<Self> {
        let tcp = TcpStream::connect_timeout(&address.socket, PATIENCE)?;
        tcp.set_read_timeout(Some(PATIENCE))?;
        Ok(Self { tcp, tls: trust.map(Trust::connection) })
    }

    fn send(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        match &mut self.tls {
            Some(tls) => rustls::Stream::new(tls, &mut self.tcp).write_all(bytes),
            None => self.tcp.write_all(bytes),
        }
    }

    fn receive(&mut self, buffer: &mut [u8], patience: Duration) -> std::io::Result<usize> {
        self.tcp.set_read_timeout(Some(patience))?;
        match &mut self.tls {
            Some(tls) => rustls::Stream::new(tls, &mut self.tcp).read(buffer),
            None => self.tcp.read(buffer),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
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
        let result = probe(&address, None, &mut tongue);
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
        assert!(probe(&address, None, &mut tongue).expect_err("nobody listens").contains("refused"));
    }
}
