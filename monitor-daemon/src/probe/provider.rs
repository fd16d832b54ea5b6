//! What a provider of records is: its tier, its hooks, and what it cannot see.

use std::borrow::Cow;

use monitor_common::Kind;
use monitor_common::layout::Need;
use monitor_common::syscall::{Call, Machine, Operation};

/// What is not seen where the kernel does not show them.
pub(super) const URING: &str = "operations of io_uring, which end no system call";

/// What is not seen where programs can be preempted.
pub(super) const PREEMPTED: &str = "what happens on a CPU while a task is preempted there amid the \
                                    program, on kernels that allow it";

const URING_FAILURES: &str = "io_uring: what fails, opens with O_PATH, and direct descriptors, \
                              which no process holds";

/// Category of the tracepoints of [`Hook::Bare`].
pub(super) const SCHEDULER: &str = "sched";

/// Where a hook sits.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Tier {
    /// On the kernel's tracepoints, which need neither of the others.
    Tracepoint,
    /// On the kernel's own functions and objects: nothing to race, `io_uring` included.
    Object,
    /// At the end of system calls.
    Syscall,
    /// On packets and addresses, at the root of the unified hierarchy of cgroups.
    Cgroup,
}

impl Tier {
    /// Lower-case name, as in metrics and `doctor`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Tracepoint => "tracepoint",
            Self::Object => "object",
            Self::Syscall => "syscall",
            Self::Cgroup => "cgroup",
        }
    }
}

