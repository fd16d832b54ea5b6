//! Metrics of the alert log.

use prometheus::{Error, IntCounter, IntGauge, Registry};

use super::definition::{Definition, counter, gauge};
use super::register;

const WRITTEN: &Definition = &counter(
    "monitor_alert_log_alerts_total",
    &[],
    "alerts",
    "Alerts written to the alert log.",
);
const REMOVED: &Definition = &counter(
    "monitor_alert_log_removed_total",
    &[],
    "alerts",
    "Alerts removed from the log, because they were too old or too many.",
);
const UNKEPT: &Definition = &counter(
    "monitor_alert_log_unkept_total",
    &[],
    "alerts",
    "Alerts that outputs got, but the log never, because it could not be written for too long.",
);
const ERRORS: &Definition = &counter(
    "monitor_alert_log_errors_total",
    &[],
    "attempts",
    "Failed attempts to write to the log.",
);
const DAMAGED: &Definition = &counter(
    "monitor_alert_log_damaged_total",
    &[],
    "logs",
    "Damaged logs that were moved aside, at the start or later. What outputs had not got is read from \
     there, and what cannot be is told by an alert.",
);
pub(super) const FAILING: &Definition = &gauge(
    "monitor_alert_log_failing",
    &[],
    "1 or 0",
    "Whether alerts go out without being kept, because the log cannot be opened or written.",
);
pub(super) const BYTES: &Definition = &gauge(
    "monitor_alert_log_bytes",
    &[],
    "bytes",
    "What the log takes, when last looked.",
);
pub(super) const DEFINITIONS: &[&Definition] =
    &[WRITTEN, REMOVED, UNKEPT, ERRORS, DAMAGED, FAILING, BYTES];

/// The figures.
#[derive(Clone, Debug)]
pub struct LogMetrics {
    /// Alerts written to the log.
    pub written: IntCounter,
    /// Alerts removed from it.
    pub removed: IntCounter,
    /// Alerts that never got there.
    pub unkept: IntCounter,
    /// Failed attempts to write.
    pub errors: IntCounter,
    /// Damaged logs that were moved aside.
    pub damaged: IntCounter,
    /// 1 while alerts are not kept although they should be.
    pub failing: IntGauge,
    /// Bytes of the log.
    pub bytes: IntGauge,
}

impl LogMetrics {
    pub(super) fn new(registry: &Registry) -> Result<Self, Error> {
        let count =
            |about: &Definition| register(registry, IntCounter::with_opts(about.options())?);
        let level = |about: &Definition| register(registry, IntGauge::with_opts(about.options())?);
        Ok(Self {
            written: count(WRITTEN)?,
            removed: count(REMOVED)?,
            unkept: count(UNKEPT)?,
            errors: count(ERRORS)?,
            damaged: count(DAMAGED)?,
            failing: level(FAILING)?,
            bytes: level(BYTES)?,
        })
    }
}
