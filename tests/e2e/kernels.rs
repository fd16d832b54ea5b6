//! This suite itself on the kernels of other Debian releases.
//!
//! The cases that need guests, containers or services skip there, as `kernels.tsv` says; every other
//! one must pass.
//!
//! `KERNEL_CASES=gap::,dns::` runs only these of the suite's cases, and leaves no figures: for whoever
//! looks for the cause of a failure.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use monitor_tests::suite::{self, Results};
use monitor_tests::{daemon, paths, skip_if};
use serde_json::{Value, json};

use crate::{arm, maps, records, socketcall, uring};

/// Emulation without help by the hardware.
const WITHIN: Duration = Duration::from_mins(20);

const ONLY: &str = "KERNEL_CASES";
/// How many of the cases that took longest are named.
const SLOWEST: usize = 20;

/// Cases about no kernel, some of which are about time, which an emulated program has too little
/// of; what is checked here of each guest; the self-test, whose hundreds of processes take a guest's
/// one CPU for minutes; and these here.
const LEFT_OUT: [&str; 14] = [
    "bugreport::",
    "fields::every_field_of_upstream_rules_has_a_row",
    "records::coverage::",
    "robust::",
    "reload::reloads_under_load",
    "rule_tests::",
    "dist::",
    "package::",
    "rpm::",
    "rollup::",
    "selftest::",
    "top::",
    "maps::",
    "kernels::",
];
/// Cases that take long and are about no kernel's particulars: they run on the fastest,
/// [`ONCE_ON`].
const ONCE: [&str; 5] = [
    "filtered::",
    "canary::",
    "containers::",
    "gap::",
    "reload::rules_come",
];
const ONCE_ON: &str = "5.10";

/// Its kernel preempts tasks amid programs, and where what runs beside a guest holds its CPU up, it
/// leaves out programs that tell of calls, and counts that (ADR 18).
const PREEMPTING: &str = "newest";
/// How many cases at most may be tried again for that.
const AGAIN: usize = 3;

/// What cannot run there, why, and on which kernels.
const CANNOT: &str = include_str!("kernels.tsv");

type Compile = fn(&Path) -> Result<()>;

/// There is no compiler in guests.
const COMPILED: [(&str, Compile); 3] = [
    (records::PROGRAM, records::compile),
    (socketcall::PROGRAM, socketcall::compile),
    (uring::PROGRAM, uring::compile),
];

fn passes_on(series: &str) -> Result<()> {
    let executable = std::env::current_exe()?;
    let tree = suite::tree(&executable)?;
    let folder = tempfile::tempdir()?;
    for (name, compile) in COMPILED {
        let program = folder.path().join(name);
        compile(&program)?;
        tree.program(&format!("/usr/bin/{name}"), &program)?;
    }
    let started = Instant::now();
    let only = std::env::var(ONLY).unwrap_or_default();
    let only: Vec<&str> = only.split(',').filter(|name| !name.is_empty()).collect();
    let left_out = left_out(series);
    let mut results = suite::run(series, &tree, &executable, [&only, &left_out], WITHIN)?;
    if series == PREEMPTING {
        let unrun = unrun(&results);
        let names: Vec<&str> = unrun.iter().map(|(name, _)| name.as_str()).collect();
        if (1..=AGAIN).contains(&unrun.len()) {
            let again = suite::run(series, &tree, &executable, [&names, &[]], WITHIN)?;
            for line in settle(&mut results, &unrun, &again) {
                println!("{line}");
            }
        }
    }
    let unexpected = unexpected(series, &results.skipped, only.is_empty());
    // What is about a guest of its own has been tried there.
    results
        .skipped
        .retain(|_, reason| !reason.contains("`qemu-system"));
    for (time, name) in results.slowest.iter().take(SLOWEST) {
        println!("{series}: {:6.1} s {name}", time.as_secs_f64());
    }
    println!(
        "{series}: {} passed, {} failed, {} skipped, {} s",
        results.passed.len(),
        results.failed.len(),
        results.skipped.len(),
        started.elapsed().as_secs()
    );
    for (name, reason) in &results.skipped {
        println!("{series}: skipped {name}: {reason}");
    }
    let counts = [&results.passed, &results.failed].map(Vec::len);
    if only.is_empty() {
        keep(series, counts, results.skipped.len(), &results.programs)?;
    }
    let failed = &results.failed;
    ensure!(failed.is_empty(), "on {series}: {failed:?}");
    ensure!(!results.passed.is_empty(), "on {series}: no case passed");
    ensure!(
        unexpected.is_empty(),
        "on {series}, not as tests/e2e/kernels.tsv says:\n{}",
        unexpected.join("\n")
    );
    Ok(())
}

