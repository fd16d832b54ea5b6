//! Which hooks can serve each kind of record, in order of preference.
//!
//! Pure data: the loader tries one provider after the other until the kernel takes one.

use std::borrow::Cow;

use monitor_common::Kind;
use monitor_common::layout::Need;
use monitor_common::syscall::Operation;

use super::provider::{Hook, PREEMPTED, Part, Provider, Tier, own_function};

mod names;

use names::{CALLS, CONTROLS, MKDIRS, MODES, REMOVES, RENAMES};

const URING_LATE: &str = "io_uring: requests that ask for no completion are told as successes \
                          when they are handed in, others when the program's ring has the result; \
                          not what ends when that ring is full (some kernels do not show it) or \
                          when the process is gone";
const URING_SEND32: &str = "io_uring: the address of a 32-bit program's sendmsg, where the kernel \
                            reads it only when it sends (6.1)";
const URING_AGAIN: &str = "io_uring: accepts that go on for many connections, until they end";
const RACE: &str = "the passed path is read from the program's memory after the call, when it may \
                    have been changed; the resolved path is the kernel's";
const HOW: &str = "flags of openat2(2), but for reading, writing and directories, are read from the \
                   program's memory after the call, when they may have been changed";
const LATE: &str = "the passed path of what fails is read from the program's memory after the \
                    call, when it may have been changed";
const PACKED: &str = "32-bit programs that change the arguments of socketcall(2) before it ends";
const FAILURES32: &str = "failures of 32-bit programs";
const PROGRAMS32: &str = "32-bit programs";
const ONLY_SOCKETS: &str = "dups of other files than sockets, and dups that fail";
const CONNECTED: &str = "messages without an address of their own";
const FAILED_CONNECT: &str = "the address of a connect that fails is read from the program's memory \
                              after the call, when it may have been changed";
const FAST_OPEN: &str = "connects that a message makes (TCP Fast Open)";
const FAILED_BIND: &str = "the address of a bind that fails is read from the program's memory after \
                           the call, when it may have been changed";
const DESTINATIONS: &str = "the addresses of sendmmsg(2), and of sockets that are not of UDP, are read \
                            from the program's memory after the call, when they may have been changed";
const DESTINATION: &str = "the address of a message is read from the program's memory after the \
                           call, when it may have been changed";
const REUSED: &str = "sockets are looked up by their descriptors after the call, when another thread \
                      may have changed them";
const URING_RECEIVES: &str = "io_uring: the senders of messages on sockets without a peer, and \
                              receives that go on for many messages, until they end";
const SENDERS: &str = "the senders of messages of recvmmsg(2), and of sockets that are not of UDP, are \
                       read from the program's memory after the call, when they may have been changed";
const SENDER: &str = "the sender of a message is read from the program's memory after the call, when \
                      it may have been changed";
const FAILED_BINDS: &str = "the address of a bind that fails, of other families than IP, is read from \
                            the program's memory after the call, when it may have been changed";
const MANY_DESTINATIONS: &str = "the addresses of sendmmsg(2) on sockets that are not of UDP are read \
                                 from the program's memory after the call, when they may have been \
                                 changed";
const PARAMETERS: &str = "a module's parameters are read from the program's memory after the call, \
                          when they may have been changed";
const REDIRECTED: &str = "questions of sockets that are not connected, when rules of the firewall \
                          send them to another port; not their answers";
const FIRST_MAPPING: &str =
    "all but the first of the files behind memory that one mprotect changes";
const HARMLESS_MAPPINGS: &str = "mappings that are neither executable nor a file's to write to";
const OLDEST_MMAP: &str = "what 32-bit programs map by the oldest form of mmap, call number 90, is read \
                           from their memory after the call, when it may have been changed";
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
        Kind::Identity => IDENTITIES,
        Kind::Namespace => NAMESPACES,
        Kind::Memfd => MEMFDS,
        Kind::Remove => REMOVES,
        Kind::Rename => RENAMES,
        Kind::Mode => MODES,
        Kind::Mkdir => MKDIRS,
        Kind::Accept => ACCEPTS,
        Kind::Listen => LISTENS,
        Kind::Bind => BINDS,
        Kind::Clone => CLONES,
        Kind::Call => CALLS,
        Kind::Control => CONTROLS,
        Kind::Dns => DNS,
        Kind::Memory => MEMORIES,
        Kind::Receive => RECEIVES,
        Kind::Passed => PASSED_FILES,
    }
}

