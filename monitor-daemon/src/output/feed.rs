//! An output between who hands alerts to it and who writes them: its queue, how far it is, and what
//! it writes next. What had no room in the queue comes from the alert log.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::ahead::{Ahead, Search};
use super::keeper::{self, Lost, Untold};
use super::queue::{BATCH, Batch, Item, Next, Queue};
use super::selection::Selection;
use super::{Alert, Intake, latency};
use crate::alert_log::{self, Entry, LogError, Reader};
use crate::clock;
use crate::metrics::OutputMetrics;

/// Until a log that cannot be read is tried again, and how often: it may be gone, or be no log any
/// more.
const RETRY: Duration = Duration::from_secs(1);
const RETRIES: u32 = 10;
/// How often where it may be intact (a failing disk, too many open files), which takes an hour: what
/// comes meanwhile has to wait behind it.
const MORE_RETRIES: u32 = 3600;
/// Until it is looked again what the keeper says.
const SOON: Duration = Duration::from_millis(10);

/// An output, as those see it who hand alerts to it.
#[derive(Debug)]
pub(super) struct Output {
    /// By which the log knows it.
    pub(super) name: String,
    pub(super) queue: Queue,
    pub(super) metrics: OutputMetrics,
    selection: Selection,
    /// What it has behind that; nothing where all goes in order.
    pub(super) ahead: Option<Ahead>,
    /// Number of the last alert that it has, with all before.
    acknowledged: AtomicU64,
    /// When the oldest alert was that it tries to deliver, ns since the epoch; 0 when it has all.
    oldest: AtomicU64,
    /// What it will never get, as far as that is not told yet.
    untold: Mutex<Untold>,
    kept: Option<Kept>,
}

/// How far an output is.
#[derive(Debug, Default)]
pub(super) struct Reached {
    /// Number of the last alert that it has, with all before.
    pub(super) acknowledged: u64,
    pub(super) ahead: Option<Ahead>,
}

/// Where there is a log.
#[derive(Debug)]
pub(super) struct Kept {
    /// Where its keeper waits.
    pub(super) keeper: Arc<Intake>,
    /// The file.
    pub(super) path: PathBuf,
    /// Up to the first number alerts are in the damaged log in whose place that is, up to the second
    /// in the one before ([`alert_log::AlertLog::begun`]).
    pub(super) begun: Mutex<Vec<u64>>,
    /// Name of this host, for an alert of the output's own.
    pub(super) hostname: Arc<str>,
}

impl Output {
    /// An output that has the alerts that `reached` says.
    pub(super) fn new(
        name: String,
        queue: Queue,
        metrics: OutputMetrics,
        selection: Selection,
        reached: Reached,
        kept: Option<Kept>,
    ) -> Self {
        let Reached {
            acknowledged,
            ahead,
        } = reached;
        Self {
            name,
            queue,
            metrics,
            selection,
            ahead,
            acknowledged: AtomicU64::new(acknowledged),
            oldest: AtomicU64::new(0),
            untold: Mutex::default(),
            kept,
        }
    }

    /// Whether it is to have `alert`.
    pub(super) fn wants(&self, alert: &Alert) -> bool {
        self.selection.takes(alert)
    }

    /// Whether it is still to have this one.
    pub(super) fn lacks(&self, entry: &Entry) -> bool {
        self.wants(&entry.alert) && !self.has(entry.sequence)
    }

    /// Whether it has the alert with this number.
    pub(super) fn has(&self, sequence: u64) -> bool {
        let is_ahead = |ahead: &Ahead| ahead.has(sequence);
        sequence <= self.acknowledged() || self.ahead.as_ref().is_some_and(is_ahead)
    }

    /// So many alerts it has before their turn.
    pub(super) fn ahead(&self) -> u64 {
        self.ahead.as_ref().map_or(0, Ahead::count)
    }

    /// Whether so many alerts wait that some may go before their turn.
    fn has_backlog(&self) -> bool {
        let waiting = self.queue.newest().saturating_sub(self.acknowledged());
        waiting > BATCH as u64
    }

    /// A new log goes on where `begun` says; what is up to that has been moved aside.
    pub(super) fn begun_anew(&self, begun: &[u64]) {
        if let Some(kept) = &self.kept {
            let mut known = kept.begun.lock().unwrap_or_else(PoisonError::into_inner);
            *known = begun.to_vec();
        }
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
        if let Some(ahead) = &self.ahead {
            ahead.pass(sequence);
        }
        self.rouse();
    }

    fn acknowledge_ahead(&self, sequences: impl IntoIterator<Item = u64>) {
        if let Some(ahead) = &self.ahead {
            ahead.add(sequences);
        }
        self.rouse();
    }

