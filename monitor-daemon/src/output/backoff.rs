//! How long to wait before the next attempt.

use std::hash::{BuildHasher as _, RandomState};
use std::time::{Duration, SystemTime};

use hyper::header::HeaderValue;
use jiff::fmt::rfc2822::DateTimeParser;

const FIRST: Duration = Duration::from_millis(500);
/// The longest pause before a server is tried again.
pub(super) const LONGEST: Duration = Duration::from_mins(1);
/// A server that asks for more is asked again all the same.
const LONGEST_ASKED: Duration = Duration::from_mins(15);

/// Growing pauses, of which chance takes up to half, so that many hosts do not all come at once
/// when a server is back.
#[derive(Clone, Copy, Debug)]
pub(super) struct Backoff {
    next: Duration,
    longest: Duration,
}

impl Backoff {
    /// Pauses that grow up to `longest`.
    pub(super) fn up_to(longest: Duration) -> Self {
        Self {
            next: FIRST,
            longest,
        }
    }

    /// The pause before the next attempt; `asked` is what the server wants.
    pub(super) fn pause(&mut self, asked: Option<Duration>) -> Duration {
        let full = self.next;
        self.next = (full * 2).min(self.longest);
        let ours = full.mul_f64(1.0 - chance() / 2.0);
        match asked {
            Some(asked) => asked.clamp(FIRST, LONGEST_ASKED),
            None => ours,
        }
    }
}

/// From 0 to 1.
fn chance() -> f64 {
    // Keys of the standard library's hasher come from the kernel's random numbers.
    let number = RandomState::new().hash_one("backoff");
    number as f64 / u64::MAX as f64
}

/// What `Retry-After` asks for: seconds, or until a date.
pub(super) fn asked(value: &HeaderValue, now: SystemTime) -> Option<Duration> {
    let text = value.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = DateTimeParser::new().parse_timestamp(text).ok()?;
    let date = SystemTime::from(date);
    Some(date.duration_since(now).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_a_minute_and_differ() {
        let mut backoff = Backoff::up_to(LONGEST);
        let pauses: Vec<Duration> = (0..10).map(|_| backoff.pause(None)).collect();
        let mut full = FIRST;
        for pause in &pauses {
            assert!(*pause >= full / 2 && *pause <= full, "{pauses:?}");
            full = (full * 2).min(LONGEST);
        }
        let others: Vec<Duration> = (0..10)
            .map(|_| Backoff::up_to(LONGEST).pause(None))
            .collect();
        assert!(others.iter().any(|pause| *pause != others[0]), "{others:?}");
    }

    #[test]
    fn a_server_may_ask_for_seconds_or_a_date_within_reason() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_700);
        let check = |text: &'static str, expected: Option<u64>| {
            let found = asked(&HeaderValue::from_static(text), now);
            assert_eq!(found, expected.map(Duration::from_secs), "{text}");
        };
        check("7", Some(7));
        check("Sun, 06 Nov 1994 08:49:37 GMT", Some(77));
        check("Sun, 06 Nov 1994 08:00:00 GMT", Some(0));
        check("soon", None);
        check("-1", None);
        let pause = |seconds| Backoff::up_to(LONGEST).pause(Some(Duration::from_secs(seconds)));
        assert_eq!(pause(7), Duration::from_secs(7));
        assert_eq!(pause(0), FIRST);
        assert_eq!(pause(u64::MAX), LONGEST_ASKED);
    }
}
