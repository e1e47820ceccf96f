//! What all shards speak TLS with, and how it is replaced: the main thread reads the files again and puts the new
//! configuration in the place of the old; each shard takes it up with the next connection. Connections that are there
//! keep what they began with.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustls::crypto::{CryptoProvider, ring};
use rustls::server::{NoServerSessionStorage, UnbufferedServerConnection};
use rustls::{CipherSuite, ServerConfig};

use super::credentials::{self, Credential};
use super::resolver::Resolver;
use super::{TlsError, self_signed};
use crate::config::TlsSettings;

/// What is spoken now, and how to read it anew.
#[derive(Debug)]
pub(crate) struct TlsKeeper {
    settings: TlsSettings,
    provider: Arc<CryptoProvider>,
    /// The suites of connections that are given to the kernel.
    offloaded: Vec<CipherSuite>,
    current: Mutex<Arc<ServerConfig>>,
    /// Rises with each replacement, so that a shard need not take the lock to learn that there is none.
    version: AtomicU32,
}

/// One shard's copy.
#[derive(Debug)]
pub(crate) struct Acceptor {
    keeper: Arc<TlsKeeper>,
    config: Arc<ServerConfig>,
    version: u32,
}

impl TlsKeeper {
    /// As the settings say; `None` where nothing listens for TLS. Reads the files. What is agreed on one of the
    /// `offloaded` suites may be given to the kernel.
    pub(crate) fn open(settings: &TlsSettings, offloaded: Vec<CipherSuite>) -> Result<Option<Arc<Self>>, TlsError> {
        if !settings.is_on() {
            return Ok(None);
        }
        let provider = Arc::new(ring::default_provider());
        let certificates = if settings.self_signed {
            vec![self_signed::make(&settings.listen, &provider)?]
        } else {
            let credentials = credentials::read(settings, &provider)?;
            // A server with a certificate of yesterday still serves those who do not mind.
            for objection in credentials.iter().filter_map(|credential| credential.objection.as_ref()) {
                tracing::warn!("{objection}: clients will refuse it");
            }
            note_ends(&credentials);
            certified(&credentials)
        };
        let config = build(&provider, certificates, !offloaded.is_empty())?;
        let (current, version) = (Mutex::new(config), AtomicU32::new(0));
        Ok(Some(Arc::new(Self { settings: settings.clone(), provider, offloaded, current, version })))
    }

    /// Reads the files again. An error leaves everything as it was. Returns how many certificates there are.
    pub(crate) fn reload(&self) -> Result<usize, TlsError> {
        if self.settings.self_signed {
            return Ok(1);
        }
        let mut credentials = credentials::read(&self.settings, &self.provider)?;
        if let Some(objection) = credentials.iter_mut().find_map(|credential| credential.objection.take()) {
            return Err(objection);
        }
        note_ends(&credentials);
        let config = build(&self.provider, certified(&credentials), !self.offloaded.is_empty())?;
        *self.current() = config;
        self.version.fetch_add(1, Ordering::Release);
        Ok(credentials.len())
    }

    /// For one shard.
    pub(crate) fn acceptor(self: &Arc<Self>) -> Acceptor {
        let version = self.version.load(Ordering::Acquire);
        Acceptor { config: Arc::clone(&self.current()), keeper: Arc::clone(self), version }
    }

    /// Whether connections are given to the kernel.
    pub(crate) const fn is_offloading(&self) -> bool {
        !self.offloaded.is_empty()
    }

    fn current(&self) -> MutexGuard<'_, Arc<ServerConfig>> {
        // Only ever replaced as a whole.
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Acceptor {
    /// The server's side of a new connection, with the certificates of now.
    pub(crate) fn connection(&mut self) -> UnbufferedServerConnection {
        let version = self.keeper.version.load(Ordering::Acquire);
        if version != self.version {
            self.version = version;
            self.config = Arc::clone(&self.keeper.current());
        }
        let connection = UnbufferedServerConnection::new(Arc::clone(&self.config));
        connection.expect("the configuration has no limit on fragments, which is all that can be wrong with one")
    }

    /// Bytes of handshake messages that may wait for their end.
    pub(crate) fn handshake_bytes_max(&self) -> usize {
        self.keeper.settings.handshake_bytes_max
    }

    /// The suites of connections that are given to the kernel.
    pub(crate) fn offloaded(&self) -> &[CipherSuite] {
        &self.keeper.offloaded
    }
}

fn certified(credentials: &[Credential]) -> Vec<Arc<rustls::sign::CertifiedKey>> {
    credentials.iter().map(|credential| Arc::clone(&credential.certified)).collect()
}

/// Says in the log which certificates end soon.
fn note_ends(credentials: &[Credential]) {
    for (index, credential) in credentials.iter().enumerate() {
        if let Some(days) = credential.days_left.filter(|days| (0..DAYS_LEFT_MIN).contains(days)) {
            tracing::warn!(certificate = index, days, "a certificate ends soon");
        }
    }
}

fn build(
    provider: &Arc<CryptoProvider>,
    certificates: Vec<Arc<rustls::sign::CertifiedKey>>,
    is_offloading: bool,
) -> Result<Arc<ServerConfig>, TlsError> {
    let failed = |error: rustls::Error| TlsError::Making(error.to_string());
    let builder = ServerConfig::builder_with_provider(Arc::clone(provider));
    let builder = builder.with_safe_default_protocol_versions().map_err(failed)?.with_no_client_auth();
    let mut config = builder.with_cert_resolver(Arc::new(Resolver { certificates }));
    // HTTP/2 has no upgrade that we speak: who offers both is told this one.
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    // A crowd that reconnects resumes, on whatever shard, at a third of the price; the state is in the client's ticket,
    // so no memory is held for those who have left. Tickets do not outlive a reload: whoever replaces a certificate
    // because its key is known to others must not go on with what was agreed by it. Early data stays refused: it could
    // be sent twice (RFC 8446 section 8).
    config.ticketer = ring::Ticketer::new().map_err(failed)?;
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 1;
    // Keys leave the library only where the kernel is to have them.
    config.enable_secret_extraction = is_offloading;
    Ok(Arc::new(config))
}

/// Two weeks: what automatic renewals leave at the least.
const DAYS_LEFT_MIN: i64 = 14;
