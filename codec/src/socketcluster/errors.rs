//! The errors that clients see, with the names and texts of the reference servers where those have one: applications
//! compare them. It never carries a stack trace or anything else of the server's inside.

use super::encode::write_decimal;
use super::{Dialect, TokenError};
use crate::json::{write_escaped, write_string};

/// One error as it goes into the `error` field of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WireError<'a> {
    /// The argument of `#subscribe` names no channel.
    SubscribeMalformed,
    /// The argument of `#unsubscribe` names no channel.
    UnsubscribeMalformed,
    /// The argument of `#publish` names no channel.
    PublishMalformed,
    /// The event is no name that an action can have.
    ActionMalformed,
    /// The arguments are no list.
    ArgumentsMalformed,
    /// The token presented does not authenticate.
    Token(TokenError),
    /// Clients may not publish here.
    PublishDisabled,
    /// A subscribe came before the handshake.
    SubscribeBeforeHandshake,
    /// The connection holds as many subscriptions as it may.
    SubscriptionLimit {
        /// The channel asked for.
        channel: &'a str,
        /// The connection's public id.
        connection: &'a str,
        /// The limit.
        subscriptions_max: u64,
    },
    /// An unsubscribe from a channel that the connection has not joined.
    NotSubscribed {
        /// The channel named.
        channel: &'a str,
        /// The connection's public id.
        connection: &'a str,
    },
    /// A hook refused without giving a reason.
    Blocked {
        /// What it refused: `subscribe`, `publishIn`, `invoke` …
        operation: &'a str,
    },
    /// No action has this name. The reference servers leave the caller waiting instead.
    UnknownAction {
        /// The name called.
        action: &'a str,
    },
    /// The action did not finish in time.
    ActionTimedOut {
        /// The name called.
        action: &'a str,
    },
    /// The action panicked; what it said stays in the server's log.
    ActionFailed {
        /// The name called.
        action: &'a str,
    },
    /// The connection has as many unanswered calls as it may.
    TooManyCalls {
        /// The limit.
        calls_max: u64,
    },
    /// The client asks for more than its share.
    RateLimited {
        /// When it may try again.
        retry_after_ms: u64,
    },
    /// Too many logins have failed on this connection, or from its address.
    TooManyLogins {
        /// When another one is looked at.
        retry_after_ms: u64,
    },
    /// The server cannot take this now.
    Busy,
    /// The client of this connection did not answer the server's call in time.
    ReplyTimedOut {
        /// The event that the server sent.
        event: &'a str,
    },
    /// An error of the application.
    Custom {
        /// Its class.
        name: &'a str,
        /// Its text.
        message: &'a str,
    },
}

