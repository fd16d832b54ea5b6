//! Alerts to message brokers, NATS and Kafka: in order, each until the broker says that it is kept.
//! Syslog servers and files are written to in the same way.

mod kafka;
mod nats;
mod stream;
#[cfg(test)]
pub(super) mod tests;

use std::fmt::Debug;
use std::sync::Arc;
use std::time::{Duration, Instant};

pub(super) use self::kafka::Kafka;
pub(super) use self::nats::Nats;
use super::backoff::{Backoff, LONGEST};
use super::feed::Feed;
use super::queue::Item;
use crate::alert_log::Entry;

/// How often a connection without alerts is looked after: brokers ask whether somebody is there.
const IDLE: Duration = Duration::from_secs(5);

/// A broker, as the writer sees it.
pub(super) trait Bus: Debug {
    /// The longest pause between two attempts.
    const LONGEST_PAUSE: Duration = LONGEST;

    /// Sends the first of `alerts`, as many as may be under way at once, and waits for what the
    /// broker says of them.
    fn send(&mut self, alerts: &[Arc<Entry>]) -> Sent;

    /// Answers what the broker asked meanwhile; called every few seconds while there is nothing to send.
    fn tend(&mut self) {}
}

/// What became of alerts.
#[derive(Debug)]
pub(super) struct Sent {
    /// So many from the first on are kept by the broker.
    pub(super) taken: usize,
    /// Why the next is not.
    pub(super) trouble: Option<Trouble>,
}

/// Why an alert is not kept.
#[derive(Debug, Eq, PartialEq)]
pub(super) enum Trouble {
    /// This may pass.
    Later(String),
    /// The broker will never have this alert.
    Refused(String),
}

/// Sends batches from a queue until the queue is closed and drained.
#[derive(Debug)]
pub(super) struct BusWriter<B> {
    /// Names it in log lines.
    pub(super) name: String,
    pub(super) bus: B,
    pub(super) feed: Feed,
    /// Of alerts that were overtaken: the next begin with it.
    pub(super) backoff: Option<Backoff>,
}

impl<B: Bus> BusWriter<B> {
    pub(super) fn run(mut self) {
        let mut tended = Instant::now();
        loop {
            while !self.feed.ready_within(IDLE) {
                self.bus.tend();
                tended = Instant::now();
            }
            let batch = self.feed.next();
            let closed = batch.closed;
            let alerts: Vec<Arc<Entry>> = batch.items.into_iter().filter_map(Item::alert).collect();
            // None of many may be for this output.
            if !alerts.is_empty() {
                tended = Instant::now();
            } else if tended.elapsed() >= IDLE {
                self.bus.tend();
                tended = Instant::now();
            }
            let left = self.deliver(&alerts);
            if left > 0 {
                return self.feed.give_up(left as u64);
            }
            self.feed.done();
            if closed {
                return;
            }
        }
    }

    /// Sends `alerts` until all are kept, unless others overtake them; how many are left at the end of the daemon.
    fn deliver(&mut self, alerts: &[Arc<Entry>]) -> usize {
        let mut rest = alerts;
        let backoff = self.backoff.take();
        let mut backoff = backoff.unwrap_or_else(|| Backoff::up_to(B::LONGEST_PAUSE));
        let mut last = false;
        while !rest.is_empty() {
            let Sent { taken, trouble } = self.bus.send(rest);
            let (done, left) = rest.split_at(taken.min(rest.len()));
            self.taken(done);
            rest = left;
            if taken > 0 {
                backoff = Backoff::up_to(B::LONGEST_PAUSE);
            }
            match (trouble, rest) {
                (Some(Trouble::Later(why)), [_, ..]) => {
                    self.feed.metrics().write_errors.inc();
                    if last {
                        return rest.len();
                    }
                    self.feed.troubled(&self.name, &why);
                    // When the end has come there is one more try: what was wrong may be over.
                    last = self.feed.pause(backoff.pause(None));
                    if !last && self.feed.is_overtaken() {
                        self.backoff = Some(backoff);
                        self.feed.put_back(rest.to_vec());
                        return 0;
                    }
                }
                (Some(Trouble::Refused(why)), [first, left @ ..]) => {
                    self.lose(first, &why);
                    rest = left;
                }
                _ => (),
            }
        }
        0
    }

    fn taken(&mut self, alerts: &[Arc<Entry>]) {
        let Some(last) = alerts.last() else {
            return;
        };
        self.feed.well(&self.name);
        self.feed.taken(alerts);
        self.feed.reached(last.sequence);
    }

    fn lose(&self, entry: &Entry, why: &str) {
        self.feed.metrics().write_errors.inc();
        self.feed.refused(&self.name, entry, why);
        self.feed.reached(entry.sequence);
    }
}
