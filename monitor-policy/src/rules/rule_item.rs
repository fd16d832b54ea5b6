//! Reads `rule` items.

use super::entries::{Entries, Read};
use super::finding::{Finding, ItemRef};
use super::item::{ExceptionItem, Mode, RuleItem};
use super::overrides::{self, Overridable};
use crate::diagnostic::Code;
use crate::nearest;
use crate::priority::Priority;
use crate::source::{Place, Sourced};

/// The keys of a rule.
pub(super) const KEYS: &[&str] = &[
    "rule",
    "condition",
    "output",
    "desc",
    "priority",
    "source",
    "enabled",
    "tags",
    "exceptions",
    "warn_evttypes",
    "skip-if-unknown-filter",
    "capture",
    "capture_duration",
    "override",
    "append",
];

const OVERRIDABLE: Overridable = Overridable {
    append: &["condition", "output", "desc", "tags", "exceptions"],
    replace: &[
        "condition",
        "output",
        "desc",
        "priority",
        "tags",
        "exceptions",
        "enabled",
        "warn_evttypes",
        "skip-if-unknown-filter",
        "capture",
        "capture_duration",
    ],
};

/// What a new rule must have.
const REQUIRED: [&str; 4] = ["condition", "output", "desc", "priority"];

/// Reads a rule.
pub(super) fn read(entries: &Entries<'_>, warnings: &mut Vec<Finding>) -> Read<RuleItem> {
    let item = entries.item_ref("rule")?;
    let mode = overrides::mode(entries, OVERRIDABLE, warnings)?;
    if matches!(mode, Mode::Define) {
        check_complete(entries, warnings)?;
    }
    // `append: true` knows two keys; whatever else stands there is of no account.
    if matches!(mode, Mode::Append) {
        return appended(item, entries, warnings);
    }
    let trimmed = |text: Sourced| text.trimmed();
    Ok(RuleItem {
        item,
        mode,
        condition: entries.sourced("condition")?.map(trimmed),
        output: entries.sourced("output")?.map(trimmed),
        desc: entries.text("desc")?,
        priority: priority(entries)?,
        source: source(entries)?,
        enabled: entries.boolean("enabled")?,
        tags: entries
            .texts("tags")?
            .map(|tags| tags.iter().map(|tag| tag.text().to_owned()).collect()),
        exceptions: exceptions(entries, warnings)?,
        warn_evttypes: entries.boolean("warn_evttypes")?,
        skip_if_unknown_filter: entries.boolean("skip-if-unknown-filter")?,
        capture: entries.boolean("capture")?,
        capture_duration: entries.number("capture_duration")?,
    })
}

/// What `append: true` adds.
fn appended(item: ItemRef, entries: &Entries<'_>, warnings: &mut Vec<Finding>) -> Read<RuleItem> {
    let condition = entries.sourced("condition")?;
    Ok(RuleItem {
        item,
        mode: Mode::Append,
        condition: condition.map(|text| text.trimmed()),
        output: None,
        desc: None,
        priority: None,
        source: source(entries)?,
        enabled: None,
        tags: None,
        exceptions: exceptions(entries, warnings)?,
        warn_evttypes: None,
        skip_if_unknown_filter: None,
        capture: None,
        capture_duration: None,
    })
}

/// `source`, and where it stands.
fn source(entries: &Entries<'_>) -> Read<Option<(String, Place)>> {
    let source = entries.sourced("source")?;
    Ok(source.map(|text| (text.text().to_owned(), text.place(&(0..text.text().len())))))
}

/// A definition has all required keys, or none and `enabled`: the old way to switch a rule.
fn check_complete(entries: &Entries<'_>, warnings: &mut Vec<Finding>) -> Read<()> {
    let missing = REQUIRED.iter().find(|key| !entries.has(key));
    let Some(missing) = missing else {
        return Ok(());
    };
    if REQUIRED.iter().any(|key| entries.has(key)) || !entries.has("enabled") {
        return Err(entries.missing(missing));
    }
    let message = "The standalone 'enabled' key usage is deprecated. The correct approach requires \
                   also a 'replace' entry under the 'override' key (i.e. 'enabled: replace').";
    let place = entries.key_place("enabled");
    warnings.push(Finding::new(Code::DeprecatedItem, message, place));
    Ok(())
}

fn priority(entries: &Entries<'_>) -> Read<Option<Priority>> {
    let Some(text) = entries.sourced("priority")? else {
        return Ok(None);
    };
    let name = text.text();
    if let Some(priority) = Priority::from_name(name) {
        return Ok(Some(priority));
    }
    let names = Priority::ALL.iter().map(|priority| priority.name());
    let hint = nearest::hint(name, names.clone())
        .unwrap_or_else(|| format!("known are {}", names.collect::<Vec<_>>().join(", ")));
    let place = text.place(&(0..name.len()));
    Err(Finding::new(
        Code::YamlValidate,
        format!("Invalid priority '{name}'"),
        place,
    )
    .with_help(hint))
}

fn exceptions(
    entries: &Entries<'_>,
    warnings: &mut Vec<Finding>,
) -> Read<Option<Vec<ExceptionItem>>> {
    let Some(nodes) = entries.sequence("exceptions")? else {
        return Ok(None);
    };
    let mut exceptions: Vec<ExceptionItem> = Vec::new();
    for node in nodes {
        let entry = entries.item(node)?;
        let exception = exception(&entry)?;
        warnings.extend(entry.unknown_keys(&["name", "fields", "comps", "values"]));
        if exceptions.iter().any(|known| known.name == exception.name) {
            let message = format!("Multiple exceptions are named '{}'", exception.name);
            warnings.push(Finding::new(
                Code::ExceptionNameNotUnique,
                message,
                exception.place,
            ));
        }
        exceptions.push(exception);
    }
    Ok(Some(exceptions))
}

fn exception(entries: &Entries<'_>) -> Read<ExceptionItem> {
    let name = entries
        .sourced("name")?
        .ok_or_else(|| entries.missing("name"))?;
    let place = name.place(&(0..name.text().len()));
    if name.text().is_empty() {
        return Err(Finding::new(
            Code::YamlValidate,
            "the exception's name is empty",
            place,
        ));
    }
    let values = entries.sequence("values")?;
    let values = values.map(|nodes| nodes.iter().map(|node| entries.nested_node(node)).collect());
    Ok(ExceptionItem {
        name: name.text().to_owned(),
        place,
        fields: entries.nested("fields")?,
        comps: entries.nested("comps")?,
        values: values.transpose()?,
    })
}
