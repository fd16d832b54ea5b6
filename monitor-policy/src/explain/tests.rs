//! Explanations of a rule with macros, lists, exceptions and several files.

use serde_json::json;

use super::*;
use crate::event::View;
use crate::flat::FlatEvent;

const BASE: &str = "\
- list: tools
  items: [cat, less]
- macro: opened
  condition: (evt.type in (open, openat) and fd.num >= 0)
- macro: secret
  condition: >
    fd.name = /etc/shadow or
    fd.name startswith /root/
- rule: Secret
  desc: A secret.
  condition: opened and secret and not proc.name in (tools)
  output: x
  priority: NOTICE
  exceptions:
    - name: by_user
      fields: user.name
      values: [backup]
";

const LATER: &str = "\
- list: tools
  items: [more]
  override: {items: append}
";

fn explanation() -> Explanation {
    let files = [("base.yaml", BASE), ("later.yaml", LATER)];
    let files = files.map(|(name, text)| RulesFile { name, text });
    assert!(Explanation::new(&files, "Other").is_none());
    let limits = LoadLimits {
        items: 1,
        ..LoadLimits::default()
    };
    assert!(Explanation::within(&files, "Secret", limits).is_none());
    Explanation::new(&files, "Secret").unwrap()
}

fn deciders(event: &serde_json::Value) -> (bool, Vec<String>) {
    let explanation = explanation();
    let event = FlatEvent::from_json(event.as_object().unwrap()).unwrap();
    let trace = explanation.trace(&event, View::Passed);
    let root = explanation.root();
    let shown = trace.deciders(root).into_iter().map(|part| {
        let Shape::Test { text, fields, .. } = &part.shape else {
            panic!("not a test: {part:?}");
        };
        let values: Vec<_> = fields.iter().map(|field| trace.value(field)).collect();
        format!("{text}: {} of {}", trace.holds(part), json!(values))
    });
    (trace.holds(root), shown.collect())
}

#[test]
fn the_tests_that_decided_are_named() {
    let check = |event: serde_json::Value, holds, expected: &[&str]| {
        assert_eq!(
            deciders(&event),
            (
                holds,
                expected.iter().map(|text| (*text).to_owned()).collect()
            )
        );
    };
    check(
        json!({"evt.type": "openat", "fd.num": 3, "fd.name": "/root/x", "proc.name": "more"}),
        false,
        &["proc.name in (cat, less, more): true of [\"more\"]"],
    );
    check(
        json!({"evt.type": "openat", "fd.num": 3, "fd.name": "/tmp", "proc.name": "vi"}),
        false,
        &[
            "fd.name = /etc/shadow: false of [\"/tmp\"]",
            "fd.name startswith /root/: false of [\"/tmp\"]",
        ],
    );
    check(
        json!({"evt.type": "openat", "fd.name": "/root/x", "user.name": "backup"}),
        false,
        &[
            "fd.num >= 0: false of [null]",
            "user.name in (backup): true of [\"backup\"]",
        ],
    );
    check(
        json!({"evt.type": "openat", "fd.num": 3, "fd.name": "/root/x"}),
        true,
        &[
            "evt.type in (open, openat): true of [\"openat\"]",
            "fd.num >= 0: true of [3]",
            "fd.name startswith /root/: true of [\"/root/x\"]",
            "proc.name in (cat, less, more): false of [null]",
            "user.name in (backup): false of [null]",
        ],
    );
}

#[test]
fn tests_know_where_they_are_written() {
    fn locations(part: &Part, found: &mut Vec<String>) {
        match &part.shape {
            Shape::All(parts) | Shape::Any(parts) => {
                for part in parts {
                    locations(part, found);
                }
            }
            Shape::Not(inner) | Shape::Macro { body: inner, .. } => locations(inner, found),
            Shape::Test { location, .. } => found.push(location.to_string()),
        }
    }
    let mut found = Vec::new();
    locations(explanation().root(), &mut found);
    assert_eq!(
        found[..5],
        [
            "base.yaml:4:15",
            "base.yaml:4:46",
            "base.yaml:7:5",
            "base.yaml:8:5",
            "base.yaml:11:40",
        ]
    );
}

#[test]
fn a_macro_used_again_and_again_stays_one_part() {
    let macros = (1..200).map(|number| {
        let before = number - 1;
        format!("- macro: m{number}\n  condition: m{before} or not m{before}\n")
    });
    let rules = [
        "- macro: m0\n  condition: evt.type=open\n",
        &macros.collect::<String>(),
        "- rule: R\n  desc: d\n  condition: m199\n  output: o\n  priority: NOTICE\n",
    ]
    .concat();
    let file = RulesFile {
        name: "r.yaml",
        text: &rules,
    };
    let explanation = Explanation::new(&[file], "R").unwrap();
    let event = FlatEvent::from_json(json!({"evt.type": "open"}).as_object().unwrap()).unwrap();
    let trace = explanation.trace(&event, View::Passed);
    assert!(trace.holds(explanation.root()));
    assert_eq!(trace.deciders(explanation.root()).len(), 1);
}
