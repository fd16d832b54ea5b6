//! How severe a rule is.

use std::fmt;

/// Severity of a rule. Orders by severity number: `Emergency` is least, `Debug` greatest.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Priority {
    /// The system is unusable.
    Emergency,
    /// Act at once.
    Alert,
    /// Critical.
    Critical,
    /// An error.
    Error,
    /// A warning.
    Warning,
    /// Normal but notable.
    Notice,
    /// For information.
    Informational,
    /// For debugging rules.
    Debug,
}

impl Priority {
    /// All priorities, most severe first.
    pub const ALL: [Self; 8] = [
        Self::Emergency,
        Self::Alert,
        Self::Critical,
        Self::Error,
        Self::Warning,
        Self::Notice,
        Self::Informational,
        Self::Debug,
    ];

    /// The priority with this name, in any case; `info` is short for `informational`.
    pub fn from_name(name: &str) -> Option<Self> {
        if name.eq_ignore_ascii_case("info") {
            return Some(Self::Informational);
        }
        Self::ALL
            .into_iter()
            .find(|priority| priority.name().eq_ignore_ascii_case(name))
    }

    /// The name as alerts print it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Emergency => "Emergency",
            Self::Alert => "Alert",
            Self::Critical => "Critical",
            Self::Error => "Error",
            Self::Warning => "Warning",
            Self::Notice => "Notice",
            Self::Informational => "Informational",
            Self::Debug => "Debug",
        }
    }
}

impl fmt::Display for Priority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_in_any_case() {
        let check = |name, expected| assert_eq!(Priority::from_name(name), expected, "{name}");
        check("WARNING", Some(Priority::Warning));
        check("info", Some(Priority::Informational));
        check("Informational", Some(Priority::Informational));
        check("emergency", Some(Priority::Emergency));
        check("severe", None);
        check("", None);
        assert!(Priority::Emergency < Priority::Debug);
    }
}
