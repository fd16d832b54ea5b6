//! Fields of joined records, as a rule sees them.

use std::sync::Arc;

use monitor_common::file::{Link, Open};
use monitor_common::network::Connect;
use monitor_common::process::{ExeFlags, Exec};
use monitor_common::{Header, Kind, Slot, Task};
use monitor_policy::{Event as _, Field, FieldRef, Value, View};
use zerocopy::{FromZeros as _, Immutable, IntoBytes};

use super::*;
use crate::container::cgroup_path::{Owner, Runtime};
use crate::container::{Image as ContainerImage, Metadata, State};
use crate::process::{Image, Limits, ProcessKey};

mod calls;
mod container;
mod sockets;

const SECOND: u64 = 1_000_000_000;

fn bytes<B: IntoBytes + Immutable>(
    kind: Kind,
    task: Task,
    body: &B,
    strings: &[(Slot, &str)],
) -> Vec<u8> {
    let mut header = Header {
        kind: kind as u16,
        time: 10 * SECOND,
        task,
        ..Header::new_zeroed()
    };
    let mut tail = Vec::new();
    let mut ordered = strings.to_vec();
    ordered.sort_by_key(|(slot, _)| *slot as usize);
    for (slot, text) in ordered {
        header.strings[slot as usize] = text.len() as u32;
        tail.extend_from_slice(text.as_bytes());
    }
    header.len = (size_of::<Header>() + size_of_val(body) + tail.len()) as u32;
    [header.as_bytes(), body.as_bytes(), &tail].concat()
}

fn task(pid: u32, comm: &str) -> Task {
    let mut task = Task {
        pid,
        tid: pid,
        start: u64::from(pid) * SECOND,
        ..Task::default()
    };
    task.comm[..comm.len()].copy_from_slice(comm.as_bytes());
    task.loginuid = u32::MAX;
    task
}

fn child_of(parent: u32, pid: u32, comm: &str) -> Task {
    Task {
        ppid: parent,
        parent_start: u64::from(parent) * SECOND,
        ..task(pid, comm)
    }
}

fn image(exe: &str, args: &str) -> Image {
    Image {
        exe: exe.as_bytes().into(),
        args: args.as_bytes().into(),
        ..Image::default()
    }
}

/// nginx (2) runs sh (3) runs cat (4).
fn table() -> Table {
    let mut table = Table::new(Limits::default());
    table.executed(
        &task(2, "nginx"),
        image("/usr/sbin/nginx", "nginx\0-g\0"),
        b"/",
    );
    table.forked(&child_of(2, 3, "nginx"), ProcessKey::new(2, 2 * SECOND));
    table.executed(
        &child_of(2, 3, "sh"),
        image("/bin/dash", "sh\0-c\0id\0"),
        b"/srv",
    );
    table.forked(&child_of(3, 4, "sh"), ProcessKey::new(3, 3 * SECOND));
    table.executed(
        &child_of(3, 4, "cat"),
        image("/bin/cat", "cat\0x\0"),
        b"/srv",
    );
    table
}

fn field(name: &str) -> FieldRef {
    let (name, key) = match name.split_once('[') {
        Some((name, key)) => (name, Some(key.trim_end_matches(']'))),
        None => (name, None),
    };
    if let Some(argument) = name.strip_prefix("evt.arg.") {
        return FieldRef::with_key(Field::EvtArg, argument);
    }
    let field = Field::from_name(name).unwrap_or_else(|| panic!("no field `{name}`"));
    match key.map(|key| (key, key.parse())) {
        Some((_, Ok(index))) => FieldRef::with_index(field, index),
        Some((key, Err(_))) => FieldRef::with_key(field, key),
        None => FieldRef { field, arg: None },
    }
}

fn show(value: Option<Value<'_>>) -> String {
    match value {
        None => "missing".to_owned(),
        Some(Value::Text(text)) => String::from_utf8_lossy(&text).into_owned(),
        Some(Value::Unsigned(number)) => number.to_string(),
        Some(Value::Signed(number)) => number.to_string(),
        Some(Value::Float(number)) => number.to_string(),
        Some(Value::Bool(flag)) => flag.to_string(),
        Some(Value::Address(address)) => address.to_string(),
        Some(Value::List(items)) => items
            .into_iter()
            .map(|item| show(Some(item)))
            .collect::<Vec<_>>()
            .join(","),
    }
}

