//! A record joined with its process and container: what rules are evaluated on.
//!
//! Joining reads no clock and does no I/O. Fields are computed when a rule asks for them; each
//! file here fills one class of Falco's fields. A field that this build cannot fill is missing,
//! which `language.md`'s authors and ours read the same way: comparisons on it are false.

mod address;
mod arguments;
mod calls;
mod container;
mod dns;
mod ends;
mod fd;
mod filled;
mod held;
mod meta;
mod movement;
mod path;
mod process;
mod renamed;
mod signature;
mod user;
mod when;

use std::net::IpAddr;
use std::sync::{Arc, LazyLock};

use monitor_common::call::Held;
use monitor_common::network::Connect;
use monitor_common::{Kind, syscall};
use monitor_policy::{EventSet, EventType, FieldRef, Value, View};

use crate::container::Container;
use crate::names::NameTable;
use crate::process::{Process, Table, trim_nul};
use crate::record::{Body, Record};
use crate::users::Accounts;
pub use arguments::told;
pub(crate) use calls::NumberArgument;
pub(crate) use container::on_host;
pub(crate) use dns::asks;
pub(crate) use ends::{l4proto, of_family};
pub use filled::{UNFILLED, filled};
pub(crate) use movement::NAME as CGROUP_MOVE;
pub use movement::{Moved, Movement};
use path::Paths;
pub use renamed::Renamed;

#[cfg(test)]
mod tests;

/// The event of an open file that comes from another process, which Falco does not have.
const FILE_PASSED: &str = "fd_receive";

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
    movement: Option<Arc<Movement>>,
}

impl Actor {
    /// The process as it is now.
    pub fn live(process: Arc<Process>) -> Self {
        Self {
            process,
            lineage: Lineage::Live,
            movement: None,
        }
    }

    /// The same as part of a move: the event is the move, whatever else the record tells.
    #[must_use]
    pub fn with_movement(self, movement: Movement) -> Self {
        Self {
            movement: Some(Arc::new(movement)),
            ..self
        }
    }

    /// The same with its ancestors held, for an event that is evaluated later.
    #[must_use]
    pub fn kept(self, table: &Table) -> Self {
        let ancestors = table.ancestors(&self.process).cloned().collect();
        Self {
            lineage: Lineage::Kept(ancestors),
            ..self
        }
    }

    /// The process.
    pub fn process(&self) -> &Arc<Process> {
        &self.process
    }

    /// Bytes held beyond what the table holds anyway.
    pub fn bytes(&self) -> usize {
        let lineage = match &self.lineage {
            Lineage::Live => 0,
            Lineage::Kept(ancestors) => size_of_val::<[_]>(ancestors),
        };
        let movement = self.movement.as_ref();
        lineage + movement.map_or(0, |told| size_of::<Movement>() + told.path.len())
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
    /// The message, if the event is one.
    dns: Option<dns::Message>,
    /// What else the record asks, each an event of its own.
    further: std::vec::IntoIter<dns::Message>,
}

impl<'a> Event<'a> {
    /// Joins a record; `None` for those that are no event of the rule language (cgroups, unless
    /// the actor takes part in a move).
    /// `container` is `None` on the host; `number` counts events from 1.
    pub fn join(
        record: Record<'a>,
        actor: &'a Actor,
        container: Option<&'a Container>,
        world: World<'a>,
        number: u64,
    ) -> Option<Self> {
        let mut further = dns::Message::all_of(&record).into_iter();
        let dns = further.next();
        if record.kind() == Kind::Dns && dns.is_none() {
            return None;
        }
        let event_type = match actor.movement {
            Some(_) => EventType::from_name(CGROUP_MOVE)?,
            None => event_type(&record)?,
        };
        let paths = Paths::of(&record);
        Some(Self {
            record,
            actor,
            container,
            world,
            kind: event_type,
            number,
            paths,
            dns,
            further,
        })
    }

