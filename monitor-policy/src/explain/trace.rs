//! What became of each part of a condition for one event.

use super::{Explanation, Part, Shape};
use crate::event::{Event, View};
use crate::field::FieldRef;
use crate::program::{Frame, Memory, fetch, to_json};

/// A condition tried on an event.
#[derive(Debug)]
pub struct Trace<'e> {
    event: &'e dyn Event,
    view: View,
    /// For each node whether it holds.
    decisions: Vec<bool>,
}

impl Explanation {
    /// Tries every part on an event, also those that an evaluation would skip.
    pub fn trace<'e>(&self, event: &'e dyn Event, view: View) -> Trace<'e> {
        let mut memory = Memory::default();
        let mut frame = Frame::new(&self.graph, event, view, &mut memory);
        // Nodes come after their parts, so that nothing recurses.
        let nodes = 0..self.graph.nodes().len();
        let decisions = nodes.map(|node| frame.holds(node)).collect();
        Trace {
            event,
            view,
            decisions,
        }
    }
}

impl Trace<'_> {
    /// Whether a part of the explained condition holds.
    pub fn holds(&self, part: &Part) -> bool {
        self.decisions.get(part.node).copied().unwrap_or_default()
    }

    /// The value of a field in the event and view, as in a rule's output fields; null when it has
    /// none.
    pub fn value(&self, field: &FieldRef) -> serde_json::Value {
        fetch(self.event, field, self.view).map_or(serde_json::Value::Null, |value| {
            to_json(field.field, &value)
        })
    }

    /// The tests that made a part what it is, in the order of the condition: those that would
    /// have to turn out otherwise for the part to do so. Where one of several would do, all are
    /// given. Each test is given once.
    pub fn deciders<'x>(&self, part: &'x Part) -> Vec<&'x Part> {
        let mut deciders = Vec::new();
        let mut seen = vec![false; self.decisions.len()];
        self.collect(part, &mut seen, &mut deciders);
        deciders
    }

    fn collect<'x>(&self, part: &'x Part, seen: &mut [bool], deciders: &mut Vec<&'x Part>) {
        match seen.get_mut(part.node) {
            Some(seen) if !*seen => *seen = true,
            _ => return,
        }
        let holds = self.holds(part);
        match &part.shape {
            // What agrees with the outcome brought it about.
            Shape::All(parts) | Shape::Any(parts) => parts
                .iter()
                .filter(|inner| self.holds(inner) == holds)
                .for_each(|inner| self.collect(inner, seen, deciders)),
            Shape::Not(inner) => self.collect(inner, seen, deciders),
            // A macro and its body are one node.
            Shape::Macro { body, .. } => {
                if let Some(seen) = seen.get_mut(body.node) {
                    *seen = false;
                }
                self.collect(body, seen, deciders);
            }
            Shape::Test { .. } => deciders.push(part),
        }
    }
}
