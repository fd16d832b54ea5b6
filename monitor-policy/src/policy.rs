//! A compiled policy.

use std::collections::BTreeSet;

use crate::event::{Event, View};
use crate::event_type::EventSet;
use crate::field::Field;
use crate::priority::Priority;

/// Rules, compiled together.
#[derive(Debug)]
pub struct Policy {
    rules: Vec<Rule>,
    event_types: EventSet,
    fields: BTreeSet<Field>,
    environment: EnvironmentNames,
    host_names: Vec<String>,
}

/// A rule of a policy.
#[derive(Clone, Debug)]
pub struct Rule {
    /// Its unique name.
    pub name: String,
    /// What it detects.
    pub description: String,
    /// How severe a match is.
    pub priority: Priority,
    /// Its tags, sorted.
    pub tags: BTreeSet<String>,
    /// The event source it reads: `syscall`.
    pub source: String,
    /// Whether it is tested.
    pub enabled: bool,
    /// The event types that it can match.
    pub event_types: EventSet,
}

/// The environment variables that a policy reads.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct EnvironmentNames {
    /// Names used as `proc.env[NAME]` or `proc.aenv[NAME]`.
    pub names: BTreeSet<String>,
    /// Whether some rule reads the whole environment.
    pub whole: bool,
}

/// A rule that matched.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Match {
    /// Its index in [`Policy::rules`].
    pub rule: usize,
    /// The view in which it matched.
    pub view: View,
}

/// What a match prints.
#[derive(Clone, Debug, PartialEq)]
pub struct Output {
    /// The rule's output with values in place of fields; no time, no priority.
    pub text: String,
    /// The fields of the output as written, with typed values; a missing one is null.
    pub fields: Vec<(String, serde_json::Value)>,
}

/// Memory that evaluations reuse. One a thread that evaluates; fits any policy.
#[derive(Debug, Default)]
pub struct Scratch {
    matches: Vec<Match>,
}

impl Policy {
    /// All rules that were loaded, in the order in which they are tested; disabled ones too.
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// The event types that some enabled rule can match.
    pub fn event_types(&self) -> &EventSet {
        &self.event_types
    }

    /// Whether a condition or an output of an enabled rule uses a field.
    pub fn uses_field(&self, field: Field) -> bool {
        self.fields.contains(&field)
    }

    /// The environment variables that enabled rules read.
    pub fn environment_names(&self) -> &EnvironmentNames {
        &self.environment
    }

    /// The names that enabled rules compare addresses with, to be resolved by the caller.
    pub fn host_names(&self) -> impl Iterator<Item = &str> {
        self.host_names.iter().map(String::as_str)
    }

    /// The rules that match an event, in the order of the rules; with first-match at most one.
    pub fn evaluate<'s>(&self, event: &dyn Event, scratch: &'s mut Scratch) -> &'s [Match] {
        let _ = event;
        scratch.matches.clear();
        &scratch.matches
    }

    /// What the match of a rule prints for an event.
    pub fn format(&self, rule: usize, event: &dyn Event, view: View) -> Output {
        let _ = (rule, event, view);
        Output {
            text: String::new(),
            fields: Vec::new(),
        }
    }
}
