//! What an action may return, and how that becomes an answer. Values are serialised straight into the shard's reply
//! buffer; an action that fails to serialise answers an error instead of half a value.

use std::marker::PhantomData;

use serde::Serialize;
use shard::Reply;

use super::args::RawArgs;
use super::error::{Error, Result};

/// Something an action can return: `()`, any `Serialize` value, [`RawArgs`], or a [`Result`] of those.
///
/// `Via` is inferred. It tells the ways apart by which a type can be a reply, as one type could be by several.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not something that an action can return",
    note = "actions return `()`, a value that implements `serde::Serialize`, `RawArgs`, or a `Result` of those"
)]
pub trait IntoReply<Via> {
    /// Makes it the answer.
    fn into_reply(self, reply: &mut Answer<'_>);
}

/// The answer under construction.
#[derive(Debug)]
pub struct Answer<'a>(&'a mut Reply);

impl<'a> Answer<'a> {
    pub(crate) const fn new(reply: &'a mut Reply) -> Self {
        Self(reply)
    }

    /// An answer without data.
    pub fn set_empty(&mut self) {
        self.0.set_empty();
    }

    /// An answer with this value.
    pub fn set_value<T: Serialize>(&mut self, value: &T) {
        if let Err(error) = self.0.write_data(|out| serde_json::to_writer(out, value)) {
            self.set_error(&Error::internal(format_args!("the answer is not JSON: {error}")));
        }
    }

    /// An answer that is this JSON text, or no data.
    pub fn set_raw(&mut self, raw: &RawArgs) {
        match raw.as_str() {
            Some(text) => self.0.set_data(text),
            None => self.0.set_empty(),
        }
    }

    /// As [`Self::set_raw`], without a copy: the text changes hands.
    fn take_raw(&mut self, raw: &mut RawArgs) {
        match raw.text_mut() {
            Some(text) => self.0.swap_data(text),
            None => self.0.set_empty(),
        }
    }

    /// An error.
    pub fn set_error(&mut self, error: &Error) {
        self.0.write_error(|out| error.write(out));
    }
}

/// A reply by serialisation. A type without any content (`()`, a unit struct) that serialises to `null` is an answer
/// without data, as JavaScript's `undefined` would be.
#[derive(Debug)]
pub struct Serialized;

impl<T: Serialize> IntoReply<Serialized> for T {
    fn into_reply(self, reply: &mut Answer<'_>) {
        reply.set_value(&self);
        if size_of::<T>() == 0 && reply.0.outcome().is_ok_and(|data| data.is_some_and(|json| json.as_str() == "null")) {
            reply.set_empty();
        }
    }
}

/// A reply by the text that it is.
#[derive(Debug)]
pub struct Raw;

impl IntoReply<Raw> for RawArgs {
    fn into_reply(mut self, reply: &mut Answer<'_>) {
        reply.take_raw(&mut self);
    }
}

/// A reply or an error.
#[derive(Debug)]
pub struct Fallible<Via>(PhantomData<Via>);

impl<Via, T: IntoReply<Via>> IntoReply<Fallible<Via>> for Result<T> {
    fn into_reply(self, reply: &mut Answer<'_>) {
        match self {
            Ok(value) => value.into_reply(reply),
            Err(error) => reply.set_error(&error),
        }
    }
}

/// What a hook returns: nothing, or a refusal.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not something that a hook can return",
    note = "hooks return `()` to allow, or `Result`, whose error refuses"
)]
pub trait IntoVerdict {
    /// `Err` refuses.
    fn into_verdict(self) -> Result;
}

impl IntoVerdict for () {
    fn into_verdict(self) -> Result {
        Ok(())
    }
}

impl IntoVerdict for Result {
    fn into_verdict(self) -> Result {
        self
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn answer<Via>(value: impl IntoReply<Via>) -> Result<Option<String>, String> {
        let mut reply = Reply::default();
        value.into_reply(&mut Answer::new(&mut reply));
        let outcome = reply.outcome();
        outcome.map(|data| data.map(|json| json.as_str().to_owned())).map_err(|error| error.as_str().to_owned())
    }

    #[test]
    fn values_are_answers_with_data_and_units_are_answers_without() {
        assert_eq!(answer(625), Ok(Some("625".to_owned())));
        assert_eq!(answer("x\n"), Ok(Some(r#""x\n""#.to_owned())));
        assert_eq!(answer(()), Ok(None));
        assert_eq!(answer(None::<u8>), Ok(Some("null".to_owned())));
        assert_eq!(answer(Some(7)), Ok(Some("7".to_owned())));
        assert_eq!(answer([(); 0]), Ok(Some("[]".to_owned())));
    }

    #[test]
    fn results_are_their_value_or_an_error_object() {
        assert_eq!(answer(Ok::<_, Error>(1)), Ok(Some("1".to_owned())));
        assert_eq!(answer(Ok::<(), Error>(())), Ok(None));
        let error = answer(Err::<u8, _>(Error::new("N", "m")));
        assert_eq!(error, Err(r#"{"message":"m","name":"N"}"#.to_owned()));
    }

    #[test]
    fn json_text_passes_as_it_is_and_absent_stays_absent() {
        let raw = RawArgs::from_json(r#"{ "a" : 1.0 }"#).expect("it is JSON");
        assert_eq!(answer(raw), Ok(Some(r#"{ "a" : 1.0 }"#.to_owned())));
        assert_eq!(answer(RawArgs::default()), Ok(None));
        assert!(RawArgs::from_json("{} {}").is_err());
    }

    #[test]
    fn a_value_that_json_cannot_hold_is_an_error_and_not_half_an_answer() {
        let error = answer(vec![Ok::<_, u8>(BTreeMap::from([((1, 2), 3)]))]).expect_err("tuples are no keys");
        assert_eq!(error, r#"{"message":"internal error","name":"InternalError"}"#);
    }
}
