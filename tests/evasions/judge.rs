//! What became of each case: the alerts between its fences against what it demands.

use std::collections::HashMap;

use anyhow::{Context as _, Result, bail, ensure};
use monitor_tests::daemon::{field, is_from};
use serde_json::Value;

use crate::case::{Case, Count, Seen};
use crate::script::{FENCE, Site};

/// Longest that a gap may have begun before the act, s: the daemon tells of its life every two, in
/// a guest that has to wait for its CPU every so often.
const GAP_EARLY: u64 = 30;
/// The rule of the daemon's own that tells of what was lost.
const LOST: &str = "Monitor internal: events lost";
/// Longest that it may go on behind it, s: until the daemon has started again, here or in a guest.
const GAP_LATE: u64 = 120;

/// What a run of a case shows.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Outcome {
    /// All alerts came, and none for the twin.
    Detected,
    /// Only a loss was told, with whose it is and of what kind.
    Counted,
    /// Something did not come.
    Blind { missing: String },
    /// The kernel has no such thing.
    Untried { reason: String },
}

impl Outcome {
    /// As the expectation names it.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Detected => "detected",
            Self::Counted => "counted",
            Self::Blind { .. } => "blind",
            Self::Untried { .. } => "untried",
        }
    }
}

/// All that a run left.
pub(crate) struct Evidence<'r> {
    site: Site<'r>,
    /// What the script printed.
    text: &'r str,
    /// Alerts behind the fence of this mark, as far as the next.
    behind: HashMap<String, Vec<Value>>,
}

impl<'r> Evidence<'r> {
    /// Sorts the alerts, one a line, by the fences between them.
    ///
    /// # Errors
    ///
    /// When a line is no JSON.
    pub(crate) fn gather(site: Site<'r>, text: &'r str, alerts: &str) -> Result<Self> {
        let mut behind: HashMap<String, Vec<Value>> = HashMap::new();
        let mut mark = String::new();
        for line in alerts.lines() {
            let alert: Value = serde_json::from_str(line).with_context(|| line.to_owned())?;
            if is_from(&alert, FENCE) {
                mark = field(&alert, "proc.args").unwrap_or_default();
                behind.insert(mark.clone(), Vec::new());
            } else if let Some(alerts) = behind.get_mut(&mark) {
                alerts.push(alert);
            }
        }
        Ok(Self { site, text, behind })
    }

    /// The outcome of a case.
    ///
    /// # Errors
    ///
    /// When its act or its twin failed, a fence is missing, or its rule fired on the twin.
    pub(crate) fn judge(&self, case: &Case) -> Result<Outcome> {
        let (said, status) = self.said(case)?;
        if status == 77 {
            let reason = said
                .lines()
                .last()
                .unwrap_or("this kernel does not have it");
            return Ok(Outcome::Untried {
                reason: reason.to_owned(),
            });
        }
        ensure!(
            status == 0,
            "the act of `{}` failed with {status}: {said}",
            case.name
        );
        // A twin that does nothing shows nothing.
        let twin = format!("twin of {}: ", case.name);
        if let Some(line) = self.text.lines().find(|line| line.starts_with(&twin)) {
            bail!("the innocent {line}");
        }
        self.behind(case, "end", case.name)?;
        if let Some(alert) = self.behind(case, "twin", case.name)?.first() {
            bail!("`{}` fired on its innocent twin: {alert}", case.name);
        }
        for seen in case.seen {
            let rule = if seen.rule.is_empty() {
                case.name
            } else {
                seen.rule
            };
            let alerts = self.behind(case, "act", rule)?;
            if let Some(missing) = self.missing(case, seen, said, &alerts)? {
                return Ok(Outcome::Blind { missing });
            }
        }
        Ok(if case.seen.iter().all(|seen| seen.rule == LOST) {
            Outcome::Counted
        } else {
            Outcome::Detected
        })
    }

    fn missing(
        &self,
        case: &Case,
        seen: &Seen,
        said: &str,
        alerts: &[&Value],
    ) -> Result<Option<String>> {
        let facts = facts(said);
        let mut wanted = Vec::new();
        for (name, value) in seen.fields {
            let mut value = self.site.expand(case, value);
            for (fact, known) in &facts {
                value = value.replace(&format!("{{{fact}}}"), known);
            }
            wanted.push((*name, value));
        }
        let fits = |alert: &&&Value| {
            wanted
                .iter()
                .all(|(name, value)| field(alert, name).as_ref() == Some(value))
        };
        let number = |fact| -> Result<usize> {
            let known = facts
                .get(fact)
                .with_context(|| format!("no fact `{fact}` in: {said}"))?;
            Ok(known.parse()?)
        };
        let mut fitting: Vec<_> = alerts.iter().filter(fits).collect();
        if let Count::Gap(fact) = seen.count {
            let acted = number(fact)?;
            fitting.retain(|alert| spans(alert, acted as u64));
        }
        let count = fitting.len();
        let expected = match seen.count {
            Count::Some | Count::Gap(_) if count > 0 => return Ok(None),
            Count::Some | Count::Gap(_) => "at least 1".to_owned(),
            Count::Fact(fact) => {
                let number = number(fact)?;
                ensure!(number > 0, "`{}` did nothing that counts", case.name);
                if number == count {
                    return Ok(None);
                }
                number.to_string()
            }
        };
        let others: Vec<String> = alerts.iter().take(3).map(ToString::to_string).collect();
        Ok(Some(format!(
            "{count} alerts of {expected} with {wanted:?}, of {} of its rule: {}",
            alerts.len(),
            others.join(" ")
        )))
    }