/// How a program is attached.
#[derive(Clone, Copy, Debug)]
pub(super) enum Hook {
    /// At a tracepoint.
    Tracepoint(&'static str),
    /// At a tracepoint of the scheduler, in a program of the older kind, which cannot be preempted.
    Bare(&'static str),
    /// At the start of a kernel function that has (at least) these parameters.
    Entry(&'static str, &'static [&'static str]),
    /// At the end of a kernel function that has these parameters, then its result.
    Exit(&'static str, &'static [&'static str]),
    /// At the end of a function whose parameters move; the object knows where they are.
    ExitAnywhere(&'static str),
    /// All calls that make records of this kind, in the one program at the end of all system calls.
    Calls(Kind),
    /// The same, in a program of its own at the end of all system calls.
    CallsApart(Kind),
    /// One call, by its x86-64 number, in a program of its own at the start of all system calls.
    Start(u32),
    /// All calls, for those that fail only.
    Failures(Kind),
    /// All calls, for those that other hooks of the provider were not asked about.
    Untold(Kind),
    /// Calls by which open files come, in the same program.
    Passed,
    /// Operations of `io_uring` that make records of this kind, in the two programs for all.
    Uring(Kind),
    /// The same, for what the object tier does not see of them.
    UringFailures(Kind),
    /// At the root of the unified hierarchy of cgroups; the program says at what.
    Cgroup(&'static str),
}

impl Hook {
    /// What the table of calls says of the calls that it is for, beside what they are.
    pub(super) const fn bits(&self) -> u64 {
        match self {
            Self::CallsApart(_) | Self::Start(_) => Call::APART,
            Self::Failures(_) | Self::UringFailures(_) => Call::FAILURES,
            // Successes of these have hooks of their own.
            Self::Untold(Kind::Exec | Kind::Clone) => Call::UNTOLD | Call::FAILURES,
            Self::Untold(_) => Call::UNTOLD,
            _ => 0,
        }
    }

    /// Whether it sits at one of the kernel's functions.
    pub(super) const fn is_function(&self) -> bool {
        matches!(
            self,
            Self::Entry(..) | Self::Exit(..) | Self::ExitAnywhere(_)
        )
    }
}

/// A program and its hook.
#[derive(Clone, Copy, Debug)]
pub(super) struct Part {
    /// Name of the program in the object.
    pub(super) program: &'static str,
    pub(super) hook: Hook,
    /// The one call that it is for, if there is only one.
    pub(super) call: Option<Operation>,
    /// x86-64 numbers of the calls that it is for, unless it is for all of the kind.
    pub(super) only: &'static [u32],
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
    pub(super) const fn new(program: &'static str, hook: Hook) -> Self {
        Self {
            program,
            hook,
            call: None,
            only: &[],
            spare: None,
        }
    }

    pub(super) const fn call(
        program: &'static str,
        function: &'static str,
        operation: Operation,
    ) -> Self {
        Self {
            call: Some(operation),
            ..Self::new(program, Hook::Exit(function, &[]))
        }
    }

    /// At the start of a function, for some calls of the kind.
    pub(super) const fn names(
        program: &'static str,
        function: &'static str,
        parameters: &'static [&'static str],
        only: &'static [u32],
    ) -> Self {
        Self {
            only,
            ..Self::new(program, Hook::Entry(function, parameters))
        }
    }

    /// At the end of a function, for some calls of the kind.
    pub(super) const fn names_after(
        program: &'static str,
        function: &'static str,
        parameters: &'static [&'static str],
        only: &'static [u32],
    ) -> Self {
        Self {
            only,
            ..Self::new(program, Hook::Exit(function, parameters))
        }
    }

    pub(super) const fn calls(kind: Kind) -> Self {
        Self::new("sys_exit", Hook::Calls(kind))
    }

    pub(super) const fn failures(kind: Kind) -> Self {
        Self::new("sys_exit", Hook::Failures(kind))
    }

    /// What the others of the parts of a provider would have told, where they can be preempted.
    pub(super) const fn untold(kind: Kind) -> Self {
        Self::new("sys_exit", Hook::Untold(kind)).spare(PREEMPTED)
    }

    pub(super) const fn passed() -> Self {
        Self::new("sys_exit", Hook::Passed)
    }

    /// Operations of `io_uring`, where the kernel shows them.
    pub(super) const fn uring(kind: Kind) -> Self {
        Self::new("uring_complete", Hook::Uring(kind)).spare(URING)
    }

    /// What the object tier does not see of operations of `io_uring`: failures above all.
    pub(super) const fn uring_failures(kind: Kind) -> Self {
        Self::new("uring_complete", Hook::UringFailures(kind)).spare(URING_FAILURES)
    }

    /// Whether other kinds have the program too.
    pub(super) const fn is_shared(&self) -> bool {
        matches!(
            self.hook,
            Hook::Calls(_)
                | Hook::Failures(_)
                | Hook::Untold(_)
                | Hook::Passed
                | Hook::Uring(_)
                | Hook::UringFailures(_)
        )
    }

    /// Whether it is there for what another part is not asked about.
    pub(super) fn is_again(&self) -> bool {
        matches!(self.hook, Hook::Untold(_) | Hook::Bare(_)) || self.program.ends_with("_again")
    }

    pub(super) const fn spare(self, loss: &'static str) -> Self {
        Self {
            spare: Some(loss),
            ..self
        }
    }

    /// Whether there is anything to attach to on this machine.
    pub(super) fn exists_on(&self, machine: Machine) -> bool {
        let function = match self.hook {
            Hook::Exit(function, _) => function_on(machine, function),
            _ => Some(Cow::Borrowed("")),
        };
        function.is_some()
    }

    /// Short text for people, such as `tp_btf/sched_process_exec`.
    pub(super) fn name(&self) -> String {
        match self.hook {
            Hook::Tracepoint(name) => format!("tp_btf/{name}"),
            Hook::Bare(name) => format!("tracepoint/{SCHEDULER}/{name}"),
            Hook::Entry(function, _) => format!("fentry/{function}"),
            Hook::Exit(function, _) | Hook::ExitAnywhere(function) => {
                format!("fexit/{}", own_function(function))
            }
            Hook::Cgroup(name) => name.to_owned(),
            Hook::Calls(_)
            | Hook::CallsApart(_)
            | Hook::Failures(_)
            | Hook::Untold(_)
            | Hook::Passed => "tp_btf/sys_exit".to_owned(),
            Hook::Start(_) => "tp_btf/sys_enter".to_owned(),
            Hook::Uring(_) | Hook::UringFailures(_) => "tp_btf/io_uring_complete".to_owned(),
        }
    }
}

/// What a function is called on a machine that x86-64 has under this name; none where another
/// function that is in use has its work.
fn function_on(machine: Machine, name: &'static str) -> Option<Cow<'static, str>> {
    if machine == Machine::X86 {
        return Some(name.into());
    }
    // 32-bit programs share what needs no other form for them.
    if name.starts_with("__ia32_sys_") {
        return None;
    }
    let parts = [
        ("__x64_sys_", "__arm64_sys_"),
        ("__ia32_compat_sys_", "__arm64_compat_sys_"),
    ];
    let found = parts.iter().find_map(|(x86, arm)| {
        let call = name.strip_prefix(x86)?;
        Some(format!("{arm}{call}").into())
    });
    Some(found.unwrap_or(name.into()))
}

/// What a function is called here that x86-64 has under this name.
pub(super) fn own_function(name: &'static str) -> Cow<'static, str> {
    function_on(Machine::OWN, name).unwrap_or(name.into())
}

impl Provider {
    /// Its hooks, for people.
    pub(super) fn name(&self) -> String {
        self.parts
            .iter()
            .filter(|part| part.exists_on(Machine::OWN))
            .map(Part::name)
            .collect::<Vec<_>>()
            .join(" + ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn functions_of_calls_on_another_machine() {
        for (x86, arm) in [
            ("__x64_sys_execve", Some("__arm64_sys_execve")),
            (
                "__ia32_compat_sys_fcntl64",
                Some("__arm64_compat_sys_fcntl64"),
            ),
            ("__ia32_sys_dup", None),
            ("do_sys_openat2", Some("do_sys_openat2")),
        ] {
            assert_eq!(function_on(Machine::X86, x86).as_deref(), Some(x86));
            assert_eq!(function_on(Machine::Arm, x86).as_deref(), arm);
        }
    }
}
