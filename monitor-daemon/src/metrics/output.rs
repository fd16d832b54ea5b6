//! Metrics of the alert outputs, by output.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use prometheus::{
    Error, Histogram, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Registry,
};

use super::definition::{Definition, counter, gauge, histogram};
use super::register;

const OUTPUT: &[&str] = &["output"];
pub(super) const ALERTS: &Definition =
    &counter("monitor_alerts_total", OUTPUT, "alerts", "Alerts written.");
pub(super) const LOST: &Definition = &counter(
    "monitor_alerts_lost_total",
    &["output", "reason"],
    "alerts",
    "Alerts that could not be delivered.",
);
const WRITE_ERRORS: &Definition = &counter(
    "monitor_alert_write_errors_total",
    OUTPUT,
    "attempts",
    "Failed attempts to write alerts.",
);
pub(super) const QUEUE_BYTES: &Definition = &gauge(
    "monitor_alert_queue_bytes",
    OUTPUT,
    "bytes",
    "Memory of alerts waiting to be written.",
);
pub(super) const WAITING: &Definition = &gauge(
    "monitor_alerts_waiting",
    OUTPUT,
    "alerts",
    "Alerts behind the last that an output has, in memory and in the log; not all of them need be for \
     it.",
);
pub(super) const OLDEST: &Definition = &gauge(
    "monitor_alert_oldest_waiting_seconds",
    OUTPUT,
    "seconds",
    "Age of the oldest alert that an output tries to deliver; 0 when it has all.",
);
const LATENCY: &Definition = &histogram(
    "monitor_alert_latency_seconds",
    OUTPUT,
    "seconds",
    "Time from the kernel event to the alert written.",
);
pub(super) const DEFINITIONS: &[&Definition] = &[
    ALERTS,
    LOST,
    WRITE_ERRORS,
    QUEUE_BYTES,
    WAITING,
    OLDEST,
    LATENCY,
];

/// From a kernel event to its alert written out: 100 µs to 10 s.
const LATENCY_BUCKETS: [f64; 16] = [
    1e-4, 2.5e-4, 5e-4, 1e-3, 2.5e-3, 5e-3, 1e-2, 2.5e-2, 5e-2, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
];

/// Handles of one alert output.
#[derive(Clone, Debug)]
pub struct OutputMetrics {
    /// Alerts written.
    pub written: IntCounter,
    /// Alerts refused because the queue was full.
    pub lost_queue_full: IntCounter,
    /// Alerts written to a pipe or terminal that is gone.
    pub lost_write: IntCounter,
    /// Alerts that a server refused.
    pub lost_refused: IntCounter,
    /// Alerts that were removed from the log, or never got there, before they were written.
    pub lost_log: IntCounter,
    /// Alerts given up because the daemon stopped while the output was failing.
    pub lost_shutdown: IntCounter,
    /// Writes that failed, and will be tried again where that makes sense.
    pub write_errors: IntCounter,
    /// Bytes waiting.
    pub queue_bytes: IntGauge,
    /// Alerts behind the last that it has.
    pub waiting: IntGauge,
    /// Age of the oldest of them.
    pub oldest_seconds: IntGauge,
    /// Seconds from the kernel event to the alert written.
    pub latency: Histogram,
    /// What is wrong.
    pub trouble: Trouble,
}

/// Why an output's alerts are not taken; nothing when all is well. Shown by `top`, not scraped.
#[derive(Clone, Debug, Default)]
pub struct Trouble(Arc<Mutex<Option<String>>>);

impl Trouble {
    /// Sets it; what it was before.
    pub fn replace(&self, why: Option<String>) -> Option<String> {
        std::mem::replace(&mut self.lock(), why)
    }

    /// What it is.
    pub fn why(&self) -> Option<String> {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, Option<String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The families that [`OutputMetrics`] are children of.
#[derive(Debug)]
pub(super) struct OutputFamilies {
    alerts: IntCounterVec,
    lost: IntCounterVec,
    write_errors: IntCounterVec,
    queue_bytes: IntGaugeVec,
    waiting: IntGaugeVec,
    oldest: IntGaugeVec,
    troubles: Mutex<BTreeMap<String, Trouble>>,
    latency: HistogramVec,
}

impl OutputFamilies {
    pub(super) fn new(registry: &Registry) -> Result<Self, Error> {
        let counters = |about: &Definition| {
            register(registry, IntCounterVec::new(about.options(), about.labels)?)
        };
        let gauges = |about: &Definition| {
            register(registry, IntGaugeVec::new(about.options(), about.labels)?)
        };
        let latency = HistogramVec::new(LATENCY.buckets(&LATENCY_BUCKETS), LATENCY.labels)?;
        Ok(Self {
            alerts: counters(ALERTS)?,
            lost: counters(LOST)?,
            write_errors: counters(WRITE_ERRORS)?,
            queue_bytes: gauges(QUEUE_BYTES)?,
            waiting: gauges(WAITING)?,
            oldest: gauges(OLDEST)?,
            troubles: Mutex::default(),
            latency: register(registry, latency)?,
        })
    }

    pub(super) fn output(&self, name: &str) -> OutputMetrics {
        let lost = |reason| self.lost.with_label_values(&[name, reason]);
        OutputMetrics {
            written: self.alerts.with_label_values(&[name]),
            lost_queue_full: lost("queue_full"),
            lost_write: lost("write_failed"),
            lost_refused: lost("refused"),
            lost_log: lost("log"),
            lost_shutdown: lost("shutdown"),
            write_errors: self.write_errors.with_label_values(&[name]),
            queue_bytes: self.queue_bytes.with_label_values(&[name]),
            waiting: self.waiting.with_label_values(&[name]),
            oldest_seconds: self.oldest.with_label_values(&[name]),
            latency: self.latency.with_label_values(&[name]),
            trouble: self.troubles().entry(name.to_owned()).or_default().clone(),
        }
    }

    /// What is wrong with an output.
    pub(super) fn trouble(&self, name: &str) -> Option<String> {
        self.troubles().get(name).and_then(Trouble::why)
    }

    fn troubles(&self) -> MutexGuard<'_, BTreeMap<String, Trouble>> {
        self.troubles.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
