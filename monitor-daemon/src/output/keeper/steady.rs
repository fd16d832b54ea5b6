//! Whether the wall clock can be believed when it says that alerts are old: one that jumps by a year
//! would have all of them removed at once.

use std::time::Duration;

/// How long the clock has to run evenly after the start of the daemon: it may not be set yet.
const AFTER_START: Duration = Duration::from_hours(1);
/// How long after it was set: who set it wrongly may find that out.
const AFTER_JUMP: Duration = Duration::from_hours(24);
/// What it may be corrected by between two looks.
const SLACK: Duration = Duration::from_mins(1);

/// Times are ns: of the wall clock since the epoch, and since the host's start.
#[derive(Debug, Default)]
pub(super) struct Steady {
    /// What both were when it was last looked.
    last: Option<(u64, u64)>,
    /// When it is believed, since the host's start.
    from: u64,
}

impl Steady {
    /// What time it is, where that is to be believed. Both clocks say what they do now.
    pub(super) fn now(&mut self, epoch: u64, boot: u64) -> Option<u64> {
        let wait = match self.last.replace((epoch, boot)) {
            None => Some(AFTER_START),
            Some((last, last_boot)) => {
                let went = i128::from(epoch) - i128::from(last);
                let passed = i128::from(boot) - i128::from(last_boot);
                let jump = went - passed;
                let jumped = jump.unsigned_abs() > SLACK.as_nanos();
                if jumped {
                    let seconds = jump / 1_000_000_000;
                    tracing::warn!(
                        seconds,
                        "the clock was set: no alert is removed from the log for its age for a day"
                    );
                }
                jumped.then_some(AFTER_JUMP)
            }
        };
        if let Some(wait) = wait {
            self.from = boot.saturating_add(wait.as_nanos() as u64);
        }
        (boot >= self.from).then_some(epoch)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: u64 = 60 * 1_000_000_000;
    const HOUR: u64 = 60 * MINUTE;
    const YEAR: u64 = 365 * 24 * HOUR;

    /// Looks every ten minutes for so long; what was believed at last.
    fn look(steady: &mut Steady, boot: &mut u64, ahead: u64, time: u64) -> Option<u64> {
        let until = *boot + time;
        let mut believed = None;
        while *boot < until {
            *boot += 10 * MINUTE;
            believed = steady.now(*boot + ahead, *boot);
        }
        believed
    }

    #[test]
    fn a_clock_that_jumps_is_believed_when_it_has_gone_evenly_for_a_day() {
        let (mut steady, mut boot) = (Steady::default(), HOUR);
        assert_eq!(look(&mut steady, &mut boot, YEAR, HOUR), None);
        let believed = look(&mut steady, &mut boot, YEAR, 20 * MINUTE);
        assert_eq!(believed, Some(boot + YEAR));
        // A second is corrected now and then.
        let believed = look(&mut steady, &mut boot, YEAR + MINUTE / 60, HOUR);
        assert!(believed.is_some());
        assert_eq!(look(&mut steady, &mut boot, 2 * YEAR, 23 * HOUR), None);
        // Set right again.
        assert_eq!(look(&mut steady, &mut boot, YEAR, 24 * HOUR), None);
        let believed = look(&mut steady, &mut boot, YEAR, 20 * MINUTE);
        assert_eq!(believed, Some(boot + YEAR));
    }
}
