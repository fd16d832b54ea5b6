//! Removing what the log is not to keep any longer, a little between two batches of alerts: outputs
//! wait for the keeper.

use std::time::Instant;

use super::{Keeper, Lost};
use crate::alert_log::Aged;
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
        self.state.lost.resize(self.outputs.len(), Lost::default());
        for step in 1..=STEPS {
            match log.retain(aged) {
                Ok(retained) => {
                    self.metrics.removed.inc_by(retained.removed.len() as u64);
                    for (output, lost) in self.outputs.iter().zip(&mut self.state.lost) {
                        let more = lost.add(&retained.removed, output);
                        output.metrics.lost_log.inc_by(more);
                    }
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
        let bytes = self.log.as_ref().and_then(|log| log.bytes().ok());
        self.metrics.bytes.set(bytes.unwrap_or_default() as i64);
        if !self.state.is_removing {
            self.tell_removed();
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
