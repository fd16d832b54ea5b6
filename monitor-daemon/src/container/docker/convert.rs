//! From Docker's answer to [`Metadata`]. Pure.

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;

use bollard::models::{
    ContainerInspectResponse, DriverData, EndpointSettings, HostConfig, MountPoint,
};

use super::super::{Limits, Metadata, Mount, Network, Pod};
use super::image::{self, Names};

/// Most bytes of a container's labels. Images bring labels too: whoever makes one may make them as
/// large as he likes, and we keep them for every container.
const LABELS_BYTES: usize = 64 << 10;
/// Most bytes of its mounts: images bring volumes as well.
const MOUNTS_BYTES: usize = 64 << 10;
/// Most bytes of what a pod is called, which Kubernetes keeps to as well. It is in every alert.
const POD_NAME_BYTES: usize = 253;
/// Most bytes of its name, which Docker does not limit and every alert has, and of its user's.
const NAME_BYTES: usize = 255;

/// Everything that Docker told, with the image's names.
pub(super) fn metadata(told: ContainerInspectResponse, names: &Names) -> Metadata {
    let config = told.config.unwrap_or_default();
    let host = told.host_config.unwrap_or_default();
    let state = told.state.unwrap_or_default();
    let labels = config.labels.unwrap_or_default();
    let name = told.name.unwrap_or_default();
    let reference = config.image.unwrap_or_default();
    Metadata {
        id: told.id.unwrap_or_default(),
        name: cut(name.strip_prefix('/').unwrap_or(&name), NAME_BYTES),
        image: image::image(&reference, &told.image.unwrap_or_default(), names),
        pod: pod(&labels),
        labels: kept(labels),
        mounts: mounts(told.mounts.unwrap_or_default()),
        privileged: host.privileged.unwrap_or_default(),
        user: cut(&config.user.unwrap_or_default(), NAME_BYTES),
        created: told.created.as_deref().and_then(time),
        started: state.started_at.as_deref().and_then(time),
        pid: state
            .pid
            .and_then(|pid| u32::try_from(pid).ok())
            .filter(|pid| *pid != 0),
        networks: told
            .network_settings
            .and_then(|settings| settings.networks)
            .map_or_else(Vec::new, networks),
        host_pid: is_host(host.pid_mode.as_deref()),
        host_network: is_host(host.network_mode.as_deref()),
        host_ipc: is_host(host.ipc_mode.as_deref()),
        limits: limits(&host),
        cap_add: capabilities(host.cap_add),
        cap_drop: capabilities(host.cap_drop),
        cgroup_parent: host.cgroup_parent.unwrap_or_default(),
        layers: told.graph_driver.map_or_else(Vec::new, layers),
    }
}

/// The directories of the `overlay2` driver. (Names of layers hold no colon.)
fn layers(mut told: DriverData) -> Vec<PathBuf> {
    let upper = told.data.remove("UpperDir");
    let lower = told.data.remove("LowerDir").unwrap_or_default();
    let lower = lower.split(':').filter(|path| !path.is_empty());
    let lower = lower.map(PathBuf::from);
    upper.map(PathBuf::from).into_iter().chain(lower).collect()
}

/// What the event of a creation tells: it comes at once, while an inspection may have to wait
/// until the container has started. Its attributes are the labels, and two more.
pub(super) fn early(id: &str, mut attributes: HashMap<String, String>) -> Metadata {
    let name = attributes.remove("name").unwrap_or_default();
    let reference = attributes.remove("image").unwrap_or_default();
    Metadata {
        id: id.to_owned(),
        name: cut(&name, NAME_BYTES),
        image: image::image(&reference, "", &Names::default()),
        pod: pod(&attributes),
        labels: kept(attributes),
        ..Metadata::default()
    }
}

fn is_host(mode: Option<&str>) -> bool {
    mode == Some("host")
}

