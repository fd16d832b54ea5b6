//! An alert in the Elastic Common Schema.

use serde_json::{Map, Value, json};

use super::attack;
use super::mapping::Kind::{Address, FileName, Number, Path, Text, Texts};
use super::mapping::{Mapping, insert, map, objects, present, text};
use super::severity::Severity;
use crate::alert_log::Entry;
use crate::output::{Alert, rfc3339};

/// Of the schema.
pub(super) const VERSION: &str = "9.4.0";

/// What every alert has.
pub(super) const ALWAYS: &[(&str, &str)] = &[
    ("@timestamp", "time of the event"),
    ("ecs.version", "`9.4.0`"),
    ("message", "text of the alert"),
    ("tags", "tags of the rule"),
    ("event.kind", "`alert`"),
    ("event.category", "`intrusion_detection`"),
    ("event.type", "`info`"),
    ("event.id", "`uuid`"),
    ("event.sequence", "`sequence`"),
    ("event.severity", "priority, by the table above"),
    ("event.module", "`monitor`"),
    ("event.dataset", "`monitor.alerts`"),
    ("event.provider", "event source of the rule"),
    ("log.level", "name of the priority, in small letters"),
    ("log.syslog.severity.code", "number of the priority"),
    ("log.syslog.severity.name", "its name"),
    ("rule.name", "name of the rule"),
    ("host.hostname", "name of the host"),
    ("host.name", "name of the host"),
    ("agent.type", "`monitor-daemon`"),
    ("agent.version", "version of the daemon"),
];

/// What an alert has whose rule has tags of MITRE ATT&CK.
pub(super) const TAGGED: &[(&str, &str)] = &[
    ("threat.framework", "`MITRE ATT&CK`"),
    (
        "threat.tactic.id",
        "tags like `mitre_credential_access` and `TA0006`",
    ),
    ("threat.tactic.name", "the names of those"),
    (
        "threat.technique.id",
        "tags like `T1003` and `T1003.008`, without what is behind the dot",
    ),
    ("threat.technique.subtechnique.id", "tags like `T1003.008`"),
];

/// What an alert has whose rule prints the field.
pub(super) const FIELDS: &[Mapping] = &[
    map("event.action", "evt.type", Text),
    map("process.pid", "proc.pid", Number),
    map("process.name", "proc.name", Text),
    map("process.executable", "proc.exepath", Text),
    map("process.command_line", "proc.cmdline", Text),
    map("process.working_directory", "proc.cwd", Text),
    map("process.thread.id", "thread.tid", Number),
    map("process.parent.pid", "proc.ppid", Number),
    map("process.parent.name", "proc.pname", Text),
    map("process.parent.executable", "proc.pexepath", Text),
    map("process.parent.command_line", "proc.pcmdline", Text),
    map("process.session_leader.pid", "proc.sid", Number),
    map("user.id", "user.uid", Text),
    map("user.name", "user.name", Text),
    map("group.id", "group.gid", Text),
    map("group.name", "group.name", Text),
    map("file.path", "fd.name", Path),
    map("file.path", "fs.path.name", Path),
    map("file.name", "fd.name", FileName),
    map("file.name", "fs.path.name", FileName),
    map("file.directory", "fd.directory", Path),
    map("file.inode", "fd.ino", Text),
    map("client.ip", "fd.cip", Address),
    map("client.port", "fd.cport", Number),
    map("server.ip", "fd.sip", Address),
    map("server.port", "fd.sport", Number),
    map("source.ip", "fd.lip", Address),
    map("source.port", "fd.lport", Number),
    map("destination.ip", "fd.rip", Address),
    map("destination.port", "fd.rport", Number),
    map("network.transport", "fd.l4proto", Text),
    map("dns.question.name", "dns.question.name", Text),
    map("dns.question.type", "dns.question.type", Text),
    map("dns.response_code", "dns.rcode", Text),
    map("dns.type", "dns.type", Text),
    map("container.id", "container.full_id", Text),
    map("container.id", "container.id", Text),
    map("container.name", "container.name", Text),
    map("container.image.name", "container.image.repository", Text),
    map("container.image.tag", "container.image.tag", Texts),
    map("container.image.hash.all", "container.image.digest", Texts),
    map("container.runtime", "container.type", Text),
    map("orchestrator.namespace", "k8s.ns.name", Text),
    map("orchestrator.resource.name", "k8s.pod.name", Text),
    map("orchestrator.resource.id", "k8s.pod.uid", Text),
];

