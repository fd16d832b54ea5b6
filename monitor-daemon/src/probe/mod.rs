//! The programs in the kernel: loading, what they cover, what they lost, and their records.
//!
//! The only place that knows aya. What a kernel takes is found out by trying, kind by kind; the
//! result is told as [`Coverage`], so that nobody is blind without knowing.

mod again;
mod ahead;
mod btf;
mod cast;
mod change;
mod cover;
mod dispatch;
mod filter;
mod guard;
mod layout;
mod map;
mod object;
mod parts;
mod provider;
mod ring;
mod scope;
mod seal;
mod served;
mod standby;
mod table;

use std::io;
use std::path::{Path, PathBuf};

use aya::{EbpfError, Endianness};
use monitor_common::Kind;
use monitor_common::filter::Scope;
use monitor_common::loss::{KINDS_MAX, LOSS_STRIDE, LossReason};
use monitor_common::syscall::{self, CALLS, Call, Machine};

pub use btf::BtfError;
pub use change::{WATCHED, Wish};
pub use guard::Refused;
pub use map::{MapCost, costs as map_costs, tamper};
pub use object::{Cost, Loader};
pub use provider::Tier;
pub use ring::Rings;
pub use standby::SWITCHED_OFF;

use btf::Btf;
use cover::Chooser;
use guard::Guard;
use layout::Layout;
use object::Object;
use provider::{Hook, Part};
use seal::Seal;
use served::Served;

use crate::filter::Filters;
pub use scope::HostProcess;

/// Which tiers may be used.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Tiers {
    /// The best that the kernel takes.
    #[default]
    Auto,
    /// The end of system calls only.
    SyscallOnly,
    /// The kernel's own functions only.
    ObjectOnly,
    /// All that is left when somebody switches off programs at the kernel's functions.
    WithoutFunctions,
}

/// A hierarchy of cgroups.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub enum Hierarchy {
    /// That of cgroup v2, which hybrid hosts have too.
    #[default]
    Unified,
    /// One of cgroup v1.
    V1 {
        /// A controller that is attached to it, such as `pids`.
        controller: String,
        /// Its number in `/proc/cgroups`.
        number: u32,
    },
}

impl Hierarchy {
    /// The controller by which it is found; `None` for the unified one.
    pub fn controller(&self) -> Option<&str> {
        match self {
            Self::Unified => None,
            Self::V1 { controller, .. } => Some(controller),
        }
    }

    const fn number(&self) -> u32 {
        match self {
            Self::Unified => 0,
            Self::V1 { number, .. } => *number,
        }
    }
}

/// What to load.
#[derive(Clone, Debug)]
pub struct Request {
    /// Kinds wanted. Successful execs, forks, exits and cgroups are always recorded; failed execs
    /// if [`Kind::Exec`] is in the list.
    pub kinds: Vec<Kind>,
    /// System calls wanted, by their x86-64 numbers: of what comes from the end of calls, only
    /// these are recorded. `None` for all that the table of calls has.
    pub calls: Option<Vec<u32>>,
    /// Put the environment into exec records.
    pub environment: bool,
    /// Bytes of the ring for processes and cgroups; rounded up to a power of two of pages.
    pub lifecycle_bytes: u32,
    /// Bytes of the ring for what is rare as long as nobody repeats it: ids, namespaces, modules,
    /// execs that fail, signals; likewise.
    pub control_bytes: u32,
    /// Bytes of the ring for what comes in floods: files, sockets, other calls; likewise.
    pub bulk_bytes: u32,
    /// Which tiers may be used.
    pub tiers: Tiers,
    /// Process whose opens and connects are left out: the daemon, which would feed itself.
    pub skip_process: Option<u32>,
    /// The hierarchy of cgroups that tells containers apart.
    pub hierarchy: Hierarchy,
    /// Where all of the unified hierarchy is mounted, if it is; what needs it is not served else.
    pub cgroups: Option<PathBuf>,
    /// Keep others from killing and tracing that process, and off these programs and maps.
    pub protect: bool,
}

impl Default for Request {
    fn default() -> Self {
        Self {
            kinds: Kind::ALL.to_vec(),
            calls: None,
            environment: false,
            lifecycle_bytes: 4 << 20,
            control_bytes: 1 << 20,
            bulk_bytes: 4 << 20,
            tiers: Tiers::Auto,
            skip_process: None,
            hierarchy: Hierarchy::Unified,
            cgroups: None,
            protect: false,
        }
    }
}

