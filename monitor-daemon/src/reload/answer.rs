//! What came of a request for new rules: one line of JSON on the control socket, text for people.

use std::fmt::Write as _;

use serde::{Deserialize, Serialize};

/// Most names of a kind that are told; the counts are of all.
const NAMES_MAX: usize = 1000;
/// Most names of a kind that people are shown.
const NAMES_SHOWN: usize = 20;

/// What came of it.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// The new rules are in force.
    Loaded,
    /// They are the ones that were in force.
    Unchanged,
    /// They are not taken, and the old ones stay in force.
    Refused,
}

impl Outcome {
    /// As metrics and answers have it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Loaded => "loaded",
            Self::Unchanged => "unchanged",
            Self::Refused => "refused",
        }
    }
}

/// Whose fault a refusal is.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Cause {
    /// A rules file's.
    Policy,
    /// The configuration's.
    Configuration,
    /// This machine's: a file that cannot be read, an event that the kernel does not provide.
    Machine,
}

/// Why new rules are not taken.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Refusal {
    /// Whose fault it is.
    pub cause: Cause,
    /// What is wrong and where, as `check` prints it; one or more lines.
    pub text: String,
}

/// The answer to a request.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Answer {
    /// What came of it.
    pub result: Outcome,
    /// Whose fault it is when it was refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<Cause>,
    /// Rules in force now.
    pub rules: u64,
    /// SHA-256 of the files in force, see [`super::Candidate::checksum`].
    pub checksum: String,
    /// Rules that were not there before.
    pub added: Names,
    /// Rules that are not there any more.
    pub removed: Names,
    /// Rules that are other than before, because of their macros and lists too.
    pub changed: Names,
    /// Keys of the configuration that have changed and take effect at the next start only.
    pub needs_restart: Vec<String>,
    /// Errors and warnings.
    pub diagnostics: String,
}

/// Names of rules.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct Names {
    /// How many there are.
    pub count: u64,
    /// The first of them.
    pub names: Vec<String>,
}

impl FromIterator<String> for Names {
    fn from_iter<I: IntoIterator<Item = String>>(all: I) -> Self {
        let mut names = Self::default();
        for name in all {
            names.count += 1;
            if names.names.len() < NAMES_MAX {
                names.names.push(name);
            }
        }
        names
    }
}

impl Answer {
    /// For people, with an end of line.
    pub fn text(&self) -> String {
        let mut text = self.diagnostics.clone();
        if !text.is_empty() && !text.ends_with('\n') {
            text.push('\n');
        }
        for (what, names) in [
            ("added", &self.added),
            ("removed", &self.removed),
            ("changed", &self.changed),
        ] {
            for name in names.names.iter().take(NAMES_SHOWN) {
                let _ = writeln!(text, "{what}: {name}");
            }
            let more = names.count.saturating_sub(NAMES_SHOWN as u64);
            if more > 0 {
                let _ = writeln!(text, "{what}: {more} more");
            }
        }
        if !self.needs_restart.is_empty() {
            let keys = self.needs_restart.join(", ");
            let _ = writeln!(text, "takes effect at the next start only: {keys}");
        }
        text + &self.line() + "\n"
    }

    /// The essence.
    pub fn line(&self) -> String {
        match self.result {
            Outcome::Loaded => format!(
                "loaded: {} rules in force ({} added, {} removed, {} changed)",
                self.rules, self.added.count, self.removed.count, self.changed.count
            ),
            Outcome::Unchanged => format!("unchanged: {} rules in force", self.rules),
            Outcome::Refused => {
                format!(
                    "refused: the {} rules from before stay in force",
                    self.rules
                )
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(result: Outcome) -> Answer {
        Answer {
            result,
            cause: None,
            rules: 7,
            checksum: "ab".to_owned(),
            added: ["a".to_owned()].into_iter().collect(),
            removed: Names::default(),
            changed: (0..2000).map(|number| format!("r{number}")).collect(),
            needs_restart: vec!["alerts.file".to_owned()],
            diagnostics: "r.yaml: careful".to_owned(),
        }
    }

    #[test]
    fn people_are_shown_the_first_names_and_how_many_more() {
        let loaded = answer(Outcome::Loaded);
        let text = loaded.text();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[..3], ["r.yaml: careful", "added: a", "changed: r0"]);
        assert_eq!(
            lines[22..],
            [
                "changed: 1980 more",
                "takes effect at the next start only: alerts.file",
                "loaded: 7 rules in force (1 added, 0 removed, 2000 changed)"
            ]
        );
        assert_eq!(loaded.changed.names.len(), NAMES_MAX);
    }

    #[test]
    fn programs_read_what_was_written_and_old_answers_too() {
        let refused = Answer {
            cause: Some(Cause::Policy),
            ..answer(Outcome::Refused)
        };
        for answer in [refused, answer(Outcome::Unchanged)] {
            let text = serde_json::to_string(&answer).unwrap();
            assert!(!text.contains('\n'));
            assert_eq!(serde_json::from_str::<Answer>(&text).unwrap(), answer);
            assert!(text.contains(&format!("\"result\":\"{}\"", answer.result.name())));
        }
    }
}
