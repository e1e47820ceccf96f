//! What all shards share about sessions: the keys, the store, the time. Made once, before the shards.

use std::fmt;
use std::sync::Arc;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use shard::{SessionConfig, SessionId, ShardId};

use super::cookie::Cookies;
use super::file::FileStore;
use super::local::LocalSessions;
use super::port::{Health, Port};
use super::{SessionStartError, SessionStore, keys};
use crate::config::SessionSettings;

/// The sessions of a server.
#[derive(Clone)]
pub(crate) struct SessionService {
    pub(super) cookies: Arc<Cookies>,
    pub(super) store: Option<Arc<dyn SessionStore>>,
    health: Arc<Health>,
    /// One moment, by both clocks.
    moment: (Instant, SystemTime),
}

impl SessionService {
    /// What the settings ask for. `store` stands in the place of theirs. Before a store is opened that another process of
    /// ours may hold, `ask` is called.
    pub(crate) fn start(
        settings: &SessionSettings,
        store: Option<Arc<dyn SessionStore>>,
        ask: impl FnOnce(),
    ) -> Result<Self, SessionStartError> {
        let keys = if let Some(path) = &settings.key_file {
            keys::read(path)?
        } else {
            tracing::info!(
                "sessions end with this process: no --session-key-file, so cookies are signed with a random key"
            );
            keys::random()?
        };
        let store = match (store, &settings.store) {
            (Some(store), _) => Some(store),
            (None, Some(path)) => {
                ask();
                let opened = FileStore::open(path, settings.store_queue);
                let opened = opened.map_err(|error| SessionStartError::Store(path.clone(), error))?;
                Some(Arc::new(opened) as Arc<dyn SessionStore>)
            }
            (None, None) => None,
        };
        Ok(Self {
            cookies: Arc::new(Cookies::new(settings, &keys)),
            store,
            health: Arc::default(),
            moment: (Instant::now(), SystemTime::now()),
        })
    }

    /// What a shard is told, whose time begins then.
    pub(crate) fn config(&self, began: Instant) -> SessionConfig {
        let (instant, time) = self.moment;
        let since_epoch = time.duration_since(UNIX_EPOCH).unwrap_or_default();
        let epoch = (since_epoch + began.saturating_duration_since(instant))
            .saturating_sub(instant.saturating_duration_since(began));
        SessionConfig { has_store: self.store.is_some(), epoch: u64::try_from(epoch.as_millis()).unwrap_or(u64::MAX) }
    }

    /// One shard's part.
    pub(crate) fn local(&self, shard: ShardId, shards: usize, sessions: shard::Sessions) -> LocalSessions {
        LocalSessions::new(self.clone(), Port::new(&self.health), shard, shards, sessions)
    }

    /// Another process takes the store over.
    pub(crate) fn let_go(&self) {
        if let Some(store) = &self.store {
            tracing::info!(
                "the session store is given to the new server: what is written here from now on is not durable"
            );
            store.let_go();
        }
    }

    /// It does not.
    pub(crate) fn take_back(&self) {
        if let Some(store) = &self.store {
            store.take_back();
        }
    }

    /// Everything that was asked of the store is done.
    pub(crate) fn close(&self) {
        if let Some(store) = &self.store {
            store.close();
        }
    }

    pub(super) fn now() -> u64 {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        u64::try_from(now.as_millis()).unwrap_or(u64::MAX)
    }

    pub(super) fn ticket(&self, id: SessionId) -> String {
        self.cookies.ticket(id, Self::now())
    }
}

impl fmt::Debug for SessionService {
    /// Never the keys.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("SessionService").field("has_store", &self.store.is_some()).finish_non_exhaustive()
    }
}
