//! How soon records are read: at once on a quiet host, in batches on a busy one.
//!
//! The kernel wakes the reader for each record that finds its ring empty, which costs more than
//! the record. A reader that is woken again and again lets some gather first.

use std::time::{Duration, Instant};

/// Time in which records gather, the least that the runtime's timer knows, which makes one to two of
/// it: what an alert may come later on a busy host.
const GATHER: Duration = Duration::from_millis(1);
/// Wake-ups closer than this follow each other.
const CLOSE: Duration = Duration::from_millis(1);
/// So many in a row make a host busy: starting a program makes some ten, whose alert shall not
/// wait.
const MANY: u32 = 32;

#[derive(Debug, Default)]
pub(super) struct Pace {
    last: Option<Instant>,
    in_a_row: u32,
}

impl Pace {
    /// How long to let records gather when one came at `now`.
    pub(super) fn pause(&mut self, now: Instant) -> Option<Duration> {
        let last = self.last.replace(now);
        let close = last.is_some_and(|last| now.saturating_duration_since(last) < CLOSE);
        self.in_a_row = if close {
            self.in_a_row.saturating_add(1)
        } else {
            0
        };
        (self.in_a_row >= MANY).then_some(GATHER)
    }

    /// The pause is over: what comes soon after `now` follows it.
    pub(super) const fn resume(&mut self, now: Instant) {
        self.last = Some(now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_many_wakeups_in_a_row_are_slowed_down() {
        let mut pace = Pace::default();
        let mut now = Instant::now();
        let mut pauses = |count: u32, apart: Duration| {
            let mut pauses = 0;
            for _ in 0..count {
                now += apart;
                if let Some(pause) = pace.pause(now) {
                    now += 2 * pause;
                    pace.resume(now);
                    pauses += 1;
                }
            }
            pauses
        };
        let (close, far) = (Duration::from_micros(50), Duration::from_millis(2));
        assert_eq!(pauses(1000, far), 0, "a quiet host");
        assert_eq!(pauses(20, close), 0, "one program");
        assert_eq!(pauses(1, far), 0);
        assert_eq!(pauses(100, close), 100 - MANY + 1, "a flood, which goes on");
        assert_eq!(pauses(1, far), 0, "and ends");
    }
}