/// Providers of what failed, for the kind whose successes have a hook of their own; and what is
/// not seen without them.
pub(super) fn failures(kind: Kind) -> Option<(&'static [Provider], &'static str)> {
    match kind {
        Kind::Exec => Some((FAILED_EXECS, "execs that fail")),
        Kind::Clone => Some((FAILED_CLONES, "clones that fail")),
        _ => None,
    }
}

/// The kernel's functions that programs may be attached to, by their names here.
pub(super) fn functions() -> impl Iterator<Item = Cow<'static, str>> {
    let all = Kind::ALL.into_iter().flat_map(|kind| {
        let failures = failures(kind).map_or(&[][..], |(providers, _)| providers);
        providers(kind).iter().chain(failures)
    });
    let hooks = all
        .flat_map(|provider| provider.parts)
        .map(|part| part.hook);
    hooks.filter_map(|hook| match hook {
        Hook::Entry(function, _) => Some(function.into()),
        Hook::Exit(function, _) | Hook::ExitAnywhere(function) => Some(own_function(function)),
        _ => None,
    })
}

const EXECS: &[Provider] = &[Provider {
    tier: Tier::Tracepoint,
    needs: &[Need::Task, Need::File, Need::Exec],
    parts: &[
        Part::new("exec", Hook::Tracepoint("sched_process_exec")),
        Part::new("exec_again", Hook::Tracepoint("sched_process_exec")).spare(PREEMPTED),
        Part::new("exec_bare", Hook::Bare("sched_process_exec")).spare(PREEMPTED),
    ],
    blind: &[],
}];

const FAILED_EXECS: &[Provider] = &[
    Provider {
        tier: Tier::Object,
        needs: &[Need::Task, Need::File],
        parts: &[
            Part::call("execve_exit", "__x64_sys_execve", Operation::Execve),
            Part::call("execveat_exit", "__x64_sys_execveat", Operation::ExecveAt),
            Part::call(
                "execve_exit32",
                "__ia32_compat_sys_execve",
                Operation::Execve,
            )
            .spare(FAILURES32),
            Part::call(
                "execveat_exit32",
                "__ia32_compat_sys_execveat",
                Operation::ExecveAt,
            )
            .spare(FAILURES32),
            Part::untold(Kind::Exec),
        ],
        blind: &[],
    },
    Provider {
        tier: Tier::Syscall,
        needs: &[Need::Task, Need::File],
        parts: &[Part::failures(Kind::Exec)],
        blind: &[],
    },
];

const FORKS: &[Provider] = &[tracepoint(
    &[Need::Task],
    &[
        Part::new("fork", Hook::Tracepoint("sched_process_fork")),
        Part::new("fork_again", Hook::Tracepoint("sched_process_fork")).spare(PREEMPTED),
    ],
)];
const EXITS: &[Provider] = &[tracepoint(
    &[Need::Task],
    &[
        Part::new("exit", Hook::Tracepoint("sched_process_exit")),
        Part::new("exit_again", Hook::Tracepoint("sched_process_exit")).spare(PREEMPTED),
        Part::new("exit_bare", Hook::Bare("sched_process_exit")).spare(PREEMPTED),
    ],
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
            Part::uring_failures(Kind::Open),
            Part::untold(Kind::Open),
        ],
        blind: &[LATE],
    },
    Provider {
        tier: Tier::Syscall,
        needs: &[Need::Task, Need::File],
        parts: &[Part::calls(Kind::Open), Part::uring(Kind::Open)],
        blind: &[URING_LATE, RACE, HOW],
    },
];

