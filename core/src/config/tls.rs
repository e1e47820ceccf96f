//! The settings of TLS: where it is spoken, and what with. The files themselves are read when the server starts, and
//! again on SIGHUP.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;

use super::Secret;

/// How TLS is offered; off while nothing listens for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsSettings {
    /// Addresses on which TLS is expected.
    pub listen: Vec<SocketAddr>,
    /// Addresses on which plain HTTP is sent to the first of `listen`.
    pub redirect: Vec<SocketAddr>,
    /// The port that clients know the first of `listen` by; none: its own.
    pub redirect_port: Option<u16>,
    /// Files with a chain of certificates each, in PEM, the server's own first. The first chain is for clients that name
    /// no server, or one that no certificate is for.
    pub certificates: Vec<PathBuf>,
    /// Files with the keys of these certificates, in PEM, in the same order; none: the keys stand in the same files.
    pub keys: Vec<PathBuf>,
    /// What opens keys that are encrypted.
    pub key_passphrase: Option<Secret>,
    /// The file with what opens them. It excludes `key_passphrase`.
    pub key_passphrase_file: Option<PathBuf>,
    /// A certificate of the server's own making instead of files, for development.
    pub self_signed: bool,
    /// Bytes of handshake messages that may wait for their end.
    pub handshake_bytes_max: usize,
    /// Whether connections are given to the kernel's TLS after their handshake, where it has one.
    pub is_kernel_used: bool,
}

impl TlsSettings {
    /// Whether anything listens for TLS.
    pub(crate) const fn is_on(&self) -> bool {
        !self.listen.is_empty()
    }

    /// Every rule that they break.
    pub(super) fn violations(&self) -> Vec<TlsViolation> {
        let mut found = Vec::new();
        let flags = [
            ("--tls-cert", !self.certificates.is_empty()),
            ("--tls-self-signed", self.self_signed),
            ("--tls-redirect", !self.redirect.is_empty()),
        ];
        if !self.is_on() {
            let given = flags.into_iter().filter(|(_, is_given)| *is_given);
            found.extend(given.map(|(flag, _)| TlsViolation::Unused(flag)));
        } else if self.certificates.is_empty() && !self.self_signed {
            found.push(TlsViolation::WithoutCertificate);
        }
        if self.self_signed && !self.certificates.is_empty() {
            found.push(TlsViolation::Twice);
        }
        let (certificates, keys) = (self.certificates.len(), self.keys.len());
        if keys > 0 && keys != certificates {
            found.push(TlsViolation::Pairs { certificates, keys });
        }
        if certificates > CERTIFICATES_MAX {
            found.push(TlsViolation::TooMany(certificates));
        }
        if self.key_passphrase.is_some() && self.key_passphrase_file.is_some() {
            found.push(TlsViolation::PassphraseTwice);
        }
        found
    }
}

/// One rule that settings of TLS break. `Display` says which flags to change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum TlsViolation {
    /// TLS is to be spoken with no certificate.
    WithoutCertificate,
    /// Certificates or redirects for TLS that is spoken nowhere.
    Unused(&'static str),
    /// A certificate of our own making and certificates from files.
    Twice,
    /// Not one key per certificate.
    Pairs { certificates: usize, keys: usize },
    /// More certificates than a handshake looks through.
    TooMany(usize),
    /// Two sources of the passphrase.
    PassphraseTwice,
}

impl Default for TlsSettings {
    fn default() -> Self {
        Self {
            listen: Vec::new(),
            redirect: Vec::new(),
            redirect_port: None,
            certificates: Vec::new(),
            keys: Vec::new(),
            key_passphrase: None,
            key_passphrase_file: None,
            self_signed: false,
            // A client's first message is 250 to 2,000 bytes, with post-quantum key shares and tickets included.
            handshake_bytes_max: 16 << 10,
            is_kernel_used: true,
        }
    }
}

impl fmt::Display for TlsViolation {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::WithoutCertificate => formatter.write_str(
                "--tls-listen needs a certificate: give --tls-cert and --tls-key, or --tls-self-signed for development",
            ),
            Self::Unused(flag) => write!(formatter, "{flag} is of no use without --tls-listen"),
            Self::Twice => formatter.write_str("--tls-cert and --tls-self-signed are two certificates: choose one"),
            Self::Pairs { certificates, keys } => {
                write!(formatter, "each --tls-cert needs its --tls-key: there are {certificates} and {keys}")
            }
            Self::TooMany(count) => {
                write!(formatter, "--tls-cert is given {count} times, at most {CERTIFICATES_MAX} are looked through")
            }
            Self::PassphraseTwice => formatter.write_str(
                "--tls-key-passphrase-file and SOCKETSHARD_TLS_KEY_PASSPHRASE are two passphrases: choose one",
            ),
        }
    }
}

/// A handshake looks at one after the other, each some microseconds of parsing.
const CERTIFICATES_MAX: usize = 64;
