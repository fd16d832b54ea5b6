//! Alerts that are gone before an output got them, and the alert that tells of it.

use std::sync::Arc;

use monitor_policy::Priority;
use serde_json::Value;

use super::super::alert::{Alert, INTERNAL, OWN_TAG};
use crate::alert_log::LogError;

/// Name of the alert that tells of alerts lost.
pub(in super::super) const RULE: &str = "Monitor internal: alerts were lost";

/// In the place of an output's name, where it is the alert log that has not got alerts.
pub(super) const LOG: &str = "alert log";

/// What an output will never get.
#[derive(Debug, Default)]
pub(in super::super) struct Untold {
    /// Its server did not take these.
    pub(in super::super) refused: Lost,
    /// For these there was no room on their way.
    pub(in super::super) no_room: Lost,
}

/// Alerts that an output did not get.
#[derive(Clone, Debug, Default)]
pub(in super::super) struct Lost {
    pub(in super::super) alerts: u64,
    /// The lowest and the highest of their numbers.
    pub(in super::super) range: Option<(u64, u64)>,
}

impl Lost {
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
        let text = format!(
            "{why} | output={output} lost={} first={first} last={last}",
            self.alerts
        );
        let figures = [self.alerts, first, last].map(Value::from);
        alert(text, output, figures, time, hostname)
    }
}

/// Tells of a log that nobody can read any more: what of it outputs had not got is lost, and how many
/// these are was in it alone.
pub(super) fn beyond_reading(damage: &LogError, time: u64, hostname: &Arc<str>) -> Alert {
    let text = format!("What outputs had not got yet is lost, nobody can tell how much: {damage}");
    let unknown = [Value::Null, Value::Null, Value::Null];
    alert(text, LOG, unknown, time, hostname)
}

fn alert(
    text: String,
    output: &str,
    [lost, first, last]: [Value; 3],
    time: u64,
    hostname: &Arc<str>,
) -> Alert {
    let fields = [
        ("log.output", output.into()),
        ("log.lost", lost),
        ("log.first", first),
        ("log.last", last),
    ];
    Alert {
        rule: RULE.into(),
        priority: Priority::Critical,
        source: INTERNAL.into(),
        tags: [OWN_TAG.to_owned()].into(),
        time,
        hostname: Arc::clone(hostname),
        output: text,
        fields: fields.map(|(name, value)| (name.to_owned(), value)).into(),
    }
}
