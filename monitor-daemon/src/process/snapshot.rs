//! The processes that already run, read from `/proc`.
//!
//! Fills the process table at start and answers for a process that no record told of. A process
//! may vanish between any two reads: then it is left out, which is no error. All files of one
//! process are opened relative to one directory handle, so a reused pid never mixes two. No process
//! can hold the reader up: what the kernel reads out of its memory is left out when that takes too
//! long ([`strings`]), and all else takes none of its locks.
//!
//! Left out: threads other than the group leader, and the exe flags that only the kernel knows.

mod directory;
mod parse;
mod strings;

use std::collections::HashMap;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::PathBuf;
use std::sync::Arc;

use monitor_common::Task;
use rustix::io::Errno;

use directory::Directory;
use parse::{Stat, Status};
use strings::StringsReader;

/// Most bytes read of a file that the kernel keeps small.
const SMALL_FILE: usize = 64 * 1024;

/// What `/proc` tells about one process.
#[derive(Clone, Debug, Default)]
pub struct SnapshotProcess {
    /// The group leader's facts. `start` is rounded down to the clock tick (10 ms): compare with
    /// [`same_start`]. `parent_start` and `pid_ns_start` are likewise, and 0 when unknown. `cpu` is
    /// 0.
    pub task: Task,
    /// Executable as the process's own mount namespace names it, without ` (deleted)`; `None` for
    /// kernel threads.
    pub exe: Option<Vec<u8>>,
    /// Bits of [`monitor_common::process::ExeFlags`]: `MEMFD` and `UNLINKED` only.
    pub exe_flags: u32,
    /// The executable's inode; 0 when unknown, as the times.
    pub exe_inode: u64,
    /// Its change, ns since the epoch.
    pub exe_ctime: u64,
    /// Its modification, ns since the epoch.
    pub exe_mtime: u64,
    /// Argument vector, each argument ended by a NUL (as the process left it); empty for kernel
    /// threads, and when not read in time. Longer ones keep head and tail, see `args_len`.
    pub args: Vec<u8>,
    /// Full length of the argument vector.
    pub args_len: usize,
    /// Environment, at most [`monitor_common::ENV_MAX`] bytes, each entry ended by a NUL.
    pub env: Vec<u8>,
    /// Working directory, in its mount namespace.
    pub cwd: Vec<u8>,
    /// Root directory, in its mount namespace: `/` unless it used `chroot`.
    pub root: Vec<u8>,
    /// Path of its cgroup in the hierarchy that tells containers apart, from its root.
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
#[derive(Debug)]
pub struct Reader {
    proc_root: PathBuf,
    cgroup_root: Option<PathBuf>,
    controller: Option<String>,
    strings: StringsReader,
}

impl Reader {
    /// `proc_root` is a mounted procfs (`/proc`), `cgroup_root` the root of the unified cgroup
    /// hierarchy; without it [`Task::cgroup`] stays 0.
    pub fn new(proc_root: impl Into<PathBuf>, cgroup_root: Option<PathBuf>) -> Self {
        Self {
            proc_root: proc_root.into(),
            cgroup_root,
            controller: None,
            strings: StringsReader::new(),
        }
    }

    /// Reads cgroups in the hierarchy of cgroup v1 that has this controller, if one is given.
    #[must_use]
    pub fn of_controller(self, controller: Option<&str>) -> Self {
        Self {
            controller: controller.map(str::to_owned),
            ..self
        }
    }

    /// All processes, by rising pid. An unreadable `/proc` gives none.
    pub fn scan(&mut self) -> Vec<SnapshotProcess> {
        let mut cgroups = HashMap::new();
        let pids: Vec<u32> = self.pids().collect();
        let mut found: Vec<_> = pids
            .into_iter()
            .filter_map(|pid| self.process(pid, &mut cgroups))
            .collect();
        found.sort_unstable_by_key(|process| process.task.pid);
        relate(&mut found);
        found
    }

    /// One process; `None` when it is gone. `pid_ns_start` stays 0 unless the process is the first
    /// of its pid namespace.
    pub fn read(&mut self, pid: u32) -> Option<SnapshotProcess> {
        let mut process = self.process(pid, &mut HashMap::new())?;
        let task = &mut process.task;
        if task.vpid == 1 {
            task.pid_ns_start = task.start;
        }
        if let Some((stat, status)) = self.stat_and_status(task.ppid) {
            task.parent_start = stat.start.saturating_mul(TICK);
            task.vppid = status.vpid;
        }
        Some(process)
    }

    /// Id and path of the cgroup a process is in now; `None` when it is gone or they cannot be
    /// told.
    pub fn cgroup(&self, pid: u32) -> Option<(u64, Vec<u8>)> {
        let directory = Directory::open(&self.proc_root, pid).ok()?;
        let text = directory.head("cgroup", SMALL_FILE).ok()?;
        let path = parse::cgroup(&text, self.controller.as_deref())?;
        let id = self.cgroup_id(path, &mut HashMap::new());
        (id != 0).then(|| (id, path.to_vec()))
    }

    /// Processes whose arguments and environment were not read because that took too long, since
    /// start.
    pub fn unread(&self) -> u64 {
        self.strings.unread()
    }

    /// Ids of all processes; of an unreadable `/proc`, none.
    pub fn pids(&self) -> impl Iterator<Item = u32> {
        let entries = std::fs::read_dir(&self.proc_root)
            .into_iter()
            .flatten()
            .flatten();
        entries.filter_map(|entry| parse::pid(entry.file_name().as_encoded_bytes()))
    }

