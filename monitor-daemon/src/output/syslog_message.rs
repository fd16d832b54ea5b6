//! An alert as a message of RFC 5424.

use std::fmt::Write as _;

use serde_json::Value;

use super::format::{Encoder, Format};
use super::json::JsonFormat;
use super::text::{prefixed, visible};
use super::time::rfc3339;
use crate::alert_log::Entry;
use crate::config::{Syslog, SyslogFormat};

/// Name of the structured data; the number is the one RFC 5612 sets aside for documentation, as
/// we have none of our own.
pub(super) const ELEMENT: &str = "monitor@32473";
/// What stands in the structured data, and what it is; then come the alert's fields.
pub(super) const PARAMETERS: &[(&str, &str)] = &[
    ("uuid", "`uuid`"),
    ("sequence", "`sequence`"),
    ("rule", "name of the rule"),
    ("priority", "name of the priority"),
    ("source", "event source of the rule"),
    ("tags", "tags of the rule, with commas"),
];
/// Longest name of a parameter.
pub(super) const NAME_MAX: usize = 32;
/// Longest host name.
const HOST_MAX: usize = 255;

/// How messages look.
#[derive(Clone, Debug)]
pub(super) struct SyslogMessage {
    pub(super) settings: Syslog,
    pub(super) json: JsonFormat,
}

impl SyslogMessage {
    /// The message, without framing; one line.
    pub(super) fn format(&self, entry: &Entry) -> String {
        let alert = &entry.alert;
        let priority = self.settings.facility.number() * 8 + alert.priority as u8;
        let header = format!(
            "<{priority}>1 {} {} monitor-daemon {} alert",
            time(alert.time),
            host(&alert.hostname),
            std::process::id()
        );
        let format = match self.settings.format {
            SyslogFormat::Json => Format::Falco,
            SyslogFormat::Ecs => Format::Ecs,
            SyslogFormat::Ocsf => Format::Ocsf,
            SyslogFormat::Cef => Format::Cef,
            SyslogFormat::Structured => {
                let text = visible(&prefixed(alert, &self.json.time));
                return format!("{header} {} {text}", structured(entry));
            }
        };
        let encoder = Encoder {
            format,
            json: self.json.clone(),
        };
        let mut line = Vec::new();
        encoder.line(entry, &mut line);
        format!("{header} - {}", String::from_utf8_lossy(&line).trim_end())
    }
}

/// RFC 5424 allows microseconds at most.
fn time(time: u64) -> String {
    let text = rfc3339(time);
    let seconds = text.split_once('.').map_or(&*text, |(seconds, _)| seconds);
    format!("{seconds}.{:06}Z", time % 1_000_000_000 / 1_000)
}

fn host(name: &str) -> String {
    let name: String = name
        .chars()
        .filter(char::is_ascii_graphic)
        .take(HOST_MAX)
        .collect();
    if name.is_empty() {
        "-".to_owned()
    } else {
        name
    }
}

fn structured(entry: &Entry) -> String {
    let alert = &entry.alert;
    let mut text = format!("[{ELEMENT}");
    parameter(&mut text, "uuid", &entry.uuid().to_string());
    parameter(&mut text, "sequence", &entry.sequence.to_string());
    parameter(&mut text, "rule", &alert.rule);
    parameter(&mut text, "priority", alert.priority.name());
    parameter(&mut text, "source", &alert.source);
    parameter(&mut text, "tags", &alert.tags.join(","));
    for (name, value) in &alert.fields {
        match value {
            Value::Null => {}
            Value::String(value) => parameter(&mut text, name, value),
            value => parameter(&mut text, name, &value.to_string()),
        }
    }
    text.push(']');
    text
}

fn parameter(text: &mut String, name: &str, value: &str) {
    let name: String = name
        .chars()
        .filter(|letter| letter.is_ascii_graphic() && !matches!(letter, '=' | ']' | '"'))
        .take(NAME_MAX)
        .collect();
    _ = write!(text, " {name}=\"");
    for letter in visible(value).chars() {
        if matches!(letter, '"' | '\\' | ']') {
            text.push('\\');
        }
        text.push(letter);
    }
    text.push('"');
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use jiff::tz::TimeZone;

    use super::super::alert::Alert;
    use super::super::alert::tests::{entry, sample};
    use super::super::selection::Selection;
    use super::super::time::TimeFormat;
    use super::*;
    use crate::config::{JsonProperties, SyslogFacility, SyslogProtocol};
    use crate::output::TlsFiles;

    fn message(format: SyslogFormat) -> SyslogMessage {
        SyslogMessage {
            settings: Syslog {
                address: "localhost:514".into(),
                protocol: SyslogProtocol::Udp,
                facility: SyslogFacility::default(),
                format,
                timeout: Duration::from_secs(10),
                tls: TlsFiles::default(),
                selection: Selection::default(),
            },
            json: JsonFormat {
                properties: JsonProperties::default(),
                time: TimeFormat::TimeOfDay(TimeZone::UTC),
            },
        }
    }

    #[test]
    fn structured_data_holds_the_fields() {
        let mut alert = sample();
        alert.fields.truncate(2);
        alert
            .fields
            .push(("proc.aname[2]".into(), "a\"]\\\n".into()));
        assert_eq!(
            message(SyslogFormat::Structured).format(&entry(42, alert)),
            format!(
                "<28>1 2026-01-31T12:00:00.000000Z web-1 monitor-daemon {} alert \
                 [monitor@32473 \
                 uuid=\"00000000-0000-8000-8930-00000000002a\" sequence=\"42\" rule=\"Read shadow\" priority=\"Warning\" source=\"syscall\" \
                 tags=\"filesystem,host\" fd.name=\"/etc/shadow\" user.uid=\"0\" \
                 proc.aname[2=\"a\\\"\\]\\\\\\\\n\"] 12:00:00.000000001: Warning Shadow read | \
                 file=/etc/shadow parent=<NA> container_name=web",
                std::process::id()
            )
        );
    }

    #[test]
    fn every_parameter_is_in_the_table() {
        let mut alert = sample();
        alert.fields.clear();
        let text = structured(&entry(42, alert));
        let names = text.split("=\"").filter_map(|part| part.rsplit(' ').next());
        let told: Vec<&str> = PARAMETERS.iter().map(|(name, _)| *name).collect();
        assert_eq!(names.take(told.len()).collect::<Vec<_>>(), told, "{text}");
        assert_eq!(text.matches("=\"").count(), told.len(), "{text}");
    }

    #[test]
    fn json_is_the_body() {
        let text = message(SyslogFormat::Json).format(&entry(
            42,
            Alert {
                hostname: "a b\n".into(),
                ..sample()
            },
        ));
        let (header, body) = text.split_once(" - ").unwrap();
        assert!(
            header.starts_with("<28>1 2026-01-31T12:00:00.000000Z ab "),
            "{header}"
        );
        let body: Value = serde_json::from_str(body).unwrap();
        assert_eq!(body["rule"], "Read shadow");
        assert!(!text.contains('\n'));
    }
}
