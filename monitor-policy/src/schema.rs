//! A JSON Schema (draft 2020-12) of rules files, for editors: made from the tables that the loader
//! reads by.
//!
//! Stricter than the loader in one thing: items and keys that are not known, which load with a
//! warning, are refused.

use serde_json::{Map, Value, json};

use crate::priority::Priority;
use crate::rules::{ITEM_KINDS, LIST_KEYS, LIST_OVERRIDABLE, MACRO_KEYS, MACRO_OVERRIDABLE};
use crate::rules::{Overridable, RULE_KEYS, RULE_OVERRIDABLE, RULE_REQUIRED};

/// The schema.
pub fn schema() -> Value {
    let mut definitions = Map::new();
    for (name, definition) in [
        ("text", text()),
        ("name", name()),
        ("flag", flag()),
        (
            "texts",
            json!({"type": "array", "items": {"$ref": "#/$defs/text"}}),
        ),
        ("priority", priority()),
        ("milliseconds", milliseconds()),
        ("exception", exception()),
        ("required_engine_version", engine()),
        ("required_plugin_versions", plugins()),
        (
            "list",
            item("list", LIST_KEYS, LIST_OVERRIDABLE, &["items"]),
        ),
        (
            "macro",
            item("macro", MACRO_KEYS, MACRO_OVERRIDABLE, &["condition"]),
        ),
        ("rule", rule()),
    ] {
        definitions.insert(name.to_owned(), definition);
    }
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Rules file of the Falco language",
        "type": ["array", "null"],
        "items": {"anyOf": [{"type": "null"}, by_kind()]},
        "$defs": definitions,
    })
}

/// An item, by the first of the keys that tell its kind.
fn by_kind() -> Value {
    let unknown = json!({
        "type": "object",
        "anyOf": ITEM_KINDS.iter().map(|kind| json!({"required": [kind]})).collect::<Value>(),
    });
    ITEM_KINDS.iter().rev().fold(unknown, |otherwise, kind| {
        json!({
            "type": "object",
            "if": {"required": [kind]},
            "then": {"$ref": format!("#/$defs/{kind}")},
            "else": otherwise,
        })
    })
}

/// A scalar: the loader takes it as written, whatever YAML makes of it.
fn text() -> Value {
    json!({"type": ["string", "number", "boolean"]})
}

fn name() -> Value {
    json!({"type": ["string", "number", "boolean"], "minLength": 1})
}

fn flag() -> Value {
    let spelled = ["y", "yes", "true", "on", "n", "no", "false", "off"];
    let all = spelled.into_iter().flat_map(spellings);
    json!({"anyOf": [{"type": "boolean"}, {"enum": all.collect::<Vec<_>>()}]})
}

/// A word in lower case, capitalised, in upper case.
fn spellings(word: &str) -> Vec<String> {
    let mut letters = word.chars();
    let first = letters.next().map(|first| first.to_ascii_uppercase());
    let mut all = vec![
        word.to_ascii_lowercase(),
        first.into_iter().chain(letters).collect(),
        word.to_ascii_uppercase(),
    ];
    all.dedup();
    all
}

/// The names of priorities; in whatever case, but editors offer the usual ones.
fn priority() -> Value {
    let names: Vec<&str> = Priority::ALL
        .iter()
        .map(|priority| priority.name())
        .chain(["Info"])
        .collect();
    let usual: Vec<String> = names
        .iter()
        .flat_map(|name| {
            [
                name.to_ascii_uppercase(),
                (*name).to_owned(),
                name.to_ascii_lowercase(),
            ]
        })
        .collect();
    let any_case = |name: &&str| -> String {
        let letters = name.chars();
        let both =
            letters.map(|c| format!("[{}{}]", c.to_ascii_uppercase(), c.to_ascii_lowercase()));
        both.collect()
    };
    let pattern: Vec<String> = names.iter().map(any_case).collect();
    json!({
        "anyOf": [
            {"enum": usual},
            {"type": "string", "pattern": format!("^({})$", pattern.join("|"))},
        ],
    })
}

fn milliseconds() -> Value {
    json!({
        "anyOf": [
            {"type": "integer", "minimum": 0, "maximum": u32::MAX},
            {"type": "string", "pattern": "^\\+?[0-9]{1,10}$"},
        ],
    })
}

fn exception() -> Value {
    let nested = json!({
        "anyOf": [
            {"$ref": "#/$defs/text"},
            {"type": "array", "items": {"$ref": "#/$defs/text"}},
        ],
    });
    json!({
        "type": "object",
        "required": ["name"],
        "properties": {
            "name": {"$ref": "#/$defs/name"},
            "fields": nested,
            "comps": nested,
            "values": {
                "type": "array",
                "items": {
                    "anyOf": [
                        {"$ref": "#/$defs/text"},
                        {"type": "array", "items": nested},
                    ],
                },
            },
        },
        "additionalProperties": false,
    })
}

