//! Metrics of the alert outputs, by output.

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
const LATENCY: &Definition = &histogram(
    "monitor_alert_latency_seconds",
    OUTPUT,
    "seconds",
    "Time from the kernel event to the alert written.",
);
pub(super) const DEFINITIONS: &[&Definition] = &[ALERTS, LOST, WRITE_ERRORS, QUEUE_BYTES, LATENCY];

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
    /// Seconds from the kernel event to the alert written.
    pub latency: Histogram,
}

/// The families that [`OutputMetrics`] are children of.
#[derive(Debug)]
pub(super) struct OutputFamilies {
    alerts: IntCounterVec,
    lost: IntCounterVec,
    write_errors: IntCounterVec,
    queue_bytes: IntGaugeVec,
    latency: HistogramVec,
}

impl OutputFamilies {
    pub(super) fn new(registry: &Registry) -> Result<Self, Error> {
        let counters = |about: &Definition| {
            register(registry, IntCounterVec::new(about.options(), about.labels)?)
        };
        let queue = IntGaugeVec::new(QUEUE_BYTES.options(), QUEUE_BYTES.labels)?;
        let latency = HistogramVec::new(LATENCY.buckets(&LATENCY_BUCKETS), LATENCY.labels)?;
        Ok(Self {
            alerts: counters(ALERTS)?,
            lost: counters(LOST)?,
            write_errors: counters(WRITE_ERRORS)?,
            queue_bytes: register(registry, queue)?,
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
            latency: self.latency.with_label_values(&[name]),
        }
    }
}
