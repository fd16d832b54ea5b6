//! What a case is: a technique as shell, the rule that shall fire on it, and the alerts that prove
//! that it was seen.
//!
//! A case's texts may name its folder (`$D`), the folder of the programs (`$P`) and the container
//! (`$BOX`). Its folder has the files `secret` and `benign` before the daemon starts.

/// One way to hide, and how it is found out whether it worked.
pub(crate) struct Case {
    /// Row of the list of techniques, 1 to [`ROWS`], or [`BEYOND`].
    pub(crate) row: u8,
    /// Name of the case, of its rule and of its folder.
    pub(crate) name: &'static str,
    /// What is tried, for the table.
    pub(crate) technique: &'static str,
    /// Condition of its rule.
    pub(crate) condition: &'static str,
    /// Shell that runs before the daemon starts.
    pub(crate) prepare: &'static str,
    /// Shell that does nearly the same, of which the rule says nothing.
    pub(crate) twin: &'static str,
    /// Shell that does it. A line `fact NAME VALUE` of its output is used below; status 77 says
    /// that this kernel does not have what is tried.
    pub(crate) act: &'static str,
    /// Alerts that must come of it, all of them.
    pub(crate) seen: &'static [Seen],
    /// Whether the case may take the daemon away from others.
    pub(crate) place: Place,
}

/// How many rows there are.
pub(crate) const ROWS: u8 = 38;
/// Row of a technique that is not on the list.
pub(crate) const BEYOND: u8 = ROWS + 1;

/// Alerts of the case's rule, or of one of the daemon's own.
pub(crate) struct Seen {
    /// Name of that rule; empty for the case's.
    pub(crate) rule: &'static str,
    /// Fields that they have, as text; `{NAME}` stands for a fact.
    pub(crate) fields: &'static [(&'static str, &'static str)],
    pub(crate) count: Count,
}

/// How many alerts with these fields.
pub(crate) enum Count {
    Some,
    /// As many as the fact of this name says, and that is not 0.
    Fact(&'static str),
    /// At least one, whose gap holds the time of the fact of this name, s since the epoch, and
    /// begins and ends not much before and after it.
    Gap(&'static str),
}

/// Which daemon watches the case.
#[derive(Clone, Copy, Eq, PartialEq)]
pub(crate) enum Place {
    /// One that watches many.
    Shared,
    /// One of its own, which it may end.
    Alone,
}

impl Case {
    /// What the cases' literals start from.
    pub(crate) const BASE: Self = Self {
        row: 0,
        name: "",
        technique: "",
        condition: "",
        prepare: "",
        twin: "",
        act: "",
        seen: &[],
        place: Place::Shared,
    };
}

/// At least one alert with these fields.
pub(crate) const fn some(fields: &'static [(&'static str, &'static str)]) -> Seen {
    Seen {
        rule: "",
        fields,
        count: Count::Some,
    }
}

/// At least one alert of one of the daemon's own rules.
pub(crate) const fn own(
    rule: &'static str,
    fields: &'static [(&'static str, &'static str)],
) -> Seen {
    Seen {
        rule,
        ..some(fields)
    }
}

/// As many alerts with these fields as the fact says.
pub(crate) const fn exactly(
    fact: &'static str,
    fields: &'static [(&'static str, &'static str)],
) -> Seen {
    Seen {
        rule: "",
        fields,
        count: Count::Fact(fact),
    }
}
