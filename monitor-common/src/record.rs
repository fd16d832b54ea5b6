//! The part of a record that every kind shares.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// How many strings a record can carry: those of [`Slot`], and one that is empty, for the header has
/// no padding.
pub const SLOTS: usize = 10;

/// What happened. Numbers are part of the ABI and never reused.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[repr(u16)]
pub enum Kind {
    /// `execve(at)`, successful or not: body [`crate::process::Exec`].
    Exec = 1,
    /// A new process (never a thread); the task is the child: body [`crate::process::Fork`].
    Fork = 2,
    /// The last thread of a process is gone: body [`crate::process::Exit`].
    Exit = 3,
    /// `open`, `openat`, `openat2`, `creat`, `open_by_handle_at`, or the same through `io_uring`:
    /// body [`crate::file::Open`].
    Open = 4,
    /// `connect`: body [`crate::network::Connect`].
    Connect = 5,
    /// `socket`: body [`crate::network::Socket`].
    Socket = 6,
    /// `symlink(at)`: body [`crate::file::Link`].
    Symlink = 7,
    /// `link(at)`: body [`crate::file::Link`].
    Link = 8,
    /// `ptrace`: body [`crate::process::Ptrace`].
    Ptrace = 9,
    /// A cgroup was made: body [`crate::cgroup::Cgroup`].
    CgroupMkdir = 10,
    /// A cgroup was removed: body [`crate::cgroup::Cgroup`].
    CgroupRmdir = 11,
    /// A task was moved to a cgroup: body [`crate::cgroup::Cgroup`].
    CgroupAttach = 12,
    /// `dup`, `dup2`, `dup3`, or `fcntl` to the same end, of a socket: body
    /// [`crate::network::Dup`].
    Dup = 13,
    /// `init_module` or `finit_module`; slot `Args` holds the module's parameters, and
    /// `Resolved` the file of the latter: body [`crate::call::Registers`].
    Module = 14,
    /// `sendto`, `sendmsg` or `sendmmsg` to an address, a record for each message: body
    /// [`crate::network::Send`].
    Send = 15,
    /// `setuid`, `setgid` and their like, `capset`: body [`crate::call::Registers`].
    Identity = 16,
    /// `setns` or `unshare`: body [`crate::call::Registers`].
    Namespace = 17,
    /// `memfd_create`; slot `Args` holds the name: body [`crate::call::Registers`].
    Memfd = 18,
    /// `unlink`, `unlinkat` or `rmdir`; slots `Resolved` (where it is known), `Passed`, `Cwd`,
    /// `Base`: body [`crate::call::Registers`].
    Remove = 19,
    /// `rename`, `renameat` or `renameat2`; slots `Passed` (the new name), `Target` (the old one),
    /// `Cwd`, `Base` and `TargetBase`, and where they are known `Resolved` and `TargetResolved`: body
    /// [`crate::call::Registers`].
    Rename = 20,
    /// `chmod`, `fchmod`, `fchmodat` or `fchmodat2`; slots `Resolved` (for a descriptor, and where it
    /// is known), `Passed`, `Cwd`, `Base`: body [`crate::call::Registers`].
    Mode = 21,
    /// `mkdir` or `mkdirat`; slots `Resolved` (where it is known), `Passed`, `Cwd`, `Base`: body
    /// [`crate::call::Registers`].
    Mkdir = 22,
    /// `accept` or `accept4`; slot `Passed` for `AF_UNIX`: body [`crate::network::Serve`].
    Accept = 23,
    /// `listen`; slot `Passed` for `AF_UNIX`: body [`crate::network::Serve`].
    Listen = 24,
    /// `bind`; slot `Passed` for `AF_UNIX`: body [`crate::network::Serve`].
    Bind = 25,
    /// `clone` or `clone3` into new namespaces; the task is the caller. The first argument is the
    /// flags, the result the new thread's id as the caller sees it, or an errno: body
    /// [`crate::call::Registers`].
    Clone = 26,
    /// Any other call, with the slots that its row in [`crate::syscall::CALLS`] names: body
    /// [`crate::call::Registers`].
    Call = 27,
    /// The same for rare calls that control the system or other processes.
    Control = 28,
    /// A DNS message, sent or received; slot `Args` holds its first 4 KiB: body
    /// [`crate::network::Dns`].
    Dns = 29,
    /// `mmap`, `mprotect` or `pkey_mprotect` of memory that can be run, and `mmap` of a file to
    /// write to it; slot `Resolved` has the file: body [`crate::call::Registers`].
    Memory = 35,
    /// `recvfrom`, `recvmsg` or `recvmmsg`, a record for each message: body
    /// [`crate::network::Send`].
    Receive = 36,
    /// An open file came from another process (`SCM_RIGHTS`, `pidfd_getfd`, seccomp): body
    /// [`crate::file::Open`], without passed flags and mode; slot `Resolved`.
    Passed = 38,
}

