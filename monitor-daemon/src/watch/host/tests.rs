//! Which container a process is said to belong to, whatever it and others do.

use super::*;
use crate::container::cgroup_path::Owner;
use crate::container::index::Settings;
use crate::process::Limits;
use monitor_common::{Header, Kind};
use zerocopy::{FromZeros as _, Immutable, IntoBytes};

const SECOND: u64 = 1_000_000_000;
/// Pids that no kernel gives, so that `/proc` never knows them.
const FIRST_PID: u32 = 0x7000_0000;
const HOST_CGROUP: u64 = 5;
const CGROUPS: [(&str, u64); 4] = [
    ("/system.slice/sshd.service", HOST_CGROUP),
    (
        "/docker/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
        7,
    ),
    (
        "/docker/bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb",
        8,
    ),
    (
        "/docker/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa/inner",
        9,
    ),
];

/// What happens to processes, named by small numbers.
#[derive(Clone, Copy)]
enum Step {
    /// `Fork(parent, child, cgroup of the child)`
    Fork(u32, u32, u64),
    /// `Exec(process, its parent, cgroup)`
    Exec(u32, u32, u64),
    /// `Attach(process, cgroup)`: somebody puts it there.
    Attach(u32, u64),
    /// `Act(process, its parent, cgroup)`: any other record.
    Act(u32, u32, u64),
}
use Step::{Act, Attach, Exec, Fork as Forks};

fn task(number: u32, parent: u32, cgroup: u64) -> Task {
    let start = |number: u32| u64::from(number) * SECOND;
    Task {
        pid: FIRST_PID + number,
        tid: FIRST_PID + number,
        start: start(number),
        ppid: FIRST_PID + parent,
        parent_start: start(parent),
        cgroup,
        ..Task::default()
    }
}

fn bytes<B: IntoBytes + Immutable>(kind: Kind, task: Task, body: &B, cwd: &str) -> Vec<u8> {
    with_environment(kind, task, body, (cwd, b""))
}

fn with_environment<B: IntoBytes + Immutable>(
    kind: Kind,
    task: Task,
    body: &B,
    (cwd, environment): (&str, &[u8]),
) -> Vec<u8> {
    let mut header = Header {
        kind: kind as u16,
        time: 100 * SECOND,
        task,
        ..Header::new_zeroed()
    };
    header.strings[Slot::Cwd as usize] = cwd.len() as u32;
    header.strings[Slot::Env as usize] = environment.len() as u32;
    let strings = [cwd.as_bytes(), environment].concat();
    header.len = (size_of::<Header>() + size_of_val(body) + strings.len()) as u32;
    [header.as_bytes(), body.as_bytes(), &strings].concat()
}

fn record(step: Step) -> Vec<u8> {
    match step {
        Forks(parent, child, cgroup) => {
            let caller = task(parent, 0, 0);
            let body = Fork {
                caller_pid: caller.pid,
                caller_tid: caller.pid,
                caller_start: caller.start,
            };
            bytes(Kind::Fork, task(child, parent, cgroup), &body, "")
        }
        Exec(process, parent, cgroup) => {
            let body = monitor_common::process::Exec::new_zeroed();
            bytes(Kind::Exec, task(process, parent, cgroup), &body, "/")
        }
        Attach(process, cgroup) => {
            let target = task(process, 0, 0);
            let body = Cgroup {
                id: cgroup,
                target_start: target.start,
                target_pid: target.pid,
                target_tid: target.pid,
                ..Cgroup::new_zeroed()
            };
            bytes(Kind::CgroupAttach, task(1, 0, HOST_CGROUP), &body, "")
        }
        Act(process, parent, cgroup) => {
            let body = monitor_common::network::Socket::new_zeroed();
            bytes(Kind::Socket, task(process, parent, cgroup), &body, "")
        }
    }
}

