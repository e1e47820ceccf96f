//! A call as both generations write it: `{"m":method,"p":[arguments]}`, with an `id` in the older one.

use std::borrow::Cow;

use crate::arguments::Arguments;
use crate::json::{JsonLimits, members, unescape};
use crate::message::RawJson;

/// Longest id, quotes included, as of SocketCluster's calls: clients count from 1.
const ID_BYTES_MAX: usize = 64;

/// One call.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Call<'a> {
    /// The method; absent where there is none, or one that is no string.
    pub method: Option<Cow<'a, str>>,
    /// By what the answer is known. One without is answered without.
    pub id: Option<RawJson<'a>>,
    /// Its arguments; absent where there is no array of them.
    pub arguments: Option<Arguments<'a>>,
}

impl<'a> Call<'a> {
    /// Reads a call. `None`: this is no object, or its id is too long to be given back.
    pub(super) fn read(text: &'a str, limits: JsonLimits) -> Option<Self> {
        let (mut method, mut id, mut list) = (None, None, None);
        members(text, limits, |name, value| match &*name {
            "m" => method = Some(value),
            "id" => id = Some(value),
            "p" => list = Some(value),
            _ => {}
        })
        .ok()?;
        if id.is_some_and(|id: RawJson<'_>| id.as_str().len() > ID_BYTES_MAX) {
            return None;
        }
        let arguments = match list {
            Some(list) => Arguments::of_array(list, limits).ok()?,
            None => None,
        };
        Some(Self { method: method.and_then(unescape), id, arguments })
    }
}