/// In one form, whichever the version of Docker keeps: `CAP_SYS_ADMIN`, `ALL`.
fn capabilities(told: Option<Vec<String>>) -> Vec<String> {
    let full = |name: String| {
        let name = name.to_ascii_uppercase();
        if name == "ALL" || name.starts_with("CAP_") {
            name
        } else {
            format!("CAP_{name}")
        }
    };
    told.unwrap_or_default().into_iter().map(full).collect()
}

/// Those that there is room for, in their order; of those with the longest sources are left out first: what
/// is worth a rule has a short one (`/`, `/etc`, Docker's socket), and volumes' are long.
fn mounts(told: Vec<MountPoint>) -> Vec<Mount> {
    let mut mounts: Vec<(usize, Mount)> = told.into_iter().map(mount).enumerate().collect();
    mounts.sort_by_key(|(_, mount)| mount.source.len());
    let mut bytes = 0;
    mounts.retain(|(_, mount)| {
        let length = mount.source.len() + mount.destination.len() + size_of::<Mount>();
        let fits = bytes + length <= MOUNTS_BYTES;
        bytes += if fits { length } else { 0 };
        fits
    });
    mounts.sort_by_key(|(place, _)| *place);
    mounts.into_iter().map(|(_, mount)| mount).collect()
}

fn mount(told: MountPoint) -> Mount {
    Mount {
        source: told.source.unwrap_or_default(),
        destination: told.destination.unwrap_or_default(),
        mode: told.mode.unwrap_or_default(),
        writable: told.rw.unwrap_or_default(),
        propagation: told.propagation.unwrap_or_default(),
    }
}

/// By name, so that the primary address does not change from one answer to the next.
fn networks(told: HashMap<String, EndpointSettings>) -> Vec<Network> {
    let mut networks: Vec<Network> = told
        .into_iter()
        .map(|(name, settings)| Network {
            name,
            ipv4: settings.ip_address.and_then(|address| address.parse().ok()),
            ipv6: settings
                .global_ipv6_address
                .and_then(|address| address.parse().ok()),
        })
        .collect();
    networks.sort_unstable_by(|a, b| a.name.cmp(&b.name));
    networks
}

fn limits(host: &HostConfig) -> Limits {
    Limits {
        memory: host.memory.unwrap_or_default(),
        memory_swap: host.memory_swap.unwrap_or_default(),
        cpu_shares: host.cpu_shares.unwrap_or_default(),
        cpu_quota: host.cpu_quota.unwrap_or_default(),
        cpu_period: host.cpu_period.unwrap_or_default(),
        nano_cpus: host.nano_cpus.unwrap_or_default(),
        pids: host.pids_limit.unwrap_or_default(),
    }
}

/// Those that there is room for; the longest are left out first.
fn kept(told: HashMap<String, String>) -> BTreeMap<String, String> {
    let mut labels: Vec<(String, String)> = told.into_iter().collect();
    let length = |(key, value): &(String, String)| key.len() + value.len();
    labels.sort_by_key(length);
    let mut bytes = 0;
    let fits = |label: &(String, String)| {
        bytes += length(label);
        bytes <= LABELS_BYTES
    };
    labels.into_iter().take_while(fits).collect()
}

/// The pod that the labels tell, all of them: an image's own labels must not push it out. A sandbox has no
/// sandbox label: it is its own.
fn pod(labels: &HashMap<String, String>) -> Option<Pod> {
    let label = |name: &str| {
        let text = labels.get(&format!("io.kubernetes.{name}"))?;
        Some(cut(text, POD_NAME_BYTES))
    };
    Some(Pod {
        name: label("pod.name")?,
        namespace: label("pod.namespace").unwrap_or_default(),
        uid: label("pod.uid").unwrap_or_default(),
        sandbox_id: label("sandbox.id").unwrap_or_default(),
        container_name: label("container.name").unwrap_or_default(),
    })
}

/// The beginning of a text, of so many bytes at most.
fn cut(text: &str, most: usize) -> String {
    let end = text.floor_char_boundary(most);
    text.get(..end).unwrap_or_default().to_owned()
}

