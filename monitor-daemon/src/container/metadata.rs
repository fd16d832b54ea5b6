//! What a container runtime says about a container: plain values, no I/O.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::path::PathBuf;
use std::sync::Arc;

use super::cgroup_path::{self, Owner, Runtime};

/// A container as an event sees it. Immutable: when metadata arrives, the index hands out a new
/// value.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Container {
    /// Full id.
    pub id: Arc<str>,
    /// Who runs it.
    pub runtime: Runtime,
    /// Who can have made its cgroup.
    pub owner: Owner,
    /// How far its metadata is.
    pub state: State,
    /// Name, image (without id and digest) and labels, told when it was created: all there is
    /// until the whole metadata is [`State::Known`]. All other parts are empty.
    pub early: Option<Arc<Metadata>>,
}

impl Container {
    /// What a process belongs to of which it cannot be told whether it is the host's: rules about
    /// containers hold for it, and no exception for the host does.
    pub fn unknown() -> Self {
        Self {
            id: "unknown".into(),
            runtime: Runtime::Unknown,
            owner: Owner::System,
            state: State::Unknown(Unknown::NoClient),
            early: None,
        }
    }

    /// Whether it is [`Self::unknown`].
    pub fn is_unknown(&self) -> bool {
        self.runtime == Runtime::Unknown
    }

    /// The first 12 characters of the id, as the field `container.id` gives it.
    pub fn short_id(&self) -> &str {
        cgroup_path::short_id(&self.id)
    }

    /// Its name and image, as soon as they are known: of the whole metadata or of `early`.
    pub fn name_and_image(&self) -> Option<(&str, &Image)> {
        let told = self.metadata().or(self.early.as_deref())?;
        Some((&told.name, &told.image))
    }

    /// The whole metadata, if it is there.
    pub fn metadata(&self) -> Option<&Metadata> {
        match &self.state {
            State::Known(metadata) => Some(metadata),
            State::Pending | State::Unknown(_) => None,
        }
    }
}

/// How far the metadata of a container is.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum State {
    /// Here it is.
    Known(Arc<Metadata>),
    /// Asked for: worth waiting a moment.
    Pending,
    /// Nothing to wait for.
    Unknown(Unknown),
}

/// Why there is no metadata and none is on its way.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Unknown {
    /// No client for this runtime (or for this user's instance of it).
    NoClient,
    /// The runtime does not know the id: a container made by another one, for example inside a
    /// container.
    NotFound,
    /// The runtime cannot be reached at the moment; it is asked again when it can.
    RuntimeDown,
    /// Dropped to keep within the byte budget.
    Evicted,
}

impl Unknown {
    /// Lower-case name, as in metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::NoClient => "no_client",
            Self::NotFound => "not_found",
            Self::RuntimeDown => "runtime_down",
            Self::Evicted => "evicted",
        }
    }
}

/// What the runtime told about one container.
#[expect(
    clippy::struct_excessive_bools,
    reason = "independent switches, as Docker has them"
)]
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Metadata {
    /// Full id.
    pub id: String,
    /// Name without the leading slash.
    pub name: String,
    /// The image.
    pub image: Image,
    /// All labels.
    pub labels: BTreeMap<String, String>,
    /// All mounts, in the runtime's order.
    pub mounts: Vec<Mount>,
    /// Runs with all privileges.
    pub privileged: bool,
    /// User as configured, empty for the image's default (root).
    pub user: String,
    /// Creation, ns since the epoch.
    pub created: Option<u64>,
    /// Last start, ns since the epoch; `None` before the first.
    pub started: Option<u64>,
    /// Host process id of its first process; `None` when it does not run.
    pub pid: Option<u32>,
    /// Address on each network, by network name.
    pub networks: Vec<Network>,
    /// Shares the host's pid namespace.
    pub host_pid: bool,
    /// Shares the host's network namespace.
    pub host_network: bool,
    /// Shares the host's ipc namespace.
    pub host_ipc: bool,
    /// Capabilities added to the default set: `CAP_SYS_ADMIN`, `ALL`.
    pub cap_add: Vec<String>,
    /// Capabilities dropped from it, likewise.
    pub cap_drop: Vec<String>,
    /// Resource limits.
    pub limits: Limits,
    /// Parent cgroup as configured, empty for the runtime's default.
    pub cgroup_parent: String,
    /// Directories of the host that its root is an overlay of, uppermost first; empty when the
    /// runtime does not tell.
    pub layers: Vec<PathBuf>,
    /// The pod that it is part of.
    pub pod: Option<Pod>,
}

impl Metadata {
    /// The primary IPv4 address: that of the first network that gave one.
    pub fn ip(&self) -> Option<Ipv4Addr> {
        self.networks.iter().find_map(|network| network.ipv4)
    }

