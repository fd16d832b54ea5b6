//! Processes: exec, failed exec, fork and exit.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::process::Command;

use monitor_common::process::{ExeFlags, Exec, Exit, Fork};
use monitor_common::{Flags, Kind, Slot, Task};
use monitor_daemon::record::Body;

use crate::support::{Seen, Watch, child, name, on_each_tier};

const AT_FDCWD: i32 = -100;
const OVERLAYFS_SUPER_MAGIC: i64 = 0x794c_7630;

#[test]
fn a_command_is_a_fork_an_exec_and_an_exit() {
    on_each_tier(&[Kind::Exec], |watch| {
        watch.forget();
        let mut command = Command::new("/bin/sh");
        command.args(["-c", "exit 3", "an argument"]);
        let mut process = command.env_clear().env("A", "b").spawn().unwrap();
        let pid = process.id();
        assert_eq!(process.wait().unwrap().code(), Some(3));
        let me = watch.me;
        let comm = String::from_utf8_lossy(&me.comm).into_owned();

        let fork = watch.next_of(pid, "the fork", |record| record.kind() == Kind::Fork);
        let newborn = child(&me, &fork, pid, comm.trim_end_matches('\0'));
        let body = Fork {
            caller_pid: me.pid,
            caller_tid: me.tid,
            caller_start: fork.record().task().parent_start,
        };
        fork.check(&newborn, 0, &Body::Fork(body), &[]);

        let shell = Task {
            comm: name("sh"),
            ..newborn
        };
        let exec = watch.next_of(pid, "the exec", |record| record.kind() == Kind::Exec);
        executed(&exec, &shell);

        let exit = watch.next_of(pid, "the exit", |record| record.kind() == Kind::Exit);
        let body = Exit {
            status: 3 << 8,
            reserved: 0,
        };
        exit.check(&shell, 0, &Body::Exit(body), &[]);
        ordered(&[&fork, &exec, &exit]);
    });
}

#[track_caller]
fn executed(seen: &Seen, shell: &Task) {
    let path = Path::new("/bin/sh").canonicalize().unwrap();
    let file = fs::metadata(&path).unwrap();
    let ns = |seconds: i64, rest: i64| (seconds * 1_000_000_000 + rest) as u64;
    let args = "/bin/sh\0-c\0exit 3\0an argument\0";
    let Body::Exec(found) = *seen.record().body() else {
        panic!("an exec has another body")
    };
    let overlay = rustix::fs::statfs(&path).unwrap().f_type == OVERLAYFS_SUPER_MAGIC;
    let layers = found.exe_flags & (ExeFlags::LOWER_LAYER | ExeFlags::UPPER_LAYER);
    assert_eq!(layers.count_ones(), u32::from(overlay));
    let body = Exec {
        ret: 0,
        inode: file.ino(),
        ctime: ns(file.ctime(), file.ctime_nsec()),
        mtime: ns(file.mtime(), file.mtime_nsec()),
        dev: rustix::fs::major(file.dev()) << 20 | rustix::fs::minor(file.dev()),
        exe_flags: ExeFlags::WRITABLE | layers | found.exe_flags & ExeFlags::PLAIN,
        syscall: 59,
        dirfd: AT_FDCWD,
        args_len: args.len() as u32,
        env_len: 4,
        tree: seen.record().task().mnt_ns,
        tree_owner: seen.record().task().user_ns,
    };
    let strings = [
        (Slot::Resolved, path.to_str().unwrap()),
        (Slot::Passed, "/bin/sh"),
        (Slot::Cwd, env!("CARGO_MANIFEST_DIR")),
        (Slot::Args, args),
    ];
    seen.check(shell, 0, &Body::Exec(body), &strings);
}

#[test]
fn a_failed_exec_is_the_old_program_s() {
    on_each_tier(&[Kind::Exec], failed);
}

fn failed(watch: &mut Watch) {
    let program = format!("/nonexistent/{}", watch.me.tid);
    watch.forget();
    assert!(Command::new(&program).status().is_err());
    let me = watch.me;
    let seen = watch.find("the failed exec", |record| {
        record.string(Slot::Passed) == program.as_bytes()
    });
    let pid = seen.record().task().pid;
    let fork = watch.next_of(pid, "its fork", |record| record.kind() == Kind::Fork);
    let comm = String::from_utf8_lossy(&me.comm).into_owned();
    let task = child(&me, &fork, pid, comm.trim_end_matches('\0'));
    let body = Exec {
        ret: -2,
        inode: 0,
        ctime: 0,
        mtime: 0,
        dev: 0,
        exe_flags: 0,
        syscall: 59,
        dirfd: AT_FDCWD,
        args_len: 0,
        env_len: 0,
        tree: 0,
        tree_owner: 0,
    };
    let strings = [
        (Slot::Passed, program.as_str()),
        (Slot::Cwd, env!("CARGO_MANIFEST_DIR")),
    ];
    // What fails has a provider of its own.
    let provider = watch.provider(Kind::Exec);
    let flags = if provider.contains("fexit/") {
        Flags::OBJECT_TIER
    } else {
        0
    };
    seen.check(&task, flags, &Body::Exec(body), &strings);
}

/// That the records are in the order of time.
#[track_caller]
fn ordered(all: &[&Seen]) {
    let times: Vec<u64> = all.iter().map(|seen| seen.record().header().time).collect();
    assert!(times.is_sorted(), "{times:?}");
}
