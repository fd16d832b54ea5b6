//! The bounded queue in front of an output: pushing never blocks, waiting is the writer's
//! business, and bytes count until the writer says that they are written.
//!
//! Alerts come in the order of their numbers. Who takes them says which number he wants next, so
//! that he is told when the queue had no room for it and it has to be fetched from the alert log.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::status::Status;
use crate::alert_log::Entry;

/// Alerts and lines a writer takes at once; with it the JSON text of a batch stays small.
pub(super) const BATCH: usize = 256;

/// What an output is to write.
#[derive(Clone, Debug)]
pub(super) enum Item {
    Alert(Arc<Entry>),
    /// A line for standard error.
    Line(String),
}

impl Item {
    /// The alert, if it is one.
    pub(super) fn alert(self) -> Option<Arc<Entry>> {
        match self {
            Self::Alert(entry) => Some(entry),
            Self::Line(_) => None,
        }
    }

    fn sequence(&self) -> Option<u64> {
        match self {
            Self::Alert(entry) => Some(entry.sequence),
            Self::Line(_) => None,
        }
    }

    fn size(&self) -> usize {
        match self {
            Self::Alert(entry) => entry.alert.size(),
            Self::Line(line) => size_of::<Self>() + line.len(),
        }
    }
}

/// How much of a queue an alert may find taken.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Room {
    /// All but what it needs.
    All,
    /// Half: it is one of many, which must not take the place of others.
    Half,
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

impl Batch {
    /// Alerts that are in no queue.
    pub(super) fn of(alerts: impl IntoIterator<Item = Arc<Entry>>) -> Self {
        Self {
            items: alerts.into_iter().map(Item::Alert).collect(),
            ..Self::default()
        }
    }

    /// When its first alert was, ns since the epoch.
    pub(super) fn oldest(&self) -> Option<u64> {
        let mut alerts = self.items.iter().filter_map(|item| match item {
            Item::Alert(entry) => Some(entry.alert.time),
            Item::Line(_) => None,
        });
        alerts.next()
    }

    /// The highest number in it.
    pub(super) fn last(&self) -> Option<u64> {
        self.items.iter().rev().find_map(Item::sequence)
    }
}

/// What there is for somebody who wants a certain number next.
#[derive(Debug)]
pub(super) enum Next {
    Batch(Batch),
    /// Alerts below this number, from the wanted one on, are not in the queue.
    Behind(u64),
}

/// The alerts that an output holds in memory, by their numbers.
#[derive(Debug)]
pub(super) struct Held {
    /// Up to this number they are with who writes.
    taken: u64,
    /// In ascending order.
    queued: Vec<u64>,
}

impl Held {
    pub(super) fn has(&self, sequence: u64) -> bool {
        sequence <= self.taken || self.queued.binary_search(&sequence).is_ok()
    }
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
    /// Number of the newest alert that can only be had elsewhere.
    elsewhere: u64,
    /// Who writes has taken the alerts up to this number, as far as there were any.
    taken: u64,
    /// Somebody asks for attention.
    roused: bool,
    closed: bool,
}

impl State {
    /// Takes the oldest `count` items.
    fn take(&mut self, count: usize) -> Batch {
        let items: Vec<Item> = self.items.drain(..count).collect();
        let last = items.iter().rev().find_map(Item::sequence);
        self.taken = last.unwrap_or(self.taken);
        Batch {
            bytes: items.iter().map(Item::size).sum(),
            items,
            status: self.status.take(),
            closed: self.closed && self.items.is_empty(),
        }
    }

    /// Whether there is nothing to do for somebody who wants `wanted` next.
    fn is_idle(&self, wanted: u64) -> bool {
        self.items.is_empty()
            && self.status.is_none()
            && self.behind(wanted).is_none()
            && !self.closed
    }

    /// Where the alerts end that are not here, for somebody who wants `wanted` next.
    fn behind(&self, wanted: u64) -> Option<u64> {
        match self.items.front() {
            Some(item) => item.sequence().filter(|sequence| *sequence > wanted),
            None => (self.elsewhere >= wanted).then_some(self.elsewhere + 1),
        }
    }

