//! Keeping others off the daemon, where BPF programs are a security module (`protect`).

use std::borrow::Cow;
use std::path::Path;

use aya::maps::{Map, MapData, RingBuf};
use monitor_common::Task;
use monitor_common::guard::{Refusal, What};
use zerocopy::FromBytes as _;

use super::ProbeError;
use super::object::Object;
use super::seal::Seal;

/// Programs and their hooks. Each is needed: what one leaves open makes the others useless.
const PROGRAMS: [(&str, &str); 5] = [
    ("guard_signal", "task_kill"),
    ("guard_trace", "ptrace_access_check"),
    ("guard_map", "bpf_map"),
    ("guard_program", "bpf_prog"),
    ("guard_link", "bpf"),
];
/// The active security modules.
const MODULES: &str = "/sys/kernel/security/lsm";

/// An attempt that was refused.
#[derive(Clone, Copy, Debug)]
pub struct Refused {
    /// When, `CLOCK_BOOTTIME` ns.
    pub time: u64,
    /// Who tried: ids, start, cgroup and name, the rest is 0.
    pub task: Task,
    /// What.
    pub what: What,
    /// The signal, or the id of the map, program or link.
    pub number: u32,
}

impl Refused {
    /// Whether the same process tried the same.
    pub fn is_like(&self, other: &Self) -> bool {
        let all = |one: &Self| (one.task.pid, one.task.start, one.what, one.number);
        all(self) == all(other)
    }

    /// In words.
    pub fn text(&self) -> String {
        let number = self.number;
        match self.what {
            What::Signal => format!("signal {number} to the daemon was refused"),
            What::Trace => "tracing the daemon was refused".to_owned(),
            What::Map => format!("a descriptor of the daemon's map {number} was refused"),
            What::Program => format!("a descriptor of the daemon's program {number} was refused"),
            What::Link => format!("a descriptor of the daemon's link {number} was refused"),
        }
    }
}

/// The kernel's functions that stand for its hooks.
pub(super) fn functions() -> impl Iterator<Item = Cow<'static, str>> {
    PROGRAMS
        .iter()
        .map(|(_, hook)| format!("bpf_lsm_{hook}").into())
}

/// The attached guard.
pub(super) struct Guard {
    refusals: RingBuf<MapData>,
}

impl Guard {
    /// Attaches it; the error says why the kernel would not.
    pub(super) fn attach(object: &mut Object) -> Result<Self, String> {
        // Such programs attach where they are no module, and are never asked.
        let modules = std::fs::read_to_string(MODULES);
        let modules = modules.map_err(|error| format!("cannot read `{MODULES}`: {error}"))?;
        if !modules.trim().split(',').any(|module| module == "bpf") {
            return Err(format!(
                "`bpf` is not among the security modules ({}): boot with `lsm={},bpf`",
                modules.trim(),
                modules.trim()
            ));
        }
        for (program, hook) in PROGRAMS {
            if let Err(reason) = object.attach_lsm(program, hook) {
                for (program, _) in PROGRAMS {
                    object.detach(program);
                }
                return Err(format!("lsm/{hook}: {reason}"));
            }
        }
        let ring = object.ring("REFUSALS");
        let ring = Map::RingBuf(ring.map_err(|error: ProbeError| error.to_string())?);
        let refusals = RingBuf::try_from(ring).map_err(|error| error.to_string())?;
        Self::own(object)?;
        Ok(Self { refusals })
    }

    /// Tells the programs which objects are to be guarded, those that came since among them.
    pub(super) fn own(object: &mut Object) -> Result<(), String> {
        let seal = Seal::take(Path::new("/proc/self")).map_err(|error| error.to_string())?;
        object.own(seal.objects())
    }

    /// What was refused since the last call.
    pub(super) fn refusals(&mut self) -> Vec<Refused> {
        let mut all = Vec::new();
        while let Some(bytes) = self.refusals.next() {
            let Ok(refusal) = Refusal::read_from_bytes(&bytes) else {
                continue;
            };
            let what = What::from_number(refusal.what);
            all.extend(what.map(|what| Refused {
                time: refusal.time,
                task: Task {
                    pid: refusal.pid,
                    start: refusal.start,
                    cgroup: refusal.cgroup,
                    uid: refusal.uid,
                    comm: refusal.comm,
                    ..Task::default()
                },
                what,
                number: refusal.number,
            }));
        }
        all
    }
}
