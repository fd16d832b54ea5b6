//! Removing what the log is not to keep any longer, a little between two batches of alerts: outputs
//! wait for the keeper.

use std::collections::BTreeSet;
use std::sync::atomic::Ordering;
use std::time::Instant;

use super::{Keeper, Lost, State, TELL};
use crate::alert_log::{Aged, Entry};
use crate::clock;

/// Removals at a time. They are more alerts than a batch has: the log does not grow meanwhile.
const STEPS: usize = 8;

impl Keeper {
    /// Removes some of what is too old or too much. What an output has not got is not too old, but
    /// it may be too much: it is lost for the output then, which is counted, and told when all is
    /// done.
    pub(super) fn retain(&mut self) {
        self.state.unchecked = 0;
        self.state.checked = Some(Instant::now());
        self.state.is_removing = false;
        let Some(log) = &mut self.log else { return };
        let outputs = self.outputs.iter();
        let delivered = outputs.map(|output| output.acknowledged()).min();
        let now = self.state.clock.now(clock::epoch_ns(), clock::boot_ns());
        let aged = now.map(|now| Aged {
            now,
            delivered: delivered.unwrap_or(log.newest()),
        });
        let mut removed = Vec::new();
        for step in 1..=STEPS {
            match log.retain(aged) {
                Ok(retained) => {
                    self.metrics.removed.inc_by(retained.removed.len() as u64);
                    removed.extend(retained.removed);
                    if retained.is_done {
                        break;
                    }
                    self.state.is_removing = step == STEPS;
                }
                Err(error) if error.is_damage() && log.is_over() => {
                    if let Err(error) = self.begin_anew(&error) {
                        self.failed(&error);
                    }
                    break;
                }
                Err(error) => {
                    self.metrics.errors.inc();
                    tracing::warn!(%error, "old alerts cannot be removed from the log");
                    break;
                }
            }
        }
        self.account(&removed);
        let bytes = self.log.as_ref().and_then(|log| log.bytes().ok());
        self.metrics.bytes.set(bytes.unwrap_or_default() as i64);
        if !self.state.is_removing {
            self.tell_removed();
        }
    }

    /// Counts what outputs lose with the alerts that were `removed`. What an output has in memory it
    /// still gets, if the daemon does not end before. What it is just reading from the log may count
    /// as lost: better than a loss that nobody tells.
    fn account(&mut self, removed: &[Entry]) {
        if removed.is_empty() {
            return;
        }
        let State {
            lost,
            held,
            held_told,
            ..
        } = &mut self.state;
        lost.resize(self.outputs.len(), Lost::default());
        held.resize(self.outputs.len(), BTreeSet::new());
        for ((output, lost), held) in self.outputs.iter().zip(lost).zip(held) {
            held.retain(|sequence| !output.has(*sequence));
            let missed = removed.iter().filter(|entry| output.lacks(entry));
            let missed: Vec<u64> = missed.map(|entry| entry.sequence).collect();
            if missed.is_empty() {
                continue;
            }
            let memory = output.queue.held();
            let (in_memory, gone): (Vec<u64>, Vec<u64>) = missed
                .into_iter()
                .partition(|sequence| memory.has(*sequence));
            for sequence in &gone {
                lost.count(1, (*sequence, *sequence));
            }
            output.metrics.lost_log.inc_by(gone.len() as u64);
            held.extend(in_memory);
            if !held.is_empty() && held_told.is_none_or(|told| told.elapsed() >= TELL) {
                *held_told = Some(Instant::now());
                let (output, alerts) = (output.name.as_str(), held.len());
                tracing::warn!(
                    output,
                    alerts,
                    "the alert log is full: what waits for an output is in memory alone"
                );
            }
        }
    }

    /// At the end: what was in memory alone, and outputs have not got, is lost after all.
    pub(super) fn account_held(&mut self) {
        let State { lost, held, .. } = &mut self.state;
        lost.resize(self.outputs.len(), Lost::default());
        for ((output, lost), held) in self.outputs.iter().zip(lost).zip(held) {
            for sequence in held.iter().filter(|sequence| !output.has(**sequence)) {
                lost.count(1, (*sequence, *sequence));
                output.metrics.lost_log.inc();
                self.intake.lost.fetch_add(1, Ordering::AcqRel);
            }
        }
    }

    /// Tells outputs what was removed before they got it.
    pub(super) fn tell_removed(&mut self) {
        let lost = std::mem::take(&mut self.state.lost);
        self.tell(
            "Alerts were removed from the full alert log before an output got them",
            lost,
        );
    }

    /// Tells what each output has lost, which is counted.
    fn tell(&self, why: &str, lost: Vec<Lost>) {
        for (output, lost) in self.outputs.iter().zip(lost) {
            if lost.alerts > 0 {
                let alert = lost.alert(why, &output.name, clock::epoch_ns(), &self.hostname);
                tracing::error!("{}", alert.output);
                self.intake.push_over(alert);
            }
        }
    }
}
