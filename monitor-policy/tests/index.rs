//! Policies try only the rules that an event can match. They find what trying each rule by itself
//! finds.

#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test may panic"
)]

use std::collections::HashMap;
use std::path::PathBuf;

use monitor_policy::{
    Clause, Color, Event as _, EventType, Field, FieldRef, FlatEvent, Match, Matching, Options,
    Policy, RulesFile, Scratch, View, load,
};
use proptest::prelude::*;
use serde_json::{Map, Value as Json};

/// All matches, and nothing but what rules say.
fn all() -> Options {
    Options {
        matching: Matching::All,
        suggested_output: monitor_policy::SuggestedOutput::Omit,
        ..Options::default()
    }
}

/// The rules that match, each tried by itself.
fn plainly(policy: &Policy, event: &FlatEvent) -> Vec<Match> {
    let rules = policy.rules().iter().enumerate();
    let tried = rules.filter(|(_, rule)| rule.enabled);
    let view = View::Passed;
    tried
        .filter(|(rule, _)| policy.holds(*rule, event, view))
        .map(|(rule, _)| Match { rule, view })
        .collect()
}

/// Tests of a few texts that have parts of each other, and of a few numbers.
fn leaf() -> impl Strategy<Value = String> {
    let field = || {
        prop::sample::select(vec![
            "proc.name",
            "fd.name",
            "proc.aname",
            "evt.arg.flags",
            "proc.args",
        ])
    };
    let word = || prop::sample::select(vec!["a", "/a", "/a/b", "b", "ab", "/ab/", "/b/a", "A"]);
    let operator = prop::sample::select(vec![
        "=",
        "!=",
        "startswith",
        "endswith",
        "contains",
        "icontains",
        "glob",
        "iglob",
    ]);
    let numbers = prop::sample::select(vec![
        "fd.num = 1",
        "fd.num in (0, 2)",
        "fd.num >= 1",
        "fd.sport = 22",
        "fd.port in (22, 80)",
        "evt.is_open_read = true",
        "evt.is_open_write = false",
        "fd.port != 22",
        "evt.type in (open, openat)",
        "evt.type != open",
        "evt.type = execve",
        "proc.name exists",
        "fd.name pmatch (/a, /b)",
        "fd.name glob '/a*b'",
        "fd.name in (/a, /a/b, b)",
        "proc.aname in (a, b)",
        "tolower(proc.name) = a",
    ]);
    prop_oneof![
        4 => (field(), operator, word()).prop_map(|(f, o, w)| format!("{f} {o} {w}")),
        3 => numbers.prop_map(str::to_owned),
        1 => (field(), prop::collection::vec(word(), 0..4))
            .prop_map(|(field, words)| format!("{field} in ({})", words.join(", "))),
    ]
}

fn condition() -> impl Strategy<Value = String> {
    leaf().prop_recursive(4, 16, 3, |inner| {
        let parts = || prop::collection::vec(inner.clone(), 2..4);
        prop_oneof![
            parts().prop_map(|parts| format!("({})", parts.join(" and "))),
            parts().prop_map(|parts| format!("({})", parts.join(" or "))),
            inner.clone().prop_map(|inner| format!("not ({inner})")),
        ]
    })
}

fn event() -> impl Strategy<Value = FlatEvent> {
    let kind = prop::sample::select(vec!["open", "openat", "execve", "connect"]);
    let text = || prop::option::of("[abA/]{0,5}");
    let number = || prop::option::of(0_i64..3);
    let port = prop::option::of(prop::sample::select(vec![22, 80, 443]));
    let flag = prop::option::of(any::<bool>());
    let ancestors = prop::option::of(prop::collection::vec("[ab/]{1,3}", 0..3));
    (
        kind,
        text(),
        text(),
        text(),
        text(),
        (number(), port, flag, ancestors),
    )
        .prop_map(
            |(kind, name, path, flags, args, (number, port, flag, ancestors))| {
                let mut object = Map::new();
                let mut put = |key: &str, value: Json| object.insert(key.to_owned(), value);
                put("evt.type", kind.into());
                put("proc.name", name.into());
                put("fd.name", path.into());
                put("evt.arg.flags", flags.into());
                put("proc.args", args.into());
                put("fd.num", number.into());
                put("fd.sport", port.into());
                put("evt.is_open_read", flag.into());
                put("proc.aname", ancestors.into());
                FlatEvent::from_json(&object).expect("an event")
            },
        )
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn random_rules(
        conditions in prop::collection::vec(condition(), 1..12),
        events in prop::collection::vec(event(), 1..12),
        answered in any::<u64>(),
        budget in 1_usize..8,
    ) {
        let rule = |(number, condition): (usize, &String)| format!(
            "- rule: r{number}\n  desc: d\n  priority: debug\n  output: o\n  condition: {condition}\n"
        );
        let text: String = conditions.iter().enumerate().map(rule).collect();
        let loaded = load(&[RulesFile { name: "r", text: &text }], &all());
        let report = || loaded.files[0].render(Color::Never);
        let policy = loaded.policy.as_ref().unwrap_or_else(|| panic!("{}", report()));
        let mut scratch = Scratch::default();
        for event in &events {
            let found = policy.evaluate(event, &mut scratch).to_vec();
            prop_assert_eq!(&found, &plainly(policy, event), "{} on {:?}", text, event);
            let answers = |field: &FieldRef, _| answered >> (field.field as u16 % 64) & 1 == 1;
            let types = [event.event_type()].into_iter().collect();
            let clauses = policy.necessary(&types, &answers, budget);
            prop_assert!(clauses.len() <= budget);
            for one in found {
                let admitted = is_admitted(&clauses, event, one.rule);
                prop_assert_eq!(admitted, Ok(()), "{} on {:?}", text, event);
            }
        }
    }
}

