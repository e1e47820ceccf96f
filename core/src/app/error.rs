//! What an action or a hook answers when it does not do what was asked. It reaches the client as it is written here, so
//! it never carries what only the server should know: that goes to the log ([`Error::internal`]).

use std::borrow::Cow;
use std::fmt;

use codec::message::RawJson;
use codec::socketcluster::encode::error_object;
use codec::socketcluster::errors::WireError;
use codec::websocket::close::is_sendable;
use serde::Serialize;
use serde_json::{Map, Value};
use shard::Refusal;

/// An answer of the application that is an error: the client gets it as an `Error` with this name and message.
#[derive(Clone, Debug, PartialEq)]
pub struct Error {
    name: Cow<'static, str>,
    message: Cow<'static, str>,
    close_code: Option<u16>,
    status: Option<u16>,
    /// Boxed: most errors have none, and an error travels by value through every `?`.
    extra: Option<Box<Map<String, Value>>>,
}

/// What fallible actions and hooks return.
pub type Result<T = (), E = Error> = std::result::Result<T, E>;

impl Error {
    /// An error by the name that programs tell it by and the message that people read.
    #[must_use]
    pub fn new(name: impl Into<Cow<'static, str>>, message: impl Into<Cow<'static, str>>) -> Self {
        Self { name: name.into(), message: message.into(), close_code: None, status: None, extra: None }
    }

    /// The argument has not the shape that the action takes.
    #[must_use]
    pub fn invalid_arguments(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new("InvalidArgumentsError", message)
    }

    /// The caller may not do this.
    #[must_use]
    pub fn unauthorized() -> Self {
        Self::new("UnauthorizedError", "you may not do this")
    }

    /// The caller has not shown who it is.
    #[must_use]
    pub fn unauthenticated() -> Self {
        Self::new("UnauthenticatedError", "log in first")
    }

    /// What was asked for is not there.
    #[must_use]
    pub fn not_found(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new("NotFoundError", message)
    }

    /// A bound is reached; the caller may try again.
    #[must_use]
    pub fn busy() -> Self {
        Self::from_wire(&WireError::Busy, "the server is busy, try again later")
    }

    /// Something went wrong that is not the caller's business: `detail` goes to the log, not to the client.
    #[must_use]
    pub fn internal(detail: impl fmt::Display) -> Self {
        tracing::error!(%detail, "internal error");
        Self::new("InternalError", "internal error")
    }

    /// Adds a property to the error object. `name` and `message` replace the error's own; both must be
    /// strings and are left alone by anything else.
    ///
    /// # Panics
    /// When the value cannot be JSON (a map whose keys are not strings).
    #[must_use]
    pub fn with(mut self, property: &str, value: impl Serialize) -> Self {
        let value = serde_json::to_value(value).expect("an error's property is JSON");
        match (property, value) {
            ("name", Value::String(name)) => self.name = name.into(),
            ("message", Value::String(message)) => self.message = message.into(),
            ("name" | "message", _) => {}
            (property, value) => {
                self.extra.get_or_insert_default().insert(property.to_owned(), value);
            }
        }
        self
    }

    /// With which code a refused connection is closed: 4008 where nothing is said. SocketCluster clients come back
    /// after every code below 4500 but 1000, and stay away after 4500 and above.
    ///
    /// # Panics
    /// When the code is none that may be sent: 1000 to 1003, 1007 to 1014 and 3000 to 4999 are.
    #[must_use]
    pub fn close_code(mut self, code: u16) -> Self {
        assert!(is_sendable(code), "{code} is no close code that may be sent");
        self.close_code = Some(code);
        self
    }

    /// With which HTTP status a WebSocket is refused, by the hook for handshakes or for raw connections: 403 where nothing
    /// is said, and 401 of an `UnauthenticatedError`.
    ///
    /// # Panics
    /// When it is none of an error: 400 to 599 are.
    #[must_use]
    pub fn status(mut self, status: u16) -> Self {
        assert!((400..600).contains(&status), "{status} is no HTTP status of an error");
        self.status = Some(status);
        self
    }

    /// By what programs tell it.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What people read.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }

    /// The close code that was set.
    #[must_use]
    pub const fn code(&self) -> Option<u16> {
        self.close_code
    }

    /// An error that the protocol's list has already, with its name.
    fn from_wire(wire: &WireError<'_>, message: &'static str) -> Self {
        Self::new(wire.name().to_owned(), message)
    }

    /// A hook's panic, as the client learns of it.
    pub(crate) fn panicked() -> Self {
        Self::new("InternalError", "internal error")
    }

    /// Appends the error object.
    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        let Some(extra) = &self.extra else { return error_object(out, &self.name, &self.message, &[]) };
        let values: Vec<String> = extra.values().map(Value::to_string).collect();
        let raw = values.iter().map(|value| RawJson::from_validated(value));
        let properties: Vec<_> = extra.keys().map(String::as_str).zip(raw).collect();
        error_object(out, &self.name, &self.message, &properties);
    }

    /// As a hook's refusal.
    pub(crate) fn into_refusal(self) -> Refusal {
        let mut json = Vec::new();
        self.write(&mut json);
        let error = String::from_utf8(json).expect("names, messages and JSON are UTF-8").into_boxed_str();
        let default = if self.name == "UnauthenticatedError" { UNAUTHORIZED } else { FORBIDDEN };
        let (code, status) = (self.close_code.unwrap_or(REFUSED_CODE), self.status.unwrap_or(default));
        Refusal { error, code, status }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: {}", self.name, self.message)
    }
}

impl std::error::Error for Error {}

/// "Server rejected handshake", the reference servers' default.
const REFUSED_CODE: u16 = 4008;

/// RFC 9110 section 15.5.2: it is not known who asks.
const UNAUTHORIZED: u16 = 401;

/// RFC 9110 section 15.5.4.
const FORBIDDEN: u16 = 403;

#[cfg(test)]
mod tests {
    use super::*;

    fn json(error: &Error) -> String {
        let mut out = Vec::new();
        error.write(&mut out);
        String::from_utf8(out).expect("errors are text")
    }

    #[test]
    fn an_error_is_an_object_of_message_and_name() {
        assert_eq!(json(&Error::new("NoRoomError", "the \"lobby\" is full")), {
            r#"{"message":"the \"lobby\" is full","name":"NoRoomError"}"#
        });
    }

    #[test]
    fn extra_properties_are_kept_and_never_double_the_two_first() {
        let error = Error::new("A", "b").with("retryAfterMs", 250).with("room", ["x"]).with("name", "C");
        assert_eq!(json(&error), r#"{"message":"b","name":"C","retryAfterMs":250,"room":["x"]}"#);
        let odd = Error::new("A", "b").with("message", 1).with("x", 2);
        assert_eq!(json(&odd), r#"{"message":"b","name":"A","x":2}"#);
    }

    #[test]
    fn a_refusal_carries_the_close_code_and_4008_by_default() {
        assert_eq!(Error::unauthorized().into_refusal().code, 4008);
        let refusal = Error::unauthorized().close_code(4501).into_refusal();
        assert_eq!(refusal.code, 4501);
        assert_eq!(&*refusal.error, r#"{"message":"you may not do this","name":"UnauthorizedError"}"#);
    }

    #[test]
    #[should_panic(expected = "1006 is no close code")]
    fn a_code_that_may_not_be_sent_is_refused_where_it_is_written() {
        let _ = Error::unauthorized().close_code(1006);
    }
}
