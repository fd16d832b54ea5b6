//! What loading says: rules files as text, the diagnostics and the rules that come out.

#![expect(clippy::expect_used, reason = "a test may panic")]

mod changes;
mod digests;
mod documents;
mod exceptions;

use monitor_policy::{Loaded, Options, Priority, RulesFile, load};
use monitor_policy::{Selected, Switch};

fn load_texts(texts: &[&str]) -> Loaded {
    let names = ["a", "b", "c"];
    let files: Vec<_> = names
        .iter()
        .zip(texts)
        .map(|(name, text)| RulesFile { name, text })
        .collect();
    load(&files, &Options::default())
}

/// What is said of the files, a line each: `file:line:column CODE message`.
fn complaints(loaded: &Loaded) -> Vec<String> {
    let found = loaded
        .files
        .iter()
        .flat_map(|file| file.errors().iter().chain(file.warnings()));
    found
        .map(|found| {
            format!(
                "{}:{}:{} {} {}",
                found.file, found.line, found.column, found.code, found.message
            )
        })
        .collect()
}

/// Loads files; each complaint has to begin with its place and code and to have the text.
fn check(texts: &[&str], expected: &[(&str, &str)]) {
    let found = complaints(&load_texts(texts));
    let fits = |(found, (start, part)): (&String, &(&str, &str))| {
        found.starts_with(start) && found.contains(part)
    };
    let all = found.len() == expected.len() && found.iter().zip(expected).all(fits);
    assert!(all, "{texts:#?}\nfound {found:#?}\nexpected {expected:#?}");
}

/// A rule in file form.
fn rule(name: &str, condition: &str) -> String {
    format!(
        "- rule: {name}\n  desc: d\n  priority: notice\n  output: o %proc.name\n  condition: \
         {condition}\n"
    )
}

/// What is expected of an event with these fields: the names of all rules that match it.
fn matching(texts: &[&str], event: &serde_json::Value) -> Vec<String> {
    let names = ["a", "b", "c"];
    let files: Vec<_> = names
        .iter()
        .zip(texts)
        .map(|(name, text)| RulesFile { name, text })
        .collect();
    let options = Options {
        matching: monitor_policy::Matching::All,
        ..Options::default()
    };
    let loaded = load(&files, &options);
    let said = complaints(&loaded).join("\n");
    let policy = loaded.policy.expect(&said);
    let object = event.as_object().expect("an object");
    let event = monitor_policy::FlatEvent::from_json(object).expect("an event");
    let mut scratch = monitor_policy::Scratch::default();
    let found = policy.evaluate(&event, &mut scratch);
    found
        .iter()
        .filter_map(|found| policy.rules().get(found.rule))
        .map(|rule| rule.name.clone())
        .collect()
}

fn open(name: &str) -> serde_json::Value {
    serde_json::json!({"evt.type": "open", "proc.name": name})
}
