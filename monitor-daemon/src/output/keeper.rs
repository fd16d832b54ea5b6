//! The thread between who raises alerts and the outputs: it writes each alert to the alert log and
//! only then hands it on.
//!
//! While the log cannot be written (a full disk), alerts go to the outputs all the same, and wait
//! here, within a budget, until it can be again. Without a log it only hands them on.

mod lost;
mod retain;
mod steady;

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

pub(super) use self::lost::{Lost, RULE, Untold};
use self::steady::Steady;
use super::Intake;
use super::ahead::Ahead;
use super::feed::Output;
use super::queue::{BATCH, Item};
use crate::alert_log::{AlertLog, Cursor, Entry, LogError};
use crate::clock;
use crate::metrics::LogMetrics;

/// Longest time until an acknowledgement is written down: what is sent a second time after a crash.
const ACKNOWLEDGED_WITHIN: Duration = Duration::from_millis(10);
/// Time between two attempts to write when one has failed.
const RETRY: Duration = Duration::from_secs(1);
/// Time between two looks for alerts that are too old.
const AGE_CHECK: Duration = Duration::from_mins(10);
/// Time between two alerts that tell of alerts which one output refused or had no room for.
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
    /// When the log was last tried to be written, where that failed.
    failed: Option<Instant>,
    /// How far outputs are by the log.
    progress: Vec<u64>,
    /// Alerts written since it was last looked whether there are too many, and when that was.
    unchecked: u64,
    checked: Option<Instant>,
    /// Whether the clock is believed that tells the age of alerts.
    clock: Steady,
    /// Alerts that the log will never have, as far as it is not told yet.
    unkept: Lost,
    /// When it was last told what outputs refused or had no room for.
    told: Vec<Option<Instant>>,
    /// There is more to remove.
    is_removing: bool,
    /// What outputs have lost by that and were not told yet.
    lost: Vec<Lost>,
    /// What was removed while they had it in memory, by output.
    held: Vec<BTreeSet<u64>>,
    /// When that was last logged.
    held_told: Option<Instant>,
}

impl State {
    /// All is written, and outputs are as far as `progress` says.
    pub(super) fn new(progress: Vec<u64>) -> Self {
        Self {
            unwritten: VecDeque::new(),
            unwritten_bytes: 0,
            failed: None,
            unkept: Lost::default(),
            told: vec![None; progress.len()],
            progress,
            unchecked: 0,
            checked: None,
            clock: Steady::default(),
            is_removing: false,
            lost: Vec::new(),
            held: Vec::new(),
            held_told: None,
        }
    }

    fn is_due(&self) -> bool {
        let old = |checked: Instant| checked.elapsed() >= AGE_CHECK;
        self.is_removing || self.unchecked >= SIZE_CHECK || self.checked.is_none_or(old)
    }
}

