//! Logins that end while their connections go on: noted where they end, told to the application where it can be called,
//! each once. What ends with its connection is told with that.
//!
//! ```text
//!   token over, thrown away, taken, replaced, followed by a bad one ──┐
//!   the session's user logged out, or another ────────────────────────┴──> noted ──> Host::deauthenticated
//! ```

use std::collections::VecDeque;
use std::rc::Rc;

use crate::authentication::Identity;
use crate::connection::State;
use crate::shard::Shard;
use crate::{Caller, ConnectionId, Host, Peer, Time};

/// Why a login has ended before its connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LoginEnd {
    /// The token's time is over.
    Expired,
    /// The client has thrown its token away.
    Removed,
    /// The application has taken the token, or has logged the session out.
    Taken,
    /// The connection is another's now.
    Replaced,
    /// The client has shown a token that does not count.
    Refused,
}

/// A login that has ended, until the application is told.
#[derive(Debug)]
struct EndedLogin {
    peer: Peer,
    /// Of the token that counts no more; none: it was the session's login.
    claims: Option<Box<str>>,
    /// Whose the connection is no more; none: it still is.
    user: Option<Box<str>>,
    end: LoginEnd,
}

/// Those that the application is not told of yet.
#[derive(Debug, Default)]
pub(crate) struct LoginEnds {
    queue: VecDeque<EndedLogin>,
    /// It is being told, and what ends now is its own doing.
    is_telling: bool,
}

impl Shard {
    /// From here on a connection is whom its token names, or nobody by a token. A token that another of the same user
    /// follows has not ended.
    pub(crate) fn identify(&mut self, id: ConnectionId, identity: Option<Box<Identity>>, end: LoginEnd) {
        let before = self.user_of(id);
        let Some(connection) = self.connections.live(id).filter(|known| known.state != State::Closing) else { return };
        let user = identity.as_ref().and_then(|identity| identity.user.clone());
        let was = std::mem::replace(&mut connection.identity, identity);
        let claims = was.filter(|was| was.user.is_none() || was.user != user).map(|was| was.claims);
        self.settle_user(id);
        self.note_login_end(id, claims, before, end);
    }

    /// The user of a connection's session may be another.
    pub(crate) fn settle_session_user(&mut self, id: ConnectionId) {
        let before = self.user_of(id);
        self.settle_user(id);
        let end = if self.user_of(id).is_some() { LoginEnd::Replaced } else { LoginEnd::Taken };
        self.note_login_end(id, None, before, end);
    }

    fn note_login_end(&mut self, id: ConnectionId, claims: Option<Box<str>>, before: Option<Rc<str>>, end: LoginEnd) {
        let now = self.user_of(id);
        let user = before.filter(|before| now.as_ref() != Some(before)).map(|user| (*user).into());
        let Some(connection) = self.connections.live(id) else { return };
        if (claims.is_some() || user.is_some()) && !self.login_ends.is_telling {
            let peer = connection.peer(id.slot);
            self.login_ends.queue.push_back(EndedLogin { peer, claims, user, end });
        }
    }

    fn user_of(&mut self, id: ConnectionId) -> Option<Rc<str>> {
        let user = self.connections.live(id)?.user;
        self.users.get(user).map(|user| Rc::clone(&user.name))
    }

    /// Tells of those that have ended. What the application ends in answer at once is not told, so that two hooks which
    /// cannot agree do not hold everybody up.
    pub(crate) fn tell_login_ends<H: Host>(&mut self, now: Time, host: &mut H) {
        while let Some(EndedLogin { peer, claims, user, end }) = self.login_ends.queue.pop_front() {
            let was_telling = std::mem::replace(&mut self.login_ends.is_telling, true);
            host.deauthenticated(Caller { peer, claims: claims.as_deref(), user: user.as_deref() }, end);
            self.apply_commands(now, host);
            self.login_ends.is_telling = was_telling;
        }
    }
}

impl LoginEnds {
    pub(crate) fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }
}
