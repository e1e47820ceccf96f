//! What a session holds: few values by name, each one JSON text, some with an end. A list is searched from end to end:
//! at the 64 keys of the default bound that is quicker than hashing one name.

use std::rc::Rc;

/// One value. Texts are shared with whoever has read them, on this shard only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Value {
    pub(crate) key: Rc<str>,
    /// Valid JSON.
    pub(crate) text: Rc<str>,
    /// When it is gone, in milliseconds of Unix time; [`NEVER`] for not by itself.
    pub(crate) expires: u64,
}

/// No end.
pub(crate) const NEVER: u64 = 0;

/// The values of one session. Empty ones cost a null pointer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[allow(clippy::box_collection, reason = "a million empty ones: a pointer each, not three words")]
pub(crate) struct Values(Option<Box<Vec<Value>>>);

impl Value {
    pub(crate) const fn is_over(&self, now: u64) -> bool {
        self.expires != NEVER && self.expires <= now
    }
}

impl Values {
    /// The value of that name, unless its time is over.
    pub(crate) fn get(&self, key: &str, now: u64) -> Option<&Value> {
        self.all().iter().find(|value| *value.key == *key).filter(|value| !value.is_over(now))
    }

    /// Sets a value, in the place of one of that name.
    pub(crate) fn set(&mut self, key: &str, text: &str, expires: u64) {
        let list = self.0.get_or_insert_default();
        match list.iter_mut().find(|value| *value.key == *key) {
            Some(value) => {
                value.text = text.into();
                value.expires = expires;
            }
            None => list.push(Value { key: key.into(), text: text.into(), expires }),
        }
    }

    /// Removes a value, if it is there.
    pub(crate) fn remove(&mut self, key: &str) {
        let Some(list) = &mut self.0 else { return };
        // In order: every copy of a session has the same list.
        list.retain(|value| *value.key != *key);
        if list.is_empty() {
            self.0 = None;
        }
    }

    /// Removes all but the server's own.
    pub(crate) fn clear(&mut self) {
        let Some(list) = &mut self.0 else { return };
        list.retain(|value| value.key.starts_with('#'));
        if list.is_empty() {
            self.0 = None;
        }
    }

    /// All of them, those whose time is over included.
    pub(crate) fn all(&self) -> &[Value] {
        self.0.as_ref().map_or(&[], |list| list.as_slice())
    }

    /// Bytes of names and texts without `key`'s.
    pub(crate) fn bytes_without(&self, key: &str) -> usize {
        let others = self.all().iter().filter(|value| *value.key != *key);
        others.map(|value| value.key.len() + value.text.len()).sum()
    }

    /// How many there are beside `key`.
    pub(crate) fn count_without(&self, key: &str) -> usize {
        self.all().iter().filter(|value| *value.key != *key).count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_set_replaced_and_removed() {
        let mut values = Values::default();
        assert_eq!(values.get("a", 1), None);
        values.set("a", "1", NEVER);
        values.set("b", "2", 10);
        values.set("a", "3", NEVER);
        assert_eq!(values.get("a", u64::MAX).map(|value| &*value.text), Some("3"));
        assert_eq!((values.count_without("a"), values.bytes_without("a"), values.bytes_without("x")), (1, 2, 4));
        assert!(values.get("b", 9).is_some() && values.get("b", 10).is_none(), "it ends at its time");
        values.remove("a");
        values.remove("b");
        assert_eq!(values, Values::default());
    }
}
