//! Events as flat maps from field to value, for tests of rules and for `eval`.
//!
//! What a map leaves out but implies is filled in: an indexed ancestor from the list of all, the
//! either-end fields from both ends.

mod read;

use std::borrow::Cow;
use std::collections::{BTreeSet, HashMap};

use serde_json::Map;
use thiserror::Error;

use crate::event::{Event, Value, View};
use crate::event_type::EventType;
use crate::field::{Field, FieldArg, FieldRef};

/// An event made of a JSON object: `{"evt.type":"openat","proc.name":"cat"}`.
#[derive(Clone, Debug)]
pub struct FlatEvent {
    event_type: EventType,
    values: HashMap<FieldRef, Value<'static>>,
}

/// Why a JSON object is not an event.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
pub enum FlatEventError {
    /// No `evt.type`, or none that is a text.
    #[error("the event has no `evt.type`")]
    NoEventType,
    /// `evt.type` names no event.
    #[error("`evt.type` is `{0}`, which is no event type")]
    UnknownEventType(String),
    /// A key names no field.
    #[error("{reason}")]
    UnknownField {
        /// The key.
        field: String,
        /// What is wrong with it.
        reason: String,
    },
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
    /// Reads an event. A null value is as no value; numbers may be texts.
    ///
    /// # Errors
    ///
    /// No or an unknown `evt.type`, a key that is no field, or a value that does not fit.
    pub fn from_json(object: &Map<String, serde_json::Value>) -> Result<Self, FlatEventError> {
        // A key that is no field goes first: it may be meant for `evt.type`.
        let event = Self::partial(object)?;
        match object.get("evt.type") {
            Some(serde_json::Value::String(_)) => Ok(event),
            _ => Err(FlatEventError::NoEventType),
        }
    }

    /// Reads what may be a part of an event: `evt.type` may be left out and is then missing.
    ///
    /// # Errors
    ///
    /// An unknown `evt.type`, a key that is no field, or a value that does not fit.
    pub fn partial(object: &Map<String, serde_json::Value>) -> Result<Self, FlatEventError> {
        let event_type = match object.get("evt.type").filter(|name| !name.is_null()) {
            None => EventType::UNKNOWN,
            Some(name) => {
                let name = name.as_str().ok_or(FlatEventError::NoEventType)?;
                EventType::from_name(name)
                    .ok_or_else(|| FlatEventError::UnknownEventType(name.to_owned()))?
            }
        };
        let mut values = HashMap::new();
        for (key, value) in object {
            if let Some((field, value)) = read::entry(key, value)? {
                values.insert(field, value);
            }
        }
        Ok(Self { event_type, values })
    }

