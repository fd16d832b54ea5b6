//! Cases that only boot guests: they share nothing with the host, so they run beside those that need
//! it for themselves, and which wait most of their time.
//!
//! They have the CPUs that nobody else wants, so that no case about time is disturbed. What they
//! print is kept and passed on when they are done.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::thread::{self, JoinHandle};

use anyhow::{Context, Result, anyhow};

use super::{package, tally::Tally};
use crate::shell;

/// Parts of their names, by suite; of a suite that is not named here none is moved.
const GUESTS: [(&str, &[&str]); 2] = [
    ("evasions", &["evasions_in_a_guest"]),
    (
        "e2e",
        &[
            "calls::the_object_tier_sees_calls",
            "cgroups::cgroups_of_all_runtimes_are_containers_where_only_v2_or_v1_is",
            "dns::names_in_a_guest",
            "guard::a_protected_daemon_is_killed_by_the_first_process_only",
            "guest::",
            KERNELS,
            "mappings::mappings_in_a_guest",
            "namespaces::namespaces_and_ids_on_the_object_tier",
            "reuse::processes_with_the_ids_of_others_are_themselves",
            "service::it_runs_hardened_under_systemd",
            "sockets::sockets_on_the_object_tier",
            "uring::io_uring_beside_the_object_tier",
        ],
    ),
];
/// The suite itself on other kernels.
const KERNELS: &str = "kernels::passes_on_";
/// Of these, the ones for which `test` has the time.
const SHORT: [&str; 2] = [
    "kernels::passes_on_linux_5_10",
    "kernels::passes_on_linux_6_12",
];
/// Those that need the daemon for that machine.
const ARM: &str = "_on_aarch64";
/// Guests at once: each has 2 GiB.
const AT_ONCE: &str = "--test-threads=2";

/// Which of them run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Extent {
    /// Without those that take long.
    Short,
    Whole,
}

/// What a suite leaves out because it runs beside.
pub(super) fn left_out(suite: &str) -> Vec<&'static str> {
    let names = GUESTS.iter().filter(|(name, _)| *name == suite);
    let names = names.flat_map(|(_, names)| names.iter());
    names.flat_map(|name| ["--skip", name]).collect()
}

/// Guests of suites, one suite after the other.
pub(super) struct Beside(JoinHandle<Result<Vec<Printed>>>);

/// A command that has ended, with what it printed.
struct Printed {
    command: String,
    lines: Vec<String>,
    succeeded: bool,
}

impl Beside {
    /// Starts those of the suites that are selected.
    pub(super) fn start(extent: Extent, selected: impl Fn(&str) -> bool) -> Self {
        let suites = GUESTS.iter().filter(|(suite, _)| selected(suite));
        Self::start_all(suites.map(|(suite, _)| command(suite, extent)).collect())
    }

    fn start_all(commands: Vec<Command>) -> Self {
        Self(thread::spawn(move || {
            commands.into_iter().map(run).collect()
        }))
    }

    /// Waits for the last one, prints everything, and adds the results up.
    pub(super) fn join(self, tally: &mut Tally) -> Result<()> {
        for printed in self.done()? {
            println!("guests of `{}`:", printed.command);
            for line in &printed.lines {
                println!("{line}");
            }
            printed.count(tally);
        }
        Ok(())
    }

    fn done(self) -> Result<Vec<Printed>> {
        self.0.join().map_err(|_| anyhow!("a thread panicked"))?
    }
}

impl Printed {
    fn count(&self, tally: &mut Tally) {
        let before = tally.failed;
        for line in &self.lines {
            tally.read(line);
        }
        if !self.succeeded && tally.failed == before {
            tally.fail(&format!("`{}`", self.command));
        }
    }
}

fn command(suite: &str, extent: Extent) -> Command {
    let cargo = shell::cargo();
    let mut command = Command::new("nice");
    command.args(["-n", "19"]).arg(cargo.get_program());
    for (name, value) in cargo.get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    if let Some(folder) = cargo.get_current_dir() {
        command.current_dir(folder);
    }
    command.args(["test", "--locked"]).args(package(suite));
    command.args(["--", "--show-output", AT_ONCE]);
    let names = GUESTS.iter().filter(|(name, _)| *name == suite);
    for name in names.flat_map(|(_, names)| names.iter()) {
        match (*name, extent) {
            (KERNELS, Extent::Short) => command.args(SHORT).args(["--skip", ARM]),
            (name, _) => command.arg(name),
        };
    }
    command
}

fn run(mut command: Command) -> Result<Printed> {
    shell::announce(&command);
    command.stdin(Stdio::null()).stdout(Stdio::piped());
    let mut child = command.spawn().context("cannot start `nice`")?;
    let output = child.stdout.take().context("the tests have no output")?;
    let lines = BufReader::new(output).split(b'\n');
    let lines = lines.map(|line| Ok(String::from_utf8_lossy(&line?).into_owned()));
    let lines = lines.collect::<Result<_>>()?;
    Ok(Printed {
        command: shell::line(&command),
        lines,
        succeeded: child.wait()?.success(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_case_runs_in_one_of_both_places() {
        let beside = command("e2e", Extent::Whole);
        let beside: Vec<_> = beside.get_args().map(ToOwned::to_owned).collect();
        let out = left_out("e2e");
        assert!(out.len() > 2);
        for pair in out.chunks(2) {
            assert_eq!(pair[0], "--skip");
            assert!(beside.contains(&pair[1].into()), "{beside:?}");
        }
        assert!(left_out("harness").is_empty());
    }

    #[test]
    fn results_are_added_up_and_a_command_that_dies_is_a_failure() {
        let shell = |script: &str| {
            let mut shell = Command::new("sh");
            shell.args(["-c", script]);
            shell
        };
        let passed = "echo 'test a ... ok'; echo 'test result: ok. 1 passed; 0 failed'";
        let failed =
            "echo 'test b ... FAILED'; echo 'test result: FAILED. 2 passed; 1 failed'; exit 101";
        let commands = [passed, failed, "exit 101"].map(shell).into();
        let mut tally = Tally::default();
        // Nothing of it is printed: what runs these tests reads their output in the same way.
        for printed in Beside::start_all(commands).done().unwrap() {
            printed.count(&mut tally);
        }
        assert_eq!(tally.to_string(), "3 passed, 2 failed, 0 skipped");
    }
}
