//! One call into the application as an extractor sees it, and what an extractor is. It lends the caller's bytes for the
//! length of the extraction; what an action keeps, it owns.

use std::rc::Rc;

use codec::message::RawJson;
use shard::{Disconnect, LoginEnd};

use super::error::Result;
use super::local::Local;
use super::request::Request;
use super::state::{State, States};

/// What the application is called for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Occasion {
    /// A client asks for a WebSocket.
    Handshake,
    /// A client calls an action, which is about to run.
    Invoke,
    /// A client calls an action.
    Action,
    /// A client has presented a good token.
    Authenticate,
    /// A connection wants in.
    Connect,
    /// A login has ended before its connection.
    Deauthenticated,
    /// A connection is gone.
    Disconnect,
    /// A client wants to subscribe.
    Subscribe,
    /// A client wants to publish.
    Publish,
    /// A subscriber is about to be sent a publication.
    PublishOut,
    /// The shard starts.
    Start,
    /// A user has come online.
    Online,
    /// A user is offline.
    Offline,
}

impl Occasion {
    /// Whether there is a connection that it is about.
    pub(crate) const fn has_peer(self) -> bool {
        !matches!(self, Self::Start | Self::Online | Self::Offline)
    }
}

/// One call of an action or a hook, before its arguments are extracted.
#[derive(Clone, Copy, Debug)]
pub struct Call<'a> {
    pub(crate) local: &'a Rc<Local>,
    pub(crate) occasion: Occasion,
    pub(crate) peer: Option<shard::Peer>,
    /// The claims of the caller's token, a JSON object.
    pub(crate) claims: Option<&'a str>,
    /// Who calls, or whom it is about.
    pub(crate) user: Option<&'a str>,
    /// The action's name, or the channel's.
    pub(crate) subject: &'a str,
    pub(crate) data: Option<RawJson<'a>>,
    pub(crate) disconnect: Option<&'a Disconnect>,
    pub(crate) login_end: Option<LoginEnd>,
    pub(crate) request: Option<&'a Request>,
}

impl<'a> Call<'a> {
    /// A call that nobody makes.
    pub(crate) const fn start(local: &'a Rc<Local>) -> Self {
        Self {
            local,
            occasion: Occasion::Start,
            peer: None,
            claims: None,
            user: None,
            subject: "",
            data: None,
            disconnect: None,
            login_end: None,
            request: None,
        }
    }

    /// What the call is for.
    #[must_use]
    pub const fn occasion(&self) -> Occasion {
        self.occasion
    }

    /// The name of the action called, or of the channel subscribed or published to; else empty.
    #[must_use]
    pub const fn subject(&self) -> &'a str {
        self.subject
    }

    /// The source text of the argument, one valid JSON value; none when the client sent none.
    #[must_use]
    pub fn data(&self) -> Option<&'a str> {
        self.data.map(RawJson::as_str)
    }

    /// The source text of the claims of the caller's token, a JSON object; none while it is not authenticated.
    #[must_use]
    pub const fn claims(&self) -> Option<&'a str> {
        self.claims
    }

    /// Who calls: by its token, or else by its session; none while that is not known.
    #[must_use]
    pub const fn user(&self) -> Option<&'a str> {
        self.user
    }

    /// The application's state of that type on this shard.
    ///
    /// # Errors
    /// When the application has none.
    pub fn state<T: 'static>(&self) -> Result<State<T>> {
        State::from_call(self)
    }

    pub(crate) const fn local(&self) -> &'a Rc<Local> {
        self.local
    }
}

/// An argument of an action or a hook. Applications implement it for what their actions keep taking apart by hand.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not something that an action or a hook can take",
    note = "arguments are extractors: `Args<T>`, `RawArgs`, `Auth<T>`, `Peer`, `Channels`, `State<T>`, …"
)]
pub trait FromCall: Sized {
    /// Takes it out of the call.
    ///
    /// # Errors
    /// The error is the call's answer; the action is not run.
    fn from_call(call: &Call<'_>) -> Result<Self>;

    /// Whether it can ever be there: asked once for each action and hook when a shard starts, so that what cannot work
    /// stops the start instead of failing calls.
    ///
    /// # Errors
    /// Says what is missing, to come after the name of the action.
    fn check(_site: &Site<'_>) -> std::result::Result<(), String> {
        Ok(())
    }
}

/// Where an extractor is to be used.
#[derive(Clone, Copy, Debug)]
pub struct Site<'a> {
    pub(crate) occasion: Occasion,
    pub(crate) states: &'a States,
}

impl Site<'_> {
    /// What the action or hook is called for.
    #[must_use]
    pub const fn occasion(&self) -> Occasion {
        self.occasion
    }

    pub(crate) const fn states(&self) -> &States {
        self.states
    }

    /// For an extractor that is only there on some occasions.
    pub(crate) fn expect(&self, name: &str, occasions: &[Occasion]) -> std::result::Result<(), String> {
        if occasions.contains(&self.occasion) {
            Ok(())
        } else {
            Err(format!("takes {name}, which is not there: see its documentation"))
        }
    }
}
