//! The tables in the kernel that say which calls are recorded, and copies that say what is due:
//! who can call `bpf(2)` can write to the former.

use std::collections::{BTreeMap, BTreeSet};
use std::os::fd::{AsFd as _, BorrowedFd};

use aya::Ebpf;
use aya::maps::Map;
use monitor_common::syscall::{NUMBERS, SOCKETCALLS, uring};
use monitor_memory::Words;
use zerocopy::{Immutable, IntoBytes};

/// Name of the table of calls.
pub(super) const OPERATIONS: &str = "OPERATIONS";

/// One of the tables, an array.
pub(super) struct Dispatch {
    map: &'static str,
    length: u32,
    /// The map, once it was needed.
    table: Option<Words>,
    /// What the map has to hold, where that is not 0.
    due: BTreeMap<u32, u64>,
}

impl Dispatch {
    /// What to do at the end of each system call: those of i386 behind [`NUMBERS`], and behind these
    /// the calls of socketcall(2).
    pub(super) fn of_calls() -> Self {
        Self::new(OPERATIONS, 2 * NUMBERS + SOCKETCALLS)
    }

    /// What to do with each operation of `io_uring`.
    pub(super) fn of_uring() -> Self {
        Self::new("URING_OPERATIONS", uring::OPERATIONS)
    }

    /// What may be switched on and off: the environment in records of execs.
    pub(super) fn of_switches() -> Self {
        Self::new("SWITCHES", 1)
    }

    /// Which filters are in force: that of opens, and that of other kinds.
    pub(super) fn of_filters() -> Self {
        Self::new("FILTER_IN_FORCE", 2)
    }

    /// Whether processes may be taken for the host's, as the filter does.
    pub(super) fn of_hosts() -> Self {
        Self::new("HOSTS_BELIEVED", 1)
    }

    fn new(map: &'static str, length: u32) -> Self {
        Self {
            map,
            length,
            table: None,
            due: BTreeMap::new(),
        }
    }

    /// What is due at an index; 0 for nothing.
    pub(super) fn due(&self, index: u32) -> u64 {
        self.due.get(&index).copied().unwrap_or_default()
    }

    /// Makes `entry` due at an index.
    pub(super) fn set(&mut self, ebpf: &Ebpf, index: u32, entry: u64) -> Result<(), String> {
        let set = self.table(ebpf)?.set(index as usize, entry);
        set.map_err(|error| error.to_string())?;
        match entry {
            0 => self.due.remove(&index),
            _ => self.due.insert(index, entry),
        };
        Ok(())
    }

    /// Makes these entries due and no other.
    pub(super) fn replace(&mut self, ebpf: &Ebpf, due: &BTreeMap<u32, u64>) -> Result<(), String> {
        let known = self.due.keys().chain(due.keys());
        let indices: BTreeSet<u32> = known.copied().collect();
        for index in indices {
            let entry = due.get(&index).copied().unwrap_or_default();
            if entry != self.due(index) {
                self.set(ebpf, index, entry)?;
            }
        }
        Ok(())
    }

    /// Sets right what somebody else wrote into the map; in words what that was, if anything.
    pub(super) fn repair(&mut self, ebpf: &Ebpf) -> Option<String> {
        match self.wrong(ebpf) {
            Ok(wrong) if wrong.is_empty() => None,
            Ok(wrong) => Some(self.told(&wrong)),
            Err(error) => told(self.map, Err(error)),
        }
    }

    fn wrong(&mut self, ebpf: &Ebpf) -> Result<Vec<u32>, String> {
        let mut wrong = Vec::new();
        for index in 0..self.length {
            let due = self.due(index);
            let table = self.table(ebpf)?;
            if table.get(index as usize) != Some(due) {
                let set = table.set(index as usize, due);
                set.map_err(|error| error.to_string())?;
                wrong.push(index);
            }
        }
        Ok(wrong)
    }

    fn told(&self, wrong: &[u32]) -> String {
        const SHOWN: usize = 8;
        let name = |index: &u32| match (index / NUMBERS, index % NUMBERS) {
            (0, number) => number.to_string(),
            (1, number) => format!("{number} (i386)"),
            (_, number) => format!("{number} (socketcall)"),
        };
        let mut numbers: Vec<String> = wrong.iter().take(SHOWN).map(name).collect();
        if wrong.len() > SHOWN {
            numbers.push(format!("{} more", wrong.len() - SHOWN));
        }
        format!(
            "the map {} was changed at {}, and is set right again",
            self.map,
            numbers.join(", ")
        )
    }

    fn table(&mut self, ebpf: &Ebpf) -> Result<&Words, String> {
        let table = match self.table.take() {
            Some(table) => table,
            None => writable(ebpf, self.map, self.length as usize)?,
        };
        Ok(self.table.insert(table))
    }
}

/// Sets right what somebody else wrote into an array, from an index on; whether there was anything.
pub(super) fn hold<T: IntoBytes + Immutable>(
    ebpf: &Ebpf,
    name: &str,
    from: u32,
    due: &[T],
) -> Result<bool, String> {
    let each = size_of::<T>() / size_of::<u64>();
    let from_word = from as usize * each;
    let table = writable(ebpf, name, from_word + due.len() * each)?;
    let mut changed = false;
    for (place, due) in (from_word..).step_by(each).zip(due) {
        if !table.hold(place, due.as_bytes()) {
            let put = table.put(place, due.as_bytes());
            put.map_err(|error| error.to_string())?;
            changed = true;
        }
    }
    Ok(changed)
}

/// The first words of an array of the object, to look at. (A look or a write by `bpf(2)` keeps
/// programs from running, ADR 18.)
pub(super) fn words(ebpf: &Ebpf, name: &str, count: usize) -> Result<Words, String> {
    let words = Words::new(array(ebpf, name)?, count);
    words.map_err(|error| format!("`{name}` cannot be mapped: {error}"))
}

/// The same to write to.
pub(super) fn writable(ebpf: &Ebpf, name: &str, count: usize) -> Result<Words, String> {
    let words = Words::writable(array(ebpf, name)?, count);
    words.map_err(|error| format!("`{name}` cannot be mapped to be written to: {error}"))
}

fn array<'object>(ebpf: &'object Ebpf, name: &str) -> Result<BorrowedFd<'object>, String> {
    match ebpf.map(name) {
        Some(Map::Array(map)) => Ok(map.fd().as_fd()),
        _ => Err(format!("the object has no array `{name}`")),
    }
}

/// What was done to a map of which no single entry says anything to people, if anything was.
pub(super) fn told(name: &str, changed: Result<bool, String>) -> Option<String> {
    match changed {
        Ok(false) => None,
        Ok(true) => Some(format!(
            "the map {name} was changed, and is set right again"
        )),
        Err(error) => Some(format!("the map {name} cannot be set right: {error}")),
    }
}
