//! Upstream's rule files, unmodified: they load without a warning, alone and together, and each
//! rule can match exactly the event types that upstream's engine gives it.
//!
//! The files are not part of the project; the tests skip where they are not there.

#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test may panic"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use monitor_policy::{
    Color, Field, FlatEvent, LintGroup, LintOptions, Loaded, Matching, Options, Policy, Rule,
    RulesFile, Scratch, load,
};
use serde_json::Value as Json;

const STABLE: &str = "falco_rules.yaml";
const INCUBATING: &str = "falco-incubating_rules.yaml";
const SANDBOX: &str = "falco-sandbox_rules.yaml";

/// A file from beside the checkout; `None` with a printed reason when it is not there.
fn shared(name: &str) -> Option<String> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../../shared/falco")
        .join(name);
    match std::fs::read_to_string(&path) {
        Ok(text) => Some(text),
        Err(error) => {
            let reason = format!("{} cannot be read: {error}", path.display());
            assert!(std::env::var("CI").as_deref() != Ok("true"), "{reason}");
            println!("skipped: {reason}");
            None
        }
    }
}

fn load_files(names: &[&str]) -> Option<Loaded> {
    load_with(names, &Options::default())
}

fn load_with(names: &[&str], options: &Options) -> Option<Loaded> {
    let texts: Option<Vec<_>> = names
        .iter()
        .map(|name| shared(&format!("rules/{name}")))
        .collect();
    let texts = texts?;
    let files: Vec<_> = names
        .iter()
        .zip(&texts)
        .map(|(name, text)| RulesFile { name, text })
        .collect();
    Some(load(&files, options))
}

fn complaints(loaded: &Loaded) -> String {
    let files = loaded.files.iter();
    files.map(|file| file.render(Color::Never)).collect()
}

/// Loads files and expects so many rules and no word of complaint.
fn check(names: &[&str], rules: usize) {
    let Some(loaded) = load_files(names) else {
        return;
    };
    assert_eq!(complaints(&loaded), "", "{names:?}");
    assert_eq!(
        loaded.policy.expect("it loads").rules().len(),
        rules,
        "{names:?}"
    );
}

#[test]
fn load_without_warnings() {
    check(&[STABLE], 25);
    check(&[INCUBATING], 31);
    check(&[SANDBOX], 37);
    check(&[STABLE, INCUBATING, SANDBOX], 93);
}

/// With lints on, in any order.
#[test]
fn lints_have_nothing_to_say() {
    for names in [
        [STABLE, INCUBATING, SANDBOX],
        [INCUBATING, SANDBOX, STABLE],
        [SANDBOX, STABLE, INCUBATING],
    ] {
        let options = Options {
            lint: LintOptions {
                group: LintGroup::Likely,
                unfilled: &[Field::EvtBuffer],
                told: None,
            },
            ..Options::default()
        };
        if let Some(loaded) = load_with(&names, &options) {
            assert_eq!(complaints(&loaded), "", "{names:?}");
        }
    }
}

/// The event types of each rule as the table in usage.md lists them, and whether it is off.
fn expected_events() -> Option<BTreeMap<String, (BTreeSet<String>, bool)>> {
    let usage = shared("usage.md")?;
    let table = usage
        .split("## 5. Rule by rule")
        .nth(1)?
        .split("### deprecated")
        .next()?;
    let mut expected = BTreeMap::new();
    for line in table
        .lines()
        .filter(|line| line.starts_with("| ") && !line.starts_with("| rule"))
    {
        let mut cells = line.split('|').map(str::trim).skip(1);
        let (Some(name), Some(events)) = (cells.next(), cells.nth(1)) else {
            continue;
        };
        let off = name.ends_with(" (off)");
        let types = events.split([' ', '/']).flat_map(spelled_out).collect();
        expected.insert(name.trim_end_matches(" (off)").to_owned(), (types, off));
    }
    Some(expected)
}

/// `rename(at,at2)` is rename, renameat and renameat2.
fn spelled_out(short: &str) -> Vec<String> {
    let Some((base, suffixes)) = short
        .strip_suffix(')')
        .and_then(|short| short.split_once('('))
    else {
        return vec![short.to_owned()];
    };
    let with_suffix = suffixes.split(',').map(|suffix| format!("{base}{suffix}"));
    [base.to_owned()].into_iter().chain(with_suffix).collect()
}

fn names(policy: &Policy, index: usize) -> BTreeSet<String> {
    policy.rules()[index]
        .event_types
        .iter()
        .map(|event| event.name().to_owned())
        .collect()
}

