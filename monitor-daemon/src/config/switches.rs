//! `rules`: which rules are switched on or off, read and written down again.

use monitor_policy::{Selected, Switch};
use serde::Deserialize;
use serde_yaml::{Mapping, Value};

/// An entry of `rules`.
#[derive(Debug, Deserialize)]
#[serde(try_from = "RawPair")]
pub(super) struct RawSwitch(pub(super) Switch);

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields, expecting = "`enable` or `disable`")]
struct RawPair {
    enable: Option<RawSelected>,
    disable: Option<RawSelected>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields, expecting = "`rule` or `tag`")]
struct RawSelected {
    rule: Option<String>,
    tag: Option<String>,
}

impl TryFrom<RawPair> for RawSwitch {
    type Error = &'static str;

    fn try_from(raw: RawPair) -> Result<Self, Self::Error> {
        let (enabled, selected) = match (raw.enable, raw.disable) {
            (Some(selected), None) => (true, selected),
            (None, Some(selected)) => (false, selected),
            _ => return Err("expected one of `enable` and `disable`"),
        };
        let rules = match (selected.rule, selected.tag) {
            (Some(rule), None) => Selected::Named(rule),
            (None, Some(tag)) => Selected::Tagged(tag),
            _ => return Err("expected one of `rule` and `tag`"),
        };
        Ok(Self(Switch { enabled, rules }))
    }
}

/// The entries as they are written in a configuration.
pub(super) fn to_yaml(switches: &[Switch]) -> Value {
    let entry = |switch: &Switch| {
        let action = if switch.enabled { "enable" } else { "disable" };
        let (kind, text) = match &switch.rules {
            Selected::Named(name) => ("rule", name),
            Selected::Tagged(tag) => ("tag", tag),
        };
        let selected = Mapping::from_iter([(kind.into(), text.as_str().into())]);
        Value::from(Mapping::from_iter([(action.into(), selected.into())]))
    };
    switches.iter().map(entry).collect()
}
