//! Metrics of the daemon's own event that has to come the whole way.

use prometheus::{Error, Gauge, Histogram, IntCounter, Registry};

use super::definition::{Definition, counter, gauge, histogram};
use super::register;

const CAME: &Definition = &counter(
    "monitor_canaries_total",
    &[],
    "events",
    "Events of the daemon's own, one every 5 s, that came through the kernel and the loop and were \
     tried on all rules.",
);
const MISSING: &Definition = &counter(
    "monitor_canaries_missing_total",
    &[],
    "events",
    "Times that none came for 15 s, each of which is an alert too.",
);
const LAST: &Definition = &gauge(
    "monitor_canary_timestamp_seconds",
    &[],
    "seconds",
    "When the last one came, since the epoch. `time()` less this is the age of what the daemon knows.",
);
const LATENCY: &Definition = &histogram(
    "monitor_canary_latency_seconds",
    &[],
    "seconds",
    "Time from the event in the kernel until all rules were tried on it.",
);
pub(super) const DEFINITIONS: &[&Definition] = &[CAME, MISSING, LAST, LATENCY];

/// 100 µs to 10 s.
const BUCKETS: [f64; 11] = [
    1e-4, 2.5e-4, 5e-4, 1e-3, 5e-3, 1e-2, 5e-2, 0.1, 0.5, 1.0, 10.0,
];

/// The figures.
#[derive(Clone, Debug)]
pub struct CanaryMetrics {
    came: IntCounter,
    /// Times that none came.
    pub missing: IntCounter,
    last: Gauge,
    latency: Histogram,
}

impl CanaryMetrics {
    pub(super) fn new(registry: &Registry) -> Result<Self, Error> {
        let count =
            |about: &Definition| register(registry, IntCounter::with_opts(about.options())?);
        let latency = Histogram::with_opts(LATENCY.buckets(&BUCKETS))?;
        Ok(Self {
            came: count(CAME)?,
            missing: count(MISSING)?,
            last: register(registry, Gauge::with_opts(LAST.options())?)?,
            latency: register(registry, latency)?,
        })
    }

    /// One came at `epoch_seconds`, this long after its event.
    pub fn came(&self, epoch_seconds: f64, latency_seconds: f64) {
        self.came.inc();
        self.last.set(epoch_seconds);
        self.latency.observe(latency_seconds);
    }
}
