//! What is written about the configuration, made from [`KEYS`]: the reference and a file to start
//! from.

use std::fmt::Write as _;

use serde_yaml::Value;

use super::{Config, DEFAULT_PATH, KEYS, Key};

/// The reference, as Markdown.
pub fn markdown() -> String {
    let mut text = format!(
        "# Configuration\n\n\
         <!-- Made by `monitor-daemon reference configuration`; do not edit. -->\n\n\
         One YAML file, `{DEFAULT_PATH}` unless `--config` names another, and after it every \
         `*.yaml` and `*.yml` of the folder `conf.d` beside it, in order of name. Later files win \
         key by key; lists are replaced, not joined. Every key may be left out, and so may every \
         file. An unknown key is an error that names the nearest valid one.\n\n\
         `monitor-daemon config` prints what is in effect.\n\n\
         | Key | Values | Default | Meaning |\n|---|---|---|---|\n"
    );
    let default = Config::default();
    for Key {
        name,
        values,
        meaning,
    } in KEYS
    {
        let default = match default.value(name) {
            Value::Null => "none".to_owned(),
            value => format!("`{}`", inline(&value)),
        };
        let _ = writeln!(text, "| `{name}` | {values} | {default} | {meaning} |");
    }
    text.push_str(
        "\nA dotted name is a key in a section:\n\n\
         ```yaml\nalerts:\n  file: /var/log/monitor/alerts.jsonl\n```\n",
    );
    text
}

/// A configuration file that says nothing: every key commented out, with its default.
pub fn commented() -> String {
    let mut text = String::from(
        "# Configuration of monitor-daemon. All keys are shown with their defaults, commented out.\n\
         # Files in conf.d beside this one are read after it, in order of name; later ones win.\n\
         # `monitor-daemon config` prints what is in effect.\n",
    );
    let default = Config::default();
    let mut open: Vec<&str> = Vec::new();
    for key in KEYS {
        let mut parts: Vec<&str> = key.name.split('.').collect();
        let name = parts.pop().unwrap_or_default();
        text.push('\n');
        for (depth, section) in parts.iter().enumerate() {
            if open.get(depth) != Some(section) {
                let _ = writeln!(text, "#{:1$}{section}:", "", 2 * depth);
                open.truncate(depth);
                open.push(section);
            }
        }
        open.truncate(parts.len());
        let indent = " ".repeat(2 * parts.len());
        for line in wrap(key.meaning) {
            let _ = writeln!(text, "#{indent} {line}");
        }
        let _ = writeln!(text, "#{indent} Values: {}", key.values.replace('`', ""));
        let value = inline(&default.value(key.name));
        let _ = writeln!(text, "#{indent}{name}: {value}");
    }
    text
}

/// A value on one line.
fn inline(value: &Value) -> String {
    match value {
        Value::Sequence(items) => {
            let items: Vec<String> = items.iter().map(inline).collect();
            format!("[{}]", items.join(", "))
        }
        value => serde_yaml::to_string(value)
            .unwrap_or_default()
            .trim_end()
            .to_owned(),
    }
}

fn wrap(text: &str) -> Vec<String> {
    const WIDTH: usize = 90;
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        match lines.last_mut() {
            Some(line) if line.is_empty() => line.push_str(word),
            Some(line) if line.len() + word.len() < WIDTH => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}
