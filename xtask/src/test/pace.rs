//! Which cases of a suite take longest: from the end of one case's line to that of the next.

use std::time::{Duration, Instant};

/// How many are named.
const NAMED: usize = 15;
/// What is shorter is of no interest.
const LONG: Duration = Duration::from_secs(5);

/// Times of the cases so far.
#[derive(Debug)]
pub(super) struct Pace {
    before: Instant,
    cases: Vec<(Duration, String)>,
}

impl Pace {
    /// Nothing was printed yet.
    pub(super) fn begin() -> Self {
        Self {
            before: Instant::now(),
            cases: Vec::new(),
        }
    }

    /// Takes note of a line that libtest has just printed.
    pub(super) fn read(&mut self, line: &str) {
        self.line(line, Instant::now());
    }

    fn line(&mut self, line: &str, now: Instant) {
        let case = line.strip_prefix("test ");
        if let Some((name, _)) = case.and_then(|case| case.split_once(" ... ")) {
            let time = now.saturating_duration_since(self.before);
            self.cases.push((time, name.to_owned()));
        }
        self.before = now;
    }

    /// Names those that took longest.
    pub(super) fn print(mut self) {
        self.cases.retain(|(time, _)| *time >= LONG);
        self.cases.sort_by(|one, other| other.cmp(one));
        for (time, name) in self.cases.iter().take(NAMED) {
            println!("{:6.1} s {name}", time.as_secs_f64());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_case_takes_what_is_between_two_lines() {
        let mut pace = Pace::begin();
        let start = pace.before;
        for (seconds, line) in [
            (9, "running 2 tests"),
            (11, "test a ... ok"),
            (31, "test b ... FAILED"),
        ] {
            pace.line(line, start + Duration::from_secs(seconds));
        }
        let expected = [(2, "a"), (20, "b")]
            .map(|(seconds, name)| (Duration::from_secs(seconds), name.to_owned()));
        assert_eq!(pace.cases, expected);
    }
}
