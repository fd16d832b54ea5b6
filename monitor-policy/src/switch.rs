//! Switching rules on and off from outside of their files.

use std::collections::BTreeSet;

use crate::matching::{Case, Glob};

/// Switches rules. Of several that concern a rule the last decides.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Switch {
    /// On or off.
    pub enabled: bool,
    /// Which rules.
    pub rules: Selected,
}

/// Some rules.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Selected {
    /// Those of this name, in which `*` stands for anything.
    Named(String),
    /// Those that have this tag.
    Tagged(String),
}

impl Selected {
    fn has(&self, name: &str, tags: &BTreeSet<String>) -> bool {
        match self {
            Self::Tagged(tag) => tags.contains(tag),
            Self::Named(pattern) => is_named(pattern, name),
        }
    }
}

/// Whether `pattern`, in which `*` stands for anything, is the name of a rule.
pub fn is_named(pattern: &str, name: &str) -> bool {
    if !pattern.contains('*') {
        return pattern == name;
    }
    // Only the star is special here.
    let plain = |c: char| {
        matches!(c, '\\' | '?' | '[')
            .then_some('\\')
            .into_iter()
            .chain([c])
    };
    let escaped: String = pattern.chars().flat_map(plain).collect();
    Glob::new(escaped.as_bytes(), Case::Sensitive).matches(name.as_bytes())
}

/// Whether a rule is on, when its file says `enabled`.
pub(crate) fn is_enabled(
    enabled: bool,
    name: &str,
    tags: &BTreeSet<String>,
    switches: &[Switch],
) -> bool {
    let last = switches.iter().rfind(|switch| switch.rules.has(name, tags));
    last.map_or(enabled, |switch| switch.enabled)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_that_concerns_a_rule_decides() {
        let named = |enabled, name: &str| Switch {
            enabled,
            rules: Selected::Named(name.to_owned()),
        };
        let tagged = |enabled, tag: &str| Switch {
            enabled,
            rules: Selected::Tagged(tag.to_owned()),
        };
        let check = |switches: &[Switch], expected: bool| {
            let tags = ["net".to_owned(), "T1".to_owned()].into();
            let found = is_enabled(true, "Read [x] file", &tags, switches);
            assert_eq!(found, expected, "{switches:?}");
        };
        check(&[], true);
        check(&[named(false, "Read [x] file")], false);
        check(&[named(false, "Read")], true);
        check(&[named(false, "Read*")], false);
        check(&[named(false, "*[x]*")], false);
        check(&[named(false, "*[abc]*")], true);
        check(&[named(false, "Read ?x? *")], true);
        check(&[named(false, "*")], false);
        check(&[tagged(false, "net")], false);
        check(&[tagged(false, "ne")], true);
        check(&[named(false, "*"), tagged(true, "T1")], true);
        check(&[tagged(true, "T1"), named(false, "*")], false);
    }
}
