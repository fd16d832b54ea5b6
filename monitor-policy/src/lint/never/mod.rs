//! Finds conditions that no event fulfils: contradictory tests of one value, empty lists, numbers
//! out of reach, event types that exclude each other.
//!
//! Whatever all have to hold together is collected as facts; each `or` among it is tried with every
//! of its parts in turn. Never wrong, and not complete: facts of two `or`s are not put together.
//! `evt.num = 0` and its like are left alone: who writes that wants it so.

mod claim;
mod facts;
#[cfg(test)]
mod tests;

use std::collections::HashSet;

use super::{Subject, collect, literals};
use crate::compile::{Macros, resolve};
use crate::condition::ast::{Check, Expr, Operand, Operator, Right};
use crate::diagnostic::Code;
use crate::event_type::EventSet;
use crate::field::{Field, FieldFlags, FieldKind as K, FieldRef};
use crate::rules::Finding;
use crate::source::{Place, Sourced};
use facts::{Fact, Facts};

/// Most parts of a condition, macros opened, that are looked at.
const MAX_PARTS: usize = 4000;

/// Deepest nesting that is looked at.
const MAX_DEPTH: usize = 100;

/// What is to say of a rule that can never match.
pub(super) fn lint(subject: Subject<'_>, events: &EventSet, macros: &Macros) -> Vec<Finding> {
    let mut search = Search {
        macros,
        left: MAX_PARTS,
        facts: Facts::default(),
    };
    let whole = Part {
        expr: subject.expr,
        text: subject.text,
        holds: true,
    };
    let reason = search.refute(whole, 0);
    let reason = reason.or_else(|| {
        let deliberate = search.mentions(subject.expr, Field::EvtNum);
        (events.is_empty() && !deliberate).then(|| Reason {
            code: Code::LintNeverTrue,
            message: "no event type fulfils all tests of `evt.type`".to_owned(),
            place: subject.item.place,
            other: None,
        })
    });
    let finding = reason.map(|reason| {
        let Reason {
            code,
            message,
            place,
            other,
        } = reason;
        let message = format!("the condition can never be true: {message}");
        let finding = Finding::new(code, message, place);
        match other {
            Some((message, place)) => finding.with_related(message, place),
            None => finding,
        }
    });
    finding.into_iter().collect()
}

/// Why something can never be true.
struct Reason {
    code: Code,
    message: String,
    place: Place,
    other: Option<(String, Place)>,
}

/// A part of a condition, and how it has to turn out.
#[derive(Clone, Copy)]
struct Part<'a> {
    expr: &'a Expr,
    text: &'a Sourced,
    holds: bool,
}

/// Parts of which one has to turn out so.
struct Choice<'a> {
    parts: &'a [Expr],
    text: &'a Sourced,
    holds: bool,
}

struct Search<'a> {
    macros: &'a Macros,
    left: usize,
    /// What is known to hold besides the part that is looked at.
    facts: Facts<'a>,
}

impl<'a> Search<'a> {
    /// Why a part cannot turn out as it has to, given the facts.
    fn refute(&mut self, part: Part<'a>, depth: usize) -> Option<Reason> {
        let mark = self.facts.mark();
        let mut choices = Vec::new();
        let mut reason = self.assume(part, depth, &mut choices);
        for choice in &choices {
            if reason.is_some() {
                break;
            }
            reason = self.refute_all(choice, depth + 1);
        }
        self.facts.forget(mark);
        reason
    }

    /// Why none of the parts of a choice can turn out as one has to.
    fn refute_all(&mut self, choice: &Choice<'a>, depth: usize) -> Option<Reason> {
        let Choice { parts, text, holds } = *choice;
        let mut first: Option<Reason> = None;
        for expr in parts {
            let reason = self.refute(Part { expr, text, holds }, depth)?;
            // With a list that is filled one day, the whole may come true.
            let waits = reason.code == Code::LintEmptyList;
            if first.is_none() || waits {
                first = Some(reason);
            }
        }
        first
    }

    /// Adds the tests that all have to turn out so for a part to, and the choices among them. Why
    /// they cannot.
    fn assume(
        &mut self,
        part: Part<'a>,
        depth: usize,
        choices: &mut Vec<Choice<'a>>,
    ) -> Option<Reason> {
        self.left = self.left.checked_sub(1)?;
        if depth > MAX_DEPTH {
            return None;
        }
        let Part { expr, text, holds } = part;
        match (expr, holds) {
            (Expr::And(parts), true) | (Expr::Or(parts), false) => parts
                .iter()
                .find_map(|expr| self.assume(Part { expr, text, holds }, depth + 1, choices)),
            (Expr::And(parts), false) | (Expr::Or(parts), true) => {
                choices.push(Choice { parts, text, holds });
                None
            }
            (Expr::Not(inner), _) => {
                let inner = Part {
                    expr: inner,
                    text,
                    holds: !holds,
                };
                self.assume(inner, depth + 1, choices)
            }
            (Expr::Macro(name), _) => {
                let parsed = self.macros.get(&name.text)?;
                let body = Part {
                    expr: parsed.expr.as_ref()?,
                    text: &parsed.text,
                    holds,
                };
                self.assume(body, depth + 1, choices)
            }
            (Expr::Check(check), _) => self.assume_check(check, text, holds),
        }
    }

