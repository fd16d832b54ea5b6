//! Lints of outputs.

use crate::diagnostic::Code;
use crate::field::{Field, FieldFlags};
use crate::output::Template;
use crate::rules::Finding;
use crate::source::Sourced;

/// Fields whose name stands in the text while their value is nowhere: the `%` was forgotten.
pub(super) fn lint(text: &Sourced, template: &Template) -> Vec<Finding> {
    let word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.');
    let source = text.text();
    let mut findings = Vec::new();
    let mut position = 0;
    while let Some(rest) = source.get(position..) {
        let Some(skipped) = rest.find(word) else {
            break;
        };
        let start = position + skipped;
        let rest = source.get(start..).unwrap_or_default();
        let length = rest.find(|c| !word(c)).unwrap_or(rest.len());
        position = start + length;
        let name = rest.get(..length).unwrap_or_default().trim_end_matches('.');
        let before = source.get(..start).unwrap_or_default();
        let Some(field) = Field::from_name(name).filter(|_| name.contains('.')) else {
            continue;
        };
        let printed = template
            .fields()
            .iter()
            .any(|printed| printed.field == field);
        if printed
            || before.ends_with(['%', '(', ',', '/', '@'])
            || field.is(FieldFlags::FILTER_ONLY)
        {
            continue;
        }
        let message = format!("`{name}` is printed as it stands, not as the field's value");
        let span = start..start + name.len();
        findings.push(
            Finding::new(Code::LintNoPercent, message, text.place(&span))
                .with_help(format!("write `%{name}`")),
        );
    }
    findings
}
