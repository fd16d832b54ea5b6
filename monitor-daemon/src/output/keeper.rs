//! The thread between who raises alerts and the outputs: it writes each alert to the alert log and
//! only then hands it on.
//!
//! While the log cannot be written (a full disk), alerts go to the outputs all the same, and wait
//! here, within a budget, until it can be again. Without a log it only hands them on.

mod lost;
mod retain;

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

pub(super) use self::lost::{Lost, RULE};
use super::Intake;
use super::ahead::Ahead;
use super::feed::Output;
use super::queue::Item;
use crate::alert_log::{AlertLog, Cursor, Entry, LogError};
use crate::clock;
use crate::metrics::LogMetrics;

/// Longest time until an acknowledgement is written down: what is sent a second time after a crash.
const ACKNOWLEDGED_WITHIN: Duration = Duration::from_millis(10);
/// Time between two attempts to write when one has failed.
const RETRY: Duration = Duration::from_secs(1);
/// Time between two looks for alerts that are too old.
const AGE_CHECK: Duration = Duration::from_mins(10);
/// Time between two alerts that tell of alerts which one output refused.
const TELL: Duration = Duration::from_mins(1);
/// Alerts between two looks at the log's size.
const SIZE_CHECK: u64 = 256;

/// Owns the log for as long as the daemon runs.
#[derive(Debug)]
pub(super) struct Keeper {
    pub(super) intake: Arc<Intake>,
    pub(super) outputs: Arc<[Arc<Output>]>,
    /// Which is no output when it gets no alerts.
    pub(super) terminal: Arc<Output>,
    pub(super) log: Option<AlertLog>,
    pub(super) metrics: LogMetrics,
    /// Bytes of alerts that wait for the log while it cannot be written.
    pub(super) budget: usize,
    /// Name of this host, for an alert of the keeper's own.
    pub(super) hostname: Arc<str>,
    /// Closed when all outputs have ended.
    pub(super) outputs_end: Receiver<()>,
    pub(super) state: State,
}

/// What is not in the log yet.
#[derive(Debug)]
pub(super) struct State {
    /// Alerts, and bytes of them.
    unwritten: VecDeque<Arc<Entry>>,
    unwritten_bytes: usize,
    /// How far outputs are by the log.
    progress: Vec<u64>,
    /// Alerts written since it was last looked whether there are too many, and when that was.
    unchecked: u64,
    checked: Option<Instant>,
    /// When it was last told what outputs refused.
    told: Vec<Option<Instant>>,
    /// There is more to remove.
    is_removing: bool,
    /// What outputs have lost by that and were not told yet.
    lost: Vec<Lost>,
}

impl State {
    /// All is written, and outputs are as far as `progress` says.
    pub(super) fn new(progress: Vec<u64>) -> Self {
        Self {
            unwritten: VecDeque::new(),
            unwritten_bytes: 0,
            told: vec![None; progress.len()],
            progress,
            unchecked: 0,
            checked: None,
            is_removing: false,
            lost: Vec::new(),
        }
    }

    fn is_due(&self) -> bool {
        let old = |checked: Instant| checked.elapsed() >= AGE_CHECK;
        self.is_removing || self.unchecked >= SIZE_CHECK || self.checked.is_none_or(old)
    }
}

impl Keeper {
    pub(super) fn run(mut self) {
        let intake = Arc::clone(&self.intake);
        loop {
            let mut batch = intake.queue.next_or_roused(self.patience());
            if batch.items.is_empty() && !batch.closed && self.log.is_some() {
                // An acknowledgement: others will follow it.
                batch = intake.queue.next_or_roused(ACKNOWLEDGED_WITHIN);
            }
            let (bytes, closed) = (batch.bytes, batch.closed);
            let entries: Vec<Arc<Entry>> =
                batch.items.into_iter().filter_map(Item::alert).collect();
            let kept = self.keep(&entries);
            self.hand_on(entries, kept);
            intake.queue.release(bytes);
            if self.state.is_due() {
                self.retain();
            }
            self.tell_refused();
            if closed {
                return self.end();
            }
        }
    }

    /// Lets the outputs end, and writes down how far they came.
    fn end(&mut self) {
        self.terminal.queue.close();
        for output in self.outputs.iter() {
            output.queue.close();
        }
        while self.outputs_end.recv_timeout(ACKNOWLEDGED_WITHIN) == Err(RecvTimeoutError::Timeout) {
            self.keep(&[]);
        }
        self.keep(&[]);
        self.tell_removed();
        for output in self.outputs.iter() {
            let has = output.acknowledged();
            let lost = self
                .state
                .unwritten
                .iter()
                .filter(|entry| entry.sequence > has && output.wants(&entry.alert));
            if self.log.is_some() {
                output.metrics.lost_log.inc_by(lost.count() as u64);
            }
        }
    }

    fn patience(&self) -> Duration {
        if self.state.is_removing {
            Duration::ZERO
        } else if !self.state.unwritten.is_empty() {
            RETRY
        } else if self.outputs.iter().any(|output| output.has_refused()) {
            TELL
        } else {
            AGE_CHECK
        }
    }

