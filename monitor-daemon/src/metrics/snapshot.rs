//! Figures that other parts count themselves, copied here and exported when scraped.

use std::collections::{BTreeMap, HashMap};
use std::num::NonZero;
use std::sync::{Arc, Mutex};

use monitor_common::Kind;
use monitor_common::loss::LossReason;
use prometheus::Error;
use prometheus::core::{Collector, Desc};
use prometheus::proto::{Counter, Gauge, LabelPair, Metric, MetricFamily, MetricType};

use super::lock;
use crate::probe::{Coverage, Loss, Tier};

/// The figures.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    /// Records that reached the daemon, since start.
    pub kept: Vec<(Kind, u64)>,
    /// Records that did not, since start.
    pub lost: Vec<Loss>,
    /// Runs of kernel programs that the kernel left out, by program.
    pub missed: Vec<(&'static str, u64)>,
    /// What serves each event kind.
    pub coverage: Vec<Coverage>,
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

/// Name, help and type of a family; the families below use them in this order.
type Family = (&'static str, &'static str, MetricType);

const KEPT: Family = (
    "monitor_records_kept_total",
    "Records that the kernel side kept and the daemon received.",
    MetricType::COUNTER,
);
const LOST: Family = (
    "monitor_records_lost_total",
    "Records lost between hook and daemon.",
    MetricType::COUNTER,
);
const MISSED: Family = (
    "monitor_program_runs_missed_total",
    "Runs of a kernel program left out because it was running on that CPU already.",
    MetricType::COUNTER,
);
const UNKNOWN: Family = (
    "monitor_unknown_processes_total",
    "Records of a process that nothing else had told of.",
    MetricType::COUNTER,
);
const PROVIDER: Family = (
    "monitor_provider",
    "What serves an event kind: 1, or 0 when nothing does and the daemon is blind for it.",
    MetricType::GAUGE,
);
const CONTAINERS: Family = (
    "monitor_container_cache_entries",
    "Containers known.",
    MetricType::GAUGE,
);
const CONTAINERS_PENDING: Family = (
    "monitor_container_cache_pending",
    "Containers whose metadata has not come yet.",
    MetricType::GAUGE,
);
const CONTAINERS_BYTES: Family = (
    "monitor_container_cache_bytes",
    "Approximate memory of the container cache.",
    MetricType::GAUGE,
);
const CONTAINERS_EVICTED: Family = (
    "monitor_container_cache_evictions_total",
    "Containers forgotten for lack of room.",
    MetricType::COUNTER,
);
const CGROUPS: Family = (
    "monitor_cgroup_cache_entries",
    "Cgroups known, those of the host among them.",
    MetricType::GAUGE,
);
const CGROUPS_DROPPED: Family = (
    "monitor_cgroup_cache_evictions_total",
    "Cgroups forgotten, or taken for a plain part of another, for lack of room.",
    MetricType::COUNTER,
);
const ACCOUNTS: Family = (
    "monitor_account_cache_entries",
    "Containers whose users and groups are known.",
    MetricType::GAUGE,
);
const ACCOUNTS_BYTES: Family = (
    "monitor_account_cache_bytes",
    "Approximate memory of the users and groups of containers.",
    MetricType::GAUGE,
);
const ACCOUNTS_EVICTED: Family = (
    "monitor_account_cache_evictions_total",
    "Containers whose users and groups were forgotten for lack of room.",
    MetricType::COUNTER,
);
const WAITING: Family = (
    "monitor_waiting_events",
    "Events that wait for the metadata of their container.",
    MetricType::GAUGE,
);
const WAITING_BYTES: Family = (
    "monitor_waiting_bytes",
    "Approximate memory of the events that wait.",
    MetricType::GAUGE,
);
const WAITED_IN_VAIN: Family = (
    "monitor_waits_overdue_total",
    "Events judged without metadata, which did not come in time.",
    MetricType::COUNTER,
);
const WAIT_REFUSED: Family = (
    "monitor_waits_refused_total",
    "Events judged without metadata because there was no room to wait.",
    MetricType::COUNTER,
);
const DOCKER_UP: Family = (
    "monitor_docker_up",
    "Whether the Docker API answers.",
    MetricType::GAUGE,
);
const PROCESSES: Family = (
    "monitor_process_table_entries",
    "Processes known.",
    MetricType::GAUGE,
);
const PROCESSES_BYTES: Family = (
    "monitor_process_table_bytes",
    "Approximate memory of the process table.",
    MetricType::GAUGE,
);
const PROCESSES_EVICTED: Family = (
    "monitor_process_table_evictions_total",
    "Processes forgotten for lack of room.",
    MetricType::COUNTER,
);
const FAMILIES: [Family; 22] = [
    KEPT,
    LOST,
    MISSED,
    UNKNOWN,
    PROVIDER,
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
        let describe = |(name, help, _): &Family| {
            Desc::new(
                (*name).to_owned(),
                (*help).to_owned(),
                Vec::new(),
                HashMap::new(),
            )
        };
        let descriptions = FAMILIES.iter().map(describe).collect::<Result<_, _>>()?;
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
        let Snapshot {
            kept,
            lost,
            missed,
            coverage,
            containers,
            accounts,
            waiting,
            docker_up,
            processes,
            unknown_processes,
        } = lock(&self.snapshot).clone();
        let ContainerCache {
            cache,
            pending,
            cgroups,
            cgroups_dropped,
        } = containers;
        let labelled = [
            family(
                KEPT,
                kept.iter()
                    .map(|(kind, count)| sample(KEPT, &[("kind", kind.name())], *count)),
            ),
            family(LOST, with_zeros(&lost).into_iter().map(loss_sample)),
            family(
                MISSED,
                missed
                    .iter()
                    .map(|(program, count)| sample(MISSED, &[("program", program)], *count)),
            ),
            family(PROVIDER, coverage.iter().map(provider_sample)),
        ];
        let plain = [
            (CONTAINERS, cache.entries),
            (CONTAINERS_PENDING, pending),
            (CONTAINERS_BYTES, cache.bytes),
            (CONTAINERS_EVICTED, cache.evictions),
            (CGROUPS, cgroups),
            (CGROUPS_DROPPED, cgroups_dropped),
            (ACCOUNTS, accounts.entries),
            (ACCOUNTS_BYTES, accounts.bytes),
            (ACCOUNTS_EVICTED, accounts.evictions),
            (WAITING, waiting.events),
            (WAITING_BYTES, waiting.bytes),
            (WAITED_IN_VAIN, waiting.overdue),
            (WAIT_REFUSED, waiting.refused),
            (DOCKER_UP, u64::from(docker_up)),
            (UNKNOWN, unknown_processes),
            (PROCESSES, processes.entries),
            (PROCESSES_BYTES, processes.bytes),
            (PROCESSES_EVICTED, processes.evictions),
        ];
        let plain = plain.map(|(about, value)| family(about, [sample(about, &[], value)]));
        // A family without samples is not valid exposition.
        labelled
            .into_iter()
            .chain(plain)
            .filter(|family| !family.get_metric().is_empty())
            .collect()
    }
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

fn sample((_, _, family_type): Family, labels: &[(&str, &str)], value: u64) -> Metric {
    let labels = labels.iter().map(|(name, value)| {
        let mut pair = LabelPair::default();
        pair.set_name((*name).to_owned());
        pair.set_value((*value).to_owned());
        pair
    });
    let mut metric = Metric::from_label(labels.collect());
    if family_type == MetricType::COUNTER {
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

fn family(
    (name, help, family_type): Family,
    samples: impl IntoIterator<Item = Metric>,
) -> MetricFamily {
    let mut family = MetricFamily::default();
    family.set_name(name.to_owned());
    family.set_help(help.to_owned());
    family.set_field_type(family_type);
    family.set_metric(samples.into_iter().collect());
    family
}