/// A host on which process 1 is the host's and 2 was born in container `a`.
fn host() -> Host {
    let index = Index::new(Settings {
        docker: Some(Owner::System),
        ..Settings::default()
    });
    let table = Table::new(Limits::default());
    let mut host = Host::new(table, index, EnvironmentNames::default());
    // No look at the machine that runs the test.
    host.cgroup_root = None;
    host.sees_all = false;
    host.reader = snapshot::Reader::new("/nonexistent", None);
    for (path, id) in CGROUPS {
        host.index.cgroup_made(id, path.as_bytes(), 0);
    }
    apply(&mut host, Exec(1, 0, HOST_CGROUP));
    apply(&mut host, Forks(1, 2, 7));
    host
}

fn apply(host: &mut Host, step: Step) -> Arc<Process> {
    let bytes = record(step);
    host.apply(&Record::parse(&bytes).expect("a record"))
}

/// `host`, or the first digit of the container's id.
fn belongs(host: &mut Host, process: &Process) -> String {
    match host.container(process, 100 * SECOND) {
        None => "host".to_owned(),
        Some(container) => container.id.chars().take(1).collect(),
    }
}

#[test]
fn every_process_belongs_where_it_was_born() {
    let cases: [(&str, &[Step], &str); 12] = [
        ("the host's", &[Act(1, 0, HOST_CGROUP)], "host"),
        ("born in a container", &[Act(2, 1, 7)], "a"),
        ("put into a container", &[Attach(1, 7), Act(1, 0, 7)], "a"),
        (
            "seen in a container before its attach was told",
            &[Exec(1, 0, 7)],
            "a",
        ),
        (
            "moved itself to the host's cgroup",
            &[Attach(2, HOST_CGROUP), Act(2, 1, HOST_CGROUP)],
            "a",
        ),
        (
            "its child, after the move",
            &[Attach(2, HOST_CGROUP), Forks(2, 3, HOST_CGROUP)],
            "a",
        ),
        (
            "cloned into the host's cgroup",
            &[Forks(2, 3, HOST_CGROUP)],
            "a",
        ),
        (
            "moved to another container",
            &[Attach(2, 8), Act(2, 1, 8)],
            "a",
        ),
        (
            "moved to a nested cgroup",
            &[Attach(2, 9), Exec(2, 1, 9)],
            "a",
        ),
        (
            "unknown, child of one that is known to be a container's",
            &[Act(3, 2, HOST_CGROUP)],
            "a",
        ),
        (
            "its exec was told and its fork was not",
            &[Exec(3, 2, HOST_CGROUP)],
            "a",
        ),
        ("unknown, child of the host's", &[Act(3, 1, 8)], "b"),
    ];
    for (case, steps, expected) in cases {
        let mut host = host();
        let last = steps.iter().map(|step| apply(&mut host, *step)).last();
        assert_eq!(
            belongs(&mut host, &last.expect("a step")),
            expected,
            "{case}"
        );
    }
}

/// From where to where a step moves a process, if that is an event.
fn movement(host: &mut Host, bytes: &[u8]) -> Option<String> {
    let found = host.movement(&Record::parse(bytes).expect("a record"))?;
    let path = String::from_utf8_lossy(&found.path).into_owned();
    let short = |id: &str| id.chars().take(4).collect::<String>();
    Some(format!(
        "{} → {} {path}",
        short(&found.source),
        short(&found.dest)
    ))
}

/// `writer` puts `target` into the cgroup at a path.
fn attach(writer: u32, target: u32, path: &str) -> Vec<u8> {
    let target = task(target, 0, 0);
    let body = Cgroup {
        target_start: target.start,
        target_pid: target.pid,
        target_tid: target.pid,
        ..Cgroup::new_zeroed()
    };
    let mut header = Header {
        kind: Kind::CgroupAttach as u16,
        time: 100 * SECOND,
        task: task(writer, 0, HOST_CGROUP),
        ..Header::new_zeroed()
    };
    header.strings[Slot::Resolved as usize] = path.len() as u32;
    header.len = (size_of::<Header>() + size_of_val(&body) + path.len()) as u32;
    [header.as_bytes(), body.as_bytes(), path.as_bytes()].concat()
}

