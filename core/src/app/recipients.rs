//! Whom something is addressed to: one name or several, each once.

use std::collections::HashSet;

use codec::name::NameLimits;
use serde::Deserialize;
use shard::{Audience, SessionId};

use super::error::{Error, Result};

/// One or several names: of users, sessions or channels. Who is named twice is meant once.
pub trait Recipients: Sized {
    /// Calls `name` with each.
    #[doc(hidden)]
    fn each(self, name: &mut dyn FnMut(&str));
}

impl Recipients for &str {
    fn each(self, name: &mut dyn FnMut(&str)) {
        name(self);
    }
}

impl Recipients for String {
    fn each(self, name: &mut dyn FnMut(&str)) {
        name(&self);
    }
}

impl Recipients for &String {
    fn each(self, name: &mut dyn FnMut(&str)) {
        name(self);
    }
}

impl Recipients for SessionId {
    fn each(self, name: &mut dyn FnMut(&str)) {
        name(&self.to_string());
    }
}

impl<T: AsRef<str>> Recipients for &[T] {
    fn each(self, name: &mut dyn FnMut(&str)) {
        self.iter().for_each(|own| name(own.as_ref()));
    }
}

impl<T: AsRef<str>> Recipients for &Vec<T> {
    fn each(self, name: &mut dyn FnMut(&str)) {
        self.as_slice().each(name);
    }
}

impl<T: AsRef<str>> Recipients for Vec<T> {
    fn each(self, name: &mut dyn FnMut(&str)) {
        self.as_slice().each(name);
    }
}

impl<T: AsRef<str>, const N: usize> Recipients for [T; N] {
    fn each(self, name: &mut dyn FnMut(&str)) {
        self.as_slice().each(name);
    }
}

impl<T: AsRef<str>, const N: usize> Recipients for &[T; N] {
    fn each(self, name: &mut dyn FnMut(&str)) {
        self.as_slice().each(name);
    }
}

/// One name or several, as JSON says them: a string or an array of strings.
///
/// ```
/// use socketshard::Names;
/// use socketshard::prelude::*;
///
/// async fn hello(publish: Publish, Args(users): Args<Names>) -> Result {
///     publish.user(users, "hello", ())
/// }
/// # App::new().action("hello", hello);
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub enum Names {
    /// A string.
    One(String),
    /// An array.
    Several(Vec<String>),
}

impl Default for Names {
    /// Nobody.
    fn default() -> Self {
        Self::Several(Vec::new())
    }
}

impl From<Names> for Vec<String> {
    fn from(names: Names) -> Self {
        match names {
            Names::One(name) => vec![name],
            Names::Several(names) => names,
        }
    }
}

impl Recipients for Names {
    fn each(self, name: &mut dyn FnMut(&str)) {
        Vec::from(self).each(name);
    }
}

/// The names as they travel; none when there are none.
pub(super) fn names(recipients: impl Recipients, recipients_max: usize) -> Result<Option<Box<str>>> {
    let (mut names, mut seen, mut outcome) = (String::new(), HashSet::new(), Ok(()));
    recipients.each(&mut |name| {
        if let Err(error) = NameLimits::default().check_channel(name) {
            outcome = Err(Error::invalid_arguments(format!("recipient {error}")));
        } else if seen.len() < recipients_max && seen.insert(name.to_owned()) {
            if !names.is_empty() {
                names.push(Audience::SEPARATOR);
            }
            names.push_str(name);
        } else if !seen.contains(name) {
            outcome = Err(Error::invalid_arguments(format!("more than {recipients_max} recipients")));
        }
    });
    outcome?;
    Ok((!names.is_empty()).then(|| names.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn joined(recipients: impl Recipients) -> Result<Option<Box<str>>> {
        names(recipients, 3)
    }

    #[test]
    fn names_are_joined_each_once() {
        assert_eq!(joined("alice"), Ok(Some("alice".into())));
        assert_eq!(joined(["b", "a", "b"]), Ok(Some("b\na".into())));
        assert_eq!(
            joined(vec!["a".to_owned(), "b".to_owned(), "c".to_owned(), "a".to_owned()]),
            Ok(Some("a\nb\nc".into()))
        );
        assert_eq!(joined(Vec::<String>::new()), Ok(None));
    }

    #[test]
    fn what_is_no_name_and_what_is_too_many_is_refused() {
        for refused in [vec![""], vec!["a\nb"], vec!["a", "b", "c", "d"]] {
            assert_eq!(joined(refused).expect_err("it is refused").name(), "InvalidArgumentsError");
        }
        assert!(joined("x".repeat(256)).is_err());
    }
}
