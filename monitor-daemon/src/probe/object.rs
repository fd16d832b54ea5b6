//! The kernel object in this binary, and how its programs get into the kernel.

use std::collections::{BTreeMap, BTreeSet};
use std::os::fd::{AsFd, AsRawFd, RawFd};
use std::path::{Path, PathBuf};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};
use std::{fs, io};

use aya::maps::{HashMap, Map, MapData, MapError, PerCpuArray, PerCpuValues};
use aya::programs::{CgroupAttachMode, Program, ProgramError};
use aya::{Btf, BtfError, Ebpf, EbpfError, EbpfLoader, util};
use monitor_common::syscall::{self, Call, Machine};
use monitor_common::{ABI_SYMBOL, ABI_VERSION, SCRATCH_SLOTS};

use super::again::{self, Turns};
use super::ahead::{self, Outcomes, Wanted};
use super::cast;
use super::dispatch::Dispatch;
use super::filter;
use super::layout::{self, Layout};
use super::parts::{self, Parts};
use super::provider::{Hook, SCHEDULER, own_function};
use super::scope::{HostProcess, Scopes};
use super::served::Needs;
use super::{KernelTypes, ProbeError, Request};
use crate::confine;
use crate::filter::Filters;
use monitor_common::filter::Scope;

/// The object, compressed with its length in front.
static OBJECT: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/monitor.o"));

/// The maps that the daemon writes to once they are made; rings besides, of which it writes how far
/// it has read. What is tampered with in these is set right.
const WRITTEN: [&str; 15] = [
    "OPERATIONS",
    "URING_OPERATIONS",
    "SWITCHES",
    "STANDBY",
    "STANDBY_STATE",
    "FILTER_IN_FORCE",
    "FILTER_HEADS",
    "FILTER_STEPS",
    "SCOPES",
    "HOST_PROCESSES",
    "HOSTS_BELIEVED",
    "FILTER_FOUND",
    "NUMBER_HEADS",
    "NUMBER_TABLES",
    "OWN_OBJECTS",
];
/// Bytes of an instruction.
const INSTRUCTION: u32 = 8;

/// What a program costs the kernel.
#[derive(Clone, Debug)]
pub struct Cost {
    /// The program's name in the object.
    pub program: &'static str,
    /// Instructions that are left of it, dead ones removed; `None` where the kernel does not tell.
    pub instructions: Option<u32>,
    /// Instructions that the verifier looked at; `None` before 5.16.
    pub verified: Option<u32>,
    /// Time to load it: most of it is the verifier's.
    pub loading: Duration,
    /// Time to load and attach it.
    pub time: Duration,
}

/// The object and its maps, which do not depend on the rules, on their way.
#[derive(Debug)]
pub struct Loader(Option<JoinHandle<Result<Made, ProbeError>>>);

/// Without programs in the kernel, and what the kernel has to attach them to.
type Made = (Object, Layout);

impl Loader {
    /// Begins to make it, on a thread; of the request the kinds, the calls and the environment do not
    /// matter.
    pub fn begin(request: &Request) -> Self {
        let request = request.clone();
        let thread = thread::Builder::new().name("loader".to_owned());
        // Where there is no thread to be had, it is made when it is needed.
        Self(thread.spawn(move || Self::make(&request)).ok())
    }

    /// What was made.
    pub(super) fn finish(self, request: &Request) -> Result<Made, ProbeError> {
        let made = self.0.and_then(|thread| thread.join().ok());
        made.unwrap_or_else(|| Self::make(request))
    }

    /// Nothing is told to the log, which may not be there yet.
    fn make(request: &Request) -> Result<Made, ProbeError> {
        super::raise_memlock();
        let KernelTypes { layout, attachable } = KernelTypes::read(request)?;
        let object = Object::load(request, &layout, attachable, Turns::One)?;
        Ok((object, layout))
    }
}

/// A loader without the kernel's types. Making one reads all of them, for which the object has no use,
/// unless it finds none.
fn loader() -> EbpfLoader<'static> {
    let mut loader = confine::without_files(EbpfLoader::new).unwrap_or_default();
    loader.btf(None);
    loader
}