impl Kind {
    /// All kinds, in number order.
    pub const ALL: [Self; 32] = [
        Self::Exec,
        Self::Fork,
        Self::Exit,
        Self::Open,
        Self::Connect,
        Self::Socket,
        Self::Symlink,
        Self::Link,
        Self::Ptrace,
        Self::CgroupMkdir,
        Self::CgroupRmdir,
        Self::CgroupAttach,
        Self::Dup,
        Self::Module,
        Self::Send,
        Self::Identity,
        Self::Namespace,
        Self::Memfd,
        Self::Remove,
        Self::Rename,
        Self::Mode,
        Self::Mkdir,
        Self::Accept,
        Self::Listen,
        Self::Bind,
        Self::Clone,
        Self::Call,
        Self::Control,
        Self::Dns,
        Self::Memory,
        Self::Receive,
        Self::Passed,
    ];

    /// Kinds that are recorded whether asked for or not: everything else is joined with them.
    pub const LIFECYCLE: [Self; 6] = [
        Self::Exec,
        Self::Fork,
        Self::Exit,
        Self::CgroupMkdir,
        Self::CgroupRmdir,
        Self::CgroupAttach,
    ];

    /// The kind with this number.
    pub fn from_number(number: u16) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| *kind as u16 == number)
    }

    /// Lower-case name, as in metrics and `doctor`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Exec => "exec",
            Self::Fork => "fork",
            Self::Exit => "exit",
            Self::Open => "open",
            Self::Connect => "connect",
            Self::Socket => "socket",
            Self::Symlink => "symlink",
            Self::Link => "link",
            Self::Ptrace => "ptrace",
            Self::CgroupMkdir => "cgroup_mkdir",
            Self::CgroupRmdir => "cgroup_rmdir",
            Self::CgroupAttach => "cgroup_attach",
            Self::Dup => "dup",
            Self::Module => "module",
            Self::Send => "send",
            Self::Identity => "identity",
            Self::Namespace => "namespace",
            Self::Memfd => "memfd",
            Self::Remove => "remove",
            Self::Rename => "rename",
            Self::Mode => "mode",
            Self::Mkdir => "mkdir",
            Self::Accept => "accept",
            Self::Listen => "listen",
            Self::Bind => "bind",
            Self::Clone => "clone",
            Self::Call => "call",
            Self::Control => "control",
            Self::Dns => "dns",
            Self::Memory => "memory",
            Self::Receive => "receive",
            Self::Passed => "passed",
        }
    }
}

/// Which string of a record. The meaning is the same for every kind that fills the slot.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(u8)]
pub enum Slot {
    /// The path as the kernel resolved it, walked across mounts: the executable, the opened file,
    /// the new name of a link, a cgroup's path, the file of the socket that was connected to.
    Resolved = 0,
    /// The path (or, for `AF_UNIX`, socket name) as the program passed it.
    Passed = 1,
    /// Working directory of the task.
    Cwd = 2,
    /// Directory behind the descriptor that `Passed` is relative to; empty for `AT_FDCWD`.
    Base = 3,
    /// Argument vector, each argument ended by a NUL; for other calls one text that is no path, or the
    /// head of a message.
    Args = 4,
    /// Environment, each entry ended by a NUL.
    Env = 5,
    /// Second passed path: `oldpath` of a link, `target` of a symlink.
    Target = 6,
    /// Directory behind the descriptor that `Target` is relative to; empty for `AT_FDCWD`.
    TargetBase = 7,
    /// `Target` as the kernel resolved it, where it is known: the old name of a rename.
    TargetResolved = 8,
    /// Where the file of `Resolved` is in the root file system, if a mount shows it elsewhere.
    Original = 9,
}

/// Bits of [`Header::flags`].
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Flags;

