//! The argument of a call: decoded to a type, or as the text that it is. Text is passed through as it was received,
//! validated once by the codec and never serialised again.

use std::cell::RefCell;

use codec::message::RawJson;
use serde::de::DeserializeOwned;

use super::call::{Call, FromCall, Occasion, Site};
use super::error::{Error, Result};

/// Extracts the argument, decoded. Absent counts as `null`, so `Args<Option<T>>` takes both; an array stays one value,
/// so `Args<(A, B)>` takes two arguments sent as an array. What does not decode is answered with an
/// `InvalidArgumentsError` that says why.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Args<T>(pub T);

impl<T: DeserializeOwned> FromCall for Args<T> {
    fn from_call(call: &Call<'_>) -> Result<Self> {
        let text = call.data.unwrap_or(RawJson::NULL).as_str();
        serde_json::from_str(text).map(Self).map_err(|error| Error::invalid_arguments(reason(&error)))
    }

    fn check(site: &Site<'_>) -> std::result::Result<(), String> {
        site.expect("Args", &WITH_DATA)
    }
}

/// Extracts the argument as the JSON text that the client sent, or as nothing when it sent none. Returned from an
/// action, it is the answer: absent stays absent, `null` stays `null`.
#[derive(Debug, Default)]
pub struct RawArgs {
    text: Option<String>,
}

impl RawArgs {
    /// The argument's text, one valid JSON value.
    #[must_use]
    pub fn as_str(&self) -> Option<&str> {
        self.text.as_deref()
    }

    /// The same, to be exchanged for any other text.
    pub(super) const fn text_mut(&mut self) -> Option<&mut String> {
        self.text.as_mut()
    }

    /// JSON text of the application's own making.
    ///
    /// # Errors
    /// When it is not one valid JSON value.
    pub fn from_json(text: impl Into<String>) -> Result<Self> {
        let text = text.into();
        match serde_json::from_str::<&serde_json::value::RawValue>(&text) {
            Ok(_) => Ok(Self { text: Some(text) }),
            Err(error) => Err(Error::internal(format_args!("not JSON: {error}"))),
        }
    }
}

impl FromCall for RawArgs {
    fn from_call(call: &Call<'_>) -> Result<Self> {
        let text = call.data.map(|raw| {
            let mut text = POOL.with_borrow_mut(Vec::pop).unwrap_or_default();
            text.push_str(raw.as_str());
            text
        });
        Ok(Self { text })
    }

    fn check(site: &Site<'_>) -> std::result::Result<(), String> {
        site.expect("RawArgs", &WITH_DATA)
    }
}

/// Where a client says something.
const WITH_DATA: [Occasion; 5] =
    [Occasion::Invoke, Occasion::Action, Occasion::Subscribe, Occasion::Publish, Occasion::PublishOut];

/// The buffer goes back to the thread's pool, so that a call that passes its argument through allocates nothing.
impl Drop for RawArgs {
    fn drop(&mut self) {
        let Some(mut text) = self.text.take() else { return };
        if text.capacity() > BUFFER_BYTES_MAX {
            return;
        }
        text.clear();
        // At the thread's end there is no pool any more; the buffer is then simply freed.
        let _ = POOL.try_with(|pool| match pool.try_borrow_mut() {
            Ok(mut pool) if pool.len() < BUFFERS_MAX => pool.push(text),
            _ => {}
        });
    }
}

/// What is wrong, cut where it quotes too much of the argument: an answer must not grow with what was asked.
fn reason(error: &serde_json::Error) -> String {
    let mut reason = error.to_string();
    if reason.len() > REASON_BYTES_MAX {
        reason.truncate(reason.floor_char_boundary(REASON_BYTES_MAX));
        reason.push('…');
    }
    reason
}

/// Three lines of a console: enough to see which part is meant.
const REASON_BYTES_MAX: usize = 240;

/// Buffers kept: as many as calls are usually between extraction and answer. 32 x 16 KiB is half a megabyte per shard.
const BUFFERS_MAX: usize = 32;
/// Larger ones are freed: 16 KiB holds all but the rarest argument.
const BUFFER_BYTES_MAX: usize = 16 << 10;

thread_local! {
    static POOL: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
}
