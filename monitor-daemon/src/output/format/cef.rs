//! An alert in the Common Event Format (version 0): one line of text.

use std::fmt::Write as _;

use serde_json::Value;

use super::mapping::Kind::{FileName, Number, Path, Text};
use super::mapping::{Mapping, map, present, text};
use super::severity::Severity;
use crate::alert_log::Entry;
use crate::output::visible;

/// Longest text of `msg` and of the custom texts, in characters.
const MESSAGE_MAX: usize = 1023;
const CUSTOM_MAX: usize = 4000;

/// What every alert has.
pub(super) const ALWAYS: &[(&str, &str)] = &[
    ("Device Vendor", "`monitor`"),
    ("Device Product", "`monitor-daemon`"),
    ("Device Version", "version of the daemon"),
    ("Device Event Class ID", "name of the rule"),
    ("Name", "name of the rule"),
    ("Severity", "priority, by the table above"),
    ("rt", "time of the event, ms"),
    ("dvchost", "name of the host"),
    ("externalId", "`uuid`"),
    ("cat", "tags of the rule, with commas"),
    ("msg", "text of the alert, up to 1023 characters"),
    ("cn1", "`sequence`, with `cn1Label`"),
];

/// What an alert has whose rule prints the field.
pub(super) const FIELDS: &[Mapping] = &[
    map("act", "evt.type", Text),
    map("sproc", "proc.name", Text),
    map("spid", "proc.pid", Number),
    map("suid", "user.uid", Text),
    map("suser", "user.name", Text),
    map("filePath", "fd.name", Path),
    map("filePath", "fs.path.name", Path),
    map("fname", "fd.name", FileName),
    map("fname", "fs.path.name", FileName),
    map("spt", "fd.cport", Number),
    map("spt", "fd.lport", Number),
    map("dpt", "fd.sport", Number),
    map("dpt", "fd.rport", Number),
    map("proto", "fd.l4proto", Text),
    map("cs1", "container.id", Text),
    map("cs2", "container.name", Text),
    map("cs3", "container.image.repository", Text),
    map("cs4", "proc.cmdline", Text),
    map("cs5", "k8s.pod.name", Text),
    map("cs6", "k8s.ns.name", Text),
];

/// Addresses: their key is another for IPv6.
pub(super) const ADDRESSES: &[(&str, &str, &str)] = &[
    ("src", "c6a2", "fd.cip"),
    ("src", "c6a2", "fd.lip"),
    ("dst", "c6a3", "fd.sip"),
    ("dst", "c6a3", "fd.rip"),
];

pub(super) fn line(entry: &Entry) -> String {
    let alert = &entry.alert;
    let rule = header(&alert.rule);
    let mut line = format!(
        "CEF:0|monitor|monitor-daemon|{}|{rule}|{rule}|{}|rt={}",
        env!("CARGO_PKG_VERSION"),
        Severity::of(alert.priority).cef,
        alert.time / 1_000_000,
    );
    extend(&mut line, "dvchost", &alert.hostname);
    extend(&mut line, "externalId", &entry.uuid().to_string());
    if !alert.tags.is_empty() {
        extend(&mut line, "cat", &alert.tags.join(","));
    }
    extend(&mut line, "cn1", &entry.sequence.to_string());
    extend(&mut line, "cn1Label", "sequence");
    let mut last = "";
    for mapping in FIELDS {
        // Of several for one key the first.
        if mapping.theirs == last {
            continue;
        }
        let Some(value) = mapping.value(alert) else {
            continue;
        };
        last = mapping.theirs;
        custom(&mut line, last, &text(&value), mapping.ours);
    }
    addresses(&mut line, entry);
    let message: String = alert.output.chars().take(MESSAGE_MAX).collect();
    extend(&mut line, "msg", &message);
    line
}

fn addresses(line: &mut String, entry: &Entry) {
    let mut last = "";
    for (v4, v6, ours) in ADDRESSES {
        let found = present(&entry.alert, ours).and_then(Value::as_str);
        let Some(address) = found.filter(|_| *v4 != last) else {
            continue;
        };
        match address.parse() {
            Ok(std::net::IpAddr::V4(address)) => extend(line, v4, &address.to_string()),
            Ok(std::net::IpAddr::V6(address)) => custom(line, v6, &address.to_string(), ours),
            Err(_) => continue,
        }
        last = v4;
    }
}

/// An extension, with a label if its key does not say what it is.
fn custom(line: &mut String, key: &str, value: &str, ours: &str) {
    let value: String = value.chars().take(CUSTOM_MAX).collect();
    extend(line, key, &value);
    if key.starts_with("cs") || key.starts_with("c6a") {
        extend(line, &format!("{key}Label"), ours);
    }
}

fn extend(line: &mut String, key: &str, value: &str) {
    let value = value.replace('\\', "\\\\").replace('=', "\\=");
    _ = write!(line, " {key}={}", visible(&value));
}

fn header(text: &str) -> String {
    visible(&text.replace('\\', "\\\\").replace('|', "\\|"))
}
