//! The caller's session: what the tabs of one browser share, on whichever shards they are. Reading is in memory and costs
//! no lock; writing is seen here at once, and by every tab of the session when its acknowledgement is there.

use std::fmt;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::Serialize;
use serde::de::DeserializeOwned;
use shard::{Operation, Receipt, SessionId, WriteError, WriteToken, Written};

use super::call::{Call, FromCall, Occasion, Site};
use super::error::{Error, Result};
use super::local::Local;
use super::peer::to_json;
use super::private::check_key;
use crate::session::LocalSessions;

/// Extracts the caller's session. It may be kept and used from later tasks of the same shard; as long as it is kept, the
/// shard keeps its copy of the session.
///
/// ```
/// use socketshard::prelude::*;
///
/// async fn visit(session: Session) -> Result<i64> {
///     session.increment("visits", 1).await
/// }
///
/// async fn rename(session: Session, Args(name): Args<String>) -> Result {
///     session.set("name", &name)?.await?; // Every tab has it now.
///     Ok(())
/// }
/// # App::new().action("visit", visit).action("rename", rename);
/// ```
#[derive(Clone)]
pub struct Session {
    session: shard::Session,
    local: Rc<Local>,
}

impl Session {
    /// A value, if it is there.
    ///
    /// # Errors
    /// When it is not of that type.
    pub fn get<T: DeserializeOwned>(&self, key: &str) -> Result<Option<T>> {
        let Some(text) = self.session.get(key) else { return Ok(None) };
        let value = serde_json::from_str(&text);
        value.map(Some).map_err(|error| Error::internal(format_args!("{key:?} of a session: {error}")))
    }

    /// The JSON text of a value: the copy's own, not another one.
    #[must_use]
    pub fn get_raw(&self, key: &str) -> Option<Rc<str>> {
        self.session.get(key)
    }

    /// The names and JSON texts of all values.
    #[must_use]
    pub fn get_all(&self) -> Vec<(Rc<str>, Rc<str>)> {
        self.session.all().into_iter().filter(|(key, _)| !key.starts_with('#')).collect()
    }

    /// Sets a value. What is returned may be awaited, for the acknowledgement, or dropped: it is done in any case.
    ///
    /// # Errors
    /// When the value cannot be JSON, the name begins with `#` (those are the server's own), a limit of sessions is
    /// reached, or the session has ended.
    pub fn set(&self, key: &str, value: &(impl Serialize + ?Sized)) -> Result<SessionWrite> {
        self.set_until(key, value, 0)
    }

    /// As [`Session::set`], for that long: then it is gone by itself.
    ///
    /// # Errors
    /// As [`Session::set`].
    pub fn set_for(&self, key: &str, value: &(impl Serialize + ?Sized), time: Duration) -> Result<SessionWrite> {
        self.set_until(key, value, self.after(time))
    }

    /// Removes a value; it need not be there.
    ///
    /// # Errors
    /// When too many writes are under way, or the session has ended.
    pub fn remove(&self, key: &str) -> Result<SessionWrite> {
        check_key(key)?;
        self.write(Operation::Remove { key: key.into() })
    }

    /// Removes all values.
    ///
    /// # Errors
    /// As [`Session::remove`].
    pub fn clear(&self) -> Result<SessionWrite> {
        self.write(Operation::Clear)
    }

    /// Lets a value end after that time.
    ///
    /// # Errors
    /// As [`Session::remove`].
    pub fn expire(&self, key: &str, time: Duration) -> Result<SessionWrite> {
        check_key(key)?;
        self.write(Operation::Expire { key: key.into(), expires: self.after(time) })
    }

    /// How long the whole session lives unused, from now on; zero for as long as the server's `--session-ttl` says.
    ///
    /// # Errors
    /// As [`Session::remove`].
    pub fn set_lifetime(&self, time: Duration) -> Result<SessionWrite> {
        let seconds = if time.is_zero() { 0 } else { u32::try_from(time.as_secs().max(1)).unwrap_or(u32::MAX) };
        self.write(Operation::Lifetime { seconds })
    }

    /// Adds to a whole number and returns the sum; what is not there counts as zero. No increment is lost, whoever else
    /// adds.
    ///
    /// # Errors
    /// When the value is no whole number or would leave the range of one, and as [`Session::set`].
    pub async fn increment(&self, key: &str, by: i64) -> Result<i64> {
        check_key(key)?;
        let written = self.write(Operation::Increment { key: key.into(), by })?.outcome().await?;
        written.number.ok_or_else(|| Error::internal("an increment without a result"))
    }

    /// Gives the session another id, as is due when its user changes: whoever knew the old one has nothing any more, and
    /// the connections that are open go on. A WebSocket cannot set a cookie: the page fetches it, within a minute, with
    /// `GET /session` and the returned ticket in the header `Session-Ticket`. Until it does, its browser's cookie opens
    /// a new, empty session.
    ///
    /// # Errors
    /// As [`Session::remove`].
    pub async fn rotate(&self) -> Result<String> {
        let sessions = self.sessions()?;
        let to = sessions.fresh_id(sessions.home(self.session.id()));
        self.write(Operation::Rotate { to })?.outcome().await?;
        Ok(sessions.ticket(to))
    }

    /// Ends the session everywhere: its values are gone, its id is worth nothing, its connections are closed with 4401.
    ///
    /// # Errors
    /// As [`Session::remove`].
    pub fn end(&self) -> Result<SessionWrite> {
        self.write(Operation::End)
    }