#[test]
fn rules_have_upstreams_event_types() {
    let (Some(expected), Some(loaded)) = (
        expected_events(),
        load_files(&[STABLE, INCUBATING, SANDBOX]),
    ) else {
        return;
    };
    let policy = loaded.policy.expect("it loads");
    assert_eq!(expected.len(), 93);
    for (index, rule) in policy.rules().iter().enumerate() {
        let (events, off) = &expected[&rule.name];
        assert_eq!(&names(&policy, index), events, "{}", rule.name);
        assert_eq!(rule.enabled, !off, "{}", rule.name);
    }
}

/// The stable rule that an event matches first, if any.
fn first_match(policy: &Policy, event: &Json) -> Option<String> {
    let event = FlatEvent::from_json(event.as_object().expect("an object")).expect("an event");
    let mut scratch = Scratch::default();
    let found = policy.evaluate(&event, &mut scratch).first()?;
    Some(policy.rules()[found.rule].name.clone())
}

/// For each rule of a tier events that it is made for, and changes of each with which the event is
/// innocent. A change to null takes the field away; `with` holds items that are loaded as well,
/// for rules that as shipped match nothing.
const TIERS: [(&str, &str); 3] = [
    (STABLE, include_str!("data/stable.json")),
    (INCUBATING, include_str!("data/incubating.json")),
    (SANDBOX, include_str!("data/sandbox.json")),
];

/// An event with some fields changed.
fn merged(base: &Json, change: &Json) -> Json {
    let mut event = base.as_object().expect("an object").clone();
    event.extend(change.as_object().expect("an object").clone());
    Json::Object(event)
}

#[test]
fn stable_rules_are_the_first_to_match_what_they_are_made_for() {
    let Some(loaded) = load_files(&[STABLE]) else {
        return;
    };
    let policy = loaded.policy.expect("it loads");
    let cases: Vec<Json> = serde_json::from_str(TIERS[0].1).expect("JSON");
    for case in cases {
        let (rule, event) = (case["rule"].as_str(), &case["event"]);
        assert_eq!(first_match(&policy, event).as_deref(), rule, "{event}");
    }
}

/// Whether a rule is among those that match an event.
fn fires(policy: &Policy, rule: &str, event: &Json) -> bool {
    let event = FlatEvent::from_json(event.as_object().expect("an object")).expect("an event");
    let mut scratch = Scratch::default();
    let found = policy.evaluate(&event, &mut scratch);
    found
        .iter()
        .any(|found| policy.rules()[found.rule].name == rule)
}

/// A tier with all its rules switched on and all matches reported.
fn whole_tier(name: &str, more: &str) -> Option<Policy> {
    let text = shared(&format!("rules/{name}"))?;
    let files = [
        RulesFile { name, text: &text },
        RulesFile {
            name: "with",
            text: more,
        },
    ];
    let options = Options {
        matching: Matching::All,
        ..Options::default()
    };
    let policy = load(&files, &options).policy.expect("it loads");
    let off = policy.rules().iter().filter(|rule| !rule.enabled);
    let on = |rule: &Rule| {
        let name = serde_json::to_string(&rule.name).expect("a text");
        format!("- rule: {name}\n  enabled: true\n  override: {{enabled: replace}}\n")
    };
    let enabling: String = off.map(on).collect();
    let files = [
        files[0],
        files[1],
        RulesFile {
            name: "on",
            text: &enabling,
        },
    ];
    load(&files, &options).policy
}

#[test]
fn every_rule_matches_what_it_is_made_for_and_spares_its_like() {
    let mut proved = BTreeSet::new();
    for (name, cases) in TIERS {
        let cases: Vec<Json> = serde_json::from_str(cases).expect("JSON");
        let Some(shipped) = whole_tier(name, "") else {
            return;
        };
        for case in cases {
            let own = case["with"]
                .as_str()
                .and_then(|with| whole_tier(name, with));
            let policy = own.as_ref().unwrap_or(&shipped);
            let (rule, event) = (case["rule"].as_str().expect("a name"), &case["event"]);
            assert!(fires(policy, rule, event), "{rule} is silent on {event}");
            let changes = case["innocent"].as_array().expect("changes");
            assert!(!changes.is_empty(), "{rule}");
            for change in changes {
                assert!(
                    !fires(policy, rule, &merged(event, change)),
                    "{rule}: {change}"
                );
            }
            proved.insert(rule.to_owned());
        }
    }
    assert_eq!(proved.len(), 93);
}

#[test]
fn stable_rules_tell_what_they_need() {
    let Some(loaded) = load_files(&[STABLE, INCUBATING]) else {
        return;
    };
    let policy = loaded.policy.expect("it loads");
    assert!(policy.uses_field(Field::ProcAexepath));
    assert!(!policy.uses_field(Field::ProcVmrss));
    assert!(policy.environment_names().whole);
    assert_eq!(
        policy.host_names().collect::<Vec<_>>(),
        ["kubernetes.default.svc.cluster.local"]
    );
}