    fn given(&self, field: &FieldRef) -> Option<Value<'_>> {
        self.values.get(field).map(borrow)
    }

    fn plain(&self, field: Field) -> Option<Value<'_>> {
        self.given(&field.into())
    }

    /// What the map implies for a field that it does not give.
    fn implied(&self, field: &FieldRef) -> Option<Value<'_>> {
        match (field.field, &field.arg) {
            (Field::EvtNum, _) => Some(Value::Unsigned(1)),
            // There are only exits of calls, so that nothing is measured.
            (
                Field::EvtLatency
                | Field::EvtLatencyS
                | Field::EvtLatencyNs
                | Field::EvtLatencyQuantized
                | Field::EvtWaitLatency,
                _,
            ) => Some(Value::Unsigned(0)),
            (Field::EvtLatencyHuman, _) => Some(Value::Text(b"0ns"[..].into())),
            (Field::ProcEnv, Some(FieldArg::Key(name))) => self.environment(name),
            (ancestor, Some(FieldArg::Index(index))) if ancestor.is_ancestor() => {
                self.ancestor(ancestor, *index)
            }
            (ancestor, None) if ancestor.is_ancestor() => self.ancestors(ancestor),
            (end, None) => self.ends(end),
            _ => None,
        }
    }

    /// An ancestor by its index: from the list, or from the fields of the process itself.
    fn ancestor(&self, field: Field, index: u32) -> Option<Value<'_>> {
        let (own, parent) = process_fields(field)?;
        match index {
            0 => self.plain(own),
            index => match self.plain(field) {
                Some(Value::List(all)) => all.into_iter().nth(index as usize - 1),
                _ if index == 1 => self.plain(parent),
                _ => None,
            },
        }
    }

    /// All ancestors, from those that are given by index.
    fn ancestors(&self, field: Field) -> Option<Value<'_>> {
        let index = |given: &FieldRef| match (given.field == field, &given.arg) {
            (true, Some(FieldArg::Index(index))) if *index > 0 => Some(*index),
            _ => None,
        };
        // Only those: an index may be any number.
        let indexes: BTreeSet<u32> = self.values.keys().filter_map(index).chain([1]).collect();
        let known = indexes.into_iter().filter_map(|index| {
            self.given(&FieldRef::with_index(field, index))
                .or_else(|| self.ancestor(field, index))
        });
        let known: Vec<_> = known.collect();
        (!known.is_empty()).then_some(Value::List(known))
    }

    /// Both ends of a connection, or the address behind a network field.
    fn ends(&self, field: Field) -> Option<Value<'_>> {
        let pairs: &[(Field, Field)] = match field {
            Field::FdIp | Field::FdNet => {
                &[(Field::FdCip, Field::FdSip), (Field::FdLip, Field::FdRip)]
            }
            Field::FdPort | Field::FdProto => &[
                (Field::FdCport, Field::FdSport),
                (Field::FdLport, Field::FdRport),
            ],
            Field::FdCnet => return self.plain(Field::FdCip),
            Field::FdSnet => return self.plain(Field::FdSip),
            Field::FdLnet => return self.plain(Field::FdLip),
            Field::FdRnet => return self.plain(Field::FdRip),
            _ => return None,
        };
        if field == Field::FdNet
            && let Some(given) = self.plain(Field::FdIp)
        {
            return Some(given);
        }
        pairs.iter().find_map(|(one, other)| {
            let ends: Vec<_> = [self.plain(*one), self.plain(*other)]
                .into_iter()
                .flatten()
                .collect();
            (!ends.is_empty()).then_some(Value::List(ends))
        })
    }

    /// A variable of the environment, when all of it is given; unset ones are empty.
    fn environment(&self, name: &str) -> Option<Value<'_>> {
        let Value::Text(Cow::Borrowed(all)) = self.plain(Field::ProcEnv)? else {
            return None;
        };
        let mut entries = all.split(|byte| *byte == b' ');
        let value = entries.find_map(|entry| {
            entry
                .strip_prefix(name.as_bytes())
                .and_then(|rest| rest.strip_prefix(b"="))
        });
        Some(Value::Text(value.unwrap_or_default().into()))
    }
}

/// The fields that hold for the process itself and its parent what an ancestor field holds.
fn process_fields(field: Field) -> Option<(Field, Field)> {
    Some(match field {
        Field::ProcAname => (Field::ProcName, Field::ProcPname),
        Field::ProcAexe => (Field::ProcExe, Field::ProcPexe),
        Field::ProcAexepath => (Field::ProcExepath, Field::ProcPexepath),
        Field::ProcAcmdline => (Field::ProcCmdline, Field::ProcPcmdline),
        Field::ProcApid => (Field::ProcPid, Field::ProcPpid),
        _ => return None,
    })
}

fn borrow<'e>(value: &'e Value<'static>) -> Value<'e> {
    match value {
        Value::Text(text) => Value::Text(Cow::Borrowed(text)),
        Value::List(values) => Value::List(values.iter().map(borrow).collect()),
        other => other.clone(),
    }
}

impl Event for FlatEvent {
    fn event_type(&self) -> EventType {
        self.event_type
    }

    fn has_view(&self, _view: View) -> bool {
        false
    }

    fn value(&self, field: &FieldRef, _view: View) -> Option<Value<'_>> {
        self.given(field).or_else(|| self.implied(field))
    }

    fn elements<'e>(
        &'e self,
        field: &FieldRef,
        _view: View,
        elements: &mut Vec<Value<'e>>,
    ) -> bool {
        let Some(Value::List(given)) = self.values.get(field) else {
            return false;
        };
        elements.extend(given.iter().map(borrow));
        !given.is_empty()
    }

    fn has_name(&self, field: &FieldRef, name: &str) -> Option<bool> {
        let is_name = |value: &Value<'_>| matches!(value, Value::Text(text) if text.as_ref() == name.as_bytes());
        Some(match self.given(field)? {
            Value::List(names) => names.iter().any(is_name),
            single => is_name(&single),
        })
    }
}
