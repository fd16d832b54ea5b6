//! For which event types a test can hold.

use super::literal;
use crate::condition::ast::{Check, Literal, Operator, Right};
use crate::event::Value;
use crate::event_type::{EventSet, EventType};
use crate::field::{Field, FieldRef};
use crate::program::{Predicate, Truth};

/// For which event types a test of a field can be true and false.
pub(crate) fn truth(check: &Check, field: Option<&FieldRef>) -> Truth {
    let Some(field) = field else {
        return Truth::neutral();
    };
    match field.field {
        Field::EvtType => type_truth(check),
        // Missing, and so false, on whatever is no system call.
        Field::SyscallType => match type_truth(check) {
            truth if truth == Truth::neutral() => truth,
            truth => Truth::exactly(truth.when_true.intersection(&calls())),
        },
        Field::EvtNum => number_truth(check),
        _ => Truth::neutral(),
    }
}

/// By the names that a test of the event type has on its right.
pub(super) fn type_truth(check: &Check) -> Truth {
    let set = |list: &[Literal]| {
        list.iter()
            .filter_map(|one| literal::event_type(one).ok())
            .collect::<EventSet>()
    };
    match (check.operator, &check.right) {
        (Operator::Exists, _) => Truth::exactly(EventSet::full()),
        (Operator::Equal | Operator::Same, Right::Literal(one)) => {
            Truth::exactly(set(std::slice::from_ref(one)))
        }
        (Operator::NotEqual, Right::Literal(one)) => {
            Truth::exactly(set(std::slice::from_ref(one)).complement())
        }
        (Operator::In, Right::List(list)) => Truth::exactly(set(list)),
        _ => Truth::neutral(),
    }
}

/// `evt.num` counts from 1, so that some tests of it never hold and some always.
pub(super) fn number_truth(check: &Check) -> Truth {
    use Operator as O;
    let value = |literal: &Literal| {
        std::str::from_utf8(&literal.bytes)
            .ok()
            .and_then(|text| text.parse::<i128>().ok())
    };
    let always = match (check.operator, &check.right) {
        (O::In, Right::List(list)) if list.iter().all(|one| value(one) == Some(0)) => Some(false),
        (operator, Right::Literal(one)) => match (operator, value(one)) {
            (O::Equal | O::Same | O::LessEqual, Some(0)) | (O::Less, Some(1)) => Some(false),
            (O::NotEqual | O::Greater, Some(0)) | (O::GreaterEqual, Some(1)) => Some(true),
            _ => None,
        },
        _ => None,
    };
    match always {
        None => Truth::neutral(),
        Some(false) => Truth::exactly(EventSet::EMPTY),
        Some(true) => Truth::exactly(EventSet::full()),
    }
}

/// The names of a test of the event type, as events have them: a system call may be known by another
/// name to the kernel. What a part of a name is compared with stays as it is.
pub(super) fn named(operator: Operator, list: &[Literal]) -> Vec<Literal> {
    use Operator as O;
    let whole = matches!(
        operator,
        O::Equal | O::Same | O::NotEqual | O::In | O::Intersects
    );
    let name = |one: &Literal| match literal::event_type(one) {
        Ok(event) if whole => Literal {
            bytes: event.name().as_bytes().to_vec(),
            span: one.span.clone(),
        },
        _ => one.clone(),
    };
    list.iter().map(name).collect()
}

/// The event types whose name passes a test.
pub(crate) fn matching(predicate: &Predicate) -> EventSet {
    let passes = |event: &EventType| predicate.passes(&Value::Text(event.name().as_bytes().into()));
    EventType::all().filter(passes).collect()
}

/// The same among system calls: other events have no `syscall.type`.
pub(crate) fn matching_syscalls(predicate: &Predicate) -> EventSet {
    matching(predicate).intersection(&calls())
}

fn calls() -> EventSet {
    EventType::all()
        .filter(|event| event.syscall().is_some())
        .collect()
}
