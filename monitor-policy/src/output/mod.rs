//! Outputs: the text of a rule with fields in it.

mod template;

use crate::event::{Event, View};
use crate::field::{Field, FieldRef};
use crate::program::{Frame, Graph, Memory, Operand, fetch, to_json, to_text};

/// A parsed output.
#[derive(Clone, Debug, Default)]
pub(crate) struct Template {
    parts: Vec<Part>,
    /// The fields of the JSON result.
    columns: Vec<Column>,
    /// What becomes of a missing value.
    missing: Missing,
}

/// What becomes of a missing value.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
enum Missing {
    /// It is printed as `<NA>`, and null in JSON.
    #[default]
    Shown,
    /// The output ends before it.
    Ends,
}

/// A field of the JSON result.
#[derive(Clone, Debug)]
enum Column {
    /// A field of the event, under its own name.
    Field(FieldRef),
    /// A text that is always the same.
    Static { name: String, text: String },
    /// A text with fields in it.
    Formatted { name: String, template: Template },
}

#[derive(Clone, Debug)]
enum Part {
    Text(String),
    Field {
        field: FieldRef,
        width: Option<usize>,
    },
    Call {
        operand: Operand,
        slots: Vec<FieldRef>,
        width: Option<usize>,
    },
}

/// What stands for a missing value.
const MISSING: &str = "<NA>";

impl Template {
    /// The fields of events in it.
    pub(crate) fn fields(&self) -> Vec<&FieldRef> {
        let mut fields = Vec::new();
        for column in &self.columns {
            match column {
                Column::Field(field) => fields.push(field),
                Column::Static { .. } => {}
                Column::Formatted { template, .. } => fields.extend(template.fields()),
            }
        }
        fields
    }

    /// The output for an event.
    pub(crate) fn text(&self, event: &dyn Event, view: View) -> String {
        let mut output = Vec::new();
        for part in &self.parts {
            let (value, width) = match part {
                Part::Text(text) => {
                    output.extend_from_slice(text.as_bytes());
                    continue;
                }
                Part::Field { field, width } => {
                    let value = fetch(event, field, view);
                    (value.map(|value| to_text(field.field, &value)), *width)
                }
                Part::Call {
                    operand,
                    slots,
                    width,
                } => (call(operand, slots, event, view), *width),
            };
            match (value, self.missing) {
                (None, Missing::Ends) => break,
                (None, Missing::Shown) => push(&mut output, MISSING, width),
                (Some(value), _) => push(&mut output, &value, width),
            }
        }
        String::from_utf8_lossy(&output).into_owned()
    }

    /// The fields with typed values.
    pub(crate) fn values(&self, event: &dyn Event, view: View) -> Vec<(String, serde_json::Value)> {
        let mut values = Vec::new();
        for column in &self.columns {
            let (name, value) = match column {
                Column::Static { name, text } => (name.clone(), Some(text.clone().into())),
                Column::Formatted { name, template } => {
                    (name.clone(), Some(template.text(event, view).into()))
                }
                Column::Field(field) => {
                    let value = fetch(event, field, view);
                    let value = value.map(|value| to_json(field.field, &value));
                    (field.to_string(), value)
                }
            };
            match (value, self.missing) {
                (None, Missing::Ends) => break,
                (value, _) => values.push((name, value.unwrap_or_default())),
            }
        }
        values
    }
}

/// What a transformer makes of an event, as text.
fn call(operand: &Operand, slots: &[FieldRef], event: &dyn Event, view: View) -> Option<String> {
    let graph = Graph::of_fields(slots.to_vec());
    let mut memory = Memory::default();
    let value = Frame::new(&graph, event, view, &mut memory).value(operand)?;
    // A constant has no field; it is text.
    let field = slots.first().map_or(Field::EvtType, |field| field.field);
    Some(to_text(field, &value))
}

/// Adds a value, padded or cut to a width in bytes. A character that is cut through becomes
/// U+FFFD in the end.
fn push(output: &mut Vec<u8>, value: &str, width: Option<usize>) {
    let Some(width) = width else {
        output.extend_from_slice(value.as_bytes());
        return;
    };
    let end = width.min(value.len());
    output.extend_from_slice(value.as_bytes().get(..end).unwrap_or_default());
    output.extend(std::iter::repeat_n(b' ', width - end));
}
