//! The alert that tells of those which were only counted. It is an alert of the same rule, so that
//! whatever handles alerts handles it; fields below `rollup` make it known.

use serde_json::Value;

use super::Reason;
use super::rule::Window;
use crate::output::{Alert, rfc3339};

/// What there is to tell of a window.
pub(super) fn of(window: Window) -> Option<Alert> {
    let Window {
        of,
        reason,
        first,
        last,
        count,
        sample,
        ..
    } = window;
    let mut alert = *sample?;
    if reason == Reason::Budget {
        only_of_the_container(&mut alert);
    }
    let told = format!(
        "again={count} first={} last={} uuid={of}",
        rfc3339(first),
        rfc3339(last)
    );
    let separator = if alert.output.contains(" | ") {
        " "
    } else {
        " | "
    };
    alert.output = format!("{}{separator}{told}", alert.output);
    alert.time = last;
    alert.fields.extend(
        [
            ("rollup.count", Value::from(count)),
            ("rollup.reason", reason.name().into()),
            ("rollup.first", first.into()),
            ("rollup.last", last.into()),
            ("rollup.uuid", of.to_string().into()),
        ]
        .map(|(name, value)| (name.to_owned(), value)),
    );
    Some(alert)
}

/// What one of different alerts says is not true of the others, but for where they happened.
fn only_of_the_container(alert: &mut Alert) {
    let shared = |name: &str| name.starts_with("container.") || name.starts_with("k8s.");
    alert.fields.retain(|(name, _)| shared(name));
    let id = alert.field("container.id").and_then(Value::as_str);
    alert.output = format!(
        "More alerts of the rule than its budget allows | container_id={}",
        id.unwrap_or("<NA>")
    );
}
