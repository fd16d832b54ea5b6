//! This thread as `/proc` describes it: what the kernel's own facts are held to.

use std::fs;
use std::os::unix::fs::MetadataExt as _;

use monitor_common::Task;

use crate::support::name;

/// `USER_HZ`: what `/proc` counts start times in, ns.
pub(crate) const TICK: u64 = 10_000_000;

/// The calling thread. Its CPU is left out, for it may change at any time.
pub(crate) fn this_thread() -> Task {
    let pid = std::process::id();
    let own = Status::of("thread-self");
    let ppid = own.number("PPid:", 0);
    let (stat, init) = (Stat::of(pid), Stat::of(1));
    Task {
        start: stat.start,
        parent_start: Stat::of(ppid).start,
        cgroup: cgroup(),
        cap_permitted: own.set("CapPrm:"),
        cap_effective: own.set("CapEff:"),
        cap_inheritable: own.set("CapInh:"),
        pid_ns_start: init.start,
        pid,
        tid: own.number("Pid:", 0),
        ppid,
        sid: stat.sid,
        pgid: stat.pgid,
        vpid: Status::of("self").innermost("NSpid:"),
        vtid: own.innermost("NSpid:"),
        vppid: Status::of(&ppid.to_string()).innermost("NSpid:"),
        vsid: own.innermost("NSsid:"),
        vpgid: own.innermost("NSpgid:"),
        uid: own.number("Uid:", 0),
        gid: own.number("Gid:", 0),
        euid: own.number("Uid:", 1),
        egid: own.number("Gid:", 1),
        loginuid: audit("loginuid"),
        audit_session: audit("sessionid"),
        tty: stat.tty,
        mnt_ns: namespace("mnt"),
        pid_ns: namespace("pid"),
        net_ns: namespace("net"),
        user_ns: namespace("user"),
        cpu: 0,
        comm: name(read("thread-self/comm").trim_end()),
    }
}

fn read(path: &str) -> String {
    fs::read_to_string(format!("/proc/{path}")).unwrap()
}

/// A task's `status`.
struct Status(String);

impl Status {
    fn of(task: &str) -> Self {
        Self(read(&format!("{task}/status")))
    }

    fn words(&self, key: &str) -> impl DoubleEndedIterator<Item = &str> {
        let mut lines = self.0.lines();
        let line = lines.find_map(|line| line.strip_prefix(key)).unwrap();
        line.split_whitespace()
    }

    fn number(&self, key: &str, index: usize) -> u32 {
        self.words(key).nth(index).unwrap().parse().unwrap()
    }

    /// An id in the task's own pid namespace.
    fn innermost(&self, key: &str) -> u32 {
        self.words(key).next_back().unwrap().parse().unwrap()
    }

    fn set(&self, key: &str) -> u64 {
        u64::from_str_radix(self.words(key).next().unwrap(), 16).unwrap()
    }
}

/// What `/proc/PID/stat` has of a process.
struct Stat {
    pgid: u32,
    sid: u32,
    tty: u32,
    /// ns, in whole ticks.
    start: u64,
}

impl Stat {
    fn of(pid: u32) -> Self {
        let text = read(&format!("{pid}/stat"));
        let (_, rest) = text.rsplit_once(") ").unwrap();
        // The first word here is field 3 of proc(5).
        let field = |number: usize| rest.split(' ').nth(number - 3).unwrap();
        Self {
            pgid: field(5).parse().unwrap(),
            sid: field(6).parse().unwrap(),
            tty: field(7).parse().unwrap(),
            start: field(22).parse::<u64>().unwrap() * TICK,
        }
    }
}

/// Inode number of a namespace of the thread.
fn namespace(kind: &str) -> u32 {
    let link = fs::read_link(format!("/proc/thread-self/ns/{kind}")).unwrap();
    let number = |c: char| c.is_ascii_digit();
    let text: String = link
        .to_str()
        .unwrap()
        .chars()
        .filter(|c| number(*c))
        .collect();
    text.parse().unwrap()
}

/// A fact that kernels without audit do not have.
fn audit(file: &str) -> u32 {
    let text = fs::read_to_string(format!("/proc/thread-self/{file}"));
    text.map_or(u32::MAX, |text| text.trim().parse().unwrap())
}

/// Id of the thread's cgroup in the unified hierarchy: the inode of its directory.
fn cgroup() -> u64 {
    let groups = read("thread-self/cgroup");
    let path = groups
        .lines()
        .find_map(|line| line.strip_prefix("0::"))
        .unwrap();
    let mounts = read("self/mounts");
    let mount = mounts.lines().find_map(|line| {
        let mut words = line.split(' ').skip(1);
        let (folder, kind) = (words.next()?, words.next()?);
        (kind == "cgroup2").then_some(folder)
    });
    let folder = format!("{}{path}", mount.expect("no unified hierarchy is mounted"));
    fs::metadata(folder).unwrap().ino()
}
