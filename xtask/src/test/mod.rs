//! `test` and `ci`: every check of the project, each command printed, one line of sums at the end.
//!
//! A suite is `tidy` (formatting, lints, file rules), `unit` (all crates but the outside tests) or
//! one of the test targets of `monitor-tests`, found by asking cargo, so that a new target needs
//! no change here.

mod boundaries;
mod further;
mod guests;
mod pace;
mod skips;
mod tally;
mod tidy;

use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::build::{self, Profile};
use crate::setup::{self, Level};
use crate::{dist, kernels, shell};
use guests::{Extent, Pool};
use pace::Pace;
use tally::Tally;

/// Suites whose tests share nothing on the host, so they may run side by side.
const PARALLEL: [&str; 1] = ["conformance"];
/// One case after the other.
const ALONE: &str = "--test-threads=1";
/// The suite that runs on other kernels too, and says what was found there.
const ON_KERNELS: &str = "e2e";
/// Suites that load all of the machine.
const LOUD: [&str; 1] = ["evasions"];
/// Of [`ON_KERNELS`], parts of names: what is about time, or about all that goes on here.
const TIMED: [&str; 10] = [
    "crowd::",
    "defaults::",
    "first::",
    "flood::",
    "hung::",
    "idle::",
    "loss::",
    "reload::reloads_under_load",
    "robust::",
    "short::",
];
/// What `unit` is, for cargo.
const OURS: [&str; 3] = ["--workspace", "--exclude=monitor-tests", "--no-fail-fast"];
/// The rest of it.
const HELPERS: [&str; 3] = ["--package=monitor-tests", "--lib", "--bins"];
/// Suites that install what is delivered.
const INSTALLING: [&str; 1] = ["e2e"];

/// Runs the suites named, or all of them; a failed check is no error but the exit status.
pub(crate) fn test(suites: &[String]) -> Result<ExitCode> {
    timed("setup", || setup::setup(Level::Test))?;
    let mut tally = Tally::default();
    run_suites(suites, Extent::Native, &mut tally)?;
    Ok(conclude(tally))
}

/// Everything there is to check, or of the tests the suites named, with the demand that what must
/// run does run.
pub(crate) fn ci(suites: &[String]) -> Result<ExitCode> {
    // The tests read this and fail where they would otherwise skip. Restarting is the safe way to
    // set a variable for all that follows.
    if !is_ci() {
        let this = std::env::current_exe().context("cannot find this program")?;
        let mut again = Command::new(this);
        again.arg("ci").args(suites).env("CI", "true");
        shell::announce(&again);
        return Err(again.exec()).context("cannot start this program again");
    }
    timed("setup", || setup::setup(Level::Ci))?;
    // For the guests that emulate it.
    timed("build for aarch64", || build::build_arm(Profile::Debug))?;
    let mut tally = Tally::default();
    run_suites(suites, Extent::Whole, &mut tally)?;
    further::check(&mut tally);
    Ok(conclude(tally))
}

fn is_ci() -> bool {
    std::env::var_os("CI").is_some_and(|value| value == "true")
}

/// Does a part of the work and says how long that took, so that a log tells where the time went.
fn timed<T>(phase: &str, work: impl FnOnce() -> T) -> T {
    let started = Instant::now();
    let done = work();
    println!("phase {phase}: {} s", started.elapsed().as_secs());
    done
}

fn run_suites(suites: &[String], extent: Extent, tally: &mut Tally) -> Result<()> {
    let outside = outside_suites()?;
    let known: Vec<&str> = ["tidy", "unit"]
        .into_iter()
        .chain(outside.iter().map(String::as_str))
        .collect();
    if let Some(unknown) = suites.iter().find(|suite| !known.contains(&suite.as_str())) {
        bail!(
            "no suite is called `{unknown}`; there are: {}",
            known.join(", ")
        );
    }
    let selected = |suite: &str| suites.is_empty() || suites.iter().any(|name| name == suite);
    let suites = outside.iter().map(String::as_str);
    let suites: Vec<&str> = suites.filter(|suite| selected(suite)).collect();
    let build = || {
        if INSTALLING.into_iter().any(selected) {
            dist::dist()
        } else {
            build::build(Profile::Release)
        }
    };
    timed("kernel programs", build::build_ebpf)?;
    // The compiler of the daemon is one program for most of that time, with room beside it.
    std::thread::scope(|scope| -> Result<()> {
        let built = scope.spawn(|| timed("build", build));
        if selected("tidy") {
            timed("tidy", || tidy::check(tally))?;
        }
        timed("build of tests", || build_tests(selected("unit"), &suites));
        built.join().unwrap_or_else(|_| bail!("the build died"))
    })?;
    from_outside(selected("unit"), &suites, extent, tally)?;
    if selected(ON_KERNELS) {
        let compared = kernels::check().inspect_err(|error| eprintln!("error: {error:#}"));
        tally.check("tables of kernels and programs", compared.is_ok());
    }
    Ok(())
}

