//! The bounded queue in front of an output: pushing never blocks, waiting is the writer's
//! business, and bytes count until the writer says that they are written.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::alert::Alert;
use super::status::Status;

/// Alerts and lines a writer takes at once; with it the JSON text of a batch stays small.
const BATCH: usize = 256;

/// What an output is to write.
#[derive(Clone, Debug)]
pub(super) enum Item {
    Alert(Arc<Alert>),
    /// A line for standard error.
    Line(String),
}

impl Item {
    fn size(&self) -> usize {
        match self {
            Self::Alert(alert) => alert.size(),
            Self::Line(line) => size_of::<Self>() + line.len(),
        }
    }
}

/// Why an item was not taken.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Refused {
    Full,
    Closed,
}

/// What a writer gets at a time.
#[derive(Debug, Default)]
pub(super) struct Batch {
    pub(super) items: Vec<Item>,
    /// Charged for `items`; to be given back with [`Queue::release`].
    pub(super) bytes: usize,
    pub(super) status: Option<Status>,
    /// Nothing more will come.
    pub(super) closed: bool,
}

#[derive(Debug)]
pub(super) struct Queue {
    state: Mutex<State>,
    changed: Condvar,
    budget: usize,
}

#[derive(Debug, Default)]
struct State {
    items: VecDeque<Item>,
    /// Of `items` and of the batch being written.
    bytes: usize,
    /// Only the latest is of interest.
    status: Option<Status>,
    closed: bool,
}

impl Queue {
    /// `budget`: bytes held at most.
    pub(super) fn new(budget: usize) -> Self {
        Self {
            state: Mutex::default(),
            changed: Condvar::new(),
            budget,
        }
    }

    /// Queues `item`, or refuses it at once.
    pub(super) fn push(&self, item: Item) -> Result<(), Refused> {
        let size = item.size();
        let mut state = self.lock();
        if state.closed {
            return Err(Refused::Closed);
        }
        // An empty queue takes anything: an item larger than the budget must not be stuck forever.
        if state.bytes > 0 && state.bytes + size > self.budget {
            return Err(Refused::Full);
        }
        state.bytes += size;
        state.items.push_back(item);
        drop(state);
        self.changed.notify_one();
        Ok(())
    }

    pub(super) fn set_status(&self, status: Status) {
        self.lock().status = Some(status);
        self.changed.notify_one();
    }

    /// Lets the writer finish what is queued and end.
    pub(super) fn close(&self) {
        self.lock().closed = true;
        self.changed.notify_all();
    }

    /// Waits for something to write, or for the end.
    pub(super) fn next(&self) -> Batch {
        let idle =
            |state: &mut State| state.items.is_empty() && state.status.is_none() && !state.closed;
        let state = self.lock();
        let mut state = self
            .changed
            .wait_while(state, idle)
            .unwrap_or_else(PoisonError::into_inner);
        let count = state.items.len().min(BATCH);
        let items: Vec<Item> = state.items.drain(..count).collect();
        Batch {
            bytes: items.iter().map(Item::size).sum(),
            items,
            status: state.status.take(),
            closed: state.closed && state.items.is_empty(),
        }
    }

    /// Gives back the bytes of a batch that is done with.
    pub(super) fn release(&self, bytes: usize) {
        let mut state = self.lock();
        state.bytes = state.bytes.saturating_sub(bytes);
    }

    /// Waits for `pause`, or less when the queue is closed; says whether it is.
    pub(super) fn pause(&self, pause: Duration) -> bool {
        let state = self.lock();
        let (state, _) = self
            .changed
            .wait_timeout_while(state, pause, |state| !state.closed)
            .unwrap_or_else(PoisonError::into_inner);
        state.closed
    }

    /// Bytes held.
    pub(super) fn bytes(&self) -> usize {
        self.lock().bytes
    }

    /// Throws away what is still queued; how many alerts that were.
    pub(super) fn clear(&self) -> u64 {
        let items = std::mem::take(&mut self.lock().items);
        items
            .iter()
            .filter(|item| matches!(item, Item::Alert(_)))
            .count() as u64
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    fn line(length: usize) -> Item {
        Item::Line("x".repeat(length))
    }

    #[test]
    fn refuses_what_the_budget_does_not_hold_until_it_is_written() {
        let queue = Queue::new(1000);
        queue.push(line(600)).unwrap();
        assert_eq!(queue.push(line(600)), Err(Refused::Full));
        let batch = queue.next();
        assert_eq!(batch.items.len(), 1);
        assert_eq!(
            queue.push(line(600)),
            Err(Refused::Full),
            "still being written"
        );
        queue.release(batch.bytes);
        assert_eq!(queue.bytes(), 0);
        queue.push(line(5000)).unwrap();
        assert_eq!(queue.push(line(1)), Err(Refused::Full));
    }

    #[test]
    fn a_closed_queue_is_drained_in_order() {
        let queue = Queue::new(1 << 20);
        for index in 0..=BATCH {
            queue.push(Item::Line(index.to_string())).unwrap();
        }
        queue.close();
        assert_eq!(queue.push(line(1)), Err(Refused::Closed));
        let (first, second) = (queue.next(), queue.next());
        assert_eq!((first.items.len(), first.closed), (BATCH, false));
        assert_eq!((second.items.len(), second.closed), (1, true));
        assert!(matches!(&second.items[0], Item::Line(text) if *text == BATCH.to_string()));
    }

    #[test]
    fn only_the_latest_status_is_kept() {
        let queue = Queue::new(0);
        for kept in [1, 2] {
            queue.set_status(Status {
                at: Instant::now(),
                kept,
                lost: 0,
                containers: 0,
                rules: 0,
            });
        }
        assert_eq!(queue.next().status.unwrap().kept, 2);
    }
}
