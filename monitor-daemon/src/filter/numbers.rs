//! From the rules to what the kernel may leave out by the numbers of an event: all but opens.
//!
//! The same promise as for opens: what is not decided as [`event`](crate::event) does it is not
//! decided, and where there is no room more is kept.

use std::collections::BTreeSet;
use std::sync::Arc;

use monitor_common::Kind;
use monitor_common::filter::Scope;
use monitor_common::numbers::{
    CLAUSES, Head, LARGEST, MISSING, PIECES, Pieces, QUANTITIES, Quantity, TABLES, UNKNOWN,
};
use monitor_policy::{Allowed, Clause, EventSet, EventType, Field, Policy, TextKey, ValueSet};
use zerocopy::FromZeros as _;

use super::conditions::left_by_scope;
use super::keys::{self, Keys, Told};
use crate::event::event_types;

/// The kinds that are filtered so.
pub(super) const KINDS: [Kind; 23] = [
    Kind::Connect,
    Kind::Socket,
    Kind::Ptrace,
    Kind::Dup,
    Kind::Send,
    Kind::Accept,
    Kind::Listen,
    Kind::Bind,
    Kind::Receive,
    Kind::Symlink,
    Kind::Link,
    Kind::Module,
    Kind::Identity,
    Kind::Namespace,
    Kind::Memfd,
    Kind::Remove,
    Kind::Rename,
    Kind::Mode,
    Kind::Mkdir,
    Kind::Clone,
    Kind::Call,
    Kind::Control,
    Kind::Memory,
];

/// The call by which the daemon notices that somebody changes its kernel objects: it is always told.
const WATCHED: &str = "bpf";

/// Filters of all kinds by their numbers, ready for the kernel.
#[derive(Clone, Debug, Default)]
pub struct Numbers {
    /// The kinds of which something can be left out.
    pub kinds: Vec<OfKind>,
    /// Those of which something could be, and that find no room for their tables.
    pub no_room: Vec<Kind>,
}

/// The filter of one kind.
#[derive(Clone, Debug)]
pub struct OfKind {
    /// The kind.
    pub kind: Kind,
    /// What is asked, with tables numbered from 0.
    pub head: Head,
    /// The tables, by their numbers.
    pub tables: Vec<Pieces>,
    /// What one of has to hold, a bit each.
    pub clauses: Vec<Clause>,
    /// Clauses of which some numbers are one with others, for want of room in a table.
    pub widened: u64,
    /// Clauses that ask for a number.
    conditional: u64,
}

impl Numbers {
    /// The filters for these rules; `None` where they would keep everything.
    pub fn new(policy: &Policy) -> Option<Self> {
        Self::within(policy, TABLES)
    }

    /// The same, with room for so many tables.
    pub(super) fn within(policy: &Policy, mut room: usize) -> Option<Self> {
        let all = KINDS.iter().filter_map(|kind| OfKind::new(policy, *kind));
        let mut found = Self::default();
        for kind in all.filter(OfKind::is_of_use) {
            match room.checked_sub(kind.tables.len()) {
                Some(left) => {
                    room = left;
                    found.kinds.push(kind);
                }
                None => found.no_room.push(kind.kind),
            }
        }
        (!found.kinds.is_empty()).then_some(found)
    }

    /// The filter of a kind, if it has one.
    pub fn of(&self, kind: Kind) -> Option<&OfKind> {
        self.kinds.iter().find(|one| one.kind == kind)
    }
}

impl OfKind {
    /// For the rules about a kind, of use or not; `None` where there is none.
    pub fn new(policy: &Policy, kind: Kind) -> Option<Self> {
        if !KINDS.contains(&kind) {
            return None;
        }
        let mut clauses = clauses(policy, kind);
        clauses.retain(|clause| is_possible(kind, clause));
        let no_rule = clauses.is_empty();
        if no_rule || clauses.len() > CLAUSES {
            return None;
        }
        let mut head = Head {
            asked: Head::IN_USE,
            by_scope: [
                u64::MAX,
                left_by_scope(&clauses, Scope::Host),
                left_by_scope(&clauses, Scope::Container),
                u64::MAX,
            ],
            tables: [0; QUANTITIES],
        };
        let mut tables = Vec::new();
        let (mut widened, mut conditional) = (0, 0);
        for quantity in Quantity::ALL {
            let keys = Keys::new(kind, quantity, &clauses);
            if keys.asked == 0 {
                continue;
            }
            head.asked |= 1 << quantity as u32;
            if let Some(table) = head.tables.get_mut(quantity as usize) {
                *table = tables.len() as u32;
            }
            conditional |= keys.asked;
            let (table, merged) = pieces(&keys);
            tables.push(table);
            widened |= merged;
        }
        Some(Self {
            kind,
            head,
            tables,
            clauses,
            widened,
            conditional,
        })
    }

