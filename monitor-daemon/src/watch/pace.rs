//! How soon records are read: at once on a quiet host, in batches on a busy one.
//!
//! The kernel wakes the reader for each record that finds its ring empty, which costs more than
//! the record. A reader that is woken again and again looks from time to time instead, until some
//! looks in a row find nothing: programs that start a few milliseconds apart do not make it wait to
//! be woken in between.

use std::thread;
use std::time::{Duration, Instant};

/// Time in which records gather: what an alert may come later on a busy host, where it has 5 ms. Each
/// look costs about what a program's start does.
const GATHER: Duration = Duration::from_millis(3);
/// So many wake-ups make a host busy, when they come in this time: starting a program makes some
/// ten, whose alert shall not wait.
const MANY: u32 = 32;
const WINDOW: Duration = Duration::from_millis(64);
/// So many looks in a row that find nothing make it a quiet host again.
const PATIENCE: u32 = 4;

#[derive(Debug, Default)]
pub(super) struct Pace {
    since: Option<Instant>,
    wakeups: u32,
    /// Looks in a row that found nothing.
    empty: u32,
}

impl Pace {
    /// A record woke the reader at `now`.
    pub(super) fn woken(&mut self, now: Instant) {
        let within = |since: &Instant| now.saturating_duration_since(*since) < WINDOW;
        if self.since.as_ref().is_some_and(within) {
            self.wakeups = self.wakeups.saturating_add(1);
        } else {
            self.since = Some(now);
            self.wakeups = 1;
        }
    }

    /// Whether the host is busy, so that it pays to let records gather.
    pub(super) const fn is_busy(&self) -> bool {
        self.wakeups >= MANY
    }

    /// Lets records gather. A sleep of the thread: one of the runtime takes four calls.
    pub(super) fn gather() {
        thread::sleep(GATHER);
    }

    /// The reader looked, and found something or nothing. When nothing gathers any more, the next
    /// record wakes the reader.
    pub(super) fn looked(&mut self, handled: usize) {
        self.empty = if handled == 0 { self.empty + 1 } else { 0 };
        if self.empty == PATIENCE {
            *self = Self::default();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_many_wakeups_make_a_host_busy() {
        let mut pace = Pace::default();
        let mut now = Instant::now();
        let mut wake = |pace: &mut Pace, count: u32, apart: Duration| {
            for _ in 0..count {
                now += apart;
                pace.woken(now);
            }
            pace.is_busy()
        };
        let (close, far) = (Duration::from_micros(50), Duration::from_millis(3));
        assert!(!wake(&mut pace, 1000, far), "a quiet host");
        assert!(!wake(&mut pace, 20, close), "one program");
        assert!(!wake(&mut pace, 30, far), "which was all");
        assert!(wake(&mut pace, 2 * MANY, close), "a flood");
        (0..PATIENCE).for_each(|_| pace.looked(0));
        assert!(!wake(&mut pace, MANY - 1, close), "which ended");
        assert!(wake(&mut pace, 1, close), "and begins again");
    }

    #[test]
    fn a_busy_host_may_rest_for_some_looks() {
        let mut pace = Pace::default();
        let now = Instant::now();
        (0..MANY).for_each(|_| pace.woken(now));
        for _ in 0..3 {
            (1..PATIENCE).for_each(|_| pace.looked(0));
            assert!(pace.is_busy());
            pace.looked(1);
        }
        (0..PATIENCE).for_each(|_| pace.looked(0));
        assert!(!pace.is_busy());
    }
}
