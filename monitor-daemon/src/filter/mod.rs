//! What the kernel may leave out: from the rules to the filter of opens in their programs.
//!
//! From all rules that can match an open comes what one of them needs at least
//! ([`Policy::necessary`]), in fields that the kernel can tell at the end of the call. What it
//! cannot tell exactly is widened, so that a rule which matches implies that the filter keeps the
//! event; never the other way round. Pure: writing it into the kernel is [`probe`](crate::probe)'s.

mod automaton;
mod conditions;
mod keys;
mod numbers;

use std::collections::BTreeSet;
use std::sync::Arc;

use monitor_common::Kind;
use monitor_common::filter::{
    CLASSES, CLAUSES, FAILED, Found, HANDLE, Head, Reading, Scope, Tables,
};
use monitor_policy::{
    Allowed, Clause, EventSet, EventType, Field, FieldRef, Policy, TextKey, Value, ValueSet,
};

use automaton::Automaton;
use conditions::Conditions;
pub use numbers::{Numbers, OfKind};

use crate::event::{event_types, on_host};

/// The open that takes no path. What rules need of it says nothing of the others.
const BY_HANDLE: &str = "open_by_handle_at";
/// Clauses for that alone.
const BY_HANDLE_CLAUSES: usize = 8;
/// `MAX_ERRNO` of `include/linux/err.h`.
const ERRORS: i64 = 4095;
/// What fields of containers say on the host.
const HOST: &[u8] = b"host";

/// Fields of a path, in the order of [`Head::free`].
const PATHS: [Field; 4] = [
    Field::FdName,
    Field::FdDirectory,
    Field::FdFilename,
    Field::FdNameraw,
];

/// What the kernel leaves out by rules.
#[derive(Clone, Debug)]
pub struct Filters {
    /// Of opens.
    pub opens: Option<Filter>,
    /// Of other kinds.
    pub numbers: Option<Numbers>,
}

impl Filters {
    /// The filters for these rules.
    pub fn new(policy: &Policy) -> Self {
        Self {
            opens: Filter::of_opens(policy),
            numbers: Numbers::new(policy),
        }
    }
}

/// A filter, ready for the kernel.
#[derive(Clone, Debug)]
pub struct Filter {
    /// All but the tables.
    pub head: Head,
    /// The table of steps.
    pub steps: Vec<u16>,
    /// What is found at the first states.
    pub found: Vec<Found>,
    /// What one of has to hold, a bit each.
    pub clauses: Vec<Clause>,
    /// Clauses whose paths are not looked at, for want of room.
    pub widened: u64,
}

impl Filter {
    /// The filter for opens by these rules; `None` where it would keep everything.
    pub fn of_opens(policy: &Policy) -> Option<Self> {
        Self::new(policy).filter(Self::is_of_use)
    }

    /// The same, of use or not.
    pub fn new(policy: &Policy) -> Option<Self> {
        let handles = clauses(policy, true);
        let mut all = clauses(policy, false);
        for clause in handles {
            // What both need is told once.
            let same = |one: &&mut Clause| {
                let own = one.fields.iter().filter(|(field, _)| !is_type(field));
                own.eq(clause.fields.iter().filter(|(field, _)| !is_type(field)))
            };
            if let Some(same) = all.iter_mut().find(same) {
                same.fields.remove(&Field::EvtType.into());
                same.rules.extend(&clause.rules);
                same.widened |= clause.widened;
            } else {
                all.push(clause);
            }
        }
        Self::of_clauses(all)
    }

    /// Whether a clause is of opens by handle alone.
    pub fn is_by_handle(clause: &Clause) -> bool {
        let types = clause.of(Field::EvtType);
        types.is_some_and(|types| {
            types
                .set
                .contains(&Value::Text(BY_HANDLE.as_bytes().into()))
        })
    }

    fn of_clauses(clauses: Vec<Clause>) -> Option<Self> {
        if clauses.len() > CLAUSES {
            return None;
        }
        let mut conditions = Conditions::new(&clauses);
        let (automaton, widened) = conditions.automaton()?;
        let Automaton {
            steps,
            found,
            start,
            shift,
            end,
            bytes,
        } = automaton;
        let mut by_class = [0; CLASSES];
        for (class, left) in by_class.iter_mut().enumerate() {
            *left = conditions.left_by_class(class);
        }
        let by_scope = |scope| conditions::left_by_scope(&clauses, scope);
        let head = Head {
            by_class,
            by_scope: [
                u64::MAX,
                by_scope(Scope::Host),
                by_scope(Scope::Container),
                u64::MAX,
            ],
            free: conditions.free,
            negated: conditions.negated,
            start,
            found: found.len() as u32,
            shift,
            end,
            bytes,
        };
        Some(Self {
            head,
            steps,
            found,
            clauses,
            widened,
        })
    }