    /// Publishes what waits for it at `now`, ns since the epoch, when `newest` is the newest alert.
    pub(super) fn publish(&self, newest: u64, now: u64) {
        let has = self.acknowledged() + self.ahead();
        self.metrics.waiting.set(newest.saturating_sub(has) as i64);
        let seconds = match self.oldest.load(Ordering::Relaxed) {
            0 => 0,
            oldest => now.saturating_sub(oldest) / 1_000_000_000,
        };
        self.metrics.oldest_seconds.set(seconds as i64);
    }

    /// Counts an alert for which there is no room.
    pub(super) fn lose(&self, entry: &Entry) {
        self.metrics.lost_queue_full.inc();
        if !is_of_a_loss(entry) {
            let range = (entry.sequence, entry.sequence);
            self.untold().no_room.count(1, range);
        }
    }

    /// Whether there are lost alerts that nobody was told of.
    pub(super) fn has_untold(&self) -> bool {
        let untold = self.untold();
        untold.refused.alerts + untold.no_room.alerts > 0
    }

    /// Those, which are told of now.
    pub(super) fn take_untold(&self) -> Untold {
        std::mem::take(&mut self.untold())
    }

    fn untold(&self) -> MutexGuard<'_, Untold> {
        self.untold.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn rouse(&self) {
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
    /// Numbers of that batch when it is before its turn, the newest first.
    ahead: Vec<u64>,
    /// A batch that has to wait for such.
    held: Option<Held>,
    /// Where some go before their turn.
    search: Option<Search>,
    /// Open for as long as the output is behind, and where that is.
    reader: Option<(Place, Reader)>,
    /// How often in a row the log could not be read.
    failures: u32,
}

/// Which log has alerts that are wanted.
#[derive(Clone, Debug, Eq, PartialEq)]
struct Place {
    path: PathBuf,
    /// The last number of the one that was damaged, and whether it is that.
    begun: u64,
    is_damaged: bool,
}

/// What is left of a batch.
#[derive(Debug)]
struct Held {
    alerts: Vec<Arc<Entry>>,
    bytes: usize,
    last: Option<u64>,
}

impl Feed {
    pub(super) fn new(output: Arc<Output>) -> Self {
        let priority = output.selection.newest_first;
        let priority = priority.filter(|_| output.kept.is_some());
        Self {
            search: priority.map(|level| Search::new(level, output.acknowledged())),
            ahead: Vec::new(),
            held: None,
            wanted: output.acknowledged() + 1,
            output,
            bytes: 0,
            last: None,
            reader: None,
            failures: 0,
        }
    }

    pub(super) fn metrics(&self) -> &OutputMetrics {
        &self.output.metrics
    }

    /// Waits for something to write, or for the end; there may be nothing in it for this output. What
    /// is only in the log by then is left for the next start.
    pub(super) fn next(&mut self) -> Batch {
        if !self.ready_within(Duration::ZERO) {
            self.output.oldest.store(0, Ordering::Relaxed);
        }
        let before_their_turn = self.before_their_turn();
        if !before_their_turn.is_empty() {
            let numbers = before_their_turn.iter().map(|entry| entry.sequence);
            self.ahead = numbers.collect();
            return Batch::of(before_their_turn.into_iter().map(Arc::new));
        }
        let batch = self.in_order();
        let oldest = batch.oldest().unwrap_or_default();
        self.output.oldest.store(oldest, Ordering::Relaxed);
        batch
    }

    /// More alerts for the batch, where others wait behind it.
    pub(super) fn more(&mut self) -> Vec<Arc<Entry>> {
        // Of those before their turn there are no others, and what is put back of both is not told apart.
        while self.ahead.is_empty() && self.ready_within(Duration::ZERO) {
            let Batch { items, closed, .. } = self.in_order();
            let alerts: Vec<_> = items.into_iter().filter_map(Item::alert).collect();
            if closed || !alerts.is_empty() {
                return alerts;
            }
        }
        Vec::new()
    }

    fn in_order(&mut self) -> Batch {
        let mut batch = if let Some(held) = self.held.take() {
            self.bytes += held.bytes;
            self.last = held.last.or(self.last);
            Batch::of(held.alerts)
        } else {
            let batch = self.take();
            self.bytes += batch.bytes;
            self.last = batch.last().or(self.last);
            batch
        };
        if let Some(last) = self.last {
            self.wanted = last + 1;
        }
        batch.items.retain(|item| match item {
            Item::Alert(entry) => self.output.lacks(entry),
            Item::Line(_) => true,
        });
        batch
    }

    /// Whether there are alerts by now that go before those of the batch.
    pub(super) fn is_overtaken(&self) -> bool {
        let (Some(search), Some(kept)) = (&self.search, &self.output.kept) else {
            return false;
        };
        let newer = || search.has_newer(&Reader::open(&kept.path)?);
        self.may_overtake() && newer().unwrap_or_default()
    }

