//! An alert as a log record of OTLP, with names of OpenTelemetry's semantic conventions: as JSON, and
//! as protobuf.

use std::ops::Deref;

use serde_json::{Map, Value, json};

use super::mapping::Kind::{Address, FileName, Number, Path, Text, Texts};
use super::mapping::{Mapping, map, present};
use super::severity::Severity;
use crate::alert_log::Entry;
use crate::output::protobuf::Message;

/// Of the semantic conventions.
pub(super) const VERSION: &str = "1.42.0";
const SCHEMA: &str = "https://opentelemetry.io/schemas/1.42.0";
const EVENT: &str = "monitor.alert";
const SERVICE: &str = "monitor-daemon";

/// What every alert has.
pub(super) const ALWAYS: &[(&str, &str)] = &[
    ("resource host.name", "name of the host"),
    ("resource service.name", "`monitor-daemon`"),
    ("resource service.version", "version of the daemon"),
    ("scope name", "`monitor-daemon`"),
    ("scope version", "version of the daemon"),
    ("time_unix_nano", "time of the event"),
    (
        "observed_time_unix_nano",
        "time of the event: it was observed in the kernel",
    ),
    ("severity_number", "priority, by the table above"),
    ("severity_text", "name of the priority"),
    ("event_name", "`monitor.alert`"),
    ("body", "text of the alert"),
    ("security_rule.name", "name of the rule"),
    ("log.record.uid", "`uuid`"),
    ("monitor.sequence", "`sequence`"),
    ("monitor.source", "event source of the rule"),
    ("monitor.tags", "tags of the rule"),
];

/// What an alert has whose rule prints the field.
pub(super) const FIELDS: &[Mapping] = &[
    map("process.pid", "proc.pid", Number),
    map("process.parent_pid", "proc.ppid", Number),
    map("process.vpid", "proc.vpid", Number),
    map("process.group_leader.pid", "proc.pgid", Number),
    map("process.session_leader.pid", "proc.sid", Number),
    map("process.executable.path", "proc.exepath", Text),
    map("process.executable.name", "proc.exepath", FileName),
    map("process.command_line", "proc.cmdline", Text),
    map("process.working_directory", "proc.cwd", Text),
    map("process.user.id", "user.uid", Number),
    map("process.user.name", "user.name", Text),
    map("thread.id", "thread.tid", Number),
    map("file.path", "fd.name", Path),
    map("file.path", "fs.path.name", Path),
    map("file.name", "fd.name", FileName),
    map("file.name", "fs.path.name", FileName),
    map("file.directory", "fd.directory", Path),
    map("file.inode", "fd.ino", Text),
    map("client.address", "fd.cip", Address),
    map("client.port", "fd.cport", Number),
    map("server.address", "fd.sip", Address),
    map("server.port", "fd.sport", Number),
    map("network.local.address", "fd.lip", Address),
    map("network.local.port", "fd.lport", Number),
    map("network.peer.address", "fd.rip", Address),
    map("network.peer.port", "fd.rport", Number),
    map("network.transport", "fd.l4proto", Text),
    map("dns.question.name", "dns.question.name", Text),
    map("container.id", "container.full_id", Text),
    map("container.id", "container.id", Text),
    map("container.name", "container.name", Text),
    map("container.image.name", "container.image.repository", Text),
    map("container.image.tags", "container.image.tag", Texts),
    map("container.image.id", "container.image.id", Text),
    map("container.runtime.name", "container.type", Text),
    map("k8s.namespace.name", "k8s.ns.name", Text),
    map("k8s.pod.name", "k8s.pod.name", Text),
    map("k8s.pod.uid", "k8s.pod.uid", Text),
];

/// A log record as JSON.
pub(in crate::output) fn json_record(entry: &Entry) -> Value {
    let alert = &entry.alert;
    let time = alert.time.to_string();
    json!({
        "timeUnixNano": time,
        "observedTimeUnixNano": time,
        "severityNumber": Severity::of(alert.priority).otlp,
        "severityText": alert.priority.name(),
        "eventName": EVENT,
        "body": { "stringValue": alert.output },
        "attributes": json_attributes(&attributes(entry)),
    })
}

