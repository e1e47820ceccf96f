//! Who is shown which certificate: the one for the name that the client asks for and of a kind that it can check; the
//! first that it can check where none is for the name. It never tells by an alert which names there are.

use std::sync::Arc;

use rustls::client::verify_server_name;
use rustls::pki_types::ServerName;
use rustls::server::{ClientHello, ParsedCertificate, ResolvesServerCert};
use rustls::sign::CertifiedKey;

/// The certificates, in the order of the flags.
#[derive(Debug)]
pub(super) struct Resolver {
    pub(super) certificates: Vec<Arc<CertifiedKey>>,
}

impl ResolvesServerCert for Resolver {
    fn resolve(&self, client_hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let schemes = client_hello.signature_schemes();
        let mut fit = self.certificates.iter().filter(|certified| certified.key.choose_scheme(schemes).is_some());
        let named = client_hello.server_name().and_then(|name| ServerName::try_from(name).ok()).and_then(|name| {
            let mut fit = fit.clone();
            fit.find(|certified| is_for(certified, &name))
        });
        named.or_else(|| fit.next()).cloned()
    }
}

fn is_for(certified: &CertifiedKey, name: &ServerName<'_>) -> bool {
    let parsed = certified.cert.first().and_then(|certificate| ParsedCertificate::try_from(certificate).ok());
    parsed.is_some_and(|certificate| verify_server_name(&certificate, name).is_ok())
}
