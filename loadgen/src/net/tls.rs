//! TLS on the generator's sockets: what is queued is sealed right before it is sent, what came is opened before anybody
//! sees it. Every connection shakes hands in full, as clients do that were never here before: nothing is resumed.

use std::io::{self, Read, Write};
use std::path::Path;
use std::sync::Arc;

use rustls::client::Resumption;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, ClientConnection, DigitallySignedStruct, RootCertStore, SignatureScheme};

/// Whom to take for the server.
#[derive(Clone, Debug)]
pub(crate) struct Trust {
    config: Arc<ClientConfig>,
    name: ServerName<'static>,
}

impl Trust {
    /// A server of that name whose certificate one of the file's has signed, or is; without a file, whoever answers.
    pub(crate) fn new(name: &str, authorities: Option<&Path>) -> Result<Self, String> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .map_err(|error| format!("TLS: {error}"))?;
        let mut config = match authorities {
            Some(file) => builder.with_root_certificates(read(file)?).with_no_client_auth(),
            None => {
                let anybody = Arc::new(Anybody(provider));
                builder.dangerous().with_custom_certificate_verifier(anybody).with_no_client_auth()
            }
        };
        config.resumption = Resumption::disabled();
        let name = ServerName::try_from(name.to_owned()).map_err(|_| format!("'{name}' is no name for TLS"))?;
        Ok(Self { config: Arc::new(config), name })
    }

    /// A connection's side of it.
    pub(crate) fn connection(&self) -> ClientConnection {
        let mut session = ClientConnection::new(Arc::clone(&self.config), self.name.clone())
            .expect("the configuration fits its own provider");
        // What may be queued is bounded above; until the handshake is over all of it waits here.
        session.set_buffer_limit(None);
        session
    }
}

fn read(file: &Path) -> Result<RootCertStore, String> {
    let problem = |error: &dyn std::fmt::Display| format!("--ca {}: {error}", file.display());
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(file).map_err(|error| problem(&error))? {
        let certificate = certificate.map_err(|error| problem(&error))?;
        roots.add(certificate).map_err(|error| problem(&error))?;
    }
    if roots.is_empty() { Err(problem(&"no certificate is in it")) } else { Ok(roots) }
}

/// One connection's records.
#[derive(Debug)]
pub(super) struct Tls {
    session: ClientConnection,
    /// What was opened last.
    plain: Vec<u8>,
}

impl Tls {
    pub(super) fn new(trust: &Trust) -> Self {
        Self { session: trust.connection(), plain: Vec::new() }
    }

    /// Whether there is something to send that nobody has queued: a part of the handshake, most often.
    pub(super) fn wants_write(&self) -> bool {
        self.session.wants_write()
    }

    /// Puts records into the place of what they hold.
    pub(super) fn seal(&mut self, out: &mut Vec<u8>) {
        self.session.writer().write_all(out).expect("the buffer has no limit");
        out.clear();
        while self.session.wants_write() {
            self.session.write_tls(out).expect("memory takes everything");
        }
    }

    /// What these bytes and those before hold.
    pub(super) fn open(&mut self, mut bytes: &[u8]) -> io::Result<Vec<u8>> {
        let mut plain = std::mem::take(&mut self.plain);
        plain.clear();
        while !bytes.is_empty() {
            self.session.read_tls(&mut bytes)?;
            self.session.process_new_packets().map_err(|error| io::Error::other(format!("TLS: {error}")))?;
            match self.session.reader().read_to_end(&mut plain) {
                Err(error) if error.kind() != io::ErrorKind::WouldBlock => return Err(error),
                _ => {}
            }
        }
        Ok(plain)
    }

    /// Takes the buffer back.
    pub(super) fn give_back(&mut self, plain: Vec<u8>) {
        self.plain = plain;
    }
}

/// Takes every certificate: the load is for a server of one's own.
#[derive(Debug)]
struct Anybody(Arc<CryptoProvider>);

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls12_signature(message, certificate, signed, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls13_signature(message, certificate, signed, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_authority_is_named() {
        let problem = Trust::new("localhost", Some(Path::new("/nonexistent.pem"))).expect_err("there is no file");
        assert!(problem.contains("--ca /nonexistent.pem"), "{problem}");
        let problem = Trust::new("localhost", Some(Path::new("/dev/null"))).expect_err("it is empty");
        assert!(problem.contains("no certificate"), "{problem}");
        assert!(Trust::new("a name", None).expect_err("no name").contains("a name"));
    }

    #[test]
    fn the_handshake_waits_for_nobody_and_what_is_said_waits_for_it() {
        let mut tls = Tls::new(&Trust::new("127.0.0.1", None).expect("it is a name"));
        assert!(tls.wants_write(), "the client speaks first");
        let mut out = b"said at once".to_vec();
        tls.seal(&mut out);
        assert_eq!(out.first(), Some(&22), "a handshake record");
        assert!(!out.windows(4).any(|window| window == b"said") && !tls.wants_write());
        let alert = [21, 3, 3, 0, 2, 2, 40];
        assert!(tls.open(&alert).expect_err("refused").to_string().contains("TLS"));
    }
}
