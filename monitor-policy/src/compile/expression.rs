//! Puts expressions into the graph, each macro once.

use std::collections::{HashMap, HashSet};

use super::macros::{Macros, references};
use super::{Problem, leaf};
use crate::condition::Fault;
use crate::condition::ast::{Expr, Name};
use crate::diagnostic::Severity;
use crate::program::{Builder, NodeId};
use crate::rules::{Finding, Store};
use crate::source::Sourced;

/// Greatest height of a condition with its macros: evaluation recurses that deep.
const MAX_HEIGHT: usize = 1000;

/// What became of an expression.
#[derive(Clone, Debug, Default)]
pub(crate) struct Lowered {
    /// Its node, unless something is wrong.
    pub(crate) node: Option<NodeId>,
    /// What is wrong.
    pub(crate) problems: Vec<Problem>,
    /// Indices of the fields that it uses.
    pub(crate) fields: HashSet<usize>,
}

/// Puts expressions into a graph.
#[derive(Debug)]
pub(crate) struct Expressions<'a> {
    store: &'a Store,
    macros: Macros,
    builder: Builder,
    lowered: HashMap<String, Lowered>,
}

impl<'a> Expressions<'a> {
    /// Expressions that use the macros of a store.
    pub(crate) fn new(store: &'a Store, macros: Macros, builder: Builder) -> Self {
        Self {
            store,
            macros,
            builder,
            lowered: HashMap::new(),
        }
    }

    /// The graph so far.
    pub(crate) fn builder(&self) -> &Builder {
        &self.builder
    }

    /// The macros, the graph, and what is wrong with macros themselves.
    pub(crate) fn finish(mut self) -> (Macros, Builder, Vec<Finding>) {
        let findings = self.macros.take_findings();
        (self.macros, self.builder, findings)
    }

    /// Marks the macros of an expression as used.
    pub(crate) fn mark_used(&mut self, expr: &Expr) {
        let mut names = Vec::new();
        references(expr, &mut names);
        for name in names {
            self.macros.mark_used(&name.text);
        }
    }

    /// Puts an expression into the graph.
    pub(crate) fn lower(&mut self, expr: &Expr, text: &Sourced) -> Lowered {
        self.mark_used(expr);
        let mut lowered = Lowered::default();
        lowered.node = self.node(expr, text, &mut lowered);
        lowered
    }

    fn node(&mut self, expr: &Expr, text: &Sourced, result: &mut Lowered) -> Option<NodeId> {
        let node = match expr {
            Expr::And(parts) => {
                let parts = self.parts(parts, text, result)?;
                self.builder.and(parts)
            }
            Expr::Or(parts) => {
                let parts = self.parts(parts, text, result)?;
                self.builder.or(parts)
            }
            Expr::Not(inner) => {
                let inner = self.node(inner, text, result)?;
                self.builder.not(inner)
            }
            Expr::Macro(name) => self.macro_node(name, text, result)?,
            Expr::Check(check) => {
                let mut warnings = Vec::new();
                let node = leaf::compile(check, &mut self.builder, &mut warnings);
                let problem = |fault| Problem::new(fault, text);
                result.problems.extend(warnings.into_iter().map(problem));
                match node {
                    Ok(node) => {
                        result.fields.extend(self.builder.fields_of(node));
                        node
                    }
                    Err(fault) => {
                        result.problems.push(problem(fault));
                        return None;
                    }
                }
            }
        };
        if self.builder.height(node) > MAX_HEIGHT {
            let message =
                format!("the condition is nested deeper than {MAX_HEIGHT} with its macros");
            result
                .problems
                .push(Problem::new(Fault::syntax(message, 0..1), text));
            return None;
        }
        Some(node)
    }

    /// All parts, so that each problem is reported; a node only if all are well.
    fn parts(
        &mut self,
        parts: &[Expr],
        text: &Sourced,
        result: &mut Lowered,
    ) -> Option<Vec<NodeId>> {
        let nodes: Vec<_> = parts
            .iter()
            .map(|part| self.node(part, text, result))
            .collect();
        nodes.into_iter().collect()
    }

    fn macro_node(&mut self, name: &Name, text: &Sourced, result: &mut Lowered) -> Option<NodeId> {
        if let Some(known) = self.lowered.get(&name.text) {
            let known = known.clone();
            return known.add_to(result);
        }
        let Some(parsed) = self.macros.get(&name.text) else {
            if !self.store.is_broken_macro(&name.text) {
                result
                    .problems
                    .push(Problem::new(self.macros.undefined(name), text));
            }
            return None;
        };
        // A macro that is broken itself is reported where it stands.
        let expr = parsed.expr.clone()?;
        let text = parsed.text.clone();
        let item = parsed.item.clone();
        let mut lowered = self.lower(&expr, &text);
        for problem in &mut lowered.problems {
            if problem.finding.code.severity() == Severity::Error {
                problem.finding = problem.finding.clone().within(&item);
            }
        }
        self.lowered.insert(name.text.clone(), lowered.clone());
        lowered.add_to(result)
    }
}

impl Lowered {
    fn add_to(self, result: &mut Self) -> Option<NodeId> {
        result.problems.extend(self.problems);
        result.fields.extend(self.fields);
        self.node
    }
}
