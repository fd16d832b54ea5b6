//! What is tried: the techniques of `docs/reference/evasions.md`, by their numbers.

/// A technique.
#[derive(Debug)]
pub(super) struct Trial {
    /// Its number.
    pub(super) row: u8,
    pub(super) name: &'static str,
    pub(super) technique: &'static str,
    pub(super) plan: Plan,
}

#[derive(Debug)]
pub(super) enum Plan {
    Act(Act),
    /// Why not.
    NotTried(&'static str),
}

/// What has to be seen of an act.
#[derive(Debug)]
pub(super) struct Act {
    /// Condition of the rule that shall fire; `$D` is the act's folder, `$E` this program.
    pub(super) condition: &'static str,
    /// Fields of its alerts; `$D` and `$E` as above.
    pub(super) fields: &'static [(&'static str, &'static str)],
    /// How many alerts.
    pub(super) count: usize,
}

const SECRET: &str = "opened and fd.name = $D/secret";
const NAMED: &[(&str, &str)] = &[("fd.name", "$D/secret")];
const REWRITES: &str = "rewriting memory under a system call takes unsafe code, which only the \
                        daemon's own needs are a reason for";
const RINGS: &str = "io_uring is used through shared memory, which takes unsafe code";
const NARROW: &str = "32-bit calls take code in assembler";
const EVICTS: &str = "taking pages out of memory takes unsafe code";
const HEAVY: &str = "would load the host";
const MOUNTED: &str =
    "is told in the root file system only, and the temporary folder may lie in another";
const CONTAINER: &str =
    "takes a cgroup of a container, which a daemon that runs already would believe in";
const OTHERS: &str = "would blind a daemon that runs already, and not the watcher alone";
const TRACERS: &str = "would stop all tracers of this host";
const ALARMS: &str = "would alarm a daemon that runs already";
const WATCHER: &str = "takes another watcher, started or set up for it";

const fn act(
    row: u8,
    name: &'static str,
    technique: &'static str,
    condition: &'static str,
    fields: &'static [(&'static str, &'static str)],
    count: usize,
) -> Trial {
    let plan = Plan::Act(Act {
        condition,
        fields,
        count,
    });
    Trial {
        row,
        name,
        technique,
        plan,
    }
}

const fn not_tried(
    row: u8,
    name: &'static str,
    technique: &'static str,
    reason: &'static str,
) -> Trial {
    Trial {
        row,
        name,
        technique,
        plan: Plan::NotTried(reason),
    }
}

/// All, in order of their numbers.
pub(super) const TRIALS: &[Trial] = &[
    not_tried(
        1,
        "race",
        "path or address is rewritten during the call",
        REWRITES,
    ),
    not_tried(
        2,
        "slow-race",
        "the address is rewritten while connect(2) blocks",
        REWRITES,
    ),
    act(
        3,
        "symlink",
        "symbolic links to the file and its folder",
        SECRET,
        NAMED,
        2,
    ),
    act(
        4,
        "spellings",
        "eight spellings of one path",
        SECRET,
        &[],
        8,
    ),
    act(
        5,
        "dirfd",
        "a directory's descriptor is reused right after the open, fifty times",
        "opened and fd.name = $D/a/name",
        &[],
        50,
    ),
    act(6, "chroot", "chroot, then a relative name", SECRET, &[], 1),
    not_tried(7, "bind-mount", "the file is mounted elsewhere", MOUNTED),
    act(
        8,
        "hard-link",
        "a hard link to the file",
        "evt.type in (link, linkat) and evt.arg.oldpath = $D/secret",
        &[("evt.arg.newpath", "$D/other")],
        1,
    ),
    act(
        9,
        "exchange",
        "two files change places",
        "evt.type = renameat2 and evt.arg.newpath = $D/secret",
        &[("evt.arg.oldpath", "$D/decoy")],
        1,
    ),
    act(
        9,
        "rmdir-by-unlinkat",
        "unlinkat as rmdir",
        "evt.type = unlinkat and evt.arg.name = $D/a",
        &[],
        1,
    ),
    act(
        10,
        "openat2",
        "openat2 with RESOLVE_BENEATH",
        SECRET,
        &[("evt.type", "openat2")],
        1,
    ),
    not_tried(11, "io_uring", "calls through io_uring", RINGS),
    act(
        12,
        "argv0",
        "exec under another first argument",
        "started and proc.exepath = $E and proc.exe = [kworker]",
        &[("proc.exe", "[kworker]")],
        1,
    ),
    act(
        12,
        "renamed",
        "a program calls itself by the name that a rule excepts",
        "opened and fd.name = $D/secret and not proc.name in (sshd)",
        NAMED,
        1,
    ),
    act(
        13,
        "exec-symlink",
        "exec through a symbolic link with a trusted name",
        "started and proc.exepath = $E and proc.exe = $D/kworker",
        &[("proc.exepath", "$E")],
        1,
    ),
    act(
        14,
        "memfd-exec",
        "exec of anonymous memory",
        "started and proc.is_exe_from_memfd = true and proc.args contains $D",
        &[],
        1,
    ),
    act(
        15,
        "script",
        "a script with an interpreter",
        "started and proc.args contains $D/script",
        &[],
        1,
    ),
    act(
        16,
        "builtin",
        "a shell reads the file by itself",
        SECRET,
        &[("proc.exe", "sh")],
        1,
    ),
    act(
        17,
        "mem-file",
        "another process's memory is opened for writing",
        "opened and evt.is_open_write = true and fd.name startswith /proc/ and fd.name endswith /mem \
         and proc.args contains $D",
        &[],
        1,
    ),
    act(18, "long-path", "a path of 4,000 bytes", SECRET, &[], 1),
    act(
        18,
        "long-argv",
        "a marker behind 100,000 bytes of arguments",
        "started and proc.args endswith selftest-marker and proc.args contains $D",
        &[],
        1,
    ),
    not_tried(19, "flood", "a flood of opens with needles in it", HEAVY),
    not_tried(20, "exhaustion", "very many processes", HEAVY),
    not_tried(21, "page-fault", "a path that is not in memory", EVICTS),
    not_tried(22, "32-bit", "32-bit system calls", NARROW),
    act(
        23,
        "short-lived",
        "a hundred processes that end at once",
        "started and proc.args contains $D and proc.exe = selftest-short",
        &[],
        100,
    ),
    not_tried(
        24,
        "leave-cgroup",
        "a container's process leaves its cgroup",
        CONTAINER,
    ),
    not_tried(
        25,
        "nested-cgroup",
        "a cgroup below the container's",
        CONTAINER,
    ),
    not_tried(26, "pid-reuse", "a process number is used again", HEAVY),
    act(
        27,
        "stopped",
        "the watcher is stopped for a second while the act happens",
        SECRET,
        &[],
        1,
    ),
    not_tried(
        28,
        "tamper",
        "the daemon's programs and maps are changed",
        OTHERS,
    ),
    not_tried(29, "ftrace-off", "tracing is switched off", TRACERS),
    not_tried(30, "own-bpf", "a BPF program is loaded", ALARMS),
    act(
        31,
        "packet-socket",
        "a packet socket",
        "evt.type = socket and evt.arg.domain contains AF_PACKET and proc.args contains $D",
        &[],
        1,
    ),
    act(
        31,
        "abstract-socket",
        "an abstract address of AF_UNIX",
        "evt.type = connect and fd.name contains monitor-selftest and proc.args contains $D",
        &[],
        1,
    ),
    act(
        32,
        "datagram",
        "a datagram without connect",
        "evt.type in (sendto, sendmsg) and fd.sport = 9 and proc.args contains $D",
        &[],
        1,
    ),
    act(
        33,
        "taken-file",
        "an open file is taken from another process (pidfd_getfd)",
        "evt.type = pidfd_getfd and proc.args contains $D",
        &[],
        1,
    ),
    act(
        34,
        "copied",
        "copy_file_range instead of read",
        "opened and evt.is_open_read = true and fd.name = $D/secret",
        &[],
        1,
    ),
    act(
        35,
        "reopen",
        "O_PATH, then /proc/self/fd for writing",
        "opened and evt.is_open_write = true and fd.name = $D/secret",
        &[],
        1,
    ),
    act(
        36,
        "module",
        "a kernel module is loaded, one that the kernel refuses",
        "evt.type = init_module and proc.args contains $D",
        &[],
        1,
    ),
    not_tried(37, "start", "the act before the daemon is up", WATCHER),
    not_tried(38, "slow-output", "an output blocks", WATCHER),
];
