//! The daemon's own self-test: it sees all that it tries on this host, and leaves nothing behind.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, ensure};
use monitor_tests::{daemon, paths, skip, skip_if};
use serde_json::Value;

use crate::case::ROWS;

#[test]
fn the_self_test_sees_what_it_does() -> Result<()> {
    skip_if!(daemon::obstacle());
    let child = Command::new(paths::daemon()?)
        .args(["selftest", "--format", "json"])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    let name = format!("monitor-selftest-{}", child.id());
    let output = child.wait_with_output()?;
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
    assert_eq!(left_behind(&name)?, [""; 0]);
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
const DETECTED: usize = if cfg!(target_arch = "x86_64") { 44 } else { 43 };

/// What is left of a self-test: folders and cgroups of its name, and processes that were told it.
fn left_behind(name: &str) -> Result<Vec<String>> {
    let temporary = std::env::temp_dir();
    let places = [
        &temporary,
        Path::new("/var/tmp"),
        Path::new("/sys/fs/cgroup"),
        Path::new("/sys/fs/cgroup/unified"),
    ];
    let mut found = Vec::new();
    for place in places.map(|place| place.join(name)) {
        if place.exists() {
            found.push(place.display().to_string());
        }
    }
    for process in fs::read_dir("/proc")? {
        // One that has ended says nothing, and what is no process neither.
        let line = fs::read(process?.path().join("cmdline")).unwrap_or_default();
        let line = String::from_utf8_lossy(&line).into_owned();
        if line.contains(name) {
            found.push(line);
        }
    }
    Ok(found)
}
