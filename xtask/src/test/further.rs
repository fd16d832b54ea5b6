//! What `ci` checks beyond the tests: the kernel programs' lints, the fuzz targets' own checks,
//! dependencies, and a minute of each fuzz target.

use std::process::Command;

use super::tally::Tally;
use super::tidy::succeeds;
use crate::setup::{self, CARGO_DENY};
use crate::{bench, build, chaos, fuzz, shell, workspace};

/// How long each fuzz target runs, in seconds.
const FUZZING: u64 = 60;

/// Minutes of alerts that a log server misses.
const OUTAGE: &str = "3";

/// The check of the benchmarks.
pub(super) const BENCHMARKS: &str = "a short run of the benchmarks";

/// The crates with a lock file of their own.
const MANIFESTS: [&str; 3] = [
    "Cargo.toml",
    "monitor-ebpf/Cargo.toml",
    "tests/fuzz/Cargo.toml",
];

/// Runs every check and counts each as one test.
pub(super) fn check(tally: &mut Tally) {
    let linted = build::lint_ebpf().inspect_err(|error| eprintln!("error: {error:#}"));
    tally.check("lints of the kernel programs", linted.is_ok());
    let mut lints = shell::cargo();
    lints
        .args(["clippy", "--locked", "--all-targets", "--manifest-path"])
        .arg(workspace::root().join("tests/fuzz/Cargo.toml"))
        .args(["--", "-D", "warnings"]);
    tally.check("lints of the fuzz targets", succeeds(&mut lints));
    dependencies(tally);
    tally.check("no alert is lost in chaos", succeeds(&mut chaos::rounds()));
    let mut outage = shell::cargo();
    outage
        .args([
            "run",
            "--release",
            "--locked",
            "--package",
            "monitor-daemon",
        ])
        .args(["--example", "outage", "--", OUTAGE]);
    tally.check("an outage costs no alert", succeeds(&mut outage));
    benchmarks(tally);
    match fuzz::run(&[], FUZZING) {
        Ok(all) => {
            for ran in all {
                tally.check(&format!("fuzz {}", ran.target), ran.complaint.is_none());
            }
        }
        Err(error) => {
            eprintln!("error: {error:#}");
            tally.check("fuzz targets run", false);
        }
    }
}

/// That the instrument works: what a short run measures says little.
fn benchmarks(tally: &mut Tally) {
    if !shell::is_root() {
        return tally.skip(BENCHMARKS, "only root can start the daemon");
    }
    if !bench::has_rules() {
        return tally.skip(
            BENCHMARKS,
            "upstream's rules do not lie beside the checkout",
        );
    }
    let ran = bench::short().inspect_err(|error| eprintln!("error: {error:#}"));
    tally.check(BENCHMARKS, ran.is_ok());
}

fn dependencies(tally: &mut Tally) {
    for manifest in MANIFESTS {
        let mut deny = deny(manifest);
        deny.args(["check", "bans", "licenses", "sources"]);
        tally.check(&format!("dependencies of {manifest}"), succeeds(&mut deny));
    }
    advisories(tally);
}

/// Known flaws are listed in a database that has to be fetched. That a machine cannot is no reason
/// to fail, but one to say so.
fn advisories(tally: &mut Tally) {
    if !succeeds(deny("Cargo.toml").args(["fetch", "db"])) {
        let reason = "the database of advisories cannot be fetched from here";
        return tally.skip("advisories", reason);
    }
    for manifest in MANIFESTS {
        let mut deny = deny(manifest);
        let known = succeeds(deny.args(["check", "advisories"]));
        tally.check(&format!("advisories for {manifest}"), known);
    }
}

/// `cargo-deny` without its action.
fn deny(manifest: &str) -> Command {
    let mut command = Command::new(setup::tool(&CARGO_DENY));
    // Errors only: not every crate has every licence and every old version that is allowed.
    command
        .args([
            "--locked",
            "--log-level",
            "error",
            "--manifest-path",
            manifest,
        ])
        .args(["--config", "deny.toml"])
        .current_dir(workspace::root());
    command
}
