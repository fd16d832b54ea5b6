//! Most events match no rule. From the bytes of such a record to the decision nothing is allocated.

#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test may panic"
)]

use std::sync::Arc;

use monitor_common::file::Open;
use monitor_common::{Header, Kind, Slot, Task};
use monitor_daemon::default_policies;
use monitor_daemon::event::{Actor, Event, World};
use monitor_daemon::names::NameTable;
use monitor_daemon::process::{Image, Limits, ProcessKey, Table};
use monitor_daemon::record::Record;
use monitor_daemon::users::Accounts;
use monitor_policy::{Options, Policy, Scratch, load};
use zerocopy::{FromZeros as _, IntoBytes as _};

const SECOND: u64 = 1_000_000_000;
const O_WRONLY: u32 = 1;

fn task(pid: u32, comm: &str) -> Task {
    let mut task = Task {
        pid,
        tid: pid,
        start: u64::from(pid) * SECOND,
        ppid: pid - 1,
        parent_start: u64::from(pid - 1) * SECOND,
        loginuid: u32::MAX,
        ..Task::default()
    };
    task.comm[..comm.len()].copy_from_slice(comm.as_bytes());
    task
}

/// The record of an open, as it lies in a ring.
fn open(flags: u32, resolved: &str, passed: &str) -> Vec<u8> {
    let body = Open {
        ret: 3,
        flags,
        syscall: 257,
        ..Open::new_zeroed()
    };
    let mut header = Header {
        kind: Kind::Open as u16,
        time: 10 * SECOND,
        task: task(3, "worker"),
        ..Header::new_zeroed()
    };
    let texts = [
        (Slot::Resolved, resolved),
        (Slot::Passed, passed),
        (Slot::Cwd, "/srv"),
    ];
    let mut tail = Vec::new();
    for (slot, text) in texts {
        header.strings[slot as usize] = text.len() as u32;
        tail.extend_from_slice(text.as_bytes());
    }
    header.len = (size_of::<Header>() + size_of::<Open>() + tail.len()) as u32;
    [header.as_bytes(), body.as_bytes(), &tail].concat()
}

/// A service and what started it.
fn table() -> Table {
    let image = |args: &[u8]| Image {
        exe: b"/srv/bin/worker".as_slice().into(),
        args: args.into(),
        ..Image::default()
    };
    let mut table = Table::new(Limits::default());
    table.executed(&task(2, "supervisor"), image(b"supervisor\0"), b"/");
    table.forked(&task(3, "worker"), ProcessKey::new(2, 2 * SECOND));
    table.executed(&task(3, "worker"), image(b"worker\0-v\0"), b"/srv");
    table
}

/// What the event loop does with a record, on the host; how many rules match.
fn handle(bytes: &[u8], table: &mut Table, policy: &Policy, scratch: &mut Scratch) -> usize {
    let record = Record::parse(bytes).expect("a record");
    let process = table
        .seen(record.task(), record.string(Slot::Cwd))
        .expect("a known process");
    let actor = Actor::live(Arc::clone(&process));
    let (accounts, names) = (Accounts::default(), NameTable::default());
    let world = World {
        table,
        accounts: Some(&accounts),
        names: &names,
        hostname: "web-1",
        boot_to_epoch_ns: SECOND,
    };
    let event = Event::join(record, &actor, None, world, 1).expect("an event");
    policy.evaluate(&event, scratch).len()
}

#[test]
fn dropping_an_open_allocates_nothing() {
    let policy = load(default_policies::FILES, &Options::default())
        .policy
        .expect("the default policies load");
    let mut table = table();
    let mut scratch = Scratch::default();
    let cases = [
        (
            "a library",
            open(0, "/usr/lib/libc.so.6", "/usr/lib/libc.so.6"),
        ),
        (
            "below the working directory",
            open(0, "/srv/data/a", "data/a"),
        ),
        (
            "by another name",
            open(0, "/usr/lib/libc.so.6", "/lib/libc.so.6"),
        ),
        ("for writing", open(O_WRONLY, "/srv/data/a", "/srv/data/a")),
    ];
    for (case, bytes) in &cases {
        // The first round finds out how much memory is needed.
        assert_eq!(
            handle(bytes, &mut table, &policy, &mut scratch),
            0,
            "{case}"
        );
        let counted = allocation_counter::measure(|| {
            handle(bytes, &mut table, &policy, &mut scratch);
        });
        assert_eq!(counted.count_total, 0, "{case}");
    }
}
