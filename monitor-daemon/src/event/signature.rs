//! Parameters of calls that their registers tell: names and their order as in Falco's event table,
//! and for calls that are not in it, names of other events that mean the same.
//!
//! Long because the table is.

use monitor_common::syscall::Machine;

/// Names of the bits or values of a parameter.
type Names = &'static [(u64, &'static str)];

/// What a parameter is, and which argument of the call it comes from.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Shape {
    /// Result of the call.
    Result,
    /// Result of the call that is a descriptor of a new anonymous file.
    NewDescriptor,
    /// The path acted on.
    Path,
    /// The old name of a rename, and what like calls have.
    OldPath,
    /// Text as passed, which is no path.
    Text,
    /// Descriptor of the directory that the path starts from.
    Directory(usize),
    /// The same of the old name.
    OldDirectory(usize),
    /// Another descriptor.
    Descriptor(usize),
    Mode(usize),
    User(usize),
    Group(usize),
    Number(usize),
    /// A signed number of 32 bits.
    Signed(usize),
    /// An address in the process, in hexadecimal.
    Address(usize),
    /// A process or thread, by its name.
    Process(usize),
    Signal(usize),
    Flags(usize, Names),
    /// Of a mount, which the kernel takes with a mark of old programs too.
    MountFlags(usize),
    OneOf(usize, Names),
    /// The value of some bits: how far they are to be shifted, and how many they are.
    Part(usize, u32, u32, Names),
    /// A descriptor of a new pipe, by its place.
    Pipe(usize),
    /// A descriptor of a new pair of sockets, by its place.
    Pair(usize),
    /// What was read or written, as far as it is recorded.
    Content,
    /// Family of a socket.
    Domain(usize),
    /// The name that the task has after `prctl(PR_SET_NAME)`.
    TaskName,
    /// A capability set of the task after the call.
    Inheritable,
    Permitted,
    Effective,
    /// Name of the call.
    Call,
    /// Its number.
    CallNumber,
    /// In Falco's table, and not recorded here.
    Absent,
}

use Shape::{
    Absent, Address, Call, CallNumber, Content, Descriptor, Directory, Domain, Effective, Flags,
    Group, Inheritable, Mode, MountFlags, NewDescriptor, Number, OldDirectory, OldPath, OneOf,
    Pair, Part, Path, Permitted, Pipe, Process, Result, Signal, Signed, TaskName, Text, User,
};

macro_rules! signatures {
    ($($($event:literal)|+: $($name:literal $shape:expr),+;)*) => {
        /// Parameters of an event type: names, and what they are.
        pub(super) fn parameters(
            event: &str,
        ) -> (&'static [&'static str], &'static [Shape]) {
            match event {
                $($($event)|+ => (&[$($name),+], &[$($shape),+]),)*
                _ => (&["ID", "nativeID"], &[Call, CallNumber]),
            }
        }
    };
}

/// Whether a parameter of an event type is one that is not recorded.
pub(super) fn is_absent(event: &str, name: &str) -> bool {
    let (names, shapes) = parameters(event);
    let mut all = names.iter().zip(shapes);
    all.any(|(known, shape)| *known == name && *shape == Absent)
}

