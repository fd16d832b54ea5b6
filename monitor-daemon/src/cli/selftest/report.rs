//! What is printed of a self-test.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::trials::Trial;

/// What became of a trial.
#[derive(Debug)]
pub(super) enum Outcome {
    Detected,
    Blind {
        reason: String,
        /// `doctor` says so, too.
        known: bool,
    },
    /// The host did not let it be done, so that nothing is known of it.
    Refused {
        reason: String,
    },
    NotTried {
        reason: String,
    },
}

impl Outcome {
    /// What should have been seen was not.
    pub(super) fn blind(reason: String) -> Self {
        let known = false;
        Self::Blind { reason, known }
    }

    fn name(&self) -> &'static str {
        match self {
            Self::Detected => "detected",
            Self::Blind { .. } => "blind",
            Self::Refused { .. } => "refused",
            Self::NotTried { .. } => "not tried",
        }
    }

    fn reason(&self) -> Option<&str> {
        match self {
            Self::Detected => None,
            Self::Blind { reason, .. } | Self::Refused { reason } | Self::NotTried { reason } => {
                Some(reason)
            }
        }
    }
}

/// A trial with its outcome.
#[derive(Debug)]
pub(super) struct Finding<'t> {
    pub(super) trial: &'t Trial,
    pub(super) outcome: Outcome,
}

/// How many have the outcome of this name.
pub(super) fn count(findings: &[Finding<'_>], outcome: &str) -> usize {
    let of = |finding: &&Finding<'_>| finding.outcome.name() == outcome;
    findings.iter().filter(of).count()
}

/// How many were not seen although `doctor` does not say so.
pub(super) fn unseen(findings: &[Finding<'_>]) -> usize {
    let outcomes = findings.iter().map(|finding| &finding.outcome);
    outcomes
        .filter(|outcome| matches!(outcome, Outcome::Blind { known: false, .. }))
        .count()
}

/// For people: a line for each trial, and the sums.
pub(super) fn text(findings: &[Finding<'_>]) -> String {
    let mut text = String::new();
    for Finding { trial, outcome } in findings {
        let _ = write!(
            text,
            "{:>2}  {:<18} {}",
            trial.row,
            trial.name,
            outcome.name()
        );
        if let Some(reason) = outcome.reason() {
            let _ = write!(text, ": {reason}");
        }
        text.push('\n');
    }
    let _ = writeln!(
        text,
        "{} detected, {} blind, {} refused, {} not tried",
        count(findings, "detected"),
        count(findings, "blind"),
        count(findings, "refused"),
        count(findings, "not tried")
    );
    text
}

/// The same for programs.
pub(super) fn json(findings: &[Finding<'_>]) -> Value {
    let cases: Vec<Value> = findings
        .iter()
        .map(|Finding { trial, outcome }| {
            json!({
                "row": trial.row,
                "name": trial.name,
                "technique": trial.technique,
                "outcome": outcome.name(),
                "reason": outcome.reason(),
            })
        })
        .collect();
    json!({
        "detected": count(findings, "detected"),
        "blind": count(findings, "blind"),
        "refused": count(findings, "refused"),
        "not_tried": count(findings, "not tried"),
        "cases": cases,
    })
}

#[cfg(test)]
mod tests {
    use super::super::trials::{Plan, Trial};
    use super::*;

    #[test]
    fn every_outcome_has_a_line_and_counts() {
        let trial = Trial {
            row: 3,
            name: "link",
            technique: "a link",
            plan: Plan::NotTried(""),
        };
        let reason = "no alert came".to_owned();
        let outcomes = [
            Outcome::Detected,
            Outcome::blind(reason.clone()),
            Outcome::Blind {
                reason: reason.clone(),
                known: true,
            },
            Outcome::Refused {
                reason: "not permitted".to_owned(),
            },
            Outcome::NotTried { reason },
        ];
        let findings: Vec<Finding<'_>> = outcomes
            .into_iter()
            .map(|outcome| Finding {
                trial: &trial,
                outcome,
            })
            .collect();
        assert_eq!(
            text(&findings),
            " 3  link               detected\n\
             \u{20}3  link               blind: no alert came\n\
             \u{20}3  link               blind: no alert came\n\
             \u{20}3  link               refused: not permitted\n\
             \u{20}3  link               not tried: no alert came\n\
             1 detected, 2 blind, 1 refused, 1 not tried\n"
        );
        assert_eq!(unseen(&findings), 1);
        let json = json(&findings);
        assert_eq!((&json["blind"], &json["refused"]), (&2.into(), &1.into()));
        assert_eq!(json["cases"][1]["reason"], "no alert came");
        assert_eq!(json["cases"][0]["reason"], Value::Null);
    }
}