pub(super) fn value(entry: &Entry) -> Value {
    let alert = &entry.alert;
    let mut all = objects(FIELDS, alert);
    if all.contains_key("orchestrator") {
        insert(&mut all, "orchestrator.type", "kubernetes".into());
        insert(&mut all, "orchestrator.resource.type", "pod".into());
    }
    let severity = Severity::of(alert.priority);
    let level = alert.priority.name().to_lowercase();
    let always = [
        ("@timestamp", rfc3339(alert.time).into()),
        ("ecs.version", VERSION.into()),
        ("message", alert.output.as_str().into()),
        ("tags", json!(&*alert.tags)),
        ("event.kind", "alert".into()),
        ("event.category", json!(["intrusion_detection"])),
        ("event.type", json!(["info"])),
        ("event.id", entry.uuid().to_string().into()),
        ("event.sequence", entry.sequence.into()),
        ("event.severity", severity.ecs.into()),
        ("event.module", "monitor".into()),
        ("event.dataset", "monitor.alerts".into()),
        ("event.provider", (&*alert.source).into()),
        ("log.level", level.as_str().into()),
        ("log.syslog.severity.code", (alert.priority as u8).into()),
        ("log.syslog.severity.name", alert.priority.name().into()),
        ("rule.name", (&*alert.rule).into()),
        ("host.hostname", (&*alert.hostname).into()),
        ("host.name", (&*alert.hostname).into()),
        ("agent.type", "monitor-daemon".into()),
        ("agent.version", env!("CARGO_PKG_VERSION").into()),
    ];
    for (name, value) in always {
        insert(&mut all, name, value);
    }
    for (name, value) in threat(alert) {
        insert(&mut all, name, value);
    }
    let labels = labels(entry);
    if !labels.is_empty() {
        all.insert("labels".to_owned(), labels.into());
    }
    all.into()
}

/// Of [`TAGGED`] what there is.
fn threat(alert: &Alert) -> Vec<(&'static str, Value)> {
    let (ids, names): (Vec<_>, Vec<_>) = attack::tactics(alert).into_iter().unzip();
    let mut techniques: Vec<&str> = attack::techniques(alert).map(|(of, _)| of).collect();
    // Tags are sorted.
    techniques.dedup();
    let below: Vec<&str> = attack::techniques(alert)
        .filter_map(|(_, below)| below)
        .collect();
    let lists = [
        ("threat.tactic.id", ids),
        ("threat.tactic.name", names),
        ("threat.technique.id", techniques),
        ("threat.technique.subtechnique.id", below),
    ];
    let there = lists.into_iter().filter(|(_, list)| !list.is_empty());
    let mut all: Vec<_> = there.map(|(name, list)| (name, json!(list))).collect();
    if !all.is_empty() {
        all.push(("threat.framework", attack::FRAMEWORK.into()));
    }
    all
}

/// The fields for which the schema has no name: names without dots, since to Elasticsearch a dot
/// makes an object, and `container.image` cannot be a text and an object.
fn labels(entry: &Entry) -> Map<String, Value> {
    let alert = &entry.alert;
    let is_mapped = |name: &str| {
        let mut mappings = FIELDS.iter().filter(|mapping| mapping.ours == name);
        mappings.any(|mapping| mapping.value(alert).is_some())
    };
    let rest = alert.fields.iter().filter(|(name, _)| !is_mapped(name));
    let rest = rest.filter_map(|(name, _)| Some((name, present(alert, name)?)));
    rest.map(|(name, value)| (label(name), text(value).into()))
        .collect()
}

/// `proc.aname[2]` is `proc_aname_2`.
fn label(name: &str) -> String {
    let mut label = String::with_capacity(name.len());
    for letter in name.chars() {
        match letter {
            ']' => {}
            '.' | '[' | ' ' => label.push('_'),
            letter => label.push(letter),
        }
    }
    label
}