/// The object with its maps in the kernel; programs are loaded one by one.
pub(super) struct Object {
    pub(super) ebpf: Ebpf,
    /// The types of the running kernel that programs are attached to, for as long as some are:
    /// megabytes.
    btf: Option<Btf>,
    attached: Vec<&'static str>,
    /// Root of the unified hierarchy of cgroups.
    cgroups: Option<PathBuf>,
    /// How long each program took to load, and to be attached besides, the last time it did.
    times: Vec<(&'static str, [Duration; 2])>,
    /// What was loaded before it is attached.
    ahead: Outcomes,
    calls: Dispatch,
    uring: Dispatch,
    switches: Dispatch,
    filters: filter::Filters,
    scopes: Scopes,
    /// What stands by for when the kernel's functions are switched off.
    pub(super) standby: Vec<[u64; 2]>,
    parts: Parts,
    pub(super) turns: Turns,
}

impl Object {
    /// Makes the maps, with the layout of the running kernel.
    ///
    /// `btf` has the numbers of what programs are attached to.
    pub(super) fn load(
        request: &Request,
        layout: &Layout,
        btf: Btf,
        turns: Turns,
    ) -> Result<Self, ProbeError> {
        let cpus =
            util::nr_cpus().map_err(|(path, source)| ProbeError::Read { path, source })? as u32;
        let cast = cast::usable(layout.cast);
        let globals = [
            ("HAVE_CAST", u32::from(cast.is_some())),
            (ABI_SYMBOL, ABI_VERSION),
            ("SELF_PID", request.skip_process.unwrap_or(0)),
            ("CGROUP_HIERARCHY", request.hierarchy.number()),
            ("AGAIN", u32::from(turns != Turns::One)),
            ("BARE_CALLS", u32::from(turns == Turns::TwoAndBare)),
        ];
        let mut loader: EbpfLoader<'_> = loader();
        for (name, value) in globals
            .iter()
            .chain(&layout.offsets)
            .chain(&layout.parameters)
        {
            loader.override_global(name, value, true);
        }
        let numbers = layout::Numbers::new(Machine::OWN);
        loader
            .override_global("OWN_NUMBERS", &numbers.own[..], true)
            .override_global("COMPAT_NUMBERS", &numbers.compat[..], true)
            .map_max_entries("LIFECYCLE", request.lifecycle_bytes)
            .map_max_entries("CONTROL", request.control_bytes)
            .map_max_entries("BULK", request.bulk_bytes)
            .map_max_entries("SCRATCH", cpus * SCRATCH_SLOTS)
            .map_max_entries("SCRATCH_HELD", cpus)
            .map_max_entries("EXEC_SCRATCH", cpus * 2)
            .map_max_entries("TOLD_CALLS", turns.places());
        let mut object = lz4_flex::decompress_size_prepended(OBJECT)?;
        if turns == Turns::TwoAndBare {
            again::make_bare(&mut object);
        }
        let typed = layout.parameters.contains(&("HAVE_TASK_BTF", 1));
        cast::put(&mut object, cast, typed);
        let mut ebpf = loader.load(&object).map_err(object_error)?;
        drop(object);
        let parts = Parts::new(&mut ebpf)?;
        Ok(Self {
            ebpf,
            btf: Some(btf),
            attached: Vec::new(),
            cgroups: request.cgroups.clone(),
            times: Vec::new(),
            ahead: Outcomes::new(),
            calls: Dispatch::of_calls(),
            uring: Dispatch::of_uring(),
            switches: Dispatch::of_switches(),
            filters: filter::Filters::new(),
            scopes: Scopes::new(),
            standby: Vec::new(),
            parts,
            turns,
        })
    }

    /// Takes what attaching needs, again after [`Object::finish`].
    pub(super) fn resume(&mut self, btf: Btf) {
        self.btf = Some(btf);
    }

    /// Gives away what attaching needs.
    pub(super) fn take_types(&mut self) -> Option<Btf> {
        self.btf.take()
    }

    /// Whether a program is in the kernel.
    pub(super) fn is_attached(&self, name: &str) -> bool {
        self.attached.contains(&name)
    }

    /// Puts the environment into records of execs from now on, or leaves it out, as is asked for.
    pub(super) fn switch_environment(&mut self, request: &Request) -> Result<(), ProbeError> {
        let due = BTreeMap::from([(0, u64::from(request.environment))]);
        let done = self.switches.replace(&self.ebpf, &due);
        done.map_err(ProbeError::Change)
    }

    /// Puts a filter in force, or none.
    pub(super) fn filter(&mut self, filter: Option<&Filters>) -> Result<(), ProbeError> {
        let done = self.filters.set(&self.ebpf, filter);
        done.map_err(ProbeError::Change)
    }

