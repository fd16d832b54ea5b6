//! What Prometheus sees of the daemon.
//!
//! Counters of hot paths are handles resolved once ([`Metrics::rule`], [`Metrics::output`], the
//! public fields); what other parts count themselves (kernel losses, caches) is copied into a
//! [`Snapshot`] about once a second and turned into metrics when scraped. Labels are bounded:
//! kinds, reasons, CPUs, providers, rules and outputs, never a pid or a path.

mod canary;
mod definition;
mod health;
mod log;
mod output;
mod policy;
mod rollup;
mod server;
mod snapshot;
mod top;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use monitor_policy::Priority;
use prometheus::process_collector::ProcessCollector;
use prometheus::{
    Counter, CounterVec, Encoder, Error, Gauge, Histogram, IntCounter, IntCounterVec, IntGauge,
    Registry, TextEncoder,
};

pub use canary::CanaryMetrics;
pub use definition::markdown;
use definition::{Definition, counter, gauge, histogram};
use health::Health;
pub use health::Stall;
pub use log::LogMetrics;
use output::OutputFamilies;
pub use output::OutputMetrics;
pub use policy::PolicyMetrics;
pub use rollup::RollupMetrics;
pub use server::{ServeError, Server};
use snapshot::SnapshotCollector;
pub use snapshot::{Cache, ContainerCache, Snapshot, Waiting};
pub use top::{ContainerLoad, OutputLoad, RecordLoss, RuleLoad, Top};

use crate::clock;

const BUILD_INFO: &Definition = &gauge(
    "monitor_build_info",
    &["version"],
    "1",
    "Version of the daemon; always 1.",
);
const DECODE_ERRORS: &Definition = &counter(
    "monitor_decode_errors_total",
    &[],
    "records",
    "Records from the kernel that could not be decoded.",
);
const EVALUATION: &Definition = &histogram(
    "monitor_evaluation_seconds",
    &[],
    "seconds",
    "Time to evaluate one event against all rules.",
);
const RULES_LOADED: &Definition = &gauge(
    "monitor_rules_loaded",
    &[],
    "rules",
    "Rules loaded and enabled.",
);
const RULE_MATCHES: &Definition = &counter(
    "monitor_rule_matches_total",
    &["rule", "priority"],
    "events",
    "Events that a rule matched.",
);
const RULE_SECONDS: &Definition = &counter(
    "monitor_rule_evaluation_seconds_total",
    &["rule"],
    "seconds",
    "Time to test events against a rule, estimated from a sample. Parts that rules share count for \
     the first that needs them.",
);
const TAMPERINGS: &Definition = &counter(
    "monitor_tamperings_total",
    &[],
    "findings",
    "Changes that somebody else made to the daemon's programs, links and maps, each of which is an \
     alert too.",
);
const GAP: &Definition = &gauge(
    "monitor_gap_seconds",
    &[],
    "seconds",
    "Time before this start in which nothing was watched, 0 when no earlier run is known; an alert \
     of the rule `Monitor internal: nothing was watched` tells more.",
);
const DEFINITIONS: &[&Definition] = &[
    BUILD_INFO,
    DECODE_ERRORS,
    EVALUATION,
    RULES_LOADED,
    RULE_MATCHES,
    RULE_SECONDS,
    TAMPERINGS,
    GAP,
];

/// One event against all rules: 250 ns to 16 ms.
const EVALUATION_BUCKETS: [f64; 9] = [
    2.5e-7, 1e-6, 4e-6, 1.6e-5, 6.4e-5, 2.56e-4, 1e-3, 4e-3, 1.6e-2,
];

/// All metrics of one daemon.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    /// Records whose bytes were not a record.
    pub decode_errors: IntCounter,
    /// Seconds to evaluate one event against all rules. A loop should keep a
    /// [`local`](Histogram::local) copy and flush it once a batch.
    pub evaluation: Histogram,
    /// Rules loaded and enabled.
    pub rules_loaded: IntGauge,
    /// What somebody else did to our kernel objects.
    pub tamperings: IntCounter,
    /// Loads of rules.
    pub policy: PolicyMetrics,
    /// The alert log.
    pub log: LogMetrics,
    /// The daemon's own event.
    pub canary: CanaryMetrics,
    /// Alerts that were only counted.
    pub rollup: RollupMetrics,
    /// Seconds before this start in which nothing was watched.
    pub gap_seconds: Gauge,
    rule_matches: IntCounterVec,
    rule_seconds: CounterVec,
    outputs: OutputFamilies,
    snapshot: Arc<Mutex<Snapshot>>,
}