    /// Gives back the last `left` alerts of the batch: they come again after those that have
    /// overtaken them.
    pub(super) fn put_back(&mut self, left: Vec<Arc<Entry>>) {
        let first = left.first().map_or(0, |entry| entry.sequence);
        if self.ahead.is_empty() {
            self.output.acknowledge(first.saturating_sub(1));
            self.held = Some(Held {
                alerts: left,
                bytes: std::mem::take(&mut self.bytes),
                last: self.last.take(),
            });
        } else {
            // They are found again.
            self.reached(first + 1);
            self.ahead.clear();
        }
    }

    /// Waits for what [`Feed::next`] waits for, or for `time`; whether there is something.
    pub(super) fn ready_within(&self, time: Duration) -> bool {
        self.held.is_some() || self.output.queue.ready_within(self.wanted, time)
    }

    /// Says what is wrong with the output called `name`, when it is something else than before.
    pub(super) fn troubled(&self, name: &str, why: &str) {
        let before = self.metrics().trouble.replace(Some(why.to_owned()));
        if before.as_deref() != Some(why) {
            tracing::warn!(output = name, why, "alerts are not taken, trying again");
        }
    }

    /// Says that nothing is wrong any more.
    pub(super) fn well(&self, name: &str) {
        if self.metrics().trouble.replace(None).is_some() {
            tracing::info!(output = name, "alerts are taken again");
        }
    }

    /// Counts alerts that the output has taken.
    pub(super) fn taken(&self, alerts: &[Arc<Entry>]) {
        let metrics = self.metrics();
        metrics.written.inc_by(alerts.len() as u64);
        for entry in alerts {
            metrics.latency.observe(latency(entry.alert.time));
        }
    }

    /// Counts and logs an alert that the output called `name` refuses for good.
    pub(super) fn refused(&self, name: &str, entry: &Entry, why: &str) {
        self.metrics().lost_refused.inc();
        if !is_of_a_loss(entry) {
            let range = (entry.sequence, entry.sequence);
            self.output.untold().refused.count(1, range);
        }
        let uuid = entry.uuid();
        tracing::error!(output = name, %uuid, rule = %entry.alert.rule, why, "an alert is refused");
    }

    /// Counts so many of `alerts` that the server refused for good; it does not tell which.
    pub(super) fn refused_some(&self, count: u64, alerts: &[Arc<Entry>]) {
        self.metrics().lost_refused.inc_by(count);
        let numbers = || alerts.iter().map(|entry| entry.sequence);
        let range = numbers().min().zip(numbers().max());
        let told = range.filter(|_| !alerts.iter().all(|entry| is_of_a_loss(entry)));
        if let Some(range) = told {
            self.output.untold().refused.count(count, range);
        }
    }

    /// The output has the alerts of the batch up to this number.
    pub(super) fn reached(&self, sequence: u64) {
        if self.ahead.is_empty() {
            self.output.acknowledge(sequence);
        } else {
            let numbers = self.ahead.iter().copied();
            let reached = numbers.take_while(|number| *number >= sequence);
            self.output.acknowledge_ahead(reached);
        }
    }

    /// The batch is done with: the output has what is in it.
    pub(super) fn done(&mut self) {
        self.release();
        if !self.ahead.is_empty() {
            self.output.acknowledge_ahead(self.ahead.drain(..));
        }
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

    fn may_overtake(&self) -> bool {
        let Output { queue, ahead, .. } = &*self.output;
        let is_full = ahead.as_ref().is_some_and(Ahead::is_full);
        self.output.has_backlog() && !is_full && !queue.is_closed()
    }

    /// Of a backlog, the next that go before their turn. Where the log cannot be read there are none.
    fn before_their_turn(&mut self) -> Vec<Entry> {
        if self.search.is_none() || !self.may_overtake() {
            return Vec::new();
        }
        let output = Arc::clone(&self.output);
        let (Some(search), Some(kept)) = (&mut self.search, &output.kept) else {
            return Vec::new();
        };
        let wanted = |entry: &Entry| output.wants(&entry.alert);
        let has = |sequence| output.has(sequence);
        let search = |log: Reader| {
            let found = search.next(&log, output.acknowledged(), wanted, has)?;
            let oldest = log.range(output.acknowledged() + 1, u64::MAX >> 1, 1)?;
            let oldest = oldest.first().map_or(0, |entry| entry.alert.time);
            output.oldest.store(oldest, Ordering::Relaxed);
            Ok(found)
        };
        let found = Reader::open(&kept.path).and_then(search);
        found.unwrap_or_else(|error| {
            tracing::warn!(%error, output = output.name, "severe alerts wait for their turn");
            Vec::new()
        })
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
            let Some((place, until)) = self.place(until) else {
                self.wanted = until;
                continue;
            };
            match self.fetch(&place, until) {
                // The keeper will tell of the new log in a moment.
                Ok(None) => drop(self.output.queue.pause(SOON)),
                // Removed, or never kept; both were counted.
                Ok(Some(entries)) if entries.is_empty() => self.wanted = until,
                Ok(Some(entries)) => {
                    let batch = Batch::of(entries.into_iter().map(Arc::new));
                    self.output.queue.took(batch.last().unwrap_or(self.wanted));
                    return batch;
                }
                Err(error) => self.failed(&error, until),
            }
        }
    }

