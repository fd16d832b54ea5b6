//! What is known of the host: processes, and which container each belongs to.
//!
//! Records change it, and each record gets its actor from it. The only I/O is a look at `/proc`
//! for a process that no record told of, or when records were lost, and at the cgroup tree for a
//! cgroup that none told of.

use std::borrow::Cow;
use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use monitor_common::cgroup::Cgroup;
use monitor_common::process::{Exec, Fork};
use monitor_common::{Slot, Task};
use monitor_policy::EnvironmentNames;

use crate::container::index::{Index, Lookup};
use crate::container::{Container, State, scan};
use crate::event::{Moved, Movement};
use crate::probe::{Hierarchy, HostProcess};
use crate::process::snapshot::{self, SnapshotProcess};
use crate::process::{Image, Process, ProcessKey, Table, Tree};
use crate::record::{Body, Record};

#[cfg(test)]
mod tests;

/// Shortest time between two scans of the cgroup tree, ns.
const RESCAN_NS: u64 = 1_000_000_000;

/// Processes and containers.
#[derive(Debug)]
pub(super) struct Host {
    /// All processes.
    pub(super) table: Table,
    /// All containers.
    pub(super) index: Index,
    /// How often a record spoke of a process that nothing else had told of.
    pub(super) unknown_processes: u64,
    /// How often it could not be told whose a process is, which is taken for a container's then.
    pub(super) unknown_places: u64,
    /// How often a record told that somebody was put into a cgroup.
    pub(super) attaches: u64,
    /// Whether cgroups are those of the unified hierarchy.
    pub(super) unified: bool,
    reader: snapshot::Reader,
    cgroup_root: Option<PathBuf>,
    /// Device of the host's root file system, as the kernel writes it.
    root_device: Option<u32>,
    /// Whether all cgroups can be found below that root: one that cannot is not just elsewhere.
    sees_all: bool,
    environment: EnvironmentNames,
    scanned: u64,
    /// Time of the latest record.
    now: u64,
    unknown: Arc<Container>,
}

impl Host {
    /// An empty host. `environment` says which variables of a process are kept.
    pub(super) fn new(table: Table, index: Index, environment: EnvironmentNames) -> Self {
        let (hierarchy, cgroup_root) = match scan::hierarchy() {
            Ok((hierarchy, root)) => (hierarchy, Some(root)),
            Err(error) => {
                tracing::warn!(%error, "containers are not told apart from the host");
                (Hierarchy::Unified, None)
            }
        };
        let reader = snapshot::Reader::new("/proc", cgroup_root.clone())
            .of_controller(hierarchy.controller());
        Self {
            table,
            index,
            unknown_processes: 0,
            unknown_places: 0,
            attaches: 0,
            unified: matches!(hierarchy, Hierarchy::Unified),
            reader,
            sees_all: cgroup_root.as_deref().is_some_and(is_whole),
            cgroup_root,
            root_device: root_device(),
            environment,
            scanned: 0,
            now: 0,
            unknown: Arc::new(Container::unknown()),
        }
    }

    /// Fills tables from what already runs. Call it once the probes are attached and before the
    /// first record: what changes meanwhile is in the rings.
    pub(super) fn snapshot(&mut self, now: u64) {
        self.now = now;
        self.scan_cgroups(now);
        let mut processes = self.reader.scan();
        // Parents first: a child may belong where its parent does.
        processes.sort_by_key(|process| process.task.start);
        for process in processes {
            self.found(process);
        }
    }

    /// How often the arguments of a process could not be had in time.
    pub(super) fn unread(&self) -> u64 {
        self.reader.unread()
    }

    /// Keeps these variables of programs that start from now on.
    pub(super) fn keep_environment(&mut self, environment: EnvironmentNames) {
        self.environment = environment;
    }

    /// Looks which processes are still there. Call it after records of exits may have been lost:
    /// what lives and is not known is found when it next does something.
    pub(super) fn recount(&mut self, now: u64) {
        let alive: HashSet<u32> = self.reader.pids().collect();
        if !alive.is_empty() {
            self.table.only_alive(&alive, now);
        }
    }

    /// Applies a record, and says who acted: for a fork the child, for an exec the new program.
    pub(super) fn apply(&mut self, record: &Record<'_>) -> Arc<Process> {
        let task = record.task();
        self.now = record.header().time;
        match record.body() {
            Body::Fork(fork) => self.forked(task, fork),
            Body::Exec(exec) if exec.ret == 0 => self.executed(record, exec),
            Body::CgroupMkdir(cgroup) => {
                let path = record.string(Slot::Resolved);
                self.index
                    .cgroup_made(cgroup.id, path, record.header().time);
                self.actor(record)
            }
            Body::CgroupRmdir(cgroup) => {
                self.index.cgroup_removed(cgroup.id, record.header().time);
                self.actor(record)
            }
            Body::CgroupAttach(cgroup) => {
                self.attaches += 1;
                self.attached(cgroup);
                self.actor(record)
            }
            _ => self.actor(record),
        }
    }

