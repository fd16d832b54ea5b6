//! Figures that other parts count themselves, copied here and exported when scraped.

use std::collections::BTreeMap;
use std::num::NonZero;
use std::sync::{Arc, Mutex};

use monitor_common::Kind;
use monitor_common::loss::LossReason;
use prometheus::Error;
use prometheus::core::{Collector, Desc};
use prometheus::proto::{Counter, Gauge, LabelPair, Metric, MetricFamily, MetricType};

use super::definition::{Definition, counter, gauge};
use super::{ContainerLoad, Stall, lock};
use crate::probe::{Coverage, Loss, Tier};
use crate::selfcheck::Delivery;

/// The figures.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    /// Records that reached the daemon, since start.
    pub kept: Vec<(Kind, u64)>,
    /// Events that were left out in the kernel, for no rule can match them, since start.
    pub filtered: Vec<(Kind, u64)>,
    /// Records that did not, since start.
    pub lost: Vec<Loss>,
    /// The same by where they came from: `container`, `host` or `unknown`.
    pub lost_places: Vec<(&'static str, u64)>,
    /// Runs of kernel programs that the kernel left out, by program.
    pub missed: Vec<(&'static str, u64)>,
    /// What serves each event kind.
    pub coverage: Vec<Coverage>,
    /// Whether it delivers, by kind.
    pub deliveries: Vec<(Kind, Delivery)>,
    /// The container index.
    pub containers: ContainerCache,
    /// Users and groups of containers.
    pub accounts: Cache,
    /// Events that wait for metadata.
    pub waiting: Waiting,
    /// Whether the Docker API answers.
    pub docker_up: bool,
    /// The process table.
    pub processes: Cache,
    /// Records of a process that nothing else had told of, since start.
    pub unknown_processes: u64,
    /// How often it could not be told whose a process is.
    pub unknown_places: u64,
    /// Processes whose arguments could not be read in time.
    pub unread_processes: u64,
    /// When these figures were made, ms since boot.
    pub made_ms: u64,
    /// When the last canary came, ms since boot.
    pub canary_ms: Option<u64>,
    /// Outputs that do not get on.
    pub stalls: Vec<Stall>,
    /// Events by container; shown by `top`, not scraped.
    pub loads: Vec<ContainerLoad>,
}

/// A bounded cache.
#[derive(Clone, Copy, Debug, Default)]
pub struct Cache {
    /// Entries now.
    pub entries: u64,
    /// Approximate bytes now.
    pub bytes: u64,
    /// Entries thrown out for lack of room, since start.
    pub evictions: u64,
}

/// The container index.
#[derive(Clone, Copy, Debug, Default)]
pub struct ContainerCache {
    /// Its size.
    pub cache: Cache,
    /// Containers known by id only, still being inspected.
    pub pending: u64,
    /// Cgroups known, those of the host among them.
    pub cgroups: u64,
    /// Cgroups forgotten, or taken for a plain part of another, for lack of room, since start.
    pub cgroups_dropped: u64,
}

/// Events that wait for the metadata of their container.
#[derive(Clone, Copy, Debug, Default)]
pub struct Waiting {
    /// How many wait now.
    pub events: u64,
    /// Approximate bytes now.
    pub bytes: u64,
    /// Events that waited in vain, since start.
    pub overdue: u64,
    /// Events that could not wait for lack of room, since start.
    pub refused: u64,
}

impl Snapshot {
    /// Records kept, of all kinds.
    pub fn kept_total(&self) -> u64 {
        self.kept.iter().map(|(_, count)| count).sum()
    }

    /// Records lost, of all kinds, for all reasons, on all CPUs.
    pub fn lost_total(&self) -> u64 {
        self.lost.iter().map(|loss| loss.count).sum()
    }
}

/// Exports a shared snapshot.
pub(super) struct SnapshotCollector {
    snapshot: Arc<Mutex<Snapshot>>,
    descriptions: Vec<Desc>,
}

pub(super) const KEPT: &Definition = &counter(
    "monitor_records_kept_total",
    &["kind"],
    "records",
    "Records that the kernel side kept and the daemon received.",
);
pub(super) const FILTERED: &Definition = &counter(
    "monitor_events_filtered_total",
    &["kind"],
    "events",
    "Events that the kernel side left out because no loaded rule can match them.",
);
pub(super) const LOST: &Definition = &counter(
    "monitor_records_lost_total",
    &["kind", "reason", "cpu"],
    "records",
    "Records lost between hook and daemon.",
);
const LOST_PLACES: &Definition = &counter(
    "monitor_records_lost_by_place_total",
    &["place"],
    "records",
    "Records lost, by where they came from: a container, the host, or unknown. Alerts of the rule \
     `Monitor internal: events lost` name the container.",
);
const MISSED: &Definition = &counter(
    "monitor_program_runs_missed_total",
    &["program"],
    "runs",
    "Runs of a kernel program left out because it was running on that CPU already.",
);
const UNKNOWN: &Definition = &counter(
    "monitor_unknown_processes_total",
    &[],
    "records",
    "Records of a process that nothing else had told of.",
);
const UNKNOWN_PLACES: &Definition = &counter(
    "monitor_unknown_containers_total",
    &[],
    "events",
    "Events of a process whose cgroup could not be told. They are judged as those of a container \
     whose id is `unknown`.",
);
const UNREAD: &Definition = &counter(
    "monitor_unread_processes_total",
    &[],
    "processes",
    "Processes found in `/proc` whose arguments and environment were not read because that took too \
     long: somebody holds the lock of their memory.",
);
const PROVIDER: &Definition = &gauge(
    "monitor_provider",
    &["kind", "provider", "tier"],
    "1 or 0",
    "What serves an event kind: 1, or 0 when nothing does and the daemon is blind for it.",
);
const DELIVERS: &Definition = &gauge(
    "monitor_provider_delivers",
    &["kind", "provider"],
    "1 or 0",
    "Whether the record of our own act came in the latest self-check, with what each \
     program adds to it: 0 when it did not and the daemon is blind for the kind. Kinds that cannot be checked are not there.",
);
const CONTAINERS: &Definition = &gauge(
    "monitor_container_cache_entries",
    &[],
    "containers",
    "Containers known.",
);
const CONTAINERS_PENDING: &Definition = &gauge(
    "monitor_container_cache_pending",
    &[],
    "containers",
    "Containers whose metadata has not come yet.",
);
const CONTAINERS_BYTES: &Definition = &gauge(
    "monitor_container_cache_bytes",
    &[],
    "bytes",
    "Approximate memory of the container cache.",
);
const CONTAINERS_EVICTED: &Definition = &counter(
    "monitor_container_cache_evictions_total",
    &[],
    "containers",
    "Containers forgotten for lack of room.",
);
const CGROUPS: &Definition = &gauge(
    "monitor_cgroup_cache_entries",
    &[],
    "cgroups",
    "Cgroups known, those of the host among them.",
);
const CGROUPS_DROPPED: &Definition = &counter(
    "monitor_cgroup_cache_evictions_total",
    &[],
    "cgroups",
    "Cgroups forgotten, or taken for a plain part of another, for lack of room.",
);
const ACCOUNTS: &Definition = &gauge(
    "monitor_account_cache_entries",
    &[],
    "containers",
    "Containers whose users and groups are known.",
);
const ACCOUNTS_BYTES: &Definition = &gauge(
    "monitor_account_cache_bytes",
    &[],
    "bytes",
    "Approximate memory of the users and groups of containers.",
);
const ACCOUNTS_EVICTED: &Definition = &counter(
    "monitor_account_cache_evictions_total",
    &[],
    "containers",
    "Containers whose users and groups were forgotten for lack of room.",
);
const WAITING: &Definition = &gauge(
    "monitor_waiting_events",
    &[],
    "events",
    "Events that wait for the metadata of their container.",
);
pub(super) const WAITING_BYTES: &Definition = &gauge(
    "monitor_waiting_bytes",
    &[],
    "bytes",
    "Approximate memory of the events that wait.",
);
const WAITED_IN_VAIN: &Definition = &counter(
    "monitor_waits_overdue_total",
    &[],
    "events",
    "Events judged without metadata, which did not come in time.",
);
const WAIT_REFUSED: &Definition = &counter(
    "monitor_waits_refused_total",
    &[],
    "events",
    "Events judged without metadata because there was no room to wait.",
);
pub(super) const DOCKER_UP: &Definition = &gauge(
    "monitor_docker_up",
    &[],
    "1 or 0",
    "Whether the Docker API answers.",
);
const PROCESSES: &Definition = &gauge(
    "monitor_process_table_entries",
    &[],
    "processes",
    "Processes known.",
);
const PROCESSES_BYTES: &Definition = &gauge(
    "monitor_process_table_bytes",
    &[],
    "bytes",
    "Approximate memory of the process table.",
);
const PROCESSES_EVICTED: &Definition = &counter(
    "monitor_process_table_evictions_total",
    &[],
    "processes",
    "Processes forgotten for lack of room.",
);
pub(super) const DEFINITIONS: &[&Definition] = &[
    KEPT,
    FILTERED,
    LOST,
    LOST_PLACES,
    MISSED,
    UNKNOWN,
    UNKNOWN_PLACES,
    UNREAD,
    PROVIDER,
    DELIVERS,
    CONTAINERS,
    CONTAINERS_PENDING,
    CONTAINERS_BYTES,
    CONTAINERS_EVICTED,
    CGROUPS,
    CGROUPS_DROPPED,
    ACCOUNTS,
    ACCOUNTS_BYTES,
    ACCOUNTS_EVICTED,
    WAITING,
    WAITING_BYTES,
    WAITED_IN_VAIN,
    WAIT_REFUSED,
    DOCKER_UP,
    PROCESSES,
    PROCESSES_BYTES,
    PROCESSES_EVICTED,
];

impl SnapshotCollector {
    pub(super) fn new(snapshot: Arc<Mutex<Snapshot>>) -> Result<Self, Error> {
        let descriptions = DEFINITIONS.iter().map(|about| about.description());
        let descriptions = descriptions.collect::<Result<_, _>>()?;
        Ok(Self {
            snapshot,
            descriptions,
        })
    }
}

impl Collector for SnapshotCollector {
    fn desc(&self) -> Vec<&Desc> {
        self.descriptions.iter().collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let snapshot = lock(&self.snapshot).clone();
        let Snapshot {
            kept,
            filtered,
            lost,
            lost_places,
            missed,
            coverage,
            deliveries,
            ..
        } = &snapshot;
        let checked = coverage
            .iter()
            .filter_map(|kind| delivery_sample(kind, deliveries));
        let labelled = [
            family(
                KEPT,
                kept.iter()
                    .map(|(kind, count)| sample(KEPT, &[("kind", kind.name())], *count)),
            ),
            family(
                FILTERED,
                filtered
                    .iter()
                    .map(|(kind, count)| sample(FILTERED, &[("kind", kind.name())], *count)),
            ),
            family(LOST, with_zeros(lost).into_iter().map(loss_sample)),
            family(
                LOST_PLACES,
                lost_places
                    .iter()
                    .map(|(place, count)| sample(LOST_PLACES, &[("place", place)], *count)),
            ),
            family(
                MISSED,
                missed
                    .iter()
                    .map(|(program, count)| sample(MISSED, &[("program", program)], *count)),
            ),
            family(PROVIDER, coverage.iter().map(provider_sample)),
            family(DELIVERS, checked),
        ];
        let plain = plain(&snapshot);
        let plain = plain.map(|(about, value)| family(about, [sample(about, &[], value)]));
        // A family without samples is not valid exposition.
        labelled
            .into_iter()
            .chain(plain)
            .filter(|family| !family.get_metric().is_empty())
            .collect()
    }
}

/// The figures without labels.
fn plain(snapshot: &Snapshot) -> [(&'static Definition, u64); 20] {
    let Snapshot {
        containers,
        accounts,
        waiting,
        docker_up,
        processes,
        unknown_processes,
        unknown_places,
        unread_processes,
        ..
    } = snapshot;
    [
        (CONTAINERS, containers.cache.entries),
        (CONTAINERS_PENDING, containers.pending),
        (CONTAINERS_BYTES, containers.cache.bytes),
        (CONTAINERS_EVICTED, containers.cache.evictions),
        (CGROUPS, containers.cgroups),
        (CGROUPS_DROPPED, containers.cgroups_dropped),
        (ACCOUNTS, accounts.entries),
        (ACCOUNTS_BYTES, accounts.bytes),
        (ACCOUNTS_EVICTED, accounts.evictions),
        (WAITING, waiting.events),
        (WAITING_BYTES, waiting.bytes),
        (WAITED_IN_VAIN, waiting.overdue),
        (WAIT_REFUSED, waiting.refused),
        (DOCKER_UP, u64::from(*docker_up)),
        (UNKNOWN, *unknown_processes),
        (UNKNOWN_PLACES, *unknown_places),
        (UNREAD, *unread_processes),
        (PROCESSES, processes.entries),
        (PROCESSES_BYTES, processes.bytes),
        (PROCESSES_EVICTED, processes.evictions),
    ]
}

/// By kind, reason and CPU; the commonest reason is there from the start on every CPU, so that the
/// first loss is an increase and not a new series.
type Losses = BTreeMap<(Kind, &'static str, u32), u64>;

fn with_zeros(lost: &[Loss]) -> Losses {
    let cpus = std::thread::available_parallelism().map_or(1, NonZero::get) as u32;
    let zeros = Kind::ALL
        .into_iter()
        .flat_map(|kind| (0..cpus).map(move |cpu| ((kind, LossReason::RingFull.name(), cpu), 0)));
    let counted = lost
        .iter()
        .map(|loss| ((loss.kind, loss.reason.name(), loss.cpu), loss.count));
    zeros.chain(counted).collect()
}

fn loss_sample(((kind, reason, cpu), count): ((Kind, &'static str, u32), u64)) -> Metric {
    let cpu = cpu.to_string();
    sample(
        LOST,
        &[("cpu", &cpu), ("kind", kind.name()), ("reason", reason)],
        count,
    )
}

fn provider_sample(coverage: &Coverage) -> Metric {
    let provider = coverage.provider.as_deref();
    let labels = [
        ("kind", coverage.kind.name()),
        ("provider", provider.unwrap_or("none")),
        ("tier", coverage.tier.map_or("none", Tier::name)),
    ];
    sample(PROVIDER, &labels, u64::from(provider.is_some()))
}

fn delivery_sample(coverage: &Coverage, deliveries: &[(Kind, Delivery)]) -> Option<Metric> {
    let (_, delivery) = deliveries.iter().find(|(kind, _)| *kind == coverage.kind)?;
    let value = match delivery {
        Delivery::Delivers => 1,
        Delivery::Silent | Delivery::Lacking(_) => 0,
        Delivery::Unchecked(_) => return None,
    };
    let labels = [
        ("kind", coverage.kind.name()),
        ("provider", coverage.provider.as_deref().unwrap_or("none")),
    ];
    Some(sample(DELIVERS, &labels, value))
}

fn sample(about: &Definition, labels: &[(&str, &str)], value: u64) -> Metric {
    let labels = labels.iter().map(|(name, value)| {
        let mut pair = LabelPair::default();
        pair.set_name((*name).to_owned());
        pair.set_value((*value).to_owned());
        pair
    });
    let mut metric = Metric::from_label(labels.collect());
    if about.family == MetricType::COUNTER {
        let mut counter = Counter::default();
        counter.set_value(value as f64);
        metric.set_counter(counter);
    } else {
        let mut gauge = Gauge::default();
        gauge.set_value(value as f64);
        metric.set_gauge(gauge);
    }
    metric
}

fn family(about: &Definition, samples: impl IntoIterator<Item = Metric>) -> MetricFamily {
    let mut family = MetricFamily::default();
    family.set_name(about.name.to_owned());
    family.set_help(about.help.to_owned());
    family.set_field_type(about.family);
    family.set_metric(samples.into_iter().collect());
    family
}
