//! Adding up results from what the tests print.

use std::collections::VecDeque;
use std::fmt;

/// Most lines shown again of what a failed test said last, and most characters of each.
const LAST_LINES: usize = 12;
const LINE_CHARS: usize = 400;

/// What failed.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Failure {
    pub(super) name: String,
    /// What it said last, but for backtraces.
    pub(super) last: VecDeque<String>,
}

/// Sums over all suites.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Tally {
    pub(super) passed: u64,
    pub(super) failed: u64,
    pub(super) skipped: u64,
    pub(super) failures: Vec<Failure>,
    /// Names of what was skipped, with the reasons.
    pub(super) skips: Vec<String>,
    /// What passed or failed when it was tried again, with the reasons for that.
    pub(super) again: Vec<String>,
    /// The failed test whose output is being read.
    speaks: Option<usize>,
}

impl Tally {
    /// Counts what `line` says: libtest's sums, or a test that prints `SKIP: <name>: <reason>`.
    ///
    /// libtest knows no skipping, so such a test counts as passed there; the skip takes it back.
    pub(super) fn read(&mut self, line: &str) {
        // With a single thread libtest starts the line: `test name ... SKIP: `.
        let skip = line
            .strip_prefix("SKIP: ")
            .or_else(|| Some(line.strip_prefix("test ")?.split_once(" ... SKIP: ")?.1));
        if let Some(skip) = skip {
            self.skipped += 1;
            self.passed = self.passed.wrapping_sub(1);
            self.skips.push(skip.to_owned());
        }
        self.again
            .extend(line.strip_prefix("AGAIN: ").map(str::to_owned));
        let name = line
            .strip_prefix("test ")
            .and_then(|line| line.split_once(" ... "));
        match name {
            Some((name, "FAILED")) => self.failures.push(Failure::of(name)),
            Some((name, "ignored")) => self.skips.push(format!("{name}: ignored")),
            _ => {}
        }
        self.listen(line);
        let Some(result) = line.strip_prefix("test result: ") else {
            return;
        };
        let words: Vec<&str> = result.split([' ', ';', '.']).collect();
        for pair in words.windows(2) {
            let [count, what] = pair else { continue };
            let Ok(count) = count.parse::<u64>() else {
                continue;
            };
            match *what {
                "passed" => self.passed = self.passed.wrapping_add(count),
                "failed" => self.failed += count,
                "ignored" => self.skipped += count,
                _ => {}
            }
        }
    }

    /// Keeps what failed tests said last: libtest prints it when all have run, between the headings
    /// of each.
    fn listen(&mut self, line: &str) {
        let heading = line.strip_prefix("---- ");
        if let Some(name) = heading.and_then(|rest| rest.strip_suffix(" stdout ----")) {
            self.speaks = self
                .failures
                .iter()
                .rposition(|failure| failure.name == name);
        } else if matches!(line, "failures:" | "Stack backtrace:" | "stack backtrace:") {
            self.speaks = None;
        } else if let Some(failure) = self.speaks.and_then(|place| self.failures.get_mut(place))
            && !line.trim().is_empty()
        {
            if failure.last.len() == LAST_LINES {
                failure.last.pop_front();
            }
            failure
                .last
                .push_back(line.chars().take(LINE_CHARS).collect());
        }
    }

    /// Adds what others came to.
    pub(super) fn add(&mut self, other: Self) {
        self.passed = self.passed.wrapping_add(other.passed);
        self.failed += other.failed;
        self.skipped += other.skipped;
        self.failures.extend(other.failures);
        self.skips.extend(other.skips);
        self.again.extend(other.again);
    }

    /// How many there were, whatever became of them.
    pub(super) fn cases(&self) -> u64 {
        let failed = self.passed.wrapping_add(self.failed);
        failed.wrapping_add(self.skipped)
    }

    /// Counts one check that is no libtest test.
    pub(super) fn check(&mut self, name: &str, succeeded: bool) {
        println!(
            "check {name} ... {}",
            if succeeded { "ok" } else { "FAILED" }
        );
        if succeeded {
            self.passed = self.passed.wrapping_add(1);
        } else {
            self.fail(&format!("check {name}"));
        }
    }

    /// Counts a check that cannot be made here.
    pub(super) fn skip(&mut self, name: &str, reason: &str) {
        println!("check {name} ... skipped: {reason}");
        self.skipped += 1;
        self.skips.push(format!("{name}: {reason}"));
    }

    /// Counts a failure that no line of libtest names.
    pub(super) fn fail(&mut self, name: &str) {
        self.failed += 1;
        self.failures.push(Failure::of(name));
    }
}

impl Failure {
    fn of(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            last: VecDeque::new(),
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FAILED: {}", self.name)?;
        self.last
            .iter()
            .try_for_each(|line| write!(f, "\n    {line}"))
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            passed,
            failed,
            skipped,
            failures: _,
            skips: _,
            again: _,
            speaks: _,
        } = self;
        write!(f, "{passed} passed, {failed} failed, {skipped} skipped")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn adds_up_what_libtest_and_skipping_tests_print() {
        let mut tally = Tally::default();
        for line in [
            "test a ... ok",
            "test d::e ... FAILED",
            "SKIP: b: no docker",
            "test c ... SKIP: c: no kernel",
            "test f ... ignored",
            "guest: test g ... SKIP: g: no docker in the guest",
            "test result: ok. 5 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; \
             finished in 0.10s",
            "successes:",
            "---- a stdout ----",
            "fine",
            "AGAIN: a: left out, tried again: ok",
            "failures:",
            "",
            "---- d::e stdout ----",
            "looked twice",
            "Error: nothing came",
            "",
            "Stack backtrace:",
            "   0: main",
            "failures:",
            "    d::e",
            "test result: FAILED. 10 passed; 2 failed; 0 ignored; 0 measured; 3 filtered out; \
             finished in 0.10s",
        ] {
            tally.read(line);
        }
        assert_eq!(tally.to_string(), "13 passed, 2 failed, 3 skipped");
        let failures: Vec<String> = tally.failures.iter().map(Failure::to_string).collect();
        assert_eq!(
            failures,
            ["FAILED: d::e\n    looked twice\n    Error: nothing came"]
        );
        assert_eq!(tally.again, ["a: left out, tried again: ok"]);
        assert_eq!(tally.skips, ["b: no docker", "c: no kernel", "f: ignored"]);
    }
}