signatures! {
    "setuid" | "setfsuid": "res" Result, "uid" User(0);
    "setgid" | "setfsgid": "res" Result, "gid" Group(0);
    "setreuid": "res" Result, "ruid" User(0), "euid" User(1);
    "setregid": "res" Result, "rgid" Group(0), "egid" Group(1);
    "setresuid": "res" Result, "ruid" User(0), "euid" User(1), "suid" User(2);
    "setresgid": "res" Result, "rgid" Group(0), "egid" Group(1), "sgid" Group(2);
    "capset": "res" Result, "cap_inheritable" Inheritable, "cap_permitted" Permitted,
        "cap_effective" Effective;
    "setns": "res" Result, "fd" Descriptor(0), "nstype" Flags(1, CLONE);
    "unshare": "res" Result, "flags" Flags(0, CLONE);
    "memfd_create": "fd" NewDescriptor, "name" Text, "flags" Flags(1, MEMFD);
    "init_module": "res" Result, "img" Absent, "length" Number(1), "uargs" Text;
    "finit_module": "res" Result, "fd" Descriptor(0), "uargs" Text, "flags" Flags(2, MODULE);
    "delete_module": "res" Result, "name" Text, "flags" Flags(1, UNLOAD);

    "unlink" | "rmdir" | "chroot" | "chdir": "res" Result, "path" Path;
    "unlinkat": "res" Result, "dirfd" Directory(0), "name" Path, "flags" Flags(2, AT);
    "rename": "res" Result, "oldpath" OldPath, "newpath" Path;
    "renameat": "res" Result, "olddirfd" OldDirectory(0), "oldpath" OldPath,
        "newdirfd" Directory(2), "newpath" Path;
    "renameat2": "res" Result, "olddirfd" OldDirectory(0), "oldpath" OldPath,
        "newdirfd" Directory(2), "newpath" Path, "flags" Flags(4, RENAME);
    "chmod": "res" Result, "filename" Path, "mode" Mode(1);
    "fchmod": "res" Result, "fd" Descriptor(0), "mode" Mode(1);
    "fchmodat": "res" Result, "dirfd" Directory(0), "filename" Path, "mode" Mode(2);
    "fchmodat2": "res" Result, "dirfd" Directory(0), "filename" Path, "mode" Mode(2),
        "flags" Flags(3, AT);
    "mkdir": "res" Result, "path" Path, "mode" Mode(1);
    "mkdirat": "res" Result, "dirfd" Directory(0), "path" Path, "mode" Mode(2);
    "mknod": "res" Result, "path" Path, "mode" Mode(1), "dev" Number(2);
    "mknodat": "res" Result, "dirfd" Directory(0), "path" Path, "mode" Mode(2), "dev" Number(3);
    "chown" | "lchown": "res" Result, "path" Path, "uid" User(1), "gid" Group(2);
    "fchown": "res" Result, "fd" Descriptor(0), "uid" User(1), "gid" Group(2);
    "fchownat": "res" Result, "dirfd" Directory(0), "pathname" Path, "uid" User(2),
        "gid" Group(3), "flags" Flags(4, AT);
    "truncate": "res" Result, "path" Path, "length" Number(1);
    "ftruncate": "res" Result, "fd" Descriptor(0), "length" Number(1);
    "sendfile": "res" Result, "out_fd" Descriptor(0), "in_fd" Descriptor(1), "size" Number(3);
    "splice": "res" Result, "fd_in" Descriptor(0), "fd_out" Descriptor(2), "size" Number(4),
        "flags" Flags(5, SPLICE);
    "copy_file_range": "res" Result, "fdin" Descriptor(0), "fdout" Descriptor(2),
        "len" Number(4);
    "name_to_handle_at": "res" Result, "dirfd" Directory(0), "path" Path, "flags" Flags(4, AT);
    "quotactl": "res" Result, "special" Path, "cmd" Part(0, 8, 24, QUOTA),
        "type" Part(0, 0, 8, QUOTA_OF), "id" Number(2);
    "setxattr" | "lsetxattr": "res" Result, "path" Path, "name" Text, "size" Number(3);
    "fsetxattr": "res" Result, "fd" Descriptor(0), "name" Text, "size" Number(3);
    "removexattr" | "lremovexattr": "res" Result, "path" Path, "name" Text;
    "fremovexattr": "res" Result, "fd" Descriptor(0), "name" Text;
    "setxattrat" | "removexattrat": "res" Result, "dirfd" Directory(0), "path" Path,
        "name" Text, "flags" Flags(2, AT);
    "file_setattr": "res" Result, "dirfd" Directory(0), "path" Path, "flags" Flags(4, AT);
    "futimesat": "res" Result, "dirfd" Directory(0), "path" Path;
    "utime" | "utimes" | "swapoff" | "acct": "res" Result, "path" Path;
    "utimensat": "res" Result, "dirfd" Directory(0), "path" Path, "flags" Flags(3, AT);
    "fchdir": "res" Result, "fd" Descriptor(0);

    "mount": "res" Result, "dev" OldPath, "dir" Path, "type" Text, "flags" MountFlags(3);
    "umount2": "res" Result, "name" Path, "flags" Flags(1, UNMOUNT);
    "pivot_root": "res" Result, "new_root" Path, "put_old" OldPath;
    "open_tree" | "open_tree_attr": "fd" Result, "dirfd" Directory(0), "path" Path, "flags" Flags(2, TREE);
    "move_mount": "res" Result, "olddirfd" OldDirectory(0), "oldpath" OldPath,
        "newdirfd" Directory(2), "newpath" Path, "flags" Number(4);
    "fsopen": "fd" Result, "fstype" Text, "flags" Number(1);
    "fsconfig": "res" Result, "fd" Descriptor(0), "cmd" OneOf(1, FSCONFIG), "key" Text,
        "aux" Signed(4);
    "fsmount": "fd" Result, "source" Descriptor(0), "flags" Number(1), "attr" Number(2);
    "fspick": "fd" Result, "dirfd" Directory(0), "path" Path, "flags" Number(2);
    "mount_setattr": "res" Result, "dirfd" Directory(0), "path" Path, "flags" Number(2);
    "swapon": "res" Result, "path" Path, "flags" Number(1);

    "process_vm_readv" | "process_vm_writev": "res" Result, "pid" Process(0), "data" Absent;
    "kill" | "rt_sigqueueinfo": "res" Result, "pid" Process(0), "sig" Signal(1);
    "tkill": "res" Result, "tid" Process(0), "sig" Signal(1);
    "tgkill" | "rt_tgsigqueueinfo": "res" Result, "pid" Process(0), "tid" Process(1), "sig" Signal(2);
    "pidfd_send_signal": "res" Result, "fd" Descriptor(0), "sig" Signal(1), "flags" Number(3);
    "pidfd_open": "fd" Result, "pid" Process(0), "flags" Number(1);
    "pidfd_getfd": "fd" Result, "pid_fd" Descriptor(0), "target_fd" Signed(1), "flags" Number(2);
    "bpf": "fd" Result, "cmd" OneOf(0, BPF);
    "perf_event_open": "fd" Result, "pid" Process(1), "cpu" Signed(2), "flags" Number(4);
    "userfaultfd": "res" Result, "flags" Flags(0, USERFAULT);
    "io_uring_setup": "res" Result, "entries" Number(0);
    "io_uring_enter": "res" Result, "fd" Descriptor(0), "to_submit" Number(1),
        "min_complete" Number(2), "flags" Flags(3, RING_ENTER);
    "io_uring_register": "res" Result, "fd" Descriptor(0), "opcode" OneOf(1, RING_REGISTER),
        "arg" Address(2), "nr_args" Number(3);
    "add_key": "res" Result, "type" Text, "size" Number(3), "key" Signed(4);
    "request_key": "res" Result, "type" Text, "key" Signed(3);
    "keyctl": "res" Result, "option" OneOf(0, KEYCTL), "key" Signed(1);
    "kexec_load": "res" Result, "entries" Number(1), "flags" Number(3);
    "kexec_file_load": "res" Result, "fd" Descriptor(0), "args" Text, "flags" Number(4);
    "prctl": "res" Result, "option" OneOf(0, PRCTL), "arg2_str" TaskName, "arg2_int" Number(1);
    "seccomp": "res" Result, "op" Number(0), "flags" Number(1);
    "personality": "res" Result, "domain" Address(0);
    "reboot": "res" Result, "cmd" Address(2);
    "sethostname" | "setdomainname": "res" Result, "length" Number(1);
    "mprotect": "res" Result, "addr" Address(0), "length" Number(1), "prot" Flags(2, PROTECTION);
    "pkey_mprotect": "res" Result, "addr" Address(0), "length" Number(1),
        "prot" Flags(2, PROTECTION), "key" Signed(3);
    "mmap": "res" Result, "addr" Address(0), "length" Number(1), "prot" Flags(2, PROTECTION),
        "flags" Flags(3, MAP), "fd" Descriptor(4), "offset" Number(5);
    "munmap": "res" Result, "addr" Address(0), "length" Number(1);
    "mlock" | "munlock": "res" Result, "addr" Address(0), "len" Number(1);
    "mlock2": "res" Result, "addr" Address(0), "len" Number(1), "flags" Flags(2, LOCK);
    "mlockall": "res" Result, "flags" Flags(0, LOCK_ALL);
    "munlockall": "res" Result;
    "setrlimit" | "getrlimit": "res" Result, "resource" OneOf(0, LIMIT);
    "prlimit": "res" Result, "pid" Process(0), "resource" OneOf(1, LIMIT);
    "flock": "res" Result, "fd" Descriptor(0), "operation" Flags(1, FLOCK);
    "semop": "res" Result, "semid" Signed(0), "nsops" Number(2);
    "semget": "res" Result, "key" Address(0), "nsems" Signed(1), "semflg" Flags(2, IPC);
    "read" | "write": "res" Result, "data" Content, "fd" Descriptor(0), "size" Number(2);
    "pread" | "pwrite": "res" Result, "data" Content, "fd" Descriptor(0), "size" Number(2),
        "pos" Number(3);
    "readv": "res" Result, "size" Absent, "data" Content, "fd" Descriptor(0);
    "writev": "res" Result, "data" Content, "fd" Descriptor(0), "size" Absent;
    "preadv": "res" Result, "size" Absent, "data" Content, "fd" Descriptor(0), "pos" Number(3);
    "pwritev": "res" Result, "data" Content, "fd" Descriptor(0), "size" Absent, "pos" Number(3);
    "lseek": "res" Result, "fd" Descriptor(0), "offset" Number(1), "whence" OneOf(2, SEEK);
    "pipe": "res" Result, "fd1" Pipe(0), "fd2" Pipe(1), "ino" Absent;
    "pipe2": "res" Result, "fd1" Pipe(0), "fd2" Pipe(1), "ino" Absent, "flags" Flags(1, PIPES);
    "eventfd": "res" Result, "initval" Number(0), "flags" Absent;
    "eventfd2": "res" Result, "initval" Number(0), "flags" Flags(1, PIPES);
    "signalfd": "res" Result, "fd" Descriptor(0), "mask" Absent, "flags" Absent;
    "signalfd4": "res" Result, "fd" Descriptor(0), "mask" Absent, "flags" Flags(3, PIPES);
    "timerfd_create": "res" Result, "clockid" Number(0), "flags" Number(1);
    "inotify_init1": "res" Result, "flags" Flags(0, PIPES);
    "epoll_create": "res" Result, "size" Signed(0);
    "epoll_create1": "res" Result, "flags" Flags(0, POLLED);
    "brk": "res" Result, "addr" Address(0);
    "close": "res" Result, "fd" Descriptor(0);
    "setpgid": "res" Result, "pid" Process(0), "pgid" Process(1);
    "setsid" | "fork" | "vfork" | "pause" | "sync": "res" Result;
    "socketpair": "res" Result, "fd1" Pair(0), "fd2" Pair(1), "source" Absent, "peer" Absent,
        "domain" Domain(0), "type" Number(1), "proto" Number(2);
    "shutdown": "res" Result, "fd" Descriptor(0), "how" OneOf(1, SHUTDOWN);
    "umask": "mode" Mode(0);
    "nanosleep" | "alarm" | "inotify_init": "res" Result;
    "ioctl": "res" Result, "fd" Descriptor(0), "request" Address(1), "argument" Address(2);
}

