//! The table told of lives in every order that happens.

use super::*;

const SECOND: u64 = 1_000_000_000;

fn task(pid: u32, start: u64, ppid: u32, parent_start: u64) -> Task {
    Task {
        pid,
        tid: pid,
        start,
        ppid,
        parent_start,
        cgroup: 7,
        ..Task::default()
    }
}

fn image(exe: &[u8]) -> Image {
    Image {
        exe: exe.into(),
        ..Image::default()
    }
}

/// init → shell → child, each a second apart.
fn family() -> Table {
    let mut table = Table::new(Limits::default());
    table.executed(&task(1, SECOND, 0, 0), image(b"/init"), b"/");
    table.forked(&task(10, 2 * SECOND, 1, SECOND), ProcessKey::new(1, SECOND));
    table.executed(
        &task(10, 2 * SECOND, 1, SECOND),
        image(b"/bin/sh"),
        b"/home",
    );
    let shell = ProcessKey::new(10, 2 * SECOND);
    table.forked(&task(20, 3 * SECOND, 10, 2 * SECOND), shell);
    table
}

fn lineage(table: &Table, pid: u32) -> Vec<u32> {
    let process = table.by_pid(pid).expect("known");
    table
        .ancestors(process)
        .map(|ancestor| ancestor.task.pid)
        .collect()
}

#[test]
fn a_fork_runs_what_its_caller_runs() {
    let table = family();
    let child = table.by_pid(20).expect("child");
    assert_eq!(&*child.image.exe, b"/bin/sh");
    assert_eq!(&*child.cwd, b"/home");
    assert_eq!(lineage(&table, 20), [10, 1]);
}

#[test]
fn a_recycled_pid_is_another_process() {
    let mut table = family();
    table.exited(&task(10, 2 * SECOND, 1, SECOND), 4 * SECOND);
    table.executed(&task(10, 5 * SECOND, 1, SECOND), image(b"/bin/other"), b"/");
    assert_eq!(&*table.by_pid(10).expect("new").image.exe, b"/bin/other");
    let parent = table
        .ancestors(table.by_pid(20).expect("child"))
        .next()
        .expect("parent");
    assert_eq!(&*parent.image.exe, b"/bin/sh");
}

#[test]
fn an_exited_parent_stays_while_a_child_lives() {
    let mut table = family();
    table.exited(&task(10, 2 * SECOND, 1, SECOND), 4 * SECOND);
    table.expire(100 * SECOND);
    assert_eq!(lineage(&table, 20), [10, 1]);

    table.exited(&task(20, 3 * SECOND, 10, 2 * SECOND), 101 * SECOND);
    table.expire(200 * SECOND);
    table.expire(300 * SECOND);
    assert_eq!(table.len(), 1, "only init is left");
    assert_eq!(table.evicted(), 0);
}

#[test]
fn the_budget_holds_against_an_endless_chain_of_orphans() {
    let limits = Limits {
        bytes: 100_000,
        ..Limits::default()
    };
    let mut table = Table::new(limits);
    for pid in 1..5_000 {
        let start = u64::from(pid) * SECOND;
        let (parent, parent_start) = (pid - 1, u64::from(pid - 1) * SECOND);
        let caller = ProcessKey::new(parent, parent_start);
        table.forked(&task(pid, start, parent, parent_start), caller);
        if pid > 1 {
            table.exited(&task(parent, parent_start, 0, 0), start);
        }
    }
    assert!(table.bytes() <= 101_000, "{} bytes", table.bytes());
    assert!(table.evicted() > 4_000, "{} evicted", table.evicted());
    assert!(table.by_pid(4_999).is_some());
}

#[test]
fn the_budget_holds_against_living_processes_and_the_largest_leave() {
    let limits = Limits {
        bytes: 1_000_000,
        ..Limits::default()
    };
    let mut table = Table::new(limits);
    table.executed(&task(1, SECOND, 0, 0), image(b"/sbin/init"), b"/");
    for pid in 2..200 {
        let large = Image {
            args: vec![b'x'; 32_000].into(),
            ..image(b"/bin/large")
        };
        table.executed(&task(pid, SECOND, 1, SECOND), large, b"/");
        assert!(table.bytes() <= 1_000_000, "{} bytes", table.bytes());
    }
    assert!(table.evicted() > 100);
    assert!(table.by_pid(1).is_some(), "small and innocent");
    assert!(table.by_pid(199).is_some(), "the latest");
}

