//! Who is shown which certificate, and what a reload changes.

use harness::server::Server;
use harness::tls::{Certificates, TlsClient};
use harness::wait::{self, PATIENCE};

use crate::Secure;

#[test]
fn each_name_is_shown_its_certificate() {
    let files = Certificates::new();
    let first = files.write("first", &["a.example"], 2090);
    let second = files.write("second", &["*.b.example", "b.example"], 2090);
    let certificates = [files.certificate("first"), files.certificate("second")].join(",");
    let keys = [files.key("first"), files.key("second")].join(",");
    let server = Server::start(&["--tls-listen", "127.0.0.1:0", "--tls-cert", &certificates, "--tls-key", &keys]);
    for (name, certificate) in [("a.example", &first), ("b.example", &second), ("x.b.example", &second)] {
        let mut client = TlsClient::connect(server.tls_address(), name, certificate).expect("its own certificate");
        assert_eq!(client.shown(), *certificate, "{name}");
        assert!(client.get(name, "/healthz", "").expect("an answer").starts_with("HTTP/1.1 200 "));
    }
    // It is shown the first, and finds by itself that it is for another name.
    assert!(TlsClient::connect(server.tls_address(), "c.example", &first).is_err());
}

#[test]
fn a_reload_keeps_everybody_and_bad_files_change_nothing() {
    let secure = Secure::start(&[]);
    let mut clients: Vec<_> = (0..20).map(|_| secure.echo()).collect();
    let new = secure.certificates.write("server", &["localhost"], 2091);
    let reloads = |count: usize, words: &str| {
        secure.server.signal(libc::SIGHUP);
        wait::until("the log says it", PATIENCE, || {
            (secure.server.stderr().matches(words).count() == count).then_some(())
        });
    };
    reloads(1, "certificates are read again");
    clients.iter_mut().for_each(|client| client.echo(b"still here"));
    let connect = |certificate| TlsClient::connect(secure.server.tls_address(), "localhost", certificate);
    // Every shard has them.
    for _ in 0..20 {
        assert_eq!(connect(&new).expect("the new one").shown(), new);
        assert!(connect(&secure.certificate).is_err());
    }
    std::fs::write(secure.certificates.certificate("server"), "no certificate").expect("a file");
    reloads(1, "the certificates stay as they are");
    secure.certificates.write("server", &["localhost"], 2020);
    reloads(2, "the certificates stay as they are");
    assert!(secure.server.stderr().contains("not valid any more"));
    assert_eq!(connect(&new).expect("the last good one").shown(), new);
    clients.iter_mut().for_each(|client| client.echo(b"still here"));
}

#[test]
fn without_tls_a_hangup_does_nothing() {
    let server = Server::start(&[]);
    server.signal(libc::SIGHUP);
    wait::until("the log says so", PATIENCE, || server.stderr().contains("nothing to reload").then_some(()));
    crate::abuse::assert_plain_served(&server);
}
