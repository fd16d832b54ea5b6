//! A condition on its own, without a rule around it.

use crate::compile::{Expressions, Macros};
use crate::condition::parse;
use crate::diagnostic::{Diagnostic, Severity};
use crate::event::{Event, View};
use crate::load::RulesFile;
use crate::program::{Builder, Frame, Graph, Memory, NodeId};
use crate::rules::{Finding, Store};
use crate::source::{Origin, Sourced};

/// A compiled condition, for trying expressions on events.
#[derive(Debug)]
pub struct Condition {
    graph: Graph,
    root: NodeId,
}

impl Condition {
    /// Compiles a condition. It may not use macros or lists.
    ///
    /// # Errors
    ///
    /// The first thing that is wrong with it, placed in a file named `condition`.
    pub fn parse(text: &str) -> Result<Self, Box<Diagnostic>> {
        let files = [RulesFile {
            name: "condition",
            text,
        }];
        let origins = (0..text.len() as u32).map(|offset| Origin { file: 0, offset });
        let sourced = Sourced::new(text.to_owned(), origins.collect());
        let expr = parse(text)
            .map_err(|fault| Box::new(Finding::from_fault(fault, &sourced).locate(&files)))?;
        let store = Store::default();
        let mut expressions = Expressions::new(&store, Macros::default(), Builder::default());
        let lowered = expressions.lower(&expr, &sourced);
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
            }),
            (Some(finding), _) => Err(finding.locate(&files).into()),
            (None, None) => {
                let fault = crate::condition::Fault::syntax("not a condition", 0..text.len());
                Err(Finding::from_fault(fault, &sourced).locate(&files).into())
            }
        }
    }

    /// Whether an event fulfils it, in either view.
    pub fn matches(&self, event: &dyn Event) -> bool {
        self.holds(event, View::Passed)
            || (event.has_resolved_view() && self.holds(event, View::Resolved))
    }

    fn holds(&self, event: &dyn Event, view: View) -> bool {
        let mut memory = Memory::default();
        Frame::new(&self.graph, event, view, &mut memory).holds(self.root)
    }
}
