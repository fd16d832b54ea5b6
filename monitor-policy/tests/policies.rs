//! The policies that are shipped: they load without a warning, one by one and together, and match
//! what they are made for.

#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test may panic"
)]

use std::collections::BTreeSet;
use std::path::PathBuf;

use monitor_policy::{Color, EventType, FlatEvent, Options, Policy, RulesFile, Scratch, load};
use serde_json::Value as Json;

/// Names and texts of the files, in the order in which they are loaded.
fn policies() -> Vec<(String, String)> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../policies");
    let mut files: Vec<_> = std::fs::read_dir(folder)
        .expect("the folder")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "yaml")
        })
        .filter(|path| !path.to_string_lossy().ends_with(".test.yaml"))
        .collect();
    files.sort();
    let read = |path: PathBuf| {
        let name = path
            .file_name()
            .expect("a name")
            .to_string_lossy()
            .into_owned();
        (name, std::fs::read_to_string(&path).expect("its text"))
    };
    files.into_iter().map(read).collect()
}

fn load_quietly(files: &[(String, String)]) -> Policy {
    let files: Vec<_> = files
        .iter()
        .map(|(name, text)| RulesFile { name, text })
        .collect();
    let loaded = load(&files, &Options::default());
    let said: String = loaded
        .files
        .iter()
        .map(|file| file.render(Color::Never))
        .collect();
    assert_eq!(said, "");
    loaded.policy.expect("it loads")
}

#[test]
fn load_without_warnings() {
    let files = policies();
    let single: usize = files
        .iter()
        .map(|file| load_quietly(std::slice::from_ref(file)).rules().len())
        .sum();
    let all = load_quietly(&files);
    assert_eq!(all.rules().len(), single, "no rule replaces another");
    assert!(single >= 10);
}

/// Event types that every supported kernel delivers.
const EVENTS: [&str; 13] = [
    "execve",
    "execveat",
    "open",
    "openat",
    "openat2",
    "creat",
    "connect",
    "socket",
    "symlink",
    "symlinkat",
    "link",
    "linkat",
    "cgroup_move",
];

#[test]
fn ask_only_for_what_is_delivered() {
    let policy = load_quietly(&policies());
    let known: BTreeSet<_> = EVENTS.into_iter().chain(["ptrace"]).collect();
    let used: BTreeSet<_> = policy.event_types().iter().map(EventType::name).collect();
    assert!(used.is_subset(&known), "{used:?}");
    for rule in policy.rules() {
        let tagged = |start: &str| rule.tags.iter().any(|tag| tag.starts_with(start));
        assert!(tagged("mitre_") && tagged("T1"), "{}", rule.name);
        assert!(!rule.description.trim().is_empty(), "{}", rule.name);
    }
}

/// For each rule an event that it is made for, and changes of it with which it is innocent.
const CASES: &str = include_str!("data/policies.json");

#[test]
fn match_what_they_are_made_for() {
    let policy = load_quietly(&policies());
    let cases: Vec<Json> = serde_json::from_str(CASES).expect("JSON");
    let mut tested = BTreeSet::new();
    for case in &cases {
        let (rule, event) = (case["rule"].as_str().expect("a rule"), &case["event"]);
        assert_eq!(
            first_match(&policy, event).as_deref(),
            Some(rule),
            "{event}"
        );
        for change in case["innocent"].as_array().expect("changes") {
            let event = merged(event, change);
            assert_eq!(first_match(&policy, &event), None, "{rule}: {change}");
        }
        tested.insert(rule);
    }
    let rules: BTreeSet<_> = policy
        .rules()
        .iter()
        .map(|rule| rule.name.as_str())
        .collect();
    assert_eq!(tested, rules, "every rule has a case");
}

fn first_match(policy: &Policy, event: &Json) -> Option<String> {
    let event = FlatEvent::from_json(event.as_object().expect("an object")).expect("an event");
    let mut scratch = Scratch::default();
    let found = policy.evaluate(&event, &mut scratch).first()?;
    Some(policy.rules()[found.rule].name.clone())
}

/// An event with some fields changed.
fn merged(base: &Json, change: &Json) -> Json {
    let mut event = base.as_object().expect("an object").clone();
    event.extend(change.as_object().expect("an object").clone());
    Json::Object(event)
}
