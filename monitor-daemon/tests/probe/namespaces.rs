//! Namespaces entered, left and made.

use monitor_common::{Kind, Task};
use monitor_daemon::record::Body;

use crate::support::{Seen, Watch, child, on_each_tier, perl};

const NEWUTS: u64 = 0x400_0000;
const NEWNET: u64 = 0x4000_0000;

/// Other uts namespaces by each call. The new processes end at once, by a call that runs no
/// handlers of perl's.
const OTHER: &str = "
my $pid = $$;
open(my $home, '<', '/proc/self/ns/uts') or exit 1;
syscall(272, 0x4000000) == 0 or exit 2;
syscall(308, fileno($home), 0x4000000) == 0 or exit 3;
syscall(56, 0x4000000 | 17, 0, 0, 0, 0) || syscall(231, 0);
my $arguments = pack('Q11', 0x4000000, 0, 0, 0, 17, 0, 0, 0, 0, 0, 0);
my $child = syscall(435, $arguments, 88);
$child || syscall(231, 0);
wait; wait;
# A namespace for users cannot be shared with a file system's root.
syscall(56, 0x10000200 | 17, 0, 0, 0, 0) == -1 or exit 4;
$arguments = pack('Q11', 0x10000200, 0, 0, 0, 17, 0, 0, 0, 0, 0, 0);
syscall(435, $arguments, 88) == -1 or exit 5;
# A plain fork.
my $plain = fork() // exit 6; $plain || syscall(231, 0);
wait;
";

#[test]
fn namespaces() {
    on_each_tier(&[Kind::Namespace, Kind::Clone], |watch| {
        let mut process = perl(OTHER);
        let pid = process.id();
        assert_eq!(process.wait().unwrap().code(), Some(0));
        let fork = watch.next_of(pid, "the fork", |record| record.kind() == Kind::Fork);
        let task = child(&watch.me, &fork, pid, "perl");
        let seen = next(watch, &task, Kind::Namespace);
        check(&seen, &task, 272, &[NEWUTS], 0);
        let seen = next(watch, &task, Kind::Namespace);
        let home = seen.record().registers().unwrap().args[0];
        assert!(home > 2);
        check(&seen, &task, 308, &[home, NEWUTS], 0);

        for syscall in [56, 435] {
            let seen = next(watch, &task, Kind::Clone);
            let id = seen.record().registers().unwrap().ret;
            assert!(id > 1 && id != i64::from(pid));
            check(&seen, &task, syscall, &[NEWUTS, 0, 0, 0, 0, 0], id);
        }
        for syscall in [56, 435] {
            let seen = next(watch, &task, Kind::Clone);
            check(&seen, &task, syscall, &[0x1000_0200, 0, 0, 0, 0, 0], -22);
        }
        let more = watch.rest();
        let more = more
            .iter()
            .find(|seen| seen.record().kind() == Kind::Clone && seen.record().task().pid == pid);
        assert!(more.is_none(), "a plain fork has a record");
    });
}

/// A namespace of the network shows in the task: it is that of the call's end.
#[test]
fn the_task_is_described_after_the_call() {
    on_each_tier(&[Kind::Namespace], |watch| {
        let mut process = perl("syscall(272, 0x40000000) == 0 or exit 1;");
        let pid = process.id();
        assert_eq!(process.wait().unwrap().code(), Some(0));
        let fork = watch.next_of(pid, "the fork", |record| record.kind() == Kind::Fork);
        let mut task = child(&watch.me, &fork, pid, "perl");
        let seen = next(watch, &task, Kind::Namespace);
        let found = seen.record().task().net_ns;
        assert!(found != task.net_ns && found != 0);
        task.net_ns = found;
        check(&seen, &task, 272, &[NEWNET], 0);
    });
}

#[track_caller]
fn next(watch: &mut Watch, task: &Task, kind: Kind) -> Seen {
    watch.next_of(task.tid, kind.name(), |record| record.kind() == kind)
}

#[track_caller]
fn check(seen: &Seen, task: &Task, syscall: u32, args: &[u64], ret: i64) {
    let known: Vec<_> = args.iter().copied().enumerate().collect();
    let body = seen.registers(syscall, &known, ret);
    let body = match seen.record().kind() {
        Kind::Clone => Body::Clone(body),
        _ => Body::Namespace(body),
    };
    seen.check(task, 0, &body, &[]);
}
