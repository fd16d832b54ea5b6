//! One evaluation: an event in a view, what was fetched of it and what is already decided.

use std::borrow::Cow;

use super::{Graph, Leaf, Node, NodeId, Operand};
use crate::event::{Event, Value, View};
use crate::event_type::EventType;
use crate::field::{Field, FieldRef};
use crate::index::{Look, MatcherId, Matchers};

/// Memory that evaluations reuse.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    stamp: u32,
    /// For each node the stamp of the evaluation that decided it, and the decision: stamp × 2 + 1
    /// for true.
    decided: Vec<u32>,
    /// For each field the stamp of the evaluation that asked for it, and where its value is.
    asked: Vec<(u32, u32)>,
    /// For each matcher the stamp of the evaluation that looked.
    looked: Vec<u32>,
    /// Values that were fetched; only its allocation is kept.
    values: Vec<Value<'static>>,
    /// The same of lists.
    lists: Vec<Vec<Value<'static>>>,
}

/// The place of a missing value.
const MISSING: u32 = u32::MAX;

/// An evaluation.
#[derive(Debug)]
pub(crate) struct Frame<'p, 'e> {
    graph: &'p Graph,
    /// What answers tests together; without it each is made by itself.
    matchers: Option<&'p Matchers>,
    event: &'e dyn Event,
    view: View,
    memory: &'p mut Memory,
    values: Vec<Value<'e>>,
    /// Whether a list is among the values.
    has_lists: bool,
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
        memory.begin(graph);
        let values = std::mem::take(&mut memory.values);
        Self {
            graph,
            matchers: None,
            event,
            view,
            memory,
            values,
            has_lists: false,
        }
    }

    /// Begins an evaluation with what answers the tests of `graph` together.
    pub(crate) fn with_matchers(
        graph: &'p Graph,
        matchers: &'p Matchers,
        event: &'e dyn Event,
        view: View,
        memory: &'p mut Memory,
    ) -> Self {
        let mut frame = Self::new(graph, event, view, memory);
        frame.memory.looked.resize(matchers.len(), 0);
        frame.matchers = Some(matchers);
        frame
    }

    /// Gives the memory back.
    pub(crate) fn end(mut self) {
        if self.has_lists {
            for value in self.values.drain(..) {
                if let Value::List(list) = value {
                    self.memory.lists.push(recycle(list));
                }
            }
        }
        self.memory.values = recycle(self.values);
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
            Node::Leaf(leaf) => self.passes(id, leaf),
            Node::Not(inner) => !self.holds(*inner),
            Node::And(parts) => parts.iter().all(|part| self.holds(*part)),
            Node::Or(parts) => parts.iter().any(|part| self.holds(*part)),
        };
        self.memory.decide(id, decision);
        decision
    }

    /// Whether a test passes: as the matcher of its field says, if it has one.
    fn passes(&mut self, id: NodeId, leaf: &Leaf) -> bool {
        let answered = |matchers: &'p Matchers| Some((matchers, matchers.of(id)?));
        match self.matchers.and_then(answered) {
            None => leaf.passes(self),
            Some((matchers, matcher)) => {
                self.look(matchers, matcher);
                self.memory.decision(id) == Some(true)
            }
        }
    }

    /// Decides all tests of a matcher that hold.
    fn look(&mut self, matchers: &Matchers, matcher: MatcherId) {
        if self.memory.look(matcher)
            && let Some(place) = matchers.slot(matcher).and_then(|slot| self.place(slot))
        {
            self.find(matchers, matcher, place, |_| {});
        }
    }

    /// Decides all tests of a field's matchers that hold, and gives each, some perhaps repeatedly.
    /// Leaves those undecided of which none that counts can hold.
    pub(crate) fn look_all(&mut self, look: &Look, mut holding: impl FnMut(NodeId)) {
        let Some(matchers) = self.matchers else {
            return;
        };
        let Some(place) = self.place(look.slot) else {
            return;
        };
        for (matcher, sieve) in &look.matchers {
            let refused = |value| sieve.as_ref().is_some_and(|sieve| sieve.refuses(value));
            if self.values.get(place).is_some_and(refused) {
                continue;
            }
            self.memory.look(*matcher);
            self.find(matchers, *matcher, place, &mut holding);
        }
    }

    fn find(
        &mut self,
        matchers: &Matchers,
        matcher: MatcherId,
        place: usize,
        mut holding: impl FnMut(NodeId),
    ) {
        let Some(value) = self.values.get(place) else {
            return;
        };
        let graph = self.graph;
        let test = |id: NodeId| match graph.nodes.get(id) {
            Some(Node::Leaf(leaf)) => leaf.accepts(value),
            _ => false,
        };
        matchers.find(matcher, value, test, |id| {
            self.memory.decide(id, true);
            holding(id);
        });
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
        let place = self.place(index)?;
        self.values.get(place)
    }

    /// Where the value of a field is, fetched if it was not yet; `None` when it is missing.
    fn place(&mut self, index: usize) -> Option<usize> {
        let stamp = self.memory.stamp;
        let asked = *self.memory.asked.get(index)?;
        if asked.0 == stamp {
            return (asked.1 != MISSING).then_some(asked.1 as usize);
        }
        let field = self.graph.fields.get(index)?;
        let value = if field.is_any() {
            self.list(field)
        } else {
            fetch(self.event, field, self.view)
        };
        let place = value.map_or(MISSING, |value| {
            self.values.push(value);
            self.values.len() as u32 - 1
        });
        if let Some(asked) = self.memory.asked.get_mut(index) {
            *asked = (stamp, place);
        }
        (place != MISSING).then_some(place as usize)
    }

    /// The value of a field that is a list, in an allocation that is used again.
    fn list(&mut self, field: &FieldRef) -> Option<Value<'e>> {
        let mut list = self.memory.lists.pop().unwrap_or_default();
        let answered = self.event.elements(field, self.view, &mut list);
        if answered && !list.is_empty() {
            self.has_lists = true;
            return Some(Value::List(list));
        }
        self.memory.lists.push(recycle(list));
        if answered {
            return None;
        }
        fetch(self.event, field, self.view)
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
    fn begin(&mut self, graph: &Graph) {
        if self.stamp >= u32::MAX / 2 {
            *self = Self::default();
        }
        self.stamp += 1;
        if self.decided.len() < graph.nodes.len() {
            self.decided.resize(graph.nodes.len(), 0);
        }
        if self.asked.len() < graph.fields.len() {
            self.asked.resize(graph.fields.len(), (0, MISSING));
        }
    }

    /// Whether a matcher looks for the first time.
    fn look(&mut self, matcher: MatcherId) -> bool {
        let looked = self.looked.get_mut(usize::from(matcher));
        looked.is_some_and(|looked| std::mem::replace(looked, self.stamp) != self.stamp)
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
fn recycle<'to>(values: Vec<Value<'_>>) -> Vec<Value<'to>> {
    let end = |value: Value<'_>| {
        match value {
            Value::Text(Cow::Owned(_)) | Value::List(_) => drop(value),
            // Most, and nothing to free: quicker than to find that out by dropping.
            _ => std::mem::forget(value),
        }
        None
    };
    values.into_iter().filter_map(end).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recycling_keeps_the_allocation() {
        let values: Vec<Value<'_>> = (0..100).map(Value::Unsigned).collect();
        let address = values.as_ptr() as usize;
        let recycled = recycle(values);
        assert!(recycled.is_empty());
        assert!(recycled.capacity() >= 100);
        assert_eq!(recycled.as_ptr() as usize, address);
    }

    #[test]
    fn stamps_begin_anew() {
        let graph = Graph {
            nodes: vec![Node::Not(1), Node::Not(0)],
            fields: Vec::new(),
        };
        let mut memory = Memory {
            stamp: u32::MAX / 2 - 1,
            ..Memory::default()
        };
        memory.begin(&graph);
        memory.decide(1, true);
        assert_eq!(memory.decision(1), Some(true));
        memory.begin(&graph);
        assert_eq!(memory.decision(1), None);
        memory.decide(0, false);
        assert_eq!(memory.decision(0), Some(false));
    }
}
