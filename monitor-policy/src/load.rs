//! Loading rules files: text in, a policy and a report a file out.

use crate::policy::Policy;
use crate::priority::Priority;
use crate::report::FileReport;

/// A rules file, read by the caller.
#[derive(Clone, Copy, Debug)]
pub struct RulesFile<'a> {
    /// Its name in diagnostics.
    pub name: &'a str,
    /// Its text.
    pub text: &'a str,
}

/// How many rules an event may match.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Matching {
    /// The first rule that matches ends the search.
    #[default]
    First,
    /// Every rule that matches is reported.
    All,
}

/// Whether the fields that Falco suggests are appended to every output.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum SuggestedOutput {
    /// Container and pod fields follow the rule's own output.
    #[default]
    Append,
    /// The output is the rule's own.
    Omit,
}

/// How to load.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Options {
    /// Rules less severe than this are dropped.
    pub minimum_priority: Priority,
    /// How many rules an event may match.
    pub matching: Matching,
    /// Whether suggested fields are appended to outputs.
    pub suggested_output: SuggestedOutput,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            minimum_priority: Priority::Debug,
            matching: Matching::First,
            suggested_output: SuggestedOutput::Append,
        }
    }
}

/// What loading brought.
#[derive(Debug)]
pub struct Loaded {
    /// The policy; `None` when a file has an error.
    pub policy: Option<Policy>,
    /// One report a file, in the order of the files.
    pub files: Vec<FileReport>,
}

/// Loads rules files in order: later ones may change what earlier ones define.
pub fn load(files: &[RulesFile<'_>], options: &Options) -> Loaded {
    let _ = options;
    let files = files
        .iter()
        .map(|file| FileReport::new(file.name, file.text, Vec::new()));
    Loaded {
        policy: None,
        files: files.collect(),
    }
}
