//! Explanations for programs.

use monitor_policy::{Event as _, EventType, FlatEvent, Part, Shape, Trace, View};
use serde_json::{Value, json};

use super::Subject;
use crate::event::filled;

/// The explanation as one object.
pub(super) fn json(subject: &Subject<'_>) -> Value {
    let rule = subject.rule;
    let types: Vec<&str> = rule.event_types.iter().map(EventType::name).collect();
    let fields = subject.fields();
    let fields = fields
        .iter()
        .map(|field| json!({"name": field.to_string(), "filled": filled(field.field)}));
    let events = subject.events.iter().map(|event| outcome(subject, event));
    json!({
        "rule": rule.name,
        "description": rule.description,
        "priority": rule.priority.to_string(),
        "enabled": rule.enabled,
        "location": subject.explanation.location().to_string(),
        "any_event": types.len() == EventType::count(),
        "event_types": types,
        "fields": fields.collect::<Value>(),
        "kernel": subject.kernel.trim_end(),
        "condition": part(subject.explanation.root(), None, &mut Vec::new()),
        "events": events.collect::<Value>(),
    })
}

fn outcome(subject: &Subject<'_>, event: &FlatEvent) -> Value {
    let view = subject.view(event);
    let trace = subject.explanation.trace(event, view);
    let root = subject.explanation.root();
    let deciders = trace.deciders(root);
    json!({
        "event_type": event.event_type().name(),
        "view": match view {
            View::Passed => "passed",
            View::Resolved => "resolved",
            View::Original => "original",
        },
        "tried": subject.rule.event_types.contains(event.event_type()),
        "holds": trace.holds(root),
        "condition": part(root, Some(&trace), &mut Vec::new()),
        "decided_by": deciders.iter().map(|one| part(one, Some(&trace), &mut Vec::new())).collect::<Value>(),
    })
}

/// A part with the parts in it; a macro is opened where it comes up for the first time.
fn part<'p>(part_: &'p Part, trace: Option<&Trace<'_>>, opened: &mut Vec<&'p str>) -> Value {
    let mut inner = |parts: &'p [std::sync::Arc<Part>]| -> Value {
        parts.iter().map(|one| part(one, trace, opened)).collect()
    };
    let mut object = match &part_.shape {
        Shape::All(parts) => json!({"all": inner(parts)}),
        Shape::Any(parts) => json!({"any": inner(parts)}),
        Shape::Not(one) => json!({"not": part(one, trace, opened)}),
        Shape::Macro { name, body } => {
            let definition = part_.definitions().first();
            let location = definition.map(|from| from.location.to_string());
            let body = if opened.contains(&name.as_str()) {
                Value::Null
            } else {
                opened.push(name);
                part(body, trace, opened)
            };
            json!({"macro": name, "location": location, "body": body})
        }
        Shape::Test {
            text,
            fields,
            location,
        } => {
            let lists = part_.definitions().iter();
            let lists =
                lists.map(|list| json!({"name": list.name, "location": list.location.to_string()}));
            let values = trace.map(|trace| {
                let value = |field| (ToString::to_string(field), trace.value(field));
                fields.iter().map(value).collect::<serde_json::Map<_, _>>()
            });
            json!({
                "test": text,
                "location": location.to_string(),
                "lists": lists.collect::<Value>(),
                "values": values,
            })
        }
    };
    if let (Some(trace), Some(object)) = (trace, object.as_object_mut()) {
        object.insert("holds".to_owned(), trace.holds(part_).into());
    }
    object
}
