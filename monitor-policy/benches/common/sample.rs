//! An event with all values at hand, so that what is measured is the evaluation.

use std::borrow::Cow;

use monitor_policy::{Event, EventType, Field, FieldArg, FieldRef, FlatEvent, Policy, Value, View};

/// The fields of an event that a policy can ask for.
pub(crate) struct Sample {
    event_type: EventType,
    /// For each field the values it has, by argument.
    values: Vec<Vec<(Option<FieldArg>, Value<'static>)>>,
}

impl Sample {
    /// What `event` has of the fields of a policy.
    pub(crate) fn of(event: &FlatEvent, policy: &Policy) -> Self {
        let mut values = vec![Vec::new(); Field::all().len()];
        for field in policy.fields() {
            if let Some(value) = event.value(field, View::Passed) {
                values[field.field as usize].push((field.arg.clone(), own(&value)));
            }
        }
        Self {
            event_type: event.event_type(),
            values,
        }
    }

    fn known(&self, field: &FieldRef) -> Option<&Value<'static>> {
        let values = self.values.get(field.field as usize)?;
        let (_, value) = values.iter().find(|(arg, _)| *arg == field.arg)?;
        Some(value)
    }
}

fn own(value: &Value<'_>) -> Value<'static> {
    match value {
        Value::Text(text) => Value::Text(Cow::Owned(text.to_vec())),
        Value::Unsigned(number) => Value::Unsigned(*number),
        Value::Signed(number) => Value::Signed(*number),
        Value::Float(number) => Value::Float(*number),
        Value::Bool(flag) => Value::Bool(*flag),
        Value::Address(address) => Value::Address(*address),
        Value::List(values) => Value::List(values.iter().map(own).collect()),
    }
}

fn borrow<'e>(value: &'e Value<'static>) -> Value<'e> {
    match value {
        Value::Text(text) => Value::Text(Cow::Borrowed(text)),
        Value::List(values) => Value::List(values.iter().map(borrow).collect()),
        other => other.clone(),
    }
}

impl Event for Sample {
    fn event_type(&self) -> EventType {
        self.event_type
    }

    fn has_view(&self, _view: View) -> bool {
        false
    }

    fn value(&self, field: &FieldRef, _view: View) -> Option<Value<'_>> {
        self.known(field).map(borrow)
    }

    fn elements<'e>(
        &'e self,
        field: &FieldRef,
        _view: View,
        elements: &mut Vec<Value<'e>>,
    ) -> bool {
        match self.known(field) {
            Some(Value::List(known)) => elements.extend(known.iter().map(borrow)),
            Some(_) => return false,
            None => {}
        }
        true
    }

    fn has_name(&self, _field: &FieldRef, _name: &str) -> Option<bool> {
        None
    }
}
