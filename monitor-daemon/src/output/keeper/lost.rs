//! Alerts that are gone before an output got them, and the alert that tells of it.

use std::sync::Arc;

use monitor_policy::Priority;

use super::super::alert::{Alert, INTERNAL, OWN_TAG};
use super::super::feed::Output;
use crate::alert_log::Entry;

/// Name of the alert that tells of alerts lost.
pub(in super::super) const RULE: &str = "Monitor internal: alerts were lost";

/// Alerts that an output did not get.
#[derive(Clone, Debug, Default)]
pub(in super::super) struct Lost {
    pub(in super::super) alerts: u64,
    /// The lowest and the highest of their numbers.
    pub(in super::super) range: Option<(u64, u64)>,
}

impl Lost {
    /// Adds what was removed and is for the output, behind the number which that has; how many
    /// these are.
    pub(super) fn add(&mut self, removed: &[Entry], output: &Output) -> u64 {
        let before = self.alerts;
        let missed = |entry: &&Entry| output.lacks(entry);
        for Entry { sequence, .. } in removed.iter().filter(missed) {
            self.count(1, (*sequence, *sequence));
        }
        self.alerts - before
    }

    /// Adds so many, with numbers of this range.
    pub(in super::super) fn count(&mut self, alerts: u64, (first, last): (u64, u64)) {
        self.alerts += alerts;
        let (lowest, highest) = self.range.unwrap_or((first, last));
        self.range = Some((lowest.min(first), highest.max(last)));
    }

    /// Tells `why`, which is the alert's text up to its figures.
    pub(in super::super) fn alert(
        &self,
        why: &str,
        output: &str,
        time: u64,
        hostname: &Arc<str>,
    ) -> Alert {
        let (first, last) = self.range.unwrap_or_default();
        let fields = [
            ("log.output", output.into()),
            ("log.lost", self.alerts.into()),
            ("log.first", first.into()),
            ("log.last", last.into()),
        ];
        Alert {
            rule: RULE.into(),
            priority: Priority::Critical,
            source: INTERNAL.into(),
            tags: [OWN_TAG.to_owned()].into(),
            time,
            hostname: Arc::clone(hostname),
            output: format!(
                "{why} | output={output} lost={} first={first} last={last}",
                self.alerts
            ),
            fields: fields.map(|(name, value)| (name.to_owned(), value)).into(),
        }
    }
}
