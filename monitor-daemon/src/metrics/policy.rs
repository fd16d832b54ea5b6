//! Loads of rules: how many, how they ended, and which are in force.

use prometheus::{Error, IntCounterVec, IntGauge, IntGaugeVec, Registry};

use super::definition::{Definition, counter, gauge};
use super::register;
use crate::reload::Outcome;

const LOADS: &Definition = &counter(
    "monitor_policy_loads_total",
    &["result"],
    "loads",
    "Loads of rules by result: `loaded`, `unchanged`, `refused`.",
);
const SUCCESSFUL: &Definition = &gauge(
    "monitor_policy_load_successful",
    &[],
    "1 or 0",
    "Whether the last load was not refused.",
);
const LOADED_AT: &Definition = &gauge(
    "monitor_policy_loaded_timestamp_seconds",
    &[],
    "seconds",
    "When the rules in force were loaded, since the epoch.",
);
const AGE: &Definition = &gauge(
    "monitor_policy_age_seconds",
    &[],
    "seconds",
    "How long they have been in force.",
);
const CHECKSUM: &Definition = &gauge(
    "monitor_policy",
    &["checksum"],
    "1",
    "SHA-256 of the rules files in force, one after the other (`cat FILE… | sha256sum`); always 1.",
);
pub(super) const DEFINITIONS: &[&Definition] = &[LOADS, SUCCESSFUL, LOADED_AT, AGE, CHECKSUM];

/// The figures.
#[derive(Debug)]
pub struct PolicyMetrics {
    loads: IntCounterVec,
    successful: IntGauge,
    loaded_at: IntGauge,
    age: IntGauge,
    checksum: IntGaugeVec,
}

impl PolicyMetrics {
    pub(super) fn new(registry: &Registry) -> Result<Self, Error> {
        let loads = IntCounterVec::new(LOADS.options(), LOADS.labels)?;
        for outcome in [Outcome::Loaded, Outcome::Unchanged, Outcome::Refused] {
            loads.with_label_values(&[outcome.name()]);
        }
        let checksum = IntGaugeVec::new(CHECKSUM.options(), CHECKSUM.labels)?;
        Ok(Self {
            loads: register(registry, loads)?,
            successful: register(registry, IntGauge::with_opts(SUCCESSFUL.options())?)?,
            loaded_at: register(registry, IntGauge::with_opts(LOADED_AT.options())?)?,
            age: register(registry, IntGauge::with_opts(AGE.options())?)?,
            checksum: register(registry, checksum)?,
        })
    }

    /// Rules with this checksum are in force from `now` on, seconds since the epoch.
    pub fn loaded(&self, checksum: &str, now: u64) {
        self.checksum.reset();
        self.checksum.with_label_values(&[checksum]).set(1);
        self.successful.set(1);
        self.loaded_at.set(now as i64);
        self.age.set(0);
    }

    /// A load that was asked for ended so.
    pub fn result(&self, outcome: Outcome) {
        self.loads.with_label_values(&[outcome.name()]).inc();
        self.successful.set(i64::from(outcome != Outcome::Refused));
    }

    /// It is `now`, seconds since the epoch.
    pub fn aged(&self, now: u64) {
        self.age
            .set((now as i64).saturating_sub(self.loaded_at.get()).max(0));
    }
}