    /// Whether a record tells of a process that comes into another container's cgroup, or the
    /// host's. Call it before [`Self::apply`], which forgets where the process was.
    pub(super) fn movement(&mut self, record: &Record<'_>) -> Option<Movement> {
        let (task, time) = (record.task(), record.header().time);
        match record.body() {
            Body::CgroupAttach(cgroup) => {
                let key = ProcessKey::new(cgroup.target_pid, cgroup.target_start);
                let process = self.table.get(key).cloned();
                let process =
                    process.or_else(|| self.look_up(cgroup.target_pid, cgroup.target_start))?;
                let source = self.known_container(&process, time);
                let moved = Moved::attached(cgroup, task, process.name());
                Movement::of(moved, source.as_deref(), record.string(Slot::Resolved))
            }
            Body::Fork(fork) => {
                let key = ProcessKey::new(fork.caller_pid, fork.caller_start);
                let caller = Arc::clone(self.table.get(key)?);
                if caller.cgroup == task.cgroup || task.cgroup == 0 {
                    return None;
                }
                let source = self.known_container(&caller, time)?;
                if self.index.lies_in(task.cgroup, &source) {
                    return None;
                }
                let found = self.reader.cgroup(task.pid);
                let path = found.filter(|(id, _)| *id == task.cgroup);
                let moved = Moved {
                    pid: task.pid,
                    comm: caller.name(),
                    itself: true,
                };
                Movement::of(moved, Some(&source), &path.unwrap_or_default().1)
            }
            _ => None,
        }
    }

    /// The container a process belongs to; `None` on the host. Where it cannot be told, that is a
    /// container too: who is in one must not become the host's by making others forget it.
    pub(super) fn container(&mut self, process: &Process, now: u64) -> Option<Arc<Container>> {
        match self.place(process, now) {
            Lookup::Container(container) => Some(container),
            Lookup::Host => None,
            Lookup::Lost | Lookup::UnknownCgroup => {
                self.unknown_places += 1;
                Some(Arc::clone(&self.unknown))
            }
        }
    }

    /// Whose the cgroup is that a process belongs to, if that can be found out.
    fn place(&mut self, process: &Process, now: u64) -> Lookup {
        let cgroup = process.origin_cgroup;
        let mut found = self.index.lookup(cgroup);
        if let Lookup::UnknownCgroup = found {
            self.find_cgroup(process, now);
            found = self.index.lookup(cgroup);
        }
        match found {
            // Where no containers can be told apart, there are none.
            Lookup::Lost | Lookup::UnknownCgroup if cgroup == 0 || !self.sees_all => Lookup::Host,
            found => found,
        }
    }

    /// The container of a process, if it is known to be of one.
    fn known_container(&mut self, process: &Process, now: u64) -> Option<Arc<Container>> {
        match self.place(process, now) {
            Lookup::Container(container) => Some(container),
            Lookup::Host | Lookup::Lost | Lookup::UnknownCgroup => None,
        }
    }

    /// Looks for a cgroup that no record told of: by the process, which costs little, or else among
    /// all there are, which must not be done for every event.
    fn find_cgroup(&mut self, process: &Process, now: u64) {
        let cgroup = process.origin_cgroup;
        if let Some((id, path)) = self.reader.cgroup(process.task.pid)
            && id == cgroup
        {
            self.index.cgroup_made(id, &path, now);
            return;
        }
        if now.saturating_sub(self.scanned) < RESCAN_NS {
            return;
        }
        self.scan_cgroups(now);
        if let Lookup::UnknownCgroup = self.index.lookup(cgroup) {
            self.index.cgroup_lost(cgroup, now);
        }
    }

    /// The process of a task that something else than a record told of: what is known of it, or
    /// else what the kernel said.
    pub(super) fn named(&mut self, task: &Task) -> Arc<Process> {
        let known = self.table.get(ProcessKey::of(task)).cloned();
        known
            .or_else(|| self.look_up(task.pid, task.start))
            .unwrap_or_else(|| Arc::new(Process::new(*task, Arc::default(), Arc::default(), None)))
    }

