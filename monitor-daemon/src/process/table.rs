//! The process table.
//!
//! Fed with what happened, in the order it happened. Exited processes stay while somebody may
//! still name them (a grace time, or as long as a child lives), within a byte budget; what is
//! dropped for the budget is counted.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use monitor_common::Task;

use super::{Image, Process, ProcessKey};

/// How much the table may keep.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Bytes of all processes together.
    pub bytes: usize,
    /// How long an exited process without children is kept, ns.
    pub grace_ns: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            bytes: 32 << 20,
            grace_ns: 5_000_000_000,
        }
    }
}

#[derive(Debug)]
struct Slot {
    process: Arc<Process>,
    children: u32,
    exited: bool,
    /// Exited longer ago than the grace time, and kept for its descendants.
    lingers: bool,
}

/// All processes of the host, alive or recently gone.
#[derive(Debug, Default)]
pub struct Table {
    limits: Limits,
    slots: HashMap<ProcessKey, Slot>,
    /// The latest process with a pid.
    by_pid: HashMap<u32, ProcessKey>,
    /// Exited processes with the time of their exit, oldest first.
    exited: VecDeque<(u64, ProcessKey)>,
    /// Those kept for their descendants, oldest exit first; may name some that are gone.
    lingering: VecDeque<ProcessKey>,
    bytes: usize,
    evicted: u64,
}