    fn stat_and_status(&self, pid: u32) -> Option<(Stat, Status)> {
        let directory = Directory::open(&self.proc_root, pid).ok()?;
        stat_and_status(&directory)
    }

    fn process(
        &mut self,
        pid: u32,
        cgroups: &mut HashMap<Vec<u8>, u64>,
    ) -> Option<SnapshotProcess> {
        let directory = Arc::new(Directory::open(&self.proc_root, pid).ok()?);
        let (stat, status) = stat_and_status(&directory)?;
        if stat.is_dead() {
            return None;
        }
        let mut process = SnapshotProcess {
            task: task(pid, &stat, &status),
            cwd: present(directory.link("cwd"))?,
            root: present(directory.link("root"))?,
            cgroup_path: present(directory.head("cgroup", SMALL_FILE))
                .and_then(|text| {
                    parse::cgroup(&text, self.controller.as_deref()).map(<[u8]>::to_vec)
                })
                .unwrap_or_default(),
            ..SnapshotProcess::default()
        };
        facts(&directory, &mut process.task)?;
        if !stat.is_kernel_thread() {
            program(&directory, &mut process)?;
            let strings = self.strings.read(&directory, &process.cgroup_path)?;
            process.args = strings.args.bytes;
            process.args_len = strings.args.full_len;
            process.env = strings.env;
        }
        process.task.cgroup = self.cgroup_id(&process.cgroup_path, cgroups);
        Some(process)
    }

    /// The inode of a cgroup's directory, which is its id; 0 when it cannot be told.
    fn cgroup_id(&self, path: &[u8], known: &mut HashMap<Vec<u8>, u64>) -> u64 {
        if let Some(id) = known.get(path) {
            return *id;
        }
        // `/../…`: outside the daemon's own cgroup namespace, which its mount does not show.
        let outside = path.is_empty() || path.starts_with(b"/..");
        let Some(root) = self.cgroup_root.as_ref().filter(|_| !outside) else {
            return 0;
        };
        let below = path.strip_prefix(b"/").unwrap_or(path);
        let id =
            rustix::fs::stat(root.join(OsStr::from_bytes(below))).map_or(0, |stat| stat.st_ino);
        known.insert(path.to_vec(), id);
        id
    }
}

fn stat_and_status(directory: &Directory) -> Option<(Stat, Status)> {
    let stat = Stat::parse(&directory.head("stat", SMALL_FILE).ok()?)?;
    Some((
        stat,
        Status::parse(&directory.head("status", SMALL_FILE).ok()?),
    ))
}

fn task(pid: u32, stat: &Stat, status: &Status) -> Task {
    Task {
        start: stat.start.saturating_mul(TICK),
        cap_permitted: status.cap_permitted,
        cap_effective: status.cap_effective,
        cap_inheritable: status.cap_inheritable,
        pid,
        tid: pid,
        ppid: stat.ppid,
        sid: stat.sid,
        pgid: stat.pgid,
        vpid: status.vpid,
        vtid: status.vtid,
        vsid: status.vsid,
        vpgid: status.vpgid,
        uid: status.uid,
        gid: status.gid,
        euid: status.euid,
        egid: status.egid,
        tty: stat.tty,
        comm: stat.comm,
        ..Task::default()
    }
}

/// Audit ids and namespaces. `None` when the process is gone.
fn facts(directory: &Directory, task: &mut Task) -> Option<()> {
    let number = |name| {
        let text = present(directory.head(name, SMALL_FILE))?;
        // Absent in a kernel without audit.
        Some(parse::lone_number(&text).unwrap_or(u32::MAX))
    };
    let namespace = |name| Some(parse::namespace(&present(directory.link(name))?));
    task.loginuid = number("loginuid")?;
    task.audit_session = number("sessionid")?;
    task.mnt_ns = namespace("ns/mnt")?;
    task.pid_ns = namespace("ns/pid")?;
    task.net_ns = namespace("ns/net")?;
    task.user_ns = namespace("ns/user")?;
    Some(())
}

/// The program, which a kernel thread does not have. `None` when the process is gone.
fn program(directory: &Directory, process: &mut SnapshotProcess) -> Option<()> {
    let link = present(directory.link("exe"))?;
    let (exe, flags) = parse::executable(&link);
    process.exe = Some(exe.to_vec());
    process.exe_flags = flags;
    let file = directory.target("exe").unwrap_or_default();
    process.exe_inode = file.inode;
    process.exe_ctime = file.ctime;
    process.exe_mtime = file.mtime;
    Some(())
}

/// Fills in what other processes of the same scan know: starts of the parent and of the first
/// process of the pid namespace, and the parent's id in its namespace.
fn relate(processes: &mut [SnapshotProcess]) {
    let parents: HashMap<u32, (u64, u32)> = processes
        .iter()
        .map(|process| (process.task.pid, (process.task.start, process.task.vpid)))
        .collect();
    let inits: HashMap<u32, u64> = processes
        .iter()
        .filter(|process| process.task.vpid == 1)
        .map(|process| (process.task.pid_ns, process.task.start))
        .collect();
    for process in processes {
        let task = &mut process.task;
        (task.parent_start, task.vppid) = parents.get(&task.ppid).copied().unwrap_or_default();
        task.pid_ns_start = inits.get(&task.pid_ns).copied().unwrap_or_default();
    }
}

/// `None` when the process is gone; what is there but cannot be read is empty.
fn present<T: Default>(read: Result<T, Errno>) -> Option<T> {
    match read {
        Ok(value) => Some(value),
        Err(Errno::SRCH) => None,
        Err(_) => Some(T::default()),
    }
}

#[cfg(test)]
mod tests;