    /// A log could not be read: waits, or goes on at last without what is below `until`.
    fn failed(&mut self, error: &LogError, until: u64) {
        let retries = if error.may_pass() {
            MORE_RETRIES
        } else {
            RETRIES
        };
        if self.failures < retries {
            if self.failures == 0 {
                let output = self.output.name.as_str();
                tracing::error!(%error, output, "alerts that an output has missed cannot be read");
            }
            self.failures += 1;
            self.output.queue.pause(RETRY);
            return;
        }
        self.lost(self.wanted, until, 0);
        self.wanted = until;
        self.failures = 0;
    }

    /// Which log has the next alert, if there is one, and the number below `until` or at it where it
    /// ends.
    fn place(&self, until: u64) -> Option<(Place, u64)> {
        let kept = self.output.kept.as_ref()?;
        let begun = kept.begun.lock().unwrap_or_else(PoisonError::into_inner);
        let (mut path, mut until) = (kept.path.clone(), until);
        let mut is_damaged = false;
        for last in begun.iter().take_while(|last| self.wanted <= **last) {
            path = alert_log::damaged(&path);
            until = until.min(last + 1);
            is_damaged = true;
        }
        let place = Place {
            path,
            begun: begun.first().copied().unwrap_or_default(),
            is_damaged,
        };
        Some((place, until))
    }

    /// The next alerts below `until` of this log, if it is still that; those that cannot be read any
    /// more are lost.
    fn fetch(&mut self, place: &Place, until: u64) -> Result<Option<Vec<Entry>>, LogError> {
        let open = self.reader.take().filter(|(of, _)| of == place);
        let is_old = open.is_some();
        let reader = match open {
            Some((_, reader)) => reader,
            None => Reader::open(&place.path)?,
        };
        let first = self.wanted;
        if place.is_damaged {
            self.wanted = self.known(&reader, until);
        } else if !is_old && reader.begun() != place.begun {
            return Ok(None);
        }
        let readable = self.wanted;
        let absent = |from, below| reader.absent(from, below).unwrap_or_default();
        let mut count = BATCH;
        let entries = loop {
            match reader.range(self.wanted, until, count) {
                // What is before and behind the damaged part is there.
                Err(error) if error.is_damage() && count > 1 => count = 1,
                Err(error) if error.is_damage() && self.wanted < until => self.wanted += 1,
                entries => break entries?,
            }
        };
        self.failures = 0;
        self.lost(first, self.wanted, absent(readable, self.wanted));
        if entries.is_empty() && is_old {
            // There may be a new log in the place of the one that is open.
            return self.fetch(place, until);
        }
        if entries.is_empty() && place.is_damaged {
            // The end of the file may be missing.
            let newest = reader.newest().unwrap_or(until);
            let cut = self.wanted.max(newest + 1);
            self.lost(cut, until, absent(cut, until));
        }
        self.reader = Some((place.clone(), reader));
        Ok(Some(entries))
    }

    /// The first number from the wanted one on of which a damaged log can tell. It may have taken the
    /// place of another, which is gone, or be of another host.
    fn known(&self, damaged: &Reader, until: u64) -> u64 {
        let kept = self.output.kept.as_ref();
        if kept.is_some_and(|kept| kept.keeper.log != damaged.id()) {
            return until;
        }
        self.wanted.max(damaged.begun() + 1).min(until)
    }

    /// Counts and tells that alerts with numbers from `first` to `below`, less that itself, cannot
    /// be read, of which the log says that it never had `absent`, or not any more.
    fn lost(&self, first: u64, below: u64, absent: u64) {
        let alerts = below.saturating_sub(first).saturating_sub(absent);
        let Some(kept) = self.output.kept.as_ref().filter(|_| alerts > 0) else {
            return;
        };
        self.metrics().lost_log.inc_by(alerts);
        let lost = Lost {
            alerts,
            range: Some((first, below - 1)),
        };
        let why = "Alerts could not be read from the alert log for an output";
        let alert = lost.alert(why, &self.output.name, clock::epoch_ns(), &kept.hostname);
        tracing::error!("{}", alert.output);
        kept.keeper.push_over(alert);
    }
}

/// Whether it tells that alerts were lost: that it is lost itself is not told, or it would go on for
/// ever.
fn is_of_a_loss(entry: &Entry) -> bool {
    *entry.alert.rule == *keeper::RULE
}
