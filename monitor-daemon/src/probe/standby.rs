//! What serves when somebody sets `kernel.ftrace_enabled` to 0: programs at the kernel's functions
//! run no more then, and nothing says so.
//!
//! A program that the kernel asks before each write to a sysctl puts the syscall tier's entries into
//! the tables of calls, so that no call is missed. The daemon finds that out at its next tick, and
//! gives up the functions for good.

use std::collections::BTreeSet;
use std::io;

use monitor_common::Kind;
use monitor_common::syscall::standby::{COUNT, ENTRIES, OFF, STATES, URING};
use monitor_memory::Words;

use super::ahead::Wanted;
use super::dispatch::{hold, told, words, writable};
use super::object::Object;
use super::provider::{Hook, Provider};
use super::served::{Needs, Served};
use super::table::{failures, providers};
use super::{ProbeError, Probes, Request, Tiers, parts};

/// The program, and where it is attached.
pub(super) const PROGRAM: &str = "ftrace_off";
const HOOK: Hook = Hook::Cgroup("cgroup/sysctl");
/// How many entries it has, and whether it has put them in.
const STATE: &str = "STANDBY_STATE";
/// What programs that calls go on in are loaded for.
const PART: Hook = Hook::Passed;
const BLIND: &str = "what happens when kernel.ftrace_enabled is set to 0, until the self-check finds \
                     out, every 30 s";

/// What was given up, in words.
pub const SWITCHED_OFF: &str = "kernel.ftrace_enabled was set to 0, which stops the programs at the \
                                kernel's functions: others serve until the daemon is started anew";

impl Served {
    /// Whether it depends on programs at the kernel's functions.
    fn needs_functions(&self) -> bool {
        self.all().any(|part| part.hook.is_function())
    }

    /// What would serve without programs at the kernel's functions.
    fn without_functions(&self, request: &Request) -> Self {
        let usable = |provider: &&Provider| {
            let mut needed = provider.parts.iter().filter(|part| part.spare.is_none());
            !needed.any(|part| part.hook.is_function())
        };
        let from = self.number.unwrap_or_default();
        let all = providers(self.kind).get(from..).unwrap_or_default();
        let failures = failures(self.kind).map_or(&[][..], |(failures, _)| failures);
        let parts = |providers: &[Provider]| {
            let found = providers.iter().find(usable);
            let parts = found.map_or(&[][..], |provider| provider.parts).iter();
            let wanted = parts.filter(|part| request.wants_part(part));
            wanted.copied().collect()
        };
        Self {
            kind: self.kind,
            number: self.number,
            parts: parts(all),
            failures: if self.failures.is_empty() {
                Vec::new()
            } else {
                parts(failures)
            },
        }
    }
}

/// The entries that the tables of calls lack for what would serve without programs at the kernel's
/// functions.
fn entries(served: &[Served], request: &Request) -> Vec<[u64; 2]> {
    let now = Needs::tables(served.iter().flat_map(Served::all), request);
    let then = tables(served, request);
    let calls = then.calls.into_iter();
    let calls = calls.filter(|(index, entry)| now.calls.get(index) != Some(entry));
    let uring = then.uring.into_iter();
    let uring = uring.filter(|(index, entry)| now.uring.get(index) != Some(entry));
    let calls = calls.map(|(index, entry)| [u64::from(index), entry]);
    calls
        .chain(uring.map(|(index, entry)| [u64::from(index) | URING, entry]))
        .collect()
}

/// What the tables of calls have to say without programs at the kernel's functions.
fn tables(served: &[Served], request: &Request) -> Needs {
    let without: Vec<Served> = served
        .iter()
        .map(|served| served.without_functions(request))
        .collect();
    Needs::tables(without.iter().flat_map(Served::all), request)
}

/// The programs that calls with these entries go on in.
pub(super) fn programs(served: &[Served], request: &Request) -> BTreeSet<&'static str> {
    parts::programs(tables(served, request).calls.into_values())
}

/// The same before anything serves these kinds.
pub(super) fn ahead(kinds: impl Iterator<Item = Kind>, request: &Request) -> Vec<Wanted> {
    if request.tiers != Tiers::Auto {
        return Vec::new();
    }
    let first = kinds.map(|kind| Served {
        kind,
        number: Some(0),
        parts: Vec::new(),
        failures: failures(kind)
            .and_then(|(failures, _)| Some(failures.first()?.parts.to_vec()))
            .unwrap_or_default(),
    });
    let first: Vec<Served> = first.collect();
    let programs = programs(&first, request).into_iter();
    programs.map(|program| (program, PART)).collect()
}

impl Probes {
    /// Starts the program that puts the entries in, where the kernel takes it and it is of use.
    pub(super) fn watch_functions(&mut self) {
        let kinds = self.at_functions();
        if kinds.is_empty() || self.request.tiers != Tiers::Auto {
            return;
        }
        let programs = programs(&self.served, &self.request).into_iter();
        let parts = programs.map(|program| (program, PART));
        let mut all = parts.chain([(PROGRAM, HOOK)]);
        if let Err(reason) = all.try_for_each(|(name, hook)| self.object.attach(name, hook)) {
            tracing::debug!(reason, "writes to kernel.ftrace_enabled are not seen");
            let all = self.coverage.iter_mut();
            for coverage in all.filter(|coverage| kinds.contains(&coverage.kind)) {
                if !coverage.blind.contains(&BLIND) {
                    coverage.blind.push(BLIND);
                }
            }
        }
    }