impl Flags {
    /// A path was longer than [`crate::PATH_MAX`] or had too many components: its head is missing.
    pub const PATH_TRUNCATED: u16 = 1 << 0;
    /// The argument vector was longer than [`crate::ARGS_MAX`]: head and tail are there.
    pub const ARGS_TRUNCATED: u16 = 1 << 1;
    /// The environment was longer than [`crate::ENV_MAX`].
    pub const ENV_TRUNCATED: u16 = 1 << 2;
    /// A 32-bit system call on a 64-bit kernel.
    pub const COMPAT: u16 = 1 << 3;
    /// Seen on the object tier.
    pub const OBJECT_TIER: u16 = 1 << 4;
    /// Done by a kernel worker for the process (`io_uring`).
    pub const IO_WORKER: u16 = 1 << 5;
    /// A user-space string could not be read: its slot is empty although something was passed.
    pub const PASSED_UNREADABLE: u16 = 1 << 6;
    /// The walk of the resolved path did not end at the root of the mount namespace (a pseudo
    /// file, or a directory handle from outside): the text is what was found on the way.
    pub const DETACHED: u16 = 1 << 7;
    /// Asked for through `io_uring`: what was passed is the kernel's copy, or was read before the
    /// operation began.
    pub const URING: u16 = 1 << 10;
    /// What the call was about, an address or a socket, is what a program at one of the kernel's
    /// functions kept.
    pub const KEPT: u16 = 1 << 11;
    /// The address is what a program at the root of the cgroups kept.
    pub const TRIED: u16 = 1 << 12;
}

/// Start of every record.
#[derive(Clone, Copy, Debug, FromBytes, Immutable, IntoBytes, KnownLayout)]
#[repr(C)]
pub struct Header {
    /// Bytes of the whole record.
    pub len: u32,
    /// A [`Kind`].
    pub kind: u16,
    /// Bits of [`Flags`].
    pub flags: u16,
    /// `CLOCK_BOOTTIME` in ns.
    pub time: u64,
    /// Bytes of each string, in the order of [`Slot`].
    pub strings: [u32; SLOTS],
    /// The acting task.
    pub task: Task,
}

/// Facts about a task, taken in the kernel at the event. Ids are those of the initial namespaces
/// unless the name says `v` (the task's own pid namespace).
#[derive(Clone, Copy, Debug, Default, FromBytes, Immutable, IntoBytes, KnownLayout)]
#[repr(C)]
pub struct Task {
    /// Start of the thread group leader, `CLOCK_BOOTTIME` ns; with `pid` the process identity.
    pub start: u64,
    /// Start of the parent's group leader.
    pub parent_start: u64,
    /// Id of the task's cgroup in the unified hierarchy.
    pub cgroup: u64,
    /// Permitted capability set.
    pub cap_permitted: u64,
    /// Effective capability set.
    pub cap_effective: u64,
    /// Inheritable capability set.
    pub cap_inheritable: u64,
    /// Start of the init process of the task's pid namespace.
    pub pid_ns_start: u64,
    /// Process id (thread group id).
    pub pid: u32,
    /// Thread id.
    pub tid: u32,
    /// Process id of the real parent.
    pub ppid: u32,
    /// Session id.
    pub sid: u32,
    /// Process group id.
    pub pgid: u32,
    /// Process id in its own pid namespace.
    pub vpid: u32,
    /// Thread id in its own pid namespace.
    pub vtid: u32,
    /// Parent's process id in the parent's own pid namespace.
    pub vppid: u32,
    /// Session id in the task's pid namespace.
    pub vsid: u32,
    /// Process group id in the task's pid namespace.
    pub vpgid: u32,
    /// Real user id.
    pub uid: u32,
    /// Real group id.
    pub gid: u32,
    /// Effective user id.
    pub euid: u32,
    /// Effective group id.
    pub egid: u32,
    /// Audit login uid; `u32::MAX` when unset.
    pub loginuid: u32,
    /// Audit session id; `u32::MAX` when unset.
    pub audit_session: u32,
    /// Controlling terminal as a device number (`major << 8 | minor` as in `/proc/pid/stat`), 0
    /// for none.
    pub tty: u32,
    /// Inode numbers of the namespaces.
    pub mnt_ns: u32,
    /// Pid namespace.
    pub pid_ns: u32,
    /// Network namespace.
    pub net_ns: u32,
    /// User namespace.
    pub user_ns: u32,
    /// CPU the event happened on.
    pub cpu: u32,
    /// The kernel's name of the task, NUL-padded.
    pub comm: [u8; 16],
}

const _: () = assert!(size_of::<Header>() == 56 + size_of::<Task>());
const _: () = assert!(size_of::<Task>() == 7 * 8 + 22 * 4 + 16);
