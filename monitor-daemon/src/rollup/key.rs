//! What makes two alerts of a rule say the same: their container and the fields of their output,
//! but for those that differ each time, as the number of a process does.

use std::hash::{BuildHasher as _, Hash as _, Hasher as _, RandomState};

use crate::output::Alert;

/// Makes keys of alerts.
pub(super) struct Keys<'a> {
    pub(super) hasher: &'a RandomState,
    pub(super) ignored: &'a [String],
}

impl Keys<'_> {
    /// The same for alerts of one rule that say the same.
    pub(super) fn of(&self, alert: &Alert, container: Option<&str>) -> u64 {
        let mut hasher = self.hasher.build_hasher();
        ("alert", container).hash(&mut hasher);
        let fields = alert.fields.iter();
        for field in fields.filter(|(name, _)| !self.ignores(name)) {
            field.hash(&mut hasher);
        }
        hasher.finish()
    }

    /// The same for all alerts of one rule and container.
    pub(super) fn of_container(&self, container: Option<&str>) -> u64 {
        self.hasher.hash_one(("container", container))
    }

    fn ignores(&self, field: &str) -> bool {
        let below = |ignored: &String| {
            let rest = field.strip_prefix(ignored.as_str());
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
        };
        self.ignored.iter().any(below)
    }
}
