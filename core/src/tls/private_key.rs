//! A private key out of a PEM file: PKCS#8, encrypted PKCS#8, PKCS#1 or SEC1. What was decrypted lives in memory that is
//! wiped when it is freed, as far as the library that signs with it does the same.

use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use pkcs8::EncryptedPrivateKeyInfo;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};

use super::TlsError;

/// The first key in the text of a file.
pub(super) fn read(path: &Path, pem: &[u8], passphrase: Option<&[u8]>) -> Result<PrivateKeyDer<'static>, TlsError> {
    let text = String::from_utf8_lossy(pem);
    if let Some(body) = between(&text, "-----BEGIN ENCRYPTED PRIVATE KEY-----", "-----END ENCRYPTED PRIVATE KEY-----") {
        let passphrase = passphrase.ok_or_else(|| TlsError::PassphraseMissing(path.to_owned()))?;
        return decrypt(body, passphrase).ok_or_else(|| TlsError::PassphraseWrong(path.to_owned()));
    }
    // RFC 1421 section 4.6.1.1: what OpenSSL wrote before PKCS#8, with a hash that is guessed quickly.
    if text.contains("Proc-Type: 4,ENCRYPTED") {
        return Err(TlsError::KeyOfOldForm(path.to_owned()));
    }
    PrivateKeyDer::from_pem_slice(pem).map_err(|_| TlsError::NoKey(path.to_owned()))
}

fn decrypt(body: &str, passphrase: &[u8]) -> Option<PrivateKeyDer<'static>> {
    let text: String = body.split_ascii_whitespace().collect();
    let der = STANDARD.decode(text).ok()?;
    let key = EncryptedPrivateKeyInfo::try_from(der.as_slice()).ok()?.decrypt(passphrase).ok()?;
    Some(PrivatePkcs8KeyDer::from(key.as_bytes().to_vec()).into())
}

fn between<'a>(text: &'a str, begin: &str, end: &str) -> Option<&'a str> {
    let (_, rest) = text.split_once(begin)?;
    Some(rest.split_once(end)?.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `ed.pem` by `openssl pkcs8 -topk8` with PBKDF2, AES-256-CBC and the passphrase `open sesame`.
    const ENCRYPTED: &str = include_str!("../../../tests/data/keys/ed.encrypted.pem");
    const PLAIN: &str = include_str!("../../../tests/data/keys/ed.pem");

    fn key(pem: &str, passphrase: Option<&str>) -> Result<PrivateKeyDer<'static>, TlsError> {
        read(Path::new("key.pem"), pem.as_bytes(), passphrase.map(str::as_bytes))
    }

    #[test]
    fn an_encrypted_key_opens_with_its_passphrase_and_is_the_same_key() {
        let opened = key(ENCRYPTED, Some("open sesame")).expect("it is the passphrase");
        assert_eq!(opened, key(PLAIN, None).expect("it is a key"));
        let before = format!("some words\n{ENCRYPTED}");
        assert!(key(&before, Some("open sesame")).is_ok());
    }

    #[test]
    fn what_is_wrong_with_a_key_is_said() {
        assert!(matches!(key(ENCRYPTED, None), Err(TlsError::PassphraseMissing(_))));
        assert!(matches!(key(ENCRYPTED, Some("open barley")), Err(TlsError::PassphraseWrong(_))));
        let broken = ENCRYPTED.replacen("MIG", "AAA", 1);
        assert!(broken != ENCRYPTED && matches!(key(&broken, Some("open sesame")), Err(TlsError::PassphraseWrong(_))));
        let old = "-----BEGIN EC PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n\nAAAA\n-----END EC PRIVATE KEY-----\n";
        assert!(matches!(key(old, Some("x")), Err(TlsError::KeyOfOldForm(_))));
        for none in ["", "text", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"] {
            assert!(matches!(key(none, None), Err(TlsError::NoKey(_))), "{none}");
        }
    }
}