impl WireError<'_> {
    /// The `name` field, by which programs tell errors apart.
    #[must_use]
    pub const fn name(&self) -> &str {
        match self {
            Self::SubscribeMalformed
            | Self::UnsubscribeMalformed
            | Self::PublishMalformed
            | Self::ActionMalformed
            | Self::ArgumentsMalformed
            | Self::PublishDisabled
            | Self::SubscribeBeforeHandshake => "InvalidActionError",
            Self::Token(error) => error.name(),
            Self::SubscriptionLimit { .. } | Self::NotSubscribed { .. } => "BrokerError",
            Self::Blocked { .. } => "SilentMiddlewareBlockedError",
            Self::UnknownAction { .. } => "UnknownActionError",
            Self::ActionTimedOut { .. } | Self::ReplyTimedOut { .. } => "TimeoutError",
            Self::ActionFailed { .. } => "ActionFailedError",
            Self::TooManyCalls { .. } => "TooManyCallsError",
            Self::RateLimited { .. } => "RateLimitError",
            Self::TooManyLogins { .. } => "TooManyLoginsError",
            Self::Busy => "BusyError",
            Self::Custom { name, .. } => name,
        }
    }

    /// Appends the error object: `{"message":…,"name":…}` and what belongs to the kind of error.
    pub fn write(&self, out: &mut Vec<u8>) {
        if let Self::Token(error) = self {
            return error.write(Dialect::V2, out);
        }
        out.extend_from_slice(b"{\"message\":\"");
        self.write_message(out);
        out.extend_from_slice(b"\",\"name\":");
        write_string(out, self.name());
        if let Self::Blocked { .. } = self {
            out.extend_from_slice(b",\"type\":\"inbound\"");
        }
        if let Self::RateLimited { retry_after_ms } | Self::TooManyLogins { retry_after_ms } = *self {
            out.extend_from_slice(b",\"retryAfterMs\":");
            write_decimal(out, retry_after_ms);
        }
        out.push(b'}');
    }

    /// The inside of the message string, piece by piece, so that nothing is allocated for it.
    fn write_message(&self, out: &mut Vec<u8>) {
        let mut text = |pieces: &[&str]| pieces.iter().for_each(|piece| write_escaped(out, piece));
        match *self {
            Self::SubscribeMalformed => text(&["Subscribe channel name was malformatted"]),
            Self::UnsubscribeMalformed => text(&["Unsubscribe channel name was malformatted"]),
            Self::PublishMalformed => text(&["Publish channel name was malformatted"]),
            Self::ActionMalformed => text(&["Action name was malformatted"]),
            Self::ArgumentsMalformed => text(&["Params must be supplied as an Array"]),
            Self::Token(error) => text(&[error.message()]),
            Self::PublishDisabled => text(&["Client publish feature is disabled"]),
            Self::SubscribeBeforeHandshake => {
                text(&["Cannot subscribe socket to a channel before it has completed the handshake"]);
            }
            Self::SubscriptionLimit { channel, connection, subscriptions_max } => {
                text(&["Failed to subscribe socket to the ", channel, " channel - InvalidActionError: Socket "]);
                text(&[connection, " tried to exceed the channel subscription limit of "]);
                write_decimal(out, subscriptions_max);
            }
            Self::NotSubscribed { channel, connection } => {
                text(&["Failed to unsubscribe socket from the ", channel, " channel - InvalidActionError: Socket "]);
                text(&[connection, " tried to unsubscribe from a channel which it is not subscribed to"]);
            }
            Self::Blocked { operation } => {
                text(&["The ", operation, " AGAction was blocked by inbound middleware"]);
            }
            Self::UnknownAction { action } => text(&["Unknown action ", action]),
            Self::ActionTimedOut { action } => text(&["Action ", action, " timed out"]),
            Self::ActionFailed { action } => text(&["Action ", action, " failed"]),
            Self::TooManyCalls { calls_max } => {
                text(&["More than "]);
                write_decimal(out, calls_max);
                write_escaped(out, " calls are waiting for an answer");
            }
            Self::RateLimited { .. } => text(&["Too many requests, try again later"]),
            Self::TooManyLogins { .. } => text(&["Too many failed logins, try again later"]),
            Self::Busy => text(&["The server is busy, try again later"]),
            Self::ReplyTimedOut { event } => text(&["Event response for ", event, " event timed out"]),
            Self::Custom { message, .. } => text(&[message]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(error: WireError<'_>) -> String {
        let mut out = Vec::new();
        error.write(&mut out);
        String::from_utf8(out).expect("errors are text")
    }

    #[test]
    fn errors_have_the_reference_servers_bytes() {
        assert_eq!(
            written(WireError::SubscribeMalformed),
            r#"{"message":"Subscribe channel name was malformatted","name":"InvalidActionError"}"#
        );
        assert_eq!(
            written(WireError::UnsubscribeMalformed),
            r#"{"message":"Unsubscribe channel name was malformatted","name":"InvalidActionError"}"#
        );
        assert_eq!(
            written(WireError::PublishMalformed),
            r#"{"message":"Publish channel name was malformatted","name":"InvalidActionError"}"#
        );
        assert_eq!(
            written(WireError::SubscriptionLimit { channel: "lim6", connection: "Ab_3", subscriptions_max: 5 }),
            concat!(
                r#"{"message":"Failed to subscribe socket to the lim6 channel - InvalidActionError: "#,
                r#"Socket Ab_3 tried to exceed the channel subscription limit of 5","name":"BrokerError"}"#
            )
        );
        assert_eq!(
            written(WireError::Token(TokenError::NotString)),
            concat!(
                r#"{"message":"Invalid token format - Token must be a string","#,
                r#""name":"AuthTokenError","isBadToken":true}"#
            )
        );
        assert_eq!(
            written(WireError::Blocked { operation: "subscribe" }),
            concat!(
                r#"{"message":"The subscribe AGAction was blocked by inbound middleware","#,
                r#""name":"SilentMiddlewareBlockedError","type":"inbound"}"#
            )
        );
    }

    #[test]
    fn who_asks_too_much_is_told_when_to_try_again() {
        assert_eq!(
            written(WireError::RateLimited { retry_after_ms: 250 }),
            r#"{"message":"Too many requests, try again later","name":"RateLimitError","retryAfterMs":250}"#
        );
        assert_eq!(
            written(WireError::TooManyLogins { retry_after_ms: 0 }),
            r#"{"message":"Too many failed logins, try again later","name":"TooManyLoginsError","retryAfterMs":0}"#
        );
    }

    #[test]
    fn whatever_a_client_calls_itself_or_its_channel_cannot_break_out_of_the_string() {
        let hostile = "\"},\"rid\":1,\\\n\u{0}\u{1F}é";
        for error in [
            WireError::SubscriptionLimit { channel: hostile, connection: hostile, subscriptions_max: u64::MAX },
            WireError::NotSubscribed { channel: hostile, connection: hostile },
            WireError::Blocked { operation: hostile },
            WireError::UnknownAction { action: hostile },
            WireError::ActionTimedOut { action: hostile },
            WireError::ActionFailed { action: hostile },
            WireError::TooManyCalls { calls_max: 64 },
            WireError::ReplyTimedOut { event: hostile },
            WireError::Custom { name: hostile, message: hostile },
        ] {
            let text = written(error);
            let value: serde_json::Value = serde_json::from_str(&text).expect("one JSON value");
            assert_eq!(value["name"], *error.name(), "{text}");
            if !matches!(error, WireError::TooManyCalls { .. }) {
                assert!(value["message"].as_str().expect("a message").contains(hostile), "{text}");
            }
        }
    }
}