    /// Whether the container of this cgroup still waits for its metadata.
    pub(super) fn is_pending(&mut self, cgroup: u64) -> bool {
        match self.index.lookup(cgroup) {
            Lookup::Container(container) => container.state == State::Pending,
            Lookup::Host | Lookup::UnknownCgroup | Lookup::Lost => false,
        }
    }

    /// Processes that are the host's, and in a cgroup of the host's.
    pub(super) fn own_processes(&mut self) -> Vec<HostProcess> {
        let index = &mut self.index;
        let own = self.table.alive().filter(|process| {
            let cgroups = [process.origin_cgroup, process.cgroup];
            cgroups
                .iter()
                .all(|cgroup| matches!(index.lookup(*cgroup), Lookup::Host))
        });
        own.map(|process| HostProcess {
            pid: process.task.pid,
            start: process.task.start,
            cgroup: process.cgroup,
        })
        .collect()
    }

    /// Processes that are a container's, by pid and start.
    pub(super) fn strangers(&mut self) -> Vec<(u32, u64)> {
        let index = &mut self.index;
        let strangers = self
            .table
            .alive()
            .filter(|process| matches!(index.lookup(process.origin_cgroup), Lookup::Container(_)));
        strangers
            .map(|process| (process.task.pid, process.task.start))
            .collect()
    }

    /// Drops what is old.
    pub(super) fn expire(&mut self, now: u64) {
        self.table.expire(now);
        let used = self.table.origins();
        self.index.expire(now, |cgroup| used.contains(&cgroup));
    }

    fn scan_cgroups(&mut self, now: u64) {
        self.scanned = now;
        let Some(root) = &self.cgroup_root else {
            return;
        };
        match scan::walk(root) {
            Ok(walk) => {
                let found = walk.cgroups.iter().map(|cgroup| (cgroup.id, &*cgroup.path));
                if walk.skipped == 0 {
                    self.index.scanned(found, now, now);
                } else {
                    // What was left out is not gone.
                    found.for_each(|(id, path)| self.index.cgroup_made(id, path, now));
                }
            }
            Err(error) => tracing::warn!(%error, "cannot list cgroups"),
        }
    }

    fn actor(&mut self, record: &Record<'_>) -> Arc<Process> {
        let task = record.task();
        let process = match self.table.seen(task, record.string(Slot::Cwd)) {
            Some(process) => process,
            None => self.discover(task),
        };
        self.settle(process, task.cgroup)
    }

    /// A process that no record told of: `/proc` may still know it, else the record is all.
    fn discover(&mut self, task: &Task) -> Arc<Process> {
        if let Some(process) = self.look_up(task.pid, task.start) {
            return process;
        }
        let parent = Some(ProcessKey::parent_of(task));
        let process = Process::new(*task, Arc::default(), Arc::default(), parent);
        let process = self.table.found(process);
        self.born(process)
    }

    /// Asks `/proc` for a process.
    fn look_up(&mut self, pid: u32, start: u64) -> Option<Arc<Process>> {
        self.unknown_processes += 1;
        let found = self.reader.read(pid)?;
        snapshot::same_start(found.task.start, start).then(|| self.found(found))
    }

    fn found(&mut self, found: SnapshotProcess) -> Arc<Process> {
        if let Some(known) = self.table.get(ProcessKey::of(&found.task)) {
            return Arc::clone(known);
        }
        let image = Image {
            exe: found.exe.unwrap_or_default().into_boxed_slice(),
            original: None,
            tree: Tree::default(),
            args: found.args.into_boxed_slice(),
            environment: keep(&self.environment, &found.env).into(),
            exe_flags: found.exe_flags,
            inode: found.exe_inode,
            ctime: found.exe_ctime,
            mtime: found.exe_mtime,
        };
        let parent = Some(ProcessKey::parent_of(&found.task));
        let cwd = Arc::from(found.cwd);
        let process = Process::new(found.task, Arc::new(image), cwd, parent);
        let process = self.table.found(process);
        self.born(process)
    }

    /// A process whose birth no record told of belongs where its parent does, as if it had: one of
    /// a container may have left its cgroup before it was seen.
    fn born(&mut self, process: Arc<Process>) -> Arc<Process> {
        let parent = process.parent.and_then(|parent| self.table.get(parent));
        let Some(parent) = parent.cloned() else {
            self.index.hold(process.origin_cgroup);
            return process;
        };
        let origin = self.origin(&parent, process.cgroup);
        if origin == process.origin_cgroup {
            return process;
        }
        self.table
            .moved(process.key(), process.cgroup, origin)
            .unwrap_or(process)
    }

