//! The matchers of all fields, and which tests they answer.

use std::collections::{BTreeMap, HashSet};

use foldhash::fast::FixedState;

use super::keys::{KeyKind, Keys};
use super::matcher::{KeyMap, Matcher};
use crate::event::Value;
use crate::program::{Graph, Node, NodeId};

/// A matcher, by its index.
pub(crate) type MatcherId = u16;

/// No matcher.
const NONE: MatcherId = MatcherId::MAX;

/// One matcher for each field and kind of key that tests look for.
#[derive(Debug, Default)]
pub(crate) struct Matchers {
    fields: Vec<OfField>,
    /// For each node of the graph the matcher that answers it.
    of_node: Vec<MatcherId>,
    /// Tests that are to be made when their matcher finds them.
    unsure: HashSet<NodeId, FixedState>,
}

#[derive(Debug)]
struct OfField {
    slot: usize,
    matcher: Matcher,
    /// All tests that it answers.
    leaves: Box<[NodeId]>,
}

impl Matchers {
    /// Matchers for all tests of a graph that can be answered together.
    pub(crate) fn new(graph: &Graph) -> Self {
        let mut fields: BTreeMap<(usize, KeyKind), KeyMap> = BTreeMap::new();
        let mut unsure = HashSet::default();
        for (id, node) in graph.nodes().iter().enumerate() {
            let Node::Leaf(leaf) = node else { continue };
            let Some(keys) = Keys::of(leaf) else { continue };
            if !keys.enough {
                unsure.insert(id);
            }
            for key in keys.wanted {
                let field = fields.entry((keys.slot, key.kind())).or_default();
                field.entry(key).or_default().push(id);
            }
        }
        let mut matchers = Self {
            fields: Vec::new(),
            of_node: vec![NONE; graph.nodes().len()],
            unsure,
        };
        for ((slot, kind), keys) in fields.into_iter().take(usize::from(NONE)) {
            matchers.add(slot, kind, keys);
        }
        matchers
    }

    fn add(&mut self, slot: usize, kind: KeyKind, keys: KeyMap) {
        let id = self.fields.len() as MatcherId;
        let mut leaves: Vec<NodeId> = keys.values().flatten().copied().collect();
        leaves.sort_unstable();
        leaves.dedup();
        let mut refused = Vec::new();
        let matcher = Matcher::new(kind, keys, &mut refused);
        leaves.retain(|leaf| !refused.contains(leaf));
        for leaf in &leaves {
            if let Some(of_node) = self.of_node.get_mut(*leaf) {
                *of_node = id;
            }
        }
        self.fields.push(OfField {
            slot,
            matcher,
            leaves: leaves.into(),
        });
    }

    /// How many matchers there are.
    pub(crate) fn len(&self) -> usize {
        self.fields.len()
    }

    /// The matcher that answers a node.
    pub(crate) fn of(&self, node: NodeId) -> Option<MatcherId> {
        self.of_node.get(node).copied().filter(|id| *id != NONE)
    }

    /// The index of the field that a matcher looks at.
    pub(crate) fn slot(&self, id: MatcherId) -> Option<usize> {
        self.fields.get(usize::from(id)).map(|one| one.slot)
    }

    /// Gives each test of a matcher that a value passes. When the value is of a type that the
    /// tests were not made for, `test` is asked for each.
    pub(crate) fn find(
        &self,
        id: MatcherId,
        value: &Value<'_>,
        test: impl Fn(NodeId) -> bool,
        mut found: impl FnMut(NodeId),
    ) {
        let Some(of_field) = self.fields.get(usize::from(id)) else {
            return;
        };
        let mut sure = |leaf: NodeId| {
            if !self.unsure.contains(&leaf) || test(leaf) {
                found(leaf);
            }
        };
        if of_field.matcher.find(value, &mut sure).is_err() {
            let all = of_field.leaves.iter().copied();
            all.filter(|leaf| test(*leaf)).for_each(found);
        }
    }
}