    /// Whether it can leave out anything that succeeds and has a path.
    fn is_of_use(&self) -> bool {
        (0..CLASSES)
            .filter(|class| class & (FAILED | HANDLE) == 0)
            .flat_map(|class| [Scope::Host, Scope::Container].map(|scope| (class, scope)))
            .any(|(class, scope)| {
                self.head.left(class) & self.head.within(scope as u32) & self.head.free(class) == 0
            })
    }

    /// What the kernel does with a text: the clauses that it leaves, and those that found what they
    /// ask for in it as it was passed.
    pub fn read<'a>(
        &self,
        class: usize,
        raw: u64,
        text: impl Iterator<Item = &'a u8>,
    ) -> (u64, u64) {
        let mut reading = Reading::new(&self.head, raw);
        for byte in text {
            reading.read(&self.head, self, *byte);
        }
        let left = reading.end(&self.head, self, class);
        (left, reading.found.raw)
    }
}

impl Tables for Filter {
    fn step(&self, index: u64) -> u64 {
        let step = self.steps.get(index as usize);
        step.copied().unwrap_or_default().into()
    }

    fn found(&self, state: u32) -> Found {
        let found = self.found.get(state as usize);
        found.copied().unwrap_or_default()
    }
}

/// Whether a rule can match an event of this kind that failed.
pub fn may_fail(policy: &Policy, kind: Kind) -> bool {
    let names = event_types(kind).iter();
    let types: EventSet = names
        .filter_map(|name| EventType::from_name(name))
        .collect();
    let result = |field: &FieldRef, _| {
        matches!(
            field.field,
            Field::EvtRes | Field::EvtRawres | Field::EvtFailed
        )
    };
    let clauses = policy.necessary(&types, &result, CLAUSES);
    let conditions = Conditions::new(&clauses);
    let mut failed = (0..CLASSES).filter(|class| class & FAILED != 0);
    failed.any(|class| conditions.left_by_class(class) != 0)
}

/// What one of has to hold of opens by handle, or of all others.
fn clauses(policy: &Policy, by_handle: bool) -> Vec<Clause> {
    let names = event_types(Kind::Open).iter().copied();
    let names: Vec<&str> = names
        .filter(|name| (*name == BY_HANDLE) == by_handle)
        .collect();
    let types: EventSet = names
        .iter()
        .filter_map(|name| EventType::from_name(name))
        .collect();
    let budget = if by_handle {
        BY_HANDLE_CLAUSES
    } else {
        CLAUSES - BY_HANDLE_CLAUSES
    };
    let texts: BTreeSet<TextKey> = names
        .into_iter()
        .map(|name| TextKey::Exact(name.as_bytes().into()))
        .collect();
    let set = Arc::new(ValueSet::Having(texts));
    let mut clauses = policy.necessary(&types, &answer, budget);
    for clause in &mut clauses {
        let allowed = Allowed {
            set: Arc::clone(&set),
            or_missing: false,
        };
        clause.fields.insert(Field::EvtType.into(), allowed);
    }
    clauses
}

fn is_type(field: &FieldRef) -> bool {
    field.field == Field::EvtType
}

/// Whether the kernel looks at a clause for events of the host, and of containers.
pub(crate) fn scopes(clause: &Clause) -> [bool; 2] {
    let one = std::slice::from_ref(clause);
    [Scope::Host, Scope::Container].map(|scope| conditions::left_by_scope(one, scope) != 0)
}

/// Whether it looks at a clause for opens that succeed, and that fail.
pub(crate) fn outcomes(clause: &Clause) -> [bool; 2] {
    let conditions = Conditions::new(std::slice::from_ref(clause));
    [false, true].map(|failed| {
        let mut classes = (0..CLASSES).filter(|class| (class & FAILED != 0) == failed);
        classes.any(|class| conditions.left_by_class(class) != 0)
    })
}

/// Whether it can look for the texts that a clause asks for in a field of the path.
pub(crate) fn looks_at(clause: &Clause, field: Field) -> bool {
    let conditions = Conditions::new(std::slice::from_ref(clause));
    let part = PATHS.iter().position(|part| *part == field);
    let free = part.and_then(|part| conditions.free.get(part));
    free.is_some_and(|free| free & 1 == 0)
}

/// Whether a field is a text of the path.
pub(crate) fn is_path(field: Field) -> bool {
    PATHS.contains(&field)
}

/// Whether a field tells of containers something that is known on the host.
pub(crate) fn is_of_container(field: Field) -> bool {
    on_host(field).is_some()
}

/// The fields that the kernel can tell of an open.
fn answer(field: &FieldRef, _: bool) -> bool {
    is_of_container(field.field)
        || matches!(
            field.field,
            Field::EvtIsOpenRead
                | Field::EvtIsOpenWrite
                | Field::EvtRes
                | Field::EvtRawres
                | Field::EvtFailed
                | Field::FdNum
                | Field::FdTypechar
                | Field::FdName
                | Field::FdDirectory
                | Field::FdFilename
                | Field::FdNameraw
        )
}

#[cfg(test)]
mod tests;