    fn forked(&mut self, task: &Task, fork: &Fork) -> Arc<Process> {
        let caller = ProcessKey::new(fork.caller_pid, fork.caller_start);
        let child = ProcessKey::of(task);
        let told = self.table.get(caller).is_some()
            || self.look_up(fork.caller_pid, fork.caller_start).is_some()
            || self.table.get(child).is_some()
            || self.look_up(task.pid, task.start).is_some();
        let process = self.table.forked(task, caller);
        let process = if told { process } else { self.born(process) };
        self.settle(process, task.cgroup)
    }

    fn executed(&mut self, record: &Record<'_>, exec: &Exec) -> Arc<Process> {
        let task = record.task();
        let before = self.table.get(ProcessKey::of(task));
        let environment = keep(&self.environment, record.string(Slot::Env));
        // Most programs start with the environment of the one before.
        let inherited = before
            .map(|before| &before.image.environment)
            .filter(|inherited| are_same(inherited, &environment));
        let (resolved, original) = (record.string(Slot::Resolved), record.string(Slot::Original));
        let lies_elsewhere = !original.is_empty() && original != resolved;
        let first = self.table.by_pid(1).map(|first| first.task.mnt_ns);
        let image = Image {
            exe: resolved.into(),
            original: lies_elsewhere.then(|| original.into()),
            tree: Tree::of(exec, first, self.root_device),
            args: record.string(Slot::Args).into(),
            environment: inherited.map_or_else(|| environment.into(), Arc::clone),
            exe_flags: exec.exe_flags,
            inode: exec.inode,
            ctime: exec.ctime,
            mtime: exec.mtime,
        };
        let known = before.is_some();
        let process = self.table.executed(task, image, record.string(Slot::Cwd));
        let process = if known { process } else { self.born(process) };
        self.settle(process, task.cgroup)
    }

    fn attached(&mut self, cgroup: &Cgroup) {
        let key = ProcessKey::new(cgroup.target_pid, cgroup.target_start);
        if let Some(process) = self.table.get(key).cloned() {
            self.settle(process, cgroup.id);
        }
    }

    /// Notes the cgroup a process is in now, and decides which one names its container.
    fn settle(&mut self, process: Arc<Process>, cgroup: u64) -> Arc<Process> {
        if process.cgroup == cgroup || cgroup == 0 {
            return process;
        }
        let origin = self.origin(&process, cgroup);
        self.table
            .moved(process.key(), cgroup, origin)
            .unwrap_or(process)
    }

    /// A process of the host belongs wherever it is put; one of a container stays that
    /// container's. (Containers made inside of it are told apart by the index, from the cgroup's
    /// path, and start from host processes too.)
    /// One whose place cannot be told joins a container, and is not set free by a cgroup of the
    /// host's.
    fn origin(&mut self, process: &Process, cgroup: u64) -> u64 {
        let stays = match self.place(process, self.now) {
            Lookup::Container(_) => true,
            Lookup::Host => false,
            Lookup::Lost | Lookup::UnknownCgroup => {
                !matches!(self.index.lookup(cgroup), Lookup::Container(_))
            }
        };
        let origin = if stays { process.origin_cgroup } else { cgroup };
        self.index.hold(origin);
        origin
    }
}

/// The device of the host's root file system, as the kernel writes it.
fn root_device() -> Option<u32> {
    let root = rustix::fs::stat("/proc/1/root/").ok()?.st_dev;
    Some(rustix::fs::major(root) << 20 | rustix::fs::minor(root))
}

/// Whether a folder is the root of a hierarchy, and not that of a namespace.
fn is_whole(root: &Path) -> bool {
    /// `kernfs_create_root`: the first of each.
    const FIRST: u64 = 1;
    rustix::fs::stat(root).is_ok_and(|root| root.st_ino == FIRST)
}

/// The entries of an environment block that policies read.
fn keep<'b>(wanted: &EnvironmentNames, block: &'b [u8]) -> Cow<'b, [u8]> {
    if wanted.whole || block.is_empty() {
        return block.into();
    }
    let named = |entry: &&[u8]| {
        let name = entry.split(|byte| *byte == b'=').next().unwrap_or_default();
        std::str::from_utf8(name).is_ok_and(|name| wanted.names.contains(name))
    };
    let mut kept = Vec::new();
    for entry in block.split(|byte| *byte == 0).filter(named) {
        kept.extend_from_slice(entry);
        kept.push(0);
    }
    kept.into()
}

/// Whether long texts are equal, word by word: `memcmp` of musl goes byte by byte.
fn are_same(one: &[u8], other: &[u8]) -> bool {
    let ((one, end), (other, other_end)) = (one.as_chunks::<8>(), other.as_chunks::<8>());
    end == other_end && one.len() == other.len() && one.iter().zip(other).all(|(a, b)| a == b)
}
