//! The headers of a parsed head: names and values borrowed from the received bytes, looked up without regard to case.
//! Never allocates: the slots live in storage that the caller keeps on its stack.

use std::mem::MaybeUninit;

/// The most headers one head may have. Browsers send 10 to 20, proxies add a handful; 100 is what common servers allow.
pub const HEADERS_MAX: usize = 100;

/// Uninitialised room for the headers of one head: 3,200 bytes of stack that cost nothing until they are used.
pub struct HeaderStorage<'a> {
    pub(super) slots: [MaybeUninit<httparse::Header<'a>>; HEADERS_MAX],
}

impl HeaderStorage<'_> {
    /// Empty room, good for one head.
    #[must_use]
    pub const fn new() -> Self {
        Self { slots: [const { MaybeUninit::uninit() }; HEADERS_MAX] }
    }
}

impl Default for HeaderStorage<'_> {
    fn default() -> Self {
        Self::new()
    }
}

/// The headers of one head, in the order received.
#[derive(Clone, Copy, Debug)]
pub struct Headers<'a> {
    list: &'a [httparse::Header<'a>],
}

impl<'a> Headers<'a> {
    /// Wraps headers that lie in a head checked as UTF-8.
    pub(super) const fn new(list: &'a [httparse::Header<'a>]) -> Self {
        Self { list }
    }

    /// The number of header lines.
    #[must_use]
    pub const fn len(self) -> usize {
        self.list.len()
    }

    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.list.is_empty()
    }

    /// All names and values, in the order received.
    pub fn iter(self) -> impl Iterator<Item = (&'a str, &'a str)> {
        self.fields().map(|(name, value)| (name, value.text()))
    }

    /// As `iter`, for who reads few of the values: each is turned to text when it is asked for.
    pub(crate) fn fields(self) -> impl Iterator<Item = (&'a str, Value<'a>)> {
        self.list.iter().map(|header| (header.name, Value(header.value)))
    }

    /// The values of all headers of that name.
    pub fn all<'n>(self, name: &'n str) -> impl Iterator<Item = &'a str> + use<'a, 'n> {
        let same = move |header: &&httparse::Header<'a>| header.name.eq_ignore_ascii_case(name);
        self.list.iter().filter(same).map(|header| Value(header.value).text())
    }

    /// The value of the first header of that name.
    #[must_use]
    pub fn first(self, name: &str) -> Option<&'a str> {
        self.all(name).next()
    }

    /// The members of a comma-separated list that may be spread over several headers (RFC 9110 section 5.6.1); empty
    /// members are skipped.
    pub fn tokens<'n>(self, name: &'n str) -> impl Iterator<Item = &'a str> + use<'a, 'n> {
        self.all(name).flat_map(|value| value.split(',')).map(trim).filter(|token| !token.is_empty())
    }
}

/// A list member without the spaces and tabs around it.
pub(super) fn trim(token: &str) -> &str {
    token.trim_matches([' ', '\t'])
}

/// A Content-Length: digits alone, and at most 18 of them, which cannot overflow.
pub(super) fn length(value: &str) -> Option<u64> {
    let is_number = (1..=18).contains(&value.len()) && value.bytes().all(|byte| byte.is_ascii_digit());
    if is_number { value.parse().ok() } else { None }
}

/// A header's value, not yet text.
#[derive(Clone, Copy)]
pub(crate) struct Value<'a>(&'a [u8]);

impl<'a> Value<'a> {
    /// The value as text.
    pub(crate) fn text(self) -> &'a str {
        std::str::from_utf8(self.0).expect("the whole head was checked as UTF-8 and values are cut at ASCII characters")
    }
}