#[test]
fn what_forks_share_is_counted_once_and_given_back() {
    let mut table = Table::new(Limits::default());
    let large = Image {
        args: vec![b'x'; 32_000].into(),
        ..image(b"/bin/large")
    };
    let (parent, key) = (task(1, SECOND, 0, 0), ProcessKey::new(1, SECOND));
    table.executed(&parent, large, b"/");
    for pid in 2..2_000 {
        table.forked(&task(pid, 2 * SECOND, 1, SECOND), key);
    }
    assert!(table.bytes() < 2_000_000, "{} bytes", table.bytes());
    table.exited(&parent, 3 * SECOND);
    for pid in 2..2_000 {
        table.exited(&task(pid, 2 * SECOND, 1, SECOND), 3 * SECOND);
    }
    table.expire(9 * SECOND);
    assert_eq!((table.len(), table.bytes()), (0, 0));
    assert!(table.lingering.is_empty() && table.exited.is_empty());
    assert!(table.shares.is_empty() && table.children.is_empty() && table.by_pid.is_empty());
}

#[test]
fn a_process_whose_exit_was_lost_does_not_stay() {
    let mut table = family();
    table.only_alive(&HashSet::from([1, 10]), 4 * SECOND);
    table.expire(100 * SECOND);
    assert!(table.by_pid(20).is_none());
    assert_eq!(table.len(), 2);
    // A pid in use again says the same.
    table.executed(
        &task(10, 101 * SECOND, 1, SECOND),
        image(b"/bin/other"),
        b"/",
    );
    table.expire(200 * SECOND);
    assert_eq!(table.len(), 2);
    assert_eq!(&*table.by_pid(10).expect("new").image.exe, b"/bin/other");
}

#[test]
fn a_parent_found_after_its_children_stays_for_them() {
    let mut table = Table::new(Limits::default());
    table.executed(
        &task(20, 3 * SECOND, 10, 2 * SECOND),
        image(b"/bin/sh"),
        b"/",
    );
    table.executed(&task(10, 2 * SECOND, 1, SECOND), image(b"/bin/bash"), b"/");
    table.exited(&task(10, 2 * SECOND, 1, SECOND), 4 * SECOND);
    table.expire(100 * SECOND);
    assert_eq!(lineage(&table, 20), [10]);
}

#[test]
fn a_late_record_does_not_take_a_pid_back() {
    let mut table = family();
    table.executed(&task(10, 50 * SECOND, 1, SECOND), image(b"/bin/new"), b"/");
    let old = Process::new(
        task(10, 40 * SECOND, 1, SECOND),
        Arc::new(image(b"/bin/old")),
        Arc::default(),
        None,
    );
    table.found(old);
    assert_eq!(&*table.by_pid(10).expect("new").image.exe, b"/bin/new");
}

#[test]
fn a_child_of_an_unknown_caller_keeps_what_proc_told() {
    let mut table = Table::new(Limits::default());
    let child = task(20, 3 * SECOND, 10, 2 * SECOND);
    let found = Process::new(child, Arc::new(image(b"/bin/sh")), Arc::default(), None);
    table.found(found);
    table.forked(&child, ProcessKey::new(10, 2 * SECOND));
    assert_eq!(&*table.by_pid(20).expect("child").image.exe, b"/bin/sh");
}

#[test]
fn a_name_is_of_the_last_exec_or_fork() {
    let mut table = family();
    let mut shell = task(10, 2 * SECOND, 1, SECOND);
    shell.comm[..2].copy_from_slice(b"sh");
    table.executed(&shell, image(b"/bin/sh"), b"/");
    let mut renamed = shell;
    renamed.comm[..4].copy_from_slice(b"sshd");
    assert_eq!(table.seen(&renamed, b"").expect("known").name(), b"sh");

    // A runtime's helpers are known by the names that their makers gave themselves.
    let mut child = task(30, 4 * SECOND, 10, 2 * SECOND);
    child.comm = renamed.comm;
    let child = table.forked(&child, ProcessKey::of(&shell));
    assert_eq!(child.name(), b"sshd");
    let parent = table.ancestors(&child).next().expect("parent");
    assert_eq!(parent.name(), b"sh");
}

#[test]
fn a_change_of_folder_and_a_move_are_seen() {
    let mut table = family();
    let child = task(20, 3 * SECOND, 10, 2 * SECOND);
    assert_eq!(&*table.seen(&child, b"/srv").expect("known").cwd, b"/srv");
    assert_eq!(&*table.seen(&child, b"").expect("known").cwd, b"/srv");

    table.moved(ProcessKey::of(&child), 9, 7);
    let moved = table.by_pid(20).expect("known");
    assert_eq!((moved.cgroup, moved.origin_cgroup), (9, 7));
}

#[test]
fn proc_does_not_overwrite_what_a_record_told() {
    let mut table = family();
    let stale = Process::new(
        task(10, 2 * SECOND + 9_000_000, 1, SECOND),
        Arc::new(image(b"/bin/stale")),
        Arc::default(),
        None,
    );
    assert_eq!(&*table.found(stale).image.exe, b"/bin/sh");
}

#[test]
fn an_unknown_process_is_none() {
    let mut table = family();
    assert!(table.seen(&task(77, SECOND, 1, SECOND), b"").is_none());
    assert!(table.by_pid(77).is_none());
    assert!(table.moved(ProcessKey::new(77, 0), 1, 1).is_none());
}