/// Whether a clause of a rule admits an event that the rule matches.
fn is_admitted(clauses: &[Clause], event: &FlatEvent, rule: usize) -> Result<(), String> {
    let mut own = clauses.iter().filter(|clause| clause.rules.contains(&rule));
    if own.any(|clause| clause.admits(event, View::Passed)) {
        return Ok(());
    }
    let clauses: Vec<_> = clauses.iter().map(ToString::to_string).collect();
    Err(format!(
        "rule {rule} matches what none of its clauses admits: {clauses:?}"
    ))
}

/// Upstream's three files; `None` with a printed reason when they are not there.
fn upstream() -> Option<Policy> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared/falco/rules");
    let names = [
        "falco_rules.yaml",
        "falco-incubating_rules.yaml",
        "falco-sandbox_rules.yaml",
    ];
    let read = |name: &&str| std::fs::read_to_string(folder.join(name));
    let texts: Result<Vec<String>, _> = names.iter().map(read).collect();
    let texts = match texts {
        Ok(texts) => texts,
        Err(error) => {
            let reason = format!("{} cannot be read: {error}", folder.display());
            assert!(std::env::var("CI").as_deref() != Ok("true"), "{reason}");
            println!("skipped: {reason}");
            return None;
        }
    };
    let files: Vec<_> = names
        .into_iter()
        .zip(&texts)
        .map(|(name, text)| RulesFile { name, text })
        .collect();
    load(&files, &all()).policy
}

/// All events of the data files, their variations included.
fn recorded() -> Vec<Map<String, Json>> {
    let files = [
        include_str!("data/stable.json"),
        include_str!("data/incubating.json"),
        include_str!("data/sandbox.json"),
    ];
    let mut events = Vec::new();
    for text in files {
        let cases: Vec<Json> = serde_json::from_str(text).expect("JSON");
        for case in cases {
            let base = case["event"].as_object().expect("an event").clone();
            for change in case["innocent"].as_array().into_iter().flatten() {
                let mut event = base.clone();
                event.extend(change.as_object().expect("a change").clone());
                events.push(event);
            }
            events.push(base);
        }
    }
    events
}

#[test]
fn upstreams_rules_on_recorded_events() {
    let Some(policy) = upstream() else { return };
    assert_eq!(policy.rules().len(), 93);
    let mut scratch = Scratch::default();
    let mut matches = 0;
    let mut needed = HashMap::new();
    for object in recorded() {
        for name in ["openat", "execve", "connect", "unlinkat"] {
            let event_type = object["evt.type"].as_str().and_then(EventType::from_name);
            for kind in [event_type.map_or("open", EventType::name), name] {
                let mut object = object.clone();
                object.insert("evt.type".to_owned(), kind.into());
                let event = FlatEvent::from_json(&object).expect("an event");
                let found = policy.evaluate(&event, &mut scratch).to_vec();
                assert_eq!(found, plainly(&policy, &event), "{object:?}");
                let clauses = needed.entry(event.event_type()).or_insert_with(|| {
                    let types = [event.event_type()].into_iter().collect();
                    policy.necessary(&types, &of_opens, 64)
                });
                for one in &found {
                    let admitted = is_admitted(clauses, &event, one.rule);
                    assert_eq!(admitted, Ok(()), "{object:?}");
                }
                matches += found.len();
            }
        }
    }
    assert!(matches > 100, "{matches}");
}

/// What a kernel can tell of an open.
fn of_opens(field: &FieldRef, truth: bool) -> bool {
    match field.field {
        Field::ContainerId
        | Field::EvtIsOpenRead
        | Field::EvtIsOpenWrite
        | Field::EvtRawres
        | Field::EvtRes
        | Field::FdName
        | Field::FdNum
        | Field::FdTypechar => true,
        Field::FdDirectory | Field::FdFilename | Field::FdNameraw => truth,
        _ => false,
    }
}

#[test]
fn what_upstreams_rules_cannot_match_is_refused_by_what_they_need() {
    let Some(policy) = upstream() else { return };
    let types = ["open", "openat", "openat2", "creat"];
    let types = types.into_iter().filter_map(EventType::from_name).collect();
    let clauses = policy.necessary(&types, &of_opens, 64);
    let admits = |name: &str, directory: &str, write: bool| {
        let event = serde_json::json!({
            "evt.type": "openat", "fd.num": 3, "evt.rawres": 3, "evt.res": "SUCCESS",
            "fd.typechar": "f", "container.id": "host", "evt.is_open_write": write,
            "evt.is_open_read": !write, "fd.name": format!("{directory}/{name}"),
            "fd.nameraw": format!("{directory}/{name}"), "fd.filename": name,
            "fd.directory": directory,
        });
        let event = FlatEvent::from_json(event.as_object().expect("an object")).expect("an event");
        clauses
            .iter()
            .any(|clause| clause.admits(&event, View::Passed))
    };
    assert!(admits("shadow", "/etc", false));
    assert!(admits("passwd", "/etc", true));
    assert!(!admits("passwd", "/etc", false));
    assert!(!admits("libc.so.6", "/usr/lib", false));
    assert!(!admits("scratch", "/tmp", true));
}
