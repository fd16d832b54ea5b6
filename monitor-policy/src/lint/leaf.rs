//! Lints of single tests.

use super::literals;
use crate::compile::resolve;
use crate::condition::ast::{Check, Literal, Operand, Operator, Right};
use crate::diagnostic::Code;
use crate::field::{Field, FieldFlags, FieldKind, FieldRef};
use crate::rules::Finding;
use crate::source::Sourced;

/// Longest name of a process that the kernel keeps, in bytes.
const MAX_COMM: usize = 15;

/// Adds what is to say of a test.
pub(super) fn lint(check: &Check, text: &Sourced, unfilled: &[Field], findings: &mut Vec<Finding>) {
    let fields = fields(check);
    let found = fields
        .iter()
        .filter_map(|field| never_filled(field, unfilled));
    findings.extend(found.map(|message| {
        Finding::new(Code::LintUnfilledField, message, text.place(&check.span)).with_help(
            "a field without a value fails every test; `fields` lists those that have one",
        )
    }));
    let Operand::Field(name) = &check.left else {
        return;
    };
    let Ok(left) = resolve(name) else { return };
    for literal in literals(check) {
        let found = long_name(&left, check, literal)
            .or_else(|| pattern(&left, check, literal))
            .or_else(|| missing(&left, check, literal));
        findings.extend(found.map(|(code, message, help)| {
            // A value from a list is wrong in this use of the list.
            Finding::from_value(code, message, text, &literal.span).with_help(help)
        }));
    }
}

type Found = (Code, String, String);

/// The fields that a test looks at.
pub(super) fn fields(check: &Check) -> Vec<FieldRef> {
    let mut fields = Vec::new();
    operand_fields(&check.left, &mut fields);
    if let Right::Operand(right) = &check.right {
        operand_fields(right, &mut fields);
    }
    fields
}

fn operand_fields(operand: &Operand, fields: &mut Vec<FieldRef>) {
    match operand {
        Operand::Field(name) => fields.extend(resolve(name)),
        Operand::Literal(_) => {}
        Operand::Tuple(operands) => {
            for one in operands {
                operand_fields(one, fields);
            }
        }
        Operand::Call(call) => {
            for one in &call.arguments {
                operand_fields(one, fields);
            }
        }
    }
}

fn never_filled(field: &FieldRef, unfilled: &[Field]) -> Option<String> {
    // A deprecated field has its own warning.
    let never = field.field.is(FieldFlags::NEVER) || unfilled.contains(&field.field);
    (never && !field.field.is(FieldFlags::DEPRECATED))
        .then(|| format!("`{field}` never has a value in this build"))
}

/// Names of processes are cut by the kernel: a longer one is never equal.
fn long_name(left: &FieldRef, check: &Check, literal: &Literal) -> Option<Found> {
    let (field, instead) = match left.field {
        Field::ProcName => ("proc.name", "proc.exepath"),
        Field::ProcPname => ("proc.pname", "proc.pexepath"),
        Field::ProcAname => ("proc.aname", "proc.aexepath"),
        Field::ProcSname => ("proc.sname", "proc.sid.exepath"),
        Field::ProcVpgidName => ("proc.vpgid.name", "proc.vpgid.exepath"),
        Field::ProcPgidName => ("proc.pgid.name", "proc.pgid.exepath"),
        _ => return None,
    };
    let whole = matches!(
        check.operator,
        Operator::Equal
            | Operator::Same
            | Operator::NotEqual
            | Operator::In
            | Operator::Intersects
            | Operator::StartsWith
            | Operator::EndsWith
            | Operator::Contains
            | Operator::IContains
    );
    if !whole || literal.bytes.len() <= MAX_COMM {
        return None;
    }
    let value = String::from_utf8_lossy(&literal.bytes);
    let message = format!(
        "`{value}` has {} bytes, and `{field}` at most {MAX_COMM}",
        literal.bytes.len()
    );
    let cut = value.chars().scan(0, |length, c| {
        *length += c.len_utf8();
        (*length <= MAX_COMM).then_some(c)
    });
    let help = format!(
        "the kernel cuts names: write `{}`, or test `{instead}`",
        cut.collect::<String>()
    );
    Some((Code::LintLongName, message, help))
}

/// Lists are compared as a whole: a pattern among them stands for itself.
fn pattern(left: &FieldRef, check: &Check, literal: &Literal) -> Option<Found> {
    let compared = matches!(
        (check.operator, &check.right),
        (Operator::In | Operator::Intersects, _)
    );
    let is_text = left.field.definition().kind == FieldKind::Text;
    if !compared || !is_text || !literal.bytes.iter().any(|byte| matches!(byte, b'*' | b'?')) {
        return None;
    }
    let value = String::from_utf8_lossy(&literal.bytes);
    let message = format!(
        "`{}` does not know patterns: `{value}` is compared as it is",
        check.operator
    );
    let help = format!(
        "write `{left} glob anyof (…)`, or for what is below a directory `{left} pmatch (…)`"
    );
    Some((Code::LintPatternInList, message, help))
}

/// Words for a value that is not there, in comparisons that no such value reaches.
fn missing(left: &FieldRef, check: &Check, literal: &Literal) -> Option<Found> {
    let equality = matches!(
        check.operator,
        Operator::Equal | Operator::Same | Operator::NotEqual
    );
    let prints_na = matches!(
        left.field,
        Field::UserName
            | Field::GroupName
            | Field::UserLoginname
            | Field::EvtArg
            | Field::EvtArgs
            | Field::EvtInfo
            | Field::FdL4proto
    );
    let word = match literal.bytes.as_slice() {
        b"<NA>" if !prints_na => "<NA>",
        b"null" | b"NULL" | b"nil" | b"undefined" => "null",
        _ => return None,
    };
    if !equality || left.field.definition().kind != FieldKind::Text {
        return None;
    }
    let value = String::from_utf8_lossy(&literal.bytes);
    let message = if word == "<NA>" {
        format!("`<NA>` is how a missing `{left}` is printed, it is no value of it")
    } else {
        format!("`{value}` is compared as text: a missing `{left}` is not equal to it")
    };
    let help = match check.operator {
        Operator::NotEqual => format!("write `{left} exists`"),
        _ => format!("write `not {left} exists`"),
    };
    Some((Code::LintMissingValue, message, help))
}
