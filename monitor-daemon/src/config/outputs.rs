//! What the sections of outputs have in common.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde_yaml::{Mapping, Value};

use super::value::{NewestFirst, PriorityName};
use crate::output::{Secret, Selection, TlsFiles};

/// Longest name of an output: it becomes a label of metrics.
const NAME_MAX: usize = 32;

/// Outputs by name, or what is wrong with one of them.
pub(super) fn check<R, T>(
    section: &str,
    raw: BTreeMap<String, R>,
    into: impl Fn(R) -> Result<T, &'static str>,
) -> Result<BTreeMap<String, T>, String> {
    let checked = raw.into_iter().map(|(name, raw)| {
        let valid = |letter: char| matches!(letter, 'a'..='z' | '0'..='9' | '-' | '_');
        if name.is_empty() || name.len() > NAME_MAX || !name.chars().all(valid) {
            return Err(format!(
                "`{section}` has the name `{name}`: give one of small letters, digits, `-` and \
                 `_`, {NAME_MAX} at most"
            ));
        }
        match into(raw) {
            Ok(output) => Ok((name, output)),
            Err(problem) => Err(format!("`{section}.{name}` {problem}")),
        }
    });
    checked.collect()
}

/// Outputs as they are written in a configuration.
pub(super) fn to_yaml<T>(
    outputs: &BTreeMap<String, T>,
    keys: &(impl Iterator<Item = &'static str> + Clone),
    value: impl Fn(&T, &str) -> Value,
) -> Value {
    let sections = outputs.iter().map(|(name, output)| {
        let keys = keys.clone().map(|key| (key.into(), value(output, key)));
        (name.as_str().into(), keys.collect::<Mapping>().into())
    });
    sections.collect::<Mapping>().into()
}

/// Which alerts an output gets, and in which order.
pub(super) fn selection(
    priority: Option<PriorityName>,
    tags: Vec<String>,
    rules: Vec<String>,
    newest_first: Option<NewestFirst>,
) -> Selection {
    Selection {
        priority: priority.map_or(Selection::default().priority, |name| name.0),
        tags,
        rules,
        newest_first: newest_first.unwrap_or_default().0,
    }
}

/// A certificate with its key, or neither.
pub(super) fn identity(
    certificate: Option<PathBuf>,
    key: Option<PathBuf>,
) -> Result<Option<(PathBuf, PathBuf)>, &'static str> {
    match (certificate, key) {
        (None, None) => Ok(None),
        (Some(certificate), Some(key)) => Ok(Some((certificate, key))),
        _ => Err("has one of `tls_certificate` and `tls_key`: give both, or none"),
    }
}

/// A user with a password, or neither.
pub(super) fn user(
    user: Option<String>,
    password: Option<Secret>,
) -> Result<Option<(String, Secret)>, &'static str> {
    match (user, password) {
        (None, None) => Ok(None),
        (Some(user), Some(password)) => Ok(Some((user, password))),
        _ => Err("has one of `user` and `password`: give both, or none"),
    }
}

/// The value of a key for TLS, or for which alerts an output gets; nothing for other keys.
pub(super) fn value(tls: &TlsFiles, selection: &Selection, key: &str) -> Option<Value> {
    let identity = tls.identity.as_ref();
    let value = match key {
        "tls_ca" => path(tls.ca.as_ref()),
        "tls_certificate" => path(identity.map(|(certificate, _)| certificate)),
        "tls_key" => path(identity.map(|(_, key)| key)),
        _ => return selected(selection, key),
    };
    Some(value)
}

/// The value of a key for which alerts an output gets; nothing for other keys.
pub(super) fn selected(selection: &Selection, key: &str) -> Option<Value> {
    let value = match key {
        "priority" => selection.priority.to_string().to_lowercase().into(),
        "tags" => texts(&selection.tags),
        "rules" => texts(&selection.rules),
        "newest_first" => NewestFirst(selection.newest_first).name().into(),
        _ => return None,
    };
    Some(value)
}

fn texts(texts: &[String]) -> Value {
    let texts = texts.iter();
    texts.map(|text| Value::from(text.as_str())).collect()
}

pub(super) fn path(path: Option<&PathBuf>) -> Value {
    path.map_or(Value::Null, |path| path.to_string_lossy().into())
}