const CONNECTS: &[Provider] = &[
    Provider {
        tier: Tier::Object,
        needs: &[Need::Task, Need::File, Need::Socket],
        parts: &[
            Part::new(
                "connect_done",
                Hook::Exit(
                    "__sys_connect_file",
                    &["file", "address", "addrlen", "file_flags"],
                ),
            ),
            Part::uring(Kind::Connect),
            BY_MESSAGE4,
            BY_MESSAGE6,
            Part::untold(Kind::Connect),
        ],
        blind: &[
            "calls whose descriptor or address pointer is bad",
            BY_OPTION,
            URING_LATE,
        ],
    },
    Provider {
        tier: Tier::Syscall,
        needs: &[Need::Task, Need::File, Need::Socket],
        parts: &[
            Part::calls(Kind::Connect),
            Part::uring(Kind::Connect),
            Part::new("tried_connect4", Hook::Cgroup("cgroup/connect4")).spare(FAILED_CONNECT),
            Part::new("tried_connect6", Hook::Cgroup("cgroup/connect6")).spare(FAILED_CONNECT),
            BY_MESSAGE4,
            BY_MESSAGE6,
        ],
        blind: &[BY_OPTION, URING_LATE, PACKED],
    },
];
const BY_OPTION: &str = "connections that SCTP makes by an option of its socket";
const BY_MESSAGE4: Part =
    Part::new("message_connect4", Hook::Cgroup("cgroup/connect4")).spare(FAST_OPEN);
const BY_MESSAGE6: Part =
    Part::new("message_connect6", Hook::Cgroup("cgroup/connect6")).spare(FAST_OPEN);

const SOCKETS: &[Provider] = &[
    Provider {
        tier: Tier::Object,
        needs: &[Need::Task],
        parts: &[
            Part::new(
                "socket_done",
                Hook::Exit("__sys_socket", &["family", "type", "protocol"]),
            ),
            Part::uring(Kind::Socket),
            Part::untold(Kind::Socket),
        ],
        blind: &[URING_LATE],
    },
    Provider {
        tier: Tier::Syscall,
        needs: &[Need::Task],
        parts: &[Part::calls(Kind::Socket), Part::uring(Kind::Socket)],
        blind: &[URING_LATE, PACKED],
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
            Part::call("symlink_exit", "__x64_sys_symlink", Operation::Symlink)
                .spare("symlink(2) that fails"),
            Part::call(
                "symlinkat_exit",
                "__x64_sys_symlinkat",
                Operation::SymlinkAt,
            )
            .spare("symlinkat(2) that fails"),
            Part::call("symlink_exit32", "__ia32_sys_symlink", Operation::Symlink)
                .spare(FAILURES32),
            Part::call(
                "symlinkat_exit32",
                "__ia32_sys_symlinkat",
                Operation::SymlinkAt,
            )
            .spare(FAILURES32),
            Part::uring_failures(Kind::Symlink),
            Part::untold(Kind::Symlink),
        ],
        blind: &[LATE],
    },
    Provider {
        tier: Tier::Syscall,
        needs: FILE_NEEDS,
        parts: &[Part::calls(Kind::Symlink), Part::uring(Kind::Symlink)],
        blind: &[URING_LATE, RACE],
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
            Part::call("link_exit", "__x64_sys_link", Operation::Link).spare("link(2) that fails"),
            Part::call("linkat_exit", "__x64_sys_linkat", Operation::LinkAt)
                .spare("linkat(2) that fails"),
            Part::call("link_exit32", "__ia32_sys_link", Operation::Link).spare(FAILURES32),
            Part::call("linkat_exit32", "__ia32_sys_linkat", Operation::LinkAt).spare(FAILURES32),
            Part::uring_failures(Kind::Link),
            Part::untold(Kind::Link),
        ],
        blind: &[LATE],
    },
    Provider {
        tier: Tier::Syscall,
        needs: FILE_NEEDS,
        parts: &[Part::calls(Kind::Link), Part::uring(Kind::Link)],
        blind: &[URING_LATE, RACE],
    },
];

