//! Outputs: the text of a rule with fields in it.

mod template;

use crate::event::{Event, View};
use crate::field::FieldRef;
use crate::program::{Frame, Graph, Memory, Operand, fetch, to_json, to_text};

/// A parsed output.
#[derive(Clone, Debug, Default)]
pub(crate) struct Template {
    parts: Vec<Part>,
    /// The fields, by what they are called in the JSON result.
    fields: Vec<FieldRef>,
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
    /// The fields in it, each once, in their order.
    pub(crate) fn fields(&self) -> &[FieldRef] {
        &self.fields
    }

    /// The output for an event.
    pub(crate) fn text(&self, event: &dyn Event, view: View) -> String {
        let mut output = String::new();
        for part in &self.parts {
            match part {
                Part::Text(text) => output.push_str(text),
                Part::Field { field, width } => {
                    let value = fetch(event, field, view);
                    let text = value.map(|value| to_text(field.field, &value));
                    push(&mut output, text.as_deref().unwrap_or(MISSING), *width);
                }
                Part::Call {
                    operand,
                    slots,
                    width,
                } => {
                    let graph = Graph::of_fields(slots.clone());
                    let mut memory = Memory::default();
                    let mut frame = Frame::new(&graph, event, view, &mut memory);
                    let value = frame.value(operand);
                    let field = slots.first().map(|field| field.field);
                    let text = value
                        .zip(field)
                        .map(|(value, field)| to_text(field, &value));
                    push(&mut output, text.as_deref().unwrap_or(MISSING), *width);
                }
            }
        }
        output
    }

    /// The fields with typed values.
    pub(crate) fn values(&self, event: &dyn Event, view: View) -> Vec<(String, serde_json::Value)> {
        let value = |field: &FieldRef| {
            let value = fetch(event, field, view);
            value.map_or(serde_json::Value::Null, |value| {
                to_json(field.field, &value)
            })
        };
        self.fields
            .iter()
            .map(|field| (field.to_string(), value(field)))
            .collect()
    }
}

/// Adds a value, padded or cut to a width in bytes.
fn push(output: &mut String, value: &str, width: Option<usize>) {
    let Some(width) = width else {
        output.push_str(value);
        return;
    };
    let mut end = width.min(value.len());
    while !value.is_char_boundary(end) {
        end -= 1;
    }
    output.push_str(value.get(..end).unwrap_or_default());
    output.extend(std::iter::repeat_n(' ', width - end));
}
