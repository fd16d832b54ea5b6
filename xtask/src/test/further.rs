//! What `ci` checks beyond the tests: the kernel programs' lints, the fuzz targets' own checks,
//! dependencies, and a minute of each fuzz target.

use std::process::Command;

use anyhow::Result;

use super::tally::Tally;
use super::tidy::succeeds;
use crate::setup::{self, CARGO_DENY};
use crate::{build, fuzz, shell, workspace};

/// How long each fuzz target runs, in seconds.
const FUZZING: u64 = 60;

/// The crates with a lock file of their own.
const MANIFESTS: [&str; 3] = [
    "Cargo.toml",
    "monitor-ebpf/Cargo.toml",
    "tests/fuzz/Cargo.toml",
];

/// Runs every check and counts each as one test.
pub(super) fn check(tally: &mut Tally) -> Result<()> {
    let linted = build::lint_ebpf().inspect_err(|error| eprintln!("error: {error:#}"));
    tally.check("lints of the kernel programs", linted.is_ok());
    let mut lints = shell::cargo();
    lints
        .args(["clippy", "--locked", "--all-targets", "--manifest-path"])
        .arg(workspace::root().join("tests/fuzz/Cargo.toml"))
        .args(["--", "-D", "warnings"]);
    tally.check("lints of the fuzz targets", succeeds(&mut lints));
    dependencies(tally);
    for ran in fuzz::run(&[], FUZZING)? {
        tally.check(&format!("fuzz {}", ran.target), ran.complaint.is_none());
    }
    Ok(())
}

fn dependencies(tally: &mut Tally) {
    for manifest in MANIFESTS {
        let mut deny = deny(manifest);
        deny.args(["check", "bans", "licenses", "sources"]);
        tally.check(&format!("dependencies of {manifest}"), succeeds(&mut deny));
    }
    for manifest in MANIFESTS {
        advisories(manifest, tally);
    }
}

/// Known flaws are listed in a database that has to be fetched. A machine that cannot is no reason
/// to fail, and one not to say so neither.
fn advisories(manifest: &str, tally: &mut Tally) {
    let name = format!("advisories for {manifest}");
    if succeeds(deny(manifest).args(["fetch", "db"])) {
        let mut deny = deny(manifest);
        tally.check(&name, succeeds(deny.args(["check", "advisories"])));
    } else {
        tally.skip(
            &name,
            "the database of advisories cannot be fetched from here",
        );
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