impl Keeper {
    /// Tells that this log is in the place of one that cannot be read, where that is so: without a log the
    /// error is another.
    pub(super) fn begins_with(&self, damage: Option<&LogError>) {
        if let (Some(_), Some(damage)) = (&self.log, damage) {
            self.metrics.damaged.inc();
            let now = clock::epoch_ns();
            let alert = lost::beyond_reading(damage, now, &self.hostname);
            self.intake.push_over(alert);
        }
    }

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
            self.keep(&entries);
            self.hand_on(entries);
            intake.queue.release(bytes);
            if self.state.is_due() {
                self.retain();
            }
            self.tell_untold();
            if closed {
                return self.end();
            }
        }
    }

    /// Lets the outputs end, and writes down how far they came.
    fn end(&mut self) {
        // An output may hang, and nobody wait for the end of this.
        self.state.failed = None;
        self.keep(&[]);
        self.tell_unwritten();
        self.terminal.queue.close();
        for output in self.outputs.iter() {
            output.queue.close();
        }
        while self.outputs_end.recv_timeout(ACKNOWLEDGED_WITHIN) == Err(RecvTimeoutError::Timeout) {
            self.keep(&[]);
        }
        self.state.failed = None;
        self.keep(&[]);
        self.account_held();
        self.tell_removed();
        for output in self.outputs.iter() {
            let has = output.acknowledged();
            let lost = self
                .state
                .unwritten
                .iter()
                .filter(|entry| entry.sequence > has && output.wants(&entry.alert));
            let lost = lost.count() as u64;
            if self.log.is_some() {
                output.metrics.lost_log.inc_by(lost);
                self.intake.lost.fetch_add(lost, Ordering::AcqRel);
            }
        }
    }

    /// Says which alerts the log does not have at the end.
    fn tell_unwritten(&self) {
        let mut unwritten = self.state.unwritten.iter().map(|entry| entry.sequence);
        let alerts = unwritten.len();
        if let Some(first) = unwritten.next() {
            let last = unwritten.next_back().unwrap_or(first);
            tracing::error!(
                alerts,
                first,
                last,
                "the alert log cannot be written at the end: only outputs that take them now have these"
            );
        }
    }

    fn patience(&self) -> Duration {
        if self.state.is_removing {
            Duration::ZERO
        } else if self.state.failed.is_some() {
            RETRY
        } else if self.outputs.iter().any(|output| output.has_untold()) {
            TELL
        } else {
            AGE_CHECK
        }
    }

    /// Writes alerts and acknowledgements to the log. After a failure it is left alone for a while:
    /// an attempt may take long, and the outputs wait for it.
    fn keep(&mut self, entries: &[Arc<Entry>]) {
        if self.log.is_none() {
            return;
        }
        self.state.unwritten.extend(entries.iter().cloned());
        self.state.unwritten_bytes += bytes(entries);
        let failed = self.state.failed;
        if failed.is_some_and(|failed| failed.elapsed() < RETRY) {
            return self.shed();
        }
        let written = self.write().or_else(|error| {
            if !error.is_damage() {
                return Err(error);
            }
            self.begin_anew(&error)?;
            self.write()
        });
        match written {
            Ok(()) => {
                self.state.failed = None;
                self.tell_unkept();
            }
            Err(error) => self.failed(&error),
        }
    }

    /// Writes what waits.
    fn write(&mut self) -> Result<(), LogError> {
        self.write_some()?;
        while !self.state.unwritten.is_empty() {
            self.write_some()?;
        }
        Ok(())
    }

    /// Writes some of it: where there is little room, not all of it may fit.
    fn write_some(&mut self) -> Result<(), LogError> {
        let reached = Reached::of(&self.outputs);
        let Some(log) = &mut self.log else {
            return Ok(());
        };
        if self.state.unwritten.is_empty()
            && reached.acknowledged == self.state.progress
            && !reached.is_further_ahead()
        {
            return Ok(());
        }
        let cursors = reached.cursors(&self.outputs);
        let count = self.state.unwritten.len().min(BATCH);
        if let Err(error) = log.append(self.state.unwritten.iter().take(count), cursors) {
            reached.not_written(&self.outputs);
            return Err(error);
        }
        self.metrics.written.inc_by(count as u64);
        self.state.unchecked += count as u64;
        let written = self.state.unwritten.drain(..count);
        let bytes: usize = written.map(|entry| entry.alert.size()).sum();
        self.state.unwritten_bytes -= bytes;
        if self.state.unwritten.is_empty() && self.metrics.failing.get() == 1 {
            tracing::info!("the alert log is written again");
            self.metrics.failing.set(0);
        }
        self.state.progress = reached.acknowledged;
        Ok(())
    }

    /// Puts a new log in the place of one that is damaged. What outputs have not got they look for in
    /// the damaged one.
    fn begin_anew(&mut self, damage: &LogError) -> Result<(), LogError> {
        let Some(log) = &mut self.log else {
            return Ok(());
        };
        if self.metrics.failing.get() == 0 {
            tracing::error!(error = %damage, "the alert log is damaged");
        }
        for ahead in self
            .outputs
            .iter()
            .filter_map(|output| output.ahead.as_ref())
        {
            // The new one knows of nothing.
            ahead.forgotten();
        }
        let reached = Reached::of(&self.outputs);
        let moved = match log.begin_anew(reached.cursors(&self.outputs)) {
            Ok(moved) => moved,
            Err(error) => {
                reached.not_written(&self.outputs);
                return Err(error);
            }
        };
        self.state.progress = reached.acknowledged;
        self.metrics.damaged.inc();
        for output in self.outputs.iter() {
            output.begun_anew(log.begun());
        }
        let moved = moved.display();
        tracing::error!(%moved, "a new alert log is begun, the damaged one is there");
        Ok(())
    }

    fn failed(&mut self, error: &LogError) {
        self.metrics.errors.inc();
        if self.metrics.failing.get() == 0 {
            tracing::error!(%error, "alerts go out without being kept until the log can be written");
        }
        self.metrics.failing.set(1);
        self.state.failed = Some(Instant::now());
        self.shed();
    }

    /// Gives up alerts for which there is no room until the log can be written.
    fn shed(&mut self) {
        while self.state.unwritten_bytes > self.budget
            && let Some(entry) = self.state.unwritten.pop_front()
        {
            self.state.unwritten_bytes -= entry.alert.size();
            self.metrics.unkept.inc();
            let range = (entry.sequence, entry.sequence);
            self.state.unkept.count(1, range);
        }
    }

    /// Gives alerts to every output. One that has no room fetches them from the log later; without
    /// that they are lost.
    fn hand_on(&self, entries: Vec<Arc<Entry>>) {
        let kept = self.log.as_ref().map_or(0, AlertLog::newest);
        for entry in entries {
            for output in self.outputs.iter() {
                if output.queue.push(Item::Alert(Arc::clone(&entry))).is_ok() {
                    continue;
                }
                if entry.sequence <= kept {
                    output.queue.look_elsewhere(entry.sequence);
                } else if output.wants(&entry.alert) {
                    output.lose(&entry);
                }
            }
        }
    }

    /// Tells, by an alert that the others get too, which alerts a server did not take, and for which
    /// there was no room.
    fn tell_untold(&mut self) {
        for (output, told) in self.outputs.iter().zip(&mut self.state.told) {
            if told.is_some_and(|told| told.elapsed() < TELL) {
                continue;
            }
            let Untold { refused, no_room } = output.take_untold();
            for (why, lost) in [
                (
                    "Alerts were refused for good by the server of an output",
                    refused,
                ),
                (
                    "There was no room for alerts on their way to an output",
                    no_room,
                ),
            ] {
                if lost.alerts > 0 {
                    *told = Some(Instant::now());
                    let alert = lost.alert(why, &output.name, clock::epoch_ns(), &self.hostname);
                    self.intake.push_over(alert);
                }
            }
        }
    }

    /// Tells which alerts the log does not have, once it is written again.
    fn tell_unkept(&mut self) {
        let unkept = std::mem::take(&mut self.state.unkept);
        if unkept.alerts > 0 {
            let why = "The alert log could not be written for so long that alerts are not kept";
            let alert = unkept.alert(why, lost::LOG, clock::epoch_ns(), &self.hostname);
            self.intake.push_over(alert);
        }
    }
}

