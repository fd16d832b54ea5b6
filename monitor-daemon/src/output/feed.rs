//! What an output writes next: from its queue, and what had no room there from the alert log.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::Intake;
use super::queue::{BATCH, Batch, Item, Next, Queue};
use crate::alert_log::Reader;
use crate::metrics::OutputMetrics;

/// How far an output is; the keeper of the log writes it down.
#[derive(Debug)]
pub(super) struct Progress {
    /// Number of the last alert that the output has, with all before.
    acknowledged: AtomicU64,
    /// Where the keeper waits, if there is a log to write to.
    keeper: Option<Arc<Intake>>,
}

impl Progress {
    pub(super) fn new(acknowledged: u64, keeper: Option<Arc<Intake>>) -> Self {
        Self {
            acknowledged: AtomicU64::new(acknowledged),
            keeper,
        }
    }

    pub(super) fn acknowledged(&self) -> u64 {
        self.acknowledged.load(Ordering::Acquire)
    }

    /// Whether the log has what the output has not.
    pub(super) fn is_kept(&self) -> bool {
        self.keeper.is_some()
    }

    fn acknowledge(&self, sequence: u64) {
        self.acknowledged.store(sequence, Ordering::Release);
        if let Some(keeper) = &self.keeper {
            keeper.queue.rouse();
        }
    }
}

/// An output's side of its queue and of the alert log.
#[derive(Debug)]
pub(super) struct Feed {
    queue: Arc<Queue>,
    metrics: OutputMetrics,
    progress: Arc<Progress>,
    wanted: u64,
    /// Where the log is, if there is one.
    log: Option<PathBuf>,
    /// Open for as long as the output is behind.
    reader: Option<Reader>,
}

impl Feed {
    pub(super) fn new(
        queue: Arc<Queue>,
        metrics: OutputMetrics,
        progress: Arc<Progress>,
        log: Option<PathBuf>,
    ) -> Self {
        Self {
            queue,
            metrics,
            wanted: progress.acknowledged() + 1,
            progress,
            log,
            reader: None,
        }
    }

    /// Waits for something to write, or for the end. What is only in the log by then is left for
    /// the next start.
    pub(super) fn next(&mut self) -> Batch {
        loop {
            let until = match self.queue.next(self.wanted) {
                Next::Batch(batch) => {
                    self.wanted = batch.last().map_or(self.wanted, |last| last + 1);
                    if !batch.items.is_empty() {
                        self.reader = None;
                    }
                    return batch;
                }
                Next::Behind(until) => until,
            };
            if self.log.is_some() && self.queue.is_closed() {
                return Batch {
                    closed: true,
                    ..Batch::default()
                };
            }
            let batch = self.fetch(until);
            match batch.last() {
                Some(last) => {
                    self.wanted = last + 1;
                    return batch;
                }
                // Removed, or never kept; both were counted.
                None => self.wanted = until,
            }
        }
    }

    /// The batch is done with: the output has what is in it.
    pub(super) fn done(&self, batch: &Delivered) {
        self.release(batch);
        if let Some(last) = batch.last {
            self.progress.acknowledge(last);
        }
    }

    /// The batch is done with, though the output has not got it.
    pub(super) fn release(&self, batch: &Delivered) {
        self.queue.release(batch.bytes);
        self.metrics.queue_bytes.set(self.queue.bytes() as i64);
    }

    /// Waits for `pause`, or less when the end has come; says whether it has.
    pub(super) fn pause(&self, pause: Duration) -> bool {
        self.queue.pause(pause)
    }

    /// The output ends without having written `left` alerts. Without a log they are lost.
    pub(super) fn give_up(&self, left: u64) {
        let left = left + self.queue.clear();
        if self.log.is_none() {
            self.metrics.lost_shutdown.inc_by(left);
        }
    }

    #[cfg(test)]
    pub(super) fn close(&self) {
        self.queue.close();
    }

    fn fetch(&mut self, until: u64) -> Batch {
        let Some(path) = &self.log else {
            return Batch::default();
        };
        let reader = match self.reader.take() {
            Some(reader) => Ok(reader),
            None => Reader::open(path),
        };
        let entries = reader.and_then(|reader| {
            let entries = reader.range(self.wanted, until, BATCH)?;
            self.reader = Some(reader);
            Ok(entries)
        });
        match entries {
            Ok(entries) => Batch {
                items: entries.into_iter().map(Arc::new).map(Item::Alert).collect(),
                ..Batch::default()
            },
            Err(error) => {
                tracing::error!(%error, "alerts that an output has missed cannot be read");
                self.metrics.lost_log.inc_by(until - self.wanted);
                Batch::default()
            }
        }
    }
}

/// What is left of a batch when its items have been taken out.
#[derive(Clone, Copy, Debug)]
pub(super) struct Delivered {
    bytes: usize,
    last: Option<u64>,
    pub(super) closed: bool,
}

impl From<&Batch> for Delivered {
    fn from(batch: &Batch) -> Self {
        Self {
            bytes: batch.bytes,
            last: batch.last(),
            closed: batch.closed,
        }
    }
}