/// Of `io_uring_enter(2)`.
const RING_ENTER: Names = &[
    (1, "IORING_ENTER_GETEVENTS"),
    (2, "IORING_ENTER_SQ_WAKEUP"),
    (4, "IORING_ENTER_SQ_WAIT"),
    (8, "IORING_ENTER_EXT_ARG"),
];
/// Of `io_uring_register(2)`.
const RING_REGISTER: Names = &[
    (0, "IORING_REGISTER_BUFFERS"),
    (1, "IORING_UNREGISTER_BUFFERS"),
    (2, "IORING_REGISTER_FILES"),
    (3, "IORING_UNREGISTER_FILES"),
    (4, "IORING_REGISTER_EVENTFD"),
    (5, "IORING_UNREGISTER_EVENTFD"),
    (6, "IORING_REGISTER_FILES_UPDATE"),
    (7, "IORING_REGISTER_EVENTFD_ASYNC"),
    (8, "IORING_REGISTER_PROBE"),
    (9, "IORING_REGISTER_PERSONALITY"),
    (10, "IORING_UNREGISTER_PERSONALITY"),
    (11, "IORING_REGISTER_RESTRICTIONS"),
    (12, "IORING_REGISTER_ENABLE_RINGS"),
    (13, "IORING_REGISTER_FILES2"),
    (14, "IORING_REGISTER_FILES_UPDATE2"),
    (15, "IORING_REGISTER_BUFFERS2"),
    (16, "IORING_REGISTER_BUFFERS_UPDATE"),
    (17, "IORING_REGISTER_IOWQ_AFF"),
    (18, "IORING_UNREGISTER_IOWQ_AFF"),
    (19, "IORING_REGISTER_IOWQ_MAX_WORKERS"),
    (20, "IORING_REGISTER_RING_FDS"),
    (21, "IORING_UNREGISTER_RING_FDS"),
];
/// Of `mlock2(2)`.
const LOCK: Names = &[(1, "MLOCK_ONFAULT")];
/// Of `mlockall(2)`.
const LOCK_ALL: Names = &[(1, "MCL_CURRENT"), (2, "MCL_FUTURE"), (4, "MCL_ONFAULT")];
/// Of `flock(2)`.
const FLOCK: Names = &[
    (1, "LOCK_SH"),
    (2, "LOCK_EX"),
    (4, "LOCK_NB"),
    (8, "LOCK_UN"),
];
/// Of `setrlimit(2)`.
const LIMIT: Names = &[
    (0, "RLIMIT_CPU"),
    (1, "RLIMIT_FSIZE"),
    (2, "RLIMIT_DATA"),
    (3, "RLIMIT_STACK"),
    (4, "RLIMIT_CORE"),
    (5, "RLIMIT_RSS"),
    (6, "RLIMIT_NPROC"),
    (7, "RLIMIT_NOFILE"),
    (8, "RLIMIT_MEMLOCK"),
    (9, "RLIMIT_AS"),
    (10, "RLIMIT_LOCKS"),
    (11, "RLIMIT_SIGPENDING"),
    (12, "RLIMIT_MSGQUEUE"),
    (13, "RLIMIT_NICE"),
    (14, "RLIMIT_RTPRIO"),
    (15, "RLIMIT_RTTIME"),
];

