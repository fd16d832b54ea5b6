//! The process table.
//!
//! Fed with what happened, in the order it happened. Exited processes stay while somebody may
//! still name them (a grace time, or as long as a child lives), within a byte budget. It holds
//! whatever processes do: exited ones leave first, then those that take most. What forks share is
//! counted once. What is dropped although somebody may name it is counted.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;

use foldhash::fast::RandomState;
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
    exited: bool,
    /// Exited longer ago than the grace time, and kept for its descendants.
    lingers: bool,
}

/// All processes of the host, alive or recently gone.
#[derive(Debug, Default)]
pub struct Table {
    limits: Limits,
    /// Asked for each event.
    slots: HashMap<ProcessKey, Slot, RandomState>,
    /// The latest process with a pid.
    by_pid: HashMap<u32, ProcessKey, RandomState>,
    /// How many processes name one as their parent, whether or not it is known itself.
    children: HashMap<ProcessKey, u32, RandomState>,
    /// How many processes hold what is at an address.
    shares: HashMap<usize, u32, RandomState>,
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

    /// Those that have not exited, in no order.
    pub fn alive(&self) -> impl Iterator<Item = &Arc<Process>> {
        let alive = self.slots.values().filter(|slot| !slot.exited);
        alive.map(|slot| &slot.process)
    }