#[test]
fn leaving_a_containers_cgroup_is_a_movement() {
    let b = format!("/docker/{}", "b".repeat(64));
    let attaches = [
        (attach(1, 1, &b), Some(format!("host → bbbb {b}"))),
        (attach(3, 1, &b), None),
        (attach(2, 2, "/x"), Some("aaaa → host /x".to_owned())),
        (attach(1, 2, "/x"), Some("aaaa → host /x".to_owned())),
        (attach(1, 2, &b), Some(format!("aaaa → bbbb {b}"))),
        // Nobody knows that process.
        (attach(9, 9, &b), None),
    ];
    for (bytes, expected) in attaches {
        assert_eq!(movement(&mut host(), &bytes), expected);
    }
    for (step, expected) in [
        (Forks(2, 3, 7), None),
        (Forks(2, 3, 9), None),
        (Forks(2, 3, HOST_CGROUP), Some("aaaa → host ".to_owned())),
        (Forks(1, 3, 7), None),
    ] {
        assert_eq!(movement(&mut host(), &record(step)), expected);
    }
    // It has left already: its children stay where it is.
    let mut host = host();
    apply(&mut host, Attach(2, HOST_CGROUP));
    let forked = record(Forks(2, 3, HOST_CGROUP));
    assert_eq!(movement(&mut host, &forked), None);
}

#[test]
fn an_event_keeps_the_process_it_was_joined_with() {
    let mut host = host();
    let before = apply(&mut host, Forks(1, 3, HOST_CGROUP));
    apply(&mut host, Attach(3, 7));
    assert_eq!(belongs(&mut host, &before), "host");
    let after = apply(&mut host, Act(3, 1, 7));
    assert_eq!(belongs(&mut host, &after), "a");
}

#[test]
fn a_container_whose_cgroup_was_removed_by_those_who_left_it_keeps_its_name() {
    let mut host = host();
    apply(&mut host, Attach(2, HOST_CGROUP));
    host.index.cgroup_removed(7, 100 * SECOND);
    host.index.cgroup_removed(9, 100 * SECOND);
    for second in 100..300 {
        host.expire(second * SECOND);
    }
    let process = apply(&mut host, Act(2, 1, HOST_CGROUP));
    assert_eq!(belongs(&mut host, &process), "a");
}

#[test]
fn a_directory_seen_in_one_record_holds_for_the_next() {
    let mut host = host();
    let body = monitor_common::file::Open::new_zeroed();
    let bytes = bytes(Kind::Open, task(2, 1, 7), &body, "/srv/www");
    host.apply(&Record::parse(&bytes).expect("a record"));
    assert_eq!(&*apply(&mut host, Act(2, 1, 7)).cwd, b"/srv/www");
}

#[test]
fn a_cgroup_that_no_record_told_of_is_found_by_its_process_at_once() {
    let root = tempfile::tempdir().expect("a directory");
    let path = format!("docker/{}", "c".repeat(64));
    let cgroup = root.path().join("cgroup").join(&path);
    let process = root.path().join("proc").join((FIRST_PID + 3).to_string());
    for folder in [&cgroup, &process] {
        std::fs::create_dir_all(folder).expect("a folder");
    }
    std::fs::write(process.join("cgroup"), format!("0::/{path}\n")).expect("a file");
    let id = rustix::fs::stat(&cgroup).expect("a cgroup").st_ino;

    let mut host = host();
    let cgroups = Some(root.path().join("cgroup"));
    host.reader = snapshot::Reader::new(root.path().join("proc"), cgroups);
    // All cgroups were looked at just now.
    host.scanned = 100 * SECOND;
    let process = apply(&mut host, Forks(1, 3, id));
    assert_eq!(belongs(&mut host, &process), "c");
}

/// The record of its making was lost, and it is gone.
const LOST_CGROUP: u64 = 77;

