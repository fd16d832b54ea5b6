//! Globs, for callers that match what the language matches.

use crate::matching::{Case, Glob};

/// Whether `pattern` fits all of `text`: `*`, `?` and `[…]` match `/` too, as `glob` in a condition.
pub fn glob(pattern: &[u8], text: &[u8]) -> bool {
    Glob::new(pattern, Case::Sensitive).matches(text)
}
