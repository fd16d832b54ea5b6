//! What a metric is: the one place that says its name, labels, unit and meaning, for the registry
//! and for docs/reference/metrics.md alike.

use std::collections::HashMap;
use std::fmt::Write as _;

use prometheus::core::{Collector as _, Desc};
use prometheus::process_collector::ProcessCollector;
use prometheus::proto::MetricType;
use prometheus::{Error, HistogramOpts, Opts};

/// A family of metrics.
#[derive(Clone, Copy, Debug)]
pub(super) struct Definition {
    pub(super) name: &'static str,
    pub(super) family: MetricType,
    pub(super) labels: &'static [&'static str],
    /// What is counted, or what a value is in.
    pub(super) unit: &'static str,
    pub(super) help: &'static str,
}

/// A family that only grows.
pub(super) const fn counter(
    name: &'static str,
    labels: &'static [&'static str],
    unit: &'static str,
    help: &'static str,
) -> Definition {
    Definition {
        name,
        family: MetricType::COUNTER,
        labels,
        unit,
        help,
    }
}

/// A family that goes up and down.
pub(super) const fn gauge(
    name: &'static str,
    labels: &'static [&'static str],
    unit: &'static str,
    help: &'static str,
) -> Definition {
    Definition {
        family: MetricType::GAUGE,
        ..counter(name, labels, unit, help)
    }
}

/// A family of distributions.
pub(super) const fn histogram(
    name: &'static str,
    labels: &'static [&'static str],
    unit: &'static str,
    help: &'static str,
) -> Definition {
    Definition {
        family: MetricType::HISTOGRAM,
        ..counter(name, labels, unit, help)
    }
}

impl Definition {
    /// For a counter or gauge.
    pub(super) fn options(&self) -> Opts {
        Opts::new(self.name, self.help)
    }

    /// For a histogram.
    pub(super) fn buckets(&self, buckets: &[f64]) -> HistogramOpts {
        HistogramOpts::new(self.name, self.help).buckets(buckets.to_vec())
    }

    /// For a collector that makes its own samples.
    pub(super) fn description(&self) -> Result<Desc, Error> {
        let (name, help) = (self.name.to_owned(), self.help.to_owned());
        Desc::new(name, help, Vec::new(), HashMap::new())
    }

    fn kind(&self) -> &'static str {
        match self.family {
            MetricType::COUNTER => "counter",
            MetricType::HISTOGRAM => "histogram",
            _ => "gauge",
        }
    }
}

/// docs/reference/metrics.md.
pub fn markdown() -> String {
    let mut text = String::from(
        "# Metrics\n\n\
         <!-- Made by `monitor-daemon reference metrics`; do not edit. -->\n\n\
         Prometheus finds these at `metrics.listen`, `http://127.0.0.1:9464/metrics` unless \
         configured otherwise. Labels are bounded: no pid, path or container is one. Loads of \
         containers are in `monitor-daemon top`. Alert on `monitor_records_lost_total`, \
         `monitor_alerts_lost_total`, `monitor_alert_write_errors_total`, \
         `monitor_policy_load_successful == 0`, `monitor_provider == 0`, \
         `monitor_provider_delivers == 0` and on `time() - monitor_canary_timestamp_seconds > 30`.\n\n\
         `/healthz` beside it answers 200 while all is well, and 503 while the daemon starts or \
         something is wrong, with JSON that says what: the loop turns, programs are attached and \
         deliver, the canary (the daemon's own event, every 5 s) is at most 30 s old, no output \
         leaves alerts waiting for 60 s, alerts are kept. The canary's way ends at the rules: that \
         alerts come as far as the log and servers is not tried by it, but told by the last two. \
         Details are for this host only.\n\n\
         | Metric | Type | Labels | Unit | Meaning |\n|---|---|---|---|---|\n",
    );
    for definition in all() {
        let labels: Vec<String> = definition
            .labels
            .iter()
            .map(|label| format!("`{label}`"))
            .collect();
        let _ = writeln!(
            text,
            "| `{}` | {} | {} | {} | {} |",
            definition.name,
            definition.kind(),
            labels.join(", "),
            definition.unit,
            definition.help
        );
    }
    text.push_str("\nOf the process, as every client of Prometheus tells them:\n\n");
    for description in ProcessCollector::for_self().desc() {
        let _ = writeln!(text, "- `{}`: {}", description.fq_name, description.help);
    }
    text
}

/// Every family of ours.
pub(super) fn all() -> impl Iterator<Item = &'static Definition> {
    [
        super::DEFINITIONS,
        super::output::DEFINITIONS,
        super::log::DEFINITIONS,
        super::canary::DEFINITIONS,
        super::rollup::DEFINITIONS,
        super::policy::DEFINITIONS,
        super::snapshot::DEFINITIONS,
    ]
    .into_iter()
    .flatten()
    .copied()
}
