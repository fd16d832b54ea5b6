//! The daemon's own self-test: it sees all that it tries on this host, and leaves nothing behind.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use monitor_tests::{daemon, paths, skip, skip_if};
use serde_json::Value;

use crate::case::ROWS;

#[test]
fn the_self_test_sees_what_it_does() -> Result<()> {
    skip_if!(daemon::obstacle());
    let before = left_behind()?;
    let output = Command::new(paths::daemon()?)
        .args(["selftest", "--format", "json"])
        .output()?;
    let text = String::from_utf8_lossy(&output.stdout);
    let complaint = String::from_utf8_lossy(&output.stderr);
    ensure!(
        output.status.success(),
        "{}: {text}{complaint}",
        output.status
    );
    let report: Value = serde_json::from_str(&text).with_context(|| complaint.into_owned())?;
    let cases = report["cases"].as_array().context("no cases")?;
    let rows: BTreeSet<u64> = cases
        .iter()
        .filter_map(|case| case["row"].as_u64())
        .collect();
    assert_eq!(rows, (1..=u64::from(ROWS)).collect(), "{report:#}");
    // What cannot be tried says why from the start; nothing else may be left out.
    let of = |outcome: &str| {
        cases
            .iter()
            .filter(|case| case["outcome"] == outcome)
            .count()
    };
    assert_eq!((of("detected"), of("blind")), (DETECTED, 0), "{report:#}");
    let unexplained = |case: &&Value| case["outcome"] == "not tried" && case["reason"].is_null();
    assert_eq!(cases.iter().find(unexplained), None);
    assert_eq!(left_behind()?, before);
    Ok(())
}

/// Without the capability that one act needs.
#[test]
fn the_self_test_fails_where_an_act_is_refused() -> Result<()> {
    skip_if!(daemon::obstacle());
    skip_if!(skip::without(&["setpriv"]));
    let output = Command::new("setpriv")
        .arg("--bounding-set=-sys_chroot")
        .arg(paths::daemon()?)
        .args(["selftest", "--format", "json"])
        .output()?;
    let complaint = String::from_utf8_lossy(&output.stderr);
    let report: Value =
        serde_json::from_slice(&output.stdout).with_context(|| complaint.clone().into_owned())?;
    let cases = report["cases"].as_array().context("no cases")?;
    let refused: Vec<&Value> = cases
        .iter()
        .filter(|case| case["outcome"] == "refused")
        .map(|case| &case["name"])
        .collect();
    assert_eq!(refused, ["chroot"], "{report:#}");
    assert_eq!(output.status.code(), Some(5), "{complaint}");
    ensure!(complaint.contains("refused 1 of the acts"), "{complaint}");
    Ok(())
}

/// How many acts there are, all harmless.
const DETECTED: usize = 26;

/// What a self-test could leave.
fn left_behind() -> Result<BTreeSet<OsString>> {
    let mut found = BTreeSet::new();
    for entry in fs::read_dir(std::env::temp_dir())? {
        let name = entry?.file_name();
        if name.to_string_lossy().starts_with("monitor-selftest-") {
            found.insert(name);
        }
    }
    Ok(found)
}
