//! A rule's priority in the words of each format.

use monitor_policy::Priority;

/// What a priority is elsewhere.
#[derive(Clone, Copy, Debug)]
pub(super) struct Severity {
    /// `event.severity` of ECS: the risk that Elastic gives low, medium, high and critical.
    pub(super) ecs: u8,
    /// `severity_id` of OCSF, and its name.
    pub(super) ocsf: (u8, &'static str),
    /// Severity of CEF, 0 to 10.
    pub(super) cef: u8,
}

impl Severity {
    pub(super) const fn of(priority: Priority) -> Self {
        let (ecs, ocsf, cef) = match priority {
            Priority::Emergency => (99, (6, "Fatal"), 10),
            Priority::Alert => (99, (5, "Critical"), 10),
            Priority::Critical => (99, (5, "Critical"), 9),
            Priority::Error => (73, (4, "High"), 7),
            Priority::Warning => (47, (3, "Medium"), 5),
            Priority::Notice => (21, (2, "Low"), 3),
            Priority::Informational => (1, (1, "Informational"), 1),
            Priority::Debug => (0, (1, "Informational"), 0),
        };
        Self { ecs, ocsf, cef }
    }
}
