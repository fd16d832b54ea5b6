//! An alert as a Detection Finding (class 2004) of the Open Cybersecurity Schema Framework.

use serde_json::{Map, Value, json};

use super::attack;
use super::mapping::Kind::{Address, FileName, Number, Path, Text, Uuid};
use super::mapping::{Mapping, insert, map, objects};
use super::severity::Severity;
use crate::alert_log::Entry;
use crate::output::Alert;

/// Of the schema.
pub(super) const VERSION: &str = "1.5.0";

/// What every alert has.
pub(super) const ALWAYS: &[(&str, &str)] = &[
    ("activity_id", "`1`, with `activity_name` `Create`"),
    ("category_uid", "`2`, with `category_name` `Findings`"),
    ("class_uid", "`2004`, with `class_name` `Detection Finding`"),
    (
        "type_uid",
        "`200401`, with `type_name` `Detection Finding: Create`",
    ),
    (
        "severity_id",
        "priority, by the table above, with `severity`",
    ),
    ("status_id", "`1`, with `status` `New`"),
    ("time", "time of the event, ms"),
    ("message", "text of the alert"),
    ("is_alert", "`true`"),
    (
        "device.hostname",
        "name of the host; `device.type_id` is `0`",
    ),
    ("metadata.version", "`1.5.0`"),
    ("metadata.profiles", "`container`"),
    (
        "metadata.product",
        "`name` `monitor-daemon`, `vendor_name` `monitor`, and `version`",
    ),
    ("metadata.uid", "`uuid`"),
    ("metadata.sequence", "`sequence`"),
    ("metadata.log_name", "event source of the rule"),
    ("metadata.labels", "tags of the rule"),
    ("finding_info.uid", "`uuid`"),
    ("finding_info.title", "name of the rule"),
    ("finding_info.created_time", "time of the event, ms"),
    (
        "finding_info.analytic",
        "`name` of the rule; `type_id` is `1`, with `type` `Rule`",
    ),
    (
        "evidences[].data",
        "all fields of the alert, by their own names",
    ),
];

/// What an alert has whose rule has tags of MITRE ATT&CK.
pub(super) const TAGGED: &[(&str, &str)] = &[
    (
        "finding_info.attacks[].tactic",
        "`uid` and `name`, by tags like `mitre_credential_access` and `TA0006`",
    ),
    (
        "finding_info.attacks[].technique",
        "`uid`: tags like `T1003` and `T1003.008`, without what is behind the dot",
    ),
    (
        "finding_info.attacks[].sub_technique",
        "`uid`: tags like `T1003.008`",
    ),
];

/// What an alert has whose rule prints the field; all within `evidences[]`.
pub(super) const FIELDS: &[Mapping] = &[
    map("process.pid", "proc.pid", Number),
    map("process.name", "proc.name", Text),
    map("process.path", "proc.exepath", Text),
    map("process.cmd_line", "proc.cmdline", Text),
    map("process.working_directory", "proc.cwd", Text),
    map("process.tid", "thread.tid", Number),
    map("process.namespace_pid", "proc.vpid", Number),
    map("process.user.uid", "user.uid", Text),
    map("process.user.name", "user.name", Text),
    map("process.parent_process.pid", "proc.ppid", Number),
    map("process.parent_process.name", "proc.pname", Text),
    map("process.parent_process.path", "proc.pexepath", Text),
    map("process.parent_process.cmd_line", "proc.pcmdline", Text),
    map("file.path", "fd.name", Path),
    map("file.path", "fs.path.name", Path),
    map("file.name", "fd.name", FileName),
    map("file.name", "fs.path.name", FileName),
    map("src_endpoint.ip", "fd.cip", Address),
    map("src_endpoint.ip", "fd.lip", Address),
    map("src_endpoint.port", "fd.cport", Number),
    map("src_endpoint.port", "fd.lport", Number),
    map("dst_endpoint.ip", "fd.sip", Address),
    map("dst_endpoint.ip", "fd.rip", Address),
    map("dst_endpoint.port", "fd.sport", Number),
    map("dst_endpoint.port", "fd.rport", Number),
    map("connection_info.protocol_name", "fd.l4proto", Text),
    map("query.hostname", "dns.question.name", Text),
    map("query.type", "dns.question.type", Text),
    map("container.uid", "container.full_id", Text),
    map("container.uid", "container.id", Text),
    map("container.name", "container.name", Text),
    map("container.image.uid", "container.image.digest", Text),
    map("container.image.uid", "container.image.id", Text),
    map("container.image.uid", "container.image.repository", Text),
    map("container.image.name", "container.image.repository", Text),
    map("container.image.tag", "container.image.tag", Text),
    map("container.runtime", "container.type", Text),
    map("container.pod_uuid", "k8s.pod.uid", Uuid),
];

/// Objects that have to have one of some attributes: without, they are left out, and what they would
/// hold is in `data` alone.
const NEEDS: &[(&str, &[&str])] = &[
    ("container", &["uid", "name"]),
    ("src_endpoint", &["ip"]),
    ("dst_endpoint", &["ip"]),
    ("query", &["hostname"]),
];