const PTRACES: &[Provider] = &[
    Provider {
        tier: Tier::Object,
        needs: &[Need::Task],
        parts: &[
            Part::call("ptrace_exit", "__x64_sys_ptrace", Operation::Ptrace),
            Part::call(
                "ptrace_exit32",
                "__ia32_compat_sys_ptrace",
                Operation::Ptrace,
            )
            .spare(PROGRAMS32),
            Part::untold(Kind::Ptrace),
        ],
        blind: &[],
    },
    Provider {
        tier: Tier::Syscall,
        needs: &[Need::Task],
        parts: &[Part::calls(Kind::Ptrace)],
        blind: &[],
    },
];

const DUPS: &[Provider] = &[
    Provider {
        tier: Tier::Object,
        needs: SOCKET_NEEDS,
        parts: &[
            Part::call("dup_exit", "__x64_sys_dup", Operation::Dup),
            Part::call("dup2_exit", "__x64_sys_dup2", Operation::Dup2),
            Part::call("dup3_exit", "__x64_sys_dup3", Operation::Dup3),
            Part::call("fcntl_exit", "__x64_sys_fcntl", Operation::Fcntl),
            Part::call(
                "fcntl_exit32",
                "__ia32_compat_sys_fcntl64",
                Operation::Fcntl,
            )
            .spare(PROGRAMS32),
            Part::call("dup_exit32", "__ia32_sys_dup", Operation::Dup).spare(PROGRAMS32),
            Part::call("dup2_exit32", "__ia32_sys_dup2", Operation::Dup2).spare(PROGRAMS32),
            Part::call("dup3_exit32", "__ia32_sys_dup3", Operation::Dup3).spare(PROGRAMS32),
            Part::untold(Kind::Dup),
        ],
        blind: &[ONLY_SOCKETS],
    },
    Provider {
        tier: Tier::Syscall,
        needs: SOCKET_NEEDS,
        parts: &[Part::calls(Kind::Dup)],
        blind: &[ONLY_SOCKETS],
    },
];

const MODULES: &[Provider] = &[
    Provider {
        tier: Tier::Object,
        needs: FILE_NEEDS,
        parts: &[
            Part::call(
                "init_module_exit",
                "__x64_sys_init_module",
                Operation::InitModule,
            ),
            Part::call(
                "finit_module_exit",
                "__x64_sys_finit_module",
                Operation::FinitModule,
            ),
            Part::call(
                "init_module_exit32",
                "__ia32_sys_init_module",
                Operation::InitModule,
            )
            .spare(PROGRAMS32),
            Part::call(
                "finit_module_exit32",
                "__ia32_sys_finit_module",
                Operation::FinitModule,
            )
            .spare(PROGRAMS32),
            Part::untold(Kind::Module),
        ],
        blind: &[PARAMETERS],
    },
    Provider {
        tier: Tier::Syscall,
        needs: FILE_NEEDS,
        parts: &[Part::calls(Kind::Module)],
        blind: &[PARAMETERS],
    },
];

const SENT4: Part = Part::new("tried_sendmsg4", Hook::Cgroup("cgroup/sendmsg4")).spare(DESTINATION);
const SENT6: Part = Part::new("tried_sendmsg6", Hook::Cgroup("cgroup/sendmsg6")).spare(DESTINATION);
const SENDS: &[Provider] = &[
    Provider {
        tier: Tier::Object,
        needs: SOCKET_NEEDS,
        parts: &[
            Part::new(
                "send_begin",
                Hook::Entry("security_socket_sendmsg", &["sock", "msg", "size"]),
            ),
            Part::calls(Kind::Send),
            Part::uring(Kind::Send),
            SENT4,
            SENT6,
        ],
        blind: &[
            URING_LATE,
            URING_SEND32,
            CONNECTED,
            MANY_DESTINATIONS,
            PACKED,
        ],
    },
    Provider {
        tier: Tier::Syscall,
        needs: SOCKET_NEEDS,
        parts: &[
            Part::calls(Kind::Send),
            Part::uring(Kind::Send),
            SENT4,
            SENT6,
        ],
        blind: &[URING_LATE, URING_SEND32, CONNECTED, DESTINATIONS, PACKED],
    },
];

