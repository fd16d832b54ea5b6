//! OTLP: read with the published definitions, as JSON and as protobuf, both say the same.

use std::collections::HashSet;

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest as Request;
use opentelemetry_proto::tonic::common::v1::any_value::Value as Any;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, SeverityNumber};
use prost::Message as _;
use serde_json::json;

use super::super::otlp;
use super::*;

fn request(alert: &Alert) -> Request {
    let from_json: Request = serde_json::from_str(&line(Format::Otlp, alert)).unwrap();
    let entry = entry(42, alert.clone());
    let record = otlp::record(&entry);
    let bytes = otlp::request(&[entry], &[record]);
    assert_eq!(from_json, Request::decode(bytes.as_slice()).unwrap());
    from_json
}

fn record(request: &Request) -> &LogRecord {
    &request.resource_logs[0].scope_logs[0].log_records[0]
}

fn value<'a>(attributes: &'a [KeyValue], name: &str) -> Option<&'a Any> {
    let found = attributes.iter().find(|attribute| attribute.key == name)?;
    found.value.as_ref()?.value.as_ref()
}

fn text(text: &str) -> Any {
    Any::StringValue(text.to_owned())
}

#[test]
fn json_and_protobuf_say_the_same_of_every_sample() {
    let published: HashSet<&str> = include_str!("semconv-1.42.0.txt").lines().collect();
    for alert in samples() {
        let request = request(&alert);
        let record = record(&request);
        let mut names = HashSet::new();
        for KeyValue { key, value, .. } in &record.attributes {
            let is_ours = key.starts_with("monitor.") || alert.field(key).is_some();
            assert!(is_ours || published.contains(&**key), "{key}");
            assert!(names.insert(key), "{key} comes twice");
            assert!(value.as_ref().unwrap().value.is_some(), "{key}");
        }
        let severity = SeverityNumber::try_from(record.severity_number).unwrap();
        let name = severity.as_str_name();
        let expected = match alert.priority.name() {
            "Emergency" => "SEVERITY_NUMBER_FATAL",
            "Alert" => "SEVERITY_NUMBER_ERROR3",
            "Critical" => "SEVERITY_NUMBER_ERROR2",
            "Error" => "SEVERITY_NUMBER_ERROR",
            "Warning" => "SEVERITY_NUMBER_WARN",
            "Notice" => "SEVERITY_NUMBER_INFO2",
            "Informational" => "SEVERITY_NUMBER_INFO",
            _ => "SEVERITY_NUMBER_DEBUG",
        };
        assert_eq!(name, expected);
    }
    for mapping in otlp::FIELDS {
        assert!(published.contains(mapping.theirs), "{mapping:?}");
    }
    every_row_is_used(otlp::FIELDS, |alert, mapping| {
        value(&record(&request(alert)).attributes, mapping.theirs).is_some()
    });
}

#[test]
fn the_resource_is_the_host_with_the_daemon() {
    let request = request(&sample());
    let [logs] = &request.resource_logs[..] else {
        panic!("{request:?}");
    };
    let resource = &logs.resource.as_ref().unwrap().attributes;
    assert_eq!(value(resource, "host.name"), Some(&text("web-1")));
    let service = value(resource, "service.name");
    assert_eq!(service, Some(&text("monitor-daemon")));
    let [logs] = &logs.scope_logs[..] else {
        panic!("{request:?}");
    };
    assert_eq!(logs.schema_url, "https://opentelemetry.io/schemas/1.42.0");
    let scope = logs.scope.as_ref().unwrap();
    let version = env!("CARGO_PKG_VERSION");
    assert_eq!((&*scope.name, &*scope.version), ("monitor-daemon", version));
}

#[test]
fn an_alert_is_a_record_with_typed_attributes() {
    let mut alert = samples()[0].clone();
    let more = [
        ("evt.count", json!(u64::MAX)),
        ("evt.res", json!(-1)),
        ("evt.ratio", json!(0.5)),
        ("evt.args", json!(["a", {"b": [true]}])),
    ];
    let more = more.map(|(name, value)| (name.to_owned(), value));
    alert.fields.extend(more);
    let request = request(&alert);
    let record = record(&request);
    assert_eq!(record.time_unix_nano, alert.time);
    assert_eq!(record.observed_time_unix_nano, alert.time);
    assert_eq!(
        (&*record.severity_text, &*record.event_name),
        ("Critical", "monitor.alert")
    );
    let body = record.body.as_ref().unwrap().value.as_ref();
    assert_eq!(body, Some(&text(&alert.output)));
    let check = |name, expected: Any| {
        assert_eq!(value(&record.attributes, name), Some(&expected), "{name}");
    };
    check("security_rule.name", text("Read shadow"));
    check(
        "log.record.uid",
        text("00000000-0000-8000-8930-00000000002a"),
    );
    check("monitor.sequence", Any::IntValue(42));
    check("process.pid", Any::IntValue(77));
    check("process.executable.path", text("/usr/bin/cat"));
    check("process.executable.name", text("cat"));
    check("process.user.id", Any::IntValue(0));
    check("container.id", text(&"3ad7b26ded6d".repeat(5)));
    check("proc.aname[2]", text("sshd"));
    check("container.privileged", Any::BoolValue(false));
    check("evt.count", text("18446744073709551615"));
    check("evt.res", Any::IntValue(-1));
    check("evt.ratio", Any::DoubleValue(0.5));
    let Some(Any::ArrayValue(tags)) = value(&record.attributes, "monitor.tags") else {
        panic!("{record:?}");
    };
    let any = |text: &str| AnyValue {
        value: Some(self::text(text)),
    };
    assert_eq!(tags.values, [any("filesystem"), any("host")]);
}