/// One record, joined.
#[track_caller]
fn joined<R>(bytes: &[u8], container: Option<&Container>, look: impl FnOnce(&Event<'_>) -> R) -> R {
    let table = table();
    let record = Record::parse(bytes).expect("a record");
    let process = table.by_pid(record.task().pid).expect("a known process");
    let actor = Actor::live(Arc::clone(process));
    let names = NameTable::default();
    let world = World {
        table: &table,
        accounts: None,
        names: &names,
        hostname: "web-1",
        boot_to_epoch_ns: 1_000 * SECOND,
    };
    look(&Event::join(record, &actor, container, world, 7).expect("an event"))
}

/// Checks fields of one record in one view.
#[track_caller]
fn check_in(bytes: &[u8], container: Option<&Container>, view: View, expected: &[(&str, &str)]) {
    joined(bytes, container, |event| {
        for (name, value) in expected {
            assert_eq!(show(event.value(&field(name), view)), *value, "{name}");
        }
    });
}

#[track_caller]
fn check(bytes: &[u8], expected: &[(&str, &str)]) {
    check_in(bytes, None, View::Passed, expected);
}

fn open(ret: i64, flags: u32, strings: &[(Slot, &str)]) -> Vec<u8> {
    let body = Open {
        ret,
        flags,
        syscall: 257,
        dirfd: -100,
        ..Open::new_zeroed()
    };
    bytes(Kind::Open, child_of(3, 4, "cat"), &body, strings)
}

#[test]
fn an_open_shows_the_passed_path_and_the_resolved_one() {
    let strings = [
        (Slot::Resolved, "/etc/shadow"),
        (Slot::Passed, "../alias/./shadow"),
        (Slot::Cwd, "/srv/www"),
    ];
    let bytes = open(5, 0, &strings);
    check(
        &bytes,
        &[
            ("evt.type", "openat"),
            ("evt.num", "7"),
            ("fd.num", "5"),
            ("fd.name", "/srv/alias/shadow"),
            ("fd.nameraw", "../alias/./shadow"),
            ("fd.directory", "/srv/alias"),
            ("fd.filename", "shadow"),
            ("fd.typechar", "f"),
            ("fd.type", "file"),
            ("evt.is_open_read", "true"),
            ("evt.is_open_write", "false"),
            ("evt.arg.flags", "O_RDONLY"),
            ("evt.arg.dirfd", "AT_FDCWD"),
            ("evt.arg.fd", "<f>/srv/alias/shadow"),
            ("evt.arg.nothing", "missing"),
            ("evt.res", "SUCCESS"),
            ("evt.rawres", "5"),
            ("proc.cwd", "/srv/www/"),
        ],
    );
    let resolved = [
        ("fd.name", "/etc/shadow"),
        ("fd.directory", "/etc"),
        ("fd.nameraw", "../alias/./shadow"),
        ("evt.arg.name", "/etc/shadow"),
    ];
    check_in(&bytes, None, View::Resolved, &resolved);
}

#[test]
fn a_failed_open_has_names_but_no_descriptor() {
    let bytes = open(-2, 1, &[(Slot::Passed, "/etc/../etc/x"), (Slot::Cwd, "/")]);
    check(
        &bytes,
        &[
            ("fd.num", "-1"),
            ("fd.name", "/etc/x"),
            ("fd.directory", "/etc"),
            ("fd.filename", "missing"),
            ("fd.type", "missing"),
            ("fd.typechar", "f"),
            ("evt.res", "ENOENT"),
            ("evt.failed", "true"),
            ("evt.is_open_write", "true"),
        ],
    );
}

#[test]
fn a_descriptor_relative_path_starts_at_its_directory() {
    let strings = [
        (Slot::Passed, "shadow"),
        (Slot::Base, "/etc"),
        (Slot::Cwd, "/srv"),
        (Slot::Resolved, "/etc/shadow"),
    ];
    check(&open(3, 0, &strings), &[("fd.name", "/etc/shadow")]);
}

#[test]
fn a_process_knows_its_lineage() {
    let bytes = open(3, 0, &[(Slot::Passed, "/x"), (Slot::Resolved, "/x")]);
    check(
        &bytes,
        &[
            ("proc.name", "cat"),
            ("proc.exe", "cat"),
            ("proc.exepath", "/bin/cat"),
            ("proc.cmdline", "cat x"),
            ("proc.args", "x"),
            ("proc.pname", "sh"),
            ("proc.pcmdline", "sh -c id"),
            ("proc.aname[0]", "cat"),
            ("proc.aname[2]", "nginx"),
            ("proc.aname[3]", "missing"),
            ("proc.aname", "sh,nginx"),
            ("proc.aexepath[2]", "/usr/sbin/nginx"),
            ("proc.duration", "6000000000"),
            ("proc.pid.ts", "1004000000000"),
            ("proc.env[HOME]", ""),
            ("user.loginuid", "-1"),
            ("user.name", "root"),
        ],
    );
}

#[test]
fn an_exec_shows_the_new_program() {
    let body = Exec {
        exe_flags: ExeFlags::MEMFD | ExeFlags::WRITABLE,
        ..Exec::new_zeroed()
    };
    let strings = [
        (Slot::Resolved, "memfd:x"),
        (Slot::Passed, "/proc/self/fd/3"),
    ];
    let bytes = bytes(Kind::Exec, child_of(3, 4, "cat"), &body, &strings);
    check(
        &bytes,
        &[
            ("evt.type", "execve"),
            ("evt.arg.flags", "EXE_WRITABLE|EXE_FROM_MEMFD"),
            ("evt.arg.filename", "/proc/self/fd/3"),
            ("evt.arg.res", "0"),
            ("fd.name", "missing"),
        ],
    );
}

fn connect(family: u16, remote: [u8; 16], local_port: u16) -> Vec<u8> {
    let body = Connect {
        ret: -115,
        remote,
        local: remote,
        fd: 4,
        family,
        kind: 1,
        protocol: 6,
        remote_port: 443,
        local_port,
        passed_family: family,
    };
    bytes(Kind::Connect, child_of(3, 4, "cat"), &body, &[])
}

#[test]
fn a_connect_names_both_ends() {
    let mut remote = [0; 16];
    remote[..4].copy_from_slice(&[192, 0, 2, 1]);
    check(
        &connect(2, remote, 50_000),
        &[
            ("fd.name", "192.0.2.1:50000->192.0.2.1:443"),
            ("fd.typechar", "4"),
            ("fd.type", "ipv4"),
            ("fd.l4proto", "tcp"),
            ("fd.sip", "192.0.2.1"),
            ("fd.sport", "443"),
            ("fd.lport", "50000"),
            ("fd.ip", "192.0.2.1,192.0.2.1"),
            ("fd.connected", "true"),
            ("fd.sip.name", "missing"),
            ("evt.res", "EINPROGRESS"),
            ("evt.arg.addr", "192.0.2.1:443"),
        ],
    );
    check(
        &connect(2, remote, 0),
        &[("fd.name", "192.0.2.1:443"), ("fd.lport", "missing")],
    );
}

#[test]
fn ipv4_in_ipv6_form_reads_as_ipv4() {
    let remote = std::net::Ipv4Addr::new(192, 0, 2, 1)
        .to_ipv6_mapped()
        .octets();
    let expected = [
        ("fd.typechar", "4"),
        ("fd.sip", "192.0.2.1"),
        ("fd.l4proto", "tcp"),
    ];
    check(&connect(10, remote, 1), &expected);
    let expected = [("fd.typechar", "6"), ("fd.sip", "::1"), ("fd.type", "ipv6")];
    check(
        &connect(10, std::net::Ipv6Addr::LOCALHOST.octets(), 1),
        &expected,
    );
}

#[test]
fn a_relative_symlink_target_is_read_from_where_the_link_lies() {
    let body = Link {
        syscall: 88,
        dirfd: -100,
        target_dirfd: -100,
        ..Link::new_zeroed()
    };
    let strings = [
        (Slot::Passed, "l"),
        (Slot::Target, "../etc/shadow"),
        (Slot::Cwd, "/tmp"),
    ];
    let bytes = bytes(Kind::Symlink, child_of(3, 4, "cat"), &body, &strings);
    let passed = [
        ("evt.type", "symlink"),
        ("evt.arg.target", "../etc/shadow"),
        ("evt.arg.linkpath", "/tmp/l"),
        ("evt.args", "res=0 target=../etc/shadow linkpath=/tmp/l"),
        ("fs.path.target", "../etc/shadow"),
    ];
    check(&bytes, &passed);
    check_in(
        &bytes,
        None,
        View::Resolved,
        &[("evt.arg.target", "/etc/shadow")],
    );
}

#[test]
fn both_ends_of_a_hard_link_have_absolute_paths() {
    let body = Link {
        syscall: 265,
        dirfd: -100,
        target_dirfd: -100,
        ..Link::new_zeroed()
    };
    let strings = [
        (Slot::Passed, "new"),
        (Slot::Target, "old"),
        (Slot::Cwd, "/tmp"),
    ];
    let bytes = bytes(Kind::Link, child_of(3, 4, "cat"), &body, &strings);
    let expected = [
        ("evt.abspath[src]", "/tmp/old"),
        ("evt.abspath[dst]", "/tmp/new"),
    ];
    check(&bytes, &expected);
}

#[test]
fn host_and_container_fields() {
    let bytes = open(3, 0, &[(Slot::Passed, "/x"), (Slot::Resolved, "/x")]);
    let host = [
        ("container.id", "host"),
        ("container.name", "host"),
        ("container.privileged", "false"),
        ("container.image.repository", ""),
        ("k8s.ns.name", "missing"),
    ];
    check(&bytes, &host);

    let image = ContainerImage {
        repository: "reg/app".into(),
        tag: "1".into(),
        ..ContainerImage::default()
    };
    let metadata = Metadata {
        name: "web".into(),
        image,
        ..Metadata::default()
    };
    let mut container = Container {
        id: "3ad7b26ded6d".repeat(5).into(),
        runtime: Runtime::Docker,
        owner: Owner::System,
        state: State::Known(Arc::new(metadata)),
        early: None,
    };
    let known = [
        ("container.id", "3ad7b26ded6d"),
        ("container.type", "docker"),
        ("container.name", "web"),
        ("container.image.repository", "reg/app"),
        ("container.image.tag", "1"),
        ("container.ip", "missing"),
    ];
    check_in(&bytes, Some(&container), View::Passed, &known);

    container.state = State::Pending;
    let pending = [
        ("container.id", "3ad7b26ded6d"),
        ("container.name", "missing"),
        ("container.image.repository", "missing"),
        ("container.privileged", "missing"),
    ];
    check_in(&bytes, Some(&container), View::Passed, &pending);
}

#[test]
fn who_renames_itself_has_both_names() {
    let shown = |event: &dyn monitor_policy::Event| {
        ["proc.name", "proc.cmdline"].map(|name| show(event.value(&field(name), View::Passed)))
    };
    let names = |task: Task| {
        let bytes = bytes(Kind::Open, task, &Open::new_zeroed(), &[]);
        joined(&bytes, None, |event| {
            (shown(event), event.renamed().map(|renamed| shown(&renamed)))
        })
    };
    let told = ["cat", "cat x"].map(str::to_owned);
    let own = ["sshd", "sshd x"].map(str::to_owned);
    let renamed = child_of(3, 4, "sshd");
    assert_eq!(names(child_of(3, 4, "cat")), (told.clone(), None));
    assert_eq!(names(renamed), (told.clone(), Some(own)));
    // Another thread names itself only.
    let thread = Task { tid: 99, ..renamed };
    assert_eq!(names(thread), (told, None));
}

#[test]
fn a_worker_thread_does_not_name_the_process() {
    let mut worker = child_of(3, 4, "iou-wrk-4");
    worker.tid = 99;
    let body = Open {
        ret: 3,
        ..Open::new_zeroed()
    };
    let bytes = bytes(Kind::Open, worker, &body, &[(Slot::Resolved, "/x")]);
    check(
        &bytes,
        &[
            ("proc.name", "cat"),
            ("fd.name", "/x"),
            ("thread.tid", "99"),
        ],
    );
}
