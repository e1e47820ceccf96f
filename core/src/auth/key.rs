//! Keys: read from files or the environment, each pinned to one algorithm, so that a token cannot choose how it is
//! verified. What a key is made of is never logged or shown.

use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Validation};

use crate::config::{AuthSettings, KeyFile};

/// One key.
#[derive(Debug)]
pub(crate) struct Key {
    /// The `kid` of the tokens it signs; a token that names another key is not its.
    pub(crate) name: Option<String>,
    pub(crate) algorithm: Algorithm,
    pub(crate) verifying: DecodingKey,
    /// None for a public key: it verifies what others sign.
    pub(crate) signing: Option<EncodingKey>,
    /// What the library is to check beside the signature: that the algorithm is this one, and nothing else.
    pub(crate) validation: Validation,
}

/// Why there is no key.
#[derive(Debug)]
pub(crate) enum KeyError {
    /// The file cannot be read.
    Unreadable { path: PathBuf, error: io::Error },
    /// The file holds no key of a kind that we know.
    NotKey { path: PathBuf },
    /// The key is not for the algorithm.
    Unfit { path: PathBuf, algorithm: Algorithm },
    /// There is nothing in it.
    Empty { path: PathBuf },
    /// The system gives no random bytes for a key of our own.
    Random(getrandom::Error),
}

impl Key {
    /// The keys of these settings; a random one where there are none.
    pub(crate) fn load(settings: &AuthSettings) -> Result<Vec<Self>, KeyError> {
        if let Some(secret) = &settings.key {
            return Ok(vec![Self::secret(None, Algorithm::HS256, secret.reveal().as_bytes())]);
        }
        if settings.key_files.is_empty() {
            return Ok(vec![Self::random()?]);
        }
        settings.key_files.iter().map(Self::read).collect()
    }

    /// A key that nobody else has and that ends with the process.
    pub(crate) fn random() -> Result<Self, KeyError> {
        let mut bytes = [0; RANDOM_KEY_BYTES];
        getrandom::fill(&mut bytes).map_err(KeyError::Random)?;
        Ok(Self::secret(None, Algorithm::HS256, &bytes))
    }

    /// A secret that signs and verifies.
    pub(crate) fn secret(name: Option<String>, algorithm: Algorithm, secret: &[u8]) -> Self {
        let (verifying, signing) = (DecodingKey::from_secret(secret), EncodingKey::from_secret(secret));
        Self::new(name, algorithm, verifying, Some(signing))
    }

    /// A key in PEM: private ones sign and verify, public ones verify. `None`: it is no such key.
    pub(crate) fn pem(name: Option<&str>, algorithm: Option<Algorithm>, pem: &str) -> Option<Self> {
        let is_private = pem.contains("PRIVATE KEY-----");
        KINDS.iter().find_map(|kind| {
            let algorithms = algorithm.as_ref().map_or(kind.algorithms, std::slice::from_ref);
            algorithms.iter().find_map(|algorithm| {
                let (verifying, signing) = if is_private {
                    let signing = (kind.private)(pem.as_bytes()).ok()?;
                    let public = Jwk::from_encoding_key(&signing, *algorithm).ok()?;
                    (DecodingKey::from_jwk(&public).ok()?, Some(signing))
                } else {
                    ((kind.public)(pem.as_bytes()).ok()?, None)
                };
                let key = Self::new(name.map(str::to_owned), *algorithm, verifying, signing);
                key.is_fit().then_some(key)
            })
        })
    }

    fn new(name: Option<String>, algorithm: Algorithm, verifying: DecodingKey, signing: Option<EncodingKey>) -> Self {
        let mut validation = Validation::new(algorithm);
        // Times are ours to judge, with no leeway and with the reference's texts; audiences are the application's.
        validation.required_spec_claims.clear();
        validation.validate_exp = false;
        validation.validate_nbf = false;
        validation.validate_aud = false;
        Self { name, algorithm, verifying, signing, validation }
    }

