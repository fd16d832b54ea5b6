//! Whose cgroups and processes are, for the filter in the kernel (ADR 15).
//!
//! What is written here is believed there, so a place says nothing until all of it is written.

use std::collections::HashMap;

use aya::Ebpf;
use monitor_common::filter::{Scope, cgroup_entry, cgroup_place, host_key, host_place};

use super::dispatch::array;

/// Ids are below this, so that a scope fits beside them.
const CGROUP_IDS: u64 = 1 << 62;

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
#[derive(Debug, Default)]
pub(super) struct Scopes {
    /// Entries of cgroups, by place.
    cgroups: HashMap<u32, u64>,
}

impl Scopes {
    /// Tells of all cgroups whose scope is known; others are not any more.
    pub(super) fn tell_cgroups(
        &mut self,
        ebpf: &mut Ebpf,
        known: impl Iterator<Item = (u64, Scope)>,
    ) -> Result<(), String> {
        let mut entries: HashMap<u32, u64> = HashMap::new();
        for (cgroup, scope) in known.filter(|(cgroup, _)| *cgroup < CGROUP_IDS) {
            let entry = entries.entry(cgroup_place(cgroup)).or_default();
            *entry = cgroup_entry(cgroup, scope).max(*entry);
        }
        let mut table = array::<u64>(ebpf, "SCOPES")?;
        let gone = self.cgroups.keys();
        let gone = gone.filter(|place| !entries.contains_key(place));
        for place in gone.copied().collect::<Vec<u32>>() {
            table.set(place, 0, 0).map_err(|error| error.to_string())?;
            self.cgroups.remove(&place);
        }
        for (place, entry) in entries {
            if self.cgroups.get(&place) != Some(&entry) {
                let set = table.set(place, entry, 0);
                set.map_err(|error| error.to_string())?;
                self.cgroups.insert(place, entry);
            }
        }
        Ok(())
    }
}

/// Tells which processes are the host's, as was true when `attaches` moves into cgroups had happened;
/// whether it was so still at the end, or else nothing was told.
pub(super) fn tell_processes(
    ebpf: &mut Ebpf,
    attaches: u64,
    mut processes: impl Iterator<Item = HostProcess>,
) -> Result<bool, String> {
    if attached(ebpf)? != attaches {
        return Ok(false);
    }
    allow(ebpf, 0)?;
    let mut written = Vec::new();
    let told = processes.try_for_each(|process| {
        let place = host_place(process.pid);
        written.push(place);
        let key = host_key(process.pid, process.start);
        write(ebpf, place, [key, process.cgroup])
    });
    let same = told.and_then(|()| Ok(attached(ebpf)? == attaches));
    if same != Ok(true) {
        for place in written {
            set(ebpf, place, [0, 0])?;
        }
    }
    allow(ebpf, 1)?;
    same
}

/// How often somebody was put into a cgroup.
fn attached(ebpf: &mut Ebpf) -> Result<u64, String> {
    let counter = array::<u64>(ebpf, "ATTACHES")?.get(&0, 0);
    counter.map_err(|error| error.to_string())
}

fn allow(ebpf: &mut Ebpf, allowed: u64) -> Result<(), String> {
    let set = array::<u64>(ebpf, "ATTACHES")?.set(1, allowed, 0);
    set.map_err(|error| error.to_string())
}

/// Writes an entry, in steps that each leave it empty or complete.
fn write(ebpf: &mut Ebpf, place: u32, entry: [u64; 2]) -> Result<(), String> {
    let known = array::<[u64; 2]>(ebpf, "HOST_PROCESSES")?.get(&place, 0);
    let known = known.map_err(|error| error.to_string())?;
    if known == entry {
        return Ok(());
    }
    let [_, cgroup] = known;
    set(ebpf, place, [0, cgroup])?;
    set(ebpf, place, [0, entry[1]])?;
    set(ebpf, place, entry)
}

fn set(ebpf: &mut Ebpf, place: u32, entry: [u64; 2]) -> Result<(), String> {
    let set = array::<[u64; 2]>(ebpf, "HOST_PROCESSES")?.set(place, entry, 0);
    set.map_err(|error| error.to_string())
}
