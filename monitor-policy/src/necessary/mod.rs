//! What an event must have for any rule to match it: conditions that can be tested early, with few
//! of its fields.
//!
//! From each rule only the tests of fields that the caller can answer are kept; of what is left out
//! it is supposed that it holds. So a rule that matches an event implies that one of the clauses
//! admits it, and not the other way round.

mod clause;
mod lower;
mod set;

use std::collections::HashMap;
use std::sync::Arc;

pub use clause::{Allowed, Clause};
pub use set::{Ranges, TextKey, ValueSet, place};

use clause::Clauses;

use crate::event_type::EventSet;
use crate::field::FieldRef;
use crate::program::{Graph, Node, NodeId, Test};

/// What is found for one rule.
pub(crate) struct Search<'a> {
    graph: &'a Graph,
    /// The types of the events in question.
    types: EventSet,
    /// Whether a field can be answered. Asked with `true` for tests that have to hold and with
    /// `false` for those that must not.
    answers: &'a dyn Fn(&FieldRef, bool) -> bool,
    /// Most clauses.
    budget: usize,
    known: HashMap<(NodeId, bool), Clauses>,
}

impl<'a> Search<'a> {
    pub(crate) fn new(
        graph: &'a Graph,
        types: EventSet,
        answers: &'a dyn Fn(&FieldRef, bool) -> bool,
        budget: usize,
    ) -> Self {
        Self {
            graph,
            types,
            answers,
            budget,
            known: HashMap::new(),
        }
    }

    /// The clauses of rules together.
    pub(crate) fn of_rules(
        &mut self,
        conditions: impl Iterator<Item = (usize, NodeId)>,
    ) -> Vec<Clause> {
        let mut all = Clauses::never();
        for (rule, condition) in conditions {
            let mut clauses = self.find(condition, true);
            for clause in &mut clauses.0 {
                clause.rules.insert(rule);
            }
            all = all.or(clauses, self.budget);
        }
        all.0
    }

    /// When a node has a truth value.
    fn find(&mut self, id: NodeId, truth: bool) -> Clauses {
        if let Some(known) = self.known.get(&(id, truth)) {
            return known.clone();
        }
        let graph = self.graph;
        let found = match (graph.nodes().get(id), truth) {
            (Some(Node::Leaf(leaf)), _) => match &leaf.test {
                Test::EventType(set) => self.event_type(set, truth),
                _ => self.leaf(id, truth),
            },
            (Some(Node::Not(inner)), truth) => self.find(*inner, !truth),
            (Some(Node::And(parts)), true) | (Some(Node::Or(parts)), false) => {
                self.all(parts, truth)
            }
            (Some(Node::Or(parts)), true) | (Some(Node::And(parts)), false) => {
                parts.iter().fold(Clauses::never(), |any, part| {
                    any.or(self.find(*part, truth), self.budget)
                })
            }
            (None, _) => Clauses::always(),
        };
        self.known.insert((id, truth), found.clone());
        found
    }

    fn event_type(&self, set: &EventSet, truth: bool) -> Clauses {
        let possible = if truth {
            self.types.intersection(set)
        } else {
            self.types.difference(set)
        };
        if possible.is_empty() {
            Clauses::never()
        } else {
            Clauses::always()
        }
    }

    fn leaf(&self, id: NodeId, truth: bool) -> Clauses {
        let Some(Node::Leaf(leaf)) = self.graph.nodes().get(id) else {
            return Clauses::always();
        };
        let Some(lowered) = lower::lower(self.graph, leaf, truth) else {
            return Clauses::always();
        };
        let single = |(field, set): (FieldRef, ValueSet)| {
            if !(self.answers)(&field, truth) {
                return Clauses::always();
            }
            let allowed = Allowed {
                set: Arc::new(set),
                or_missing: lowered.or_missing,
            };
            Clauses(Clause::single(field, allowed).into_iter().collect())
        };
        let each = lowered.each.into_iter().map(single);
        if lowered.any {
            each.fold(Clauses::never(), |any, one| any.or(one, self.budget))
        } else {
            each.fold(Clauses::always(), |all, one| all.and(&one, self.budget))
        }
    }

    /// All parts together, the simple ones first: a product that grows too large is widened, which
    /// should hit what says least.
    fn all(&mut self, parts: &[NodeId], truth: bool) -> Clauses {
        let mut each: Vec<Clauses> = parts.iter().map(|part| self.find(*part, truth)).collect();
        each.sort_by_key(|clauses| clauses.0.len());
        let mut all = Clauses::always();
        for clauses in each {
            all = all.and(&clauses, self.budget);
        }
        all
    }
}