    /// What the act said, and its status.
    fn said(&self, case: &Case) -> Result<(&str, i32)> {
        let mark = format!("== {}\n", case.name);
        let (_, behind) = self
            .text
            .split_once(&mark)
            .with_context(|| format!("no line {mark}"))?;
        // What was said may have no end of line, or speak of a status itself.
        let (before, _) = behind.split_once("\nafter ").context("no end")?;
        let (said, status) = before.rsplit_once("status ").context("no status")?;
        Ok((said, status.trim().parse()?))
    }

    /// Alerts of a rule in one of the case's steps.
    fn behind(&self, case: &Case, step: &str, rule: &str) -> Result<Vec<&Value>> {
        let mark = format!("{} {step}", case.name);
        let alerts = self
            .behind
            .get(&mark)
            .with_context(|| format!("no fence `{mark}`"))?;
        Ok(alerts.iter().filter(|alert| is_from(alert, rule)).collect())
    }
}

/// Whether the gap that an alert tells holds a second since the epoch, and little else.
fn spans(alert: &Value, second: u64) -> bool {
    let bound = |name: &str| {
        let ns = field(alert, name)?.parse::<u64>().ok()?;
        Some(ns / 1_000_000_000)
    };
    let (Some(from), Some(until)) = (bound("gap.from"), bound("gap.until")) else {
        return false;
    };
    (second.saturating_sub(GAP_EARLY)..=second).contains(&from)
        && (second..=second + GAP_LATE).contains(&until)
}

fn facts(said: &str) -> HashMap<&str, &str> {
    let facts = said.lines().filter_map(|line| line.strip_prefix("fact "));
    facts.filter_map(|fact| fact.split_once(' ')).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::case::{exactly, own, some};
    use crate::script::{BOX, Load};

    const SITE: Site<'_> = Site {
        root: "/run",
        programs: "/programs",
        daemon: "/daemon",
        load: Load {
            rounds: 1,
            needles: 1,
            spawns: 1,
            short: 1,
        },
    };

    /// Judges a case named `a` whose alert is of `rule`, by what its run printed.
    fn judge(case: &Case, rule: &str, printed: &str) -> Result<Outcome> {
        let alert = |rule: &str, args: &str| {
            serde_json::json!({"rule": rule, "output_fields": {"proc.args": args}}).to_string()
        };
        let alerts = [
            alert(FENCE, "a twin"),
            alert(FENCE, "a act"),
            alert(rule, ""),
            alert(FENCE, "a end"),
        ];
        let text = format!("{printed}== a\nstatus 0\nafter 1 s\n");
        Evidence::gather(SITE, &text, &alerts.join("\n"))?.judge(case)
    }

    #[test]
    fn a_twin_that_fails_fails_its_case_and_no_other() -> Result<()> {
        const CASE: Case = Case {
            name: "a",
            seen: &[some(&[])],
            ..Case::BASE
        };
        assert_eq!(judge(&CASE, "a", "")?, Outcome::Detected);
        assert_eq!(judge(&CASE, "a", "twin of ab: no\n")?, Outcome::Detected);
        let failed = judge(&CASE, "a", "twin of a: not found\n").unwrap_err();
        assert_eq!(failed.to_string(), "the innocent twin of a: not found");
        Ok(())
    }

    #[test]
    fn a_loss_that_is_told_is_not_the_act_that_is_seen() -> Result<()> {
        const CASE: Case = Case {
            name: "a",
            seen: &[own(LOST, &[])],
            ..Case::BASE
        };
        assert_eq!(judge(&CASE, LOST, "")?, Outcome::Counted);
        assert_eq!(judge(&CASE, "a", "")?.name(), "blind");
        Ok(())
    }

    /// What a run's alerts tell of, behind the twin and behind the act, what it printed, and what that
    /// is taken for.
    type Run = (
        &'static [&'static str],
        &'static [&'static str],
        &'static str,
        &'static str,
    );

    #[test]
    fn nothing_is_detected_but_what_was_seen_as_demanded() -> Result<()> {
        const CASE: Case = Case {
            name: "a",
            seen: &[exactly("hits", &[("container.id", "$BOX")])],
            ..Case::BASE
        };
        const TWO: &str = "fact hits 2\nstatus 0";
        let runs: [Run; 10] = [
            (&[], &[BOX, BOX], TWO, "detected"),
            (&[], &[BOX, BOX, "host"], TWO, "detected"),
            (&[], &[], TWO, "blind"),
            (&[], &[BOX], TWO, "blind"),
            (&[], &[BOX, "host"], TWO, "blind"),
            (&[], &[BOX, BOX, BOX], TWO, "blind"),
            (&[BOX], &[BOX, BOX], TWO, "failed"),
            (&[], &[BOX, BOX], "fact hits 2\nstatus 1", "failed"),
            (&[], &[], "fact hits 0\nstatus 0", "failed"),
            (&[], &[], "it has no such call\nstatus 77", "untried"),
        ];
        let alert = |rule: &str, args: &str, id: &str| {
            let fields = serde_json::json!({"proc.args": args, "container.id": id});
            serde_json::json!({"rule": rule, "output_fields": fields}).to_string()
        };
        for (twin, act, said, expected) in runs {
            let of = |ids: &[&str]| ids.iter().map(|id| alert("a", "", id)).collect::<Vec<_>>();
            let alerts = [
                vec![alert(FENCE, "a twin", "")],
                of(twin),
                vec![alert(FENCE, "a act", "")],
                of(act),
                vec![alert(FENCE, "a end", "")],
            ];
            let text = format!("== a\n{said}\nafter 1 s\n");
            let outcome = Evidence::gather(SITE, &text, &alerts.concat().join("\n"))?.judge(&CASE);
            let found = outcome.as_ref().map_or("failed", Outcome::name);
            assert_eq!(found, expected, "{twin:?} {act:?} {said}: {outcome:?}");
        }
        Ok(())
    }
}
