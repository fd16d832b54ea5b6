//! Which alerts an output gets, and which of them first.

use monitor_policy::{Priority, is_named};

use super::Alert;

/// What an alert must have to be for an output. The default is every alert.
///
/// `tags` and `rules` choose among the rules' alerts: the daemon's own are for whoever relies on it,
/// as they say that some of those may be missing.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Selection {
    /// `priority`: it is at least this severe.
    pub priority: Priority,
    /// `tags`: it has one of these, if there are any.
    pub tags: Vec<String>,
    /// `rules`: its rule is one of these, if there are any; `*` stands for anything.
    pub rules: Vec<String>,
    /// `newest_first`: of a backlog, those at least this severe come first.
    pub newest_first: Option<Priority>,
}

impl Default for Selection {
    fn default() -> Self {
        Self {
            priority: Priority::Debug,
            tags: Vec::new(),
            rules: Vec::new(),
            newest_first: None,
        }
    }
}

impl Selection {
    /// Whether the output gets `alert`.
    pub fn takes(&self, alert: &Alert) -> bool {
        let tagged = || self.tags.iter().any(|tag| alert.tags.contains(tag));
        let named = || self.rules.iter().any(|rule| is_named(rule, &alert.rule));
        let chosen = || (self.tags.is_empty() || tagged()) && (self.rules.is_empty() || named());
        alert.priority <= self.priority && (alert.is_internal() || chosen())
    }
}

#[cfg(test)]
mod tests {
    use super::super::alert::tests::sample;
    use super::super::alert::{INTERNAL, OWN_TAG};
    use super::*;

    #[test]
    fn all_that_is_given_has_to_hold() {
        let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
        let check = |priority, tags: &[&str], rules: &[&str], expected| {
            let selection = Selection {
                priority,
                tags: texts(tags),
                rules: texts(rules),
                newest_first: None,
            };
            assert_eq!(selection.takes(&sample()), expected, "{selection:?}");
        };
        check(Priority::Debug, &[], &[], true);
        check(Priority::Warning, &["host", "other"], &["x", "Read*"], true);
        check(Priority::Error, &["host"], &["Read shadow"], false);
        check(Priority::Debug, &["network"], &[], false);
        check(Priority::Debug, &["host"], &["Read"], false);
    }

    #[test]
    fn the_daemons_own_are_left_out_by_priority_alone() {
        let own = Alert {
            source: INTERNAL.into(),
            tags: [OWN_TAG.to_owned()].into(),
            ..sample()
        };
        let check = |priority, expected| {
            let selection = Selection {
                priority,
                tags: vec!["network".to_owned()],
                rules: vec!["Another".to_owned()],
                newest_first: None,
            };
            assert_eq!(selection.takes(&own), expected, "{priority:?}");
        };
        check(Priority::Warning, true);
        check(Priority::Error, false);
    }
}
