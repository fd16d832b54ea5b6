//! The canary: every few seconds a child of the daemon is started whose exec has to come back as a
//! record, through the kernel, a ring and the loop, and be tried on all rules. Its alerts, if any,
//! are nobody's.
//!
//! The self-check tells which kind of events is blind, twice a minute; this tells within seconds
//! that nothing comes, or comes late, whatever the cause.

use std::sync::Arc;

use monitor_common::Kind;
use monitor_policy::Priority;
use serde_json::Value;

use crate::output::{Alert, INTERNAL, OWN_TAG};
use crate::record::Record;
use crate::selfcheck::{Claim, Started, Starter};

/// Name of the alert, where others have the name of their rule.
pub(super) const RULE: &str = "Monitor internal: canary missing";
/// Its priority: nothing may be seen any more.
pub(super) const PRIORITY: Priority = Priority::Critical;

/// Time from one to the next, ns: one costs a process.
const EVERY_NS: u64 = 5_000_000_000;
/// Time after which one that has not come is missing, ns.
const LATE_NS: u64 = 15_000_000_000;
/// The same for one that could not be started, ns: nothing is on its way.
const UNSENT_NS: u64 = 2_000_000_000;

/// What a record is to the canary.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Sighting {
    /// Somebody else's.
    Other,
    /// The child's, so no user's event.
    Own,
    /// The one that was waited for.
    Canary,
}

/// The canary and its child.
#[derive(Debug, Default)]
pub(super) struct Canary {
    course: Course,
    child: Option<Started>,
    claim: Option<Claim>,
    starter: Starter,
    /// Why the last one could not be started.
    failed: Option<String>,
}

impl Canary {
    /// One whose children `starter` starts.
    pub(super) fn new(starter: Starter) -> Self {
        Self {
            starter,
            ..Self::default()
        }
    }

    /// Sends the next if it is due; what there is to tell when one is missing. `reached` is the
    /// time of the newest record that was read; times are `CLOCK_BOOTTIME` ns.
    pub(super) fn tick(&mut self, now: u64, reached: u64) -> Option<Missing> {
        let sent = self.course.sent;
        let step = self.course.step(now);
        if step == Step::Wait {
            return None;
        }
        let missing = (step == Step::Tell).then(|| Missing {
            seconds: now.saturating_sub(sent.unwrap_or(now)) / 1_000_000_000,
            why: Why::of(self.failed.take(), sent, reached),
        });
        // It had seconds to end. What has not is killed.
        self.child = None;
        self.claim = None;
        match self.starter.start([]) {
            Ok(child) => {
                self.claim = Some(Claim::new(child.id(), now));
                self.child = Some(child);
                self.failed = None;
            }
            Err(error) => self.failed = Some(error.to_string()),
        }
        self.course.unsent = self.failed.is_some();
        missing
    }

    /// Takes note of a record.
    pub(super) fn saw(&mut self, record: &Record<'_>) -> Sighting {
        let claim = self.claim.as_mut();
        if !claim.is_some_and(|claim| claim.is_of(record.task())) {
            return Sighting::Other;
        }
        match record.kind() {
            Kind::Exec => Sighting::Canary,
            _ => Sighting::Own,
        }
    }

    /// It has come, and was tried on all rules.
    pub(super) fn came(&mut self) {
        if self.course.came() {
            tracing::info!("the canary comes again");
        }
    }
}

/// Why a canary did not come.
#[derive(Debug, Eq, PartialEq)]
enum Why {
    /// Records that are older are still being read.
    Behind,
    /// Newer records were read.
    Lost,
    /// It could not be started.
    NotSent(String),
}

impl Why {
    fn of(failed: Option<String>, sent: Option<u64>, reached: u64) -> Self {
        match failed {
            Some(error) => Self::NotSent(error),
            None if sent.is_some_and(|sent| reached < sent) => Self::Behind,
            None => Self::Lost,
        }
    }
}

/// One that did not come.
#[derive(Debug, Eq, PartialEq)]
pub(super) struct Missing {
    /// Since it was sent.
    seconds: u64,
    why: Why,
}

