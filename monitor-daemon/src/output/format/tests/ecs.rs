//! ECS: every name and type is one that is published.

use std::collections::HashMap;
use std::net::IpAddr;

use super::*;

/// Name to type, whether it is a list, and values allowed.
fn published() -> HashMap<&'static str, (&'static str, bool, Vec<&'static str>)> {
    let rows = include_str!("ecs-9.4.0.tsv")
        .lines()
        .filter(|line| !line.starts_with('#'));
    let row = |line: &'static str| {
        let cells: Vec<&str> = line.split('\t').collect();
        let allowed = cells[3].split(',').filter(|value| *value != "-").collect();
        (cells[0], (cells[1], cells[2] == "array", allowed))
    };
    rows.map(row).collect()
}

fn check(name: &str, value: &Value) {
    let published = published();
    let found = published.get(name);
    let found = found.filter(|(kind, ..)| *kind != "object" || name == "labels");
    let Some((kind, is_list, allowed)) = found else {
        let Value::Object(inner) = value else {
            panic!("`{name}` is not in the schema");
        };
        for (part, value) in inner {
            let whole = if name.is_empty() {
                part.clone()
            } else {
                format!("{name}.{part}")
            };
            check(&whole, value);
        }
        return;
    };
    let one = |value: &Value| {
        let valid = match *kind {
            "keyword" | "text" | "match_only_text" | "wildcard" => value.is_string(),
            "long" => value.is_i64() || value.is_u64(),
            "date" => value.as_str().unwrap().parse::<jiff::Timestamp>().is_ok(),
            "ip" => value.as_str().unwrap().parse::<IpAddr>().is_ok(),
            "object" => value
                .as_object()
                .unwrap()
                .iter()
                .all(|(name, value)| value.is_string() && !name.contains('.')),
            other => panic!("{name}: no check for {other}"),
        };
        assert!(valid, "`{name}` is {kind}: {value}");
        if !allowed.is_empty() {
            assert!(
                allowed.contains(&value.as_str().unwrap()),
                "{name}: {value}"
            );
        }
    };
    match (is_list, value) {
        (true, Value::Array(items)) => items.iter().for_each(one),
        (false, value) if !value.is_array() => one(value),
        _ => panic!("`{name}`: {value}"),
    }
}

#[test]
fn what_is_written_is_in_the_schema() {
    for alert in samples() {
        let document = document(Format::Ecs, &alert);
        check("", &document);
        for (name, _) in super::super::ecs::ALWAYS {
            assert!(at(&document, name).is_some(), "{name}");
        }
    }
    for (name, _) in super::super::ecs::TAGGED {
        let has = |alert: &Alert| at(&document(Format::Ecs, alert), name).is_some();
        assert!(samples().iter().any(has), "{name}");
    }
    every_row_is_used(super::super::ecs::FIELDS, |alert, mapping| {
        at(&document(Format::Ecs, alert), mapping.theirs) == mapping.value(alert).as_ref()
    });
}

#[test]
fn techniques_of_attack_have_fields() {
    let threat = |tags: &[&str]| document(Format::Ecs, &tagged(tags))["threat"].clone();
    assert_eq!(
        threat(&[
            "T1003.007",
            "T1003.008",
            "T1552",
            "host",
            "mitre_credential_access"
        ]),
        json!({
            "framework": "MITRE ATT&CK",
            "tactic": { "id": ["TA0006"], "name": ["Credential Access"] },
            "technique": {
                "id": ["T1003", "T1552"],
                "subtechnique": { "id": ["T1003.007", "T1003.008"] },
            },
        })
    );
    assert_eq!(
        threat(&["T10", "T1003.x", "Ttest", "mitre_other", "\u{e9}"]),
        Value::Null
    );
}

#[test]
fn what_the_schema_has_no_name_for_is_a_label() {
    let document = document(Format::Ecs, &samples()[0]);
    assert_eq!(document["labels"]["proc_aname_2"], "sshd");
    assert_eq!(document["labels"]["container_image"], "nginx:1");
    assert_eq!(document["labels"]["container_privileged"], "false");
    assert_eq!(document["labels"].get("proc_name"), None);
    let document = super::document(Format::Ecs, &samples()[1]);
    assert_eq!(document.get("container"), None, "a process of the host");
    assert_eq!(
        document["labels"]["fd_name"],
        "10.0.0.1:4000->192.0.2.7:443"
    );
}
