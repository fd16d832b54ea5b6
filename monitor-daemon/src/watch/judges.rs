//! Which policy judges which event.
//!
//! A new one judges what comes after its start. What happened before and still waits for metadata
//! is judged by the one that was in force, so a change of the rules loses no alert.

use super::judge::Judge;

/// Policies that events may still wait for: more are not started meanwhile.
const EARLIER_MAX: usize = 4;

/// The policy in force, and those before it that are still needed.
#[derive(Debug)]
pub(super) struct Judges {
    current: Box<Judge>,
    earlier: Vec<Earlier>,
}

#[derive(Debug)]
struct Earlier {
    judge: Box<Judge>,
    /// Number of the last event that is its.
    last: u64,
    /// When none of its events waits any more, `CLOCK_BOOTTIME` ns.
    until: u64,
}

impl Judges {
    /// The first policy.
    pub(super) fn new(judge: Judge) -> Self {
        Self {
            current: Box::new(judge),
            earlier: Vec::new(),
        }
    }

    /// The one in force.
    pub(super) fn current(&self) -> &Judge {
        &self.current
    }

    /// The one that was in force at an event, by its number.
    pub(super) fn of(&mut self, event: u64) -> &mut Judge {
        let mut earlier = self.earlier.iter_mut();
        let found = earlier.find(|earlier| event <= earlier.last);
        found.map_or(&mut self.current, |earlier| &mut earlier.judge)
    }

    /// Whether another may come into force.
    pub(super) fn has_room(&self) -> bool {
        self.earlier.len() < EARLIER_MAX
    }

    /// Puts another in force for all events after number `last`. The one before judges what waits
    /// until a time; it is given back when nothing does.
    pub(super) fn replace(
        &mut self,
        judge: Box<Judge>,
        last: u64,
        until: Option<u64>,
    ) -> Option<Box<Judge>> {
        let mut before = std::mem::replace(&mut self.current, judge);
        before.flush();
        let Some(until) = until else {
            return Some(before);
        };
        self.earlier.push(Earlier {
            judge: before,
            last,
            until,
        });
        None
    }

    /// Forgets those that no event waits for any more.
    pub(super) fn expire(&mut self, now: u64) {
        self.earlier.retain(|earlier| earlier.until > now);
    }

    /// Publishes what was measured since the last call.
    pub(super) fn flush(&mut self) {
        self.current.flush();
        for earlier in &mut self.earlier {
            earlier.judge.flush();
        }
    }
}

#[cfg(test)]
mod tests {
    use monitor_policy::{Options, RulesFile};

    use super::*;
    use crate::metrics::Metrics;

    fn judge(rule: &str, metrics: &Metrics) -> Box<Judge> {
        let text = format!(
            "- rule: {rule}\n  desc: d\n  condition: evt.type = open\n  output: o\n  priority: INFO\n"
        );
        let file = RulesFile {
            name: "r",
            text: &text,
        };
        let policy = monitor_policy::load(&[file], &Options::default()).policy;
        Box::new(Judge::new(policy.unwrap(), metrics, "host".into()))
    }

    #[test]
    fn an_event_is_judged_by_what_was_in_force() {
        let metrics = Metrics::new().unwrap();
        let mut judges = Judges::new(*judge("a", &metrics));
        // Nothing waits: the first is done with.
        let back = judges.replace(judge("b", &metrics), 5, None);
        assert_eq!(back.unwrap().rules(), ["a"]);
        assert!(judges.replace(judge("c", &metrics), 9, Some(100)).is_none());
        assert!(
            judges
                .replace(judge("d", &metrics), 12, Some(200))
                .is_none()
        );
        for (event, rule) in [(7, "b"), (9, "b"), (10, "c"), (12, "c"), (13, "d")] {
            assert_eq!(judges.of(event).rules(), [rule], "{event}");
        }
        assert_eq!(judges.current().rules(), ["d"]);
        judges.expire(100);
        assert_eq!(judges.of(7).rules(), ["c"]);
        judges.expire(200);
        assert_eq!(judges.of(7).rules(), ["d"]);
        for number in 0..EARLIER_MAX as u64 {
            assert!(judges.has_room());
            judges.replace(judge("e", &metrics), 20 + number, Some(300));
        }
        assert!(!judges.has_room());
    }
}