#[test]
fn whose_place_cannot_be_told_is_no_process_of_the_host() {
    let cases: [(&str, &[Step], &str); 6] = [
        ("short-lived", &[Forks(1, 3, LOST_CGROUP)], "u"),
        (
            "moves itself to the host's cgroup",
            &[
                Forks(1, 3, LOST_CGROUP),
                Attach(3, HOST_CGROUP),
                Act(3, 1, HOST_CGROUP),
            ],
            "u",
        ),
        (
            "its child, after the move",
            &[
                Forks(1, 3, LOST_CGROUP),
                Attach(3, HOST_CGROUP),
                Forks(3, 4, HOST_CGROUP),
            ],
            "u",
        ),
        (
            "put into a container",
            &[Forks(1, 3, LOST_CGROUP), Attach(3, 7), Act(3, 1, 7)],
            "a",
        ),
        (
            "of a container, in such a cgroup",
            &[Forks(2, 3, LOST_CGROUP)],
            "a",
        ),
        ("of no cgroup at all", &[Exec(3, 9, 0)], "host"),
    ];
    for (case, steps, expected) in cases {
        let mut host = host();
        host.sees_all = true;
        let last = steps.iter().map(|step| apply(&mut host, *step)).last();
        assert_eq!(
            belongs(&mut host, &last.expect("a step")),
            expected,
            "{case}"
        );
        assert_eq!(host.unknown_places, u64::from(expected == "u"), "{case}");
    }
    // Where no cgroup can be told, nobody is in a container.
    let mut host = host();
    let process = apply(&mut host, Forks(1, 3, LOST_CGROUP));
    assert_eq!(belongs(&mut host, &process), "host");
}

#[test]
fn who_moves_out_of_a_container_before_anybody_looked_is_still_its_own() {
    let root = tempfile::tempdir().expect("a directory");
    let cgroup = root.path().join("docker").join("c".repeat(64));
    std::fs::create_dir_all(&cgroup).expect("a folder");
    let id = rustix::fs::stat(&cgroup).expect("a cgroup").st_ino;

    let mut host = host();
    host.sees_all = true;
    host.cgroup_root = Some(root.path().to_owned());
    for step in [Forks(1, 3, id), Attach(3, HOST_CGROUP)] {
        apply(&mut host, step);
    }
    let process = apply(&mut host, Act(3, 1, HOST_CGROUP));
    assert_eq!(belongs(&mut host, &process), "c");
}

/// Runs a program with this environment.
fn execute(host: &mut Host, (process, parent): (u32, u32), environment: &[u8]) -> Arc<Process> {
    let body = monitor_common::process::Exec::new_zeroed();
    let task = task(process, parent, HOST_CGROUP);
    let bytes = with_environment(Kind::Exec, task, &body, ("/", environment));
    host.apply(&Record::parse(&bytes).expect("a record"))
}

#[test]
fn programs_share_the_environment_that_they_inherit() {
    let mut host = host();
    host.keep_environment(EnvironmentNames {
        whole: true,
        ..EnvironmentNames::default()
    });
    let inherited = [&b"PATH=/bin\0LONG="[..], &[b'x'; 10_000], b"\0"].concat();
    execute(&mut host, (1, 0), &inherited);
    let before = host.table.bytes();
    for child in 10..110 {
        apply(&mut host, Forks(1, child, HOST_CGROUP));
        let process = execute(&mut host, (child, 1), &inherited);
        assert_eq!(*process.image.environment, *inherited);
    }
    let each = (host.table.bytes() - before) / 100;
    assert!(each < 2_000, "{each} bytes for a process");
    let mut changed = inherited.clone();
    for at in [0, 5_000, inherited.len() - 2] {
        changed[at] = b'y';
        apply(&mut host, Forks(1, 200, HOST_CGROUP));
        let process = execute(&mut host, (200, 1), &changed);
        assert_eq!(*process.image.environment, *changed);
    }
}