impl Table {
    /// An empty table.
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            ..Self::default()
        }
    }

    /// The process with this identity.
    pub fn get(&self, key: ProcessKey) -> Option<&Arc<Process>> {
        self.slots.get(&key).map(|slot| &slot.process)
    }

    /// The latest process with this pid.
    pub fn by_pid(&self, pid: u32) -> Option<&Arc<Process>> {
        self.get(*self.by_pid.get(&pid)?)
    }

    /// Its ancestors, parent first. Ends at the first one that is not known.
    pub fn ancestors<'a>(&'a self, process: &Process) -> impl Iterator<Item = &'a Arc<Process>> {
        let mut next = process.parent;
        std::iter::from_fn(move || {
            let ancestor = self.get(next?)?;
            next = ancestor.parent;
            Some(ancestor)
        })
        // A cycle cannot be built from fork records, but a hostile or damaged one must not hang us.
        .take(ANCESTORS_MAX)
    }

    /// A process was forked: it runs what its caller runs.
    pub fn forked(&mut self, task: &Task, caller: ProcessKey) -> Arc<Process> {
        let caller = self.get(caller).cloned();
        let (image, cwd) = match &caller {
            Some(caller) => (Arc::clone(&caller.image), Arc::clone(&caller.cwd)),
            None => (Arc::default(), Arc::default()),
        };
        let mut process = Process::new(*task, image, cwd, Some(ProcessKey::parent_of(task)));
        if let Some(caller) = caller {
            process.origin_cgroup = caller.origin_cgroup;
            process.cgroup = caller.cgroup;
        }
        self.put(process)
    }

    /// A process runs another program now.
    pub fn executed(&mut self, task: &Task, image: Image, cwd: &[u8]) -> Arc<Process> {
        let key = ProcessKey::of(task);
        let parent = ProcessKey::parent_of(task);
        let mut process = Process::new(*task, Arc::new(image), Arc::from(cwd), Some(parent));
        if let Some(before) = self.get(key) {
            process.parent = before.parent.or(process.parent);
            process.origin_cgroup = before.origin_cgroup;
            process.cgroup = before.cgroup;
        }
        self.put(process)
    }

    /// A process found in `/proc`. What a record told of it already stays.
    pub fn found(&mut self, process: Process) -> Arc<Process> {
        match self.get(process.key()) {
            Some(known) => Arc::clone(known),
            None => self.put(process),
        }
    }

    /// Keeps the name and cgroup of a known process up to date; `None` when it is not known.
    pub fn seen(&mut self, task: &Task) -> Option<Arc<Process>> {
        let slot = self.slots.get_mut(&ProcessKey::of(task))?;
        if task.pid == task.tid && slot.process.comm != task.comm {
            slot.process = Arc::new(slot.process.with(|process| process.comm = task.comm));
        }
        Some(Arc::clone(&slot.process))
    }

    /// A process is in another cgroup now; `origin` is the one that decides its container.
    pub fn moved(&mut self, key: ProcessKey, cgroup: u64, origin: u64) -> Option<Arc<Process>> {
        let slot = self.slots.get_mut(&key)?;
        slot.process = Arc::new(slot.process.with(|process| {
            process.cgroup = cgroup;
            process.origin_cgroup = origin;
        }));
        Some(Arc::clone(&slot.process))
    }

    /// A process is gone. It stays in the table for a while.
    pub fn exited(&mut self, task: &Task, time: u64) {
        let key = ProcessKey::of(task);
        if let Some(slot) = self.slots.get_mut(&key)
            && !slot.exited
        {
            slot.exited = true;
            self.exited.push_back((time, key));
        }
        self.expire(time);
    }

    /// Drops exited processes that nobody can name any more. `time` is `CLOCK_BOOTTIME` ns.
    pub fn expire(&mut self, time: u64) {
        while let Some(&(since, key)) = self.exited.front() {
            let over = self.bytes > self.limits.bytes;
            if !over && time.saturating_sub(since) < self.limits.grace_ns {
                break;
            }
            // The far ends of lineages go first.
            if over && let Some(oldest) = self.lingering.pop_front() {
                self.evict(oldest);
                continue;
            }
            self.exited.pop_front();
            match self.slots.get_mut(&key) {
                Some(slot) if slot.children > 0 => {
                    slot.lingers = true;
                    self.lingering.push_back(key);
                }
                _ => self.remove(key),
            }
        }
    }

    /// Number of processes kept.
    pub fn len(&self) -> usize {
        self.slots.len()
    }

    /// Whether no process is kept.
    pub fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    /// Bytes kept.
    pub const fn bytes(&self) -> usize {
        self.bytes
    }

    /// Ancestors of living processes that were dropped for the budget.
    pub const fn evicted(&self) -> u64 {
        self.evicted
    }

    fn put(&mut self, process: Process) -> Arc<Process> {
        let process = Arc::new(process);
        let key = process.key();
        self.bytes += process.bytes();
        self.by_pid.insert(key.pid, key);
        if let Some(slot) = self.slots.get_mut(&key) {
            self.bytes = self.bytes.saturating_sub(slot.process.bytes());
            slot.process = Arc::clone(&process);
            return process;
        }
        if let Some(parent) = process.parent
            && let Some(slot) = self.slots.get_mut(&parent)
        {
            slot.children += 1;
        }
        // Children that were found before their parent are counted now.
        let slot = Slot {
            process: Arc::clone(&process),
            children: 0,
            exited: false,
            lingers: false,
        };
        self.slots.insert(key, slot);
        process
    }

    /// Drops an ancestor although descendants live.
    fn evict(&mut self, key: ProcessKey) {
        // It may have gone with its last child before.
        if self.slots.get(&key).is_some_and(|slot| slot.lingers) {
            self.evicted += 1;
            self.remove(key);
        }
    }

    /// Drops a process, and the ancestors that were kept for it alone.
    fn remove(&mut self, key: ProcessKey) {
        let mut next = Some(key);
        while let Some(slot) = next.take().and_then(|key| self.slots.remove(&key)) {
            let key = slot.process.key();
            self.bytes = self.bytes.saturating_sub(slot.process.bytes());
            if self.by_pid.get(&key.pid) == Some(&key) {
                self.by_pid.remove(&key.pid);
            }
            let Some(parent) = slot.process.parent else {
                return;
            };
            if let Some(slot) = self.slots.get_mut(&parent) {
                slot.children = slot.children.saturating_sub(1);
                next = (slot.lingers && slot.children == 0).then_some(parent);
            }
        }
    }
}

/// Deepest lineage followed.
const ANCESTORS_MAX: usize = 256;

#[cfg(test)]
mod tests {
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
    fn a_rename_and_a_move_are_seen() {
        let mut table = family();
        let mut renamed = task(20, 3 * SECOND, 10, 2 * SECOND);
        renamed.comm[..2].copy_from_slice(b"ls");
        assert_eq!(table.seen(&renamed).expect("known").name(), b"ls");
        // Another thread's name is not the process's.
        let thread = Task {
            tid: 21,
            comm: [b'x'; 16],
            ..renamed
        };
        assert_eq!(table.seen(&thread).expect("known").name(), b"ls");

        table.moved(ProcessKey::of(&renamed), 9, 7);
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
        assert!(table.seen(&task(77, SECOND, 1, SECOND)).is_none());
        assert!(table.by_pid(77).is_none());
        assert!(table.moved(ProcessKey::new(77, 0), 1, 1).is_none());
    }
}
