//! What an output gets before its turn: after an outage the newest of the severe alerts, where
//! `newest_first` says so.
//!
//! The cursor of an output moves in order only. Beside it stands, here and in the alert log, which
//! alerts behind the cursor the output has already: these are left out when their turn comes, and
//! forgotten when the cursor has passed them.

use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

use monitor_policy::Priority;

use super::queue::BATCH;
use crate::alert_log::{Entry, LogError, Reader};

/// Numbers that are remembered at most. Beyond them a backlog goes on in order until the cursor has
/// passed some.
const MOST: usize = 1 << 16;

/// Which alerts behind its cursor an output has.
#[derive(Debug, Default)]
pub(super) struct Ahead(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    has: BTreeSet<u64>,
    /// Those of which the log does not know yet.
    unwritten: Vec<u64>,
}

impl Ahead {
    /// The log knows of `known`.
    pub(super) fn new(known: Vec<u64>) -> Self {
        Self(Mutex::new(State {
            has: known.into_iter().collect(),
            unwritten: Vec::new(),
        }))
    }

    pub(super) fn has(&self, sequence: u64) -> bool {
        self.lock().has.contains(&sequence)
    }

    pub(super) fn count(&self) -> u64 {
        self.lock().has.len() as u64
    }

    pub(super) fn is_full(&self) -> bool {
        self.count() >= MOST as u64
    }

    /// The output has these too.
    pub(super) fn add(&self, sequences: impl IntoIterator<Item = u64>) {
        let mut state = self.lock();
        for sequence in sequences {
            if state.has.insert(sequence) {
                state.unwritten.push(sequence);
            }
        }
    }

    /// The cursor is at `sequence`.
    pub(super) fn pass(&self, sequence: u64) {
        let mut state = self.lock();
        if state.has.first().is_some_and(|first| *first <= sequence) {
            state.has = state.has.split_off(&(sequence + 1));
        }
    }

    /// What is to be written to the log.
    pub(super) fn unwritten(&self) -> Vec<u64> {
        std::mem::take(&mut self.lock().unwritten)
    }

    /// The log could not be written.
    pub(super) fn not_written(&self, sequences: Vec<u64>) {
        self.lock().unwritten.extend(sequences);
    }

    /// There is a new log, which knows of nothing.
    pub(super) fn forgotten(&self) {
        let mut state = self.lock();
        state.unwritten = state.has.iter().copied().collect();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Goes through the severe alerts of a backlog, the newest first; begins anew when there are newer.
#[derive(Debug)]
pub(super) struct Search {
    priority: Priority,
    /// The newest alert when it was last looked.
    seen: u64,
    /// What has not been gone through is below this number.
    rest: Option<u64>,
}

impl Search {
    /// For alerts at least as severe as `priority`, behind the number `cursor`.
    pub(super) fn new(priority: Priority, cursor: u64) -> Self {
        Self {
            priority,
            seen: cursor,
            rest: None,
        }
    }

    /// Whether there are severe alerts since it was last looked.
    pub(super) fn has_newer(&self, log: &Reader) -> Result<bool, LogError> {
        let newer = log.severe(self.priority, self.seen, i64::MAX as u64, 1)?;
        Ok(!newer.is_empty())
    }

    /// The next alerts behind the number `cursor` that are `wanted`, the newest first; a bounded
    /// number of them. One that cannot be read is left for its turn.
    pub(super) fn next(
        &mut self,
        log: &Reader,
        cursor: u64,
        wanted: impl Fn(&Entry) -> bool,
        has: impl Fn(u64) -> bool,
    ) -> Result<Vec<Entry>, LogError> {
        self.seen = self.seen.max(cursor);
        let newest = log.newest()?;
        if self.has_newer(log)? {
            self.rest = Some(newest + 1);
        }
        self.seen = self.seen.max(newest);
        let mut found = Vec::new();
        while found.is_empty()
            && let Some(below) = self.rest
        {
            let numbers = log.severe(self.priority, cursor, below, BATCH)?;
            self.rest = numbers.last().copied();
            for sequence in numbers.into_iter().filter(|sequence| !has(*sequence)) {
                match log.one(sequence) {
                    Ok(entry) => found.extend(entry.filter(&wanted)),
                    Err(error) if error.is_damage() => (),
                    Err(error) => return Err(error),
                }
            }
        }
        Ok(found)
    }
}

#[cfg(test)]
mod tests;
