//! Processes: who they are, what they run, whose children they are.
//!
//! A process is a pid and the time it started, so a recycled pid is another process. What it runs
//! (its [`Image`]) is shared by all that forked without an exec. [`Table`] is pure: it is told
//! what happened and never looks at `/proc`; that is [`snapshot`]'s part.

pub mod snapshot;
mod table;
mod tree;

use std::sync::{Arc, OnceLock};

use monitor_common::Task;
use monitor_policy::View;

pub use table::{Limits, Table};
pub use tree::Tree;

/// Length of a clock tick of `/proc`, ns. Start times are compared at this grain, because that is
/// all `/proc` tells of processes older than the daemon.
const TICK_NS: u64 = 10_000_000;

/// Identity of a process: its pid in the initial namespace and the tick it started in.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct ProcessKey {
    /// Process id.
    pub pid: u32,
    /// Start, in clock ticks since boot.
    pub start_tick: u64,
}

impl ProcessKey {
    /// Identity from a pid and a start in `CLOCK_BOOTTIME` ns.
    pub const fn new(pid: u32, start_ns: u64) -> Self {
        Self {
            pid,
            start_tick: start_ns / TICK_NS,
        }
    }

    /// Identity of the process that `task` belongs to.
    pub const fn of(task: &Task) -> Self {
        Self::new(task.pid, task.start)
    }

    /// Identity of its parent.
    pub const fn parent_of(task: &Task) -> Self {
        Self::new(task.ppid, task.parent_start)
    }
}

/// What a process runs: set by exec, inherited by fork.
#[derive(Debug, Default)]
pub struct Image {
    /// Path of the executable as the kernel resolved it; empty when unknown.
    pub exe: Box<[u8]>,
    /// What its path is in [`View::Original`](monitor_policy::View), where that is another one: where
    /// it lies, if a mount shows it elsewhere, behind a mark if its path is one in a tree of mounts that
    /// is not its host's or container's.
    pub original: Option<Box<[u8]>>,
    /// The tree of mounts that its path is one in.
    pub tree: Tree,
    /// Argument vector, each argument ended by a NUL.
    pub args: Box<[u8]>,
    /// Environment, each entry ended by a NUL: only what the loaded policies name.
    pub environment: Arc<[u8]>,
    /// Bits of [`monitor_common::process::ExeFlags`].
    pub exe_flags: u32,
    /// Inode of the executable, 0 when unknown.
    pub inode: u64,
    /// Its change time, ns since the epoch, 0 when unknown.
    pub ctime: u64,
    /// Its modification time, likewise.
    pub mtime: u64,
}

impl Image {
    /// `argv[0]`.
    pub fn argv0(&self) -> &[u8] {
        self.arguments().next().unwrap_or_default()
    }

    /// The arguments, `argv[0]` first.
    pub fn arguments(&self) -> impl Iterator<Item = &[u8]> {
        terminated(&self.args)
    }

    /// The value of an environment variable.
    pub fn variable(&self, name: &[u8]) -> Option<&[u8]> {
        terminated(&self.environment).find_map(|entry| entry.strip_prefix(name)?.strip_prefix(b"="))
    }

    /// Path of the executable in a view; empty when unknown.
    pub fn exe_in(&self, view: View) -> &[u8] {
        match &self.original {
            Some(original) if view == View::Original => original,
            _ => &self.exe,
        }
    }

    fn bytes(&self) -> usize {
        let original = self.original.as_ref().map_or(0, |path| path.len());
        size_of::<Self>() + self.exe.len() + original + self.args.len()
    }
}

/// A process as it was last seen. Immutable: a change makes a new one, so an event keeps the
/// process it was joined with.
#[derive(Debug)]
pub struct Process {
    /// Facts from the kernel at its last lifecycle event.
    pub task: Task,
    /// The kernel's name for it at its last exec or fork, or when it was found in `/proc`. Not what
    /// it calls itself since then.
    pub comm: [u8; 16],
    /// What it runs.
    pub image: Arc<Image>,
    /// Working directory when last seen.
    pub cwd: Arc<[u8]>,
    /// Who started it. Kept when the parent exits: an orphan's lineage stays what it was.
    pub parent: Option<ProcessKey>,
    /// Cgroup that decides which container it belongs to: the one it was born in, or, for a
    /// process that came from the host, the first container cgroup it was put in. 0 when unknown.
    pub origin_cgroup: u64,
    /// Cgroup it was last seen in.
    pub cgroup: u64,
    /// User namespace (inode number) whose mount namespaces have the paths of its host or container; 0
    /// while that is not known.
    pub tree_owner: u32,
    /// Whether it or an ancestor runs a program that has another path in some view.
    pub has_original: bool,
    /// Built when first asked for; shared by forks of the same name.
    command_line: Arc<OnceLock<Box<[u8]>>>,
}