impl Request {
    /// Whether a call, by its x86-64 number, is to be recorded.
    fn wants(&self, number: u32) -> bool {
        let calls = self.calls.as_ref();
        calls.is_none_or(|calls| calls.contains(&number))
    }

    /// The calls that are to make records of a kind.
    fn rows(&self, kind: Kind) -> impl Iterator<Item = Call> {
        let known = CALLS.iter().copied().filter(|_| self.calls.is_none());
        let named = self.calls.iter().flatten();
        let named = named.filter_map(|number| syscall::call(*number));
        known.chain(named).filter(move |call| call.kind == kind)
    }

    /// Whether a kind is recorded.
    fn has(&self, kind: Kind) -> bool {
        Kind::LIFECYCLE.contains(&kind) || self.kinds.contains(&kind)
    }

    /// Whether a part of a provider of a wanted kind is of use.
    fn wants_part(&self, part: &Part) -> bool {
        if !part.exists_on(Machine::OWN) {
            return false;
        }
        if let Hook::Uring(kind) | Hook::UringFailures(kind) = part.hook {
            return self.rows(kind).any(|call| call.uring().count() > 0);
        }
        if let Hook::Start(number) = part.hook {
            return self.calls.iter().flatten().any(|named| *named == number);
        }
        let call = part.call.map(|operation| operation.call().number);
        let mut calls = part.only.iter().copied().chain(call).peekable();
        calls.peek().is_none() || calls.any(|number| self.wants(number))
    }
}

/// How a kind of record is served on this kernel.
#[derive(Clone, Debug)]
pub struct Coverage {
    /// The kind.
    pub kind: Kind,
    /// The hooks that serve it, such as `tp_btf/sched_process_exec`; none if the kernel takes none.
    pub provider: Option<String>,
    /// Where they sit (for execs, those of successful ones).
    pub tier: Option<Tier>,
    /// Better providers, and parts of this one, that did not work, and why.
    pub refused: Vec<(String, String)>,
    /// What the provider cannot see, and why.
    pub blind: Vec<&'static str>,
}

/// Records lost in the kernel since load.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Loss {
    /// Kind of the records.
    pub kind: Kind,
    /// Why.
    pub reason: LossReason,
    /// CPU it happened on.
    pub cpu: u32,
    /// How many.
    pub count: u64,
}

/// Records lost in the kernel to tasks of one cgroup.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct CgroupLoss {
    /// Id of the cgroup, as in [`monitor_common::Task::cgroup`].
    pub cgroup: u64,
    /// Kind of the records.
    pub kind: Kind,
    /// How many since load, or since the kernel forgot the cgroup for others that lost more lately.
    pub count: u64,
}

