//! Compiled conditions and their evaluation.
//!
//! All conditions of a policy form one graph without cycles, in which equal parts exist once: a
//! macro that forty rules use is one node, tested at most once an event and view. Fields are
//! fetched when a test first needs them, and kept for the rest of the evaluation.

mod base64;
mod builder;
mod call;
mod frame;
mod getopt;
mod hosts;
mod leaf;
mod value;

pub(crate) use builder::{Builder, Truth};
pub(crate) use call::{Call, Function};
pub(crate) use frame::{Frame, Memory, fetch};
pub(crate) use hosts::host_names;
pub(crate) use leaf::{Leaf, Predicate, Quantifier, Relation, Test};
pub(crate) use value::{to_json, to_text};

use crate::field::FieldRef;

/// A node of the graph.
#[derive(Debug)]
pub(crate) enum Node {
    /// A test.
    Leaf(Leaf),
    /// Not a node.
    Not(NodeId),
    /// All of these.
    And(Box<[NodeId]>),
    /// One of these.
    Or(Box<[NodeId]>),
}

/// Index of a node in its graph.
pub(crate) type NodeId = usize;

/// All conditions of a policy.
#[derive(Debug, Default)]
pub(crate) struct Graph {
    nodes: Vec<Node>,
    /// The fields that tests fetch; operands name them by index.
    fields: Vec<FieldRef>,
}

impl Graph {
    /// A graph without conditions, for values of these fields.
    pub(crate) fn of_fields(fields: Vec<FieldRef>) -> Self {
        Self {
            nodes: Vec::new(),
            fields,
        }
    }

    /// The nodes, each after its parts.
    pub(crate) fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// The fields that some condition uses.
    pub(crate) fn fields(&self) -> &[FieldRef] {
        &self.fields
    }
}

/// Something that has a value in an event.
#[derive(Clone, Debug)]
pub(crate) enum Operand {
    /// A field, by its index in [`Graph::fields`].
    Slot(usize),
    /// A text.
    Text(Box<[u8]>),
    /// Several values.
    Tuple(Box<[Operand]>),
    /// A transformer.
    Call(Box<Call>),
}

impl Operand {
    /// Adds the indices of the fields in it.
    fn fields(&self, fields: &mut Vec<usize>) {
        let mut add = |operands: &[Self]| operands.iter().for_each(|one| one.fields(fields));
        match self {
            Self::Slot(index) => fields.push(*index),
            Self::Text(_) => {}
            Self::Tuple(elements) => add(elements),
            Self::Call(call) => add(&call.arguments),
        }
    }
}