const RECEIVES: &[Provider] = &[at_exit(
    SOCKET_NEEDS,
    &[
        Part::calls(Kind::Receive),
        Part::uring(Kind::Receive),
        Part::new("got_recvmsg4", Hook::Cgroup("cgroup/recvmsg4")).spare(SENDER),
        Part::new("got_recvmsg6", Hook::Cgroup("cgroup/recvmsg6")).spare(SENDER),
    ],
    &[
        URING_LATE,
        URING_RECEIVES,
        PACKED,
        SENDERS,
        "the senders of messages whose address the program does not ask for, on sockets without a \
         peer",
    ],
)];

const ACCEPTS: &[Provider] = &[
    Provider {
        tier: Tier::Object,
        needs: SOCKET_NEEDS,
        parts: &[
            Part::new(
                "accept_begin",
                Hook::Entry("security_socket_accept", &["sock", "newsock"]),
            ),
            Part::calls(Kind::Accept),
            Part::uring(Kind::Accept),
        ],
        blind: &[URING_LATE, URING_AGAIN, PACKED],
    },
    at_exit(
        SOCKET_NEEDS,
        &[Part::calls(Kind::Accept), Part::uring(Kind::Accept)],
        &[URING_LATE, URING_AGAIN, PACKED, REUSED],
    ),
];
const LISTENS: &[Provider] = &[
    Provider {
        tier: Tier::Object,
        needs: SOCKET_NEEDS,
        parts: &[
            Part::new(
                "listen_begin",
                Hook::Entry("security_socket_listen", &["sock", "backlog"]),
            ),
            Part::calls(Kind::Listen),
            Part::uring(Kind::Listen),
        ],
        blind: &[URING_LATE, PACKED],
    },
    at_exit(
        SOCKET_NEEDS,
        &[Part::calls(Kind::Listen), Part::uring(Kind::Listen)],
        &[URING_LATE, PACKED, REUSED],
    ),
];
const BOUND4: Part = Part::new("tried_bind4", Hook::Cgroup("cgroup/bind4")).spare(FAILED_BIND);
const BOUND6: Part = Part::new("tried_bind6", Hook::Cgroup("cgroup/bind6")).spare(FAILED_BIND);
const BINDS: &[Provider] = &[
    Provider {
        tier: Tier::Object,
        needs: SOCKET_NEEDS,
        parts: &[
            Part::new(
                "bind_begin",
                Hook::Entry("security_socket_bind", &["sock", "address", "addrlen"]),
            ),
            Part::calls(Kind::Bind),
            Part::uring(Kind::Bind),
        ],
        blind: &[URING_LATE, PACKED],
    },
    at_exit(
        SOCKET_NEEDS,
        &[
            Part::calls(Kind::Bind),
            Part::uring(Kind::Bind),
            BOUND4,
            BOUND6,
        ],
        &[URING_LATE, FAILED_BINDS, PACKED],
    ),
];
const CLONES: &[Provider] = &[
    tracepoint(
        &[Need::Task],
        &[Part::new("clone", Hook::Tracepoint("task_newtask"))],
    ),
    at_exit(
        &[Need::Task],
        &[Part::calls(Kind::Clone)],
        &[
            "the flags of clone3(2) are read from the program's memory after the call, when they \
           may have been changed",
        ],
    ),
];
const FAILED_CLONES: &[Provider] = &[Provider {
    tier: Tier::Syscall,
    needs: &[Need::Task],
    parts: &[Part::failures(Kind::Clone)],
    blind: &[
        "the flags of a clone3(2) that fails are read from the program's memory after the call, \
              when they may have been changed",
    ],
}];
const IDENTITIES: &[Provider] = &[at_exit(&[Need::Task], &[Part::calls(Kind::Identity)], &[])];
const NAMESPACES: &[Provider] = &[at_exit(&[Need::Task], &[Part::calls(Kind::Namespace)], &[])];
const MEMFDS: &[Provider] = &[at_exit(
    &[Need::Task],
    &[Part::calls(Kind::Memfd)],
    &[names::NAMES],
)];
const DNS: &[Provider] = &[Provider {
    tier: Tier::Cgroup,
    needs: &[Need::Task],
    parts: &[
        Part::new("dns_egress", Hook::Cgroup("cgroup_skb/egress")),
        Part::new("dns_ingress", Hook::Cgroup("cgroup_skb/ingress")),
        Part::new("dns_sendmsg4", Hook::Cgroup("cgroup/sendmsg4")).spare(REDIRECTED),
        Part::new("dns_sendmsg6", Hook::Cgroup("cgroup/sendmsg6")).spare(REDIRECTED),
        Part::new("dns_release", Hook::Cgroup("cgroup/sock_release")).spare(REDIRECTED),
    ],
    blind: &[
        "names asked for by other means than port 53: encrypted, or through a server on this host \
         that is spoken to in another way",
        "packets that a program makes from the link layer up (packet sockets)",
        "messages over TCP that begin within a segment",
        "answers to sockets without a peer, when 4096 others have asked since the question, or to \
         questions older than the daemon",
        "all but 64 questions of a packet",
    ],
}];
const MEMORIES: &[Provider] = &[
    at_exit(
        &[Need::Task, Need::File, Need::Memory],
        &[Part::new("memory_exit", Hook::CallsApart(Kind::Memory))],
        &[FIRST_MAPPING, HARMLESS_MAPPINGS, OLDEST_MMAP],
    ),
    // Before 5.17.
    at_exit(
        &[Need::Task, Need::File, Need::Memory, Need::MemoryTree],
        &[Part::new(
            "memory_exit_tree",
            Hook::CallsApart(Kind::Memory),
        )],
        &[FIRST_MAPPING, HARMLESS_MAPPINGS, OLDEST_MMAP],
    ),
    at_exit(
        FILE_NEEDS,
        &[Part::calls(Kind::Memory)],
        &[
            "the file behind a mapping is looked up by its descriptor after the call, when another \
             thread may have changed it",
            "the files behind memory that mprotect changes",
            HARMLESS_MAPPINGS,
            OLDEST_MMAP,
        ],
    ),
];

