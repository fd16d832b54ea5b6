//! Attempts on the daemon that were refused, until it is known whose they were.
//!
//! They come through a ring of their own, past the records of the fork and the exec by which the
//! process came to be.

use crate::probe::Refused;

/// Longest that one waits for the records from before it, ns: a daemon that is behind tells it by
/// then, of whomever the kernel named.
const PATIENCE_NS: u64 = 2_000_000_000;

/// Those that are not told yet.
#[derive(Debug, Default)]
pub(super) struct Refusals(Vec<Refused>);

impl Refusals {
    /// Whether one waits.
    pub(super) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Those to be told by now, the same ones of a process once, with their number. All records up
    /// to `reached` are read; `more` is asked for others when none waits, so that they stay in their
    /// ring, which is bounded.
    pub(super) fn due(
        &mut self,
        reached: u64,
        now: u64,
        more: impl FnOnce() -> Vec<Refused>,
    ) -> Vec<(Refused, u64)> {
        if self.0.is_empty() {
            self.0 = more();
        }
        let is_due =
            |one: &Refused| one.time <= reached || now.saturating_sub(one.time) >= PATIENCE_NS;
        if !self.0.iter().all(is_due) {
            return Vec::new();
        }
        let mut told: Vec<(Refused, u64)> = Vec::new();
        for refused in std::mem::take(&mut self.0) {
            match told.iter_mut().find(|(one, _)| one.is_like(&refused)) {
                Some((_, count)) => *count += 1,
                None => told.push((refused, 1)),
            }
        }
        told
    }
}

#[cfg(test)]
mod tests {
    use monitor_common::Task;
    use monitor_common::guard::What;

    use super::*;

    fn by(pid: u32, time: u64) -> Refused {
        Refused {
            time,
            task: Task {
                pid,
                ..Task::default()
            },
            what: What::Signal,
            number: 9,
        }
    }

    #[test]
    fn one_is_told_when_what_was_before_it_is_read_or_does_not_come() {
        for (reached, now, told) in [
            (99, 100, false),
            (100, 100, true),
            (99, 99 + PATIENCE_NS, false),
            (99, 100 + PATIENCE_NS, true),
        ] {
            let mut refusals = Refusals::default();
            let due = refusals.due(reached, now, || vec![by(1, 100)]);
            assert_eq!(due.len(), usize::from(told), "{reached} {now}");
            assert_eq!(refusals.is_empty(), told, "{reached} {now}");
        }
    }

    #[test]
    fn those_that_wait_are_told_together_before_others_are_asked_for() {
        let mut refusals = Refusals::default();
        let first = || vec![by(1, 10), by(2, 11), by(1, 12)];
        assert!(refusals.due(11, 20, first).is_empty());
        let due = refusals.due(12, 20, || panic!("there is no room for others"));
        let due: Vec<(u32, u64)> = due
            .iter()
            .map(|(one, count)| (one.task.pid, *count))
            .collect();
        assert_eq!(due, [(1, 2), (2, 1)]);
        assert_eq!(refusals.due(30, 30, || vec![by(3, 30)]).len(), 1);
    }
}