const O_DIRECT: u64 = match Machine::OWN {
    Machine::X86 => 0o40_000,
    Machine::Arm => 0o200_000,
};
/// Of `pipe2(2)`, `eventfd2(2)` and their like.
const PIPES: Names = &[
    (O_DIRECT, "O_DIRECT"),
    (0o4000, "O_NONBLOCK"),
    (0o200_0000, "O_CLOEXEC"),
];
/// Of `semget(2)`.
const IPC: Names = &[(0o2000, "IPC_EXCL"), (0o1000, "IPC_CREAT")];
/// Of `epoll_create1(2)`.
const POLLED: Names = &[(0o200_0000, "EPOLL_CLOEXEC")];
/// Of `lseek(2)`.
const SEEK: Names = &[(0, "SEEK_SET"), (1, "SEEK_CUR"), (2, "SEEK_END")];

/// Flags of `clone(2)`, `unshare(2)` and `setns(2)`.
pub(super) const CLONE: Names = &[
    (0x400, "CLONE_FILES"),
    (0x200, "CLONE_FS"),
    (0x8000_0000, "CLONE_IO"),
    (0x800_0000, "CLONE_NEWIPC"),
    (0x4000_0000, "CLONE_NEWNET"),
    (0x2_0000, "CLONE_NEWNS"),
    (0x2000_0000, "CLONE_NEWPID"),
    (0x400_0000, "CLONE_NEWUTS"),
    (0x8000, "CLONE_PARENT"),
    (0x10_0000, "CLONE_PARENT_SETTID"),
    (0x2000, "CLONE_PTRACE"),
    (0x800, "CLONE_SIGHAND"),
    (0x4_0000, "CLONE_SYSVSEM"),
    (0x1_0000, "CLONE_THREAD"),
    (0x80_0000, "CLONE_UNTRACED"),
    (0x100, "CLONE_VM"),
    (0x1000_0000, "CLONE_NEWUSER"),
    (0x20_0000, "CLONE_CHILD_CLEARTID"),
    (0x100_0000, "CLONE_CHILD_SETTID"),
    (0x8_0000, "CLONE_SETTLS"),
    (0x4000, "CLONE_VFORK"),
    (0x200_0000, "CLONE_NEWCGROUP"),
    (0x80, "CLONE_NEWTIME"),
];
const MODULE: Names = &[
    (1, "MODULE_INIT_IGNORE_MODVERSIONS"),
    (2, "MODULE_INIT_IGNORE_VERMAGIC"),
    (4, "MODULE_INIT_COMPRESSED_FILE"),
];
const MEMFD: Names = &[
    (1, "MFD_CLOEXEC"),
    (2, "MFD_ALLOW_SEALING"),
    (4, "MFD_HUGETLB"),
    (8, "MFD_NOEXEC_SEAL"),
    (0x10, "MFD_EXEC"),
];
pub(super) const AT: Names = &[
    (0x100, "AT_SYMLINK_NOFOLLOW"),
    (0x200, "AT_REMOVEDIR"),
    (0x400, "AT_SYMLINK_FOLLOW"),
    (0x1000, "AT_EMPTY_PATH"),
];
const RENAME: Names = &[
    (1, "RENAME_NOREPLACE"),
    (2, "RENAME_EXCHANGE"),
    (4, "RENAME_WHITEOUT"),
];
const UNLOAD: Names = &[(0o4000, "O_NONBLOCK"), (0o1000, "O_TRUNC")];
pub(super) const MOUNT: Names = &[
    (1, "RDONLY"),
    (2, "NOSUID"),
    (4, "NODEV"),
    (8, "NOEXEC"),
    (0x10, "SYNCHRONOUS"),
    (0x20, "REMOUNT"),
    (0x40, "MANDLOCK"),
    (0x80, "DIRSYNC"),
    (0x400, "NOATIME"),
    (0x800, "NODIRATIME"),
    (0x1000, "BIND"),
    (0x2000, "MOVE"),
    (0x4000, "REC"),
    (0x8000, "SILENT"),
    (0x1_0000, "POSIXACL"),
    (0x2_0000, "UNBINDABLE"),
    (0x4_0000, "PRIVATE"),
    (0x8_0000, "SLAVE"),
    (0x10_0000, "SHARED"),
    (0x20_0000, "RELATIME"),
    (0x40_0000, "KERNMOUNT"),
    (0x80_0000, "I_VERSION"),
    (0x100_0000, "STRICTATIME"),
    (0x200_0000, "LAZYTIME"),
    (0x1000_0000, "NOSEC"),
    (0x2000_0000, "BORN"),
    (0x4000_0000, "ACTIVE"),
    (0x8000_0000, "NOUSER"),
    (0x100, "NOSYMFOLLOW"),
];
const UNMOUNT: Names = &[(1, "FORCE"), (2, "DETACH"), (4, "EXPIRE"), (8, "NOFOLLOW")];
const TREE: Names = &[
    (1, "OPEN_TREE_CLONE"),
    (0x1000, "AT_EMPTY_PATH"),
    (0x8000, "AT_RECURSIVE"),
    (0x8_0000, "OPEN_TREE_CLOEXEC"),
];
const FSCONFIG: Names = &[
    (0, "FSCONFIG_SET_FLAG"),
    (1, "FSCONFIG_SET_STRING"),
    (2, "FSCONFIG_SET_BINARY"),
    (3, "FSCONFIG_SET_PATH"),
    (4, "FSCONFIG_SET_PATH_EMPTY"),
    (5, "FSCONFIG_SET_FD"),
    (6, "FSCONFIG_CMD_CREATE"),
    (7, "FSCONFIG_CMD_RECONFIGURE"),
];
const BPF: Names = &[
    (0, "BPF_MAP_CREATE"),
    (1, "BPF_MAP_LOOKUP_ELEM"),
    (2, "BPF_MAP_UPDATE_ELEM"),
    (3, "BPF_MAP_DELETE_ELEM"),
    (4, "BPF_MAP_GET_NEXT_KEY"),
    (5, "BPF_PROG_LOAD"),
    (6, "BPF_OBJ_PIN"),
    (7, "BPF_OBJ_GET"),
    (8, "BPF_PROG_ATTACH"),
    (9, "BPF_PROG_DETACH"),
    (10, "BPF_PROG_TEST_RUN|BPF_PROG_RUN"),
    (11, "BPF_PROG_GET_NEXT_ID"),
    (12, "BPF_MAP_GET_NEXT_ID"),
    (13, "BPF_PROG_GET_FD_BY_ID"),
    (14, "BPF_MAP_GET_FD_BY_ID"),
    (15, "BPF_OBJ_GET_INFO_BY_FD"),
    (16, "BPF_PROG_QUERY"),
    (17, "BPF_RAW_TRACEPOINT_OPEN"),
    (18, "BPF_BTF_LOAD"),
    (19, "BPF_BTF_GET_FD_BY_ID"),
    (20, "BPF_TASK_FD_QUERY"),
    (21, "BPF_MAP_LOOKUP_AND_DELETE_ELEM"),
    (22, "BPF_MAP_FREEZE"),
    (23, "BPF_BTF_GET_NEXT_ID"),
    (24, "BPF_MAP_LOOKUP_BATCH"),
    (25, "BPF_MAP_LOOKUP_AND_DELETE_BATCH"),
    (26, "BPF_MAP_UPDATE_BATCH"),
    (27, "BPF_MAP_DELETE_BATCH"),
    (28, "BPF_LINK_CREATE"),
    (29, "BPF_LINK_UPDATE"),
    (30, "BPF_LINK_GET_FD_BY_ID"),
    (31, "BPF_LINK_GET_NEXT_ID"),
    (32, "BPF_ENABLE_STATS"),
    (33, "BPF_ITER_CREATE"),
    (34, "BPF_LINK_DETACH"),
    (35, "BPF_PROG_BIND_MAP"),
    (36, "BPF_TOKEN_CREATE"),
];
const USERFAULT: Names = &[
    (1, "UFFD_USER_MODE_ONLY"),
    (0o4000, "O_NONBLOCK"),
    (0o2_000_000, "O_CLOEXEC"),
];
const KEYCTL: Names = &[
    (0, "KEYCTL_GET_KEYRING_ID"),
    (1, "KEYCTL_JOIN_SESSION_KEYRING"),
    (2, "KEYCTL_UPDATE"),
    (3, "KEYCTL_REVOKE"),
    (4, "KEYCTL_CHOWN"),
    (5, "KEYCTL_SETPERM"),
    (6, "KEYCTL_DESCRIBE"),
    (7, "KEYCTL_CLEAR"),
    (8, "KEYCTL_LINK"),
    (9, "KEYCTL_UNLINK"),
    (10, "KEYCTL_SEARCH"),
    (11, "KEYCTL_READ"),
];
const PRCTL: Names = &[
    (1, "PR_SET_PDEATHSIG"),
    (2, "PR_GET_PDEATHSIG"),
    (3, "PR_GET_DUMPABLE"),
    (4, "PR_SET_DUMPABLE"),
    (7, "PR_GET_KEEPCAPS"),
    (8, "PR_SET_KEEPCAPS"),
    (15, "PR_SET_NAME"),
    (16, "PR_GET_NAME"),
    (21, "PR_GET_SECCOMP"),
    (22, "PR_SET_SECCOMP"),
    (23, "PR_CAPBSET_READ"),
    (24, "PR_CAPBSET_DROP"),
    (27, "PR_GET_SECUREBITS"),
    (28, "PR_SET_SECUREBITS"),
    (33, "PR_MCE_KILL"),
    (34, "PR_MCE_KILL_GET"),
    (35, "PR_SET_MM"),
    (36, "PR_SET_CHILD_SUBREAPER"),
    (37, "PR_GET_CHILD_SUBREAPER"),
    (38, "PR_SET_NO_NEW_PRIVS"),
    (39, "PR_GET_NO_NEW_PRIVS"),
    (40, "PR_GET_TID_ADDRESS"),
    (41, "PR_SET_THP_DISABLE"),
    (42, "PR_GET_THP_DISABLE"),
    (47, "PR_CAP_AMBIENT"),
    (0x5356_4d41, "PR_SET_VMA"),
    (0x5961_6d61, "PR_SET_PTRACER"),
];
const PROTECTION: Names = &[
    (1, "PROT_READ"),
    (2, "PROT_WRITE"),
    (4, "PROT_EXEC"),
    (8, "PROT_SEM"),
    (0x100_0000, "PROT_GROWSDOWN"),
    (0x200_0000, "PROT_GROWSUP"),
];
const MAP: Names = &[
    (1, "MAP_SHARED"),
    (2, "MAP_PRIVATE"),
    (0x10, "MAP_FIXED"),
    (0x20, "MAP_ANONYMOUS"),
    (0x40, "MAP_32BIT"),
    (0x4000, "MAP_NORESERVE"),
    (0x8000, "MAP_POPULATE"),
    (0x1_0000, "MAP_NONBLOCK"),
    (0x100, "MAP_GROWSDOWN"),
    (0x800, "MAP_DENYWRITE"),
    (0x1000, "MAP_EXECUTABLE"),
    (0x2000, "MAP_LOCKED"),
    (0x2_0000, "MAP_STACK"),
    (0x4_0000, "MAP_HUGETLB"),
    (0x8_0000, "MAP_SYNC"),
    (0x10_0000, "MAP_FIXED_NOREPLACE"),
];
const SPLICE: Names = &[
    (1, "SPLICE_F_MOVE"),
    (2, "SPLICE_F_NONBLOCK"),
    (4, "SPLICE_F_MORE"),
    (8, "SPLICE_F_GIFT"),
];
const QUOTA: Names = &[
    (0x80_0001, "Q_SYNC"),
    (0x80_0002, "Q_QUOTAON"),
    (0x80_0003, "Q_QUOTAOFF"),
    (0x80_0004, "Q_GETFMT"),
    (0x80_0005, "Q_GETINFO"),
    (0x80_0006, "Q_SETINFO"),
    (0x80_0007, "Q_GETQUOTA"),
    (0x80_0008, "Q_SETQUOTA"),
    (0x5801, "Q_XQUOTAON"),
    (0x5802, "Q_XQUOTAOFF"),
    (0x5803, "Q_XGETQUOTA"),
    (0x5804, "Q_XSETQLIM"),
    (0x5805, "Q_XGETQSTAT"),
    (0x5806, "Q_XQUOTARM"),
    (0x5807, "Q_XQUOTASYNC"),
];
const QUOTA_OF: Names = &[(0, "USRQUOTA"), (1, "GRPQUOTA")];
const SHUTDOWN: Names = &[(0, "SHUT_RD"), (1, "SHUT_WR"), (2, "SHUT_RDWR")];