    /// The next event of the same record, if it tells of more than one.
    pub fn following(self) -> Option<Self> {
        let mut further = self.further;
        let dns = Some(further.next()?);
        Some(Self {
            dns,
            further,
            ..self
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

    /// The kernel's own name of the acting thread, at the end of the call.
    fn task_name(&self) -> &[u8] {
        trim_nul(&self.record.task().comm)
    }

    /// The socket that the call was about, as far as it is known by its addresses.
    fn connection(&self) -> Option<&Connect> {
        match self.record.body() {
            Body::Connect(body) => Some(body),
            Body::Dup(body) => Some(&body.socket),
            Body::Send(body) | Body::Receive(body) => Some(&body.socket),
            Body::Dns(body) => Some(&body.socket),
            Body::Accept(body) | Body::Listen(body) | Body::Bind(body) => Some(&body.socket),
            _ => {
                let socket = &self.held()?.socket;
                (socket.family != 0).then_some(socket)
            }
        }
    }

    /// What the call's descriptor stood for, as far as that is known.
    fn held(&self) -> Option<&Held> {
        let held = &self.record.registers()?.held;
        (held.inode_mode != 0).then_some(held)
    }

    /// What was moved where, if that is the event.
    fn movement(&self) -> Option<&Movement> {
        self.actor.movement.as_deref()
    }

    /// Result of the call: a negative errno, a descriptor, or 0.
    fn result(&self) -> Option<i64> {
        match self.record.body() {
            _ if self.movement().is_some() => Some(0),
            Body::Exec(body) => Some(body.ret),
            Body::Open(body) | Body::Passed(body) => Some(body.ret),
            Body::Connect(body) => Some(body.ret),
            Body::Socket(body) => Some(body.ret),
            Body::Symlink(body) | Body::Link(body) => Some(body.ret),
            Body::Ptrace(body) => Some(body.ret),
            Body::Fork(_) => Some(i64::from(self.record.task().pid)),
            _ => match self.record.registers() {
                Some(body) => Some(body.ret),
                None => Some(self.connection()?.ret),
            },
        }
    }
}

impl monitor_policy::Event for Event<'_> {
    fn event_type(&self) -> EventType {
        self.kind
    }

    fn has_view(&self, view: View) -> bool {
        let by_program = view == View::Original && self.process().has_original;
        by_program || self.paths.differ(view)
    }

    fn value(&self, field: &FieldRef, view: View) -> Option<Value<'_>> {
        meta::value(self, field, view)
            .or_else(|| process::value(self, field, view))
            .or_else(|| fd::value(self, field, view))
            .or_else(|| container::value(self, field))
            .or_else(|| user::value(self, field))
            .or_else(|| dns::value(self, field))
    }

    fn elements<'e>(&'e self, field: &FieldRef, view: View, elements: &mut Vec<Value<'e>>) -> bool {
        process::elements(self, field, view, elements)
            || ends::elements(self, field, elements)
            || dns::elements(self, field, elements)
    }

    fn has_name(&self, field: &FieldRef, name: &str) -> Option<bool> {
        let address: IpAddr = ends::named_address(self, field)?;
        self.world.names.has(name, address)
    }
}

/// The event types that records of a kind can become: what a rule must name to need the kind.
pub fn event_types(kind: Kind) -> &'static [&'static str] {
    static BY_CALL: LazyLock<Vec<Vec<&'static str>>> = LazyLock::new(|| {
        let names = |kind: &Kind| {
            EventType::all()
                .filter(|event| of_calls(*event) == Some(*kind))
                .map(EventType::name)
                .collect()
        };
        Kind::ALL.iter().map(names).collect()
    });
    match kind {
        Kind::Fork => &["clone"],
        Kind::Exit => &["procexit"],
        Kind::CgroupAttach => &[CGROUP_MOVE],
        Kind::Dns => &[dns::NAME],
        Kind::Passed => &[FILE_PASSED],
        kind => BY_CALL
            .get(
                Kind::ALL
                    .iter()
                    .position(|known| *known == kind)
                    .unwrap_or(usize::MAX),
            )
            .map_or(&[], Vec::as_slice),
    }
}

/// Of the event types that a rule can match, those that are recorded for it. A rule for (nearly)
/// all events gets those that have a kind of their own; any other call only for rules that name it.
pub fn recorded_for(types: &EventSet) -> EventSet {
    /// A rule for more types than this names none of them.
    const NAMED_MAX: usize = 100;
    if types.len() <= NAMED_MAX {
        return *types;
    }
    let by_name = |event: &EventType| {
        matches!(
            of_calls(*event),
            Some(Kind::Call | Kind::Control | Kind::Memory | Kind::Receive)
        )
    };
    types.iter().filter(|event| !by_name(event)).collect()
}

/// Kind of the records of a system call.
fn of_calls(event: EventType) -> Option<Kind> {
    Some(syscall::call(event.syscall()?)?.kind)
}

/// x86-64 numbers of the calls that differ in what they pass.
mod number {
    pub(super) const OPEN: u32 = 2;
    pub(super) const CREAT: u32 = 85;
    pub(super) const LINK: u32 = 86;
    pub(super) const SYMLINK: u32 = 88;
    pub(super) const OPEN_BY_HANDLE_AT: u32 = 304;
    pub(super) const EXECVEAT: u32 = 322;
    pub(super) const OPENAT2: u32 = 437;
}

/// The type of the event that a record is; by the call, where that is always known.
fn event_type(record: &Record<'_>) -> Option<EventType> {
    let call = match record.body() {
        Body::Dup(body) => Some(body.syscall),
        Body::Send(body) | Body::Receive(body) => Some(body.syscall),
        Body::Accept(body) | Body::Listen(body) | Body::Bind(body) => Some(body.syscall),
        // 0 is a call of its own, but none that makes processes.
        Body::Clone(body) if body.syscall == 0 => None,
        _ => record.registers().map(|body| body.syscall),
    };
    match call {
        Some(number) => EventType::from_syscall(number),
        None => EventType::from_name(type_name(record)?),
    }
}

fn type_name(record: &Record<'_>) -> Option<&'static str> {
    Some(match record.body() {
        Body::Exec(body) if body.syscall == number::EXECVEAT => "execveat",
        Body::Exec(_) => "execve",
        Body::Fork(_) | Body::Clone(_) => "clone",
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
        Body::Dns(_) => dns::NAME,
        Body::Passed(_) => FILE_PASSED,
        _ => return None,
    })
}
