//! Every format: against what is published about it, and against its own table.

mod ecs;
mod ocsf;
mod otlp;
mod samples;

use serde_json::{Value, json};

use self::samples::samples;
use super::super::alert::tests::{entry, sample};
use super::super::time::TimeFormat;
use super::mapping::Mapping;
use super::*;
use crate::config::JsonProperties;
use crate::output::{Alert, INTERNAL};

fn line(format: Format, alert: &Alert) -> String {
    let encoder = Encoder {
        format,
        json: JsonFormat {
            properties: JsonProperties::default(),
            time: TimeFormat::Iso8601,
        },
    };
    let mut text = Vec::new();
    encoder.line(&entry(42, alert.clone()), &mut text);
    String::from_utf8(text).unwrap()
}

fn document(format: Format, alert: &Alert) -> Value {
    let line = line(format, alert);
    assert_eq!(line.find('\n'), Some(line.len() - 1), "{line}");
    serde_json::from_str(&line).unwrap()
}

fn tagged(tags: &[&str]) -> Alert {
    Alert {
        tags: tags.iter().copied().map(str::to_owned).collect(),
        ..sample()
    }
}

/// Every field of ours in a table gives what the table says, in one of the samples.
fn every_row_is_used(mappings: &[Mapping], written: impl Fn(&Alert, &Mapping) -> bool) {
    for mapping in mappings {
        let has = |alert: &Alert| mapping.value(alert).is_some() && written(alert, mapping);
        assert!(samples().iter().any(has), "{mapping:?}");
    }
}

fn at<'a>(document: &'a Value, name: &str) -> Option<&'a Value> {
    document.pointer(&format!("/{}", name.replace("[]", ".0").replace('.', "/")))
}

/// What an attacker can name: files, arguments, containers, labels.
#[test]
fn no_value_commands_a_terminal_or_ends_a_line() {
    let evil = "a\u{1b}[2J\r\n\u{7f}\u{85}\u{9b}31m\u{202e}\u{2028}\u{2029}é漢";
    let mut alert = sample();
    alert.output = format!("file={evil}");
    alert
        .fields
        .iter_mut()
        .for_each(|(_, value)| *value = evil.into());
    for format in Format::ALL {
        let line = line(format, &alert);
        let shown = line.trim_end_matches('\n');
        assert_eq!(crate::output::visible(shown), shown, "{format:?}");
        assert!(shown.contains("é漢"), "{format:?}: {shown}");
    }
    let read = document(Format::Falco, &alert);
    assert_eq!(read["output_fields"]["container.name"], evil);
}

#[test]
fn rows_name_fields_that_there_are() {
    let all = [
        ecs_fields(),
        ocsf_fields(),
        cef::FIELDS,
        super::otlp::FIELDS,
    ];
    for mapping in all.concat() {
        let known = monitor_policy::Field::all().any(|field| field.name() == mapping.ours);
        assert!(known, "{mapping:?}");
    }
}

fn ecs_fields() -> &'static [Mapping] {
    super::ecs::FIELDS
}

fn ocsf_fields() -> &'static [Mapping] {
    super::ocsf::FIELDS
}

/// The whole line: header, escapes, labels.
#[test]
fn cef_is_one_line_with_its_separators_escaped() {
    let alert = Alert {
        rule: "Read|shadow\\".into(),
        output: "a=b\nc".into(),
        fields: samples()[0].fields[..5]
            .iter()
            .chain(&samples()[2].fields[..5])
            .cloned()
            .collect(),
        ..sample()
    };
    let version = env!("CARGO_PKG_VERSION");
    assert_eq!(
        line(Format::Cef, &alert),
        format!(
            "CEF:0|monitor|monitor-daemon|{version}|Read\\|shadow\\\\|Read\\|shadow\\\\|5|\
             rt=1769860800000 dvchost=web-1 externalId=00000000-0000-8000-8930-00000000002a \
             cat=filesystem,host cn1=42 cn1Label=sequence act=openat sproc=cat spid=77 spt=4000 \
             dpt=443 cs4=cat /etc/shadow a\\=b|c\\\\d\\n cs4Label=proc.cmdline c6a2=fd00::1 \
             c6a2Label=fd.cip c6a3=fd00::2 c6a3Label=fd.sip msg=a\\=b\\nc\n"
        )
    );
    every_row_is_used(cef::FIELDS, |alert, mapping| {
        line(Format::Cef, alert).contains(&format!(" {}=", mapping.theirs))
    });
    assert!(line(Format::Cef, &samples()[1]).contains(" src=10.0.0.1 dst=192.0.2.7 msg="));
}

/// What the types of falcosidekick's `FalcoPayload` take, what it goes on to demand of a payload
/// (`FalcoPayload.Check`, an output that is not empty), and its names of priorities, in any case.
#[derive(serde::Deserialize)]
struct Payload {
    uuid: String,
    output: String,
    priority: String,
    rule: String,
    time: String,
    output_fields: serde_json::Map<String, Value>,
    source: String,
    tags: Vec<String>,
    hostname: String,
}

#[test]
fn falcosidekick_takes_what_falcos_format_gives() {
    const PRIORITIES: [&str; 8] = [
        "emergency",
        "alert",
        "critical",
        "error",
        "warning",
        "notice",
        "informational",
        "debug",
    ];
    let own = Alert {
        source: INTERNAL.into(),
        fields: Vec::new(),
        ..sample()
    };
    let mut seen = std::collections::BTreeSet::new();
    for alert in samples().iter().chain([&own]) {
        let line = line(Format::Falco, alert);
        let payload: Payload = serde_json::from_str(&line).unwrap();
        let priority = payload.priority.to_lowercase();
        assert!(PRIORITIES.contains(&&*priority), "{priority}");
        seen.insert(priority);
        let time: jiff::Timestamp = payload.time.parse().unwrap();
        assert_eq!(time.as_nanosecond(), i128::from(alert.time));
        assert!(!payload.output_fields.is_empty(), "{line}");
        let texts = [
            &*payload.output,
            &payload.rule,
            &payload.source,
            &payload.hostname,
        ];
        assert!(texts.iter().all(|text| !text.is_empty()), "{line}");
        assert_eq!(payload.uuid.len(), 36);
        assert_eq!(payload.tags, alert.tags.to_vec());
    }
    assert_eq!(seen.len(), PRIORITIES.len());
}
