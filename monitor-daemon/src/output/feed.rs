//! An output between who hands alerts to it and who writes them: its queue, how far it is, and what
//! it writes next. What had no room in the queue comes from the alert log.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::queue::{BATCH, Batch, Item, Next, Queue};
use super::selection::Selection;
use super::{Alert, Intake};
use crate::alert_log::Reader;
use crate::metrics::OutputMetrics;

/// An output, as those see it who hand alerts to it.
#[derive(Debug)]
pub(super) struct Output {
    /// By which the log knows it.
    pub(super) name: String,
    pub(super) queue: Queue,
    pub(super) metrics: OutputMetrics,
    selection: Selection,
    /// Number of the last alert that it has, with all before.
    acknowledged: AtomicU64,
    kept: Option<Kept>,
}

/// Where there is a log.
#[derive(Debug)]
pub(super) struct Kept {
    /// Where its keeper waits.
    pub(super) keeper: Arc<Intake>,
    /// The file.
    pub(super) path: PathBuf,
}

impl Output {
    /// An output that has all alerts up to the number `acknowledged`.
    pub(super) fn new(
        name: String,
        queue: Queue,
        metrics: OutputMetrics,
        selection: Selection,
        acknowledged: u64,
        kept: Option<Kept>,
    ) -> Self {
        Self {
            name,
            queue,
            metrics,
            selection,
            acknowledged: AtomicU64::new(acknowledged),
            kept,
        }
    }

    /// Whether it is to have `alert`.
    pub(super) fn wants(&self, alert: &Alert) -> bool {
        self.selection.takes(alert)
    }

    /// How far it is; the keeper of the log writes it down.
    pub(super) fn acknowledged(&self) -> u64 {
        self.acknowledged.load(Ordering::Acquire)
    }

    /// Nothing more is written of what is queued, nor of `left` alerts that were taken from there.
    /// Without a log they are lost.
    pub(super) fn give_up(&self, left: u64) {
        let left = left + self.queue.clear(|entry| self.wants(&entry.alert));
        if self.kept.is_none() {
            self.metrics.lost_shutdown.inc_by(left);
        }
    }

    fn acknowledge(&self, sequence: u64) {
        self.acknowledged.store(sequence, Ordering::Release);
        if let Some(kept) = &self.kept {
            kept.keeper.queue.rouse();
        }
    }
}

/// The side of who writes.
#[derive(Debug)]
pub(super) struct Feed {
    output: Arc<Output>,
    /// The number of the next alert.
    wanted: u64,
    /// Bytes of the batch that is being written, and the last number in it.
    bytes: usize,
    last: Option<u64>,
    /// Open for as long as the output is behind.
    reader: Option<Reader>,
}

impl Feed {
    pub(super) fn new(output: Arc<Output>) -> Self {
        Self {
            wanted: output.acknowledged() + 1,
            output,
            bytes: 0,
            last: None,
            reader: None,
        }
    }

    pub(super) fn metrics(&self) -> &OutputMetrics {
        &self.output.metrics
    }

    /// Waits for something to write, or for the end; there may be nothing in it for this output. What is only in the log by then is left for
    /// the next start.
    pub(super) fn next(&mut self) -> Batch {
        let mut batch = self.take();
        self.bytes = batch.bytes;
        self.last = batch.last();
        if let Some(last) = self.last {
            self.wanted = last + 1;
        }
        batch.items.retain(|item| match item {
            Item::Alert(entry) => self.output.wants(&entry.alert),
            Item::Line(_) => true,
        });
        batch
    }

    /// The output has the alerts of the batch up to this number.
    pub(super) fn reached(&self, sequence: u64) {
        self.output.acknowledge(sequence);
    }

    /// The batch is done with: the output has what is in it.
    pub(super) fn done(&mut self) {
        self.release();
        if let Some(last) = self.last.take() {
            self.output.acknowledge(last);
        }
    }

    /// Waits for `pause`, or less when the end has come; says whether it has.
    pub(super) fn pause(&self, pause: Duration) -> bool {
        self.output.queue.pause(pause)
    }

    /// The output ends without having written the last `left` alerts of the batch.
    pub(super) fn give_up(&mut self, left: u64) {
        self.release();
        self.output.give_up(left);
    }

    fn release(&mut self) {
        let Output { queue, metrics, .. } = &*self.output;
        queue.release(std::mem::take(&mut self.bytes));
        metrics.queue_bytes.set(queue.bytes() as i64);
    }

    fn take(&mut self) -> Batch {
        loop {
            let until = match self.output.queue.next(self.wanted) {
                Next::Batch(batch) => {
                    if !batch.items.is_empty() {
                        self.reader = None;
                    }
                    return batch;
                }
                Next::Behind(until) => until,
            };
            if self.output.kept.is_some() && self.output.queue.is_closed() {
                return Batch {
                    closed: true,
                    ..Batch::default()
                };
            }
            let batch = self.fetch(until);
            if !batch.items.is_empty() {
                return batch;
            }
            // Removed, or never kept; both were counted.
            self.wanted = until;
        }
    }

    fn fetch(&mut self, until: u64) -> Batch {
        let Some(kept) = &self.output.kept else {
            return Batch::default();
        };
        let reader = match self.reader.take() {
            Some(reader) => Ok(reader),
            None => Reader::open(&kept.path),
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
                self.metrics().lost_log.inc_by(until - self.wanted);
                Batch::default()
            }
        }
    }
}
