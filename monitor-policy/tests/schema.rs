//! The schema of rules files takes what loads without a word and refuses what does not.

#![expect(clippy::expect_used, reason = "a test may panic")]

use std::fs;
use std::path::PathBuf;

use jsonschema::Validator;
use monitor_policy::{Options, RulesFile, load, schema};
use serde_yaml::Value as Yaml;

fn validator() -> Validator {
    let schema = schema();
    jsonschema::draft202012::meta::validate(&schema).expect("a schema");
    jsonschema::draft202012::new(&schema).expect("a schema")
}

/// What the schema has against a file; each of its documents is looked at.
fn complaints(validator: &Validator, text: &str) -> Vec<String> {
    use serde::Deserialize as _;
    let mut complaints = Vec::new();
    for document in serde_yaml::Deserializer::from_str(text) {
        let yaml = Yaml::deserialize(document).expect("YAML");
        let json = serde_json::to_value(yaml).expect("JSON");
        let errors = validator.iter_errors(&json);
        complaints.extend(errors.map(|error| format!("{} {error}", error.instance_path())));
    }
    complaints
}

fn yaml_files(folder: &str) -> Vec<PathBuf> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(folder);
    let Ok(entries) = fs::read_dir(&folder) else {
        let reason = format!("{} is not there", folder.display());
        assert!(std::env::var("CI").as_deref() != Ok("true"), "{reason}");
        println!("skipped: {reason}");
        return Vec::new();
    };
    let paths = entries.map(|entry| entry.expect("an entry").path());
    let is_rules = |path: &PathBuf| {
        let name = path.to_string_lossy();
        name.ends_with(".yaml") && !name.ends_with(".test.yaml")
    };
    paths.filter(is_rules).collect()
}

#[test]
fn files_in_use_are_valid() {
    let validator = validator();
    for path in [
        yaml_files("../policies"),
        yaml_files("../../shared/falco/rules"),
    ]
    .concat()
    {
        let text = fs::read_to_string(&path).expect("a file");
        let found = complaints(&validator, &text);
        assert_eq!(found, [""; 0], "{}", path.display());
    }
}

/// Whether the loader has nothing to say of the form of a file; what it says of other things, such
/// as macros that are used nowhere, is not the schema's affair.
fn loads(text: &str) -> bool {
    let loaded = load(&[RulesFile { name: "f", text }], &Options::default());
    let form = [
        "LOAD_ERR_YAML_VALIDATE",
        "LOAD_UNKNOWN_ITEM",
        "LOAD_UNKNOWN_KEY",
    ];
    let mut found = loaded
        .files
        .iter()
        .flat_map(|file| file.errors().iter().chain(file.warnings()));
    !found.any(|found| form.contains(&found.code.name()))
}

const RULE: &str =
    "- rule: R\n  desc: d\n  priority: notice\n  output: o\n  condition: evt.type=open\n";

/// Whole files.
const VALID: &[&str] = &[
    "",
    "---\n",
    "- ~\n",
    "--- []\n--- []\n",
    "- required_engine_version: 0.57.0\n",
    "- required_engine_version: 17\n",
    "- required_plugin_versions: [{name: json, version: 0.1.0}]\n",
    "- list: a\n  items: [a, 1, 1.5, yes, ~x]\n",
    "- list: a\n  items: []\n  append: yes\n",
    "- list: a\n  items: []\n  override: {items: append}\n",
    "- macro: a\n  condition: evt.type=open\n",
    "- rule: R\n  enabled: false\n",
];
const INVALID: &[&str] = &[
    "- required_engine_version: new\n",
    "- required_engine_version: [1]\n",
    "- required_plugin_versions: [{name: json}]\n",
    "- required_plugin_versions: json\n",
    "- list: a\n",
    "- list: a\n  items: b\n",
    "- list: a\n  items: [[b]]\n",
    "- list: a\n  items: [~]\n",
    "- list: ''\n  items: []\n",
    "- list: a\n  itms: []\n",
    "- list: a\n  items: []\n  override: {items: add}\n",
    "- list: a\n  items: []\n  override: {condition: append}\n",
    "- macro: a\n",
    "- macro: a\n  condition: [a]\n",
    "- macro: a\n  condition: ~\n",
    "- hello: x\n",
    "- x\n",
    "a: b\n",
    "- rule: R\n  tags: [a]\n",
];

/// Further keys of a rule.
const VALID_KEYS: &[&str] = &[
    "tags: [a, 1]",
    "enabled: off",
    "enabled: TRUE",
    "source: syscall",
    "capture: y",
    "capture_duration: 500",
    "warn_evttypes: No",
    "skip-if-unknown-filter: false",
    "exceptions: [{name: e, fields: [proc.name, fd.name], comps: [in, =], values: [[[a, b], c]]}]",
    "exceptions: [{name: e, fields: proc.name, comps: in, values: [a, 1]}]",
];
const INVALID_KEYS: &[&str] = &[
    "tags: a",
    "enabled: maybe",
    "enabled: 1",
    "source: [a]",
    "capture_duration: long",
    "capture_duration: -1",
    "warn_evtypes: no",
    "exceptions: {name: e}",
    "exceptions: [{fields: proc.name}]",
    "exceptions: [{name: e, fields: proc.name, valus: [a]}]",
    "override: {desc: replace}",
];

/// Keys of an item that changes a rule.
const VALID_CHANGES: &[&str] = &[
    "tags: [a]\n  override: {tags: append}",
    "condition: or evt.type=creat\n  append: true",
];
const INVALID_CHANGES: &[&str] = &[
    "priority: debug\n  override: {priority: append}",
    "tags: [a]\n  override: {}",
    "override: {tags: append}",
    "tags: [a]\n  append: true\n  override: {tags: append}",
];

#[test]
fn schema_and_loader_agree() {
    let validator = validator();
    let check = |text: &str, expected: bool| {
        let found = complaints(&validator, text);
        assert_eq!(found.is_empty(), expected, "schema: {text}\n{found:?}");
        assert_eq!(loads(text), expected, "loader: {text}");
    };
    let check_all = |cases: &[&str], expected: bool, file: &dyn Fn(&str) -> String| {
        for case in cases {
            check(&file(case), expected);
        }
    };
    check(RULE, true);
    check_all(VALID, true, &str::to_owned);
    check_all(INVALID, false, &str::to_owned);
    let with = |keys: &str| format!("{RULE}  {keys}\n");
    check_all(VALID_KEYS, true, &with);
    check_all(INVALID_KEYS, false, &with);
    let change = |keys: &str| format!("{RULE}- rule: R\n  {keys}\n");
    check_all(VALID_CHANGES, true, &change);
    check_all(INVALID_CHANGES, false, &change);
    let without = |key: &str| -> String {
        let lines = RULE.split_inclusive('\n');
        let others = lines.filter(|line| !line.trim_start().starts_with(key));
        others.collect()
    };
    check_all(
        &["desc", "priority", "output", "condition"],
        false,
        &without,
    );
    let priority = |name: &str| RULE.replace("notice", name);
    check_all(
        &["EMERGENCY", "Info", "informational", "wArNiNg"],
        true,
        &priority,
    );
    check_all(&["severe"], false, &priority);
}
