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
pub(crate) const KEYS: &[&str] = &[
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

/// What `override` of a rule may name.
pub(crate) const OVERRIDABLE: Overridable = Overridable {
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
pub(crate) const REQUIRED: [&str; 4] = ["condition", "output", "desc", "priority"];

/// Reads a rule.
pub(super) fn read(entries: &Entries<'_>, warnings: &mut Vec<Finding>) -> Read<RuleItem> {
    let item = entries.item_ref("rule")?;
    let mut errors = Vec::new();
    let mode = keep(overrides::mode(entries, OVERRIDABLE, warnings), &mut errors);
    if matches!(mode, Some(Mode::Define)) {
        keep(check_complete(entries, warnings), &mut errors);
    }
    // `append: true` knows two keys; whatever else stands there is of no account.
    if matches!(mode, Some(Mode::Append)) {
        return appended(item, entries, warnings);
    }
    let defines = matches!(mode, Some(Mode::Define));
    let mut keep_key = KeepKey(&mut errors);
    let trimmed = |text: Sourced| text.trimmed();
    let source = keep_key.of(source(entries));
    let tags = keep_key.of(entries.texts("tags"));
    let rule = RuleItem {
        item,
        mode: mode.unwrap_or(Mode::Define),
        condition: keep_key.of(entries.sourced("condition")).map(trimmed),
        output: keep_key.of(entries.sourced("output")).map(trimmed),
        desc: keep_key.of(entries.text("desc")),
        priority: keep_key.of(priority(entries)),
        source,
        enabled: keep_key.of(entries.boolean("enabled")),
        tags: tags.map(|tags| tags.iter().map(|tag| tag.text().to_owned()).collect()),
        exceptions: keep_key.of(exceptions(entries, warnings)),
        warn_evttypes: keep_key.of(entries.boolean("warn_evttypes")),
        skip_if_unknown_filter: keep_key.of(entries.boolean("skip-if-unknown-filter")),
        capture: keep_key.of(entries.boolean("capture")),
        capture_duration: keep_key.of(entries.number("capture_duration")),
    };
    // The first is the result, the others stand beside the warnings.
    let mut errors = errors.into_iter();
    // A new rule that has what is compiled goes on, so that its errors and those of items that
    // change it are told too; the file does not load anyway.
    let goes_on = defines && rule.condition.is_some() && rule.output.is_some();
    match errors.next() {
        None => Ok(rule),
        Some(first) if goes_on => {
            warnings.push(first);
            warnings.extend(errors);
            Ok(rule)
        }
        Some(first) => {
            warnings.extend(errors);
            Err(first)
        }
    }
}

/// Goes on behind an error, so that those of all keys are told.
fn keep<T>(read: Read<T>, errors: &mut Vec<Finding>) -> Option<T> {
    read.map_err(|error| errors.push(error)).ok()
}

/// The same for keys that may be left out.
struct KeepKey<'e>(&'e mut Vec<Finding>);

impl KeepKey<'_> {
    fn of<T>(&mut self, read: Read<Option<T>>) -> Option<T> {
        keep(read, self.0).flatten()
    }
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
    let missing: Vec<_> = REQUIRED.iter().filter(|key| !entries.has(key)).collect();
    let Some(first) = missing.first() else {
        return Ok(());
    };
    if missing.len() < REQUIRED.len() || !entries.has("enabled") {
        let all: Vec<_> = missing.iter().map(|key| format!("`{key}`")).collect();
        return Err(entries.missing(first).with_help(format!(
            "a new rule also needs {}; to change a rule that is there, say so with `override`",
            all.join(", ")
        )));
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
    let begun = |full: &&str| {
        let start = full.get(..name.len()).unwrap_or_default();
        name.len() > 2 && start.eq_ignore_ascii_case(name)
    };
    let abbreviated = names.clone().find(begun);
    let hint = nearest::hint(name, names.clone())
        .or_else(|| abbreviated.map(|full| format!("did you mean `{full}`?")))
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
