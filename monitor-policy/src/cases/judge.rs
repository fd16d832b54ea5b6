//! What came of a case.

use super::{Case, Silent};
use crate::policy::{Policy, Rule, Scratch};

/// Something that is not as a case expects.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Mismatch {
    /// A rule had to fire and did not.
    Silent {
        /// Its name.
        rule: String,
        /// Whether that is because it is disabled.
        disabled: bool,
    },
    /// A rule must not fire and did.
    Fired {
        /// Its name.
        rule: String,
    },
    /// A rule printed something else.
    Output {
        /// Its name.
        rule: String,
        /// What it had to print.
        expected: String,
        /// What it printed.
        printed: String,
    },
}

impl Case {
    /// What is not as expected; empty when all is well.
    pub fn judge(&self, policy: &Policy, scratch: &mut Scratch) -> Vec<Mismatch> {
        let matches = policy.evaluate(&self.event, scratch);
        let fired: Vec<(&Rule, String)> = matches
            .iter()
            .filter_map(|found| {
                let rule = policy.rules().get(found.rule)?;
                let output = policy.format(found.rule, &self.event, found.view);
                Some((rule, output.text))
            })
            .collect();
        let output_of = |name: &str| {
            let mut outputs = fired.iter().filter(|(rule, _)| rule.name == name);
            outputs.next().map(|(_, output)| output)
        };
        let mut mismatches = Vec::new();
        for rule in &self.fires {
            let Some(printed) = output_of(rule) else {
                mismatches.push(silent(policy, rule));
                continue;
            };
            let expected = self.output.as_ref().filter(|output| *output != printed);
            mismatches.extend(expected.map(|expected| Mismatch::Output {
                rule: rule.clone(),
                expected: expected.clone(),
                printed: printed.clone(),
            }));
        }
        let forbidden = |name: &String| match &self.silent {
            Silent::All => true,
            Silent::These(rules) => rules.contains(name),
        };
        let wrong = fired.iter().filter(|(rule, _)| forbidden(&rule.name));
        mismatches.extend(wrong.map(|(rule, _)| Mismatch::Fired {
            rule: rule.name.clone(),
        }));
        mismatches
    }
}

fn silent(policy: &Policy, name: &str) -> Mismatch {
    let mut rules = policy.rules().iter();
    Mismatch::Silent {
        rule: name.to_owned(),
        disabled: rules.any(|rule| rule.name == name && !rule.enabled),
    }
}
