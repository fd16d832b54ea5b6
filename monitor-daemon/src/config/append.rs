//! `append_output` and `static_fields`: what is added to the outputs of rules, read and written
//! down again.

use std::collections::{BTreeMap, BTreeSet};

use monitor_policy::{AppendOutput, ExtraField};
use serde::Deserialize;
use serde_yaml::{Mapping, Value};

/// An entry of `append_output`.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields, expecting = "keys with values")]
pub(super) struct RawAppend {
    r#match: RawMatch,
    extra_output: Option<String>,
    extra_fields: Vec<RawField>,
    suggested_output: bool,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields, expecting = "keys with values")]
struct RawMatch {
    rule: Option<String>,
    source: Option<String>,
    tags: BTreeSet<String>,
}

/// `proc.name`, or `name: a text with %fields`.
#[derive(Debug, Deserialize)]
#[serde(untagged, expecting = "a field, or a name with a format")]
enum RawField {
    Field(String),
    Formatted(BTreeMap<String, String>),
}

impl RawAppend {
    pub(super) fn into_append(self) -> AppendOutput {
        let fields = self.extra_fields.into_iter().flat_map(|field| match field {
            RawField::Field(name) => vec![ExtraField::Field(name)],
            RawField::Formatted(formats) => formats
                .into_iter()
                .map(|(name, format)| ExtraField::Formatted { name, format })
                .collect(),
        });
        AppendOutput {
            rule: self.r#match.rule,
            source: self.r#match.source,
            tags: self.r#match.tags,
            text: self.extra_output,
            fields: fields.collect(),
            suggested: self.suggested_output,
        }
    }
}

/// The entries as they are written in a configuration.
pub(super) fn to_yaml(entries: &[AppendOutput]) -> Value {
    entries.iter().map(entry).collect()
}

fn entry(entry: &AppendOutput) -> Value {
    let AppendOutput {
        rule,
        source,
        tags,
        text,
        fields,
        suggested,
    } = entry;
    let mut wanted = Mapping::new();
    for (key, value) in [("rule", rule), ("source", source)] {
        if let Some(value) = value {
            wanted.insert(key.into(), value.as_str().into());
        }
    }
    if !tags.is_empty() {
        let tags = tags.iter().map(|tag| Value::from(tag.as_str()));
        wanted.insert("tags".into(), tags.collect());
    }
    let mut all = Mapping::new();
    if !wanted.is_empty() {
        all.insert("match".into(), wanted.into());
    }
    if let Some(text) = text {
        all.insert("extra_output".into(), text.as_str().into());
    }
    if !fields.is_empty() {
        all.insert("extra_fields".into(), fields.iter().map(field).collect());
    }
    all.insert("suggested_output".into(), (*suggested).into());
    all.into()
}

fn field(field: &ExtraField) -> Value {
    match field {
        ExtraField::Field(name) => name.as_str().into(),
        ExtraField::Formatted { name, format } => {
            Mapping::from_iter([(name.as_str().into(), format.as_str().into())]).into()
        }
    }
}
