//! A rule that matched an event, as plain data; the other files here give it a shape.

use std::sync::Arc;

use monitor_policy::Priority;
use serde_json::Value;

/// Source of the daemon's own alerts, which no rule of any file has raised: what a rules file has as
/// its source is `syscall`, or it is not loaded.
pub(crate) const INTERNAL: &str = "internal";
/// The tag that those have.
pub(crate) const OWN_TAG: &str = "monitor";

/// A rule that matched an event.
#[derive(Clone, Debug)]
pub struct Alert {
    /// Name of the rule.
    pub rule: Arc<str>,
    /// Severity.
    pub priority: Priority,
    /// Event source of the rule: `syscall`, or [`INTERNAL`].
    pub source: Arc<str>,
    /// Tags of the rule, sorted.
    pub tags: Arc<[String]>,
    /// When the event happened: ns since the epoch.
    pub time: u64,
    /// Name of this host.
    pub hostname: Arc<str>,
    /// The rule's output with its fields filled in, without time and priority.
    pub output: String,
    /// The fields of the output, by name as written in the rule. Missing values are null.
    pub fields: Vec<(String, Value)>,
}

impl Alert {
    /// Whether it is about the daemon itself: that something was lost, late or tampered with.
    pub(crate) fn is_internal(&self) -> bool {
        *self.source == *INTERNAL
    }

    /// The value of a field of the output.
    pub fn field(&self, name: &str) -> Option<&Value> {
        self.fields
            .iter()
            .find(|(field, _)| field == name)
            .map(|(_, value)| value)
    }

    /// Approximate memory, in bytes: what a queue's budget is charged with.
    pub fn size(&self) -> usize {
        let field = |(name, value): &(String, Value)| {
            size_of::<(String, Value)>() + name.len() + heap_bytes(value)
        };
        // Rule, source, tags and hostname are shared with all other alerts of the rule.
        size_of::<Self>() + self.output.len() + self.fields.iter().map(field).sum::<usize>()
    }
}

fn heap_bytes(value: &Value) -> usize {
    match value {
        Value::String(text) => text.len(),
        Value::Array(items) => items
            .iter()
            .map(|item| size_of::<Value>() + heap_bytes(item))
            .sum(),
        Value::Object(map) => map
            .iter()
            .map(|(key, item)| key.len() + size_of::<Value>() + heap_bytes(item))
            .sum(),
        Value::Null | Value::Bool(_) | Value::Number(_) => 0,
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::alert_log::{Entry, LogId};

    /// 2026-01-31T12:00:00.000000001Z.
    pub(crate) const NOON: u64 = 1_769_860_800_000_000_001;

    /// An alert as an upstream-like rule gives it.
    pub(crate) fn sample() -> Alert {
        let fields = [
            ("fd.name", Value::from("/etc/shadow")),
            ("user.uid", Value::from(0)),
            ("proc.is_exe_upper_layer", Value::from(false)),
            ("proc.pname", Value::Null),
            ("container.id", Value::from("3ad7b26ded6d")),
            ("container.name", Value::from("web")),
            ("container.image.repository", Value::from("nginx")),
        ];
        Alert {
            rule: "Read shadow".into(),
            priority: Priority::Warning,
            source: "syscall".into(),
            tags: ["filesystem", "host"].map(String::from).into(),
            time: NOON,
            hostname: "web-1".into(),
            output: "Shadow read | file=/etc/shadow parent=<NA> container_name=web".into(),
            fields: fields.map(|(name, value)| (name.to_owned(), value)).into(),
        }
    }

    /// The alert with a number.
    pub(crate) fn entry(sequence: u64, alert: Alert) -> Arc<Entry> {
        Arc::new(Entry {
            sequence,
            log: LogId::default(),
            alert,
        })
    }

    #[test]
    fn size_grows_with_what_an_attacker_can_make_long() {
        let small = sample().size();
        let mut alert = sample();
        alert.output.push_str(&"x".repeat(1000));
        alert
            .fields
            .push(("proc.cmdline".into(), Value::from("y".repeat(500))));
        assert!(alert.size() >= small + 1500, "{} {small}", alert.size());
    }
}
