//! What a connection by TLS is given that others are not, and what the doors beside it do.

use std::net::TcpStream;

use codec::websocket::Opcode;
use harness::http::Http;
use harness::process::Process;
use harness::server::{Server, command};
use harness::tls::TlsClient;
use harness::wait::{self, PATIENCE};
use harness::websocket::WebSocket;

use crate::Secure;

#[test]
fn plain_http_is_sent_to_tls_whatever_it_asks() {
    let secure = Secure::start(&["--tls-redirect", "127.0.0.1:0"]);
    let (redirect, port) = (secure.server.redirect_address(), secure.server.tls_address().port());
    let answer = Http::get(redirect, "/chat?room=1");
    assert_eq!(answer.status, 308);
    assert_eq!(answer.header("location"), Some(format!("https://127.0.0.1:{port}/chat?room=1").as_str()));
    assert_eq!(answer.header("set-cookie"), None, "nothing is opened here");
    let error = WebSocket::try_connect(redirect, "/socketcluster/").err().expect("nothing is opened here");
    assert!(error.to_string().contains("308"), "{error}");
    let elsewhere = Secure::start(&["--tls-redirect", "127.0.0.1:0", "--tls-redirect-port", "443"]);
    let answer = Http::get(elsewhere.server.redirect_address(), "/");
    assert_eq!(answer.header("location"), Some("https://127.0.0.1/"));
}

#[test]
fn over_tls_the_cookie_is_secure_and_only_pages_by_https_are_at_home() {
    let secure = Secure::start(&[]);
    let page = secure.connect().get("localhost", "/", "").expect("the page is there");
    assert!(page.contains("\r\nSet-Cookie: __Host-session=") && page.contains("; Secure\r\n"), "{page}");
    let plain = Http::get(secure.server.address(), "/");
    let cookie = plain.header("set-cookie").expect("the first page sets it");
    assert!(cookie.starts_with("session=") && !cookie.contains("Secure"), "{cookie}");
    let mut page = secure.connect();
    page.upgrade("localhost", "/echo", &[("Origin", "https://localhost")]).expect("it is at home");
    page.echo(b"home");
    let error = secure.connect().upgrade("localhost", "/echo", &[("Origin", "http://localhost")]);
    assert!(error.expect_err("not by https").to_string().starts_with("HTTP/1.1 403 "));
}

#[test]
fn who_asks_for_tls_alone_is_not_given_a_plain_door() {
    let mut command = command();
    command.args(["start", "--shards", "1", "--tls-listen", "127.0.0.1:0", "--tls-self-signed"]);
    let process = Process::start(command);
    let line = wait::until("the server listens", PATIENCE, || process.stdout_lines().pop());
    let rest = line.strip_prefix("socketshard listening on https://127.0.0.1:").expect("one listener");
    let port = rest.split(' ').next().expect("a port").parse().expect("a port");
    let expected = if has_kernel_tls() { " tls=kernel shards=" } else { " tls=userspace ktls=no shards=" };
    assert!(line.contains(expected), "{line}");
    drop(TcpStream::connect(("127.0.0.1", port)).expect("it is there"));
    assert!(process.stderr().contains("sha256="), "the fingerprint is in the log");
}

/// One connection is enough to tell, and to see that there it does what it does elsewhere.
#[test]
fn the_kernel_speaks_tls_where_it_can_unless_it_is_told_not_to() {
    for (flags, is_offloaded) in [(&[][..], has_kernel_tls()), (&["--ktls", "off"], false)] {
        let secure = Secure::start(flags);
        let mut client = secure.echo();
        client.echo(b"who speaks?");
        let counter = if is_offloaded { " tls_offloaded=1" } else { " tls_handshakes=1" };
        wait::until("the counters tell", PATIENCE, || {
            secure.server.signal(libc::SIGUSR1);
            secure.server.stderr().contains(counter).then_some(())
        });
        assert_eq!(secure.server.stderr().contains(" tls_offloaded="), is_offloaded);
        client.renew_key();
        if is_offloaded && kernel() < (6, 14) {
            // Its TLS has one key for each direction.
            client.send_frame(Opcode::Binary, b"under another key").expect("it is still there");
            while client.receive().is_ok_and(|bytes| !bytes.is_empty()) {}
        } else {
            client.echo(b"under another key");
        }
    }
}

#[test]
fn a_certificate_of_its_own_making_is_trusted_by_nobody() {
    let secure = Secure::start(&[]);
    let server = Server::start(&["--tls-listen", "127.0.0.1:0", "--tls-self-signed"]);
    assert!(TlsClient::connect(server.tls_address(), "localhost", &secure.certificate).is_err());
}

/// Whether this machine's kernel has one: as the kernel says, which the server does not ask.
fn has_kernel_tls() -> bool {
    let protocols = std::fs::read_to_string("/proc/sys/net/ipv4/tcp_available_ulp").unwrap_or_default();
    protocols.split_whitespace().any(|protocol| protocol == "tls")
}

fn kernel() -> (u32, u32) {
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").expect("the kernel has a name");
    let mut numbers = release.split('.').map_while(|number| number.parse().ok());
    (numbers.next().expect("a version"), numbers.next().expect("its second number"))
}

#[test]
fn files_that_are_none_stop_the_start_and_are_found_by_check() {
    let secure = Secure::start(&[]);
    let (certificate, key) = (secure.certificates.certificate("server"), secure.certificates.key("server"));
    for (verb, files, words) in [
        ("start", [&certificate, &certificate], "holds no private key"),
        ("start", [&key, &key], "holds no certificate"),
        ("check", [&certificate, &certificate], "holds no private key"),
    ] {
        let mut command = command();
        command.args([verb, "--tls-listen", "127.0.0.1:0", "--tls-cert", files[0], "--tls-key", files[1]]);
        let exit = Process::run(command, PATIENCE);
        assert_eq!(exit.code(), 66, "{exit}");
        assert!(exit.stderr.contains(words), "{exit}");
    }
    let mut command = command();
    command.args(["start", "--tls-key-passphrase", "x"]);
    let exit = Process::run(command, PATIENCE);
    assert_eq!(exit.code(), 2, "{exit}");
    assert!(exit.stderr.contains("SOCKETSHARD_TLS_KEY_PASSPHRASE"), "{exit}");
}
