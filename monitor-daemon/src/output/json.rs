//! An alert as Falco's JSON object: one line, keys in alphabetical order, so that what reads Falco
//! alerts today reads ours.

use std::collections::BTreeMap;
use std::io;

use serde::Serialize;
use serde_json::Value;

use super::alert::Alert;
use super::text;
use super::time::{TimeFormat, rfc3339};
use crate::alert_log::Entry;
use crate::config::JsonProperties;

/// The keys of the object, and what they are.
pub(super) const KEYS: &[(&str, &str)] = &[
    ("hostname", "name of the host"),
    (
        "message",
        "text of the alert, without time and priority (`json.include_message_property`, off by default)",
    ),
    (
        "output",
        "text of the alert, with time and priority (`json.include_output_property`)",
    ),
    (
        "output_fields",
        "all fields of the alert, by their own names, with typed values: texts, whole and other \
         numbers, `true` and `false`, lists; null where the event has none. And the alert's time, ns \
         since the epoch, as `evt.time`, or `evt.time.iso8601` with `time_format_iso_8601` \
         (`json.include_output_fields_property`)",
    ),
    ("priority", "name of the priority, as in the table above"),
    ("rule", "name of the rule"),
    (
        "sequence",
        "number of the alert on this host (`json.include_id_property`)",
    ),
    (
        "source",
        "event source of the rule: `syscall`; `internal` for alerts of the daemon itself",
    ),
    (
        "tags",
        "tags of the rule, sorted (`json.include_tags_property`)",
    ),
    (
        "time",
        "time of the event, RFC 3339 in UTC with nanoseconds",
    ),
    (
        "uuid",
        "the same each time that an alert is sent (`json.include_id_property`)",
    ),
];

/// How JSON alerts look.
#[derive(Clone, Debug)]
pub struct JsonFormat {
    /// Which optional properties there are.
    pub properties: JsonProperties,
    /// The time in front of `output`.
    pub time: TimeFormat,
}

/// Appends a value to `buffer`, in which [`text::visible`] would change nothing: files of JSON are
/// shown on terminals too, and cut into lines by programs that know more ends of a line than one.
///
/// # Errors
///
/// Never for plain data; part of it may have been appended.
pub(super) fn write(value: &impl Serialize, buffer: &mut Vec<u8>) -> io::Result<()> {
    let start = buffer.len();
    serde_json::to_writer(&mut *buffer, value)?;
    let written = buffer.get(start..).unwrap_or_default();
    if written.iter().any(|byte| !(b' '..=b'~').contains(byte)) {
        // All that is not ASCII is inside of strings, where these escapes are JSON's own.
        let escaped = text::visible(&String::from_utf8_lossy(written));
        buffer.truncate(start);
        buffer.extend_from_slice(escaped.as_bytes());
    }
    Ok(())
}

#[derive(Serialize)]
struct Shape<'a> {
    hostname: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    output: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    output_fields: Option<BTreeMap<&'a str, Value>>,
    priority: String,
    rule: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    sequence: Option<u64>,
    source: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    tags: Option<&'a [String]>,
    time: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    uuid: Option<String>,
}

impl JsonFormat {
    /// Appends the alert and a line's end to `buffer`.
    ///
    /// # Errors
    ///
    /// Never for plain data; part of a line may have been appended.
    pub fn write_line(&self, entry: &Entry, buffer: &mut Vec<u8>) -> io::Result<()> {
        let alert = &entry.alert;
        let wanted = self.properties;
        let shape = Shape {
            hostname: &alert.hostname,
            message: wanted.message.then_some(&alert.output),
            output: wanted.output.then(|| text::prefixed(alert, &self.time)),
            output_fields: wanted.output_fields.then(|| self.fields(alert)),
            priority: alert.priority.to_string(),
            rule: &alert.rule,
            sequence: wanted.id.then_some(entry.sequence),
            source: &alert.source,
            tags: wanted.tags.then_some(&alert.tags),
            time: rfc3339(alert.time),
            uuid: wanted.id.then(|| entry.uuid().to_string()),
        };
        write(&shape, buffer)?;
        buffer.push(b'\n');
        Ok(())
    }

