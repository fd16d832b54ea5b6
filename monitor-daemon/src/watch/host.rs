//! What is known of the host: processes, and which container each belongs to.
//!
//! Records change it, and each record gets its actor from it. The only I/O is a look at `/proc`
//! for a process that no record told of, and at the cgroup tree for a cgroup that none told of.

use std::path::PathBuf;
use std::sync::Arc;

use monitor_common::cgroup::Cgroup;
use monitor_common::process::{Exec, Fork};
use monitor_common::{Slot, Task};
use monitor_policy::EnvironmentNames;

use crate::container::index::{Index, Lookup};
use crate::container::{Container, State, scan};
use crate::process::snapshot::{self, SnapshotProcess};
use crate::process::{Image, Process, ProcessKey, Table};
use crate::record::{Body, Record};

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
    reader: snapshot::Reader,
    cgroup_root: Option<PathBuf>,
    environment: EnvironmentNames,
    scanned: u64,
}

impl Host {
    /// An empty host. `environment` says which variables of a process are kept.
    pub(super) fn new(table: Table, index: Index, environment: EnvironmentNames) -> Self {
        let cgroup_root = match scan::unified_root() {
            Ok(root) => Some(root),
            Err(error) => {
                tracing::warn!(%error, "containers that run already are not known");
                None
            }
        };
        let reader = snapshot::Reader::new("/proc", cgroup_root.clone());
        Self {
            table,
            index,
            unknown_processes: 0,
            reader,
            cgroup_root,
            environment,
            scanned: 0,
        }
    }

    /// Fills tables from what already runs. Call it once the probes are attached and before the
    /// first record: what changes meanwhile is in the rings.
    pub(super) fn snapshot(&mut self, now: u64) {
        self.scan_cgroups(now);
        for process in self.reader.scan() {
            self.found(process);
        }
    }

    /// Applies a record, and says who acted: for a fork the child, for an exec the new program.
    pub(super) fn apply(&mut self, record: &Record<'_>) -> Arc<Process> {
        let task = record.task();
        match record.body() {
            Body::Fork(fork) => self.forked(task, fork),
            Body::Exec(exec) if exec.ret == 0 => self.executed(record, exec),
            Body::CgroupMkdir(cgroup) => {
                let path = record.string(Slot::Resolved);
                self.index
                    .cgroup_made(cgroup.id, path, record.header().time);
                self.actor(task)
            }
            Body::CgroupRmdir(cgroup) => {
                self.index.cgroup_removed(cgroup.id, record.header().time);
                self.actor(task)
            }
            Body::CgroupAttach(cgroup) => {
                self.attached(cgroup);
                self.actor(task)
            }
            _ => self.actor(task),
        }
    }

    /// The container a process belongs to; `None` on the host.
    pub(super) fn container(&mut self, process: &Process, now: u64) -> Option<Arc<Container>> {
        match self.index.lookup(process.origin_cgroup) {
            Lookup::Container(container) => Some(container),
            Lookup::Host | Lookup::Lost => None,
            Lookup::UnknownCgroup if now.saturating_sub(self.scanned) < RESCAN_NS => None,
            Lookup::UnknownCgroup => {
                self.scan_cgroups(now);
                match self.index.lookup(process.origin_cgroup) {
                    Lookup::Container(container) => Some(container),
                    Lookup::Host | Lookup::Lost => None,
                    Lookup::UnknownCgroup => {
                        self.index.cgroup_lost(process.origin_cgroup, now);
                        None
                    }
                }
            }
        }
    }

    /// Whether the container of this cgroup still waits for its metadata.
    pub(super) fn is_pending(&mut self, cgroup: u64) -> bool {
        match self.index.lookup(cgroup) {
            Lookup::Container(container) => container.state == State::Pending,
            Lookup::Host | Lookup::UnknownCgroup | Lookup::Lost => false,
        }
    }

    /// Drops what is old.
    pub(super) fn expire(&mut self, now: u64) {
        self.table.expire(now);
        self.index.expire(now);
    }

    fn scan_cgroups(&mut self, now: u64) {
        self.scanned = now;
        let Some(root) = &self.cgroup_root else {
            return;
        };
        match scan::walk(root) {
            Ok(walk) => {
                let found = walk.cgroups.iter().map(|cgroup| (cgroup.id, &*cgroup.path));
                self.index.scanned(found, now, now);
            }
            Err(error) => tracing::warn!(%error, "cannot list cgroups"),
        }
    }

    fn actor(&mut self, task: &Task) -> Arc<Process> {
        let process = match self.table.seen(task) {
            Some(process) => process,
            None => self.discover(task),
        };
        self.settle(process, task.cgroup)
    }

    /// A process that no record told of: `/proc` may still know it, else the record is all.
    fn discover(&mut self, task: &Task) -> Arc<Process> {
        self.unknown_processes += 1;
        let found = self.reader.read(task.pid);
        if let Some(found) =
            found.filter(|found| snapshot::same_start(found.task.start, task.start))
        {
            self.found(found)
        } else {
            let parent = Some(ProcessKey::parent_of(task));
            let process = Process::new(*task, Arc::default(), Arc::default(), parent);
            self.table.found(process)
        }
    }

    fn found(&mut self, found: SnapshotProcess) -> Arc<Process> {
        let image = Image {
            exe: found.exe.unwrap_or_default().into_boxed_slice(),
            args: found.args.into_boxed_slice(),
            environment: keep(&self.environment, &found.env),
            exe_flags: found.exe_flags,
            ..Image::default()
        };
        let parent = Some(ProcessKey::parent_of(&found.task));
        let cwd = Arc::from(found.cwd);
        self.table
            .found(Process::new(found.task, Arc::new(image), cwd, parent))
    }

    fn forked(&mut self, task: &Task, fork: &Fork) -> Arc<Process> {
        let caller = ProcessKey::new(fork.caller_pid, fork.caller_start);
        let child = self.table.forked(task, caller);
        self.settle(child, task.cgroup)
    }

    fn executed(&mut self, record: &Record<'_>, exec: &Exec) -> Arc<Process> {
        let task = record.task();
        let image = Image {
            exe: record.string(Slot::Resolved).into(),
            args: record.string(Slot::Args).into(),
            environment: keep(&self.environment, record.string(Slot::Env)),
            exe_flags: exec.exe_flags,
            inode: exec.inode,
            ctime: exec.ctime,
            mtime: exec.mtime,
        };
        let process = self.table.executed(task, image, record.string(Slot::Cwd));
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
        let origin = self.origin(process.origin_cgroup, cgroup);
        self.table
            .moved(process.key(), cgroup, origin)
            .unwrap_or(process)
    }

    /// A process of the host belongs wherever it is put; one of a container stays that
    /// container's. (Containers made inside of it are told apart by the index, from the cgroup's
    /// path, and start from host processes too.)
    fn origin(&mut self, before: u64, now: u64) -> u64 {
        if matches!(self.index.lookup(before), Lookup::Container(_)) {
            before
        } else {
            now
        }
    }
}

/// The entries of an environment block that policies read.
fn keep(wanted: &EnvironmentNames, block: &[u8]) -> Box<[u8]> {
    if wanted.whole {
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
    kept.into_boxed_slice()
}