/// Compiles what will run: `unit`, if asked for, and the suites from outside. What cannot be compiled
/// is told when it is to run.
fn build_tests(unit: bool, suites: &[&str]) {
    let mut selections: Vec<Vec<&str>> = Vec::new();
    if unit {
        selections.extend([OURS.to_vec(), HELPERS.to_vec()]);
    }
    if !suites.is_empty() {
        let named = suites.iter().flat_map(|suite| ["--test", suite]);
        selections.push(
            ["--package=monitor-tests"]
                .into_iter()
                .chain(named)
                .collect(),
        );
    }
    for selection in selections {
        let mut command = shell::cargo();
        command
            .args(["test", "--locked", "--no-run"])
            .args(selection);
        tidy::succeeds(&mut command);
    }
}

/// Runs `unit`, if asked for, and the suites from outside: first what needs this machine for itself,
/// then the rest beside one guest, then the other guests.
fn from_outside(unit: bool, suites: &[&str], extent: Extent, tally: &mut Tally) -> Result<()> {
    let mut native = Tally::default();
    for suite in suites {
        if LOUD.contains(suite) {
            timed(suite, || natively(suite, &[], tally))?;
        } else if *suite == ON_KERNELS {
            timed("e2e about time", || natively(suite, &TIMED, &mut native))?;
        }
    }
    let pool = Pool::new(|suite| suites.contains(&suite), extent);
    std::thread::scope(|scope| -> Result<()> {
        scope.spawn(|| pool.work());
        if unit {
            timed("unit", || {
                cargo_test(&OURS, &[], tally)?;
                cargo_test(&HELPERS, &[], tally)
            })?;
        }
        for suite in suites {
            if *suite == ON_KERNELS {
                let skips = TIMED.iter().flat_map(|name| ["--skip", name]);
                let skips: Vec<&str> = skips.collect();
                timed("e2e", || natively(suite, &skips, &mut native))?;
            } else if !LOUD.contains(suite) {
                timed(suite, || natively(suite, &[], tally))?;
            }
        }
        timed("guests", || pool.work());
        Ok(())
    })?;
    if suites.contains(&ON_KERNELS) {
        kernels::keep_native(native.passed, native.failed, native.skipped)?;
        tally.add(native);
    }
    pool.count(tally);
    Ok(())
}

/// Runs a suite without what boots guests.
fn natively(suite: &str, selection: &[&str], tally: &mut Tally) -> Result<()> {
    let alone: &[&str] = if PARALLEL.contains(&suite) {
        &[]
    } else {
        &[ALONE]
    };
    let options = [alone, selection, &guests::left_out(suite)].concat();
    cargo_test(&package(suite), &options, tally)
}

fn package(suite: &str) -> [&str; 3] {
    ["--package=monitor-tests", "--test", suite]
}

/// Prints what needs to be known of the whole run. Where `CI=true`, what was left out and may not be
/// has failed.
fn conclude(mut tally: Tally) -> ExitCode {
    if is_ci() {
        skips::judge(&mut tally);
    }
    for skip in &tally.skips {
        println!("SKIPPED: {skip}");
    }
    for case in &tally.again {
        println!("AGAIN: {case}");
    }
    for failure in &tally.failures {
        println!("{failure}");
    }
    // The last line, which scripts read; the exit status says the rest.
    println!("{tally}");
    if tally.failed > 0 {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    }
}

/// The test targets of `monitor-tests`.
fn outside_suites() -> Result<Vec<String>> {
    let metadata = metadata()?;
    let packages = list(&metadata, "packages");
    let package = packages
        .iter()
        .find(|package| text(package, "name") == Some("monitor-tests"))
        .context("the workspace has no package monitor-tests")?;
    let targets = list(package, "targets").iter();
    let tests = targets.filter(|target| list(target, "kind").contains(&Value::from("test")));
    Ok(tests
        .filter_map(|target| text(target, "name").map(str::to_owned))
        .collect())
}

/// What cargo knows of the workspace's own packages.
fn metadata() -> Result<Value> {
    let mut command = shell::cargo();
    command.args(["metadata", "--locked", "--no-deps", "--format-version=1"]);
    let metadata = shell::query(&mut command)?.context("`cargo metadata` failed")?;
    Ok(serde_json::from_str(&metadata)?)
}

fn list<'a>(value: &'a Value, key: &str) -> &'a [Value] {
    value
        .get(key)
        .and_then(Value::as_array)
        .map_or(&[], Vec::as_slice)
}

fn text<'a>(value: &'a Value, key: &str) -> Option<&'a str> {
    value.get(key).and_then(Value::as_str)
}

/// Runs `cargo test`, passes its output on line by line, and adds its results up.
fn cargo_test(selection: &[&str], options: &[&str], tally: &mut Tally) -> Result<()> {
    let mut command = shell::cargo();
    // Output of tests that pass too: it holds the lines of those that skip.
    command
        .args(["test", "--locked"])
        .args(selection)
        .args(["--", "--show-output"]);
    command.args(options);
    shell::announce(&command);
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()?;
    let before = tally.failed;
    let output = child.stdout.take().context("the tests have no output")?;
    let mut pace = Pace::begin();
    for line in BufReader::new(output).split(b'\n') {
        let line = String::from_utf8_lossy(&line?).into_owned();
        println!("{line}");
        tally.read(&line);
        pace.read(&line);
    }
    if options.contains(&ALONE) {
        pace.print();
    }
    // Did not compile, or died in the middle: no line of results says so.
    if !child.wait()?.success() && tally.failed == before {
        tally.fail(&format!("`{}`", shell::line(&command)));
    }
    Ok(())
}
