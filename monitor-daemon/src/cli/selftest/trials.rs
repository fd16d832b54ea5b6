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
    /// Condition of the rule that shall fire, empty for the daemon's own; `$D` is the act's folder, `$E` this program and `$C`
    /// the id of a container that the act makes.
    pub(super) condition: &'static str,
    /// Fields of its alerts; besides, `{name}` is what the act told under that name.
    pub(super) fields: &'static [(&'static str, &'static str)],
    /// How many alerts, unless the act tells `count`.
    pub(super) count: usize,
    pub(super) by: By,
    pub(super) meanwhile: Meanwhile,
    /// An event and a part of what `doctor` says of it where this kernel does not show the act.
    pub(super) blind: Option<(&'static str, &'static str)>,
}

/// Whose alerts they are.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum By {
    /// The act's process.
    Itself,
    /// Its children.
    Children,
    /// The daemon's own: the alert is that about tampering, of whatever did it.
    Daemon,
}

/// What happens to the watcher while the act is done.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Meanwhile {
    Nothing,
    /// It is stopped for a second.
    Stopped,
    /// It takes other rules, again and again.
    Reloaded,
    /// Nobody reads its standard output.
    Blocked,
    /// It starts: the act's process was there before.
    Started,
    /// Its number is told to the act.
    Known,
}

const SECRET: &str = "opened and fd.name = $D/secret";
const NAMED: &[(&str, &str)] = &[("fd.name", "$D/secret")];
const URING: Option<(&str, &str)> = Some(("open", "operations of io_uring, which"));
const HEAVY: &str = "only tens of thousands of processes exhaust what the kernel side remembers, which \
                     would load the host";

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
        by: By::Itself,
        meanwhile: Meanwhile::Nothing,
        blind: None,
    });
    Trial {
        row,
        name,
        technique,
        plan,
    }
}

impl Trial {
    const fn by(mut self, by: By) -> Self {
        if let Plan::Act(act) = &mut self.plan {
            act.by = by;
        }
        self
    }

    const fn while_it_is(mut self, meanwhile: Meanwhile) -> Self {
        if let Plan::Act(act) = &mut self.plan {
            act.meanwhile = meanwhile;
        }
        self
    }

    const fn blind_if(mut self, blind: Option<(&'static str, &'static str)>) -> Self {
        if let Plan::Act(act) = &mut self.plan {
            act.blind = blind;
        }
        self
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
    act(
        1,
        "race",
        "a thread rewrites the path while another opens it",
        SECRET,
        // The passed path may be told as well, of an open that came to the other file.
        &[("fd.ino", "{inode}")],
        0,
    ),
    act(
        1,
        "race-connect",
        "a thread rewrites the address while another connects to it",
        "evt.type = connect and proc.args contains $D",
        &[("fd.sport", "{port}")],
        0,
    ),
    act(
        2,
        "slow-race",
        "the address is rewritten while connect(2) blocks",
        "evt.type = connect and proc.args contains $D",
        &[("fd.sport", "{port}")],
        // The first fills the queue.
        2,
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
    act(
        7,
        "bind-mount",
        "the file is mounted elsewhere, in a namespace of its own",
        SECRET,
        &[],
        1,
    ),
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
    act(11, "io_uring", "open through io_uring", SECRET, NAMED, 1).blind_if(URING),
    act(
        11,
        "io_uring-connect",
        "connect through io_uring",
        // Before 5.19 its beginning is told as well, as EINPROGRESS.
        "evt.type = connect and evt.res = ECONNREFUSED and proc.args contains $D",
        &[("fd.sport", "{port}")],
        1,
    )
    .blind_if(URING),
    act(
        12,
        "argv0",
        "exec under another first argument",
        "started and proc.exepath = $E and proc.exe = [kworker] and proc.args contains $D",
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
    act(
        19,
        "flood",
        "a flood of opens for a second, with twenty needles in it",
        "started and proc.args contains $D and proc.exe = selftest-needle",
        &[],
        20,
    )
    .by(By::Children),
    not_tried(20, "exhaustion", "very many processes", HEAVY),
    act(
        21,
        "page-fault",
        "the path is in a page that is not in memory",
        SECRET,
        NAMED,
        1,
    ),
    act(
        22,
        "32-bit",
        "a 32-bit open by a 64-bit program (int 0x80)",
        SECRET,
        NAMED,
        1,
    )
    .by(By::Children),
    act(
        23,
        "short-lived",
        "a hundred processes that end at once",
        "started and proc.args contains $D and proc.exe = selftest-short",
        &[],
        100,
    )
    .by(By::Children),
    act(
        24,
        "leave-cgroup",
        "a process in a container's cgroup moves out of it and opens the file",
        "evt.type = cgroup_move and evt.arg.source = $C and proc.args contains $D or \
         opened and fd.name = $D/secret",
        &[("container.id", "$C")],
        2,
    ),
    act(
        25,
        "nested-cgroup",
        "the same five cgroups below the container's",
        SECRET,
        &[("container.id", "$C")],
        1,
    ),
    act(
        26,
        "pid-reuse",
        "a process gets the number of one that ended",
        SECRET,
        &[
            ("proc.vpid", "{pid}"),
            ("proc.args", "selftest-act reused $D {pid}"),
        ],
        1,
    )
    .by(By::Children),
    act(
        27,
        "stopped",
        "the watcher is stopped for a second while the act happens",
        SECRET,
        &[],
        1,
    )
    .while_it_is(Meanwhile::Stopped),
    act(
        28,
        "tamper",
        "the watcher's table of calls is changed by bpf(2)",
        "",
        &[
            ("proc.exepath", "$E"),
            ("proc.cmdline", "monitor-daemon {arguments}"),
        ],
        1,
    )
    .by(By::Daemon)
    .while_it_is(Meanwhile::Known),
    act(
        29,
        "ftrace-off",
        "the switch of tracing is opened for writing; nothing is written",
        "opened and evt.is_open_write = true and fd.name = /proc/sys/kernel/ftrace_enabled and \
         proc.args contains $D",
        &[],
        1,
    ),
    act(
        30,
        "own-bpf",
        "a BPF program of the type that may drop packets is loaded, and hung in nowhere",
        "evt.type = bpf and evt.arg.cmd = BPF_PROG_LOAD and evt.failed = false and \
         proc.args contains $D",
        &[],
        1,
    ),
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
    act(
        37,
        "reload",
        "opens while the watcher takes other rules, again and again",
        SECRET,
        NAMED,
        0,
    )
    .while_it_is(Meanwhile::Reloaded),
    act(
        37,
        "older",
        "a process that was there before the watcher opens the file",
        SECRET,
        &[("proc.args", "selftest-act older $D")],
        1,
    )
    .while_it_is(Meanwhile::Started),
    act(
        38,
        "slow-output",
        "an output of the watcher blocks",
        "started and proc.args contains $D and proc.exe = selftest-cover",
        &[],
        100,
    )
    .by(By::Children)
    .while_it_is(Meanwhile::Blocked),
];
