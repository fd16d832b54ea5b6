//! Which parts serve each kind, and what of the kernel they take: the programs, and what the tables
//! of calls have to say. Pure, so that what a change of the rules takes away can be worked out
//! before anything is touched.

use std::collections::{BTreeMap, BTreeSet};

use monitor_common::Kind;
use monitor_common::syscall::{self, Call, Machine};

use super::again::Turns;
use super::provider::{Hook, Part};
use super::{Request, parts, standby};

/// The programs that tell of operations of `io_uring`.
pub(super) const URING_PROGRAMS: [&str; 2] = ["uring_submit", "uring_complete"];

/// What serves a kind.
#[derive(Clone, Debug)]
pub(super) struct Served {
    pub(super) kind: Kind,
    /// Which of its providers does; `None` if none.
    pub(super) number: Option<usize>,
    /// The parts of it that work.
    pub(super) parts: Vec<Part>,
    /// Those that serve what fails, where that is a provider of its own.
    pub(super) failures: Vec<Part>,
}

/// What is to be in the kernel, guard and all that aside.
#[derive(Debug, Default, Eq, PartialEq)]
pub(super) struct Needs {
    pub(super) programs: BTreeSet<&'static str>,
    /// Entries of the table of calls that are not 0, by index.
    pub(super) calls: BTreeMap<u32, u64>,
    /// The same of the table of operations of `io_uring`.
    pub(super) uring: BTreeMap<u32, u64>,
}

impl Served {
    /// Its parts, those that serve failures among them.
    pub(super) fn all(&self) -> impl Iterator<Item = &Part> {
        self.parts.iter().chain(&self.failures)
    }

    /// Its hooks as people are told, each once.
    pub(super) fn name(&self, turns: Turns) -> Option<String> {
        self.number?;
        let mut names: Vec<String> = Vec::new();
        for name in self.all().map(|part| turns.name(part)) {
            if !names.contains(&name) {
                names.push(name);
            }
        }
        Some(names.join(" + "))
    }

    /// Leaves out what a request does not want (any more).
    pub(super) fn narrow(&mut self, request: &Request) {
        self.parts.retain(|part| request.wants_part(part));
        self.failures
            .retain(|part| request.kinds.contains(&self.kind) && request.wants_part(part));
    }
}

impl Needs {
    /// Whether a program is to be in the kernel.
    pub(super) fn keeps(&self, name: &str) -> bool {
        self.programs.contains(name)
    }

    /// What these parts take to record what is asked for.
    pub(super) fn of(served: &[Served], request: &Request) -> Self {
        let parts = || served.iter().flat_map(Served::all);
        let mut needs = Self::tables(parts(), request);
        for part in parts() {
            match part.hook {
                Hook::Uring(_) | Hook::UringFailures(_) => needs.programs.extend(URING_PROGRAMS),
                _ => _ = needs.programs.insert(part.program),
            }
        }
        let going_on = parts::programs(needs.calls.values().copied());
        needs.programs.extend(going_on);
        if parts().any(|part| part.hook.is_function()) {
            needs.programs.insert(standby::PROGRAM);
            needs.programs.extend(standby::programs(served, request));
        }
        needs
    }