    /// When it was made.
    #[must_use]
    pub fn created_at(&self) -> SystemTime {
        UNIX_EPOCH + Duration::from_millis(self.session.created_at())
    }

    /// Its id. It is no secret: nobody can make the cookie from it.
    #[must_use]
    pub fn id(&self) -> SessionId {
        self.session.id()
    }

    /// Whether it has ended: nothing can be read or written any more.
    #[must_use]
    pub fn is_ended(&self) -> bool {
        self.session.is_ended()
    }

    pub(crate) fn of_peer(peer: shard::Peer, local: &Rc<Local>) -> Option<Self> {
        let session = local.sessions()?.of_peer(peer)?;
        Some(Self { session, local: Rc::clone(local) })
    }

    fn set_until(&self, key: &str, value: &(impl Serialize + ?Sized), expires: u64) -> Result<SessionWrite> {
        check_key(key)?;
        let text = to_json(&value)?;
        self.write(Operation::Set { key: key.into(), text, expires })
    }

    pub(super) fn write(&self, operation: Operation) -> Result<SessionWrite> {
        let Receipt { token, written } = self.session.write(operation).map_err(refused)?;
        let state = match written {
            Some(written) => WriteState::Done(written),
            None => {
                self.sessions()?.waits().expect(token);
                WriteState::Waiting(token)
            }
        };
        Ok(SessionWrite { state, local: Rc::clone(&self.local) })
    }

    pub(super) const fn inner(&self) -> &shard::Session {
        &self.session
    }

    pub(super) const fn local(&self) -> &Rc<Local> {
        &self.local
    }

    fn sessions(&self) -> Result<&LocalSessions> {
        self.local.sessions().ok_or_else(|| Error::internal("there are no sessions here"))
    }

    fn after(&self, time: Duration) -> u64 {
        self.session.now().saturating_add(u64::try_from(time.as_millis()).unwrap_or(u64::MAX)).max(1)
    }
}

impl FromCall for Session {
    fn from_call(call: &Call<'_>) -> Result<Self> {
        let peer = call.peer.ok_or_else(|| Error::internal("there is no peer here"))?;
        Self::of_peer(peer, call.local()).ok_or_else(|| match call.local().sessions() {
            // A request of which nobody knows who made the browser send it.
            Some(_) if peer.session == shard::Peer::NO_SESSION => {
                Error::new("NoSessionError", "this request has no session").with("statusCode", 403)
            }
            _ => Error::internal("this connection has no session"),
        })
    }

    fn check(site: &Site<'_>) -> std::result::Result<(), String> {
        let occasions = [
            Occasion::Invoke,
            Occasion::Action,
            Occasion::Connect,
            Occasion::Deauthenticated,
            Occasion::Disconnect,
            Occasion::Subscribe,
            Occasion::Publish,
            Occasion::PublishOut,
        ];
        site.expect("Session", &occasions)
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("Session").field(&self.id()).finish()
    }
}

/// A write that is done here and on its way to everybody else. Awaiting it waits until every connection of the session
/// sees it, wherever it is; dropping it changes nothing.
pub struct SessionWrite {
    state: WriteState,
    local: Rc<Local>,
}

#[derive(Clone, Copy, Debug)]
enum WriteState {
    Waiting(WriteToken),
    Done(Written),
    Taken,
}

/// What everybody has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Acknowledged {
    /// Whether the store has it as well. Without a store, or when it fails, a session lives in memory alone.
    pub is_durable: bool,
}

impl SessionWrite {
    fn poll_outcome(&mut self, task: &mut Context<'_>) -> Poll<Result<Written>> {
        let outcome = match self.state {
            WriteState::Done(written) => Ok(written),
            WriteState::Waiting(token) => {
                let Some(sessions) = self.local.sessions() else {
                    return Poll::Ready(Err(Error::internal("there are no sessions here")));
                };
                match sessions.waits().poll(&token, task) {
                    Poll::Ready(outcome) => outcome.unwrap_or(Err(WriteError::Ended)).map_err(refused),
                    Poll::Pending => return Poll::Pending,
                }
            }
            WriteState::Taken => panic!("a write is not awaited again after it was acknowledged"),
        };
        self.state = WriteState::Taken;
        Poll::Ready(outcome)
    }

    pub(super) async fn outcome(mut self) -> Result<Written> {
        std::future::poll_fn(|task| self.poll_outcome(task)).await
    }
}

impl Future for SessionWrite {
    type Output = Result<Acknowledged>;

    fn poll(mut self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<Self::Output> {
        self.poll_outcome(task).map_ok(|written| Acknowledged { is_durable: written.is_durable })
    }
}

impl Drop for SessionWrite {
    fn drop(&mut self) {
        if let (WriteState::Waiting(token), Some(sessions)) = (self.state, self.local.sessions()) {
            sessions.waits().forget(&token);
        }
    }
}

impl fmt::Debug for SessionWrite {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("SessionWrite").field(&self.state).finish()
    }
}

fn refused(error: WriteError) -> Error {
    match error {
        WriteError::Busy => Error::busy(),
        WriteError::Ended => Error::new("SessionEndedError", "the session has ended"),
        WriteError::Lost => Error::new("SessionLostError", "it is not known whether this was written"),
        WriteError::NotANumber => Error::new("SessionValueError", "the value is no whole number of 64 bits"),
        WriteError::TooLarge => Error::new("SessionLimitError", "the session would hold too much"),
        WriteError::TooManyKeys => Error::new("SessionLimitError", "the session would have too many values"),
    }
}
