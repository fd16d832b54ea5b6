//! This suite itself on the kernels of other Debian releases.
//!
//! The cases that need guests, containers or services skip there, with their reasons; every other
//! one must pass. A case that skips for another reason than a missing program fails.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use monitor_tests::{daemon, skip_if, suite};

/// Emulation without help by the hardware, and two CPUs.
const WITHIN: Duration = Duration::from_mins(15);

/// Cases about no kernel, some of which are about time, which an emulated program has too little
/// of; and these here.
const LEFT_OUT: [&str; 4] = ["robust::", "rule_tests::", "dist::", "kernels::"];

fn passes_on(series: &str) -> Result<()> {
    let executable = std::env::current_exe()?;
    let programs = [env!("CARGO_BIN_EXE_uring-open").as_ref()];
    let tree = suite::tree(&executable, &programs)?;
    let started = Instant::now();
    let results = suite::run(series, &tree, &executable, &LEFT_OUT, WITHIN)?;
    println!(
        "{series}: {} passed, {} failed, {} skipped, {} s",
        results.passed.len(),
        results.failed.len(),
        results.skipped.len(),
        started.elapsed().as_secs()
    );
    for (name, reason) in &results.skipped {
        println!("{series}: skipped {name}: {reason}");
        ensure!(reason.starts_with("needs `"), "{name}: {reason}");
    }
    let failed = &results.failed;
    ensure!(failed.is_empty(), "on {series}: {failed:?}");
    ensure!(!results.passed.is_empty(), "on {series}: no case passed");
    Ok(())
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