    /// Tells of all cgroups whose scope is known.
    pub(super) fn tell_cgroups(
        &mut self,
        known: impl Iterator<Item = (u64, Scope)>,
    ) -> Result<(), ProbeError> {
        let told = self.scopes.tell_cgroups(&self.ebpf, known);
        told.map_err(ProbeError::Change)
    }

    /// Tells which processes are the host's; see [`Scopes::tell_processes`].
    pub(super) fn tell_processes(
        &mut self,
        attaches: u64,
        processes: impl Iterator<Item = HostProcess>,
    ) -> Result<bool, ProbeError> {
        let told = self.scopes.tell_processes(&self.ebpf, attaches, processes);
        told.map_err(ProbeError::Change)
    }

    /// Turns off what these needs do not have, and takes its programs out of the kernel; the ids of
    /// those.
    pub(super) fn keep(&mut self, needs: &Needs) -> Result<Vec<u32>, ProbeError> {
        let ebpf = &self.ebpf;
        let calls = self.calls.replace(ebpf, &needs.calls);
        let done = calls.and_then(|()| self.uring.replace(ebpf, &needs.uring));
        done.map_err(ProbeError::Change)?;
        let gone = self.attached.iter().filter(|name| !needs.keeps(name));
        let gone: Vec<&'static str> = gone.copied().collect();
        let ids = gone
            .iter()
            .filter_map(|name| self.program_id(name))
            .collect();
        for name in gone {
            self.detach(name);
        }
        Ok(ids)
    }

    fn program_id(&self, name: &str) -> Option<u32> {
        Some(self.ebpf.program(name)?.info().ok()?.id())
    }

    /// Loads, on all CPUs, what `wanted` names given what came of the others; attaching goes by
    /// that.
    pub(super) fn load_ahead(&mut self, wanted: impl Fn(&Outcomes) -> Vec<Wanted> + Sync) {
        let attached = &self.attached;
        let wanted = |outcomes: &Outcomes| {
            let mut wanted = wanted(outcomes);
            wanted.retain(|(name, _)| !attached.contains(name));
            wanted
        };
        if let Some(btf) = &self.btf {
            self.ahead = ahead::load_all(self.ebpf.programs_mut(), btf, wanted);
        }
    }

    /// Loads, if that was not done ahead, and attaches a program; the error says why the kernel
    /// would not.
    pub(super) fn attach(&mut self, name: &'static str, hook: Hook) -> Result<(), String> {
        if self.attached.contains(&name) {
            return Ok(());
        }
        let btf = self.btf.as_ref().ok_or("all programs are attached")?;
        let program = self
            .ebpf
            .program_mut(name)
            .ok_or("the object has no such program")?;
        let begin = Instant::now();
        let loaded = match self.ahead.get(name).cloned() {
            Some(outcome) => outcome?,
            None => load(program, hook, btf)
                .map(|()| begin.elapsed())
                .map_err(|error| refusal(&error))
                .inspect_err(|_| unload(program))?,
        };
        let begin = Instant::now();
        let attached = if parts::is_part(name) {
            self.parts.put(name, program)
        } else {
            attach(program, hook, self.cgroups.as_deref())
        };
        if let Err(error) = attached {
            self.ahead.remove(name);
            unload(program);
            return Err(error);
        }
        self.times.retain(|(other, _)| *other != name);
        self.times.push((name, [loaded, begin.elapsed()]));
        self.attached.push(name);
        Ok(())
    }

    /// What the programs in the kernel cost it, in the order in which they came there.
    pub(super) fn costs(&self) -> Vec<Cost> {
        let times = self.times.iter();
        let loaded = times.filter(|(name, _)| self.attached.contains(name));
        let cost = |(name, [loading, attaching]): &(&'static str, [Duration; 2])| {
            let told = self
                .ebpf
                .program(name)
                .and_then(|program| program.info().ok());
            Cost {
                program: name,
                instructions: told
                    .as_ref()
                    .and_then(|told| Some(told.size_translated()? / INSTRUCTION)),
                verified: told.and_then(|told| told.verified_instruction_count()),
                loading: *loading,
                time: *loading + *attaching,
            }
        };
        loaded.map(cost).collect()
    }

    /// Forgets what only attaching needs.
    pub(super) fn finish(&mut self) {
        self.btf = None;
        self.end_search();
        for (name, _) in std::mem::take(&mut self.ahead) {
            if !self.attached.contains(&name)
                && let Some(program) = self.ebpf.program_mut(name)
            {
                unload(program);
            }
        }
    }