impl Missing {
    /// The alert; `time` is ns since the epoch.
    pub(super) fn alert(&self, time: u64, hostname: &Arc<str>) -> Alert {
        let why = match &self.why {
            Why::Behind => "behind: older records are still being read".to_owned(),
            Why::Lost => "lost: newer records were read".to_owned(),
            Why::NotSent(error) => format!("not sent: {error}"),
        };
        let seconds = self.seconds;
        let fields = [
            ("canary.seconds", Value::from(seconds)),
            ("canary.why", why.as_str().into()),
        ];
        Alert {
            rule: RULE.into(),
            priority: PRIORITY,
            source: INTERNAL.into(),
            tags: [OWN_TAG.to_owned()].into(),
            time,
            hostname: Arc::clone(hostname),
            output: format!(
                "The daemon's own event did not come back: alerts may be late or missing | \
                 seconds={seconds} why={why}"
            ),
            fields: fields.map(|(name, value)| (name.to_owned(), value)).into(),
        }
    }
}

/// What to do now.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Step {
    Wait,
    /// Send one.
    Send,
    /// Say that the one before is missing, and send another.
    Tell,
}

/// When which canary was sent. Pure.
#[derive(Debug, Default)]
struct Course {
    sent: Option<u64>,
    /// That one could not be started.
    unsent: bool,
    came: bool,
    /// It was told that none comes.
    told: bool,
}

impl Course {
    fn step(&mut self, now: u64) -> Step {
        let passed = |time: u64| {
            self.sent
                .is_none_or(|sent| now.saturating_sub(sent) >= time)
        };
        let first = self.sent.is_none();
        let pause = match (self.came, self.unsent) {
            (true, _) => EVERY_NS,
            (false, true) => UNSENT_NS,
            (false, false) => LATE_NS,
        };
        if !passed(pause) {
            return Step::Wait;
        }
        let missing = !first && !self.came;
        self.sent = Some(now);
        self.unsent = false;
        self.came = false;
        if missing && !std::mem::replace(&mut self.told, true) {
            return Step::Tell;
        }
        Step::Send
    }

    /// Takes note that it came; whether it was missing before.
    fn came(&mut self) -> bool {
        self.came = true;
        std::mem::take(&mut self.told)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    #[test]
    fn one_is_sent_every_five_seconds_and_told_once_when_none_comes() {
        let mut course = Course::default();
        let mut steps = Vec::new();
        for second in 0..70 {
            let step = course.step(second * SECOND);
            if step != Step::Wait {
                steps.push((second, step));
            }
            // From second 12 to 50 none comes.
            let works = !(12..50).contains(&second);
            if works && step != Step::Wait && course.came() {
                steps.push((second, Step::Wait));
            }
        }
        let expected = [
            (0, Step::Send),
            (5, Step::Send),
            (10, Step::Send),
            (15, Step::Send),
            (30, Step::Tell),
            (45, Step::Send),
            (60, Step::Send),
            (60, Step::Wait),
            (65, Step::Send),
        ];
        assert_eq!(steps, expected);
    }

    #[test]
    fn one_that_cannot_be_started_is_told_at_once_and_tried_again() {
        let mut course = Course::default();
        let mut steps = Vec::new();
        for second in 0..20 {
            let step = course.step(second * SECOND);
            if step == Step::Wait {
                continue;
            }
            steps.push((second, step));
            course.unsent = (5..10).contains(&second);
            if !course.unsent && course.came() {
                steps.push((second, Step::Wait));
            }
        }
        let expected = [
            (0, Step::Send),
            (5, Step::Send),
            (7, Step::Tell),
            (9, Step::Send),
            (11, Step::Send),
            (11, Step::Wait),
            (16, Step::Send),
        ];
        assert_eq!(steps, expected);
    }

    #[test]
    fn the_alert_says_why() {
        let cases = [
            (
                Why::Behind,
                "why=behind: older records are still being read",
            ),
            (Why::Lost, "why=lost: newer records were read"),
            (
                Why::NotSent("no memory".to_owned()),
                "why=not sent: no memory",
            ),
        ];
        for (why, words) in cases {
            let missing = Missing { seconds: 15, why };
            let alert = missing.alert(7, &Arc::from("h"));
            assert!(alert.output.ends_with(words), "{}", alert.output);
            assert!(alert.output.contains(" | seconds=15 "));
            assert_eq!(
                (alert.time, alert.field("canary.seconds")),
                (7, Some(&15.into()))
            );
        }
    }

    #[test]
    fn what_was_read_tells_why() {
        let error = "no memory".to_owned();
        let failed = Why::of(Some(error.clone()), Some(5), 9);
        assert_eq!(failed, Why::NotSent(error));
        assert_eq!(Why::of(None, Some(5), 4), Why::Behind);
        assert_eq!(Why::of(None, Some(5), 6), Why::Lost);
    }
}
