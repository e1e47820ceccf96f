//! TLS on the real server: real clients over wss, certificates by name and by reload, ends and cuts, and those who do
//! not play by the rules.

mod abuse;
mod certificates;
mod clients;
mod doors;
mod streams;

use harness::server::Server;
use harness::tls::{Certificates, TlsClient};
use rustls::pki_types::CertificateDer;

/// A server with one certificate, for `localhost` and `127.0.0.1`, beside a plain listener.
struct Secure {
    server: Server,
    certificates: Certificates,
    certificate: CertificateDer<'static>,
}

impl Secure {
    fn start(flags: &[&str]) -> Self {
        let certificates = Certificates::new();
        let certificate = certificates.write("server", &["localhost", "127.0.0.1"], 2090);
        let (file, key) = (certificates.certificate("server"), certificates.key("server"));
        let tls = ["--tls-listen", "127.0.0.1:0", "--tls-cert", &file, "--tls-key", &key];
        let server = Server::start(&[&tls, flags].concat());
        Self { server, certificates, certificate }
    }

    fn connect(&self) -> TlsClient {
        TlsClient::connect(self.server.tls_address(), "localhost", &self.certificate).expect("the server speaks TLS")
    }

    /// A connection on which every message is echoed.
    fn echo(&self) -> TlsClient {
        let mut client = self.connect();
        client.upgrade("localhost", "/echo", &[]).expect("the route is there");
        client
    }
}
