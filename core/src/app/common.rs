//! What the application's copies on all shards have in common: keys and origins. It is only read.

use std::sync::Arc;

use codec::json::JsonLimits;

use super::{AdminAccess, Files};
use crate::auth::{Authority, KeyError, Origins};
use crate::config::{ChannelPolicy, HttpSettings, Settings};
use crate::observe::board::Board;
use crate::session::SessionService;

/// Shared by all shards, and never written.
#[derive(Clone, Debug)]
pub(crate) struct Common {
    pub(crate) authority: Arc<Authority>,
    pub(crate) origins: Arc<Origins>,
    pub(crate) http: Arc<HttpSettings>,
    /// For arguments that come by HTTP; those of other protocols are checked before they come here.
    pub(crate) json: JsonLimits,
    pub(crate) app_name: Arc<str>,
    /// The operator's word on slow consumers of some channels.
    pub(crate) channel_policies: Arc<[ChannelPolicy]>,
    /// None where no server runs: in tests of the application alone.
    pub(crate) sessions: Option<SessionService>,
    /// The operator's own files, before everything else that is no protocol's.
    pub(crate) files: Option<Files>,
    /// Who may ask by the admin listeners; none where there are none.
    pub(crate) admin: Option<Arc<AdminAccess>>,
    /// What all shards count, for those who ask there.
    pub(crate) board: Option<Arc<Board>>,
    /// The port that clients are sent to who have to come by TLS.
    pub(crate) https_port: Option<u16>,
}

impl Common {
    /// As the settings say. Reads the key files.
    pub(crate) fn new(settings: &Settings) -> Result<Self, KeyError> {
        let authority = Arc::new(Authority::new(&settings.auth)?);
        Ok(Self {
            authority,
            origins: Arc::new(Origins::new(settings.origins.clone())),
            http: Arc::new(settings.http.clone()),
            json: settings.limits.socketcluster.json,
            app_name: settings.app_name.as_str().into(),
            channel_policies: settings.channel_policies.clone().into(),
            sessions: None,
            files: None,
            admin: None,
            board: None,
            https_port: None,
        })
    }
}