    /// Takes a program out of the kernel, if it is there.
    pub(super) fn detach(&mut self, name: &str) {
        self.parts.take(name);
        if let Some(program) = self.ebpf.program_mut(name) {
            unload(program);
        }
        self.attached.retain(|attached| *attached != name);
    }

    /// How often the kernel left out each attached program because it was running on that CPU
    /// already; only counts that are not zero.
    pub(super) fn missed(&self) -> Vec<(&'static str, u64)> {
        let count = |name: &&'static str| {
            let fd = fd_of(self.ebpf.program(name)?)?;
            // `bpf_prog_show_fdinfo` of `kernel/bpf/syscall.c`, since 5.12.
            let text = fs::read_to_string(format!("/proc/self/fdinfo/{fd}")).ok()?;
            let count = text
                .lines()
                .find_map(|line| line.strip_prefix("recursion_misses:"))?;
            let count = count.trim().parse().ok()?;
            (count > 0).then_some((*name, count))
        };
        self.attached.iter().filter_map(count).collect()
    }

    /// Turns system calls on in the program at their end; `bits` as of [`Hook::bits`]. What
    /// is on already stays as it is.
    pub(super) fn serve(
        &mut self,
        calls: impl Iterator<Item = Call>,
        bits: u64,
    ) -> Result<(), String> {
        for call in calls {
            for index in call.indices(Machine::OWN) {
                let known = self.calls.due(index);
                let moves = bits == Call::APART && known & Call::APART == 0;
                // One that is there for files that come is served for nothing yet, and one that is
                // served for its failures, or apart, may come to be served with all.
                let served = known as u8 != 0;
                let partly = known & (Call::PARTLY | Call::APART) != 0;
                if !served || moves || bits == 0 && partly {
                    let entry = call.entry_at(index) | bits | known & Call::PASSES;
                    self.calls.set(&self.ebpf, index, entry)?;
                }
            }
        }
        Ok(())
    }

    /// Turns the look for open files on at the end of the calls by which they come.
    pub(super) fn serve_passed(&mut self) -> Result<(), String> {
        for call in Call::PASSING.into_iter().filter_map(syscall::call) {
            for index in call.indices(Machine::OWN) {
                let number = u64::from(call.number) << 16;
                let entry = self.calls.due(index) | number | Call::PASSES;
                self.calls.set(&self.ebpf, index, entry)?;
            }
        }
        Ok(())
    }

    /// Sets right what somebody else wrote into the maps that the daemon writes to; in words what
    /// that was, one for each map. `strangers` are as in [`Scopes::repair`].
    pub(super) fn repair(&mut self, strangers: impl Iterator<Item = (u32, u64)>) -> Vec<String> {
        let ebpf = &self.ebpf;
        let tables = [&mut self.calls, &mut self.uring, &mut self.switches];
        let tables = tables.into_iter().filter_map(|table| table.repair(ebpf));
        let mut changed: Vec<String> = tables.collect();
        changed.extend(self.filters.repair(ebpf));
        changed.extend(self.scopes.repair(ebpf, strangers));
        changed.extend(self.parts.repair(ebpf));
        changed.extend(self.repair_standby());
        changed
    }

    /// Keeps everybody from writing to the maps that only the programs write to.
    pub(super) fn freeze(&self) {
        for (name, map) in self.ebpf.maps() {
            // Read-only data is frozen by the loader.
            if WRITTEN.contains(&name) || name.starts_with(".rodata") {
                continue;
            }
            let frozen = match map {
                Map::Array(map)
                | Map::HashMap(map)
                | Map::LruHashMap(map)
                | Map::PerCpuArray(map) => monitor_freeze::freeze(map.fd().as_fd()),
                _ => continue,
            };
            if let Err(error) = frozen {
                tracing::warn!(map = name, %error, "others may write to a map");
            }
        }
    }

    /// Attaches a program of the security module at a hook; the error says why the kernel would not.
    pub(super) fn attach_lsm(&mut self, name: &'static str, hook: &str) -> Result<(), String> {
        let btf = self.btf.as_ref().ok_or("all programs are attached")?;
        let program = self.ebpf.program_mut(name);
        let Some(Program::Lsm(program)) = program else {
            return Err("the object has no such program".to_owned());
        };
        let done = program.load(hook, btf).and_then(|()| program.attach());
        done.map(drop).map_err(|error| {
            // It fails only if the program is not loaded, which is what is wanted.
            drop(program.unload());
            refusal(&error)
        })
    }

