//! Which hooks can serve each kind of record, in order of preference.
//!
//! Pure data: the loader tries one provider after the other until the kernel takes one.

use monitor_common::Kind;
use monitor_common::layout::Need;
use monitor_common::syscall::Operation;

/// Where a hook sits.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Tier {
    /// On the kernel's own functions and objects: nothing to race, `io_uring` included.
    Object,
    /// At the end of system calls.
    Syscall,
}

impl Tier {
    /// Lower-case name, as in metrics and `doctor`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Object => "object",
            Self::Syscall => "syscall",
        }
    }
}

/// How a program is attached.
#[derive(Clone, Copy, Debug)]
pub(super) enum Hook {
    /// A kernel tracepoint.
    Tracepoint(&'static str),
    /// These calls, in the one program at the end of all system calls.
    Calls(&'static [Operation]),
}

/// A program and its hook.
#[derive(Clone, Copy, Debug)]
pub(super) struct Part {
    /// Name of the program in the object; none for [`Hook::Calls`].
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

    const fn calls(operations: &'static [Operation]) -> Self {
        Self::new("sys_exit", Hook::Calls(operations))
    }

    /// Short text for people, such as `tp_btf/sched_process_exec`.
    pub(super) fn name(&self) -> String {
        match self.hook {
            Hook::Tracepoint(name) => format!("tp_btf/{name}"),
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

const EXEC: Part = Part::new("exec", Hook::Tracepoint("sched_process_exec"));
const URING: &str = "io_uring: its operations end no system call";
const RACE: &str = "the passed path is read from the program's memory after the call: it may have \
                    been changed (the resolved path has not)";
const FAILED_ADDRESS: &str =
    "the address of a failed connect is read from the program's memory after the call";
const SOCKETCALL: &str = "32-bit programs that use socketcall(2)";

/// The providers of a kind, best first. `failures` adds what failed, where that costs a hook of
/// its own.
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
    }
}

const EXECS: &[Provider] = &[Provider {
    tier: Tier::Syscall,
    needs: &[Need::Task, Need::File, Need::Exec],
    parts: &[
        EXEC,
        Part {
            spare: Some("execs that failed"),
            ..Part::calls(&[Operation::Execve, Operation::ExecveAt])
        },
    ],
    blind: &[],
}];

const FORKS: &[Provider] = &[tracepoint(&[Part::new(
    "fork",
    Hook::Tracepoint("sched_process_fork"),
)])];
const EXITS: &[Provider] = &[tracepoint(&[Part::new(
    "exit",
    Hook::Tracepoint("sched_process_exit"),
)])];
const CGROUP_MKDIRS: &[Provider] = &[cgroup(&[Part::new(
    "cgroup_mkdir",
    Hook::Tracepoint("cgroup_mkdir"),
)])];
const CGROUP_RMDIRS: &[Provider] = &[cgroup(&[Part::new(
    "cgroup_rmdir",
    Hook::Tracepoint("cgroup_rmdir"),
)])];
const CGROUP_ATTACHES: &[Provider] = &[cgroup(&[Part::new(
    "cgroup_attach",
    Hook::Tracepoint("cgroup_attach_task"),
)])];

const OPENS: &[Provider] = &[Provider {
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
}];

const CONNECTS: &[Provider] = &[Provider {
    tier: Tier::Syscall,
    needs: &[Need::Task, Need::File, Need::Socket],
    parts: &[Part::calls(&[Operation::Connect])],
    blind: &[URING, FAILED_ADDRESS, SOCKETCALL],
}];

const SOCKETS: &[Provider] = &[Provider {
    tier: Tier::Syscall,
    needs: &[Need::Task],
    parts: &[Part::calls(&[Operation::Socket])],
    blind: &[URING, SOCKETCALL],
}];

const SYMLINKS: &[Provider] = &[Provider {
    tier: Tier::Syscall,
    needs: &[Need::Task, Need::File],
    parts: &[Part::calls(&[Operation::Symlink, Operation::SymlinkAt])],
    blind: &[URING, RACE],
}];

const LINKS: &[Provider] = &[Provider {
    tier: Tier::Syscall,
    needs: &[Need::Task, Need::File],
    parts: &[Part::calls(&[Operation::Link, Operation::LinkAt])],
    blind: &[URING, RACE],
}];

const PTRACES: &[Provider] = &[Provider {
    tier: Tier::Syscall,
    needs: &[Need::Task],
    parts: &[Part::calls(&[Operation::Ptrace])],
    blind: &[],
}];

const fn tracepoint(parts: &'static [Part]) -> Provider {
    Provider {
        tier: Tier::Object,
        needs: &[Need::Task],
        parts,
        blind: &[],
    }
}

const fn cgroup(parts: &'static [Part]) -> Provider {
    Provider {
        tier: Tier::Object,
        needs: &[Need::Task, Need::Cgroup],
        parts,
        blind: &[],
    }
}