/// Cases that failed while the kernel left out programs, and how often it did.
fn unrun(results: &Results) -> Vec<(String, u64)> {
    let failed = results.failed.iter();
    failed
        .filter_map(|name| Some((name.clone(), *results.unrun.get(name)?)))
        .collect()
}

/// What became of those when they ran again, in lines that `cargo xtask test` tells at its end.
fn settle(results: &mut Results, unrun: &[(String, u64)], again: &Results) -> Vec<String> {
    let settled = unrun.iter().map(|(name, count)| {
        let passed = again.passed.contains(name);
        if passed {
            results.failed.retain(|failed| failed != name);
            results.passed.push(name.clone());
        }
        let outcome = if passed { "ok" } else { "FAILED" };
        format!(
            "AGAIN: {name}: failed where {count} runs of programs were left out by the kernel \
             (ADR 18), tried again: {outcome}"
        )
    });
    settled.collect()
}

#[test]
fn only_what_failed_where_programs_were_left_out_may_pass_again() {
    let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    let mut results = Results {
        passed: names(&["a"]),
        failed: names(&["b", "c", "d"]),
        unrun: [("a", 5), ("b", 7), ("d", 9)]
            .map(|(name, count)| (name.to_owned(), count))
            .into(),
        ..Results::default()
    };
    let unrun = unrun(&results);
    assert_eq!(unrun, [("b".to_owned(), 7), ("d".to_owned(), 9)]);
    let again = Results {
        passed: names(&["b", "c"]),
        failed: names(&["d"]),
        ..Results::default()
    };
    let told = settle(&mut results, &unrun, &again);
    assert!(told[0].contains("b: failed where 7") && told[0].ends_with("ok"));
    assert!(told[1].contains("d: failed where 9") && told[1].ends_with("FAILED"));
    assert_eq!(results.passed, ["a", "b"]);
    assert_eq!(results.failed, ["c", "d"]);
}

/// Parts of names of the cases that are not even begun on a kernel.
fn left_out(series: &str) -> Vec<&'static str> {
    let once = if series == ONCE_ON { &[][..] } else { &ONCE };
    LEFT_OUT.iter().chain(once).copied().collect()
}

/// What skipped although it must run, or for another reason than said; and, if `all` were to run, what
/// ran although it is said not to.
fn unexpected(series: &str, skipped: &BTreeMap<String, String>, all: bool) -> Vec<String> {
    let rows = CANNOT.lines().filter(|line| !line.starts_with('#'));
    let rows = rows.filter_map(|line| {
        let mut cells = line.split('\t');
        let row = (cells.next()?, cells.next()?);
        let mut kernels = cells
            .next()
            .into_iter()
            .flat_map(|cell| cell.split(' '))
            .peekable();
        let here = kernels.peek().is_none() || kernels.any(|kernel| kernel == series);
        here.then_some(row)
    });
    let expected: BTreeMap<&str, &str> = rows.collect();
    let is_said = |name: &str, reason: &str| {
        let needs = expected.get(name);
        needs.is_some_and(|needs| reason.starts_with(&format!("needs `{needs}`")))
    };
    let other = skipped
        .iter()
        .filter(|(name, reason)| !is_said(name, reason));
    let other = other.map(|(name, reason)| format!("{name} skipped: {reason}"));
    let ran = expected
        .keys()
        .filter(|name| all && !skipped.contains_key(**name));
    let ran = ran.map(|name| format!("{name} did not skip"));
    other.chain(ran).collect()
}

