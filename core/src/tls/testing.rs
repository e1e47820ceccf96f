//! The client's side of TLS, for tests: it believes every certificate and tells which it was shown.

use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{
    CipherSuite, ClientConfig, ClientConnection, DigitallySignedStruct, Error, SignatureScheme,
    SupportedProtocolVersion,
};

use super::TlsKeeper;
use crate::config::TlsSettings;

/// Settings that listen for TLS, somewhere.
pub(crate) fn listening() -> TlsSettings {
    TlsSettings { listen: vec!["127.0.0.1:0".parse().expect("an address")], ..TlsSettings::default() }
}

/// A keeper with a certificate of its own making.
pub(crate) fn keeper() -> Arc<TlsKeeper> {
    offloading(Vec::new())
}

/// One that gives connections to the kernel that are agreed on one of these suites.
pub(crate) fn offloading(offloaded: Vec<CipherSuite>) -> Arc<TlsKeeper> {
    let settings = TlsSettings { self_signed: true, ..listening() };
    TlsKeeper::open(&settings, offloaded).expect("a certificate can be made").expect("something listens")
}

/// A client that asks for this name, in one of these versions.
pub(crate) fn client(name: &str, versions: &[&'static SupportedProtocolVersion]) -> ClientConnection {
    let provider = Arc::new(ring::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider));
    let builder = builder.with_protocol_versions(versions).expect("versions that there are").dangerous();
    let verifier = Arc::new(Credulous(provider));
    let config = builder.with_custom_certificate_verifier(verifier).with_no_client_auth();
    let name = ServerName::try_from(name.to_owned()).expect("a name");
    ClientConnection::new(Arc::new(config), name).expect("a client")
}

#[derive(Debug)]
struct Credulous(Arc<CryptoProvider>);

impl ServerCertVerifier for Credulous {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signature, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signature, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
