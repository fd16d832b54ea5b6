//! OCSF: classes, objects, types, requirements and constraints as they are published.

use std::collections::HashMap;
use std::net::IpAddr;

use super::*;

#[derive(Debug)]
struct Attribute {
    kind: &'static str,
    is_required: bool,
    profile: &'static str,
    values: Vec<&'static str>,
}

#[derive(Debug, Default)]
struct Object {
    attributes: HashMap<&'static str, Attribute>,
    at_least_one: Vec<&'static str>,
}

fn published() -> HashMap<&'static str, Object> {
    let mut all: HashMap<&str, Object> = HashMap::new();
    let rows = include_str!("ocsf-1.5.0.tsv")
        .lines()
        .filter(|line| !line.starts_with('#'));
    for row in rows {
        let cells: Vec<&str> = row.split('\t').collect();
        let object = all.entry(cells[0]).or_default();
        let listed = |cell: &'static str| cell.split(',').filter(|value| *value != "-").collect();
        if cells[1] == "*" {
            assert_eq!(cells[2], "at_least_one");
            object.at_least_one = listed(cells[3]);
            continue;
        }
        let attribute = Attribute {
            kind: cells[2],
            is_required: cells[3] == "required",
            profile: cells[4],
            values: listed(cells[5]),
        };
        object.attributes.insert(cells[1], attribute);
    }
    all
}

fn check(schema: &HashMap<&str, Object>, name: &str, value: &Value) {
    let object = schema
        .get(name)
        .unwrap_or_else(|| panic!("no object `{name}`"));
    let value = value.as_object().unwrap();
    for (key, value) in value {
        let attribute = object.attributes.get(&**key);
        let attribute = attribute.unwrap_or_else(|| panic!("`{name}` has no `{key}`"));
        assert!(
            ["-", "container"].contains(&attribute.profile),
            "{name}.{key}"
        );
        match (attribute.kind.strip_suffix("[]"), value) {
            (Some(kind), Value::Array(items)) => {
                for item in items {
                    check_value(schema, kind, key, item);
                }
            }
            (None, value) => check_value(schema, attribute.kind, key, value),
            _ => panic!("{name}.{key}: {value}"),
        }
        if !attribute.values.is_empty() {
            let found = value.to_string();
            assert!(attribute.values.contains(&&*found), "{name}.{key}: {found}");
        }
    }
    for (key, attribute) in &object.attributes {
        let is_wanted = attribute.is_required && ["-", "container"].contains(&attribute.profile);
        assert!(
            !is_wanted || value.contains_key(*key),
            "`{name}` has to have `{key}`"
        );
    }
    let one = &object.at_least_one;
    assert!(
        one.is_empty() || one.iter().any(|key| value.contains_key(*key)),
        "`{name}` has to have one of {one:?}: {value:?}"
    );
}

fn check_value(schema: &HashMap<&str, Object>, kind: &str, key: &str, value: &Value) {
    let text = || value.as_str().unwrap_or_else(|| panic!("{key}: {value}"));
    match kind {
        "string_t" | "hostname_t" | "file_name_t" | "file_path_t" | "process_name_t"
        | "username_t" => _ = text(),
        "uuid_t" => assert_eq!(
            text().split('-').map(str::len).collect::<Vec<_>>(),
            [8, 4, 4, 4, 12]
        ),
        "ip_t" => _ = text().parse::<IpAddr>().unwrap(),
        "integer_t" | "long_t" | "timestamp_t" => assert!(value.is_i64(), "{key}: {value}"),
        "port_t" => assert!(value.as_u64().unwrap() < 65536),
        "boolean_t" => assert!(value.is_boolean()),
        "json_t" => {}
        kind => match kind.strip_prefix("object:") {
            Some(object) => check(schema, object, value),
            None => panic!("{key}: no check for {kind}"),
        },
    }
}

#[test]
fn what_is_written_is_in_the_schema() {
    let schema = published();
    for alert in samples() {
        let document = document(Format::Ocsf, &alert);
        check(&schema, "detection_finding", &document);
        for (name, _) in super::super::ocsf::ALWAYS {
            assert!(at(&document, name).is_some(), "{name}");
        }
        let data = document["evidences"][0]["data"].as_object().unwrap();
        assert_eq!(data.len(), alert.fields.len());
    }
    every_row_is_used(super::super::ocsf::FIELDS, |alert, mapping| {
        let found = document(Format::Ocsf, alert);
        at(&found, &format!("evidences[].{}", mapping.theirs)) == mapping.value(alert).as_ref()
    });
    for (name, _) in [super::super::ocsf::FILLED, super::super::ocsf::TAGGED].concat() {
        let has = |alert: &Alert| at(&document(Format::Ocsf, alert), name).is_some();
        assert!(samples().iter().any(has), "{name}");
    }
}

#[test]
fn techniques_of_attack_are_told_with_their_tactic_where_there_is_one() {
    let schema = published();
    let attacks = |tags: &[&str]| {
        let document = document(Format::Ocsf, &tagged(tags));
        check(&schema, "detection_finding", &document);
        document["finding_info"]["attacks"].clone()
    };
    let access = json!({ "uid": "TA0006", "name": "Credential Access" });
    let discovery = json!({ "uid": "TA0007", "name": "Discovery" });
    assert_eq!(
        attacks(&["T1003.008", "T1552", "mitre_credential_access"]),
        json!([
            {
                "technique": { "uid": "T1003" },
                "sub_technique": { "uid": "T1003.008" },
                "tactic": access,
            },
            { "technique": { "uid": "T1552" }, "tactic": access },
        ])
    );
    assert_eq!(
        attacks(&["T1552", "TA0007", "mitre_credential_access"]),
        json!([{ "technique": { "uid": "T1552" } }, { "tactic": access }, { "tactic": discovery }])
    );
    assert_eq!(
        attacks(&["mitre_discovery"]),
        json!([{ "tactic": discovery }])
    );
    assert_eq!(attacks(&["host"]), Value::Null);
}
