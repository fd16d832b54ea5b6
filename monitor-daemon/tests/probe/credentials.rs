//! Changes of ids and capabilities.

use monitor_common::{Kind, Task};
use monitor_daemon::record::Body;
use rustix::process::{getgid, getuid};

use crate::support::{Watch, child, on_each_tier, perl};

#[test]
fn a_thread_sets_its_own_ids_again() {
    on_each_tier(&[Kind::Identity], |watch| {
        let (uid, gid) = (getuid(), getgid());
        watch.forget();
        rustix::thread::set_thread_uid(uid).unwrap();
        rustix::thread::set_thread_gid(gid).unwrap();
        rustix::thread::set_thread_res_uid(uid, uid, uid).unwrap();
        rustix::thread::set_thread_res_gid(gid, gid, gid).unwrap();
        let (uid, gid) = (u64::from(uid.as_raw()), u64::from(gid.as_raw()));
        let cases = [
            (105, vec![uid]),
            (106, vec![gid]),
            (117, vec![uid, uid, uid]),
            (119, vec![gid, gid, gid]),
        ];
        let me = watch.me;
        for (syscall, args) in cases {
            check(watch, &me, syscall, &args, 0);
        }
    });
}

/// Gives up everything, step by step; each record shows the task as the call left it.
const DROP: &str = "
syscall(119, 11, 12, 13) == 0 or exit 1;
syscall(123, 12);
my $version = pack('LL', 0x20080522, 0);
my $too_much = pack('L6', 3, 1, 0, 0, 0, 0);
syscall(126, $version, $too_much) == -1 or exit 2;
my $less = pack('L6', 0xff, 0xff, 0, 0, 0, 0);
syscall(126, $version, $less) == 0 or exit 3;
syscall(117, 21, 22, 23) == 0 or exit 4;
syscall(105, 0) == -1 or exit 5;
syscall(113, 22, 23) == 0 or exit 6;
syscall(122, 22);
";

#[test]
fn a_process_gives_up_its_ids() {
    on_each_tier(&[Kind::Identity], |watch| {
        let mut process = perl(DROP);
        let pid = process.id();
        assert!(process.wait().unwrap().success());
        let fork = watch.next_of(pid, "the fork", |record| record.kind() == Kind::Fork);
        let mut task = child(&watch.me, &fork, pid, "perl");
        (task.gid, task.egid) = (11, 12);
        check(watch, &task, 119, &[11, 12, 13], 0);
        check(watch, &task, 123, &[12], 12);
        // An effective set beyond the permitted one.
        check(watch, &task, 126, &[], -1);
        (task.cap_effective, task.cap_permitted) = (0xff, 0xff);
        task.cap_inheritable = 0;
        check(watch, &task, 126, &[], 0);
        (task.uid, task.euid) = (21, 22);
        // The kernel takes the capabilities of who is no longer root.
        (task.cap_effective, task.cap_permitted) = (0, 0);
        check(watch, &task, 117, &[21, 22, 23], 0);
        check(watch, &task, 105, &[0], -1);
        (task.uid, task.euid) = (22, 23);
        check(watch, &task, 113, &[22, 23], 0);
        check(watch, &task, 122, &[22], 23);
    });
}

/// The next record of this call; of the registers only those of its arguments are known.
#[track_caller]
fn check(watch: &mut Watch, task: &Task, syscall: u32, args: &[u64], ret: i64) {
    let seen = watch.next_of(task.tid, "the change", |record| {
        record.kind() == Kind::Identity
    });
    let known: Vec<_> = args.iter().copied().enumerate().collect();
    let body = seen.registers(syscall, &known, ret);
    seen.check(task, 0, &Body::Identity(body), &[]);
}