impl Process {
    /// A process with these parts, in the cgroup its task was seen in.
    pub fn new(task: Task, image: Arc<Image>, cwd: Arc<[u8]>, parent: Option<ProcessKey>) -> Self {
        Self {
            comm: task.comm,
            cgroup: task.cgroup,
            origin_cgroup: task.cgroup,
            tree_owner: task.user_ns,
            has_original: image.original.is_some(),
            task,
            image,
            cwd,
            parent,
            command_line: Arc::default(),
        }
    }

    /// Identity.
    pub const fn key(&self) -> ProcessKey {
        ProcessKey::of(&self.task)
    }

    /// Its name, without padding.
    pub fn name(&self) -> &[u8] {
        trim_nul(&self.comm)
    }

    /// Name and arguments from `argv[1]`, joined by blanks.
    pub fn command_line(&self) -> &[u8] {
        self.command_line.get_or_init(|| {
            let mut line = Vec::with_capacity(self.comm.len() + self.image.args.len());
            line.extend_from_slice(self.name());
            for argument in self.image.arguments().skip(1) {
                line.push(b' ');
                line.extend_from_slice(argument);
            }
            line.into_boxed_slice()
        })
    }

    /// The same process with another name, place or cgroup.
    fn with(&self, change: impl FnOnce(&mut Self)) -> Self {
        let mut next = Self {
            task: self.task,
            comm: self.comm,
            image: Arc::clone(&self.image),
            cwd: Arc::clone(&self.cwd),
            parent: self.parent,
            origin_cgroup: self.origin_cgroup,
            cgroup: self.cgroup,
            tree_owner: self.tree_owner,
            has_original: self.has_original,
            command_line: Arc::clone(&self.command_line),
        };
        change(&mut next);
        if next.comm != self.comm {
            next.command_line = Arc::default();
        }
        next
    }

    /// What it may share with others: an address, the same only for the same memory, and bytes.
    fn shared(&self) -> [(usize, usize); 4] {
        let line = size_of::<OnceLock<Box<[u8]>>>() + self.comm.len() + self.image.args.len();
        let environment = &self.image.environment;
        [
            (Arc::as_ptr(&self.image).addr(), self.image.bytes()),
            (Arc::as_ptr(environment).addr(), environment.len()),
            (Arc::as_ptr(&self.cwd).addr(), self.cwd.len()),
            (Arc::as_ptr(&self.command_line).addr(), line),
        ]
    }
}

/// Bytes before the first NUL.
pub fn trim_nul(bytes: &[u8]) -> &[u8] {
    bytes.split(|byte| *byte == 0).next().unwrap_or_default()
}

/// The items of a block in which each is ended by a NUL; a last one without it counts too.
fn terminated(block: &[u8]) -> impl Iterator<Item = &[u8]> {
    let block = block.strip_suffix(b"\0").unwrap_or(block);
    let empty = block.is_empty();
    block.split(|byte| *byte == 0).filter(move |_| !empty)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image(args: &[u8], environment: &[u8]) -> Image {
        Image {
            args: args.into(),
            environment: environment.into(),
            ..Image::default()
        }
    }

    #[test]
    fn arguments_keep_empty_ones() {
        let sample = image(b"sh\0-c\0\0x y\0", b"");
        let arguments: Vec<&[u8]> = sample.arguments().collect();
        assert_eq!(arguments, [&b"sh"[..], b"-c", b"", b"x y"]);
        assert_eq!(sample.argv0(), b"sh");
        assert_eq!(image(b"", b"").arguments().count(), 0);
    }

    #[test]
    fn variables_match_whole_names() {
        let sample = image(b"", b"PATH=/bin\0PATHS=no\0EMPTY=\0");
        assert_eq!(sample.variable(b"PATH"), Some(&b"/bin"[..]));
        assert_eq!(sample.variable(b"EMPTY"), Some(&b""[..]));
        assert_eq!(sample.variable(b"PAT"), None);
    }

    #[test]
    fn command_line_starts_with_the_kernel_name() {
        let mut task = Task::default();
        task.comm[..4].copy_from_slice(b"busy");
        let image = Arc::new(image(b"/bin/sh\0-c\0id\0", b""));
        let process = Process::new(task, image, Arc::from(&b"/"[..]), None);
        assert_eq!(process.command_line(), b"busy -c id");
    }
}