/// How far outputs are, by output.
struct Reached {
    acknowledged: Vec<u64>,
    /// What they have before its turn, as far as the log does not know of it.
    ahead: Vec<Option<Vec<u64>>>,
}

impl Reached {
    fn of(outputs: &[Arc<Output>]) -> Self {
        let ahead = |output: &Arc<Output>| output.ahead.as_ref().map(Ahead::unwritten);
        Self {
            acknowledged: outputs.iter().map(|output| output.acknowledged()).collect(),
            ahead: outputs.iter().map(ahead).collect(),
        }
    }

    fn is_further_ahead(&self) -> bool {
        let mut ahead = self.ahead.iter().flatten();
        ahead.any(|numbers| !numbers.is_empty())
    }

    fn cursors<'a>(&'a self, outputs: &'a [Arc<Output>]) -> impl Iterator<Item = Cursor<'a>> {
        let reached = self.acknowledged.iter().zip(&self.ahead);
        let outputs = outputs.iter().zip(reached);
        outputs.map(|(output, (acknowledged, ahead))| Cursor {
            output: &output.name,
            acknowledged: *acknowledged,
            ahead: ahead.as_deref(),
        })
    }

    /// The log does not know of it.
    fn not_written(self, outputs: &[Arc<Output>]) {
        for (output, numbers) in outputs.iter().zip(self.ahead) {
            if let (Some(ahead), Some(numbers)) = (&output.ahead, numbers) {
                ahead.not_written(numbers);
            }
        }
    }
}

fn bytes(entries: &[Arc<Entry>]) -> usize {
    entries.iter().map(|entry| entry.alert.size()).sum()
}

#[cfg(test)]
mod tests;