    fn assume_check(&mut self, check: &'a Check, text: &'a Sourced, holds: bool) -> Option<Reason> {
        let place = text.place(&check.span);
        let message = if holds {
            impossible(check)
        } else {
            certain(check)
        };
        if let Some(message) = message {
            return Some(Reason {
                code: if is_named_list(check, text) {
                    Code::LintEmptyList
                } else {
                    Code::LintNeverTrue
                },
                message,
                place,
                other: None,
            });
        }
        let fact = Fact::new(check, text, holds);
        let (message, other) = self.facts.add(fact)?;
        Some(Reason {
            code: Code::LintNeverTrue,
            message,
            place,
            other: Some(("the other test".to_owned(), other)),
        })
    }

    fn mentions(&self, expr: &Expr, field: Field) -> bool {
        let used = self.macros.used_by(expr, &mut HashSet::new());
        let bodies = used.iter().filter_map(|parsed| parsed.expr.as_ref());
        let mut checks = Vec::new();
        for expr in bodies.chain([expr]) {
            collect(expr, &mut checks);
        }
        checks
            .iter()
            .any(|check| matches!(&check.left, Operand::Field(name) if name.name == field.name()))
    }
}

/// A test that no value passes.
fn impossible(check: &Check) -> Option<String> {
    let empty = match &check.right {
        Right::List(list) => check.operator == Operator::In && list.is_empty(),
        Right::Modified(_, list) => list.is_empty(),
        _ => false,
    };
    if empty {
        return Some("the list is empty".to_owned());
    }
    let field = single_field(check)?;
    if field.field == Field::EvtDir {
        return refuses_exits(check).then(|| "`evt.dir` is `<` for every event".to_owned());
    }
    let number: i128 = match literals(check) {
        [one] => std::str::from_utf8(&one.bytes).ok()?.parse().ok()?,
        _ => return None,
    };
    let kind = field.field.definition().kind;
    let unsigned = matches!(
        kind,
        K::Unsigned64 | K::Unsigned32 | K::Port | K::Duration | K::Time
    );
    let low = match check.operator {
        Operator::Less => number == 0,
        Operator::LessEqual => number == -1,
        _ => false,
    };
    let high = kind == K::Port && check.operator == Operator::Greater && number == 65535;
    (field.field != Field::EvtNum && (unsigned && low || high))
        .then(|| format!("`{field}` is never {} {number}", check.operator))
}

/// A test that every event passes, if there is nothing else to say of it.
fn certain(check: &Check) -> Option<String> {
    let field = single_field(check)?;
    let mut values = literals(check).iter().map(|one| one.bytes.as_slice());
    let passes = match (check.operator, &check.right) {
        (Operator::Exists, _) => true,
        (Operator::Equal | Operator::Same, Right::Literal(_)) | (Operator::In, Right::List(_)) => {
            values.any(|one| one == b"<")
        }
        _ => false,
    };
    (field.field == Field::EvtDir && passes).then(|| "`evt.dir` is `<` for every event".to_owned())
}

/// Whether a test of `evt.dir` asks for the entry of calls, which only old versions of Falco had.
fn refuses_exits(check: &Check) -> bool {
    let mut values = literals(check).iter().map(|one| one.bytes.as_slice());
    match (check.operator, &check.right) {
        (Operator::Equal | Operator::Same, Right::Literal(_)) | (Operator::In, Right::List(_)) => {
            values.all(|one| one != b"<")
        }
        (Operator::NotEqual, Right::Literal(_)) => values.any(|one| one == b"<"),
        _ => false,
    }
}

/// Whether the empty list of a test was put in for a name, which its author meant to be filled.
fn is_named_list(check: &Check, text: &Sourced) -> bool {
    let inside = text.text().get(check.span.clone()).unwrap_or_default();
    let Some(open) = inside.rfind('(') else {
        return false;
    };
    let parentheses = check.span.start + open..check.span.end;
    text.place(&parentheses).length as usize > parentheses.len()
}

/// The field of a test, if it has one value at most.
fn single_field(check: &Check) -> Option<FieldRef> {
    let Operand::Field(name) = &check.left else {
        return None;
    };
    let found = resolve(name).ok()?;
    let several = found.field.is(FieldFlags::LIST)
        || found.field.is_either_end()
        || found.field.is_host_name()
        || found.field.is_ancestor() && found.arg.is_none();
    (!several && found.field.definition().kind != K::Network).then_some(found)
}
