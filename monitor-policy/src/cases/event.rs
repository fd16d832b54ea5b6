//! Events as tests write them.

use std::collections::HashMap;

use serde_json::{Map, Value as Json};

use super::read::invalid;
use crate::diagnostic::Code;
use crate::event_type::EventType;
use crate::flat::{FlatEvent, FlatEventError};
use crate::nearest;
use crate::rules::{Finding, Read};
use crate::source::Place;
use crate::yaml::{Content, Node, Scalar};

/// Fields with their values, and where they are written.
#[derive(Clone, Debug)]
pub(super) struct Facts {
    values: Map<String, Json>,
    /// Of each field its key and its value.
    places: HashMap<String, (Place, Place)>,
    /// Where the event as a whole is written.
    place: Place,
}

impl Facts {
    /// An event without fields.
    pub(super) fn new(place: Place) -> Self {
        Self {
            values: Map::new(),
            places: HashMap::new(),
            place,
        }
    }

    /// The event with these fields instead of or besides its own.
    pub(super) fn with(mut self, changes: &Node) -> Read<Self> {
        let Content::Mapping(pairs) = &changes.content else {
            let message = "an event is a mapping from field to value";
            return Err(invalid(message, changes.place(0)));
        };
        let mut given = Vec::new();
        for (key, value) in pairs {
            let place = key.place(0);
            let Some(field) = key.text() else {
                return Err(invalid("a field's name is a text", place));
            };
            if given.contains(&field) {
                return Err(invalid(format!("'{field}' is given twice"), place));
            }
            given.push(field);
            self.values.insert(field.to_owned(), json(value));
            let places = (place, value.place(0));
            self.places.insert(field.to_owned(), places);
        }
        Ok(self)
    }

    /// The event, or what is wrong with its fields.
    pub(super) fn flat(&self) -> Result<FlatEvent, Vec<Finding>> {
        let error = match FlatEvent::from_json(&self.values) {
            Ok(event) => return Ok(event),
            Err(error) => error,
        };
        let alone = |(key, value): (&String, &Json)| {
            let one = Map::from_iter([(key.clone(), value.clone())]);
            FlatEvent::partial(&one).err()
        };
        let mut errors: Vec<_> = self.values.iter().filter_map(alone).collect();
        let has_type = self
            .values
            .get("evt.type")
            .is_some_and(|name| !name.is_null());
        let meant = |error: &FlatEventError| error.to_string().contains("`evt.type`");
        if errors.is_empty() {
            errors.push(error);
        } else if !has_type && !errors.iter().any(meant) {
            errors.push(FlatEventError::NoEventType);
        }
        Err(errors.iter().map(|error| self.finding(error)).collect())
    }

    fn finding(&self, error: &FlatEventError) -> Finding {
        let places = |field: &str| self.places.get(field).copied();
        let (place, help) = match error {
            FlatEventError::NoEventType => (None, Some("add `evt.type: openat`".to_owned())),
            FlatEventError::UnknownEventType(name) => {
                let names = EventType::all().map(EventType::name);
                let value = places("evt.type").map(|(_, value)| value);
                (value, nearest::hint(name, names))
            }
            FlatEventError::UnknownField { field, .. } => (places(field).map(|(key, _)| key), None),
            FlatEventError::BadValue { field, .. } => (places(field).map(|(_, value)| value), None),
        };
        let place = place.unwrap_or(self.place);
        let message = error.to_string();
        // What reads flat events has no place for help but the message.
        let (message, hint) = match message.split_once("; ") {
            Some((message, hint)) => (message.to_owned(), Some(hint.to_owned())),
            None => (message, None),
        };
        Finding::new(Code::Validate, message, place).with_hint(help.or(hint))
    }
}

/// A value as JSON has it.
fn json(node: &Node) -> Json {
    match &node.content {
        Content::Null => Json::Null,
        Content::Sequence(items) => items.iter().map(|item| json(item)).collect(),
        Content::Mapping(pairs) => {
            let pairs = pairs.iter().map(|(key, value)| {
                let key = key.text().unwrap_or_default().to_owned();
                (key, json(value))
            });
            Json::Object(pairs.collect())
        }
        Content::Scalar(scalar) => {
            typed(scalar).unwrap_or_else(|| Json::String(scalar.text.clone()))
        }
    }
}

/// The number or boolean that a scalar is; only if it prints as it is written, since text fields
/// take either.
fn typed(scalar: &Scalar) -> Option<Json> {
    if !scalar.is_plain() {
        return None;
    }
    let value: Json = serde_json::from_str(&scalar.text).ok()?;
    let printed = value.to_string();
    (matches!(value, Json::Bool(_) | Json::Number(_)) && printed == scalar.text).then_some(value)
}
