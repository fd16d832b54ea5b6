//! Events as flat maps from field to value, for tests of rules and for `eval`.

use serde_json::Map;
use thiserror::Error;

use crate::event::{Event, Value, View};
use crate::event_type::EventType;
use crate::field::FieldRef;

/// An event made of a JSON object: `{"evt.type":"openat","proc.name":"cat"}`.
#[derive(Clone, Debug)]
pub struct FlatEvent {
    event_type: EventType,
}

/// Why a JSON object is not an event.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
pub enum FlatEventError {
    /// No `evt.type`.
    #[error("the event has no `evt.type`")]
    NoEventType,
    /// `evt.type` names no event.
    #[error("`evt.type` is `{0}`, which is no event type")]
    UnknownEventType(String),
    /// A key names no field.
    #[error("`{0}` is no field")]
    UnknownField(String),
    /// A value does not fit its field.
    #[error("`{field}`: {reason}")]
    BadValue {
        /// The key.
        field: String,
        /// What is wrong with its value.
        reason: String,
    },
}

impl FlatEvent {
    /// Reads an event. A null value is as no value.
    pub fn from_json(object: &Map<String, serde_json::Value>) -> Result<Self, FlatEventError> {
        let name = object.get("evt.type").and_then(|name| name.as_str());
        let name = name.ok_or(FlatEventError::NoEventType)?;
        let event_type = EventType::from_name(name)
            .ok_or_else(|| FlatEventError::UnknownEventType(name.to_owned()))?;
        Ok(Self { event_type })
    }
}

impl Event for FlatEvent {
    fn event_type(&self) -> EventType {
        self.event_type
    }

    fn has_resolved_view(&self) -> bool {
        false
    }

    fn value(&self, _field: &FieldRef, _view: View) -> Option<Value<'_>> {
        None
    }

    fn has_name(&self, _field: &FieldRef, _name: &str) -> Option<bool> {
        None
    }
}
