//! The programs that wanted calls go on in: which these are, and the array by which the program at
//! the end of all calls finds them. Who can call `bpf(2)` can write to that, so it is looked after.

use std::collections::{BTreeMap, BTreeSet};
use std::os::fd::AsFd as _;

use aya::Ebpf;
use aya::maps::{Array, Map, MapData, MapError, ProgramArray};
use aya::programs::{Program, ProgramFd};
use monitor_common::syscall::{Call, Operation, PASSED_PART};

use super::ProbeError;

const MAP: &str = "CALL_PARTS";
/// The program that looks for open files that come by a call.
const PASSED: &str = "call_passed";

/// The program that calls of an operation go on in.
const fn program(operation: Operation) -> &'static str {
    match operation {
        Operation::Open
        | Operation::OpenAt
        | Operation::OpenAt2
        | Operation::Creat
        | Operation::OpenByHandle => "call_open",
        Operation::Connect
        | Operation::Socket
        | Operation::Dup
        | Operation::Dup2
        | Operation::Dup3
        | Operation::Fcntl => "call_socket",
        Operation::Accept | Operation::Accept4 | Operation::Listen | Operation::Bind => {
            "call_serve"
        }
        Operation::SendTo | Operation::SendMsg | Operation::SendMmsg => "call_send",
        Operation::RecvFrom | Operation::RecvMsg | Operation::RecvMmsg => "call_receive",
        Operation::Symlink | Operation::SymlinkAt | Operation::Link | Operation::LinkAt => {
            "call_link"
        }
        Operation::Ptrace
        | Operation::Execve
        | Operation::ExecveAt
        | Operation::Clone
        | Operation::Clone3 => "call_process",
        Operation::InitModule | Operation::FinitModule | Operation::Registers => "call_registers",
    }
}

/// The program in a slot.
fn program_at(slot: u32) -> Option<&'static str> {
    if slot == PASSED_PART {
        return Some(PASSED);
    }
    let operation = Operation::ALL.get(slot.checked_sub(1)? as usize)?;
    Some(program(*operation))
}

/// The slots of a program; none if it has a hook of its own.
fn slots(program: &str) -> impl Iterator<Item = u32> {
    (1..=PASSED_PART).filter(move |slot| program_at(*slot) == Some(program))
}

/// Whether calls go on in a program: it is not attached then.
pub(super) fn is_part(program: &str) -> bool {
    slots(program).next().is_some()
}

/// The programs that calls with these entries in the table of calls go on in.
pub(super) fn programs(entries: impl Iterator<Item = u64>) -> BTreeSet<&'static str> {
    let mut programs = BTreeSet::new();
    for entry in entries.filter(|entry| entry & Call::APART == 0) {
        programs.extend(program_at(u32::from(entry as u8)));
        if entry & Call::PASSES != 0 {
            programs.insert(PASSED);
        }
    }
    programs
}

/// The array.
pub(super) struct Parts {
    array: ProgramArray<MapData>,
    /// The same, as the kernel tells user space of it: ids of programs.
    ids: Array<MapData, u32>,
    /// Which programs have to be there.
    due: BTreeSet<&'static str>,
}

impl Parts {
    /// Takes the object's array.
    pub(super) fn new(ebpf: &mut Ebpf) -> Result<Self, ProbeError> {
        let failed = |source: MapError| ProbeError::Object(Box::new(source.into()));
        let Some(Map::ProgramArray(data)) = ebpf.take_map(MAP) else {
            return Err(ProbeError::Map { name: MAP });
        };
        let second = data.fd().as_fd().try_clone_to_owned();
        let second = second.map_err(|source| ProbeError::Read { path: MAP, source })?;
        let second = MapData::from_fd(second).map_err(failed)?;
        Ok(Self {
            array: ProgramArray::try_from(Map::ProgramArray(data)).map_err(failed)?,
            ids: Array::try_from(Map::Array(second)).map_err(failed)?,
            due: BTreeSet::new(),
        })
    }

    /// Lets calls go on in a program that is loaded.
    pub(super) fn put(&mut self, name: &'static str, program: &Program) -> Result<(), String> {
        let fd = fd_of(program).ok_or("it is not loaded")?;
        for slot in slots(name) {
            let set = self.array.set(slot, fd, 0);
            set.map_err(|error| error.to_string())?;
        }
        self.due.insert(name);
        Ok(())
    }

    /// Takes a program out, if it is there.
    pub(super) fn take(&mut self, name: &str) {
        if self.due.remove(name) {
            for slot in slots(name) {
                // It fails only if the slot is empty, which is what is wanted.
                drop(self.array.clear_index(&slot));
            }
        }
    }

    /// Sets right what somebody else did to the array; in words what that was, if anything.
    pub(super) fn repair(&mut self, ebpf: &Ebpf) -> Option<String> {
        let mut wrong: BTreeMap<&str, u32> = BTreeMap::new();
        for slot in 1..=PASSED_PART {
            let name = program_at(slot).filter(|name| self.due.contains(name));
            let program = name.and_then(|name| ebpf.program(name));
            let due = program.and_then(|program| Some(program.info().ok()?.id()));
            if self.ids.get(&slot, 0).ok() == due {
                continue;
            }
            *wrong.entry(name.unwrap_or("none")).or_default() += 1;
            let done = match program.and_then(fd_of) {
                Some(fd) => self.array.set(slot, fd, 0),
                None => self.array.clear_index(&slot),
            };
            if let Err(error) = done {
                return Some(format!("the map {MAP} cannot be set right: {error}"));
            }
        }
        if wrong.is_empty() {
            return None;
        }
        let names: Vec<&str> = wrong.into_keys().collect();
        Some(format!(
            "the map {MAP} was changed where it had {}, and is set right again",
            names.join(", ")
        ))
    }
}

fn fd_of(program: &Program) -> Option<&ProgramFd> {
    match program {
        Program::BtfTracePoint(program) => program.fd().ok(),
        Program::TracePoint(program) => program.fd().ok(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use monitor_common::Kind;
    use monitor_common::syscall;

    use super::*;

    #[test]
    fn calls_go_on_where_their_operation_is() {
        let entry = |number| syscall::call(number).unwrap().entry();
        let of = |entries: &[u64]| -> Vec<&str> {
            programs(entries.iter().copied()).into_iter().collect()
        };
        // openat, renameat, recvmsg, mmap.
        for (entries, expected) in [
            (
                &[entry(257), entry(264)][..],
                &["call_open", "call_registers"][..],
            ),
            (
                &[entry(47) | Call::PASSES],
                &["call_passed", "call_receive"],
            ),
            (&[47 << 16 | Call::PASSES], &["call_passed"]),
            (&[entry(9) | Call::APART], &[]),
        ] {
            assert_eq!(of(entries), expected);
        }
        assert_eq!(syscall::call(9).unwrap().kind, Kind::Memory);
    }

    #[test]
    fn every_slot_has_a_program_and_no_hook_is_a_part() {
        assert!((1..=PASSED_PART).all(|slot| program_at(slot).is_some()));
        assert_eq!((program_at(0), program_at(PASSED_PART + 1)), (None, None));
        assert_eq!(slots("call_link").collect::<Vec<_>>(), [8, 9, 10, 11]);
        assert!(!is_part("sys_exit") && is_part(PASSED));
    }
}
