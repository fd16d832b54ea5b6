//! A rule's condition opened up: every macro in its place, every test with its place in the files.
//!
//! For authors who ask why a rule fired or stayed silent. Built from the files, apart from the
//! [`Policy`](crate::Policy), so that a running policy pays nothing for it.

mod build;
mod trace;

#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;

pub use trace::Trace;

use crate::field::FieldRef;
use crate::limits::LoadLimits;
use crate::load::RulesFile;
use crate::program::{Graph, NodeId};

/// A rule's condition as a tree.
#[derive(Debug)]
pub struct Explanation {
    graph: Graph,
    root: Arc<Part>,
    location: Location,
}

/// A part of a condition. A macro's body is one shared part, wherever the macro is used.
#[derive(Debug)]
pub struct Part {
    /// What it is.
    pub shape: Shape,
    node: NodeId,
    definitions: Vec<Definition>,
}

/// A macro or list that is part of a condition.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Definition {
    /// Its name.
    pub name: String,
    /// Where it was last changed.
    pub location: Location,
}

/// What a part of a condition is.
#[derive(Debug)]
pub enum Shape {
    /// All of these have to hold.
    All(Vec<Arc<Part>>),
    /// One of these has to hold.
    Any(Vec<Arc<Part>>),
    /// This must not hold.
    Not(Arc<Part>),
    /// What a macro stands for.
    Macro {
        /// Its name.
        name: String,
        /// Its condition.
        body: Arc<Part>,
    },
    /// A test.
    Test {
        /// The test, lists put in: `proc.name in (cat, dog)`.
        text: String,
        /// The fields whose values it looks at, left to right.
        fields: Vec<FieldRef>,
        /// Where it is written.
        location: Location,
    },
}

/// A place in a rules file.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Location {
    /// The name of the file.
    pub file: String,
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
}

impl Explanation {
    /// Opens up the condition of a rule, with its exceptions, as it stands after all `files`.
    /// `None` when no rule has this name, its condition does not compile,
    /// or is nested deeper than 1000 with its macros.
    pub fn new(files: &[RulesFile<'_>], rule: &str) -> Option<Self> {
        Self::within(files, rule, LoadLimits::default())
    }

    /// The same of files that were loaded within these limits.
    pub fn within(files: &[RulesFile<'_>], rule: &str, limits: LoadLimits) -> Option<Self> {
        build::build(files, rule, limits)
    }

    /// Where the rule is defined.
    pub fn location(&self) -> &Location {
        &self.location
    }

    /// The whole condition.
    pub fn root(&self) -> &Part {
        &self.root
    }
}

impl Part {
    /// Of a macro, the macro; of a test, the lists that were put in.
    pub fn definitions(&self) -> &[Definition] {
        &self.definitions
    }

    fn new(shape: Shape, node: NodeId) -> Self {
        Self {
            shape,
            node,
            definitions: Vec::new(),
        }
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.file, self.line, self.column)
    }
}
