//! What nobody else is to read is taken out: values of keys that are named like secrets, headers of
//! requests, names and passwords in addresses, and all behind an address's `?`. A file's path is no
//! secret, so keys that end in `file` or `path` keep theirs. What servers said to alerts goes, too: it
//! may quote them.

use serde_yaml::Value;

/// What stands in the place of a secret.
pub(super) const REMOVED: &str = "REMOVED";

/// Parts of names of keys.
const NAMES: [&str; 8] = [
    "password",
    "passwd",
    "secret",
    "token",
    "credential",
    "api_key",
    "apikey",
    "authorization",
];

/// Takes secrets out of a configuration.
pub(super) fn remove(value: &mut Value) {
    match value {
        Value::Mapping(mapping) => {
            for (key, value) in mapping.iter_mut() {
                let key = key.as_str().unwrap_or_default().to_lowercase();
                let path = key.ends_with("file") || key.ends_with("path");
                let secret = !path && NAMES.iter().any(|name| key.contains(name));
                if secret || key == "headers" {
                    blank(value);
                } else {
                    remove(value);
                }
            }
        }
        Value::Sequence(items) => items.iter_mut().for_each(remove),
        Value::String(text) => *text = without_secrets(text),
        _ => {}
    }
}

/// Blanks all values below a key; their names stay.
fn blank(value: &mut Value) {
    match value {
        Value::Null => {}
        Value::Mapping(mapping) => mapping.values_mut().for_each(blank),
        _ => *value = REMOVED.into(),
    }
}

/// `https://me:word@host/in?key=a` as `https://REMOVED@host/in?REMOVED`, wherever it stands in a text.
pub(super) fn without_secrets(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, behind)) = rest.split_once("://") {
        shown.push_str(before);
        shown.push_str("://");
        let end = |text: &str, signs: &str| {
            let ends = |sign: char| sign.is_whitespace() || signs.contains(sign);
            text.find(ends).unwrap_or(text.len())
        };
        let (authority, further) = behind.split_at(end(behind, "/?#\"'`<>"));
        match authority.rsplit_once('@') {
            Some((_, host)) => {
                shown.push_str(REMOVED);
                shown.push('@');
                shown.push_str(host);
            }
            None => shown.push_str(authority),
        }
        let (path, further) = further.split_at(end(further, "?#\"'`<>"));
        shown.push_str(path);
        rest = further;
        if further.starts_with(['?', '#']) {
            shown.push('?');
            shown.push_str(REMOVED);
            rest = further.split_at(end(further, "\"'`<>")).1;
        }
    }
    shown.push_str(rest);
    shown
}

/// What stands before words of a server, as the outputs tell them.
const ANSWERS: [&str; 3] = [
    "the server answered ",
    "the server took all but ",
    "that is no answer of `_bulk`",
];

/// Log lines without what servers said to alerts; their status stays.
pub(super) fn without_answers(lines: &str) -> String {
    lines.lines().fold(String::new(), |mut shown, line| {
        let told = ANSWERS.iter().filter_map(|start| line.find(start)).min();
        let said = told.and_then(|at| Some(at + line.get(at..)?.find(": ")? + 2));
        match said.and_then(|at| line.get(..at)) {
            Some(kept) => {
                shown.push_str(kept);
                shown.push_str(REMOVED);
            }
            None => shown.push_str(line),
        }
        shown.push('\n');
        shown
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_named_like_secrets_go_and_all_else_stays() {
        let text = "\
alerts:
  http:
    url: https://me:word@collector:8088/services
    token: abc
    token_file: /etc/monitor/token
    headers: {Authorization: Basic eA==, X-Team: a}
    sasl: {username: u, Password: p}
  outputs:
    - {api_key: k, name: n}
static_fields: {site: west, ClientSecret: s}
hostname: null
";
        let expected = "\
alerts:
  http:
    url: https://REMOVED@collector:8088/services
    token: REMOVED
    token_file: /etc/monitor/token
    headers: {Authorization: REMOVED, X-Team: REMOVED}
    sasl: {username: u, Password: REMOVED}
  outputs:
    - {api_key: REMOVED, name: n}
static_fields: {site: west, ClientSecret: REMOVED}
hostname: null
";
        let mut value: Value = serde_yaml::from_str(text).unwrap();
        remove(&mut value);
        assert_eq!(value, serde_yaml::from_str::<Value>(expected).unwrap());
    }

    #[test]
    fn names_and_passwords_in_addresses_go() {
        for (text, expected) in [
            ("nats://u:p@a:1,nats://b:2", "nats://REMOVED@b:2"),
            (
                "cannot reach `http://u:p@h/x`: no",
                "cannot reach `http://REMOVED@h/x`: no",
            ),
            ("see https://h/a@b and a@b.c", "see https://h/a@b and a@b.c"),
            ("http://t@", "http://REMOVED@"),
            ("://", "://"),
            (
                "url: 'https://h/logs?dd-api-key=u:p&b=/c' is https://h?k=u:p next",
                "url: 'https://h/logs?REMOVED' is https://h?REMOVED next",
            ),
            ("why? http://h/a why?", "why? http://h/a why?"),
        ] {
            // A list is one authority up to its last `@`: rather too little is shown.
            let shown = without_secrets(text);
            assert!(!shown.contains("u:p"), "{shown}");
            if !text.contains(',') {
                assert_eq!(shown, expected);
            }
        }
    }
}