#[test]
fn a_skip_that_is_not_listed_is_found() {
    let needs = |what: &str| format!("needs `{what}`; run this");
    let skipped = |cases: &[(&str, &str)]| -> BTreeMap<String, String> {
        let pairs = cases.iter();
        pairs
            .map(|(name, what)| ((*name).to_owned(), needs(what)))
            .collect()
    };
    let uring = ("uring::io_uring_on_this_host", "io_uring");
    for (series, cases, found) in [
        (
            "5.10",
            &[uring, ("hung::a_hung_dockerd_delays_nothing", "dockerd")][..],
            None,
        ),
        (
            "6.1",
            &[uring],
            Some("uring::io_uring_on_this_host skipped: needs `io_uring`"),
        ),
        (
            "6.1",
            &[("dns::names_behind_a_firewall", "dockerd")],
            Some("dns::names_behind"),
        ),
        (
            "6.1",
            &[("descriptors::calls_on_descriptors", "perl")],
            Some("descriptors::"),
        ),
    ] {
        let complaints = unexpected(series, &skipped(cases), false);
        assert_eq!(
            complaints.len(),
            usize::from(found.is_some()),
            "{complaints:?}"
        );
        assert!(
            complaints
                .iter()
                .all(|line| line.starts_with(found.unwrap_or(line)))
        );
    }
    let all = unexpected("6.1", &BTreeMap::new(), true);
    assert!(
        all.contains(&"dns::names_in_a_container did not skip".to_owned()),
        "{all:?}"
    );
}

/// Its cases are others: the suite's own programs are not built for that machine.
fn passes_on_arm(series: &str) -> Result<()> {
    let (passed, programs) = arm::cases_on(series)?;
    keep(series, [passed, 0], 0, &programs)
}

/// Leaves what `cargo xtask kernels` makes its tables from; every kind has to be served.
fn keep(
    series: &str,
    [passed, failed]: [usize; 2],
    skipped: usize,
    programs: &Value,
) -> Result<()> {
    let folder = paths::root().join("target/kernels");
    fs::create_dir_all(&folder)?;
    let report = json!({
        "passed": passed,
        "failed": failed,
        "skipped": skipped,
        "programs": programs,
    });
    let file = folder.join(format!("{series}.json"));
    fs::write(file, format!("{report:#}\n"))?;
    let kinds = programs["kinds"].as_object();
    let blind = kinds.into_iter().flatten().find(|(_, tier)| tier.is_null());
    ensure!(blind.is_none(), "on {series}, nothing serves {blind:?}");
    maps::check(programs)
}

macro_rules! kernels {
    ($($case:ident $series:literal;)*) => {
        $(#[test]
        fn $case() -> Result<()> {
            skip_if!(daemon::obstacle());
            skip_if!(suite::obstacle($series));
            passes_on($series)
        })*
    };
}

kernels! {
    passes_on_linux_5_10 "5.10";
    passes_on_linux_6_1 "6.1";
    passes_on_linux_6_12 "6.12";
    passes_on_the_newest_linux "newest";
}

macro_rules! arm_kernels {
    ($($case:ident $series:literal;)*) => {
        $(#[test]
        fn $case() -> Result<()> {
            skip_if!(arm::obstacle($series));
            passes_on_arm($series)
        })*
    };
}

arm_kernels! {
    passes_on_linux_6_1_on_aarch64 "6.1-arm64";
    passes_on_linux_6_12_on_aarch64 "6.12-arm64";
}