/// RFC 3339 to ns since the epoch; Docker's "never" is the year 1.
fn time(text: &str) -> Option<u64> {
    let time: jiff::Timestamp = text.parse().ok()?;
    u64::try_from(time.as_nanosecond())
        .ok()
        .filter(|nanoseconds| *nanoseconds != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told() -> serde_json::Value {
        serde_json::json!({
            "Id": "aa", "Name": "/web", "Image": "sha256:620f2e77595e",
            "Created": "2026-11-22T01:50:38.319104221Z",
            "State": {"Status": "running", "Pid": 4711, "StartedAt": "1970-01-01T00:00:01.5Z"},
            "Config": {
                "Image": "busybox:1", "User": "app",
                "ExposedPorts": {"80/tcp": {}}, "Volumes": {"/data": {}},
                "Labels": {
                    "a": "b", "io.kubernetes.pod.name": "pod", "io.kubernetes.pod.namespace": "ns",
                    "io.kubernetes.pod.uid": "u-1", "io.kubernetes.sandbox.id": "bb",
                    "io.kubernetes.container.name": "main",
                },
            },
            "HostConfig": {
                "Privileged": true, "PidMode": "host", "NetworkMode": "host", "IpcMode": "private",
                "CapAdd": ["SYS_ADMIN", "CAP_BPF"], "CapDrop": ["ALL"], "CgroupParent": "/jobs",
                "Memory": 1_048_576, "MemorySwap": -1, "NanoCpus": 5, "PidsLimit": 7,
                "CpuShares": 1, "CpuQuota": 2, "CpuPeriod": 3,
            },
            "Mounts": [{
                "Type": "bind", "Source": "/tmp", "Destination": "/host", "Mode": "ro",
                "RW": false, "Propagation": "rslave",
            }],
            "GraphDriver": {"Name": "overlay2", "Data": {
                "LowerDir": "/d/x-init/diff:/d/y/diff", "MergedDir": "/d/x/merged",
                "UpperDir": "/d/x/diff", "WorkDir": "/d/x/work",
            }},
            "NetworkSettings": {"Networks": {
                "b": {"IPAddress": "172.17.0.2", "GlobalIPv6Address": "fd00::2"},
                "a": {"IPAddress": ""},
            }},
        })
    }

    fn network(name: &str, ipv4: Option<&str>, ipv6: Option<&str>) -> Network {
        Network {
            name: name.to_owned(),
            ipv4: ipv4.map(|address| address.parse().unwrap()),
            ipv6: ipv6.map(|address| address.parse().unwrap()),
        }
    }

    fn expected(labels: BTreeMap<String, String>) -> Metadata {
        Metadata {
            id: "aa".into(),
            name: "web".into(),
            image: image::image("busybox:1", "sha256:620f2e77595e", &Names::default()),
            labels,
            mounts: vec![Mount {
                source: "/tmp".into(),
                destination: "/host".into(),
                mode: "ro".into(),
                writable: false,
                propagation: "rslave".into(),
            }],
            privileged: true,
            user: "app".into(),
            created: Some(1_795_312_238_319_104_221),
            started: Some(1_500_000_000),
            pid: Some(4711),
            networks: vec![
                network("a", None, None),
                network("b", Some("172.17.0.2"), Some("fd00::2")),
            ],
            host_pid: true,
            host_network: true,
            host_ipc: false,
            cap_add: vec!["CAP_SYS_ADMIN".into(), "CAP_BPF".into()],
            cap_drop: vec!["ALL".into()],
            limits: Limits {
                memory: 1_048_576,
                memory_swap: -1,
                cpu_shares: 1,
                cpu_quota: 2,
                cpu_period: 3,
                nano_cpus: 5,
                pids: 7,
            },
            cgroup_parent: "/jobs".into(),
            layers: vec![
                "/d/x/diff".into(),
                "/d/x-init/diff".into(),
                "/d/y/diff".into(),
            ],
            pod: Some(Pod {
                name: "pod".into(),
                namespace: "ns".into(),
                uid: "u-1".into(),
                sandbox_id: "bb".into(),
                container_name: "main".into(),
            }),
        }
    }

    #[test]
    fn an_inspection_is_taken_over_whole() {
        let found = metadata(serde_json::from_value(told()).unwrap(), &Names::default());
        assert_eq!(found, expected(found.labels.clone()));
        assert_eq!(found.labels.len(), 6);
        assert_eq!(found.ip(), Some([172, 17, 0, 2].into()));
    }

    #[test]
    fn a_creation_tells_name_image_and_labels() {
        let attributes = [("name", "web"), ("image", "busybox:1"), ("team", "a b")];
        let attributes = attributes.map(|(key, value)| (key.to_owned(), value.to_owned()));
        let found = early("aa", attributes.into());
        let image = (&*found.image.repository, &*found.image.tag);
        assert_eq!(
            (&*found.id, &*found.name, image),
            ("aa", "web", ("busybox", "1"))
        );
        assert_eq!(
            found.labels.into_iter().collect::<Vec<_>>(),
            [("team".into(), "a b".into())]
        );
    }

    /// Anybody who makes an image chooses labels.
    #[test]
    fn labels_without_end_leave_room_for_others() {
        let pair = |key: &str, value: &str| (key.to_owned(), value.to_owned());
        let mut told: HashMap<String, String> = (0..100)
            .map(|number| pair(&format!("junk{number}"), &"x".repeat(1 << 20)))
            .collect();
        told.extend((0..10_000).map(|number| pair(&format!("many{number}"), "a value of it")));
        told.extend([
            pair("team", "shop"),
            pair("io.kubernetes.pod.name", &"é".repeat(500)),
        ]);
        let found = early("aa", told);
        assert!(found.size() < 1 << 20, "{}", found.size());
        assert_eq!(found.labels.get("team").map(String::as_str), Some("shop"));
        // Nor do they push out which pod it is.
        assert_eq!(found.pod.unwrap().name, "é".repeat(126));
    }

    #[test]
    fn mounts_without_end_leave_room_for_others_and_hide_none_of_the_hosts() {
        let volume = |number| {
            let destination = format!("/{number}");
            serde_json::json!({"Type": "volume", "Source": "v".repeat(200), "Destination": destination})
        };
        let mut mounts: Vec<serde_json::Value> = (0..3000).map(volume).collect();
        let destination = "d".repeat(4000);
        mounts.push(serde_json::json!({"Source": "/etc", "Destination": destination}));
        mounts.insert(
            0,
            serde_json::json!({"Source": "/", "Destination": "/host"}),
        );
        let told = serde_json::from_value(serde_json::json!({"Mounts": mounts})).unwrap();
        let mounts = metadata(told, &Names::default()).mounts;
        let bytes: usize = mounts.iter().map(|mount| mount.source.len()).sum();
        assert!(bytes <= MOUNTS_BYTES && mounts.len() > 100);
        assert_eq!(mounts.first().unwrap().source, "/");
        assert_eq!(mounts.last().unwrap().source, "/etc");
    }

    /// Docker takes names of any length.
    #[test]
    fn a_name_without_end_is_cut() {
        let name = "n".repeat(400_000);
        let told = serde_json::from_value(serde_json::json!({"Name": format!("/{name}")})).unwrap();
        assert_eq!(metadata(told, &Names::default()).name.len(), NAME_BYTES);
        let early = early("aa", [("name".to_owned(), name)].into());
        assert_eq!(early.name.len(), NAME_BYTES);
    }

    #[test]
    fn a_container_that_never_ran_has_no_start() {
        let told = serde_json::json!({
            "Id": "aa",
            "State": {"Pid": 0, "StartedAt": "0001-01-01T00:00:00Z"},
        });
        let found = metadata(serde_json::from_value(told).unwrap(), &Names::default());
        assert_eq!((found.started, found.pid, found.pod), (None, None, None));
    }
}
