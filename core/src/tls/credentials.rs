//! Certificates with their keys, out of files. Everything is judged before any of it is used.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use rustls::crypto::CryptoProvider;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::sign::CertifiedKey;
use rustls::{Error, InconsistentKeys};

use super::validity::Validity;
use super::{TlsError, private_key};
use crate::config::TlsSettings;

/// One certificate with its key.
#[derive(Debug)]
pub(super) struct Credential {
    pub(super) certified: Arc<CertifiedKey>,
    /// What is wrong with its dates.
    pub(super) objection: Option<TlsError>,
    /// Days until it is not valid any more, where its dates are known.
    pub(super) days_left: Option<i64>,
}

/// Reads the files that the settings name, in their order.
pub(super) fn read(settings: &TlsSettings, provider: &CryptoProvider) -> Result<Vec<Credential>, TlsError> {
    let passphrase = passphrase(settings)?;
    let keys = if settings.keys.is_empty() { &settings.certificates } else { &settings.keys };
    let pairs = settings.certificates.iter().zip(keys);
    pairs.map(|(certificate, key)| read_pair(certificate, key, passphrase.as_deref(), provider)).collect()
}

fn read_pair(
    certificate: &Path,
    key: &Path,
    passphrase: Option<&[u8]>,
    provider: &CryptoProvider,
) -> Result<Credential, TlsError> {
    let chain = contents(certificate)?;
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&chain).collect();
    let chain = chain.ok().filter(|chain| !chain.is_empty());
    let chain = chain.ok_or_else(|| TlsError::NoCertificate(certificate.to_owned()))?;
    let dates = Validity::of(&chain[0]);
    let private = private_key::read(key, &contents(key)?, passphrase)?;
    let signing = provider.key_provider.load_private_key(private).map_err(|_| TlsError::BadKey(key.to_owned()))?;
    let certified = CertifiedKey::new(chain, signing);
    match certified.keys_match() {
        Ok(()) | Err(Error::InconsistentKeys(InconsistentKeys::Unknown)) => {}
        Err(Error::InconsistentKeys(_)) => return Err(TlsError::Mismatch(certificate.to_owned(), key.to_owned())),
        Err(error) => return Err(TlsError::BadCertificate(certificate.to_owned(), error.to_string())),
    }
    let now = now();
    let objection = dates.and_then(|dates| dates.objection(now));
    Ok(Credential {
        certified: Arc::new(certified),
        objection: objection.map(|why| TlsError::NotValid(certificate.to_owned(), why)),
        days_left: dates.map(|dates| (dates.not_after - now).div_euclid(86_400)),
    })
}

fn passphrase(settings: &TlsSettings) -> Result<Option<Vec<u8>>, TlsError> {
    if let Some(secret) = &settings.key_passphrase {
        return Ok(Some(secret.reveal().as_bytes().to_vec()));
    }
    let Some(path) = &settings.key_passphrase_file else { return Ok(None) };
    let mut text = contents(path)?;
    // Editors end the line; a passphrase may end with a space.
    while text.last().is_some_and(|byte| matches!(byte, b'\n' | b'\r')) {
        text.pop();
    }
    Ok(Some(text))
}

fn contents(path: &Path) -> Result<Vec<u8>, TlsError> {
    fs::read(path).map_err(|error| TlsError::Unreadable(path.to_owned(), error))
}

fn now() -> i64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    since.map_or(0, |since| i64::try_from(since.as_secs()).unwrap_or(i64::MAX))
}
