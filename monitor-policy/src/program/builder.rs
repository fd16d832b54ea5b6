//! Builds graphs: equal nodes become one, and each knows which event types it can hold for.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher as _};

use super::{Graph, Leaf, Node, NodeId, Test};
use crate::event_type::EventSet;
use crate::field::FieldRef;

/// For which event types something can be true, and for which false.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Truth {
    /// Where it can be true.
    pub(crate) when_true: EventSet,
    /// Where it can be false.
    pub(crate) when_false: EventSet,
}

impl Truth {
    /// Says nothing of the event type.
    pub(crate) fn neutral() -> Self {
        Self {
            when_true: EventSet::full(),
            when_false: EventSet::full(),
        }
    }

    /// True for exactly these types.
    pub(crate) fn exactly(set: EventSet) -> Self {
        Self {
            when_true: set,
            when_false: set.complement(),
        }
    }

    fn not(self) -> Self {
        Self {
            when_true: self.when_false,
            when_false: self.when_true,
        }
    }

    fn and(self, other: Self) -> Self {
        Self {
            when_true: self.when_true.intersection(&other.when_true),
            when_false: self.when_false.union(&other.when_false),
        }
    }
}

#[derive(Debug, Eq, Hash, PartialEq)]
enum Key {
    Leaf(String),
    Not(NodeId),
    And(Vec<NodeId>),
    Or(Vec<NodeId>),
}

#[derive(Clone, Copy, Debug)]
struct Fact {
    truth: Truth,
    height: usize,
    digest: u64,
}

impl Fact {
    fn new(truth: Truth, height: usize) -> Self {
        Self {
            truth,
            height,
            digest: 0,
        }
    }
}

/// A graph that is being built.
#[derive(Debug, Default)]
pub(crate) struct Builder {
    graph: Graph,
    facts: Vec<Fact>,
    nodes: HashMap<Key, NodeId>,
    fields: HashMap<FieldRef, usize>,
}

impl Builder {
    /// The graph.
    pub(crate) fn finish(self) -> Graph {
        self.graph
    }

    /// Indices of the fields that a test uses.
    pub(crate) fn fields_of(&self, id: NodeId) -> Vec<usize> {
        let mut fields = Vec::new();
        if let Some(Node::Leaf(leaf)) = self.graph.nodes.get(id) {
            leaf.left.fields(&mut fields);
            if let Test::Against(_, _, right) = &leaf.test {
                right.fields(&mut fields);
            }
        }
        fields
    }

    /// The field of an index.
    pub(crate) fn field(&self, index: usize) -> Option<&FieldRef> {
        self.graph.fields.get(index)
    }

    /// The index of a field.
    pub(crate) fn slot(&mut self, field: FieldRef) -> usize {
        *self.fields.entry(field).or_insert_with_key(|field| {
            self.graph.fields.push(field.clone());
            self.graph.fields.len() - 1
        })
    }

    /// The test that was built from this text, if one was.
    pub(crate) fn known_leaf(&self, text: &str) -> Option<NodeId> {
        self.nodes.get(&Key::Leaf(text.to_owned())).copied()
    }

    /// A test. Tests with the same text are the same.
    pub(crate) fn leaf(&mut self, text: String, leaf: Leaf, truth: Truth) -> NodeId {
        self.add(Key::Leaf(text), Node::Leaf(leaf), Fact::new(truth, 1))
    }

    /// The negation of a node.
    pub(crate) fn not(&mut self, inner: NodeId) -> NodeId {
        let fact = self.fact(inner);
        let fact = Fact::new(fact.truth.not(), fact.height + 1);
        self.add(Key::Not(inner), Node::Not(inner), fact)
    }

    /// All of some nodes.
    pub(crate) fn and(&mut self, parts: Vec<NodeId>) -> NodeId {
        let facts = parts.iter().map(|part| self.fact(*part));
        let fact = facts.reduce(|a, b| Fact::new(a.truth.and(b.truth), a.height.max(b.height)));
        let node = Node::And(parts.clone().into());
        self.add(Key::And(parts), node, one_higher(fact))
    }

    /// One of some nodes.
    pub(crate) fn or(&mut self, parts: Vec<NodeId>) -> NodeId {
        let facts = parts.iter().map(|part| self.fact(*part));
        let fact = facts.reduce(|a, b| {
            let truth = a.truth.not().and(b.truth.not()).not();
            Fact::new(truth, a.height.max(b.height))
        });
        let node = Node::Or(parts.clone().into());
        self.add(Key::Or(parts), node, one_higher(fact))
    }

    /// For which event types a node can be true and false.
    pub(crate) fn truth(&self, id: NodeId) -> Truth {
        self.fact(id).truth
    }

    /// How many nodes stand below each other at most.
    pub(crate) fn height(&self, id: NodeId) -> usize {
        self.fact(id).height
    }

    /// What a node tests, whichever nodes were built before it: the same for nodes of two graphs
    /// that were built from the same text.
    pub(crate) fn digest(&self, id: NodeId) -> u64 {
        self.fact(id).digest
    }

    fn fact(&self, id: NodeId) -> Fact {
        let unknown = Fact::new(Truth::neutral(), 0);
        self.facts.get(id).copied().unwrap_or(unknown)
    }

    fn add(&mut self, key: Key, node: Node, fact: Fact) -> NodeId {
        if let Some(known) = self.nodes.get(&key) {
            return *known;
        }
        let digest = self.digest_of(&key);
        let id = self.graph.nodes.len();
        self.nodes.insert(key, id);
        self.graph.nodes.push(node);
        self.facts.push(Fact { digest, ..fact });
        id
    }

    fn digest_of(&self, key: &Key) -> u64 {
        let mut hasher = DefaultHasher::new();
        std::mem::discriminant(key).hash(&mut hasher);
        let mut parts = |parts: &[NodeId]| {
            for part in parts {
                self.digest(*part).hash(&mut hasher);
            }
        };
        match key {
            Key::Leaf(text) => text.hash(&mut hasher),
            Key::Not(inner) => parts(&[*inner]),
            Key::And(all) | Key::Or(all) => parts(all),
        }
        hasher.finish()
    }
}

fn one_higher(fact: Option<Fact>) -> Fact {
    let fact = fact.unwrap_or(Fact::new(Truth::neutral(), 0));
    Fact {
        height: fact.height + 1,
        ..fact
    }
}
