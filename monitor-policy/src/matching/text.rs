//! Tests of texts.

use std::collections::HashSet;

use memchr::memmem::Finder;

use super::glob::Glob;
use super::number::Order;
use super::path_set::PathSet;
use super::pattern::Pattern;

/// A test of a text.
#[derive(Clone, Debug)]
pub(crate) enum TextTest {
    /// Order by bytes.
    Order(Order, Box<[u8]>),
    /// Member of a set.
    In(HashSet<Box<[u8]>>),
    /// Has it inside.
    Contains(Box<Finder<'static>>),
    /// Has it inside in whatever case; the text is in lower case.
    ContainsIgnoringCase(Box<[u8]>),
    /// Begins with it.
    StartsWith(Box<[u8]>),
    /// Ends with it.
    EndsWith(Box<[u8]>),
    /// Is of a shell pattern.
    Glob(Glob),
    /// Is of a regular expression.
    Regex(Pattern),
    /// Is a path below one of a set.
    Below(PathSet),
}

impl TextTest {
    /// Whether a text passes.
    pub(crate) fn matches(&self, text: &[u8]) -> bool {
        match self {
            Self::Order(order, right) => order.holds(&text, &right.as_ref()),
            Self::In(set) => set.contains(text),
            Self::Contains(finder) => finder.find(text).is_some(),
            Self::ContainsIgnoringCase(lower) => contains_ignoring_case(text, lower),
            Self::StartsWith(prefix) => text.starts_with(prefix),
            Self::EndsWith(suffix) => text.ends_with(suffix),
            Self::Glob(glob) => glob.matches(text),
            Self::Regex(pattern) => pattern.matches(text),
            Self::Below(set) => set.matches(text),
        }
    }
}

/// Whether a text has another inside, in whatever case of ASCII letters.
pub(crate) fn contains_ignoring_case(text: &[u8], needle: &[u8]) -> bool {
    needle.is_empty()
        || text
            .windows(needle.len())
            .any(|window| window.eq_ignore_ascii_case(needle))
}