    /// Whether it can leave out anything.
    fn is_of_use(&self) -> bool {
        let [_, host, container, _] = self.head.by_scope;
        let all = u64::MAX >> (CLAUSES - self.clauses.len());
        let whatever = |scope: u64| scope & all & !self.conditional != 0;
        !whatever(host) || !whatever(container)
    }
}

/// What one of has to hold of an event of a kind.
fn clauses(policy: &Policy, kind: Kind) -> Vec<Clause> {
    let types: Vec<EventType> = event_types(kind)
        .iter()
        .filter_map(|name| EventType::from_name(name))
        .collect();
    let of = |types: &[EventType], budget| {
        let answer = |field: &_, _| keys::told(kind, types, field).is_some();
        policy.necessary(&types.iter().copied().collect(), &answer, budget)
    };
    let is_asked = |event: &EventType| {
        let one: EventSet = std::iter::once(*event).collect();
        !policy.necessary(&one, &|_, _| false, 1).is_empty()
    };
    let mut asked: Vec<EventType> = types.iter().copied().filter(is_asked).collect();
    let watched = types.iter().find(|event| event.name() == WATCHED);
    if let Some(event) = watched.filter(|event| !asked.is_empty() && !asked.contains(event)) {
        asked.push(*event);
    }
    if types.len() < 2 || asked.len() > CLAUSES / 2 {
        return of(&types, CLAUSES);
    }
    let mut all: Vec<(Clause, Vec<EventType>)> = Vec::new();
    for event in &asked {
        let clauses = if event.name() == WATCHED {
            vec![Clause::default()]
        } else {
            of(&[*event], CLAUSES / (asked.len() + 1))
        };
        for clause in clauses {
            match all
                .iter_mut()
                .find(|(one, of)| are_same(kind, (one, of), (&clause, *event)))
            {
                // What several need is told once.
                Some((same, events)) => {
                    same.rules.extend(&clause.rules);
                    same.widened |= clause.widened;
                    events.push(*event);
                }
                None => all.push((clause, vec![*event])),
            }
        }
    }
    let with_types = |(mut clause, events): (Clause, Vec<EventType>)| {
        if events.len() < types.len() {
            let names = events.iter().map(|event| event.name().as_bytes());
            let names = names.map(|name| TextKey::Exact(name.into())).collect();
            let allowed = Allowed {
                set: Arc::new(ValueSet::Having(names)),
                or_missing: false,
            };
            clause.fields.insert(Field::EvtType.into(), allowed);
        }
        clause
    };
    all.into_iter().map(with_types).collect()
}

/// Whether a clause of some types says the same as one of another: parameters of the same name need not
/// be the same argument.
fn are_same(kind: Kind, one: (&Clause, &[EventType]), other: (&Clause, EventType)) -> bool {
    let all = [one.1, &[other.1]].concat();
    let is_told = |field| keys::told(kind, &all, field).is_some();
    one.0.fields == other.0.fields && one.0.fields.keys().all(is_told)
}

/// Whether what all events of a kind have in common leaves a clause.
fn is_possible(kind: Kind, clause: &Clause) -> bool {
    clause
        .fields
        .iter()
        .all(|(field, allowed)| match keys::told(kind, &[], field) {
            Some(Told::Always(value)) => allowed.set.contains(&value),
            _ => true,
        })
}

/// The table of a quantity, and the clauses that it leaves where they are not, for want of room.
fn pieces(keys: &Keys) -> (Pieces, u64) {
    let mut edges: BTreeSet<u64> = keys.edges().filter(|edge| *edge < MISSING).collect();
    edges.extend([0, MISSING]);
    let mut all: Vec<(u64, u64)> = Vec::new();
    for edge in edges {
        let left = keys.left(edge);
        if all.last().is_none_or(|(_, before)| *before != left) {
            all.push((edge, left));
        }
    }
    // One is that of what is not known.
    let mut widened = 0;
    while all.len() >= PIECES {
        widened |= merge(&mut all);
    }
    let mut table = Pieces::new_zeroed();
    table.edges = [UNKNOWN; PIECES];
    table.left = [u64::MAX; PIECES];
    for ((edge, left), (from, piece)) in table.edges.iter_mut().zip(&mut table.left).zip(all) {
        (*edge, *left) = (from, piece);
    }
    (table, widened)
}

/// Makes two pieces beside each other one that leaves what either does: those that differ least. The
/// clauses that they differ in.
fn merge(all: &mut Vec<(u64, u64)>) -> u64 {
    let pairs = all.iter().zip(all.iter().skip(1));
    let apart = pairs.map(|((_, one), (_, two))| one ^ two);
    let least = apart.enumerate().min_by_key(|(_, bits)| bits.count_ones());
    let Some((at, differ)) = least else { return 0 };
    all.remove(at + 1);
    if let Some((_, left)) = all.get_mut(at) {
        *left |= differ;
    }
    differ
}

const _: () = assert!(LARGEST < MISSING && MISSING < UNKNOWN);
