//! The event types of a condition, by the algebra that the language prescribes.
//!
//! What a rule is indexed under is computed in the graph (`program/builder.rs`) and a little
//! narrower: it knows which events are no system calls. This is the plain form, for tools that
//! compare engines: sets of names and complements of them, exact whatever names an engine has.

use super::events;
use super::field::resolve;
use crate::condition::ast::{Check, Expr, Operand};
use crate::event_type::EventSet;
use crate::field::Field;
use crate::program::Truth;

/// A set of event types or the complement of one.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum EventTypes {
    /// These and no others.
    Only(EventSet),
    /// All but these.
    Except(EventSet),
}

impl EventTypes {
    const NONE: Self = Self::Only(EventSet::EMPTY);
    const ALL: Self = Self::Except(EventSet::EMPTY);

    fn complement(self) -> Self {
        match self {
            Self::Only(set) => Self::Except(set),
            Self::Except(set) => Self::Only(set),
        }
    }

    fn union(self, other: Self) -> Self {
        match (self, other) {
            (Self::Only(a), Self::Only(b)) => Self::Only(a.union(&b)),
            (Self::Only(a), Self::Except(b)) | (Self::Except(b), Self::Only(a)) => {
                Self::Except(b.difference(&a))
            }
            (Self::Except(a), Self::Except(b)) => Self::Except(a.intersection(&b)),
        }
    }

    fn intersection(self, other: Self) -> Self {
        self.complement().union(other.complement()).complement()
    }
}

/// The event types for which an expression without macros can be true, or false if `negated`:
/// negation is carried to the tests, where only those of the event type say anything.
pub(crate) fn event_types(expr: &Expr, sense: Sense) -> EventTypes {
    let parts = |parts: &[Expr]| {
        parts
            .iter()
            .map(|part| event_types(part, sense))
            .collect::<Vec<_>>()
    };
    let all = |parts: Vec<EventTypes>| {
        parts
            .into_iter()
            .fold(EventTypes::ALL, EventTypes::intersection)
    };
    let any = |parts: Vec<EventTypes>| parts.into_iter().fold(EventTypes::NONE, EventTypes::union);
    match (expr, sense) {
        (Expr::And(list), Sense::Holds) | (Expr::Or(list), Sense::Fails) => all(parts(list)),
        (Expr::Or(list), Sense::Holds) | (Expr::And(list), Sense::Fails) => any(parts(list)),
        (Expr::Not(inner), Sense::Holds) => event_types(inner, Sense::Fails),
        (Expr::Not(inner), Sense::Fails) => event_types(inner, Sense::Holds),
        (Expr::Check(check), _) => of_check(check, sense),
        (Expr::Macro(_), _) => EventTypes::ALL,
    }
}

/// Whether the events are asked for that fulfil an expression, or those that do not.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Sense {
    Holds,
    Fails,
}

fn of_check(check: &Check, sense: Sense) -> EventTypes {
    let Operand::Field(name) = &check.left else {
        return EventTypes::ALL;
    };
    let truth = match resolve(name).map(|found| found.field) {
        Ok(Field::EvtType | Field::SyscallType) => events::type_truth(check),
        Ok(Field::EvtNum) => events::number_truth(check),
        _ => Truth::neutral(),
    };
    let (here, there) = (truth.when_true, truth.when_false);
    let holds = if truth == Truth::neutral() {
        return EventTypes::ALL;
    } else if here.len() > there.len() {
        EventTypes::Except(there)
    } else {
        EventTypes::Only(here)
    };
    match sense {
        Sense::Holds => holds,
        Sense::Fails => holds.complement(),
    }
}
