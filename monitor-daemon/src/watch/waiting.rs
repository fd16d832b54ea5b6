//! Events that wait for their container's metadata.
//!
//! Rules read metadata in conditions, so it is the event that waits, before any rule is tried:
//! an exception for an image must not fail because Docker was slow. The wait is bounded in time
//! and bytes, and events of one container keep their order.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use crate::event::Actor;

/// An event put aside.
#[derive(Debug)]
pub(super) struct Deferred {
    /// The record.
    pub(super) bytes: Box<[u8]>,
    /// The process as it was at the event.
    pub(super) actor: Actor,
    /// Cgroup that decides the container.
    pub(super) cgroup: u64,
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
}

impl Waiting {
    /// Nothing waits; at most `limit` bytes may.
    pub(super) fn new(limit: usize) -> Self {
        Self {
            queues: HashMap::new(),
            bytes: 0,
            limit,
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
            return Err(event);
        }
        self.bytes += cost;
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

    /// Containers whose oldest event has waited long enough.
    pub(super) fn overdue(&self, now: u64) -> Vec<Arc<str>> {
        let overdue =
            |queue: &VecDeque<Deferred>| queue.front().is_some_and(|event| event.deadline <= now);
        let queues = self.queues.iter().filter(|(_, queue)| overdue(queue));
        queues.map(|(container, _)| Arc::clone(container)).collect()
    }

    /// Whether nothing waits.
    pub(super) fn is_empty(&self) -> bool {
        self.queues.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::process::Process;
    use monitor_common::Task;

    fn event(number: u64, deadline: u64) -> Deferred {
        let process = Process::new(Task::default(), Arc::default(), Arc::default(), None);
        let actor = Actor::live(Arc::new(process));
        Deferred {
            bytes: Box::from([0; 100]),
            actor,
            cgroup: 1,
            number,
            deadline,
        }
    }

    fn numbers(events: VecDeque<Deferred>) -> Vec<u64> {
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
        assert_eq!(waiting.overdue(50), Vec::<Arc<str>>::new());
        assert_eq!(waiting.overdue(51), [Arc::clone(&a)]);
        assert_eq!(numbers(waiting.release("a")), [1, 3]);
        assert!(waiting.is_empty());
    }

    #[test]
    fn the_budget_is_given_back() {
        let mut waiting = Waiting::new(1_000);
        let container: Arc<str> = "a".into();
        let mut held = 0;
        while waiting.push(&container, event(held, 0)).is_ok() {
            held += 1;
        }
        assert_eq!(waiting.release("a").len() as u64, held);
        assert!(waiting.push(&container, event(0, 0)).is_ok());
    }
}