const REPLACED: &str = "files that the supervisor of a seccomp filter puts in the place of others";
const TAKEN_FILES: &str = "files that pidfd_getfd(2) takes: that is an event of its own";
const TAKEN: &[&str] = &["file", "ufd", "o_flags"];
const INSTEAD: Part = Part::new(
    "passed_instead",
    Hook::Exit("receive_fd_replace", &["new_fd", "file", "o_flags"]),
)
.spare(REPLACED);
const PASSED_FILES: &[Provider] = &[
    Provider {
        tier: Tier::Object,
        needs: FILE_NEEDS,
        parts: &[
            Part::new("passed_done", Hook::Exit("receive_fd", TAKEN)),
            INSTEAD,
        ],
        blind: &[],
    },
    // 5.15 to 6.7: there may be a copy of the second in the first.
    Provider {
        tier: Tier::Object,
        needs: FILE_NEEDS,
        parts: &[
            Part::new("passed_to", Hook::Exit("__receive_fd", TAKEN)),
            Part::new(
                "passed_alone",
                Hook::Exit("receive_fd", &["file", "o_flags"]),
            ),
            INSTEAD,
        ],
        blind: &[],
    },
    // 5.12 to 5.14.
    Provider {
        tier: Tier::Object,
        needs: FILE_NEEDS,
        parts: &[
            Part::new("passed_done", Hook::Exit("__receive_fd", TAKEN)),
            INSTEAD,
        ],
        blind: &[TAKEN_FILES],
    },
    // 5.10.
    Provider {
        tier: Tier::Object,
        needs: FILE_NEEDS,
        parts: &[Part::new(
            "passed_done_at",
            Hook::Exit("__receive_fd", &["fd", "file", "ufd", "o_flags"]),
        )],
        blind: &[TAKEN_FILES],
    },
    Provider {
        tier: Tier::Syscall,
        needs: SOCKET_NEEDS,
        parts: &[Part::passed()],
        blind: &[
            "files that come by io_uring, by fanotify, or from the supervisor of a seccomp filter",
            "the descriptors in a message are read from the program's memory after the call, when \
             they may have been changed",
        ],
    },
];

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
