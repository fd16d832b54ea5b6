//! What the formats have in common: which of an alert's fields goes where, as a table from which
//! both the output and the reference are made.

use std::net::IpAddr;

use serde_json::{Map, Value};

use crate::output::Alert;

/// A field of ours as one of a format's.
#[derive(Clone, Copy, Debug)]
pub(super) struct Mapping {
    /// Its name in the format, with dots between objects.
    pub(super) theirs: &'static str,
    /// Its name in alerts.
    pub(super) ours: &'static str,
    kind: Kind,
}

/// How a value is written.
#[derive(Clone, Copy, Debug)]
pub(super) enum Kind {
    /// As text, whatever it is.
    Text,
    /// A list of one text.
    Texts,
    /// A whole number, or not at all.
    Number,
    /// An address, or not at all.
    Address,
    /// A UUID, or not at all: not every pod has one.
    Uuid,
    /// A path of a file, or not at all: what a descriptor is of may also be a connection.
    Path,
    /// The last part of such a path.
    FileName,
}

pub(super) const fn map(theirs: &'static str, ours: &'static str, kind: Kind) -> Mapping {
    Mapping { theirs, ours, kind }
}

impl Mapping {
    /// What the alert has for it.
    pub(super) fn value(&self, alert: &Alert) -> Option<Value> {
        let value = present(alert, self.ours)?;
        let path = || value.as_str().filter(|text| text.starts_with('/'));
        match self.kind {
            Kind::Text => Some(text(value).into()),
            Kind::Texts => Some(vec![text(value)].into()),
            Kind::Number => value.as_i64().map(Value::from),
            Kind::Address => {
                let address: IpAddr = value.as_str()?.parse().ok()?;
                Some(address.to_string().into())
            }
            Kind::Uuid => value.as_str().filter(|text| is_uuid(text)).map(Value::from),
            Kind::Path => path().map(Value::from),
            Kind::FileName => path().map(|path| file_name(path).into()),
        }
    }
}

/// A field's value, if it has one. What says that an event is of no container is none.
pub(super) fn present<'a>(alert: &'a Alert, name: &str) -> Option<&'a Value> {
    let on_host = || alert.field("container.id").is_some_and(|id| id == "host");
    if name.starts_with("container.") && on_host() {
        return None;
    }
    alert.field(name).filter(|value| match value {
        Value::Null => false,
        Value::String(text) => !text.is_empty(),
        _ => true,
    })
}

/// A value as text.
pub(super) fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(items) => items.iter().map(text).collect::<Vec<_>>().join(","),
        value => value.to_string(),
    }
}

fn is_uuid(text: &str) -> bool {
    let parts = text.split('-').map(|part| {
        let is_hex = part.bytes().all(|byte| byte.is_ascii_hexdigit());
        is_hex.then_some(part.len())
    });
    parts.eq([8, 4, 4, 4, 12].map(Some))
}

fn file_name(path: &str) -> &str {
    let name = path.rsplit('/').find(|part| !part.is_empty());
    name.unwrap_or("/")
}

/// All that `mappings` have a value for, as nested objects; of several for one name the first.
pub(super) fn objects(mappings: &[Mapping], alert: &Alert) -> Map<String, Value> {
    let mut all = Map::new();
    for mapping in mappings {
        if let Some(value) = mapping.value(alert) {
            insert(&mut all, mapping.theirs, value);
        }
    }
    all
}

/// Puts a value at a dotted name, unless there is one.
pub(super) fn insert(object: &mut Map<String, Value>, name: &str, value: Value) {
    match name.split_once('.') {
        None => _ = object.entry(name).or_insert(value),
        Some((first, rest)) => {
            let inner = object.entry(first).or_insert_with(|| Map::new().into());
            if let Value::Object(inner) = inner {
                insert(inner, rest, value);
            }
        }
    }
}