    /// Whether a process has not exited.
    pub fn is_alive(&self, process: &Process) -> bool {
        let slot = self.slots.get(&process.key());
        slot.is_some_and(|slot| !slot.exited)
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

    /// A process was forked: it runs what its caller runs. Of an unknown caller's child, what was
    /// found in `/proc` stays.
    pub fn forked(&mut self, task: &Task, caller: ProcessKey) -> Arc<Process> {
        let parent = Some(ProcessKey::parent_of(task));
        let source = self
            .get(caller)
            .or_else(|| self.get(ProcessKey::of(task)))
            .cloned();
        let Some(source) = source else {
            return self.put(Process::new(*task, Arc::default(), Arc::default(), parent));
        };
        self.put(source.with(|process| {
            process.task = *task;
            process.comm = task.comm;
            process.parent = parent;
        }))
    }

    /// A process runs another program now.
    pub fn executed(&mut self, task: &Task, mut image: Image, cwd: &[u8]) -> Arc<Process> {
        let key = ProcessKey::of(task);
        let parent = ProcessKey::parent_of(task);
        let before = self.get(key);
        let above = before.and_then(|before| before.parent).unwrap_or(parent);
        let above = self.get(above);
        let owner = before.or(above).map(|known| known.tree_owner);
        let owner = image.tree.owner(owner.unwrap_or(task.user_ns));
        if !image.tree.is_of(owner) {
            image.mark();
        }
        let has_original =
            image.original.is_some() || above.is_some_and(|above| above.has_original);
        let same = before.filter(|before| *before.cwd == *cwd);
        let cwd = same.map_or_else(|| Arc::from(cwd), |before| Arc::clone(&before.cwd));
        let mut process = Process::new(*task, Arc::new(image), cwd, Some(parent));
        process.tree_owner = owner;
        process.has_original = has_original;
        if let Some(before) = before {
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

    /// Keeps the working directory (empty when not told) of a known process up to date; `None` when
    /// it is not known. Its name stays that of its exec or fork: it may call itself what it likes.
    pub fn seen(&mut self, task: &Task, cwd: &[u8]) -> Option<Arc<Process>> {
        let key = ProcessKey::of(task);
        let process = self.get(key)?;
        if cwd.is_empty() || *process.cwd == *cwd {
            return Some(Arc::clone(process));
        }
        self.change(key, |process| process.cwd = Arc::from(cwd))
    }

    /// A process is in another cgroup now; `origin` is the one that decides its container. Whose the
    /// paths of another container are is not known, unless its parent belongs there too.
    pub fn moved(&mut self, key: ProcessKey, cgroup: u64, origin: u64) -> Option<Arc<Process>> {
        let process = self.get(key)?;
        let owner = if process.origin_cgroup == origin {
            process.tree_owner
        } else {
            let parent = process.parent.and_then(|parent| self.get(parent));
            let parent = parent.filter(|parent| parent.origin_cgroup == origin);
            parent.map_or(0, |parent| parent.tree_owner)
        };
        self.change(key, |process| {
            process.tree_owner = owner;
            process.cgroup = cgroup;
            process.origin_cgroup = origin;
        })
    }

    /// A process is gone. It stays in the table for a while.
    pub fn exited(&mut self, task: &Task, time: u64) {
        self.gone(ProcessKey::of(task), time);
        self.expire(time);
    }

    /// Takes processes whose pid is not in `alive` for exited: the records of it were lost. What is
    /// not older than the list of pids must not be in the table yet.
    pub fn only_alive(&mut self, alive: &HashSet<u32>, time: u64) {
        let dead = |(key, slot): (&ProcessKey, &Slot)| {
            (!slot.exited && !alive.contains(&key.pid)).then_some(*key)
        };
        let dead: Vec<ProcessKey> = self.slots.iter().filter_map(dead).collect();
        for key in dead {
            self.gone(key, time);
        }
    }

    /// Cgroups that decide the container of some process.
    pub fn origins(&self) -> HashSet<u64> {
        self.slots
            .values()
            .map(|slot| slot.process.origin_cgroup)
            .collect()
    }

    /// Drops exited processes that nobody can name any more. `time` is `CLOCK_BOOTTIME` ns.
    pub fn expire(&mut self, time: u64) {
        while let Some(&(since, key)) = self.exited.front() {
            if time.saturating_sub(since) < self.limits.grace_ns {
                break;
            }
            self.exited.pop_front();
            match self.slots.get_mut(&key) {
                // A pid that was in use again within the tick: it lives.
                Some(slot) if !slot.exited => {}
                Some(slot) if self.children.contains_key(&key) => {
                    slot.lingers = true;
                    self.lingering.push_back(key);
                }
                _ => self.remove(key),
            }
        }
        // Most of those named there went with their last child.
        if self.lingering.len() > 2 * self.slots.len() {
            let slots = &self.slots;
            self.lingering
                .retain(|key| slots.get(key).is_some_and(|slot| slot.lingers));
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

    /// Living processes, and ancestors of such, that were dropped for the budget.
    pub const fn evicted(&self) -> u64 {
        self.evicted
    }

    fn put(&mut self, process: Process) -> Arc<Process> {
        let process = Arc::new(process);
        let key = process.key();
        self.hold(&process);
        let slot = Slot {
            process: Arc::clone(&process),
            exited: false,
            lingers: false,
        };
        if let Some(before) = self.slots.insert(key, slot) {
            self.release(&before.process);
        }
        self.latest(key, process.task.start);
        self.make_room(key);
        process
    }

    fn change(&mut self, key: ProcessKey, by: impl FnOnce(&mut Process)) -> Option<Arc<Process>> {
        let slot = self.slots.get_mut(&key)?;
        let next = Arc::new(slot.process.with(by));
        let before = std::mem::replace(&mut slot.process, Arc::clone(&next));
        self.hold(&next);
        self.release(&before);
        self.make_room(key);
        Some(next)
    }

    /// Notes who has a pid. Who had it before is gone, even if no record said so.
    fn latest(&mut self, key: ProcessKey, time: u64) {
        match self.by_pid.get(&key.pid) {
            Some(before) if before.start_tick > key.start_tick => self.gone(key, time),
            Some(before) if before.start_tick < key.start_tick => {
                self.gone(*before, time);
                self.by_pid.insert(key.pid, key);
            }
            _ => {
                self.by_pid.insert(key.pid, key);
            }
        }
    }

    fn gone(&mut self, key: ProcessKey, time: u64) {
        if let Some(slot) = self.slots.get_mut(&key)
            && !slot.exited
        {
            slot.exited = true;
            self.exited.push_back((time, key));
        }
    }

    fn hold(&mut self, process: &Process) {
        self.bytes += ENTRY;
        for (address, bytes) in process.shared() {
            let holders = self.shares.entry(address).or_default();
            if *holders == 0 {
                self.bytes += bytes;
            }
            *holders += 1;
        }
        if let Some(parent) = process.parent {
            *self.children.entry(parent).or_default() += 1;
        }
    }

    fn release(&mut self, process: &Process) {
        self.bytes = self.bytes.saturating_sub(ENTRY);
        for (address, bytes) in process.shared() {
            if drop_one(&mut self.shares, address) {
                self.bytes = self.bytes.saturating_sub(bytes);
            }
        }
        if let Some(parent) = process.parent {
            drop_one(&mut self.children, parent);
        }
    }

    /// Keeps the budget, at the cost of others than `kept`: the far ends of lineages go first, then
    /// those that exited, then those that take most.
    fn make_room(&mut self, kept: ProcessKey) {
        while self.bytes > self.limits.bytes {
            let oldest = match self.lingering.pop_front() {
                Some(key) => Some(key).filter(|key| self.is(*key, |slot| slot.lingers)),
                None => match self.exited.pop_front() {
                    Some((_, key)) => Some(key).filter(|key| self.is(*key, |slot| slot.exited)),
                    None => break,
                },
            };
            if let Some(key) = oldest {
                self.evicted += u64::from(self.children.contains_key(&key));
                self.remove(key);
            }
        }
        if self.bytes <= self.limits.bytes {
            return;
        }
        let mut costs: Vec<(usize, ProcessKey)> = self
            .slots
            .iter()
            .map(|(key, slot)| (self.cost(&slot.process), *key))
            .collect();
        costs.sort_unstable_by_key(|(cost, _)| std::cmp::Reverse(*cost));
        // Some more than needed, for the look at all of them is not to be had at every fork.
        let enough = self.limits.bytes / 8 * 7;
        for (_, key) in costs.into_iter().filter(|(_, key)| *key != kept) {
            if self.bytes <= enough {
                return;
            }
            self.evicted += 1;
            self.remove(key);
        }
    }

    /// Its part of the bytes kept.
    fn cost(&self, process: &Process) -> usize {
        let part = |(address, bytes): (usize, usize)| {
            let holders = self.shares.get(&address).copied().unwrap_or(1).max(1);
            bytes / holders as usize
        };
        ENTRY + process.shared().into_iter().map(part).sum::<usize>()
    }

    fn is(&self, key: ProcessKey, what: impl Fn(&Slot) -> bool) -> bool {
        self.slots.get(&key).is_some_and(what)
    }

    /// Drops a process, and the ancestors that were kept for it alone.
    fn remove(&mut self, key: ProcessKey) {
        let mut next = Some(key);
        while let Some(slot) = next.take().and_then(|key| self.slots.remove(&key)) {
            let key = slot.process.key();
            if self.by_pid.get(&key.pid) == Some(&key) {
                self.by_pid.remove(&key.pid);
            }
            self.release(&slot.process);
            next = slot.process.parent.filter(|parent| {
                !self.children.contains_key(parent) && self.is(*parent, |slot| slot.lingers)
            });
        }
    }
}

/// Takes one from a count; whether none is left.
fn drop_one<K: Eq + std::hash::Hash>(counts: &mut HashMap<K, u32, RandomState>, key: K) -> bool {
    match counts.entry(key) {
        Entry::Occupied(count) if *count.get() <= 1 => {
            count.remove();
            true
        }
        Entry::Occupied(mut count) => {
            *count.get_mut() -= 1;
            false
        }
        Entry::Vacant(_) => false,
    }
}

/// About what a process takes beside what it can share: itself, and its rows in the maps.
const ENTRY: usize = size_of::<Process>() + 256;
/// Deepest lineage followed.
const ANCESTORS_MAX: usize = 256;

#[cfg(test)]
mod tests;