/// A request with records that [`json_record`] gave, one for each of `entries`.
pub(in crate::output) fn json_request<E>(entries: &[E], records: &[Vec<u8>]) -> Vec<u8>
where
    E: Deref<Target = Entry>,
{
    let logs = by_host(entries, records).map(|(host, records)| {
        let resource = json!({ "attributes": json_attributes(&resource(host)) });
        let scope = json!({ "name": SERVICE, "version": env!("CARGO_PKG_VERSION") });
        let start = format!(
            r#"{{"resource":{resource},"schemaUrl":"{SCHEMA}","scopeLogs":[{{"scope":{scope},"schemaUrl":"{SCHEMA}","logRecords":["#
        );
        [start.as_bytes(), &records.join(&b','), b"]}]}"].concat()
    });
    let logs = logs.collect::<Vec<_>>().join(&b',');
    [br#"{"resourceLogs":["#.as_slice(), &logs, b"]}"].concat()
}

/// A log record as protobuf.
pub(in crate::output) fn record(entry: &Entry) -> Vec<u8> {
    let alert = &entry.alert;
    let body = any(&alert.output.as_str().into());
    let record = Message::new()
        .fixed64(1, alert.time)
        .varint(2, Severity::of(alert.priority).otlp.into())
        .text(3, alert.priority.name())
        .message(5, &body)
        .messages(6, key_values(&attributes(entry)))
        .fixed64(11, alert.time)
        .text(12, EVENT);
    record.into_bytes()
}

/// A request with records that [`record`] gave, one for each of `entries`.
pub(in crate::output) fn request<E>(entries: &[E], records: &[Vec<u8>]) -> Vec<u8>
where
    E: Deref<Target = Entry>,
{
    let logs = by_host(entries, records).map(|(host, records)| {
        let version = env!("CARGO_PKG_VERSION");
        let scope = Message::new().text(1, SERVICE).text(2, version);
        let scoped = Message::new().message(1, &scope);
        let records = records.iter();
        let scoped = records.fold(scoped, |scoped, record| scoped.bytes(2, record));
        let resource = Message::new().messages(1, key_values(&resource(host)));
        Message::new()
            .message(1, &resource)
            .message(2, &scoped.text(3, SCHEMA))
            .text(3, SCHEMA)
    });
    Message::new().messages(1, logs).into_bytes()
}

/// Alerts of one host, which all mostly are, stand together: the host is the resource.
fn by_host<'a, E>(
    entries: &'a [E],
    mut records: &'a [Vec<u8>],
) -> impl Iterator<Item = (&'a str, &'a [Vec<u8>])>
where
    E: Deref<Target = Entry>,
{
    let groups = entries.chunk_by(|one, other| one.alert.hostname == other.alert.hostname);
    groups.filter_map(move |group| {
        let (own, rest) = records.split_at_checked(group.len())?;
        records = rest;
        Some((&*group.first()?.alert.hostname, own))
    })
}

fn resource(host: &str) -> Map<String, Value> {
    let all = [
        ("host.name", host),
        ("service.name", SERVICE),
        ("service.version", env!("CARGO_PKG_VERSION")),
    ];
    let all = all.map(|(name, text)| (name.to_owned(), text.into()));
    all.into_iter().collect()
}

/// What the conventions have names for, and under their own names the other fields.
fn attributes(entry: &Entry) -> Map<String, Value> {
    let alert = &entry.alert;
    let always = [
        ("security_rule.name", (&*alert.rule).into()),
        ("log.record.uid", entry.uuid().to_string().into()),
        ("monitor.sequence", entry.sequence.into()),
        ("monitor.source", (&*alert.source).into()),
        ("monitor.tags", json!(&*alert.tags)),
    ];
    let mut all: Map<String, Value> = Map::new();
    let mut insert = |name: &str, value: Value| {
        all.entry(name).or_insert(value);
    };
    for (name, value) in always {
        insert(name, value);
    }
    for mapping in FIELDS {
        if let Some(value) = mapping.value(alert) {
            insert(mapping.theirs, value);
        }
    }
    let is_mapped = |name: &str| {
        let mut mappings = FIELDS.iter().filter(|mapping| mapping.ours == name);
        mappings.any(|mapping| mapping.value(alert).is_some())
    };
    for (name, _) in &alert.fields {
        if let Some(value) = present(alert, name).filter(|_| !is_mapped(name)) {
            insert(name, value.clone());
        }
    }
    all
}

fn json_attributes(attributes: &Map<String, Value>) -> Value {
    let all = attributes.iter();
    all.map(|(name, value)| json!({ "key": name, "value": json_any(value) }))
        .collect()
}

fn json_any(value: &Value) -> Value {
    match value {
        Value::Null => json!({}),
        Value::Bool(value) => json!({ "boolValue": value }),
        Value::Number(number) => match (number.as_i64(), number.as_f64()) {
            (Some(number), _) => json!({ "intValue": number.to_string() }),
            (None, Some(number)) if !value.is_u64() => json!({ "doubleValue": number }),
            // Beyond what the format's number holds.
            _ => json!({ "stringValue": number.to_string() }),
        },
        Value::String(text) => json!({ "stringValue": text }),
        Value::Array(items) => {
            let items: Vec<Value> = items.iter().map(json_any).collect();
            json!({ "arrayValue": { "values": items } })
        }
        Value::Object(inner) => json!({ "kvlistValue": { "values": json_attributes(inner) } }),
    }
}

fn key_values(attributes: &Map<String, Value>) -> impl Iterator<Item = Message> {
    let all = attributes.iter();
    all.map(|(name, value)| Message::new().text(1, name).message(2, &any(value)))
}

fn any(value: &Value) -> Message {
    let message = Message::new();
    match value {
        Value::Null => message,
        Value::Bool(value) => message.varint(2, (*value).into()),
        Value::Number(number) => match (number.as_i64(), number.as_f64()) {
            (Some(number), _) => message.varint(3, number as u64),
            (None, Some(number)) if !value.is_u64() => message.fixed64(4, number.to_bits()),
            _ => message.text(1, &number.to_string()),
        },
        Value::String(text) => message.text(1, text),
        Value::Array(items) => {
            let items = Message::new().messages(1, items.iter().map(any));
            message.message(5, &items)
        }
        Value::Object(inner) => {
            let inner = Message::new().messages(1, key_values(inner));
            message.message(6, &inner)
        }
    }
}