    /// How many items may be taken at once: a number that is missing ends them.
    fn ready(&self, mut wanted: u64) -> usize {
        let follows = |item: &&Item| match item.sequence() {
            Some(sequence) if sequence > wanted => false,
            Some(sequence) => {
                wanted = sequence + 1;
                true
            }
            None => true,
        };
        self.items.iter().take(BATCH).take_while(follows).count()
    }
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
        self.push_into(Room::All, item)
    }

    /// The same, with a say in how much room it may take.
    pub(super) fn push_into(&self, room: Room, item: Item) -> Result<(), Refused> {
        let budget = match room {
            Room::All => self.budget,
            Room::Half => self.budget / 2,
        };
        self.push_within(budget, item)
    }

    /// Queues `item` whether or not there is room: for what is rare, and has to be told where there
    /// is none.
    pub(super) fn push_over(&self, item: Item) -> Result<(), Refused> {
        self.push_within(usize::MAX, item)
    }

    fn push_within(&self, budget: usize, item: Item) -> Result<(), Refused> {
        let size = item.size();
        let mut state = self.lock();
        if state.closed {
            return Err(Refused::Closed);
        }
        // An empty queue takes anything: an item larger than the budget must not be stuck forever.
        if state.bytes > 0 && state.bytes.saturating_add(size) > budget {
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

    /// The queue has no room for the alert `sequence`, which is to be had elsewhere.
    pub(super) fn look_elsewhere(&self, sequence: u64) {
        self.lock().elsewhere = sequence;
        self.changed.notify_one();
    }

    /// Who writes has taken alerts up to this number from elsewhere.
    pub(super) fn took(&self, sequence: u64) {
        self.lock().taken = sequence;
    }

    /// Which alerts are in memory, of those that are not acknowledged.
    pub(super) fn held(&self) -> Held {
        let state = self.lock();
        Held {
            taken: state.taken,
            queued: state.items.iter().filter_map(Item::sequence).collect(),
        }
    }

    /// Has who waits in [`Queue::next_or_roused`] look around.
    pub(super) fn rouse(&self) {
        self.lock().roused = true;
        self.changed.notify_one();
    }

    /// Waits for something to write, or for the end; alerts begin with `wanted` if that is there.
    pub(super) fn next(&self, wanted: u64) -> Next {
        let idle = |state: &mut State| state.is_idle(wanted);
        let state = self.lock();
        let mut state = self
            .changed
            .wait_while(state, idle)
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(until) = state.behind(wanted) {
            return Next::Behind(until);
        }
        let count = state.ready(wanted);
        Next::Batch(state.take(count))
    }

    /// The highest number that it was told of, if that is not taken yet.
    pub(super) fn newest(&self) -> u64 {
        let state = self.lock();
        let last = state.items.iter().rev().find_map(Item::sequence);
        last.unwrap_or_default().max(state.elsewhere)
    }

    /// Waits for what [`Queue::next`] waits for, or for `time`; whether there is something.
    pub(super) fn ready_within(&self, wanted: u64, time: Duration) -> bool {
        let state = self.lock();
        let (state, _) = self
            .changed
            .wait_timeout_while(state, time, |state| state.is_idle(wanted))
            .unwrap_or_else(PoisonError::into_inner);
        !state.is_idle(wanted)
    }

    /// Waits for something to write, the end, somebody who asks for attention, or for `time`.
    pub(super) fn next_or_roused(&self, time: Duration) -> Batch {
        let idle = |state: &mut State| state.items.is_empty() && !state.roused && !state.closed;
        let state = self.lock();
        let (mut state, _) = self
            .changed
            .wait_timeout_while(state, time, idle)
            .unwrap_or_else(PoisonError::into_inner);
        state.roused = false;
        let count = state.items.len().min(BATCH);
        state.take(count)
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

    /// Whether the end has come.
    pub(super) fn is_closed(&self) -> bool {
        self.lock().closed
    }

    /// Bytes held.
    pub(super) fn bytes(&self) -> usize {
        self.lock().bytes
    }

    /// Throws away what is still queued; how many alerts that were of those that are `wanted`.
    pub(super) fn clear(&self, wanted: impl Fn(&Entry) -> bool) -> u64 {
        let items = std::mem::take(&mut self.lock().items);
        let alerts = items.into_iter().filter_map(Item::alert);
        alerts.filter(|entry| wanted(entry)).count() as u64
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::super::alert::tests::{entry, sample};
    use super::*;

    fn line(length: usize) -> Item {
        Item::Line("x".repeat(length))
    }

    fn alert(sequence: u64) -> Item {
        Item::Alert(entry(sequence, sample()))
    }

    fn next(queue: &Queue, wanted: u64) -> Batch {
        match queue.next(wanted) {
            Next::Batch(batch) => batch,
            Next::Behind(until) => panic!("behind until {until}"),
        }
    }

    fn behind(queue: &Queue, wanted: u64) -> u64 {
        match queue.next(wanted) {
            Next::Batch(batch) => panic!("{batch:?}"),
            Next::Behind(until) => until,
        }
    }

    #[test]
    fn one_of_many_takes_no_more_than_half() {
        let queue = Queue::new(1000);
        let push = |room| queue.push_into(room, line(100));
        while push(Room::Half).is_ok() {}
        assert!(queue.bytes() <= 500);
        assert_eq!(push(Room::Half), Err(Refused::Full));
        assert_eq!(push(Room::All), Ok(()));
    }

    #[test]
    fn who_wants_an_alert_that_had_no_room_is_told_to_look_elsewhere() {
        let queue = Queue::new(3 * sample().size());
        for sequence in 1..=3 {
            queue.push(alert(sequence)).unwrap();
        }
        for sequence in 4..=5 {
            assert_eq!(queue.push(alert(sequence)), Err(Refused::Full));
            queue.look_elsewhere(sequence);
        }
        let first = next(&queue, 1);
        assert_eq!((first.items.len(), first.last()), (3, Some(3)));
        queue.release(first.bytes);
        assert_eq!(
            behind(&queue, 4),
            6,
            "nothing comes, but something is there"
        );
        queue.push(alert(6)).unwrap();
        queue.push(alert(8)).unwrap();
        assert_eq!(behind(&queue, 4), 6);
        assert_eq!(
            next(&queue, 6).last(),
            Some(6),
            "not beyond what is missing"
        );
        assert_eq!(behind(&queue, 7), 8);
        queue.push(line(1)).unwrap();
        assert_eq!(next(&queue, 8).items.len(), 2);
    }

    #[test]
    fn refuses_what_the_budget_does_not_hold_until_it_is_written() {
        let queue = Queue::new(1000);
        queue.push(line(600)).unwrap();
        assert_eq!(queue.push(line(600)), Err(Refused::Full));
        let batch = next(&queue, 1);
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
        queue.push_over(line(1)).unwrap();
    }

    #[test]
    fn a_closed_queue_is_drained_in_order() {
        let queue = Queue::new(1 << 20);
        for index in 0..=BATCH {
            queue.push(Item::Line(index.to_string())).unwrap();
        }
        queue.close();
        assert_eq!(queue.push(line(1)), Err(Refused::Closed));
        let (first, second) = (next(&queue, 1), next(&queue, 1));
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
        assert_eq!(next(&queue, 1).status.unwrap().kept, 2);
    }
}
