//! Bodies of process records.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// Bits of [`Exec::exe_flags`].
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct ExeFlags;

impl ExeFlags {
    /// The file lies in the upper layer of an overlay file system.
    pub const UPPER_LAYER: u32 = 1 << 0;
    /// The file lies in a lower layer of an overlay file system.
    pub const LOWER_LAYER: u32 = 1 << 1;
    /// The file is an anonymous memory file.
    pub const MEMFD: u32 = 1 << 2;
    /// The executing user may write the file.
    pub const WRITABLE: u32 = 1 << 3;
    /// The file has no name left.
    pub const UNLINKED: u32 = 1 << 4;
    /// The file lies on a mount that is in no tree of a mount namespace: its path is one in a tree of
    /// its own.
    pub const UNREACHABLE: u32 = 1 << 5;
    /// No mount on the way changes the path: it is the file's path in its file system.
    pub const PLAIN: u32 = 1 << 6;
}

/// An `execve` or `execveat`. When it succeeded (`ret == 0`) the header's task is already the new
/// program and the slots `Resolved` (executable), `Args` and `Env` describe it; when it failed the
/// task is the old program and only `Passed`, `Base` and `Cwd` are filled.
#[derive(Clone, Copy, Debug, FromBytes, Immutable, IntoBytes, KnownLayout)]
#[repr(C)]
pub struct Exec {
    /// 0, or a negative errno.
    pub ret: i64,
    /// Inode of the executable.
    pub inode: u64,
    /// Its change time, ns since the epoch.
    pub ctime: u64,
    /// Its modification time, ns since the epoch.
    pub mtime: u64,
    /// Device of the executable, the kernel's `major << 20 | minor`.
    pub dev: u32,
    /// Bits of [`ExeFlags`].
    pub exe_flags: u32,
    /// System call number (x86-64), 0 when unknown.
    pub syscall: u32,
    /// `dirfd` of `execveat`, else `AT_FDCWD`.
    pub dirfd: i32,
    /// Full length of the argument vector.
    pub args_len: u32,
    /// Full length of the environment.
    pub env_len: u32,
    /// Mount namespace (inode number) of the mount that the executable lies on; 0 if it is in none.
    pub tree: u32,
    /// User namespace (inode number) that owns that mount namespace; 0 if there is none.
    pub tree_owner: u32,
}

/// A new process. The header's task is the child.
#[derive(Clone, Copy, Debug, FromBytes, Immutable, IntoBytes, KnownLayout)]
#[repr(C)]
pub struct Fork {
    /// Process that called `fork`, `vfork` or `clone` (not always the parent: `CLONE_PARENT`).
    pub caller_pid: u32,
    /// Thread of it.
    pub caller_tid: u32,
    /// Start of the caller's group leader.
    pub caller_start: u64,
}

/// The end of a process. Before 6.16, two threads that end at the same moment may both report it.
#[derive(Clone, Copy, Debug, FromBytes, Immutable, IntoBytes, KnownLayout)]
#[repr(C)]
pub struct Exit {
    /// Wait status as `wait(2)` gives it.
    pub status: i32,
    /// Always 0.
    pub reserved: u32,
}

/// A `ptrace` call.
#[derive(Clone, Copy, Debug, FromBytes, Immutable, IntoBytes, KnownLayout)]
#[repr(C)]
pub struct Ptrace {
    /// Result of the call.
    pub ret: i64,
    /// `PTRACE_*`.
    pub request: u64,
    /// `addr` argument.
    pub addr: u64,
    /// `data` argument.
    pub data: u64,
    /// Target as the caller named it (its own pid namespace).
    pub target: i32,
    /// Always 0.
    pub reserved: u32,
}

const _: () = assert!(size_of::<Exec>() == 64);
const _: () = assert!(size_of::<Fork>() == 16);
const _: () = assert!(size_of::<Exit>() == 8);
const _: () = assert!(size_of::<Ptrace>() == 40);
