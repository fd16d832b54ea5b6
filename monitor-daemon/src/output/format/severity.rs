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
    /// `severity_number` of OTLP, by its appendix on syslog.
    pub(super) otlp: u8,
}

impl Severity {
    pub(super) const fn of(priority: Priority) -> Self {
        let (ecs, ocsf, cef, otlp) = match priority {
            Priority::Emergency => (99, (6, "Fatal"), 10, 21),
            Priority::Alert => (99, (5, "Critical"), 10, 19),
            Priority::Critical => (99, (5, "Critical"), 9, 18),
            Priority::Error => (73, (4, "High"), 7, 17),
            Priority::Warning => (47, (3, "Medium"), 5, 13),
            Priority::Notice => (21, (2, "Low"), 3, 10),
            Priority::Informational => (1, (1, "Informational"), 1, 9),
            Priority::Debug => (0, (1, "Informational"), 0, 5),
        };
        Self {
            ecs,
            ocsf,
            cef,
            otlp,
        }
    }
}
