//! A part of the results: what is printed, and what is kept.

use serde_json::Value;

/// What one part of the measurement came to.
#[derive(Debug)]
pub(super) struct Part {
    /// In the JSON file.
    pub(super) name: &'static str,
    /// Its heading.
    pub(super) title: &'static str,
    /// In Markdown.
    pub(super) text: String,
    pub(super) json: Value,
}