    /// The output's fields and the prefix's time, which counts as one of them.
    fn fields<'a>(&self, alert: &'a Alert) -> BTreeMap<&'a str, Value> {
        let fields = alert
            .fields
            .iter()
            .map(|(name, value)| (name.as_str(), value.clone()));
        fields
            .chain([(self.time.field(), Value::from(alert.time))])
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use jiff::tz::TimeZone;
    use serde_json::json;

    use super::super::alert::Alert;
    use super::super::alert::tests::{NOON, entry, sample};
    use super::*;

    fn format() -> JsonFormat {
        JsonFormat {
            properties: JsonProperties::default(),
            time: TimeFormat::TimeOfDay(TimeZone::UTC),
        }
    }

    fn line(format: &JsonFormat, alert: &Alert) -> String {
        let mut buffer = Vec::new();
        let entry = entry(42, alert.clone());
        format.write_line(&entry, &mut buffer).unwrap();
        String::from_utf8(buffer).unwrap()
    }

    /// The reference has each key, and none that there is not.
    #[test]
    fn every_key_is_in_the_table() {
        let mut all = format();
        all.properties.message = true;
        let object: serde_json::Map<String, Value> =
            serde_json::from_str(&line(&all, &sample())).unwrap();
        let told: Vec<&str> = KEYS.iter().map(|(key, _)| *key).collect();
        assert_eq!(object.keys().collect::<Vec<_>>(), told);
    }

    /// The whole line: order of keys, types of values, one line.
    #[test]
    fn the_object_is_falcos_key_by_key() {
        assert_eq!(
            line(&format(), &sample()),
            concat!(
                r#"{"hostname":"web-1","#,
                r#""output":"12:00:00.000000001: Warning Shadow read | file=/etc/shadow "#,
                r#"parent=<NA> container_name=web","#,
                r#""output_fields":{"container.id":"3ad7b26ded6d","#,
                r#""container.image.repository":"nginx","container.name":"web","#,
                r#""evt.time":1769860800000000001,"fd.name":"/etc/shadow","#,
                r#""proc.is_exe_upper_layer":false,"proc.pname":null,"user.uid":0},"#,
                r#""priority":"Warning","rule":"Read shadow","sequence":42,"source":"syscall","#,
                r#""tags":["filesystem","host"],"time":"2026-01-31T12:00:00.000000001Z","#,
                r#""uuid":"00000000-0000-8000-8930-00000000002a"}"#,
                "\n"
            )
        );
    }

    #[test]
    fn properties_come_and_go() {
        let bare = JsonProperties {
            output: false,
            output_fields: false,
            tags: false,
            id: false,
            message: true,
        };
        let format = JsonFormat {
            properties: bare,
            ..format()
        };
        let alert: Value = serde_json::from_str(&line(&format, &sample())).unwrap();
        assert_eq!(
            alert,
            json!({
                "hostname": "web-1",
                "message": "Shadow read | file=/etc/shadow parent=<NA> container_name=web",
                "priority": "Warning",
                "rule": "Read shadow",
                "source": "syscall",
                "time": "2026-01-31T12:00:00.000000001Z",
            })
        );
    }

    #[test]
    fn iso_time_is_in_output_and_fields() {
        let format = JsonFormat {
            time: TimeFormat::Iso8601,
            ..format()
        };
        let alert: Value = serde_json::from_str(&line(&format, &sample())).unwrap();
        let output = alert["output"].as_str().unwrap();
        assert!(
            output.starts_with("2026-01-31T12:00:00.000000001+0000: Warning S"),
            "{output}"
        );
        assert_eq!(alert["output_fields"]["evt.time.iso8601"], NOON);
        assert_eq!(alert["output_fields"].get("evt.time"), None);
    }

    #[test]
    fn control_characters_stay_inside_the_line() {
        let alert = Alert {
            output: "a\nb\u{1b}\"".into(),
            tags: [].into(),
            ..sample()
        };
        let line = line(&format(), &alert);
        assert_eq!(line.matches('\n').count(), 1);
        assert!(line.contains(r#"Warning a\nb\u001b\"""#), "{line}");
        assert!(line.contains(r#""tags":[]"#), "{line}");
    }
}