    fn read(file: &KeyFile) -> Result<Self, KeyError> {
        let path = || file.path.clone();
        let text = fs::read(&file.path).map_err(|error| KeyError::Unreadable { path: path(), error })?;
        let secret = text.trim_ascii_end();
        if secret.is_empty() {
            return Err(KeyError::Empty { path: path() });
        }
        let is_secret = |algorithm: &Algorithm| algorithm.family() == jsonwebtoken::AlgorithmFamily::Hmac;
        if let Some(pem) = std::str::from_utf8(secret).ok().filter(|text| text.contains(PEM_MARK)) {
            // A public key is no secret: whoever has it could sign tokens with it, if it were taken for one.
            if let Some(algorithm) = file.algorithm.filter(is_secret) {
                return Err(KeyError::Unfit { path: path(), algorithm });
            }
            let key = Self::pem(file.name.as_deref(), file.algorithm, pem);
            return key.ok_or_else(|| match file.algorithm {
                Some(algorithm) => KeyError::Unfit { path: path(), algorithm },
                None => KeyError::NotKey { path: path() },
            });
        }
        let algorithm = file.algorithm.unwrap_or(Algorithm::HS256);
        if !is_secret(&algorithm) {
            return Err(KeyError::Unfit { path: path(), algorithm });
        }
        if secret.len() < SECRET_BYTES_MIN {
            tracing::warn!(path = %file.path.display(), "a key of {} bytes can be guessed: use {SECRET_BYTES_MIN}", secret.len());
        }
        Ok(Self::secret(file.name.clone(), algorithm, secret))
    }

    /// Whether the key works with its algorithm: a private one verifies what it signs, a public one is on the right
    /// curve.
    fn is_fit(&self) -> bool {
        use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve};
        if let Some(signing) = &self.signing {
            let signature = jsonwebtoken::crypto::sign(PROBE, signing, self.algorithm);
            return signature.is_ok_and(|signature| {
                jsonwebtoken::crypto::verify(&signature, PROBE, &self.verifying, self.algorithm).unwrap_or(false)
            });
        }
        let Ok(public) = Jwk::from_decoding_key(&self.verifying, Some(self.algorithm)) else { return false };
        match (public.algorithm, self.algorithm) {
            (AlgorithmParameters::EllipticCurve(key), Algorithm::ES256) => key.curve == EllipticCurve::P256,
            (AlgorithmParameters::EllipticCurve(key), Algorithm::ES384) => key.curve == EllipticCurve::P384,
            (AlgorithmParameters::OctetKeyPair(key), Algorithm::EdDSA) => key.curve == EllipticCurve::Ed25519,
            (AlgorithmParameters::RSA(_), algorithm) => algorithm.family() == jsonwebtoken::AlgorithmFamily::Rsa,
            _ => false,
        }
    }
}

/// One kind of key pair: its algorithms, the usual one first, and how its two halves are read.
struct Kind {
    algorithms: &'static [Algorithm],
    private: fn(&[u8]) -> jsonwebtoken::errors::Result<EncodingKey>,
    public: fn(&[u8]) -> jsonwebtoken::errors::Result<DecodingKey>,
}

const KINDS: [Kind; 3] = [
    Kind {
        algorithms: &[Algorithm::ES256, Algorithm::ES384],
        private: EncodingKey::from_ec_pem,
        public: DecodingKey::from_ec_pem,
    },
    Kind { algorithms: &[Algorithm::EdDSA], private: EncodingKey::from_ed_pem, public: DecodingKey::from_ed_pem },
    Kind { algorithms: &[Algorithm::RS256], private: EncodingKey::from_rsa_pem, public: DecodingKey::from_rsa_pem },
];

impl KeyError {
    fn path(&self) -> Option<&Path> {
        match self {
            Self::Unreadable { path, .. } | Self::NotKey { path } | Self::Unfit { path, .. } | Self::Empty { path } => {
                Some(path)
            }
            Self::Random(_) => None,
        }
    }
}

impl fmt::Display for KeyError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(path) = self.path() {
            write!(formatter, "the key file {}: ", path.display())?;
        }
        match self {
            Self::Unreadable { error, .. } => write!(formatter, "{error}"),
            Self::NotKey { .. } => formatter.write_str(
                "neither a secret nor a key in PEM that can be read; private keys of elliptic curves must be in PKCS#8 \
                 (openssl pkcs8 -topk8 -nocrypt)",
            ),
            Self::Unfit { algorithm, .. } => write!(formatter, "not a key for {algorithm:?}"),
            Self::Empty { .. } => formatter.write_str("empty"),
            Self::Random(error) => write!(formatter, "no random key can be made: {error}"),
        }
    }
}

impl std::error::Error for KeyError {}

/// What begins every key in PEM (RFC 7468).
const PEM_MARK: &str = "-----BEGIN ";
/// The output of SHA-256: RFC 7518 section 3.2 asks for no less.
const SECRET_BYTES_MIN: usize = 32;
/// The block of SHA-256: a longer key adds nothing (RFC 2104 section 3).
const RANDOM_KEY_BYTES: usize = 64;
/// Signed to see whether a key works.
const PROBE: &[u8] = b"probe";