    /// Tells the guard which objects are the daemon's.
    pub(super) fn own(&mut self, objects: impl Iterator<Item = u64>) -> Result<(), String> {
        let map = self.ebpf.map_mut("OWN_OBJECTS");
        let map = map.ok_or("the object has no `OWN_OBJECTS`")?;
        let failed = |error: MapError| error.to_string();
        let mut own = HashMap::<_, u64, u8>::try_from(map).map_err(failed)?;
        let objects: BTreeSet<u64> = objects.collect();
        for object in &objects {
            own.insert(object, 1, 0).map_err(failed)?;
        }
        // Of programs that were taken out since.
        let known = own
            .keys()
            .collect::<Result<Vec<u64>, _>>()
            .map_err(failed)?;
        for object in known.iter().filter(|object| !objects.contains(object)) {
            own.remove(object).map_err(failed)?;
        }
        Ok(())
    }

    /// Turns on the operations of `io_uring` that are told as these calls; `bits` as for
    /// [`Object::serve`].
    pub(super) fn serve_uring(
        &mut self,
        calls: impl Iterator<Item = Call>,
        bits: u64,
    ) -> Result<(), String> {
        for call in calls {
            for operation in call.uring() {
                let entry = call.entry() | bits;
                self.uring.set(&self.ebpf, operation, entry)?;
            }
        }
        Ok(())
    }

    /// Hands out one of the rings; works once each.
    pub(super) fn ring(&mut self, name: &'static str) -> Result<MapData, ProbeError> {
        match self.ebpf.take_map(name) {
            Some(Map::RingBuf(ring)) => Ok(ring),
            _ => Err(ProbeError::Map { name }),
        }
    }

    /// A hash map of counters by pairs of numbers. What changes meanwhile may be missed.
    pub(super) fn pairs(&self, name: &'static str) -> Result<Vec<([u64; 2], u64)>, ProbeError> {
        let map = self.ebpf.map(name).ok_or(ProbeError::Map { name })?;
        let failed = |source: MapError| ProbeError::Object(Box::new(source.into()));
        let map = HashMap::<_, [u64; 2], u64>::try_from(map).map_err(failed)?;
        map.iter().map(|entry| entry.map_err(failed)).collect()
    }

    /// Counters of a map: one row for each CPU.
    pub(super) fn counters<const COUNT: usize>(
        &self,
        name: &'static str,
    ) -> Result<PerCpuValues<[u64; COUNT]>, ProbeError> {
        let map = self.ebpf.map(name).ok_or(ProbeError::Map { name })?;
        let failed = |source: MapError| ProbeError::Object(Box::new(source.into()));
        let rows = PerCpuArray::<_, [u64; COUNT]>::try_from(map).map_err(failed)?;
        rows.get(&0, 0).map_err(failed)
    }
}

/// Brings a program into the kernel.
pub(super) fn load(program: &mut Program, hook: Hook, btf: &Btf) -> Result<(), ProgramError> {
    match (program, hook) {
        (Program::BtfTracePoint(program), Hook::Tracepoint(name)) => program.load(name, btf),
        (
            Program::BtfTracePoint(program),
            Hook::Calls(_)
            | Hook::CallsApart(_)
            | Hook::Failures(_)
            | Hook::Untold(_)
            | Hook::Passed,
        ) => program.load("sys_exit", btf),
        (Program::TracePoint(program), _) => program.load(),
        (Program::BtfTracePoint(program), Hook::Start(_)) => program.load("sys_enter", btf),
        (Program::FEntry(program), Hook::Entry(function, _)) => program.load(function, btf),
        (Program::FExit(program), Hook::Exit(function, _) | Hook::ExitAnywhere(function)) => {
            program.load(&own_function(function), btf)
        }
        (Program::CgroupSkb(program), Hook::Cgroup(_)) => program.load(),
        (Program::CgroupSock(program), Hook::Cgroup(_)) => program.load(),
        (Program::CgroupSockAddr(program), Hook::Cgroup(_)) => program.load(),
        (Program::CgroupSysctl(program), Hook::Cgroup(_)) => program.load(),
        _ => Err(ProgramError::UnexpectedProgramType),
    }
}

