//! Which records are those of a child of the daemon's own, so no user's events.
//!
//! Its number does not tell: others had it before, and have it after. So a process is the child
//! only if it also started when the child did.

use monitor_common::Task;

/// The child, as records tell of it. Times are `CLOCK_BOOTTIME` ns.
#[derive(Debug)]
pub struct Claim {
    pid: u32,
    asked: u64,
    gone: Option<u64>,
    /// Told by the first of its records.
    start: Option<u64>,
}

impl Claim {
    /// The child with this number, which did not run yet at `asked`.
    pub const fn new(pid: u32, asked: u64) -> Self {
        Self {
            pid,
            asked,
            gone: None,
            start: None,
        }
    }

    /// It was there at `now`, and need not be any more: whoever starts later is somebody else.
    pub const fn ended(&mut self, now: u64) {
        self.gone = Some(now);
    }

    /// Whether this is the child.
    pub fn is_of(&mut self, task: &Task) -> bool {
        let is_later = self.gone.is_some_and(|gone| task.start > gone);
        if task.pid != self.pid || task.start < self.asked || is_later {
            return false;
        }
        *self.start.get_or_insert(task.start) == task.start
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether one with this number and start is the child.
    fn check(claim: &mut Claim, pid: u32, start: u64, expected: bool) {
        let task = Task {
            pid,
            start,
            ..Task::default()
        };
        assert_eq!(claim.is_of(&task), expected, "{pid} from {start}");
    }

    #[test]
    fn who_has_its_number_before_or_after_is_not_the_child() {
        let mut claim = Claim::new(7, 100);
        check(&mut claim, 7, 99, false);
        check(&mut claim, 8, 110, false);
        check(&mut claim, 7, 110, true);
        check(&mut claim, 7, 99, false);
        check(&mut claim, 7, 111, false);
        claim.ended(120);
        check(&mut claim, 7, 110, true);
    }

    #[test]
    fn a_child_none_of_whose_records_came_is_not_taken_for_the_next_one() {
        let mut claim = Claim::new(7, 100);
        claim.ended(120);
        check(&mut claim, 7, 121, false);
        check(&mut claim, 7, 110, true);
    }
}