impl Metrics {
    /// Registers everything.
    ///
    /// # Errors
    ///
    /// Never in practice: a metric's name or label is malformed, which the tests would show.
    pub fn new() -> Result<Self, Error> {
        let registry = Registry::new();
        let snapshot = Arc::new(Mutex::new(Snapshot::default()));
        registry.register(Box::new(SnapshotCollector::new(Arc::clone(&snapshot))?))?;
        registry.register(Box::new(ProcessCollector::for_self()))?;
        build_info(&registry)?;
        let evaluation = Histogram::with_opts(EVALUATION.buckets(&EVALUATION_BUCKETS))?;
        let matches = IntCounterVec::new(RULE_MATCHES.options(), RULE_MATCHES.labels)?;
        let seconds = CounterVec::new(RULE_SECONDS.options(), RULE_SECONDS.labels)?;
        Ok(Self {
            decode_errors: register(&registry, IntCounter::with_opts(DECODE_ERRORS.options())?)?,
            evaluation: register(&registry, evaluation)?,
            tamperings: register(&registry, IntCounter::with_opts(TAMPERINGS.options())?)?,
            gap_seconds: register(&registry, Gauge::with_opts(GAP.options())?)?,
            rules_loaded: register(&registry, IntGauge::with_opts(RULES_LOADED.options())?)?,
            rule_matches: register(&registry, matches)?,
            rule_seconds: register(&registry, seconds)?,
            policy: PolicyMetrics::new(&registry)?,
            log: LogMetrics::new(&registry)?,
            canary: CanaryMetrics::new(&registry)?,
            rollup: RollupMetrics::new(&registry)?,
            outputs: OutputFamilies::new(&registry)?,
            snapshot,
            registry,
        })
    }

    /// The match counter of a rule; ask once, at load.
    pub fn rule(&self, name: &str, priority: Priority) -> IntCounter {
        self.rule_matches
            .with_label_values(&[name, &priority.to_string()])
    }

    /// The counter of a rule's evaluation time, in seconds; ask once, at load.
    pub fn rule_seconds(&self, name: &str) -> Counter {
        self.rule_seconds.with_label_values(&[name])
    }

    /// Forgets a rule that is not loaded any more.
    pub fn forget_rule(&self, name: &str, priority: Priority) {
        self.forget_matches(name, priority);
        self.rollup.forget(name);
        // It fails only for what is not there, which is what is wanted.
        drop(self.rule_seconds.remove_label_values(&[name]));
    }

    /// Forgets the matches of a rule that has another priority now.
    pub fn forget_matches(&self, name: &str, priority: Priority) {
        let priority = priority.to_string();
        drop(self.rule_matches.remove_label_values(&[name, &priority]));
    }

    /// The handles of an alert output, such as `stdout`; ask once.
    pub fn output(&self, name: &str) -> OutputMetrics {
        self.outputs.output(name)
    }

    /// The figures other parts count; held for a moment only, by the loop once a second and by a
    /// scrape.
    pub fn snapshot(&self) -> MutexGuard<'_, Snapshot> {
        lock(&self.snapshot)
    }

    /// What `monitor-daemon top` shows, now.
    pub fn top(&self) -> Top {
        let figures = self.snapshot().clone();
        let mut top = Top {
            taken_ms: figures.made_ms,
            containers: figures.loads,
            ..top::gather(&self.registry.gather())
        };
        for load in &mut top.outputs {
            load.trouble = self.outputs.trouble(&load.output);
        }
        top
    }

    /// Whether the daemon does its work, now.
    fn health(&self) -> Health {
        let log_fails = self.log.failing.get() != 0;
        Health::of(&self.snapshot(), log_fails, clock::boot_ns() / 1_000_000)
    }

    /// Everything in Prometheus' text format.
    ///
    /// # Errors
    ///
    /// A metric is inconsistent, which the tests would show.
    pub fn encode(&self) -> Result<Vec<u8>, Error> {
        let mut text = Vec::new();
        TextEncoder::new().encode(&self.registry.gather(), &mut text)?;
        Ok(text)
    }
}

/// A poisoned lock only means that another thread panicked between two assignments of figures.
fn lock(snapshot: &Mutex<Snapshot>) -> MutexGuard<'_, Snapshot> {
    snapshot.lock().unwrap_or_else(PoisonError::into_inner)
}

fn build_info(registry: &Registry) -> Result<(), Error> {
    let version = env!("CARGO_PKG_VERSION");
    let options = BUILD_INFO.options().const_label("version", version);
    register(registry, IntGauge::with_opts(options)?)?.set(1);
    Ok(())
}

fn register<C>(registry: &Registry, collector: C) -> Result<C, Error>
where
    C: prometheus::core::Collector + Clone + 'static,
{
    registry.register(Box::new(collector.clone()))?;
    Ok(collector)
}

#[cfg(test)]
mod packaged;
#[cfg(test)]
mod tests;