/// Attaches a program that is loaded; `cgroups` is the root of the unified hierarchy, where programs
/// of others stay: a link adds to them.
fn attach(program: &mut Program, hook: Hook, cgroups: Option<&Path>) -> Result<(), String> {
    let root = || {
        let root = cgroups.ok_or("the unified hierarchy of cgroups is not mounted as a whole")?;
        fs::File::open(root).map_err(|error| error.to_string())
    };
    let mode = CgroupAttachMode::Single;
    let done = match program {
        Program::BtfTracePoint(program) => program.attach().map(drop),
        Program::TracePoint(program) => {
            let (category, name) = match hook {
                Hook::Bare(name) => (SCHEDULER, name),
                Hook::Start(_) => ("raw_syscalls", "sys_enter"),
                _ => ("raw_syscalls", "sys_exit"),
            };
            program.attach(category, name).map(drop)
        }
        Program::FEntry(program) => program.attach().map(drop),
        Program::FExit(program) => program.attach().map(drop),
        Program::CgroupSkb(program) => match *program.expected_attach_type() {
            Some(direction) => program.attach(root()?, direction, mode).map(drop),
            None => Err(ProgramError::UnexpectedProgramType),
        },
        Program::CgroupSock(program) => program.attach(root()?, mode).map(drop),
        Program::CgroupSockAddr(program) => program.attach(root()?, mode).map(drop),
        Program::CgroupSysctl(program) => program.attach(root()?, mode).map(drop),
        _ => Err(ProgramError::UnexpectedProgramType),
    };
    done.map_err(|error| refusal(&error))
}

/// Takes a program out of the kernel.
pub(super) fn unload(program: &mut Program) {
    let done = match program {
        Program::BtfTracePoint(program) => program.unload(),
        Program::TracePoint(program) => program.unload(),
        Program::FEntry(program) => program.unload(),
        Program::FExit(program) => program.unload(),
        Program::CgroupSkb(program) => program.unload(),
        Program::CgroupSock(program) => program.unload(),
        Program::CgroupSockAddr(program) => program.unload(),
        Program::CgroupSysctl(program) => program.unload(),
        Program::Lsm(program) => program.unload(),
        _ => Ok(()),
    };
    // It fails only if the program is not loaded, which is what is wanted.
    drop(done);
}

fn fd_of(program: &Program) -> Option<RawFd> {
    let fd = match program {
        Program::BtfTracePoint(program) => program.fd(),
        Program::TracePoint(program) => program.fd(),
        Program::FEntry(program) => program.fd(),
        Program::FExit(program) => program.fd(),
        Program::CgroupSkb(program) => program.fd(),
        Program::CgroupSock(program) => program.fd(),
        Program::CgroupSockAddr(program) => program.fd(),
        Program::CgroupSysctl(program) => program.fd(),
        _ => return None,
    };
    Some(fd.ok()?.as_fd().as_raw_fd())
}

fn object_error(error: EbpfError) -> ProbeError {
    let (EbpfError::MapError(MapError::CreateError { io_error, .. })
    | EbpfError::BtfError(BtfError::LoadError { io_error, .. })) = &error
    else {
        return ProbeError::Object(Box::new(error));
    };
    match io_error.kind() {
        io::ErrorKind::PermissionDenied => ProbeError::Permission,
        _ => ProbeError::Object(Box::new(error)),
    }
}

/// Why the kernel did not take a program, in a line.
pub(super) fn refusal(error: &ProgramError) -> String {
    match error {
        ProgramError::LoadError {
            io_error,
            verifier_log,
        } => {
            let log = verifier_log.to_string();
            match (last_line(&log), io_error.kind()) {
                (Some(line), _) => format!("refused by the verifier: {line}"),
                (None, io::ErrorKind::PermissionDenied) => {
                    "refused by this kernel (lockdown?)".to_owned()
                }
                (None, _) => format!("refused by this kernel: {io_error}"),
            }
        }
        ProgramError::SyscallError(error) => {
            format!("refused by this kernel: {}: {}", error.call, error.io_error)
        }
        ProgramError::Btf(error) => format!("not in this kernel: {error}"),
        other => other.to_string(),
    }
}

/// The last line of a verifier log that says something.
fn last_line(log: &str) -> Option<&str> {
    log.lines().map(str::trim).rfind(|line| {
        !line.is_empty()
            && !["processed ", "verification time", "stack depth"]
                .iter()
                .any(|no| line.starts_with(no))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reason_of_the_verifier_is_its_last_word() {
        let log =
            "func#0 @0\n0: R1=ctx()\nunknown func bpf_loop#181\nprocessed 9 insns (limit 1)\n";
        assert_eq!(last_line(log), Some("unknown func bpf_loop#181"));
        assert_eq!(last_line("\n"), None);
    }
}
