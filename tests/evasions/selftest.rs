//! The daemon's own self-test where the host refuses to let it do something. What it says
//! elsewhere is held to a table by the suite `e2e`.

use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use monitor_tests::{daemon, paths, skip, skip_if};
use serde_json::Value;

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
