//! What the families share: probes that watch one thread and its children, and what a whole record
//! of theirs must say, from `/proc`.

use std::collections::VecDeque;
use std::fmt::Debug;
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use monitor_common::call::Registers;
use monitor_common::{Kind, Slot, Task};
use monitor_daemon::probe::{Probes, Request, Rings, Tier, Tiers};
use monitor_daemon::record::{Body, Record};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::time::{ClockId, clock_gettime};

use crate::proc::{TICK, this_thread};

const PATIENCE: Duration = Duration::from_secs(20);
const ALL_SLOTS: [Slot; 9] = [
    Slot::Resolved,
    Slot::Passed,
    Slot::Cwd,
    Slot::Base,
    Slot::Args,
    Slot::Env,
    Slot::Target,
    Slot::TargetBase,
    Slot::TargetResolved,
];

/// Probes of some kinds, and the records of this thread and of this process's children.
pub(crate) struct Watch {
    pub(crate) probes: Probes,
    rings: Rings,
    waiting: VecDeque<Vec<u8>>,
    /// `CLOCK_BOOTTIME` in ns, after all that was seen before.
    since: u64,
    /// The thread, as all of its records must describe it.
    pub(crate) me: Task,
}

/// A record, copied out of the ring.
pub(crate) struct Seen(Vec<u8>);

impl Seen {
    pub(crate) fn record(&self) -> Record<'_> {
        Record::parse(&self.0).unwrap()
    }

    pub(crate) fn text(&self, slot: Slot) -> String {
        String::from_utf8_lossy(self.record().string(slot)).into_owned()
    }

    /// The body of a call of registers; those that are not known hold pointers or nothing, and are
    /// taken as they are.
    pub(crate) fn registers(&self, syscall: u32, known: &[(usize, u64)], ret: i64) -> Registers {
        let found = *self.record().registers().unwrap();
        let mut args = found.args;
        for (index, value) in known {
            *args.get_mut(*index).unwrap() = *value;
        }
        Registers {
            ret,
            args,
            syscall,
            reserved: 0,
            held: found.held,
        }
    }

    /// Asserts all that the record holds but its length, which parsing checks, and its time.
    #[track_caller]
    pub(crate) fn check(&self, task: &Task, flags: u16, body: &Body, strings: &[(Slot, &str)]) {
        let record = self.record();
        same(record.body(), body);
        // What registers tell has the working directory, unless a path says more; not memory,
        // which programs map by the dozen.
        let told = |slots: &[Slot]| strings.iter().any(|(slot, _)| slots.contains(slot));
        let located = record.registers().is_some()
            && record.kind() != Kind::Memory
            && !told(&[Slot::Passed, Slot::Cwd]);
        let here = located.then_some((Slot::Cwd, env!("CARGO_MANIFEST_DIR")));
        let expected = ALL_SLOTS.map(|slot| {
            let mut strings = strings.iter().chain(&here);
            let found = strings.find(|(known, _)| *known == slot);
            (slot, found.map_or("", |(_, text)| *text).to_owned())
        });
        assert_eq!(ALL_SLOTS.map(|slot| (slot, self.text(slot))), expected);
        same(&comparable(record.task()), &comparable(task));
        assert_eq!(record.header().flags, flags, "flags");
    }
}

/// All fields, by what they print: records have no equality of their own.
#[track_caller]
fn same(found: &impl Debug, expected: &impl Debug) {
    assert_eq!(format!("{found:#?}"), format!("{expected:#?}"));
}

/// A task without what cannot be known beforehand: the CPU, and parts of a tick.
fn comparable(task: &Task) -> Task {
    Task {
        start: task.start / TICK,
        parent_start: task.parent_start / TICK,
        pid_ns_start: task.pid_ns_start / TICK,
        cpu: 0,
        ..*task
    }
}

/// Runs a case on each tier that this kernel has, or says why not.
pub(crate) fn on_each_tier(kinds: &[Kind], case: impl Fn(&mut Watch)) {
    if !rustix::process::geteuid().is_root() {
        println!("SKIP: loading kernel programs needs root");
        return;
    }
    for tiers in [Tiers::SyscallOnly, Tiers::Auto] {
        case(&mut Watch::start(kinds, tiers));
    }
}

impl Watch {
    /// Loads the probes; each kind must have a provider.
    pub(crate) fn start(kinds: &[Kind], tiers: Tiers) -> Self {
        let request = Request {
            kinds: kinds.to_vec(),
            tiers,
            ..Request::default()
        };
        Self::load(&request)
    }

