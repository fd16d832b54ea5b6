//! Cases that only boot guests. They share nothing with the host and are about no time, so that two
//! run at once, one of them already beside what the host itself is tried on.

use std::collections::VecDeque;
use std::io::Write as _;
use std::process::Stdio;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use super::tally::Tally;
use crate::shell;

/// Suite and name of each, those that take longest first: what is begun last ends soon.
const GUESTS: [(&str, &str); 13] = [
    ("e2e", "kernels::passes_on_the_newest_linux"),
    ("e2e", "kernels::passes_on_linux_6_12"),
    ("e2e", "kernels::passes_on_linux_6_1"),
    ("e2e", "kernels::passes_on_linux_5_10"),
    ("evasions", "evasions_in_a_guest"),
    ("e2e", "service::it_runs_hardened_under_systemd"),
    (
        "e2e",
        "blocked::messages_and_accepts_among_thousands_that_wait_are_told_on_the_object_tier",
    ),
    (
        "e2e",
        "installed::the_package_runs_the_service_and_takes_it_away",
    ),
    (
        "e2e",
        "fedora::the_package_runs_the_service_and_a_timer_brings_policies",
    ),
    ("e2e", "chaos::no_alert_is_lost_when_the_clock_jumps"),
    (
        "e2e",
        "cgroups::cgroups_of_all_runtimes_are_containers_where_only_v2_or_v1_is",
    ),
    (
        "e2e",
        "reuse::processes_with_the_ids_of_others_are_themselves",
    ),
    (
        "e2e",
        "guard::a_protected_daemon_is_killed_by_the_first_process_only",
    ),
];
/// What only `ci` runs, for `test` to be done in 40 minutes: what needs the daemon for another machine,
/// and what the suite on 6.1 tells in more detail.
const FURTHER: [(&str, &str); 3] = [
    ("e2e", "guest::the_object_tier_sees_exec_open_and_connect"),
    ("e2e", "kernels::passes_on_linux_6_12_on_aarch64"),
    ("e2e", "kernels::passes_on_linux_6_1_on_aarch64"),
];
/// Guests make room for what the host is tried on.
const NICENESS: &str = "10";

/// Which of them run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Extent {
    /// Without what only `ci` runs.
    Native,
    Whole,
}

/// Options for a run of a suite without them.
pub(super) fn left_out(suite: &str) -> Vec<&'static str> {
    let all = GUESTS.iter().chain(&FURTHER);
    let of_suite = all.filter(|(name, _)| *name == suite);
    of_suite.flat_map(|(_, case)| ["--skip", case]).collect()
}

/// What is still to run, and what became of the rest.
#[derive(Debug)]
pub(super) struct Pool {
    waiting: Mutex<VecDeque<(&'static str, &'static str)>>,
    ended: Mutex<Vec<Ran>>,
}

/// A case that ran.
#[derive(Debug)]
struct Ran {
    case: &'static str,
    lines: Vec<String>,
    succeeded: bool,
}

impl Pool {
    /// Those of the suites `selected`.
    pub(super) fn new(selected: impl Fn(&str) -> bool, extent: Extent) -> Self {
        let further = match extent {
            Extent::Native => &FURTHER[..0],
            Extent::Whole => &FURTHER[..],
        };
        let all = GUESTS.iter().chain(further).copied();
        Self {
            waiting: Mutex::new(all.filter(|(suite, _)| selected(suite)).collect()),
            ended: Mutex::default(),
        }
    }

    /// Runs one after the other until none waits.
    pub(super) fn work(&self) {
        loop {
            let next = locked(&self.waiting).pop_front();
            let Some((suite, case)) = next else { return };
            let started = Instant::now();
            let ran = run(suite, case);
            let mut out = std::io::stdout().lock();
            for line in &ran.lines {
                let _ = writeln!(out, "{line}");
            }
            let seconds = started.elapsed().as_secs();
            let _ = writeln!(out, "guest of {case}: {seconds} s");
            drop(out);
            locked(&self.ended).push(ran);
        }
    }

    /// Adds up what the cases came to.
    pub(super) fn count(self, tally: &mut Tally) {
        let ended = self.ended.into_inner();
        for ran in ended.unwrap_or_else(PoisonError::into_inner) {
            ran.count(tally);
        }
    }
}

impl Ran {
    fn count(self, tally: &mut Tally) {
        let (before, failed) = (tally.cases(), tally.failed);
        for line in &self.lines {
            tally.read(line);
        }
        // Did not compile, died in the middle, or has another name by now.
        if tally.cases() == before || (!self.succeeded && tally.failed == failed) {
            tally.fail(self.case);
        }
    }
}

/// Runs one case, in a process of its own.
fn run(suite: &str, case: &'static str) -> Ran {
    let mut command = shell::nice_cargo(NICENESS);
    command
        .args([
            "test",
            "--locked",
            "--package=monitor-tests",
            "--test",
            suite,
        ])
        .args(["--", "--show-output", "--exact", case]);
    shell::announce(&command);
    let output = command.stdin(Stdio::null()).output();
    let (text, succeeded) = match output {
        Ok(output) => {
            let _ = std::io::stderr().write_all(&output.stderr);
            (output.stdout, output.status.success())
        }
        Err(error) => (error.to_string().into_bytes(), false),
    };
    let text = String::from_utf8_lossy(&text);
    Ran {
        case,
        lines: text.lines().map(str::to_owned).collect(),
        succeeded,
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(pool: &Pool) -> Vec<&'static str> {
        locked(&pool.waiting)
            .iter()
            .map(|(_, case)| *case)
            .collect()
    }

    #[test]
    fn a_case_runs_in_one_of_both() {
        let pool = Pool::new(|_| true, Extent::Whole);
        let out = [left_out("e2e"), left_out("evasions")].concat();
        let mut skipped: Vec<&str> = out.into_iter().filter(|word| *word != "--skip").collect();
        let mut run = names(&pool);
        skipped.sort_unstable();
        run.sort_unstable();
        assert_eq!(skipped, run);
        assert!(left_out("harness").is_empty());
    }

    #[test]
    fn only_all_there_is_has_another_machine() {
        let pool = Pool::new(|suite| suite == "e2e", Extent::Native);
        let names = names(&pool);
        assert!(names.contains(&"kernels::passes_on_the_newest_linux"));
        assert!(FURTHER.iter().all(|(_, case)| !names.contains(case)));
        assert!(!names.contains(&"evasions_in_a_guest"));
    }

    #[test]
    fn a_case_that_did_not_run_or_end_well_failed() {
        for (line, succeeded, sums) in [
            (
                "test result: ok. 1 passed; 0 failed; 0 ignored",
                true,
                "1 passed, 0 failed",
            ),
            (
                "test result: ok. 0 passed; 0 failed; 0 ignored",
                true,
                "0 passed, 1 failed",
            ),
            (
                "test result: FAILED. 0 passed; 1 failed; 0 ignored",
                false,
                "0 passed, 1 failed",
            ),
            ("error: could not compile", false, "0 passed, 1 failed"),
        ] {
            let mut tally = Tally::default();
            let lines = vec![line.to_owned()];
            Ran {
                case: "a",
                lines,
                succeeded,
            }
            .count(&mut tally);
            assert!(tally.to_string().starts_with(sums), "{line}: {tally}");
        }
    }
}
