//! One evaluation: an event in a view, what was fetched of it and what is already decided.

use super::{Graph, Node, NodeId, Operand};
use crate::event::{Event, Value, View};
use crate::event_type::EventType;
use crate::field::{Field, FieldRef};

/// Memory that evaluations reuse.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    /// For each node the stamp of the evaluation that decided it, and the decision: stamp × 2 + 1
    /// for true.
    decided: Vec<u32>,
    stamp: u32,
    slots: Vec<Slot<'static>>,
}

/// The value of a field in this evaluation.
#[derive(Debug)]
enum Slot<'e> {
    Unasked,
    Asked(Option<Value<'e>>),
}

/// An evaluation.
#[derive(Debug)]
pub(crate) struct Frame<'p, 'e> {
    graph: &'p Graph,
    event: &'e dyn Event,
    view: View,
    memory: &'p mut Memory,
    slots: Vec<Slot<'e>>,
}

impl std::fmt::Debug for dyn Event + '_ {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Event({})", self.event_type())
    }
}

impl<'p, 'e> Frame<'p, 'e> {
    /// Begins an evaluation.
    pub(crate) fn new(
        graph: &'p Graph,
        event: &'e dyn Event,
        view: View,
        memory: &'p mut Memory,
    ) -> Self {
        memory.begin(graph.nodes.len());
        let mut slots = recycle(std::mem::take(&mut memory.slots));
        slots.resize_with(graph.fields.len(), || Slot::Unasked);
        Self {
            graph,
            event,
            view,
            memory,
            slots,
        }
    }

    /// Gives the memory back.
    pub(crate) fn end(self) {
        self.memory.slots = recycle(self.slots);
    }

    /// The event.
    pub(crate) fn event(&self) -> &'e dyn Event {
        self.event
    }

    /// Whether a node holds.
    pub(crate) fn holds(&mut self, id: NodeId) -> bool {
        if let Some(decision) = self.memory.decision(id) {
            return decision;
        }
        // The graph outlives the frame's borrow, so children can be walked while it changes.
        let graph = self.graph;
        let Some(node) = graph.nodes.get(id) else {
            return false;
        };
        let decision = match node {
            Node::Leaf(leaf) => leaf.passes(self),
            Node::Not(inner) => !self.holds(*inner),
            Node::And(parts) => parts.iter().all(|part| self.holds(*part)),
            Node::Or(parts) => parts.iter().any(|part| self.holds(*part)),
        };
        self.memory.decide(id, decision);
        decision
    }

    /// A test of an operand's value; false when it is missing.
    pub(crate) fn with(&mut self, operand: &Operand, test: impl Fn(&Value<'e>) -> bool) -> bool {
        match operand {
            Operand::Slot(index) => self.slot(*index).is_some_and(test),
            other => self.value(other).is_some_and(|value| test(&value)),
        }
    }

    /// The value of an operand.
    pub(crate) fn value(&mut self, operand: &Operand) -> Option<Value<'e>> {
        match operand {
            Operand::Slot(index) => self.slot(*index).cloned(),
            Operand::Text(text) => Some(Value::Text(text.to_vec().into())),
            Operand::Tuple(elements) => {
                let values = elements.iter().map(|element| self.value(element));
                values.collect::<Option<_>>().map(Value::List)
            }
            Operand::Call(call) => call.value(self),
        }
    }

    fn slot(&mut self, index: usize) -> Option<&Value<'e>> {
        let slot = self.slots.get_mut(index)?;
        if matches!(slot, Slot::Unasked) {
            let field = self.graph.fields.get(index)?;
            *slot = Slot::Asked(fetch(self.event, field, self.view));
        }
        match slot {
            Slot::Asked(value) => value.as_ref(),
            Slot::Unasked => None,
        }
    }
}

/// The value of a field, with those that the language itself knows.
pub(crate) fn fetch<'e>(event: &'e dyn Event, field: &FieldRef, view: View) -> Option<Value<'e>> {
    let name = |known: EventType| Value::Text(known.name().as_bytes().into());
    match field.field {
        Field::EvtType => Some(event.event_type())
            .filter(|known| *known != EventType::UNKNOWN)
            .map(name),
        Field::SyscallType => event.value(field, view).or_else(|| {
            let known = event.event_type();
            known.syscall().is_some().then(|| name(known))
        }),
        // Only exits of calls are events.
        Field::EvtDir => Some(Value::Text(b"<"[..].into())),
        _ => event.value(field, view),
    }
}

impl Memory {
    fn begin(&mut self, nodes: usize) {
        if self.stamp >= u32::MAX / 2 {
            self.stamp = 0;
            self.decided.clear();
        }
        self.stamp += 1;
        if self.decided.len() < nodes {
            self.decided.resize(nodes, 0);
        }
    }

    fn decision(&self, id: NodeId) -> Option<bool> {
        let decided = *self.decided.get(id)?;
        (decided / 2 == self.stamp).then_some(decided % 2 == 1)
    }

    fn decide(&mut self, id: NodeId, decision: bool) {
        if let Some(decided) = self.decided.get_mut(id) {
            *decided = self.stamp * 2 + u32::from(decision);
        }
    }
}

/// The same allocation, empty, for values of another event: the standard library collects in
/// place when the elements have the same size.
fn recycle<'to>(mut slots: Vec<Slot<'_>>) -> Vec<Slot<'to>> {
    slots.clear();
    slots.into_iter().map(|_| Slot::Unasked).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recycling_keeps_the_allocation() {
        let slots: Vec<Slot<'_>> = (0..100).map(|_| Slot::Unasked).collect();
        let address = slots.as_ptr() as usize;
        let recycled = recycle(slots);
        assert!(recycled.is_empty());
        assert!(recycled.capacity() >= 100);
        assert_eq!(recycled.as_ptr() as usize, address);
    }

    #[test]
    fn stamps_begin_anew() {
        let mut memory = Memory {
            stamp: u32::MAX / 2 - 1,
            ..Memory::default()
        };
        memory.begin(2);
        memory.decide(1, true);
        assert_eq!(memory.decision(1), Some(true));
        memory.begin(2);
        assert_eq!(memory.decision(1), None);
        memory.decide(0, false);
        assert_eq!(memory.decision(0), Some(false));
    }
}
