//! How an item relates to an earlier one: `append` and `override`.

use std::collections::BTreeMap;

use super::entries::{Entries, Read};
use super::finding::Finding;
use super::item::{Mode, Operation};
use crate::diagnostic::Code;

/// The keys of an item that `override` may name.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Overridable {
    /// Those that can be appended to.
    pub(crate) append: &'static [&'static str],
    /// Those that can be replaced.
    pub(crate) replace: &'static [&'static str],
}

/// Reads `append` and `override`. A warning for the former is added to `warnings`.
pub(crate) fn mode(
    entries: &Entries<'_>,
    allowed: Overridable,
    warnings: &mut Vec<Finding>,
) -> Read<Mode> {
    let append = entries.boolean("append")?.unwrap_or(false);
    let Some(overrides) = entries.mapping("override")? else {
        if !append {
            return Ok(Mode::Define);
        }
        let message = "'append' key is deprecated. Add an 'append' entry (e.g. 'condition: \
                       append') under 'override' instead.";
        let place = entries.key_place("append");
        warnings.push(Finding::new(Code::DeprecatedItem, message, place));
        return Ok(Mode::Append);
    };
    if append {
        let message = "Keys 'override' and 'append: true' cannot be used together. Add an \
                       'append' entry (e.g. 'condition: append') under override instead.";
        return Err(Finding::new(
            Code::YamlValidate,
            message,
            entries.key_place("append"),
        ));
    }
    let mut errors = Vec::new();
    let operations = operations(&overrides, allowed, &mut errors);
    if errors.is_empty() {
        check_given(entries, &overrides, &operations, allowed, &mut errors);
    }
    let mut errors = errors.into_iter();
    match errors.next() {
        None => Ok(Mode::Override(operations)),
        Some(first) => {
            warnings.extend(errors);
            Err(first)
        }
    }
}

fn operations(
    overrides: &Entries<'_>,
    allowed: Overridable,
    errors: &mut Vec<Finding>,
) -> BTreeMap<&'static str, Operation> {
    let mut operations = BTreeMap::new();
    for (key, value) in overrides.keys() {
        let name = key.text().unwrap_or_default();
        let (operation, keys) = match value.text() {
            Some("append") => (Operation::Append, allowed.append),
            Some("replace") => (Operation::Replace, allowed.replace),
            _ => {
                let message = format!(
                    "Invalid override operation for key '{name}': must be 'append' or 'replace'"
                );
                errors.push(overrides.refuse(value, message));
                continue;
            }
        };
        let Some(known) = keys.iter().find(|known| **known == name) else {
            let verb = if operation == Operation::Append {
                "appended to"
            } else {
                "replaced"
            };
            let message = format!("Key '{name}' cannot be {verb}");
            let finding = overrides.refuse(key, message);
            let known = format!("keys that can be {verb}: {}", keys.join(", "));
            errors.push(finding.with_help(known));
            continue;
        };
        operations.insert(*known, operation);
    }
    operations
}

/// Every key under `override` is given, and every given key is under `override`.
fn check_given(
    entries: &Entries<'_>,
    overrides: &Entries<'_>,
    operations: &BTreeMap<&'static str, Operation>,
    allowed: Overridable,
    errors: &mut Vec<Finding>,
) {
    for key in operations.keys() {
        if !entries.has(key) {
            let message =
                format!("An override for key '{key}' was specified but '{key}' is not defined");
            let place = overrides.key_place(key);
            errors.push(Finding::new(Code::YamlValidate, message, place));
        }
    }
    for key in allowed.replace {
        if entries.has(key) && !operations.contains_key(key) {
            let message = format!(
                "Unexpected key '{key}': no corresponding entry under 'override' is defined"
            );
            let help = format!("add `{key}: replace` (or `append`) under `override`");
            let finding = Finding::new(Code::YamlValidate, message, entries.key_place(key));
            errors.push(finding.with_help(help));
        }
    }
}
