//! Lints of what a rule's tests say together with the event types that it can match.

use std::collections::HashSet;

use super::{Subject, Told, collect, leaf, literals};
use crate::compile::Macros;
use crate::condition::ast::{Check, Expr, Operand, Operator};
use crate::diagnostic::Code;
use crate::event_type::{EventSet, EventType};
use crate::field::{Field, FieldArg, FieldRef};
use crate::rules::{Finding, ItemRef};
use crate::source::{Place, Sourced};

/// What is to say of a rule.
pub(super) fn lint(subject: Subject<'_>, events: &EventSet, macros: &Macros) -> Vec<Finding> {
    let mut findings = Vec::new();
    let has = |name| EventType::from_name(name).is_some_and(|event| events.contains(event));
    if has("open") && !has("openat") {
        let named = |check: &Check| {
            is_type(check) && literals(check).iter().any(|one| one.bytes == b"open")
        };
        let place = find(subject, macros, named).map_or(subject.item.place, |found| found.place);
        let message = "`open` without `openat`: programs of today open files by `openat`";
        findings.push(
            Finding::new(Code::LintOpenAlone, message, place)
                .with_help("write `evt.type in (open, openat, openat2)`"),
        );
    }
    let exec = |event: EventType| matches!(event.name(), "execve" | "execveat");
    if !events.is_empty()
        && events.iter().all(exec)
        && let Some(found) = find(subject, macros, tests_fd)
    {
        let message =
            "`fd.*` has no value when a program is started, and this rule looks at nothing else";
        let mut finding = Finding::new(Code::LintExecFd, message, found.place).with_help(
            "watch what opens the descriptor instead: `open`, `connect`, `dup` and their like",
        );
        if let Some(item) = found.item {
            finding = finding
                .with_related(
                    format!("rule `{}` needs it", subject.item.name),
                    subject.item.place,
                )
                .within(&item);
        }
        findings.push(finding);
    }
    findings
}

/// Tests of parameters that no event has which the rule can match.
pub(super) fn untold(
    subject: Subject<'_>,
    events: &EventSet,
    macros: &Macros,
    Told(told): Told,
) -> Vec<Finding> {
    let missing = |field: &FieldRef| match (field.field, &field.arg) {
        (Field::EvtArg | Field::EvtRawarg, Some(FieldArg::Key(name))) => {
            !events.iter().any(|event| told(event, name))
        }
        _ => false,
    };
    let mut findings = Vec::new();
    let mut look = |expr: &Expr, text: &Sourced, of: Option<&ItemRef>| {
        let mut checks = Vec::new();
        collect(expr, &mut checks);
        for check in checks {
            let Some(field) = leaf::fields(check).into_iter().find(missing) else {
                continue;
            };
            let message = format!("no event of the rule has `{field}` here: the test never holds");
            let place = text.place(&check.span);
            let mut finding = Finding::new(Code::LintUntoldParameter, message, place);
            if let Some(item) = of {
                let needed = format!("rule `{}` needs it", subject.item.name);
                finding = finding
                    .with_related(needed, subject.item.place)
                    .within(item);
            }
            findings.push(finding);
        }
    };
    if events.is_empty() {
        return findings;
    }
    look(subject.expr, subject.text, None);
    for used in macros.used_by(subject.expr, &mut HashSet::new()) {
        if let Some(expr) = &used.expr {
            look(expr, &used.text, Some(&used.item));
        }
    }
    findings
}

fn is_type(check: &Check) -> bool {
    let type_field = matches!(&check.left, Operand::Field(field) if field.name == "evt.type" || field.name == "syscall.type");
    type_field
        && matches!(
            check.operator,
            Operator::Equal | Operator::Same | Operator::In
        )
}

fn tests_fd(check: &Check) -> bool {
    matches!(&check.left, Operand::Field(field) if field.name.starts_with("fd."))
}

/// A test, and the macro that it stands in.
struct Found {
    place: Place,
    item: Option<ItemRef>,
}

/// The first test of a rule and its macros that fits.
fn find(subject: Subject<'_>, macros: &Macros, fits: impl Fn(&Check) -> bool) -> Option<Found> {
    let first = |expr: &Expr, text: &Sourced| {
        let mut checks = Vec::new();
        collect(expr, &mut checks);
        let check = checks.into_iter().find(|check| fits(check))?;
        Some(text.place(&check.span))
    };
    if let Some(place) = first(subject.expr, subject.text) {
        return Some(Found { place, item: None });
    }
    macros
        .used_by(subject.expr, &mut HashSet::new())
        .into_iter()
        .find_map(|parsed| {
            let place = first(parsed.expr.as_ref()?, &parsed.text)?;
            Some(Found {
                place,
                item: Some(parsed.item.clone()),
            })
        })
}