    /// Writes alerts and acknowledgements to the log; whether it has all of them now.
    fn keep(&mut self, entries: &[Arc<Entry>]) -> bool {
        let progress = self.progress();
        let ahead = self.ahead();
        let Some(log) = &mut self.log else {
            return false;
        };
        self.state.unwritten.extend(entries.iter().cloned());
        self.state.unwritten_bytes += bytes(entries);
        let is_new = |ahead: &Option<Vec<u64>>| ahead.as_ref().is_some_and(|new| !new.is_empty());
        if self.state.unwritten.is_empty()
            && progress == self.state.progress
            && !ahead.iter().any(is_new)
        {
            return true;
        }
        let outputs = self.outputs.iter().zip(&progress).zip(&ahead);
        let cursors = outputs.map(|((output, acknowledged), ahead)| Cursor {
            output: &output.name,
            acknowledged: *acknowledged,
            ahead: ahead.as_deref(),
        });
        match log.append(&self.state.unwritten, cursors) {
            Ok(()) => {
                let count = self.state.unwritten.len() as u64;
                if self.metrics.failing.get() == 1 {
                    tracing::info!(alerts = count, "the alert log is written again");
                }
                self.metrics.failing.set(0);
                self.metrics.written.inc_by(count);
                self.state.unchecked += count;
                self.state.unwritten.clear();
                self.state.unwritten_bytes = 0;
                self.state.progress = progress;
                true
            }
            Err(error) => {
                let is_damage = error.is_damage();
                if is_damage {
                    // What waits is written to the new one.
                    begin_anew(log, &error);
                    self.state.progress.clear();
                }
                not_written(&self.outputs, ahead, is_damage);
                self.failed(&error);
                false
            }
        }
    }

    fn failed(&mut self, error: &LogError) {
        self.metrics.errors.inc();
        if self.metrics.failing.get() == 0 {
            tracing::error!(%error, "alerts go out without being kept until the log can be written");
        }
        self.metrics.failing.set(1);
        while self.state.unwritten_bytes > self.budget
            && let Some(entry) = self.state.unwritten.pop_front()
        {
            self.state.unwritten_bytes -= entry.alert.size();
            self.metrics.unkept.inc();
        }
    }

    /// Gives alerts to every output. One that has no room fetches them from the log later; without
    /// that they are lost.
    fn hand_on(&self, entries: Vec<Arc<Entry>>, kept: bool) {
        for entry in entries {
            for output in self.outputs.iter() {
                if output.queue.push(Item::Alert(Arc::clone(&entry))).is_ok() {
                    continue;
                }
                if kept {
                    output.queue.look_elsewhere(entry.sequence);
                } else if output.wants(&entry.alert) {
                    output.metrics.lost_queue_full.inc();
                }
            }
        }
    }

    /// Tells, by an alert that the others get too, which alerts a server did not take.
    fn tell_refused(&mut self) {
        for (output, told) in self.outputs.iter().zip(&mut self.state.told) {
            if told.is_some_and(|told| told.elapsed() < TELL) {
                continue;
            }
            let refused = output.take_refused();
            if refused.alerts > 0 {
                *told = Some(Instant::now());
                let why = "Alerts were refused for good by the server of an output";
                let alert = refused.alert(why, &output.name, clock::epoch_ns(), &self.hostname);
                self.intake.push_over(alert);
            }
        }
    }

    fn progress(&self) -> Vec<u64> {
        let outputs = self.outputs.iter();
        outputs.map(|output| output.acknowledged()).collect()
    }

    /// What outputs have before its turn, as far as the log does not know of it.
    fn ahead(&self) -> Vec<Option<Vec<u64>>> {
        let outputs = self.outputs.iter();
        let ahead = outputs.map(|output| output.ahead.as_ref().map(Ahead::unwritten));
        ahead.collect()
    }
}

/// The log does not know of `ahead`, by output; a new one knows of nothing.
fn not_written(outputs: &[Arc<Output>], ahead: Vec<Option<Vec<u64>>>, is_anew: bool) {
    for (output, numbers) in outputs.iter().zip(ahead) {
        if let (Some(ahead), Some(numbers)) = (&output.ahead, numbers) {
            ahead.not_written(numbers);
        }
    }
    let ahead = outputs.iter().filter_map(|output| output.ahead.as_ref());
    for ahead in ahead.filter(|_| is_anew) {
        ahead.forgotten();
    }
}

/// Puts a new log in the place of one that is damaged; whether it did.
fn begin_anew(log: &mut AlertLog, damage: &LogError) -> bool {
    match log.begin_anew() {
        Ok(moved) => {
            let moved = moved.display();
            tracing::error!(error = %damage, %moved, "the alert log is damaged, and a new one begun");
            true
        }
        Err(error) => {
            tracing::error!(%error, "no new alert log can be begun");
            false
        }
    }
}

fn bytes(entries: &[Arc<Entry>]) -> usize {
    entries.iter().map(|entry| entry.alert.size()).sum()
}
