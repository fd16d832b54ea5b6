//! Events that wait for their container's metadata.
//!
//! Rules read metadata in conditions, so it is the event that waits, before any rule is tried:
//! an exception for an image must not fail because Docker was slow. The wait is bounded in time
//! and bytes, and events of one container keep their order.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use crate::container::Container;
use crate::event::Actor;
use crate::metrics;

/// An event put aside.
#[derive(Debug)]
pub(super) struct Deferred {
    /// The record.
    pub(super) bytes: Box<[u8]>,
    /// The process as it was at the event.
    pub(super) actor: Actor,
    /// Cgroup that decides the container.
    pub(super) cgroup: u64,
    /// The container as it was at the event.
    pub(super) container: Arc<Container>,
    /// Number of the event.
    pub(super) number: u64,
    /// When to stop waiting, `CLOCK_BOOTTIME` ns.
    pub(super) deadline: u64,
}

impl Deferred {
    fn cost(&self) -> usize {
        size_of::<Self>() + self.bytes.len() + self.actor.bytes()
    }
}

/// Waiting events by container.
#[derive(Debug)]
pub(super) struct Waiting {
    queues: HashMap<Arc<str>, VecDeque<Deferred>>,
    bytes: usize,
    limit: usize,
    events: usize,
    overdue: u64,
    refused: u64,
}

impl Waiting {
    /// Nothing waits; at most `limit` bytes may.
    pub(super) fn new(limit: usize) -> Self {
        Self {
            queues: HashMap::new(),
            bytes: 0,
            limit,
            events: 0,
            overdue: 0,
            refused: 0,
        }
    }

    /// Whether events of this container wait, so that later ones must too.
    pub(super) fn has(&self, container: &str) -> bool {
        self.queues.contains_key(container)
    }

    /// Puts an event aside; gives it back when there is no room.
    pub(super) fn push(&mut self, container: &Arc<str>, event: Deferred) -> Result<(), Deferred> {
        let cost = event.cost();
        if self.bytes + cost > self.limit {
            self.refused += 1;
            return Err(event);
        }
        self.bytes += cost;
        self.events += 1;
        self.queues
            .entry(Arc::clone(container))
            .or_default()
            .push_back(event);
        Ok(())
    }

    /// Takes the events of a container, oldest first.
    pub(super) fn release(&mut self, container: &str) -> VecDeque<Deferred> {
        let events = self.queues.remove(container).unwrap_or_default();
        let cost: usize = events.iter().map(Deferred::cost).sum();
        self.bytes = self.bytes.saturating_sub(cost);
        self.events = self.events.saturating_sub(events.len());
        events
    }

    /// Containers that events wait for, each with a cgroup of it.
    pub(super) fn containers(&self) -> Vec<(Arc<str>, u64)> {
        let first = |queue: &VecDeque<Deferred>| queue.front().map(|event| event.cgroup);
        let queues = self.queues.iter();
        queues
            .filter_map(|(id, queue)| Some((Arc::clone(id), first(queue)?)))
            .collect()
    }

    /// Takes the events that have waited long enough, oldest first.
    pub(super) fn overdue(&mut self, now: u64) -> Vec<Deferred> {
        let mut over = Vec::new();
        for queue in self.queues.values_mut() {
            while let Some(event) = queue.pop_front_if(|event| event.deadline <= now) {
                self.bytes = self.bytes.saturating_sub(event.cost());
                over.push(event);
            }
        }
        self.queues.retain(|_, queue| !queue.is_empty());
        self.events = self.events.saturating_sub(over.len());
        self.overdue += over.len() as u64;
        over.sort_unstable_by_key(|event| event.number);
        over
    }

    /// Sizes and counts.
    pub(super) fn figures(&self) -> metrics::Waiting {
        metrics::Waiting {
            events: self.events as u64,
            bytes: self.bytes as u64,
            overdue: self.overdue,
            refused: self.refused,
        }
    }

    /// Whether nothing waits.
    pub(super) fn is_empty(&self) -> bool {
        self.queues.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::container::State;
    use crate::container::cgroup_path::{Owner, Runtime};
    use crate::process::Process;
    use monitor_common::Task;

    fn event(number: u64, deadline: u64) -> Deferred {
        let process = Process::new(Task::default(), Arc::default(), Arc::default(), None);
        let actor = Actor::live(Arc::new(process));
        let container = Container {
            id: "a".into(),
            runtime: Runtime::Docker,
            owner: Owner::System,
            state: State::Pending,
            early: None,
        };
        Deferred {
            bytes: Box::from([0; 100]),
            actor,
            cgroup: 1,
            container: Arc::new(container),
            number,
            deadline,
        }
    }

    fn numbers(events: impl IntoIterator<Item = Deferred>) -> Vec<u64> {
        events.into_iter().map(|event| event.number).collect()
    }

    #[test]
    fn a_container_keeps_its_order_and_others_do_not_wait_for_it() {
        let mut waiting = Waiting::new(10_000);
        let (a, b): (Arc<str>, Arc<str>) = ("a".into(), "b".into());
        for (container, number) in [(&a, 1), (&b, 2), (&a, 3)] {
            waiting
                .push(container, event(number, 50 + number))
                .expect("room");
        }
        assert_eq!(numbers(waiting.release("b")), [2]);
        assert_eq!(numbers(waiting.release("a")), [1, 3]);
        assert!(waiting.is_empty());
    }

    #[test]
    fn each_event_waits_its_own_time() {
        let mut waiting = Waiting::new(10_000);
        let (a, b): (Arc<str>, Arc<str>) = ("a".into(), "b".into());
        for (container, number) in [(&a, 1), (&b, 2), (&a, 3)] {
            waiting
                .push(container, event(number, 50 + number))
                .expect("room");
        }
        assert!(waiting.overdue(50).is_empty());
        assert_eq!(numbers(waiting.overdue(52)), [1, 2]);
        assert!(waiting.has("a"), "the next one must not overtake");
        assert!(!waiting.has("b"));
        assert_eq!(numbers(waiting.overdue(u64::MAX)), [3]);
        assert_eq!((waiting.is_empty(), waiting.bytes), (true, 0));
        let figures = waiting.figures();
        assert_eq!(
            (figures.events, figures.overdue, figures.refused),
            (0, 3, 0)
        );
    }

    #[test]
    fn the_budget_is_given_back() {
        let mut waiting = Waiting::new(1_000);
        let container: Arc<str> = "a".into();
        let mut held = 0;
        while waiting.push(&container, event(held, 0)).is_ok() {
            held += 1;
        }
        let figures = waiting.figures();
        assert!(figures.bytes <= 1_000 && figures.bytes > 500);
        assert_eq!((figures.events, figures.refused), (held, 1));
        assert_eq!(waiting.release("a").len() as u64, held);
        assert_eq!((waiting.figures().events, waiting.figures().bytes), (0, 0));
        assert!(waiting.push(&container, event(0, 0)).is_ok());
    }
}
