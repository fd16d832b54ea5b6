//! A record joined with its process and container: what rules are evaluated on.
//!
//! Joining reads no clock and does no I/O. Fields are computed when a rule asks for them; each
//! file here fills one class of Falco's fields. A field that this build cannot fill is missing,
//! which `language.md`'s authors and ours read the same way: comparisons on it are false.

mod arguments;
mod calls;
mod container;
mod fd;
mod filled;
mod meta;
mod path;
mod process;
mod user;
mod when;

use std::net::IpAddr;
use std::sync::Arc;

use monitor_common::network::Connect;
use monitor_common::{Flags, Kind};
use monitor_policy::{EventType, FieldRef, Value, View};

use crate::container::Container;
use crate::names::NameTable;
use crate::process::{Process, Table, trim_nul};
use crate::record::{Body, Record};
use crate::users::Accounts;
pub use filled::filled;
use path::Paths;

#[cfg(test)]
mod tests;

/// What an event needs to know of the host beyond its own record.
#[derive(Clone, Copy, Debug)]
pub struct World<'a> {
    /// All processes.
    pub table: &'a Table,
    /// User and group names of the actor's container, or of the host; `None` when they could not
    /// be read.
    pub accounts: Option<&'a Accounts>,
    /// Addresses of the host names that rules mention.
    pub names: &'a NameTable,
    /// This host's name.
    pub hostname: &'a str,
    /// `CLOCK_REALTIME` minus `CLOCK_BOOTTIME`, ns.
    pub boot_to_epoch_ns: u64,
}

/// Ancestors of the acting process, parent first.
#[derive(Clone, Debug)]
enum Lineage {
    /// Looked up when asked for.
    Live,
    /// Taken when the event was put aside.
    Kept(Arc<[Arc<Process>]>),
}

/// The process side of a join; all it takes to evaluate the record later.
#[derive(Clone, Debug)]
pub struct Actor {
    process: Arc<Process>,
    lineage: Lineage,
}

impl Actor {
    /// The process as it is now.
    pub fn live(process: Arc<Process>) -> Self {
        Self {
            process,
            lineage: Lineage::Live,
        }
    }

    /// The same with its ancestors held, for an event that is evaluated later.
    #[must_use]
    pub fn kept(self, table: &Table) -> Self {
        let ancestors = table.ancestors(&self.process).cloned().collect();
        Self {
            process: self.process,
            lineage: Lineage::Kept(ancestors),
        }
    }

    /// The process.
    pub fn process(&self) -> &Arc<Process> {
        &self.process
    }

    /// Bytes held beyond what the table holds anyway.
    pub fn bytes(&self) -> usize {
        match &self.lineage {
            Lineage::Live => 0,
            Lineage::Kept(ancestors) => size_of_val::<[_]>(ancestors),
        }
    }
}

/// An event.
#[derive(Debug)]
pub struct Event<'a> {
    record: Record<'a>,
    actor: &'a Actor,
    container: Option<&'a Container>,
    world: World<'a>,
    kind: EventType,
    number: u64,
    paths: Paths<'a>,
}

impl<'a> Event<'a> {
    /// Joins a record; `None` for kinds that are no event of the rule language (cgroups).
    /// `container` is `None` on the host; `number` counts events from 1.
    pub fn join(
        record: Record<'a>,
        actor: &'a Actor,
        container: Option<&'a Container>,
        world: World<'a>,
        number: u64,
    ) -> Option<Self> {
        let event_type = EventType::from_name(type_name(&record)?)?;
        let paths = Paths::of(&record);
        Some(Self {
            record,
            actor,
            container,
            world,
            kind: event_type,
            number,
            paths,
        })
    }

    /// Time of the event, ns since the epoch.
    pub fn time(&self) -> u64 {
        self.record
            .header()
            .time
            .saturating_add(self.world.boot_to_epoch_ns)
    }

    /// The container, `None` on the host.
    pub fn container(&self) -> Option<&'a Container> {
        self.container
    }

    fn process(&self) -> &Process {
        &self.actor.process
    }

    /// Ancestors, parent first.
    fn ancestors(&self) -> impl Iterator<Item = &Process> + '_ {
        let (live, kept) = match &self.actor.lineage {
            Lineage::Live => (Some(self.world.table.ancestors(&self.actor.process)), None),
            Lineage::Kept(ancestors) => (None, Some(ancestors.iter())),
        };
        let live = live.into_iter().flatten();
        live.chain(kept.into_iter().flatten()).map(AsRef::as_ref)
    }

    /// The process itself for 0, its parent for 1, and so on.
    fn ancestor(&self, depth: u32) -> Option<&Process> {
        match depth.checked_sub(1) {
            None => Some(self.process()),
            Some(above) => self.ancestors().nth(above as usize),
        }
    }

    /// The name the kernel has for the acting process. A worker thread of the kernel acts under a
    /// name of its own, and a thread may have any: both are the process's doing.
    fn comm(&self) -> &[u8] {
        let task = self.record.task();
        if task.pid != task.tid || self.record.flag(Flags::IO_WORKER) {
            self.process().name()
        } else {
            trim_nul(&task.comm)
        }
    }

    /// The socket that the call was about, as far as it is known by its addresses.
    fn connection(&self) -> Option<&Connect> {
        match self.record.body() {
            Body::Connect(body) => Some(body),
            Body::Dup(body) => Some(&body.socket),
            Body::Send(body) => Some(&body.socket),
            _ => None,
        }
    }

    /// Result of the call: a negative errno, a descriptor, or 0.
    fn result(&self) -> Option<i64> {
        match self.record.body() {
            Body::Exec(body) => Some(body.ret),
            Body::Open(body) => Some(body.ret),
            Body::Connect(body) => Some(body.ret),
            Body::Socket(body) => Some(body.ret),
            Body::Symlink(body) | Body::Link(body) => Some(body.ret),
            Body::Ptrace(body) => Some(body.ret),
            Body::Dup(body) => Some(body.socket.ret),
            Body::Send(body) => Some(body.socket.ret),
            Body::Fork(_) => Some(i64::from(self.record.task().pid)),
            _ => Some(self.record.registers()?.ret),
        }
    }
}