fn engine() -> Value {
    json!({
        "type": "object",
        "properties": {
            "required_engine_version": {
                "anyOf": [
                    {"type": "integer", "minimum": 0},
                    {"type": "string", "pattern": "^[0-9]+(\\.[0-9]+\\.[0-9]+.*)?$"},
                ],
            },
        },
        "additionalProperties": false,
    })
}

fn plugins() -> Value {
    let plugin = json!({"name": {"$ref": "#/$defs/name"}, "version": {"$ref": "#/$defs/name"}});
    let mut first = plugin.clone();
    if let Some(first) = first.as_object_mut() {
        let alternative = json!({
            "type": "object",
            "required": ["name", "version"],
            "properties": plugin,
        });
        first.insert(
            "alternatives".to_owned(),
            json!({"type": "array", "items": alternative}),
        );
    }
    json!({
        "type": "object",
        "properties": {
            "required_plugin_versions": {
                "type": "array",
                "items": {"type": "object", "required": ["name", "version"], "properties": first},
            },
        },
        "additionalProperties": false,
    })
}

/// A list or macro: what it has to have stands there in any case.
fn item(kind: &str, keys: &[&str], overridable: Overridable, required: &[&str]) -> Value {
    let required: Vec<&str> = [kind].iter().chain(required).copied().collect();
    json!({
        "type": "object",
        "required": required,
        "properties": properties(kind, keys, overridable),
        "additionalProperties": false,
        "allOf": overrides(overridable),
    })
}

/// A rule: new, changed, or switched as in old files.
fn rule() -> Value {
    let changed = json!({
        "anyOf": [
            {"required": ["override"]},
            {
                "required": ["append"],
                "properties": {"append": {"not": {"enum": refusals()}}},
            },
        ],
    });
    let any = RULE_REQUIRED.iter().map(|key| json!({"required": [key]}));
    let new = json!({
        "if": {"anyOf": any.collect::<Value>()},
        "then": {"required": RULE_REQUIRED},
        "else": {"required": ["enabled"]},
    });
    let mut all = overrides(RULE_OVERRIDABLE);
    all.push(json!({"if": changed, "else": new}));
    json!({
        "type": "object",
        "required": ["rule"],
        "properties": properties("rule", RULE_KEYS, RULE_OVERRIDABLE),
        "additionalProperties": false,
        "allOf": all,
    })
}

/// All that means no.
fn refusals() -> Vec<Value> {
    let words = ["n", "no", "false", "off"].into_iter().flat_map(spellings);
    words.map(Value::from).chain([Value::Bool(false)]).collect()
}

fn properties(kind: &str, keys: &[&str], overridable: Overridable) -> Value {
    let property = |key: &&str| {
        let shape = match *key {
            "override" => operations(overridable),
            key if key == kind => json!({"$ref": "#/$defs/name"}),
            key => json!({"$ref": format!("#/$defs/{}", shape(key))}),
        };
        let shape = match *key {
            "exceptions" => json!({"type": "array", "items": shape}),
            _ => shape,
        };
        ((*key).to_owned(), shape)
    };
    Value::Object(keys.iter().map(property).collect())
}

/// The definition that the value of a key has.
fn shape(key: &str) -> &'static str {
    match key {
        "append" | "enabled" | "warn_evttypes" | "skip-if-unknown-filter" | "capture" => "flag",
        "items" | "tags" => "texts",
        "priority" => "priority",
        "capture_duration" => "milliseconds",
        "exceptions" => "exception",
        _ => "text",
    }
}

/// The value of `override`.
fn operations(overridable: Overridable) -> Value {
    let property = |key: &&str| {
        let append = overridable.append.contains(key).then_some("append");
        let operations: Vec<_> = append.into_iter().chain(["replace"]).collect();
        ((*key).to_owned(), json!({"enum": operations}))
    };
    let properties: Map<String, Value> = overridable.replace.iter().map(property).collect();
    json!({"type": "object", "properties": properties, "additionalProperties": false})
}

/// With `override`, a key is given if and only if it is named there.
fn overrides(overridable: Overridable) -> Vec<Value> {
    let named = |key: &str| json!({"properties": {"override": {"required": [key]}}});
    let both = |key: &&str| {
        json!({
            "if": {"required": ["override"]},
            "then": {
                "if": {"required": [key]},
                "then": named(key),
                "else": {"not": named(key)},
            },
        })
    };
    let mut all: Vec<Value> = overridable.replace.iter().map(both).collect();
    all.push(json!({
        "if": {"required": ["override"]},
        "then": {"properties": {"append": {"enum": refusals()}}},
    }));
    all
}