    /// The kinds that programs at the kernel's functions serve.
    fn at_functions(&self) -> Vec<Kind> {
        let served = self.served.iter();
        let needing = served.filter(|served| served.needs_functions());
        needing.map(|served| served.kind).collect()
    }

    /// Tells that program what to put in by what serves now.
    pub(super) fn keep_standby(&mut self) -> Result<(), ProbeError> {
        if !self.object.is_attached(PROGRAM) {
            return Ok(());
        }
        let entries = entries(&self.served, &self.request);
        self.object.stand_by(&entries).map_err(ProbeError::Change)
    }

    /// Whether somebody has switched off the programs at the kernel's functions since the last call;
    /// if so, others serve in their place.
    ///
    /// # Errors
    /// As for [`Probes::widen`]: what could not be replaced is silent.
    pub fn switched_off(&mut self) -> Result<bool, ProbeError> {
        if !self.object.is_attached(PROGRAM) || !self.object.is_switched_off() {
            return Ok(false);
        }
        self.request.tiers = Tiers::WithoutFunctions;
        let kinds = self.at_functions();
        self.reseal(&[]);
        let covered = self.cover(&kinds);
        self.settle()?;
        // What was put in for providers that this kernel does not take after all.
        let _own = self.object.repair(std::iter::empty());
        self.object
            .take_switched_off()
            .map_err(ProbeError::Change)?;
        covered.map(|()| true)
    }
}

impl Object {
    /// Hands the kernel side what it is to put into the tables by itself.
    fn stand_by(&mut self, entries: &[[u64; 2]]) -> Result<(), String> {
        let failed = |error: io::Error| error.to_string();
        let state = self.standby_state()?;
        // What it finds meanwhile is whole.
        state.set(COUNT as usize, 0).map_err(failed)?;
        let room = entries.iter().take(ENTRIES as usize);
        self.standby = room.copied().collect();
        hold(&self.ebpf, "STANDBY", 0, &self.standby)?;
        let count = self.standby.len() as u64;
        state.set(COUNT as usize, count).map_err(failed)
    }

    /// Sets right what somebody else wrote there; in words what that was, one for each map.
    pub(super) fn repair_standby(&mut self) -> impl Iterator<Item = String> {
        let ebpf = &self.ebpf;
        let count = [self.standby.len() as u64];
        let [entries, state] = ["STANDBY", STATE];
        let changed = [
            told(entries, hold(ebpf, entries, 0, &self.standby)),
            told(state, hold(ebpf, state, COUNT, &count)),
        ];
        changed.into_iter().flatten()
    }

    /// Whether the kernel side has put them in.
    pub(super) fn is_switched_off(&self) -> bool {
        let state = words(&self.ebpf, STATE, STATES as usize);
        state.is_ok_and(|state| state.get(OFF as usize).is_some_and(|off| off != 0))
    }

    fn take_switched_off(&mut self) -> Result<(), String> {
        let done = self.standby_state()?.set(OFF as usize, 0);
        done.map_err(|error| error.to_string())
    }

    fn standby_state(&self) -> Result<Words, String> {
        writable(&self.ebpf, STATE, STATES as usize)
    }
}

#[cfg(test)]
mod tests {
    use monitor_common::syscall::{self, Call};

    use super::super::provider::Part;
    use super::*;

    const OPENAT: u32 = 257;
    const RENAME: u32 = 82;

    /// The entries of the table of calls, and of that of `io_uring`, by their parts.
    fn found(kind: Kind, parts: &[Part], call: u32) -> (Vec<[u64; 2]>, Vec<[u64; 2]>) {
        let request = Request {
            kinds: vec![kind],
            calls: Some(vec![call]),
            ..Request::default()
        };
        let served = Served {
            kind,
            number: Some(0),
            parts: parts.to_vec(),
            failures: Vec::new(),
        };
        let all = entries(&[served], &request);
        all.into_iter().partition(|[index, _]| index & URING == 0)
    }

    #[test]
    fn calls_that_functions_serve_stand_by_as_calls() {
        let function = Part::new("open_done", Hook::Entry("fd_install", &[]));
        let parts = [function, Part::uring_failures(Kind::Open)];
        let (calls, uring) = found(Kind::Open, &parts, OPENAT);
        let entry = syscall::call(OPENAT).unwrap().entry();
        assert!(calls.contains(&[u64::from(OPENAT), entry]), "{calls:?}");
        // The operation was there for what fails only.
        let operation = syscall::uring::operation::OPENAT;
        assert_eq!(uring, [[u64::from(operation) | URING, entry]]);
        assert_eq!(entry & Call::FAILURES, 0);
    }

    #[test]
    fn calls_that_are_served_at_their_end_already_need_nothing() {
        let name = Part::new("rename_names", Hook::Entry("security_path_rename", &[]));
        let parts = [Part::calls(Kind::Rename), Part::uring(Kind::Rename), name];
        assert_eq!(found(Kind::Rename, &parts, RENAME), (vec![], vec![]));
    }

    #[test]
    fn there_is_room_for_all() {
        let served = |kind| Served {
            kind,
            number: Some(0),
            parts: providers(kind)[0].parts.to_vec(),
            failures: failures(kind).map_or(Vec::new(), |(all, _)| all[0].parts.to_vec()),
        };
        let entries = entries(&Kind::ALL.map(served), &Request::default());
        assert!(
            entries.len() > 20 && entries.len() < ENTRIES as usize / 2,
            "{}",
            entries.len()
        );
    }
}
