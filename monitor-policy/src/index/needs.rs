//! Tests of which at least one has to hold for a condition to hold.

use std::collections::HashMap;
use std::rc::Rc;

use super::matchers::{MatcherId, Matchers};
use super::weight;
use crate::event_type::EventSet;
use crate::program::{Graph, Node, NodeId, Test};

/// Most tests in one need.
const MAX_TESTS: usize = 4096;

/// What a condition needs.
#[derive(Clone, Debug)]
pub(super) enum Need {
    /// It cannot hold.
    Never,
    /// Nothing is known.
    Unknown,
    /// One of these tests, all answered by matchers.
    OneOf(Rc<Tests>),
}

/// Tests, and what it costs to rely on them.
#[derive(Debug)]
pub(super) struct Tests {
    /// The tests, sorted.
    pub(super) leaves: Vec<NodeId>,
    /// The matchers that answer them, sorted.
    pub(super) matchers: Vec<MatcherId>,
    weight: u32,
}

/// Finds the needs of conditions, for events of certain types.
#[derive(Debug)]
pub(super) struct Needs<'a> {
    graph: &'a Graph,
    matchers: &'a Matchers,
    event_types: EventSet,
    /// Matchers whose answers are needed anyway.
    free: Vec<MatcherId>,
    known: HashMap<(NodeId, bool), Need>,
}

impl<'a> Needs<'a> {
    /// Needs for events of these types.
    pub(super) fn new(
        graph: &'a Graph,
        matchers: &'a Matchers,
        event_types: EventSet,
        free: Vec<MatcherId>,
    ) -> Self {
        Self {
            graph,
            matchers,
            event_types,
            free,
            known: HashMap::new(),
        }
    }

    /// What a node needs to be true.
    pub(super) fn of(&mut self, id: NodeId) -> Need {
        self.find(id, true)
    }

    /// What a node needs to have a truth value.
    fn find(&mut self, id: NodeId, truth: bool) -> Need {
        if let Some(known) = self.known.get(&(id, truth)) {
            return known.clone();
        }
        let graph = self.graph;
        let need = match (graph.nodes().get(id), truth) {
            (Some(Node::Leaf(leaf)), _) => match &leaf.test {
                Test::EventType(set) => self.event_type(set, truth),
                _ => self.leaf(id, truth),
            },
            (Some(Node::Not(inner)), truth) => self.find(*inner, !truth),
            (Some(Node::And(parts)), true) | (Some(Node::Or(parts)), false) => {
                self.all(parts, truth)
            }
            (Some(Node::Or(parts)), true) | (Some(Node::And(parts)), false) => {
                self.any(parts, truth)
            }
            (None, _) => Need::Unknown,
        };
        self.known.insert((id, truth), need.clone());
        need
    }

    fn event_type(&self, set: &EventSet, truth: bool) -> Need {
        let possible = if truth {
            self.event_types.intersection(set)
        } else {
            self.event_types.difference(set)
        };
        if possible.is_empty() {
            Need::Never
        } else {
            Need::Unknown
        }
    }

    fn leaf(&self, id: NodeId, truth: bool) -> Need {
        match self.matchers.of(id) {
            Some(matcher) if truth => Need::OneOf(Rc::new(Tests {
                leaves: vec![id],
                matchers: vec![matcher],
                weight: weight::of_test(self.graph, id),
            })),
            _ => Need::Unknown,
        }
    }

    /// The need of the part that is cheapest to rely on.
    fn all(&mut self, parts: &[NodeId], truth: bool) -> Need {
        let mut best: Option<Rc<Tests>> = None;
        for part in parts {
            match self.find(*part, truth) {
                Need::Never => return Need::Never,
                Need::Unknown => {}
                Need::OneOf(tests) => {
                    let better = best
                        .as_ref()
                        .is_none_or(|best| self.cost(&tests) < self.cost(best));
                    if better {
                        best = Some(tests);
                    }
                }
            }
        }
        best.map_or(Need::Unknown, Need::OneOf)
    }

    /// The needs of all parts together.
    fn any(&mut self, parts: &[NodeId], truth: bool) -> Need {
        let mut whole = Tests {
            leaves: Vec::new(),
            matchers: Vec::new(),
            weight: 0,
        };
        for part in parts {
            match self.find(*part, truth) {
                Need::Never => {}
                Need::Unknown => return Need::Unknown,
                Need::OneOf(tests) => {
                    whole.leaves.extend(&tests.leaves);
                    whole.matchers.extend(&tests.matchers);
                    whole.weight = whole.weight.max(tests.weight);
                    if whole.leaves.len() > MAX_TESTS {
                        return Need::Unknown;
                    }
                }
            }
        }
        if whole.leaves.is_empty() {
            return Need::Never;
        }
        whole.leaves.sort_unstable();
        whole.leaves.dedup();
        whole.matchers.sort_unstable();
        whole.matchers.dedup();
        Need::OneOf(Rc::new(whole))
    }

    fn cost(&self, tests: &Tests) -> u32 {
        let fields = tests
            .matchers
            .iter()
            .filter(|matcher| !self.free.contains(matcher))
            .filter_map(|matcher| self.matchers.slot(*matcher))
            .filter_map(|slot| self.graph.fields().get(slot));
        tests.weight + fields.map(weight::of_field).sum::<u32>()
    }
}
