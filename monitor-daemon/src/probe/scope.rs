//! Whose cgroups and processes are, for the filter in the kernel (ADR 15).
//!
//! What is written here is believed there, so a place says nothing until all of it is written.

use std::collections::BTreeSet;

use aya::Ebpf;
use monitor_common::filter::{
    CGROUPS, CGROUPS_PIECE, HOSTS, Scope, cgroup_entry, cgroup_place, host_key, host_place,
    scope_of,
};
use monitor_memory::Words;
use zerocopy::IntoBytes as _;

use super::dispatch::{Dispatch, hold, told, words, writable};

/// Ids are below this, so that a scope fits beside them.
const CGROUP_IDS: u64 = 1 << 62;
const PIECES: usize = CGROUPS as usize / CGROUPS_PIECE;
const CGROUPS_MAP: &str = "SCOPES";
const PROCESSES_MAP: &str = "HOST_PROCESSES";

type Piece = [u64; CGROUPS_PIECE];

/// A process that was the host's at all times.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct HostProcess {
    /// Its pid in the initial namespace.
    pub pid: u32,
    /// Its start, `CLOCK_BOOTTIME` ns, or the tick of that.
    pub start: u64,
    /// The cgroup it is in.
    pub cgroup: u64,
}

/// What was written.
pub(super) struct Scopes {
    /// Entries of cgroups, by place, as the map has to hold them.
    cgroups: Vec<Piece>,
    /// Whether processes may be taken for the host's.
    believed: Dispatch,
}

impl Scopes {
    pub(super) fn new() -> Self {
        Self {
            cgroups: vec![[0; CGROUPS_PIECE]; PIECES],
            believed: Dispatch::of_hosts(),
        }
    }

    /// Tells of all cgroups whose scope is known; others are not any more.
    pub(super) fn tell_cgroups(
        &mut self,
        ebpf: &Ebpf,
        known: impl Iterator<Item = (u64, Scope)>,
    ) -> Result<(), String> {
        let pieces = pieces(known);
        let changed = (0..).zip(&mut self.cgroups).zip(pieces);
        let table = writable(ebpf, CGROUPS_MAP, CGROUPS as usize)?;
        for ((index, known), piece) in changed.filter(|((_, known), piece)| **known != *piece) {
            let put = table.put(index * CGROUPS_PIECE, piece.as_bytes());
            put.map_err(|error| error.to_string())?;
            *known = piece;
        }
        Ok(())
    }

    /// Tells which processes are the host's, as was true when `attaches` moves into cgroups had
    /// happened; whether it was so still at the end, or else nothing was told.
    pub(super) fn tell_processes(
        &mut self,
        ebpf: &Ebpf,
        attaches: u64,
        mut processes: impl Iterator<Item = HostProcess>,
    ) -> Result<bool, String> {
        if attached(ebpf)? != attaches {
            return Ok(false);
        }
        self.believed.set(ebpf, 0, 0)?;
        let known = entries(ebpf)?;
        let mut written = Vec::new();
        let told = processes.try_for_each(|process| {
            let place = host_place(process.pid);
            written.push(place);
            let key = host_key(process.pid, process.start);
            write(&known, place, [key, process.cgroup])
        });
        let same = told.and_then(|()| Ok(attached(ebpf)? == attaches));
        if same != Ok(true) {
            for place in written {
                set(&known, place, [0, 0])?;
            }
        }
        self.believed.set(ebpf, 0, 1)?;
        same
    }

    /// Sets right what somebody else wrote; in words what that was, one for each map. `strangers`
    /// are processes of containers, by pid and start: where one has an entry as if it were the host's, that is none of
    /// ours, for the programs have known before us where it was put.
    pub(super) fn repair(
        &mut self,
        ebpf: &Ebpf,
        strangers: impl Iterator<Item = (u32, u64)>,
    ) -> Vec<String> {
        let believed = self.believed.repair(ebpf);
        let cgroups = told(CGROUPS_MAP, hold(ebpf, CGROUPS_MAP, 0, &self.cgroups));
        let processes = match self.expel(ebpf, strangers) {
            Ok(pids) if pids.is_empty() => None,
            Ok(pids) => {
                let pids: Vec<String> = pids.iter().map(u32::to_string).collect();
                let pids = pids.join(", ");
                Some(format!(
                    "the map {PROCESSES_MAP} was changed so that opens of a container's process \
                     ({pids}) could be left out, and is set right again"
                ))
            }
            Err(error) => told(PROCESSES_MAP, Err(error)),
        };
        believed
            .into_iter()
            .chain(cgroups)
            .chain(processes)
            .collect()
    }

