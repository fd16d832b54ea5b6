//! Fields of a container's settings, and of a move between containers.

use std::collections::BTreeMap;

use monitor_common::cgroup::Cgroup;

use super::*;
use crate::container::{Limits as Resources, Mount, Network};

fn shop() -> Metadata {
    let mount = |source: &str, destination: &str, writable| Mount {
        source: source.into(),
        destination: destination.into(),
        mode: "z".into(),
        writable,
        propagation: "rprivate".into(),
    };
    let network = |name: &str, address: Option<&str>| Network {
        name: name.into(),
        ipv4: address.map(|address| address.parse().expect("an address")),
        ipv6: None,
    };
    Metadata {
        name: "shop".into(),
        labels: BTreeMap::from([
            ("team".into(), "a b".into()),
            ("com.example/x".into(), "1".into()),
        ]),
        mounts: vec![
            mount("/srv/data", "/data", false),
            mount("/var/run/docker.sock", "/docker.sock", true),
        ],
        privileged: true,
        user: "1000:1000".into(),
        networks: vec![network("back", None), network("front", Some("172.18.0.2"))],
        host_pid: true,
        cap_add: vec!["CAP_SYS_ADMIN".into(), "CAP_BPF".into()],
        cap_drop: vec!["ALL".into()],
        cgroup_parent: "/jobs".into(),
        limits: Resources {
            memory: 64 << 20,
            nano_cpus: 1_500_000_000,
            pids: -1,
            ..Resources::default()
        },
        ..Metadata::default()
    }
}

const SHOP: &[(&str, &str)] = &[
    ("container.privileged", "true"),
    ("container.host_pid", "true"),
    ("container.host_network", "false"),
    ("container.host_ipc", "false"),
    ("container.label[team]", "a b"),
    ("container.label[com.example/x]", "1"),
    ("container.label[none]", "missing"),
    ("container.labels", "com.example/x:1, team:a b"),
    (
        "container.mounts",
        "/srv/data:/data:z:false:rprivate,/var/run/docker.sock:/docker.sock:z:true:rprivate",
    ),
    ("container.mount[0]", "/srv/data:/data:z:false:rprivate"),
    ("container.mount[2]", "missing"),
    (
        "container.mount[/srv/*]",
        "/srv/data:/data:z:false:rprivate",
    ),
    ("container.mount.source[/data]", "/srv/data"),
    ("container.mount.dest[/var/run/docker.sock]", "/docker.sock"),
    ("container.mount.dest[/docker.sock]", "missing"),
    ("container.mount.mode[1]", "z"),
    ("container.mount.rdwr[/srv/data]", "false"),
    ("container.mount.rdwr[1]", "true"),
    ("container.mount.propagation[0]", "rprivate"),
    ("container.ip", "172.18.0.2"),
    ("container.user", "1000:1000"),
    ("container.networks", "back,front"),
    ("container.cap_add", "CAP_SYS_ADMIN CAP_BPF"),
    ("container.cap_drop", "ALL"),
    ("container.memory_limit", "67108864"),
    ("container.cpu_limit", "1500"),
    ("container.pids_limit", "0"),
    ("container.cgroup_parent", "/jobs"),
    ("container.healthcheck", "missing"),
];

#[test]
fn settings_of_a_container_are_fields() {
    let bytes = open(3, 0, &[(Slot::Resolved, "/x")]);
    let container = |state| Container {
        id: "3ad7b26ded6d".repeat(5).into(),
        runtime: Runtime::Docker,
        owner: Owner::System,
        state,
        early: None,
    };
    let known = container(State::Known(Arc::new(shop())));
    check_in(&bytes, Some(&known), View::Passed, SHOP);

    // Neither a container that is not known yet nor the host has any, but for what Falco says.
    for (unknown, privileged) in [
        (Some(container(State::Pending)), "missing"),
        (None, "false"),
    ] {
        for (name, _) in SHOP {
            let expected = match *name {
                "container.privileged" => privileged,
                _ => "missing",
            };
            let expected = [(*name, expected)];
            check_in(&bytes, unknown.as_ref(), View::Passed, &expected);
        }
    }
}

#[test]
fn a_move_tells_who_was_moved_from_where_to_where() {
    let body = Cgroup {
        target_pid: 3,
        ..Cgroup::new_zeroed()
    };
    let bytes = bytes(Kind::CgroupAttach, child_of(3, 4, "cat"), &body, &[]);
    let table = table();
    let record = Record::parse(&bytes).expect("a record");
    let process = table.by_pid(4).expect("a known process");
    let movement = Movement {
        pid: 3,
        comm: b"sh".as_slice().into(),
        source: "0123456789ab".into(),
        dest: "host".into(),
        path: b"/system.slice".as_slice().into(),
    };
    let names = NameTable::default();
    let world = World {
        table: &table,
        accounts: None,
        names: &names,
        hostname: "web-1",
        boot_to_epoch_ns: 0,
    };
    let actor = Actor::live(Arc::clone(process));
    assert!(Event::join(record, &actor, None, world, 1).is_none());
    let actor = actor.with_movement(movement).kept(&table);
    let event = Event::join(record, &actor, None, world, 1).expect("an event");
    for (name, value) in [
        ("evt.type", "cgroup_move"),
        ("syscall.type", "missing"),
        ("evt.category", "process"),
        ("evt.res", "SUCCESS"),
        ("evt.failed", "false"),
        ("proc.name", "cat"),
        ("proc.pname", "sh"),
        ("evt.arg.pid", "3"),
        ("evt.arg.comm", "sh"),
        ("evt.arg.source", "0123456789ab"),
        ("evt.arg.dest", "host"),
        ("evt.arg.path", "/system.slice"),
        (
            "evt.args",
            "res=0 pid=3 comm=sh source=0123456789ab dest=host path=/system.slice",
        ),
    ] {
        assert_eq!(
            show(event.value(&field(name), View::Passed)),
            value,
            "{name}"
        );
    }
}
