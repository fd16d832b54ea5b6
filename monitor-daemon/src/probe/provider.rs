//! Which hooks can serve each kind of record, in order of preference.
//!
//! Pure data: the loader tries one provider after the other until the kernel takes one.

use monitor_common::Kind;
use monitor_common::layout::Need;
use monitor_common::syscall::Operation;

/// Where a hook sits.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Tier {
    /// On the kernel's tracepoints, which need neither of the others.
    Tracepoint,
    /// On the kernel's own functions and objects: nothing to race, `io_uring` included.
    Object,
    /// At the end of system calls.
    Syscall,
}

impl Tier {
    /// Lower-case name, as in metrics and `doctor`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Tracepoint => "tracepoint",
            Self::Object => "object",
            Self::Syscall => "syscall",
        }
    }
}

/// How a program is attached.
#[derive(Clone, Copy, Debug)]
pub(super) enum Hook {
    /// At a tracepoint.
    Tracepoint(&'static str),
    /// At the start of a kernel function that has (at least) these parameters.
    Entry(&'static str, &'static [&'static str]),
    /// At the end of a kernel function that has these parameters, then its result.
    Exit(&'static str, &'static [&'static str]),
    /// At the end of a function whose parameters move; the object knows where they are.
    ExitAnywhere(&'static str),
    /// These calls, in the one program at the end of all system calls.
    Calls(&'static [Operation]),
}

/// A program and its hook.
#[derive(Clone, Copy, Debug)]
pub(super) struct Part {
    /// Name of the program in the object.
    pub(super) program: &'static str,
    pub(super) hook: Hook,
    /// What is not seen without it, if the provider can do without.
    pub(super) spare: Option<&'static str>,
}

/// One way to get a kind of record.
#[derive(Clone, Copy, Debug)]
pub(super) struct Provider {
    pub(super) tier: Tier,
    pub(super) needs: &'static [Need],
    pub(super) parts: &'static [Part],
    /// What it cannot see, and why.
    pub(super) blind: &'static [&'static str],
}

impl Part {
    const fn new(program: &'static str, hook: Hook) -> Self {
        Self {
            program,
            hook,
            spare: None,
        }
    }

    const fn call(program: &'static str, function: &'static str) -> Self {
        Self::new(program, Hook::Exit(function, &[]))
    }

    const fn calls(operations: &'static [Operation]) -> Self {
        Self::new("sys_exit", Hook::Calls(operations))
    }

    const fn spare(self, loss: &'static str) -> Self {
        Self {
            spare: Some(loss),
            ..self
        }
    }

    /// Short text for people, such as `tp_btf/sched_process_exec`.
    pub(super) fn name(&self) -> String {
        match self.hook {
            Hook::Tracepoint(name) => format!("tp_btf/{name}"),
            Hook::Entry(function, _) => format!("fentry/{function}"),
            Hook::Exit(function, _) | Hook::ExitAnywhere(function) => format!("fexit/{function}"),
            Hook::Calls(_) => "tp_btf/sys_exit".to_owned(),
        }
    }
}

impl Provider {
    /// Its hooks, for people.
    pub(super) fn name(&self) -> String {
        self.parts
            .iter()
            .map(Part::name)
            .collect::<Vec<_>>()
            .join(" + ")
    }
}

const URING: &str = "operations of io_uring, which end no system call";
const RACE: &str = "the passed path is read from the program's memory after the call, when it may \
                    have been changed; the resolved path is the kernel's";
const LATE: &str = "the passed path of what fails is read from the program's memory after the \
                    call, when it may have been changed";
const SOCKETCALL: &str = "32-bit programs that use socketcall(2)";
const FAILURES32: &str = "failures of 32-bit programs";
const URING_FAILURES: &str = "failures in io_uring";
const PROGRAMS32: &str = "32-bit programs";
const ONLY_SOCKETS: &str = "dups of other files than sockets, dups that fail, and descriptors \
                            copied by fcntl(2)";
const SENDMMSG: &str = "messages without an address of their own, and those of sendmmsg(2)";
const DESTINATION: &str = "the address of a message is read from the program's memory after the \
                           call, when it may have been changed";
const NAMES: &str = "names are read from the program's memory after the call, when they may have \
                     been changed, and not resolved";
const OTHER_IDS: &str = "setreuid(2), setresuid(2) and their like";
const PARAMETERS: &str = "a module's parameters are read from the program's memory after the call, \
                          when they may have been changed";
const FILE_NEEDS: &[Need] = &[Need::Task, Need::File];
const SOCKET_NEEDS: &[Need] = &[Need::Task, Need::File, Need::Socket];

/// The providers of a kind, best first.
pub(super) fn providers(kind: Kind) -> &'static [Provider] {
    match kind {
        Kind::Exec => EXECS,
        Kind::Fork => FORKS,
        Kind::Exit => EXITS,
        Kind::Open => OPENS,
        Kind::Connect => CONNECTS,
        Kind::Socket => SOCKETS,
        Kind::Symlink => SYMLINKS,
        Kind::Link => LINKS,
        Kind::Ptrace => PTRACES,
        Kind::CgroupMkdir => CGROUP_MKDIRS,
        Kind::CgroupRmdir => CGROUP_RMDIRS,
        Kind::CgroupAttach => CGROUP_ATTACHES,
        Kind::Dup => DUPS,
        Kind::Module => MODULES,
        Kind::Send => SENDS,
        Kind::Identity => IDENTITYS,
        Kind::Namespace => NAMESPACES,
        Kind::Memfd => MEMFDS,
        Kind::Remove => REMOVES,
        Kind::Rename => RENAMES,
        Kind::Mode => MODES,
        Kind::Mkdir => MKDIRS,
    }
}

/// Providers of what failed, for the kind whose successes have a hook of their own; and what is
/// not seen without them.
pub(super) fn failures(kind: Kind) -> Option<(&'static [Provider], &'static str)> {
    (kind == Kind::Exec).then_some((FAILED_EXECS, "execs that fail"))
}

const EXECS: &[Provider] = &[Provider {
    tier: Tier::Tracepoint,
    needs: &[Need::Task, Need::File, Need::Exec],
    parts: &[Part::new("exec", Hook::Tracepoint("sched_process_exec"))],
    blind: &[],
}];

const FAILED_EXECS: &[Provider] = &[
    Provider {
        tier: Tier::Object,
        needs: &[Need::Task, Need::File],
        parts: &[
            Part::call("execve_exit", "__x64_sys_execve"),
            Part::call("execveat_exit", "__x64_sys_execveat"),
            Part::call("execve_exit32", "__ia32_compat_sys_execve").spare(FAILURES32),
            Part::call("execveat_exit32", "__ia32_compat_sys_execveat").spare(FAILURES32),
        ],
        blind: &[],
    },
    Provider {
        tier: Tier::Syscall,
        needs: &[Need::Task, Need::File],
        parts: &[Part::calls(&[Operation::Execve, Operation::ExecveAt])],
        blind: &[],
    },
];

const FORKS: &[Provider] = &[tracepoint(
    &[Need::Task],
    &[Part::new("fork", Hook::Tracepoint("sched_process_fork"))],
)];
const EXITS: &[Provider] = &[tracepoint(
    &[Need::Task],
    &[Part::new("exit", Hook::Tracepoint("sched_process_exit"))],
)];
const CGROUP_MKDIRS: &[Provider] = &[tracepoint(
    &[Need::Task, Need::Cgroup],
    &[Part::new("cgroup_mkdir", Hook::Tracepoint("cgroup_mkdir"))],
)];
const CGROUP_RMDIRS: &[Provider] = &[tracepoint(
    &[Need::Task, Need::Cgroup],
    &[Part::new("cgroup_rmdir", Hook::Tracepoint("cgroup_rmdir"))],
)];
const CGROUP_ATTACHES: &[Provider] = &[tracepoint(
    &[Need::Task, Need::Cgroup],
    &[Part::new(
        "cgroup_attach",
        Hook::Tracepoint("cgroup_attach_task"),
    )],
)];

const OPENS: &[Provider] = &[
    Provider {
        tier: Tier::Object,
        needs: &[Need::Task, Need::File, Need::Lookup],
        parts: &[
            Part::new("open_done", Hook::Entry("fd_install", &["fd", "file"])),
            Part::new("open_begin", Hook::Entry("security_file_open", &["file"])),
            Part::new(
                "open_failed",
                Hook::Exit("do_sys_openat2", &["dfd", "filename", "how"]),
            )
            .spare("opens that fail, and O_PATH"),
        ],
        blind: &[
            "io_uring: opens that fail, O_PATH, and direct descriptors, which no process holds",
            LATE,
        ],
    },
    Provider {
        tier: Tier::Syscall,
        needs: &[Need::Task, Need::File],
        parts: &[Part::calls(&[
            Operation::Open,
            Operation::OpenAt,
            Operation::OpenAt2,
            Operation::Creat,
            Operation::OpenByHandle,
        ])],
        blind: &[URING, RACE],
    },
];

const CONNECTS: &[Provider] = &[
    Provider {
        tier: Tier::Object,
        needs: &[Need::Task, Need::File, Need::Socket],
        parts: &[Part::new(
            "connect_done",
            Hook::Exit(
                "__sys_connect_file",
                &["file", "address", "addrlen", "file_flags"],
            ),
        )],
        blind: &["calls whose descriptor or address pointer is bad"],
    },
    Provider {
        tier: Tier::Syscall,
        needs: &[Need::Task, Need::File, Need::Socket],
        parts: &[Part::calls(&[Operation::Connect])],
        blind: &[
            URING,
            SOCKETCALL,
            "the address of a connect that fails is read from the program's memory after the \
             call, when it may have been changed",
        ],
    },
];

const SOCKETS: &[Provider] = &[
    Provider {
        tier: Tier::Object,
        needs: &[Need::Task],
        parts: &[Part::new(
            "socket_done",
            Hook::Exit("__sys_socket", &["family", "type", "protocol"]),
        )],
        blind: &[URING],
    },
    Provider {
        tier: Tier::Syscall,
        needs: &[Need::Task],
        parts: &[Part::calls(&[Operation::Socket])],
        blind: &[URING, SOCKETCALL],
    },
];

const SYMLINKS: &[Provider] = &[
    Provider {
        tier: Tier::Object,
        needs: FILE_NEEDS,
        parts: &[
            Part::new("symlink_done", Hook::ExitAnywhere("vfs_symlink")),
            Part::new(
                "symlink_begin",
                Hook::Entry("security_path_symlink", &["dir", "dentry", "old_name"]),
            ),
            Part::call("symlink_exit", "__x64_sys_symlink").spare("symlink(2) that fails"),
            Part::call("symlinkat_exit", "__x64_sys_symlinkat").spare("symlinkat(2) that fails"),
            Part::call("symlink_exit32", "__ia32_sys_symlink").spare(FAILURES32),
            Part::call("symlinkat_exit32", "__ia32_sys_symlinkat").spare(FAILURES32),
        ],
        blind: &[URING_FAILURES, LATE],
    },
    Provider {
        tier: Tier::Syscall,
        needs: FILE_NEEDS,
        parts: &[Part::calls(&[Operation::Symlink, Operation::SymlinkAt])],
        blind: &[URING, RACE],
    },
];

const LINKS: &[Provider] = &[
    Provider {
        tier: Tier::Object,
        needs: FILE_NEEDS,
        parts: &[
            Part::new("link_done", Hook::ExitAnywhere("vfs_link")),
            Part::new(
                "link_begin",
                Hook::Entry(
                    "security_path_link",
                    &["old_dentry", "new_dir", "new_dentry"],
                ),
            ),
            Part::call("link_exit", "__x64_sys_link").spare("link(2) that fails"),
            Part::call("linkat_exit", "__x64_sys_linkat").spare("linkat(2) that fails"),
            Part::call("link_exit32", "__ia32_sys_link").spare(FAILURES32),
            Part::call("linkat_exit32", "__ia32_sys_linkat").spare(FAILURES32),
        ],
        blind: &[URING_FAILURES, LATE],
    },
    Provider {
        tier: Tier::Syscall,
        needs: FILE_NEEDS,
        parts: &[Part::calls(&[Operation::Link, Operation::LinkAt])],
        blind: &[URING, RACE],
    },
];

const PTRACES: &[Provider] = &[
    Provider {
        tier: Tier::Object,
        needs: &[Need::Task],
        parts: &[
            Part::call("ptrace_exit", "__x64_sys_ptrace"),
            Part::call("ptrace_exit32", "__ia32_compat_sys_ptrace").spare(PROGRAMS32),
        ],
        blind: &[],
    },
    Provider {
        tier: Tier::Syscall,
        needs: &[Need::Task],
        parts: &[Part::calls(&[Operation::Ptrace])],
        blind: &[],
    },
];

const DUPS: &[Provider] = &[
    Provider {
        tier: Tier::Object,
        needs: SOCKET_NEEDS,
        parts: &[
            Part::call("dup_exit", "__x64_sys_dup"),
            Part::call("dup2_exit", "__x64_sys_dup2"),
            Part::call("dup3_exit", "__x64_sys_dup3"),
            Part::call("dup_exit32", "__ia32_sys_dup").spare(PROGRAMS32),
            Part::call("dup2_exit32", "__ia32_sys_dup2").spare(PROGRAMS32),
            Part::call("dup3_exit32", "__ia32_sys_dup3").spare(PROGRAMS32),
        ],
        blind: &[ONLY_SOCKETS],
    },
    Provider {
        tier: Tier::Syscall,
        needs: SOCKET_NEEDS,
        parts: &[Part::calls(&[
            Operation::Dup,
            Operation::Dup2,
            Operation::Dup3,
        ])],
        blind: &[ONLY_SOCKETS],
    },
];

const MODULES: &[Provider] = &[
    Provider {
        tier: Tier::Object,
        needs: FILE_NEEDS,
        parts: &[
            Part::call("init_module_exit", "__x64_sys_init_module"),
            Part::call("finit_module_exit", "__x64_sys_finit_module"),
            Part::call("init_module_exit32", "__ia32_sys_init_module").spare(PROGRAMS32),
            Part::call("finit_module_exit32", "__ia32_sys_finit_module").spare(PROGRAMS32),
        ],
        blind: &[PARAMETERS],
    },
    Provider {
        tier: Tier::Syscall,
        needs: FILE_NEEDS,
        parts: &[Part::calls(&[
            Operation::InitModule,
            Operation::FinitModule,
        ])],
        blind: &[PARAMETERS],
    },
];

const SENDS: &[Provider] = &[
    Provider {
        tier: Tier::Object,
        needs: SOCKET_NEEDS,
        parts: &[
            Part::call("sendto_exit", "__x64_sys_sendto"),
            Part::call("sendmsg_exit", "__x64_sys_sendmsg"),
            Part::call("sendto_exit32", "__ia32_sys_sendto").spare(PROGRAMS32),
            Part::call("sendmsg_exit32", "__ia32_compat_sys_sendmsg").spare(PROGRAMS32),
        ],
        blind: &[URING, SENDMMSG, DESTINATION, SOCKETCALL],
    },
    Provider {
        tier: Tier::Syscall,
        needs: SOCKET_NEEDS,
        parts: &[Part::calls(&[Operation::SendTo, Operation::SendMsg])],
        blind: &[URING, SENDMMSG, DESTINATION, SOCKETCALL],
    },
];

const IDENTITYS: &[Provider] = &[at_exit(
    &[Need::Task],
    &[Part::calls(&[Operation::SetUid, Operation::SetGid])],
    &[OTHER_IDS],
)];
const NAMESPACES: &[Provider] = &[at_exit(
    &[Need::Task],
    &[Part::calls(&[Operation::SetNs, Operation::Unshare])],
    &[],
)];
const MEMFDS: &[Provider] = &[at_exit(
    &[Need::Task],
    &[Part::calls(&[Operation::MemfdCreate])],
    &[NAMES],
)];
const REMOVES: &[Provider] = &[at_exit(
    FILE_NEEDS,
    &[Part::calls(&[
        Operation::Unlink,
        Operation::UnlinkAt,
        Operation::Rmdir,
    ])],
    &[URING, NAMES],
)];
const RENAMES: &[Provider] = &[at_exit(
    FILE_NEEDS,
    &[Part::calls(&[
        Operation::Rename,
        Operation::RenameAt,
        Operation::RenameAt2,
    ])],
    &[URING, NAMES],
)];
const MODES: &[Provider] = &[at_exit(
    FILE_NEEDS,
    &[Part::calls(&[
        Operation::Chmod,
        Operation::Fchmod,
        Operation::FchmodAt,
        Operation::FchmodAt2,
    ])],
    &[URING, NAMES],
)];
const MKDIRS: &[Provider] = &[at_exit(
    FILE_NEEDS,
    &[Part::calls(&[Operation::Mkdir, Operation::MkdirAt])],
    &[URING, NAMES],
)];

/// What registers tell is the same in both tiers, so there is one provider, at the end of calls.
const fn at_exit(
    needs: &'static [Need],
    parts: &'static [Part],
    blind: &'static [&'static str],
) -> Provider {
    Provider {
        tier: Tier::Syscall,
        needs,
        parts,
        blind,
    }
}

const fn tracepoint(needs: &'static [Need], parts: &'static [Part]) -> Provider {
    Provider {
        tier: Tier::Tracepoint,
        needs,
        parts,
        blind: &[],
    }
}