impl monitor_policy::Event for Event<'_> {
    fn event_type(&self) -> EventType {
        self.kind
    }

    fn has_resolved_view(&self) -> bool {
        self.paths.differ()
    }

    fn value(&self, field: &FieldRef, view: View) -> Option<Value<'_>> {
        meta::value(self, field, view)
            .or_else(|| process::value(self, field))
            .or_else(|| fd::value(self, field, view))
            .or_else(|| container::value(self, field))
            .or_else(|| user::value(self, field))
    }

    fn elements<'e>(
        &'e self,
        field: &FieldRef,
        _view: View,
        elements: &mut Vec<Value<'e>>,
    ) -> bool {
        process::elements(self, field, elements) || fd::elements(self, field, elements)
    }

    fn has_name(&self, field: &FieldRef, name: &str) -> Option<bool> {
        let address: IpAddr = fd::named_address(self, field)?;
        self.world.names.has(name, address)
    }
}

/// The event types that records of a kind can become: what a rule must name to need the kind.
pub const fn event_types(kind: Kind) -> &'static [&'static str] {
    match kind {
        Kind::Exec => &["execve", "execveat"],
        Kind::Fork => &["clone"],
        Kind::Exit => &["procexit"],
        Kind::Open => &["open", "openat", "openat2", "open_by_handle_at", "creat"],
        Kind::Connect => &["connect"],
        Kind::Socket => &["socket"],
        Kind::Symlink => &["symlink", "symlinkat"],
        Kind::Link => &["link", "linkat"],
        Kind::Ptrace => &["ptrace"],
        Kind::Dup => &["dup", "dup2", "dup3"],
        Kind::Module => &["init_module", "finit_module"],
        Kind::Send => &["sendto", "sendmsg"],
        Kind::Identity => &["setuid", "setgid"],
        Kind::Namespace => &["setns", "unshare"],
        Kind::Memfd => &["memfd_create"],
        Kind::Remove => &["unlink", "unlinkat", "rmdir"],
        Kind::Rename => &["rename", "renameat", "renameat2"],
        Kind::Mode => &["chmod", "fchmod", "fchmodat"],
        Kind::Mkdir => &["mkdir", "mkdirat"],
        Kind::CgroupMkdir | Kind::CgroupRmdir | Kind::CgroupAttach => &[],
    }
}

/// x86-64 numbers of the calls that share a kind.
mod number {
    pub(super) const OPEN: u32 = 2;
    pub(super) const DUP: u32 = 32;
    pub(super) const DUP2: u32 = 33;
    pub(super) const SENDTO: u32 = 44;
    pub(super) const CREAT: u32 = 85;
    pub(super) const LINK: u32 = 86;
    pub(super) const SYMLINK: u32 = 88;
    pub(super) const OPEN_BY_HANDLE_AT: u32 = 304;
    pub(super) const FINIT_MODULE: u32 = 313;
    pub(super) const EXECVEAT: u32 = 322;
    pub(super) const OPENAT2: u32 = 437;
}

fn type_name(record: &Record<'_>) -> Option<&'static str> {
    Some(match record.body() {
        Body::Exec(body) if body.syscall == number::EXECVEAT => "execveat",
        Body::Exec(_) => "execve",
        Body::Fork(_) => "clone",
        Body::Exit(_) => "procexit",
        Body::Open(body) => match body.syscall {
            number::OPEN => "open",
            number::CREAT => "creat",
            number::OPENAT2 => "openat2",
            number::OPEN_BY_HANDLE_AT => "open_by_handle_at",
            // io_uring's open is an openat by another door.
            _ => "openat",
        },
        Body::Connect(_) => "connect",
        Body::Socket(_) => "socket",
        Body::Symlink(body) if body.syscall == number::SYMLINK => "symlink",
        Body::Symlink(_) => "symlinkat",
        Body::Link(body) if body.syscall == number::LINK => "link",
        Body::Link(_) => "linkat",
        Body::Ptrace(_) => "ptrace",
        Body::Dup(body) => match body.syscall {
            number::DUP => "dup",
            number::DUP2 => "dup2",
            _ => "dup3",
        },
        Body::Send(body) if body.syscall == number::SENDTO => "sendto",
        Body::Send(_) => "sendmsg",
        _ => calls::name(record.registers()?)?,
    })
}
