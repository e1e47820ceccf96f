//! Why there is nothing to speak TLS with: said at the start, and in the log when files that were read again are no
//! good. It names files and never what is in them.

use std::fmt;
use std::io;
use std::path::PathBuf;

/// What is wrong.
#[derive(Debug)]
pub(crate) enum TlsError {
    /// A file cannot be read.
    Unreadable(PathBuf, io::Error),
    /// A file has no certificate in it, or one that cannot be read.
    NoCertificate(PathBuf),
    /// A certificate that is none, or none that clients would take.
    BadCertificate(PathBuf, String),
    /// A certificate that is not good yet or not any more; only refused where there is a better one.
    NotValid(PathBuf, &'static str),
    /// A file has no private key in it.
    NoKey(PathBuf),
    /// A key of a kind that we do not know, or one that is broken.
    BadKey(PathBuf),
    /// The key is encrypted in the way of before PKCS#8.
    KeyOfOldForm(PathBuf),
    /// The key is encrypted and there is no passphrase.
    PassphraseMissing(PathBuf),
    /// The key is encrypted, and not with this passphrase or in no way that we know.
    PassphraseWrong(PathBuf),
    /// The key is another certificate's.
    Mismatch(PathBuf, PathBuf),
    /// No certificate of our own could be made, or no randomness is to be had.
    Making(String),
}

impl fmt::Display for TlsError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable(path, error) => write!(formatter, "cannot read {} for TLS: {error}", path.display()),
            Self::NoCertificate(path) => {
                write!(formatter, "{} holds no certificate: it has to be in PEM", path.display())
            }
            Self::BadCertificate(path, why) => {
                write!(formatter, "the certificate in {} cannot be used: {why}", path.display())
            }
            Self::NotValid(path, why) => write!(formatter, "the certificate in {} is {why}", path.display()),
            Self::NoKey(path) => write!(formatter, "{} holds no private key: it has to be in PEM", path.display()),
            Self::BadKey(path) => {
                write!(formatter, "the key in {} cannot be used: RSA, ECDSA and Ed25519 keys can", path.display())
            }
            Self::KeyOfOldForm(path) => write!(
                formatter,
                "the key in {} is encrypted in an old form: convert it with `openssl pkcs8 -topk8`",
                path.display()
            ),
            Self::PassphraseMissing(path) => write!(
                formatter,
                "the key in {} is encrypted: give --tls-key-passphrase-file or SOCKETSHARD_TLS_KEY_PASSPHRASE",
                path.display()
            ),
            Self::PassphraseWrong(path) => write!(
                formatter,
                "the passphrase does not open the key in {}, or the key is encrypted in an unknown way (PBES2 with AES \
                 is known)",
                path.display()
            ),
            Self::Mismatch(certificate, key) => {
                write!(formatter, "the key in {} is not that of {}", key.display(), certificate.display())
            }
            Self::Making(error) => write!(formatter, "cannot prepare TLS: {error}"),
        }
    }
}

impl std::error::Error for TlsError {}