    /// What these parts take of the tables.
    pub(super) fn tables<'a>(parts: impl Iterator<Item = &'a Part>, request: &Request) -> Self {
        let mut needs = Self::default();
        let mut passed = false;
        for part in parts {
            match part.hook {
                Hook::Calls(kind)
                | Hook::CallsApart(kind)
                | Hook::Failures(kind)
                | Hook::Untold(kind) => needs.serve(request.rows(kind), part.hook.bits()),
                Hook::Start(number) => {
                    needs.serve(syscall::call(number).into_iter(), part.hook.bits());
                }
                Hook::Uring(kind) | Hook::UringFailures(kind) => {
                    needs.serve_uring(request.rows(kind), part.hook.bits());
                }
                Hook::Passed => passed = true,
                _ => {}
            }
        }
        if passed {
            needs.serve_passed();
        }
        needs
    }

    /// Files that come are looked for beside whatever else the calls are served for.
    fn serve_passed(&mut self) {
        for call in Call::PASSING.into_iter().filter_map(syscall::call) {
            for index in call.indices(Machine::OWN) {
                let entry = self
                    .calls
                    .entry(index)
                    .or_insert(u64::from(call.number) << 16);
                *entry |= Call::PASSES;
            }
        }
    }

    fn serve(&mut self, calls: impl Iterator<Item = Call>, bits: u64) {
        for call in calls {
            for index in call.indices(Machine::OWN) {
                let own = call.entry_at(index) | bits;
                let entry = self.calls.entry(index).or_insert(own);
                // Where all are served, so are those that fail; and a program apart takes over.
                if bits == Call::APART || bits == 0 && *entry & Call::PARTLY != 0 {
                    *entry = own;
                }
            }
        }
    }

    fn serve_uring(&mut self, calls: impl Iterator<Item = Call>, bits: u64) {
        for call in calls {
            for operation in call.uring() {
                self.uring.insert(operation, call.entry() | bits);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use monitor_common::syscall::Operation;

    use super::*;

    const OPENAT: u32 = 257;
    const OPENAT2: u32 = 437;
    const DUP: u32 = 32;

    fn request(kinds: &[Kind], calls: &[u32]) -> Request {
        Request {
            kinds: kinds.to_vec(),
            calls: Some(calls.to_vec()),
            ..Request::default()
        }
    }

    fn served(kind: Kind, parts: &[Part]) -> Served {
        Served {
            kind,
            number: Some(0),
            parts: parts.to_vec(),
            failures: Vec::new(),
        }
    }

    #[test]
    fn tables_have_the_wanted_calls_of_the_kinds_that_are_served() {
        let opens = served(
            Kind::Open,
            &[Part::calls(Kind::Open), Part::uring(Kind::Open)],
        );
        let wanted = request(&[Kind::Open], &[OPENAT, DUP]);
        let needs = Needs::of(std::slice::from_ref(&opens), &wanted);
        let call = syscall::call(OPENAT).unwrap();
        assert_eq!(needs.calls[&OPENAT], call.entry());
        assert!(!needs.calls.contains_key(&OPENAT2) && !needs.calls.contains_key(&DUP));
        let all = ["call_open", "sys_exit", "uring_complete", "uring_submit"];
        let all: BTreeSet<&str> = all.into();
        assert_eq!(needs.programs, all);
        assert!(needs.uring.values().all(|entry| *entry == call.entry()));
        assert_eq!(needs.uring.len(), call.uring().count());
        assert_eq!(Needs::of(&[], &wanted), Needs::default());
    }

    #[test]
    fn what_only_fails_is_told_so_unless_all_is() {
        let failing = Served {
            failures: vec![Part::failures(Kind::Exec)],
            ..served(Kind::Exec, &[Part::new("exec", Hook::Tracepoint("x"))])
        };
        let wanted = request(&[Kind::Exec], &[59]);
        let needs = Needs::of(std::slice::from_ref(&failing), &wanted);
        assert_ne!(needs.calls[&59] & Call::FAILURES, 0);
        let all = served(Kind::Exec, &[Part::calls(Kind::Exec)]);
        let needs = Needs::of(&[all, failing], &wanted);
        assert_eq!(needs.calls[&59] & Call::FAILURES, 0);
    }

    #[test]
    fn calls_by_which_files_come_are_looked_at_beside_what_they_serve() {
        const RECVMSG: u32 = 47;
        let files = served(Kind::Passed, &[Part::passed()]);
        let messages = served(Kind::Receive, &[Part::calls(Kind::Receive)]);
        let wanted = request(&[Kind::Passed, Kind::Receive], &[RECVMSG]);
        let both = Needs::of(&[files.clone(), messages], &wanted).calls[&RECVMSG];
        let call = syscall::call(RECVMSG).unwrap();
        assert_eq!(both, call.entry() | Call::PASSES);
        let alone = Needs::of(&[files], &wanted).calls[&RECVMSG];
        assert_eq!((alone as u8, alone & Call::PASSES), (0, Call::PASSES));
    }

    #[test]
    fn parts_of_calls_go_when_nobody_wants_them() {
        let dup = Part::call("dup_exit", "__x64_sys_dup", Operation::Dup);
        let dup3 = Part::call("dup3_exit", "__x64_sys_dup3", Operation::Dup3);
        let mut dups = served(Kind::Dup, &[dup, dup3]);
        dups.failures = vec![Part::failures(Kind::Dup)];
        dups.narrow(&request(&[Kind::Dup], &[DUP]));
        let text = dups.name(Turns::One);
        assert_eq!(
            text.as_deref(),
            Some("fexit/__x64_sys_dup + tp_btf/sys_exit")
        );
        let bare = dups.name(Turns::TwoAndBare).unwrap();
        assert!(
            bare.ends_with(" + tracepoint/raw_syscalls/sys_exit"),
            "{bare}"
        );
        dups.narrow(&request(&[], &[DUP]));
        assert_eq!(
            dups.name(Turns::One).as_deref(),
            Some("fexit/__x64_sys_dup")
        );
    }
}
