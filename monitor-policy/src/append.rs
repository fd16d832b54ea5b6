//! What a configuration adds to the outputs of rules.

use std::collections::BTreeSet;

/// An addition to the outputs of some rules. Of several that concern a rule all apply, in order.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct AppendOutput {
    /// The one rule that it concerns; of all when missing.
    pub rule: Option<String>,
    /// The event source of the rules that it concerns.
    pub source: Option<String>,
    /// Tags that a rule must all have.
    pub tags: BTreeSet<String>,
    /// Appended to the output after one blank; with fields, like an output.
    pub text: Option<String>,
    /// Added to the output's fields alone.
    pub fields: Vec<ExtraField>,
    /// Whether container and pod fields are appended (once more).
    pub suggested: bool,
}

/// A field that is added to the fields of an output.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum ExtraField {
    /// A field as rules write it; its value keeps its type.
    Field(String),
    /// A text with fields in it, under a name of its own.
    Formatted {
        /// The name.
        name: String,
        /// The text.
        format: String,
    },
}

impl AppendOutput {
    /// Whether a rule of this name, source and tags is concerned.
    pub(crate) fn concerns(&self, name: &str, source: &str, tags: &BTreeSet<String>) -> bool {
        let fits =
            |wanted: &Option<String>, is: &str| wanted.as_deref().is_none_or(|one| one == is);
        fits(&self.rule, name) && fits(&self.source, source) && self.tags.is_subset(tags)
    }
}
