//! What the daemon may no longer do once it says `ready`, as anybody can see in `/proc`.

use std::fs;

use anyhow::{Context as _, Result, ensure};
use monitor_tests::daemon::{self, Daemon, is_from};
use monitor_tests::{skip_if, wait};

use crate::actions::{Programs, run};
use crate::world::{PATIENCE, watch};

/// `CAP_DAC_OVERRIDE`, `_DAC_READ_SEARCH`, `_NET_ADMIN`, `_SYS_PTRACE`, `_SYS_ADMIN`, `_PERFMON` and
/// `_BPF`: docs/reference/confinement.md.
const KEPT: u64 = 0x0000_00c0_0028_1006;

const RULES: &str = "
- rule: needle
  desc: an open
  condition: evt.type in (open, openat, openat2) and fd.name endswith /e2e-confined
  output: opened %fd.name
  priority: NOTICE
";

#[test]
fn all_threads_are_confined_and_the_self_check_goes_on() -> Result<()> {
    skip_if!(daemon::obstacle());
    let programs = Programs::new()?;
    let mut daemon = watch(&programs, RULES, "")?;
    let process = format!("/proc/{}", daemon.pid());
    let mut threads = 0;
    for entry in fs::read_dir(format!("{process}/task"))? {
        let status = fs::read_to_string(entry?.path().join("status"))?;
        is_confined(&status).with_context(|| status.clone())?;
        threads += 1;
    }
    ensure!(threads > 3, "{threads} threads");
    // Its one child is who starts those of the self-check.
    let helper = helper(&daemon)?;
    let command = fs::read_to_string(format!("/proc/{helper}/cmdline"))?;
    ensure!(command.ends_with("self-check\0--serve\0"), "{command:?}");
    run(std::process::Command::new("cat").arg(programs.folder().join("e2e-confined")))?;
    daemon.wait_for("the needle", PATIENCE, |alert| is_from(alert, "needle"))?;
    let alerts = daemon.stop()?;
    ensure!(
        alerts.iter().all(|alert| is_from(alert, "needle")),
        "{alerts:?}"
    );
    wait::until("the helper's end", PATIENCE, || {
        // It was here a moment ago, and ends because the daemon has.
        let command = fs::read(format!("/proc/{helper}/cmdline")).unwrap_or_default();
        Ok(command.is_empty().then_some(()))
    })
}

/// The process that starts the children of the self-check: the only one that the daemon has started.
pub(crate) fn helper(daemon: &Daemon) -> Result<String> {
    let pid = daemon.pid();
    let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"))?;
    let mut children = children.split_whitespace();
    let first = children.next().context("no helper")?;
    ensure!(children.next().is_none(), "more than the helper");
    Ok(first.to_owned())
}

fn is_confined(status: &str) -> Result<()> {
    let value = |name: &str| {
        let mut lines = status.lines();
        lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(":\t"))
    };
    ensure!(value("Seccomp") == Some("2"), "no filter of system calls");
    ensure!(value("NoNewPrivs") == Some("1"), "new privileges");
    for set in ["CapEff", "CapPrm", "CapBnd"] {
        let bits = u64::from_str_radix(value(set).context("no such line")?, 16)?;
        ensure!(bits & !KEPT == 0, "{set} has more");
    }
    Ok(())
}