    pub(crate) fn load(request: &Request) -> Self {
        let mut probes = Probes::load(request).unwrap();
        for coverage in probes.coverage() {
            println!("{coverage:?}");
            assert!(coverage.provider.is_some(), "no provider: {coverage:?}");
        }
        let rings = probes.rings().unwrap();
        assert!(probes.rings().is_err(), "the rings can be taken once");
        Self {
            probes,
            rings,
            waiting: VecDeque::new(),
            since: now(),
            me: this_thread(),
        }
    }

    /// Which tier serves a kind.
    pub(crate) fn tier(&self, kind: Kind) -> Option<Tier> {
        let mut all = self.probes.coverage().iter();
        all.find(|coverage| coverage.kind == kind)?.tier
    }

    /// The hooks that serve a kind.
    pub(crate) fn provider(&self, kind: Kind) -> String {
        let mut all = self.probes.coverage().iter();
        let coverage = all.find(|coverage| coverage.kind == kind);
        coverage
            .and_then(|found| found.provider.clone())
            .unwrap_or_default()
    }

    /// The next record of a kind by this thread.
    #[track_caller]
    pub(crate) fn next(&mut self, kind: Kind) -> Seen {
        let tid = self.me.tid;
        self.next_of(tid, kind.name(), |record| record.kind() == kind)
    }

    /// The next record of a task that fits. Records of a task come in the order of what it did.
    #[track_caller]
    pub(crate) fn next_of(
        &mut self,
        tid: u32,
        what: &str,
        fits: impl Fn(&Record<'_>) -> bool,
    ) -> Seen {
        self.find(what, |record| record.task().tid == tid && fits(record))
    }

    /// The same of any child, for who is known by nothing but the record.
    #[track_caller]
    pub(crate) fn find(&mut self, what: &str, fits: impl Fn(&Record<'_>) -> bool) -> Seen {
        let deadline = Instant::now() + PATIENCE;
        let fits = |bytes: &Vec<u8>| fits(&Record::parse(bytes).unwrap());
        let mut checked = 0;
        loop {
            self.collect();
            let found = self.waiting.iter().skip(checked).position(fits);
            if let Some(position) = found {
                let bytes = self.waiting.remove(checked + position).unwrap();
                let seen = Seen(bytes);
                let time = seen.record().header().time;
                assert!((self.since..=now()).contains(&time), "{what} at {time}");
                return seen;
            }
            checked = self.waiting.len();
            let left = deadline.saturating_duration_since(Instant::now());
            assert!(!left.is_zero(), "no record of {what} in {PATIENCE:?}");
            let mut descriptors = self
                .rings
                .descriptors()
                .map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN));
            poll(&mut descriptors, Some(&left.try_into().unwrap())).unwrap();
        }
    }

    /// Everything of this thread and of children that has come and was not asked for yet.
    pub(crate) fn rest(&mut self) -> Vec<Seen> {
        self.collect();
        self.waiting.drain(..).map(Seen).collect()
    }

    /// Forgets what has come: records must be later than this moment.
    pub(crate) fn forget(&mut self) {
        self.collect();
        self.waiting.clear();
        self.since = now();
    }

    fn collect(&mut self) {
        while let Some(bytes) = self.rings.next() {
            let record = Record::parse(bytes).unwrap();
            if record.task().tid == self.me.tid || record.task().ppid == self.me.pid {
                self.waiting.push_back(bytes.to_vec());
            }
        }
    }
}

/// `CLOCK_BOOTTIME`, ns.
fn now() -> u64 {
    let time = clock_gettime(ClockId::Boottime);
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

/// What a child of `parent` is, from its own record only what nobody else knows: when it started.
pub(crate) fn child(parent: &Task, seen: &Seen, pid: u32, comm: &str) -> Task {
    let start = seen.record().task().start;
    assert!(start > parent.start, "a child older than its parent");
    Task {
        start,
        parent_start: parent.start,
        pid,
        tid: pid,
        vpid: pid,
        vtid: pid,
        ppid: parent.pid,
        vppid: parent.vpid,
        comm: name(comm),
        ..*parent
    }
}

/// A kernel's task name.
pub(crate) fn name(text: &str) -> [u8; 16] {
    let mut comm = [0; 16];
    for (to, from) in comm.iter_mut().take(15).zip(text.bytes()) {
        *to = from;
    }
    comm
}

/// Runs perl, whose `syscall` reaches what safe code does not.
pub(crate) fn perl(script: &str) -> Child {
    Command::new("perl").args(["-e", script]).spawn().unwrap()
}
