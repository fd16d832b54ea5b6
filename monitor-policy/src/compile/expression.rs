//! Puts expressions into the graph, each macro once.

use std::collections::{HashMap, HashSet};

use super::macros::{Macros, references};
use super::{Problem, leaf, names};
use crate::condition::Fault;
use crate::condition::ast::{Check, Expr, Name, Operator, Right};
use crate::diagnostic::{Code, Severity};
use crate::limits::LoadLimits;
use crate::program::{Builder, NodeId};
use crate::rules::{Finding, Store};
use crate::source::Sourced;

/// Greatest height of a condition with its macros: evaluation recurses that deep.
const MAX_HEIGHT: usize = 1000;

/// Most values of a list that are told to be wrong.
const MAX_FAULTS: usize = 20;

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
    /// The regular expressions so far.
    regexes: HashSet<Vec<u8>>,
    max_regexes: usize,
    max_height: usize,
}

impl<'a> Expressions<'a> {
    /// Expressions that use the macros of a store.
    pub(crate) fn new(store: &'a Store, macros: Macros, builder: Builder) -> Self {
        Self {
            store,
            macros,
            builder,
            lowered: HashMap::new(),
            regexes: HashSet::new(),
            max_regexes: LoadLimits::default().regexes,
            max_height: MAX_HEIGHT,
        }
    }

    /// The same within limits.
    pub(crate) fn within(self, limits: LoadLimits) -> Self {
        Self {
            max_regexes: limits.regexes,
            max_height: limits.height.min(MAX_HEIGHT),
            ..self
        }
    }

    /// The macros.
    pub(crate) fn macros(&self) -> &Macros {
        &self.macros
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

    /// Puts an expression into the graph, the macros that it uses first.
    pub(crate) fn lower(&mut self, expr: &Expr, text: &Sourced) -> Lowered {
        self.mark_used(expr);
        self.lower_macros(expr);
        self.lower_alone(expr, text)
    }

    /// Puts the macros of an expression into the graph, each after those that it uses. Without
    /// recursion, so that a chain of them may be long.
    fn lower_macros(&mut self, expr: &Expr) {
        let mut waiting: Vec<(String, Visit)> = Vec::new();
        let push_references = |expr: &Expr, waiting: &mut Vec<(String, Visit)>| {
            let mut names = Vec::new();
            references(expr, &mut names);
            waiting.extend(names.iter().map(|name| (name.text.clone(), Visit::First)));
        };
        push_references(expr, &mut waiting);
        while let Some((name, visit)) = waiting.pop() {
            let Some(parsed) = self.macros.get(&name) else {
                continue;
            };
            // A macro that is broken itself is reported where it stands.
            let Some(expr) = &parsed.expr else { continue };
            if self.lowered.contains_key(&name) {
                continue;
            }
            if visit == Visit::First {
                waiting.push((name, Visit::Again));
                push_references(expr, &mut waiting);
                continue;
            }
            let (expr, text, item) = (expr.clone(), parsed.text.clone(), parsed.item.clone());
            let mut lowered = self.lower_alone(&expr, &text);
            for problem in &mut lowered.problems {
                if problem.finding.code.severity() == Severity::Error {
                    problem.finding = problem.finding.clone().within(&item);
                }
            }
            self.lowered.insert(name, lowered);
        }
    }

    fn lower_alone(&mut self, expr: &Expr, text: &Sourced) -> Lowered {
        let mut lowered = Lowered::default();
        lowered.node = self.node(expr, text, &mut lowered);
        lowered
    }

    fn node(&mut self, expr: &Expr, text: &Sourced, result: &mut Lowered) -> Option<NodeId> {
        let node = self.unlimited_node(expr, text, result)?;
        if self.builder.height(node) > self.max_height {
            let message = format!(
                "the condition is nested deeper than {} with its macros",
                self.max_height
            );
            result
                .problems
                .push(Problem::new(Fault::syntax(message, 0..1), text));
            return None;
        }
        Some(node)
    }

    fn unlimited_node(
        &mut self,
        expr: &Expr,
        text: &Sourced,
        result: &mut Lowered,
    ) -> Option<NodeId> {
        Some(match expr {
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
            Expr::Check(check) => self.leaf(check, text, result)?,
        })
    }

    fn leaf(&mut self, check: &Check, text: &Sourced, result: &mut Lowered) -> Option<NodeId> {
        let mut warnings = Vec::new();
        let node = self
            .check_regexes(check)
            .and_then(|()| leaf::compile(check, &mut self.builder, &mut warnings));
        let problem = |fault| Problem::new(fault, text);
        result.problems.extend(warnings.into_iter().map(problem));
        match node {
            Ok(node) => {
                result.fields.extend(self.builder.fields_of(node));
                Some(node)
            }
            Err(fault) => {
                let faults = self.faults_of_values(check, fault);
                let of_broken_list = |fault: &Fault| {
                    let value = fault.value.as_deref();
                    value.is_some_and(|value| self.store.names_broken("list", value))
                };
                for fault in faults.into_iter().filter(|fault| !of_broken_list(fault)) {
                    let fault = names::hint(fault, check, self.store);
                    result.problems.push(Problem::new(fault, text));
                }
                None
            }
        }
    }

    /// Each regular expression takes memory for as long as the policy is there.
    fn check_regexes(&mut self, check: &Check) -> Result<(), Fault> {
        if check.operator != Operator::Regex {
            return Ok(());
        }
        let literals = match &check.right {
            Right::Literal(one) => std::slice::from_ref(one),
            Right::List(list) | Right::Modified(_, list) => list,
            Right::None | Right::Operand(_) => &[],
        };
        for literal in literals {
            if self.regexes.len() >= self.max_regexes && !self.regexes.contains(&literal.bytes) {
                let message = format!("more than {} regular expressions", self.max_regexes);
                return Err(Fault::new(Code::Validate, message, literal.span.clone()));
            }
            self.regexes.insert(literal.bytes.clone());
        }
        Ok(())
    }

    /// A fault of a test, and when it is that of a value in a list, those of the other values.
    fn faults_of_values(&mut self, check: &Check, first: Fault) -> Vec<Fault> {
        let Right::List(list) = &check.right else {
            return vec![first];
        };
        let Some(index) = list.iter().position(|one| one.span == first.span) else {
            return vec![first];
        };
        let others = list.iter().skip(index + 1);
        let mut faults = vec![first];
        let mut alone = Check {
            left: check.left.clone(),
            operator: check.operator,
            operator_span: check.operator_span.clone(),
            right: Right::None,
            span: check.span.clone(),
        };
        for literal in others {
            alone.right = Right::List(vec![literal.clone()]);
            let fault = leaf::compile(&alone, &mut self.builder, &mut Vec::new()).err();
            faults.extend(fault.filter(|fault| fault.span == literal.span));
            if faults.len() >= MAX_FAULTS {
                break;
            }
        }
        faults
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
        if self.macros.get(&name.text).is_none() && !self.store.is_broken("macro", &name.text) {
            result.problems.push(Problem {
                finding: Finding::from_syntax(self.macros.undefined(name), text),
                unknown_name: false,
            });
        }
        None
    }
}

/// How often a macro was come by.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Visit {
    First,
    Again,
}

impl Lowered {
    fn add_to(self, result: &mut Self) -> Option<NodeId> {
        result.problems.extend(self.problems);
        result.fields.extend(self.fields);
        self.node
    }
}
