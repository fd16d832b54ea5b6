//! Metrics of alerts that were only counted.

use std::sync::Arc;

use prometheus::{Error, IntCounter, IntCounterVec, IntGauge, Registry};

use super::definition::{Definition, counter, gauge};
use super::register;
use crate::rollup::{Figures, Reason};

const ROLLED_UP: &Definition = &counter(
    "monitor_alerts_rolled_up_total",
    &["rule", "reason"],
    "alerts",
    "Alerts that did not go out by themselves but in the count of another: `same` as one before, or \
     over the `budget` of their rule.",
);
const SUMMARIES: &Definition = &counter(
    "monitor_rollup_summaries_total",
    &[],
    "alerts",
    "Alerts that tell how many others there were.",
);
const CLOSED_EARLY: &Definition = &counter(
    "monitor_rollup_closed_early_total",
    &[],
    "windows",
    "Counts of alerts that were told early for lack of room.",
);
const WINDOWS: &Definition = &gauge(
    "monitor_rollup_windows",
    &[],
    "windows",
    "Alerts of which those that say the same are being counted.",
);
const BYTES: &Definition = &gauge(
    "monitor_rollup_bytes",
    &[],
    "bytes",
    "Approximate memory of these counts.",
);
pub(super) const DEFINITIONS: &[&Definition] =
    &[ROLLED_UP, SUMMARIES, CLOSED_EARLY, WINDOWS, BYTES];

/// The figures.
#[derive(Clone, Debug)]
pub struct RollupMetrics {
    rolled_up: IntCounterVec,
    summaries: IntCounter,
    closed_early: IntCounter,
    windows: IntGauge,
    bytes: IntGauge,
}

impl RollupMetrics {
    pub(super) fn new(registry: &Registry) -> Result<Self, Error> {
        let count =
            |about: &Definition| register(registry, IntCounter::with_opts(about.options())?);
        let level = |about: &Definition| register(registry, IntGauge::with_opts(about.options())?);
        let rolled_up = IntCounterVec::new(ROLLED_UP.options(), ROLLED_UP.labels)?;
        Ok(Self {
            rolled_up: register(registry, rolled_up)?,
            summaries: count(SUMMARIES)?,
            closed_early: count(CLOSED_EARLY)?,
            windows: level(WINDOWS)?,
            bytes: level(BYTES)?,
        })
    }

    /// Adds what was counted since the last call, and takes over the figures since start.
    pub fn publish(&self, counts: &[(Arc<str>, Reason, u64)], figures: Figures) {
        for (rule, reason, count) in counts {
            let labels = [&**rule, reason.name()];
            self.rolled_up.with_label_values(&labels).inc_by(*count);
        }
        let Figures {
            windows,
            bytes,
            closed_early,
            summaries,
        } = figures;
        self.windows.set(windows as i64);
        self.bytes.set(bytes as i64);
        catch_up(&self.closed_early, closed_early);
        catch_up(&self.summaries, summaries);
    }

    pub(super) fn forget(&self, rule: &str) {
        for reason in Reason::ALL {
            // It fails only for what is not there, which is what is wanted.
            drop(self.rolled_up.remove_label_values(&[rule, reason.name()]));
        }
    }
}

fn catch_up(counter: &IntCounter, total: u64) {
    counter.inc_by(total.saturating_sub(counter.get()));
}
