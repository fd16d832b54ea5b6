//! The daemon's own self-test: what it says of each act is what `selftest.tsv` says, and it leaves
//! nothing behind.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail, ensure};
use monitor_tests::{daemon, paths, skip_if};
use serde_json::Value;

/// Each act's outcome, by kernel or machine where it is another one there.
const EXPECTED: &str = include_str!("selftest.tsv");

#[test]
fn the_self_test_says_what_is_expected_of_each_act() -> Result<()> {
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
    let report: Value = serde_json::from_str(&text).with_context(|| complaint.into_owned())?;
    let cases = report["cases"].as_array().context("no cases")?;
    let word = |case: &Value, name: &str| case[name].as_str().map(str::to_owned);
    let found: BTreeMap<(u64, String), String> = cases
        .iter()
        .filter_map(|case| {
            let key = (case["row"].as_u64()?, word(case, "name")?);
            Some((key, word(case, "outcome")?))
        })
        .collect();
    let kernel = rustix::system::uname();
    let expected = expected(&kernel.release().to_string_lossy(), std::env::consts::ARCH)?;
    ensure!(found == expected, "not as selftest.tsv says: {report:#}");
    // What is not detected says why.
    let unexplained = |case: &&Value| case["outcome"] != "detected" && case["reason"].is_null();
    assert_eq!(cases.iter().find(unexplained), None);
    let all_seen = found
        .values()
        .all(|outcome| outcome == "detected" || outcome == "not tried");
    assert_eq!(output.status.success(), all_seen, "{report:#}");
    assert_eq!(left_behind(&name)?, [""; 0]);
    Ok(())
}

/// Outcomes by row and name.
fn expected(release: &str, machine: &str) -> Result<BTreeMap<(u64, String), String>> {
    let rows = EXPECTED.lines().filter(|line| !line.starts_with('#'));
    let mut expected = BTreeMap::new();
    for line in rows {
        let cells: Vec<&str> = line.split('\t').collect();
        let [row, name, outcome, place @ ..] = cells.as_slice() else {
            bail!("selftest.tsv: {line}");
        };
        let here = |place: &&str| *place == machine || release.starts_with(&format!("{place}."));
        // One for this place comes behind that for all.
        if place.iter().all(here) {
            expected.insert((row.parse()?, (*name).to_owned()), (*outcome).to_owned());
        }
    }
    Ok(expected)
}

#[test]
fn a_row_for_a_place_counts_there_only() -> Result<()> {
    let narrow = (22, "32-bit".to_owned());
    for (machine, outcome) in [("aarch64", "not tried"), ("x86_64", "detected")] {
        assert_eq!(expected("6.12.0", machine)?[&narrow], outcome);
    }
    Ok(())
}

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
