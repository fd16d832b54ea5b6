//! What `monitor-daemon top` is told: totals since start, from which two looks make rates. The
//! form in which they travel is no public interface; `top` and the daemon are one program.

use std::collections::BTreeMap;
use std::time::Duration;

use prometheus::proto::{Metric, MetricFamily, MetricType};
use rustix::time::{ClockId, clock_gettime};
use serde::{Deserialize, Serialize};

use super::definition::Definition;
use super::{RULE_MATCHES, RULE_SECONDS, log, output, snapshot};

/// A look at the daemon.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct Top {
    /// The daemon's version.
    pub version: String,
    /// Its process number: another one means that it was started again.
    pub pid: u32,
    /// When the daemon made these figures, ms since boot: once a second.
    pub taken_ms: u64,
    /// Seconds of CPU time used.
    pub cpu_seconds: f64,
    /// Resident memory, bytes.
    pub rss_bytes: u64,
    /// Whether the Docker API answers.
    pub docker_up: bool,
    /// Bytes of events that wait for metadata.
    pub waiting_bytes: u64,
    /// Bytes of the alert log, when last looked.
    pub log_bytes: u64,
    /// Whether it cannot be written.
    pub log_failing: bool,
    /// Records received, of all kinds.
    pub records: u64,
    /// Records lost between hook and daemon, by kind and reason; none without a loss.
    pub records_lost: Vec<RecordLoss>,
    /// Events by container, those of the host among them.
    pub containers: Vec<ContainerLoad>,
    /// Rules.
    pub rules: Vec<RuleLoad>,
    /// Alert outputs.
    pub outputs: Vec<OutputLoad>,
}

/// Records lost for one reason.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct RecordLoss {
    /// Kind of the records.
    pub kind: String,
    /// Why.
    pub reason: String,
    /// How many.
    pub count: u64,
}

/// A container's events.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct ContainerLoad {
    /// Short id; `host` for what is in no container.
    pub id: String,
    /// Name, empty while it is not known.
    pub name: String,
    /// Image, empty while it is not known.
    pub image: String,
    /// Records since start.
    pub events: u64,
}

/// What a rule does and costs.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct RuleLoad {
    /// Its name.
    pub rule: String,
    /// Its priority.
    pub priority: String,
    /// Events matched.
    pub matches: u64,
    /// Seconds of evaluation, an estimate.
    pub seconds: f64,
}

/// An alert output.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct OutputLoad {
    /// Its name.
    pub output: String,
    /// Alerts written.
    pub written: u64,
    /// Bytes waiting.
    pub queue_bytes: u64,
    /// Alerts behind the last that it has.
    pub waiting: u64,
    /// Age of the oldest of them, seconds.
    pub oldest_seconds: u64,
    /// Why they are not taken; nothing when all is well.
    pub trouble: Option<String>,
    /// Alerts lost, by reason; none without a loss.
    pub lost: BTreeMap<String, u64>,
}

/// Makes a look of what is scraped too: all but the time and the containers.
pub(super) fn gather(families: &[MetricFamily]) -> Top {
    let families = Families(families);
    Top {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        pid: std::process::id(),
        cpu_seconds: cpu_time().as_secs_f64(),
        rss_bytes: families.sum("process_resident_memory_bytes"),
        docker_up: families.sum(snapshot::DOCKER_UP.name) > 0,
        waiting_bytes: families.sum(snapshot::WAITING_BYTES.name),
        log_bytes: families.sum(log::BYTES.name),
        log_failing: families.sum(log::FAILING.name) > 0,
        records: families.sum(snapshot::KEPT.name),
        records_lost: families.losses(),
        rules: families.rules(),
        outputs: families.outputs(),
        ..Top::default()
    }
}

fn cpu_time() -> Duration {
    let used = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(used.tv_sec as u64, used.tv_nsec as u32)
}

/// Gathered families, asked by name.
struct Families<'f>(&'f [MetricFamily]);

impl Families<'_> {
    fn samples(&self, name: &str) -> impl Iterator<Item = Sample<'_>> {
        let families = self.0.iter().filter(move |family| family.name() == name);
        families.flat_map(|family| {
            let kind = family.get_field_type();
            family
                .get_metric()
                .iter()
                .map(move |metric| Sample { metric, kind })
        })
    }

    fn of(&self, about: &Definition) -> impl Iterator<Item = Sample<'_>> {
        self.samples(about.name)
    }

    fn sum(&self, name: &str) -> u64 {
        self.samples(name).map(|sample| sample.value() as u64).sum()
    }

    fn losses(&self) -> Vec<RecordLoss> {
        let mut counts: BTreeMap<(&str, &str), u64> = BTreeMap::new();
        for sample in self.of(snapshot::LOST).collect::<Vec<_>>() {
            let key = (sample.label("kind"), sample.label("reason"));
            *counts.entry(key).or_default() += sample.value() as u64;
        }
        let lost = counts.into_iter().filter(|(_, count)| *count > 0);
        lost.map(|((kind, reason), count)| RecordLoss {
            kind: kind.to_owned(),
            reason: reason.to_owned(),
            count,
        })
        .collect()
    }

    fn rules(&self) -> Vec<RuleLoad> {
        let seconds: BTreeMap<String, f64> = self
            .of(RULE_SECONDS)
            .map(|sample| (sample.label("rule").to_owned(), sample.value()))
            .collect();
        self.of(RULE_MATCHES)
            .map(|sample| RuleLoad {
                rule: sample.label("rule").to_owned(),
                priority: sample.label("priority").to_owned(),
                matches: sample.value() as u64,
                seconds: seconds.get(sample.label("rule")).copied().unwrap_or(0.0),
            })
            .collect()
    }

    fn outputs(&self) -> Vec<OutputLoad> {
        let mut outputs: BTreeMap<&str, OutputLoad> = BTreeMap::new();
        let samples = |about| self.of(about).collect::<Vec<_>>();
        for sample in samples(output::ALERTS) {
            outputs.entry(sample.label("output")).or_default().written = sample.value() as u64;
        }
        for sample in samples(output::QUEUE_BYTES) {
            let output = outputs.entry(sample.label("output")).or_default();
            output.queue_bytes = sample.value() as u64;
        }
        for sample in samples(output::WAITING) {
            outputs.entry(sample.label("output")).or_default().waiting = sample.value() as u64;
        }
        for sample in samples(output::OLDEST) {
            let output = outputs.entry(sample.label("output")).or_default();
            output.oldest_seconds = sample.value() as u64;
        }
        let lost = samples(output::LOST);
        for sample in lost.iter().filter(|sample| sample.value() > 0.0) {
            let output = outputs.entry(sample.label("output")).or_default();
            let reason = sample.label("reason").to_owned();
            output.lost.insert(reason, sample.value() as u64);
        }
        let named = outputs.into_iter().map(|(name, output)| OutputLoad {
            output: name.to_owned(),
            ..output
        });
        named.collect()
    }
}

/// A value with its labels.
#[derive(Clone, Copy)]
struct Sample<'f> {
    metric: &'f Metric,
    kind: MetricType,
}

impl<'f> Sample<'f> {
    fn label(&self, name: &str) -> &'f str {
        let labels = self.metric.get_label().iter();
        labels
            .filter(|label| label.name() == name)
            .map(prometheus::proto::LabelPair::value)
            .next()
            .unwrap_or_default()
    }

    fn value(&self) -> f64 {
        match self.kind {
            MetricType::COUNTER => self.metric.get_counter().get_value(),
            _ => self.metric.get_gauge().get_value(),
        }
    }
}