    /// Takes out what says of processes that they are the host's; of which it did.
    fn expel(
        &self,
        ebpf: &Ebpf,
        strangers: impl Iterator<Item = (u32, u64)>,
    ) -> Result<BTreeSet<u32>, String> {
        let mut found = BTreeSet::new();
        let known = entries(ebpf)?;
        for (pid, start) in strangers {
            let place = host_place(pid);
            let [key, cgroup] = entry(&known, place);
            if key == host_key(pid, start) && matches!(self.of(cgroup), Scope::Host) {
                set(&known, place, [0, 0])?;
                found.insert(pid);
            }
        }
        Ok(found)
    }

    /// What was told of a cgroup.
    fn of(&self, cgroup: u64) -> Scope {
        let place = cgroup_place(cgroup) as usize;
        let piece = self.cgroups.get(place / CGROUPS_PIECE);
        let entry = piece.and_then(|piece| piece.get(place % CGROUPS_PIECE));
        scope_of(entry.copied().unwrap_or_default(), cgroup)
    }
}

/// Entries of cgroups, by place.
fn pieces(known: impl Iterator<Item = (u64, Scope)>) -> Vec<Piece> {
    let mut pieces = vec![[0; CGROUPS_PIECE]; PIECES];
    for (cgroup, scope) in known.filter(|(cgroup, _)| *cgroup < CGROUP_IDS) {
        let place = cgroup_place(cgroup) as usize;
        let piece = pieces.get_mut(place / CGROUPS_PIECE);
        if let Some(entry) = piece.and_then(|piece| piece.get_mut(place % CGROUPS_PIECE)) {
            *entry = cgroup_entry(cgroup, scope).max(*entry);
        }
    }
    pieces
}

/// How often somebody was put into a cgroup.
fn attached(ebpf: &Ebpf) -> Result<u64, String> {
    let counter = words(ebpf, "ATTACHES", 1)?.get(0);
    counter.ok_or_else(|| "`ATTACHES` is empty".to_owned())
}

/// Writes an entry, in steps that each leave it empty or complete.
fn write(table: &Words, place: u32, due: [u64; 2]) -> Result<(), String> {
    let known = entry(table, place);
    if known == due {
        return Ok(());
    }
    let [_, cgroup] = known;
    set(table, place, [0, cgroup])?;
    set(table, place, [0, due[1]])?;
    set(table, place, due)
}

/// All entries of processes.
fn entries(ebpf: &Ebpf) -> Result<Words, String> {
    writable(ebpf, PROCESSES_MAP, 2 * HOSTS as usize)
}

/// The one at a place; empty where there is none.
fn entry(known: &Words, place: u32) -> [u64; 2] {
    let word = |at: usize| known.get(2 * place as usize + at).unwrap_or_default();
    [word(0), word(1)]
}

fn set(table: &Words, place: u32, entry: [u64; 2]) -> Result<(), String> {
    let put = table.put(2 * place as usize, entry.as_bytes());
    put.map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_two_cgroups_at_one_place_one_is_known() {
        let host = (5, Scope::Host);
        let other = (5 + u64::from(CGROUPS), Scope::Container);
        for known in [vec![host, other], vec![other, host]] {
            let scopes = Scopes {
                cgroups: pieces(known.into_iter()),
                ..Scopes::new()
            };
            assert_eq!(scopes.of(other.0), Scope::Container);
            assert_eq!(scopes.of(host.0), Scope::Either);
            assert_eq!(scopes.of(6), Scope::Either);
        }
    }
}
