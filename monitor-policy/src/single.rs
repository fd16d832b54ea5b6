//! Single conditions and formats, without a rule around them.

use crate::compile::{EventTypes, Expressions, Macros, Sense, event_types};
use crate::condition::{Fault, parse};
use crate::diagnostic::{Diagnostic, Severity};
use crate::event::{Event, View};
use crate::load::RulesFile;
use crate::output::Template;
use crate::program::{Builder, Frame, Graph, Memory, NodeId};
use crate::rules::{Finding, Store};
use crate::source::{Origin, Sourced};

/// A compiled condition, for trying expressions on events.
#[derive(Debug)]
pub struct Condition {
    graph: Graph,
    root: NodeId,
    event_types: EventTypes,
}

impl Condition {
    /// Whether a text is a condition by its syntax; fields and macros in it need not exist.
    ///
    /// # Errors
    ///
    /// The first thing that is wrong with it, placed in a file named `condition`.
    pub fn check_syntax(text: &str) -> Result<(), Box<Diagnostic>> {
        let source = Source::new("condition", text);
        parse(text)
            .map(|_| ())
            .map_err(|fault| source.locate(fault))
    }

    /// Compiles a condition. It may not use macros or lists.
    ///
    /// # Errors
    ///
    /// The first thing that is wrong with it, placed in a file named `condition`.
    pub fn parse(text: &str) -> Result<Self, Box<Diagnostic>> {
        let source = Source::new("condition", text);
        let expr = parse(text).map_err(|fault| source.locate(fault))?;
        let store = Store::default();
        let mut expressions = Expressions::new(&store, Macros::default(), Builder::default());
        let lowered = expressions.lower(&expr, &source.sourced);
        let is_error = |finding: &&Finding| finding.code.severity() == Severity::Error;
        let error = lowered
            .problems
            .iter()
            .map(|problem| &problem.finding)
            .find(is_error);
        match (error, lowered.node) {
            (None, Some(root)) => Ok(Self {
                graph: expressions.finish().1.finish(),
                root,
                event_types: event_types(&expr, Sense::Holds),
            }),
            (Some(finding), _) => Err(finding.locate(&source.files).into()),
            (None, None) => Err(source.locate(Fault::syntax("not a condition", 0..text.len()))),
        }
    }

    /// The event types for which it can hold, by the tests of `evt.type`, `syscall.type` and
    /// `evt.num` in it.
    pub fn event_types(&self) -> &EventTypes {
        &self.event_types
    }

    /// Whether an event fulfils it, in any view.
    pub fn matches(&self, event: &dyn Event) -> bool {
        let has = |view: &View| *view == View::Passed || event.has_view(*view);
        let mut views = View::ALL.into_iter().filter(has);
        views.any(|view| self.holds(event, view))
    }

    fn holds(&self, event: &dyn Event, view: View) -> bool {
        let mut memory = Memory::default();
        Frame::new(&self.graph, event, view, &mut memory).holds(self.root)
    }
}

/// A compiled format: text with fields in it, as the output of a rule is, but with nothing
/// appended. Without a leading `*` it ends at the first missing value.
#[derive(Debug)]
pub struct Format {
    template: Template,
}

impl Format {
    /// Compiles a format.
    ///
    /// # Errors
    ///
    /// The first thing that is wrong with it, placed in a file named `format`.
    pub fn parse(text: &str) -> Result<Self, Box<Diagnostic>> {
        let source = Source::new("format", text);
        let template = Template::parse_bare(text);
        template
            .map(|template| Self { template })
            .map_err(|faults| {
                let first = faults.into_iter().next();
                source.locate(first.unwrap_or_else(|| Fault::syntax("not a format", 0..text.len())))
            })
    }

    /// The text for an event.
    pub fn text(&self, event: &dyn Event) -> String {
        self.template.text(event, View::Passed)
    }

    /// The fields with typed values, by their names as written, without repetition.
    pub fn values(&self, event: &dyn Event) -> Vec<(String, serde_json::Value)> {
        self.template.values(event, View::Passed)
    }
}

/// A text that is a file of its own in diagnostics.
struct Source<'a> {
    files: [RulesFile<'a>; 1],
    sourced: Sourced,
}

impl<'a> Source<'a> {
    fn new(name: &'a str, text: &'a str) -> Self {
        let origins = (0..text.len() as u32).map(|offset| Origin { file: 0, offset });
        Self {
            files: [RulesFile { name, text }],
            sourced: Sourced::new(text.to_owned(), origins.collect()),
        }
    }

    fn locate(&self, fault: Fault) -> Box<Diagnostic> {
        let finding = Finding::from_fault(fault, &self.sourced);
        finding.locate(&self.files).into()
    }
}