/// Why nothing could be loaded at all.
#[derive(Debug, thiserror::Error)]
pub enum ProbeError {
    /// The kernel gives no type information.
    #[error("cannot read `{path}`: {source}; the kernel must be built with CONFIG_DEBUG_INFO_BTF")]
    NoBtf {
        /// Where it should be.
        path: &'static str,
        /// What the kernel said.
        source: io::Error,
    },
    /// The kernel's type information cannot be read.
    #[error("`{path}`: {source}")]
    BadBtf {
        /// Where it is.
        path: &'static str,
        /// What is wrong with it.
        source: BtfError,
    },
    /// Another file could not be read.
    #[error("cannot read `{path}`: {source}")]
    Read {
        /// The file.
        path: &'static str,
        /// What the kernel said.
        source: io::Error,
    },
    /// No right to load programs.
    #[error(
        "no permission to load kernel programs: run as root or with CAP_BPF and CAP_PERFMON, and \
         before Linux 5.11 with unlimited locked memory (`LimitMEMLOCK=infinity`)"
    )]
    Permission,
    /// The object or a map was refused.
    #[error("cannot load the kernel object: {0}")]
    Object(#[source] Box<EbpfError>),
    /// The object cannot be unpacked: this binary is damaged.
    #[error("cannot unpack the kernel object: {0}")]
    Packed(#[from] lz4_flex::block::DecompressError),
    /// The object lacks a map; the daemon and its object do not belong together.
    #[error("the kernel object has no map `{name}`")]
    Map {
        /// Its name.
        name: &'static str,
    },
    /// What serves a kind of event cannot serve more of it.
    #[error("what serves {} events does not take the calls that are to be added", kind.name())]
    Unextended {
        /// The kind.
        kind: Kind,
    },
    /// A table in the kernel cannot be written to.
    #[error("cannot change what the programs record: {0}")]
    Change(String),
    /// The rings cannot be mapped.
    #[error("cannot map the rings: {0}")]
    Rings(#[source] io::Error),
    /// The rings were taken before.
    #[error("the rings are already in use")]
    RingsTaken,
}

/// The loaded programs. They leave the kernel when this is dropped.
pub struct Probes {
    object: Object,
    request: Request,
    coverage: Vec<Coverage>,
    /// What serves each kind of these.
    served: Vec<Served>,
    /// Kinds of which the providers before these numbers delivered nothing.
    silent: Vec<(Kind, usize)>,
    /// The kernel objects as they were when last looked at.
    seal: Option<Seal>,
    /// What was done to them and not told yet.
    breaches: Vec<String>,
    /// Keeps others off, or why it cannot; `None` when that was not asked for.
    guard: Option<Result<Guard, String>>,
    rings: Option<Rings>,
}

impl Probes {
    /// Loads and attaches what the kernel takes of what is asked for.
    ///
    /// # Errors
    /// Only where nothing can work; a kind that cannot be served shows in [`Probes::coverage`].
    pub fn load(request: &Request) -> Result<Self, ProbeError> {
        Self::load_with(request, Loader::begin(request))
    }

    /// [`Probes::load`] with an object that was begun before.
    ///
    /// # Errors
    /// As that has.
    pub fn load_with(request: &Request, loader: Loader) -> Result<Self, ProbeError> {
        let (object, layout) = loader.finish(request)?;
        let mut object = object.with_turns(request, &layout)?;
        object.freeze();
        object.switch_environment(request)?;
        let rings = Rings::new([
            (object.ring("LIFECYCLE")?, request.lifecycle_bytes),
            (object.ring("CONTROL")?, request.control_bytes),
            (object.ring("BULK")?, request.bulk_bytes),
        ])
        .map_err(ProbeError::Rings)?;
        let chooser = Chooser {
            request,
            layout: &layout,
            turns: object.turns,
        };
        let kinds = Kind::ALL.into_iter().filter(|kind| request.has(*kind));
        let first: Vec<_> = kinds.clone().map(|kind| (kind, 0)).collect();
        object.load_ahead(|outcomes| chooser.wanted(&first, outcomes));
        let (coverage, served) = kinds
            .map(|kind| chooser.cover(&mut object, kind, 0))
            .unzip();
        let mut probes = Self {
            object,
            request: request.clone(),
            coverage,
            served,
            silent: Vec::new(),
            seal: None,
            breaches: Vec::new(),
            guard: None,
            rings: Some(rings),
        };
        if let Some(wide) = probes.watching(&probes.wish()) {
            probes.request = probes.request.clone().with(wide);
            let chooser = Chooser {
                request: &probes.request,
                layout: &layout,
                turns: probes.object.turns,
            };
            let (coverage, served) = chooser.cover(&mut probes.object, WATCHED.0, 0);
            probes.serve(coverage, served);
        }
        probes.watch_functions();
        probes.keep_standby()?;
        probes.guard = request.protect.then(|| Guard::attach(&mut probes.object));
        probes.object.finish();
        probes.seal = take_seal();
        Ok(probes)
    }

    /// The kinds that something serves.
    pub fn served(&self) -> Vec<Kind> {
        let served = self.served.iter().filter(|served| served.number.is_some());
        served.map(|served| served.kind).collect()
    }

    /// The programs that serve them: kind, name in the object, and hook for people.
    pub fn used(&self) -> impl Iterator<Item = (Kind, &'static str, String)> {
        let served = self.served.iter();
        served.flat_map(|served| {
            let parts = served.all();
            parts.map(|part| (served.kind, part.program, self.object.turns.name(part)))
        })
    }

    /// Whether a system call, by its x86-64 number, is recorded.
    pub fn records(&self, number: u32) -> bool {
        self.request.wants(number)
    }

    /// Why others cannot be kept off although that was asked for.
    pub fn unprotected(&self) -> Option<&str> {
        match &self.guard {
            Some(Err(reason)) => Some(reason),
            _ => None,
        }
    }

    /// Attempts that were refused since the last call.
    pub fn refusals(&mut self) -> Vec<Refused> {
        match &mut self.guard {
            Some(Ok(guard)) => guard.refusals(),
            _ => Vec::new(),
        }
    }

    /// Refused attempts that there was no room to tell of, since load.
    pub fn refusals_lost(&self) -> u64 {
        if !matches!(self.guard, Some(Ok(_))) {
            return 0;
        }
        let counters = self.object.counters::<1>("REFUSALS_LOST");
        counters.map_or(0, |cpus| cpus.iter().flatten().sum())
    }

    /// What somebody else has done to the programs, links and maps since the last call, in words:
    /// one for each object. What can be set right is. `strangers` are all processes of containers,
    /// by pid and start, which the filter must not take for the host's.
    pub fn tampered(&mut self, strangers: impl Iterator<Item = (u32, u64)>) -> Vec<String> {
        self.reseal(&[]);
        let mut found = std::mem::take(&mut self.breaches);
        // What the kernel side has put into the tables by itself is told otherwise.
        if !self.object.is_switched_off() {
            found.extend(self.object.repair(strangers));
        }
        found
    }

    /// What serves each kind, and what it cannot see.
    pub fn coverage(&self) -> &[Coverage] {
        &self.coverage
    }

    /// What each program costs the kernel.
    pub fn costs(&self) -> Vec<Cost> {
        self.object.costs()
    }

    /// The rings, once.
    pub fn rings(&mut self) -> Result<Rings, ProbeError> {
        self.rings.take().ok_or(ProbeError::RingsTaken)
    }

    /// All losses that are not zero.
    pub fn losses(&self) -> Result<Vec<Loss>, ProbeError> {
        const COUNT: usize = (KINDS_MAX * LOSS_STRIDE) as usize;
        let counters = self.object.counters::<COUNT>("LOSSES")?;
        let mut losses = Vec::new();
        for kind in Kind::ALL {
            for reason in LossReason::ALL {
                let index = kind as usize * LOSS_STRIDE as usize + reason as usize;
                let counts = counters.iter().map(|row| row.get(index).copied());
                for (cpu, count) in counts.enumerate() {
                    let count = count.unwrap_or_default();
                    if count > 0 {
                        losses.push(Loss {
                            kind,
                            reason,
                            cpu: cpu as u32,
                            count,
                        });
                    }
                }
            }
        }
        Ok(losses)
    }

    /// How many records of each kind found no room in their ring, for load. Where the counters cannot
    /// be read, [`Self::losses`] tells why.
    pub fn lost(&self) -> Vec<(Kind, u64)> {
        let losses = self.losses().unwrap_or_default();
        let sum = |kind| {
            let full = |loss: &&Loss| loss.kind == kind && loss.reason == LossReason::RingFull;
            let of_kind = losses.iter().filter(full);
            of_kind.map(|loss| loss.count).sum()
        };
        Kind::ALL.map(|kind| (kind, sum(kind))).into()
    }

    /// Losses by cgroup: at least those of the cgroups that lost something lately. Reading takes a
    /// system call or two for each.
    pub fn losses_by_cgroup(&self) -> Result<Vec<CgroupLoss>, ProbeError> {
        let loss = |([cgroup, number], count): ([u64; 2], u64)| {
            let kind = Kind::from_number(u16::try_from(number).ok()?)?;
            Some(CgroupLoss {
                cgroup,
                kind,
                count,
            })
        };
        let counters = self.object.pairs("LOST_BY_CGROUP")?;
        Ok(counters.into_iter().filter_map(loss).collect())
    }

    /// Calls of a program that the kernel left out because the program was running on that CPU
    /// already (it can be preempted on some kernels): name of the program and count, where not
    /// zero. Each may be a record that is missing.
    pub fn missed(&self) -> Vec<(&'static str, u64)> {
        self.object.missed()
    }

    /// Leaves out events that no rule can match, or (`None`) none.
    ///
    /// # Errors
    /// None may be left out then.
    pub fn filter(&mut self, filter: Option<&Filters>) -> Result<(), ProbeError> {
        self.object.filter(filter)
    }

    /// Tells the filter which cgroups are containers' and which the host's; of all others it is not
    /// known any more.
    ///
    /// # Errors
    /// Some are as they were before.
    pub fn tell_cgroups(
        &mut self,
        known: impl Iterator<Item = (u64, Scope)>,
    ) -> Result<(), ProbeError> {
        self.object.tell_cgroups(known)
    }

    /// Tells the filter which processes are the host's, as is known from all that the first
    /// `attaches` moves into cgroups told; `false` if there were more of them, and nothing was told.
    ///
    /// # Errors
    /// Some may not have been told.
    pub fn tell_processes(
        &mut self,
        attaches: u64,
        processes: impl Iterator<Item = HostProcess>,
    ) -> Result<bool, ProbeError> {
        self.object.tell_processes(attaches, processes)
    }

    /// Records that went into a ring, by kind.
    pub fn kept(&self) -> Result<Vec<(Kind, u64)>, ProbeError> {
        self.by_kind("KEPT")
    }

    /// Events that the filter left out, by kind.
    pub fn filtered(&self) -> Result<Vec<(Kind, u64)>, ProbeError> {
        self.by_kind("FILTERED")
    }

    fn by_kind(&self, map: &'static str) -> Result<Vec<(Kind, u64)>, ProbeError> {
        let counters = self.object.counters::<{ KINDS_MAX as usize }>(map)?;
        let sum = |kind: Kind| {
            let counts = counters.iter().filter_map(|row| row.get(kind as usize));
            counts.sum()
        };
        Ok(Kind::ALL
            .into_iter()
            .map(|kind| (kind, sum(kind)))
            .collect())
    }
}

fn take_seal() -> Option<Seal> {
    let seal = Seal::take(Path::new("/proc/self"));
    if let Err(error) = &seal {
        tracing::warn!(%error, "cannot look at the own kernel objects");
    }
    seal.ok()
}

/// What is needed of the running kernel's types, which are megabytes.
struct KernelTypes {
    /// What is read by programs.
    layout: Layout,
    /// What they are attached to, with its numbers.
    attachable: aya::Btf,
}

impl KernelTypes {
    fn read(request: &Request) -> Result<Self, ProbeError> {
        let path = btf::VMLINUX;
        let bytes = std::fs::read(path).map_err(|source| ProbeError::NoBtf { path, source })?;
        let types = Btf::parse(&bytes).map_err(|source| ProbeError::BadBtf { path, source })?;
        let functions = || table::functions().chain(guard::functions());
        let read = table::functions().chain(cover::functions());
        let layout = Layout::new(&types, request.hierarchy.controller(), read);
        let some = types.attachable(functions());
        let parsed = aya::Btf::parse(&some, Endianness::default());
        let attachable = parsed.map_err(|source| ProbeError::Object(Box::new(source.into())))?;
        Ok(Self { layout, attachable })
    }
}

/// Old kernels count maps against this limit. Where it cannot be raised the maps may still fit.
pub fn raise_memlock() {
    use rustix::process::{Resource, Rlimit, setrlimit};
    let unlimited = Rlimit {
        current: None,
        maximum: None,
    };
    if let Err(error) = setrlimit(Resource::Memlock, unlimited) {
        tracing::debug!(%error, "cannot raise RLIMIT_MEMLOCK");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_that_no_rule_names_has_no_entry() {
        // openat, mkdir, chown, getcpu: of a kind of their own, of calls by name, of no table.
        let named = vec![257, 83, 92, 309];
        let request = Request {
            calls: Some(named),
            ..Request::default()
        };
        let rows = Kind::ALL.iter().flat_map(|kind| request.rows(*kind));
        let mut found: Vec<u32> = rows.map(|call| call.number).collect();
        found.sort_unstable();
        assert_eq!(found, [83, 92, 257, 309]);
        let nothing = Request {
            calls: Some(Vec::new()),
            ..Request::default()
        };
        assert!(
            Kind::ALL
                .iter()
                .all(|kind| nothing.rows(*kind).count() == 0)
        );
        // Numbers that no kernel has yet are calls all the same; those of no table are none.
        assert!(syscall::call(1023).is_some() && syscall::call(1024).is_none());
    }
}
