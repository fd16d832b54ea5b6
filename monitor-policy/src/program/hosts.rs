//! The names of hosts that conditions compare addresses with.

use std::collections::{BTreeSet, HashSet};

use super::{Graph, Node, NodeId, Test};

/// The host names in some conditions of a graph.
pub(crate) fn host_names(
    graph: &Graph,
    conditions: impl Iterator<Item = NodeId>,
) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    let mut seen = HashSet::new();
    let mut waiting: Vec<NodeId> = conditions.collect();
    while let Some(id) = waiting.pop() {
        if !seen.insert(id) {
            continue;
        }
        match graph.nodes().get(id) {
            Some(Node::Leaf(leaf)) => {
                if let Test::HostName { names: used, .. } = &leaf.test {
                    names.extend(used.iter().map(ToString::to_string));
                }
            }
            Some(Node::Not(inner)) => waiting.push(*inner),
            Some(Node::And(parts) | Node::Or(parts)) => waiting.extend(parts.iter()),
            None => {}
        }
    }
    names
}
