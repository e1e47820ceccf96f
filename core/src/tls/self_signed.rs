//! A certificate of our own making, for development: its key never leaves the process and ends with it.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use rcgen::{CertificateParams, DnType, ExtendedKeyUsagePurpose, KeyPair, KeyUsagePurpose, date_time_ymd};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::sign::CertifiedKey;
use sha2::{Digest as _, Sha256};

use super::TlsError;

/// A certificate for localhost and these addresses.
pub(super) fn make(listen: &[SocketAddr], provider: &CryptoProvider) -> Result<Arc<CertifiedKey>, TlsError> {
    let mut names = vec!["localhost".to_owned(), "*.localhost".to_owned(), "127.0.0.1".to_owned(), "::1".to_owned()];
    names.extend(
        listen.iter().map(SocketAddr::ip).filter(|address| !is_every(*address)).map(|address| address.to_string()),
    );
    names.sort();
    names.dedup();
    let failed = |error: rcgen::Error| TlsError::Making(error.to_string());
    let mut params = CertificateParams::new(names).map_err(failed)?;
    params.distinguished_name.push(DnType::CommonName, "SocketShard development");
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    // It ends with the process: no clock decides when.
    params.not_before = date_time_ymd(2025, 1, 1);
    params.not_after = date_time_ymd(2099, 12, 31);
    let key = KeyPair::generate().map_err(failed)?;
    let certificate = params.self_signed(&key).map_err(failed)?;
    let fingerprint = Sha256::digest(certificate.der());
    let fingerprint: Vec<_> = fingerprint.iter().map(|byte| format!("{byte:02X}")).collect();
    tracing::warn!(sha256 = fingerprint.join(":"), "a self-signed certificate was made: for development only");
    let key = PrivatePkcs8KeyDer::from(key.serialize_der()).into();
    let certified = CertifiedKey::from_der(vec![certificate.der().clone()], key, provider);
    certified.map(Arc::new).map_err(|error| TlsError::Making(error.to_string()))
}

fn is_every(address: IpAddr) -> bool {
    address.is_unspecified()
}