/// What the schema wants in an object that is there, and no field of ours says.
pub(super) const FILLED: &[(&str, &str)] = &[
    (
        "evidences[].process.uid",
        "`uuid`, where there is no `proc.pid`",
    ),
    (
        "evidences[].process.parent_process.uid",
        "`uuid` and `-parent`, where there is no `proc.ppid`",
    ),
    (
        "evidences[].process.container",
        "the same as `evidences[].container`",
    ),
    ("evidences[].file.type_id", "`0`: unknown"),
    ("evidences[].connection_info.direction_id", "`0`: unknown"),
    (
        "evidences[].container.orchestrator",
        "`kubernetes`, where there is `k8s.pod.uid`",
    ),
];

pub(super) fn value(entry: &Entry) -> Value {
    let alert = &entry.alert;
    let (severity_id, severity) = Severity::of(alert.priority).ocsf;
    let uuid = entry.uuid().to_string();
    let time = alert.time / 1_000_000;
    let mut finding = json!({
        "uid": uuid,
        "title": &*alert.rule,
        "created_time": time,
        "analytic": { "name": &*alert.rule, "type_id": 1, "type": "Rule" },
    });
    let attacks = attacks(alert);
    if let (Value::Object(finding), false) = (&mut finding, attacks.is_empty()) {
        insert(finding, "attacks", attacks.into());
    }
    json!({
        "activity_id": 1,
        "activity_name": "Create",
        "category_uid": 2,
        "category_name": "Findings",
        "class_uid": 2004,
        "class_name": "Detection Finding",
        "type_uid": 200_401,
        "type_name": "Detection Finding: Create",
        "severity_id": severity_id,
        "severity": severity,
        "status_id": 1,
        "status": "New",
        "time": time,
        "message": alert.output,
        "is_alert": true,
        "device": { "hostname": &*alert.hostname, "type_id": 0 },
        "metadata": {
            "version": VERSION,
            "profiles": ["container"],
            "product": {
                "name": "monitor-daemon",
                "vendor_name": "monitor",
                "version": env!("CARGO_PKG_VERSION"),
            },
            "uid": uuid,
            "sequence": entry.sequence,
            "log_name": &*alert.source,
            "labels": &*alert.tags,
        },
        "finding_info": finding,
        "evidences": [evidence(entry, &uuid)],
    })
}

/// An object a technique, with the tactic if there is one; several have objects of their own, as
/// which of them a technique is of is not known.
fn attacks(alert: &Alert) -> Vec<Value> {
    let tactics = attack::tactics(alert);
    let named = |attack: &mut Map<_, _>, (uid, name): &(&str, &str)| {
        insert(attack, "tactic", json!({ "uid": uid, "name": name }));
    };
    let techniques = attack::techniques(alert).map(|(technique, below)| {
        let mut attack = Map::new();
        insert(&mut attack, "technique.uid", technique.into());
        if let Some(below) = below {
            insert(&mut attack, "sub_technique.uid", below.into());
        }
        if let [only] = &*tactics {
            named(&mut attack, only);
        }
        Value::from(attack)
    });
    let mut attacks: Vec<Value> = techniques.collect();
    if tactics.len() > 1 || attacks.is_empty() {
        attacks.extend(tactics.iter().map(|tactic| {
            let mut attack = Map::new();
            named(&mut attack, tactic);
            Value::from(attack)
        }));
    }
    attacks
}

fn evidence(entry: &Entry, uuid: &str) -> Map<String, Value> {
    let mut all = objects(FIELDS, &entry.alert);
    for (object, needs) in NEEDS {
        keep_with(&mut all, object, needs);
    }
    if let Some(Value::Object(container)) = all.get_mut("container") {
        keep_with(container, "image", &["uid"]);
        if container.contains_key("pod_uuid") {
            insert(container, "orchestrator", "kubernetes".into());
        }
        // Which object a rule asks for depends on who asks.
        let container = container.clone();
        insert(&mut all, "process.container", container.into());
    }
    if let Some(Value::Object(process)) = all.get_mut("process") {
        if let Some(Value::Object(parent)) = process.get_mut("parent_process") {
            identify(parent, format!("{uuid}-parent"));
        }
        identify(process, uuid.to_owned());
    }
    for (object, name) in [("file", "type_id"), ("connection_info", "direction_id")] {
        if let Some(Value::Object(object)) = all.get_mut(object) {
            insert(object, name, 0.into());
        }
    }
    let fields: Map<String, Value> = entry.alert.fields.iter().cloned().collect();
    all.insert("data".to_owned(), fields.into());
    all
}

/// Removes an object that has none of `needs`.
fn keep_with(all: &mut Map<String, Value>, name: &str, needs: &[&str]) {
    let found = all.get(name).and_then(Value::as_object);
    if !found.is_some_and(|object| needs.iter().any(|need| object.contains_key(*need))) {
        all.remove(name);
    }
}

/// A process has to have an id of some kind.
fn identify(process: &mut Map<String, Value>, uid: String) {
    if !process.contains_key("pid") {
        insert(process, "uid", uid.into());
    }
}