    /// About how much memory this takes, in bytes.
    pub fn size(&self) -> usize {
        const ENTRY: usize = 2 * size_of::<String>();
        let labels: usize = self
            .labels
            .iter()
            .map(|(k, v)| k.len() + v.len() + ENTRY)
            .sum();
        let mounts: usize = self.mounts.iter().map(Mount::size).sum();
        let networks: usize = self
            .networks
            .iter()
            .map(|network| network.name.len() + size_of::<Network>())
            .sum();
        let caps: usize = self
            .cap_add
            .iter()
            .chain(&self.cap_drop)
            .map(|cap| cap.len() + ENTRY)
            .sum();
        let texts = [&self.id, &self.name, &self.user, &self.cgroup_parent];
        let texts: usize = texts.iter().map(|text| text.len()).sum();
        let pod = self.pod.as_ref().map_or(0, Pod::size);
        let layers: usize = self
            .layers
            .iter()
            .map(|layer| layer.as_os_str().len() + ENTRY)
            .sum();
        let image = self.image.size();
        size_of::<Self>() + image + labels + mounts + networks + caps + texts + layers + pod
    }
}

/// The image of a container.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Image {
    /// Reference as given when the container was made: `busybox:1`, `sha256:…`.
    pub reference: String,
    /// Image id, `sha256:…`.
    pub id: String,
    /// Repository as given, without tag and digest: `busybox`, `docker.io/library/busybox`.
    pub repository: String,
    /// Tag; `latest` when a name was given without tag and digest.
    pub tag: String,
    /// Digest in the repository, `sha256:…`; empty for an image that was never pushed or pulled.
    pub digest: String,
}

impl Image {
    fn size(&self) -> usize {
        [
            &self.reference,
            &self.id,
            &self.repository,
            &self.tag,
            &self.digest,
        ]
        .iter()
        .map(|text| text.len())
        .sum()
    }
}

/// One mount of a container.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Mount {
    /// Path on the host, or the volume's.
    pub source: String,
    /// Path in the container.
    pub destination: String,
    /// Mode as configured: `z`, `ro`, or empty.
    pub mode: String,
    /// The container may write to it.
    pub writable: bool,
    /// Mount propagation: `rprivate`, or empty.
    pub propagation: String,
}

impl Mount {
    fn size(&self) -> usize {
        let texts = [
            &self.source,
            &self.destination,
            &self.mode,
            &self.propagation,
        ];
        size_of::<Self>() + texts.iter().map(|text| text.len()).sum::<usize>()
    }
}

/// Addresses on one network.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Network {
    /// Name of the network.
    pub name: String,
    /// IPv4 address on it.
    pub ipv4: Option<Ipv4Addr>,
    /// Global IPv6 address on it.
    pub ipv6: Option<Ipv6Addr>,
}

/// Resource limits, 0 for none.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Limits {
    /// Memory, bytes.
    pub memory: i64,
    /// Memory and swap, bytes; -1 for no limit on swap.
    pub memory_swap: i64,
    /// CPU weight.
    pub cpu_shares: i64,
    /// CPU time in a period, µs.
    pub cpu_quota: i64,
    /// That period, µs.
    pub cpu_period: i64,
    /// CPU, billionths of one.
    pub nano_cpus: i64,
    /// Processes.
    pub pids: i64,
}

impl Limits {
    /// The CPU limit, however it was given, in thousandths of a CPU; 0 for none.
    pub fn cpu_thousandths(&self) -> i64 {
        match (self.nano_cpus, self.cpu_quota) {
            (1.., _) => self.nano_cpus / 1_000_000,
            (_, 1..) => {
                // What the kernel takes when none is given.
                let period = if self.cpu_period > 0 {
                    self.cpu_period
                } else {
                    100_000
                };
                self.cpu_quota.saturating_mul(1_000) / period
            }
            _ => 0,
        }
    }
}

/// The Kubernetes pod of a container, from the labels that the kubelet sets.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Pod {
    /// Pod name.
    pub name: String,
    /// Namespace.
    pub namespace: String,
    /// Pod uid.
    pub uid: String,
    /// Full id of the pod's sandbox container, which has the pod's labels and address.
    pub sandbox_id: String,
    /// Name of the container in the pod.
    pub container_name: String,
}

impl Pod {
    fn size(&self) -> usize {
        [
            &self.name,
            &self.namespace,
            &self.uid,
            &self.sandbox_id,
            &self.container_name,
        ]
        .iter()
        .map(|text| text.len())
        .sum()
    }
}

/// What a runtime's client tells the index.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Update {
    /// Connected and following events; every running container follows, then [`Self::Synced`].
    Up,
    /// Every container that ran at [`Self::Up`] was told.
    Synced,
    /// A container is being created: only name, image (without id and digest) and labels.
    Early(Arc<Metadata>),
    /// A container is new or has changed.
    Known(Arc<Metadata>),
    /// The runtime does not know this id, which it was asked for.
    NotFound(Arc<str>),
    /// The first process of this container (full id) is gone.
    Died(Arc<str>),
    /// This container (full id) was removed.
    Removed(Arc<str>),
    /// The runtime cannot be reached; the text says why.
    Down(String),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cpu_limit_reads_the_same_in_both_forms() {
        for (nano_cpus, cpu_quota, cpu_period, expected) in [
            (0, 0, 0, 0),
            (0, -1, 0, 0),
            (1_500_000_000, 0, 0, 1_500),
            (0, 150_000, 100_000, 1_500),
            (0, 20_000, 0, 200),
            (0, i64::MAX, 1, i64::MAX),
        ] {
            let limits = Limits {
                cpu_quota,
                cpu_period,
                nano_cpus,
                ..Limits::default()
            };
            assert_eq!(limits.cpu_thousandths(), expected, "{limits:?}");
        }
    }
}
