//! Processes that reach into others.

use monitor_common::process::Ptrace;
use monitor_common::{Flags, Kind, Slot, Task};
use monitor_daemon::probe::{Request, Tier, Tiers};
use monitor_daemon::record::Body;

use crate::support::{Watch, child, on_each_tier, perl};

#[test]
fn a_ptrace() {
    on_each_tier(&[Kind::Ptrace], |watch| {
        // `PTRACE_ATTACH` to nobody.
        let mut process = perl("syscall(101, 16, 0x7ffffffe, 7, 9) == -1 or exit 1;");
        let pid = process.id();
        assert_eq!(process.wait().unwrap().code(), Some(0));
        let fork = watch.next_of(pid, "the fork", |record| record.kind() == Kind::Fork);
        let task = child(&watch.me, &fork, pid, "perl");
        let seen = watch.next_of(pid, "the ptrace", |record| record.kind() == Kind::Ptrace);
        let body = Ptrace {
            ret: -3,
            request: 16,
            addr: 7,
            data: 9,
            target: 0x7fff_fffe,
            reserved: 0,
        };
        let flags = if watch.tier(Kind::Ptrace) == Some(Tier::Object) {
            Flags::OBJECT_TIER
        } else {
            0
        };
        seen.check(&task, flags, &Body::Ptrace(body), &[]);
    });
}

/// Calls by their names: those in the table with their strings, others with their registers, and
/// none that nobody asked for.
const CALLS: &str = "
my ($none, $dir, $type, $file) = ('none', '/nonexistent/dir', 'tmpfs', '/nonexistent/file');
my ($from, $to) = ('/nonexistent/a', '/nonexistent/b');
syscall(165, $none, $dir, $type, 6, 0) == -1 or exit 1;
syscall(429, -100, $from, -100, $to, 0) == -1 or exit 2;
syscall(62, 0x7ffffffe, 15) == -1 or exit 3;
syscall(92, $file, 5, 6) == -1 or exit 4;
syscall(309, 0, 0, 0) == 0 or exit 5;
syscall(110);
";

#[test]
fn any_call_that_is_asked_for() {
    if !rustix::process::geteuid().is_root() {
        println!("SKIP: loading kernel programs needs root");
        return;
    }
    let watch = &mut Watch::load(&Request {
        kinds: vec![Kind::Call, Kind::Control],
        calls: Some(vec![165, 429, 62, 92, 309]),
        tiers: Tiers::Auto,
        ..Request::default()
    });
    let mut process = perl(CALLS);
    let pid = process.id();
    assert_eq!(process.wait().unwrap().code(), Some(0));
    let fork = watch.next_of(pid, "the fork", |record| record.kind() == Kind::Fork);
    let task = child(&watch.me, &fork, pid, "perl");
    tells_of_each(watch, &task);
    let more = watch.rest();
    let more = more
        .iter()
        .find(|seen| seen.record().task().pid == pid && seen.record().registers().is_some());
    assert!(more.is_none(), "a call that nobody asked for has a record");
}

fn tells_of_each(watch: &mut Watch, task: &Task) {
    let here = (Slot::Cwd, env!("CARGO_MANIFEST_DIR"));
    let mount = [
        (Slot::Passed, "/nonexistent/dir"),
        here,
        (Slot::Args, "tmpfs"),
        (Slot::Target, "none"),
    ];
    let moved = [
        (Slot::Passed, "/nonexistent/b"),
        here,
        (Slot::Target, "/nonexistent/a"),
    ];
    let owned = [(Slot::Passed, "/nonexistent/file"), here];
    let cases = [
        (Kind::Control, 165, -2, &[(3, 6)][..], &mount[..]),
        (Kind::Control, 429, -2, &[(4, 0)], &moved),
        (Kind::Control, 62, -3, &[(0, 0x7fff_fffe), (1, 15)], &[]),
        (Kind::Call, 92, -2, &[(1, 5), (2, 6)], &owned),
        (Kind::Call, 309, 0, &[(0, 0), (1, 0), (2, 0)], &[]),
    ];
    for (kind, syscall, ret, known, strings) in cases {
        let seen = watch.next_of(task.pid, "the call", |record| {
            [Kind::Call, Kind::Control].contains(&record.kind())
        });
        let body = seen.registers(syscall, known, ret);
        let body = match kind {
            Kind::Call => Body::Call(body),
            _ => Body::Control(body),
        };
        seen.check(task, 0, &body, strings);
    }
}
