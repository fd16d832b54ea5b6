//! No room where alerts are written.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Result, ensure};
use monitor_tests::{daemon, skip_if, wait};

use super::{RULES, Subject, needle};
use crate::actions::{Programs, succeed};
use crate::world::PATIENCE;

/// Alerts of this many bytes and more fill the little disk soon.
const PADDING: usize = 1500;
/// Without a change of the file's name there is nothing else that fails.
const ERRORS: &str = "monitor_alert_write_errors_total{output=\"file\"}";
const LOST: &str = "monitor_alerts_lost_total{output=\"file\",reason=\"queue_full\"}";
const WRITTEN: &str = "monitor_alerts_total{output=\"file\"}";

/// A disk in memory; it goes on drop.
pub(super) struct Disk(PathBuf);

impl Disk {
    pub(super) fn of_size(folder: &Path, size: &str) -> Result<Self> {
        fs::create_dir(folder)?;
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &format!("size={size}"), "none"]);
        succeed(mount.arg(folder))?;
        Ok(Self(folder.to_owned()))
    }

    pub(super) fn folder(&self) -> &Path {
        &self.0
    }

    pub(super) fn resize(&self, size: &str) -> Result<()> {
        let mut mount = Command::new("mount");
        succeed(
            mount
                .args(["-o", &format!("remount,size={size}")])
                .arg(&self.0),
        )
        .map(drop)
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _unmounted = Command::new("umount").arg("--lazy").arg(&self.0).status();
    }
}

#[test]
fn a_full_disk_costs_what_is_counted_and_no_line_is_torn() -> Result<()> {
    skip_if!(daemon::obstacle());
    let programs = Programs::new()?;
    let disk = Disk::of_size(&programs.folder().join("disk"), "128k")?;
    let alerts = disk.0.join("alerts.jsonl");
    let subject = Subject::start(
        &programs,
        RULES,
        &alerts,
        "  log: {path: off}\n  queue_bytes: 65536\n",
    )?;

    let mut sent = 0;
    wait::until("a loss", 3 * PATIENCE, || {
        needle(sent, PADDING)?;
        sent += 1;
        Ok((subject.metric(LOST)? > 0).then_some(()))
    })?;
    ensure!(subject.metric(ERRORS)? > 0);
    let said = |subject: &Subject| -> Result<usize> {
        Ok(subject.log()?.matches("alerts are not taken").count())
    };
    ensure!(said(&subject)? == 1, "{}", subject.log()?);
    // It goes on watching: what comes now is lost too, and counted.
    let lost = subject.metric(LOST)?;
    needle(sent, PADDING)?;
    sent += 1;
    wait::until("one more loss", PATIENCE, || {
        Ok((subject.metric(LOST)? > lost).then_some(()))
    })?;
    ensure!(said(&subject)? == 1, "{}", subject.log()?);

    disk.resize("16m")?;
    wait::until("alerts taken again", PATIENCE, || {
        Ok(subject
            .log()?
            .contains("alerts are taken again")
            .then_some(()))
    })?;
    needle(sent, 0)?;
    subject.wait_for(sent)?;
    sent += 1;
    let (lost, written) = (subject.metric(LOST)?, subject.metric(WRITTEN)?);
    let subject = subject.stop()?;
    let needles = subject.needles()?;
    ensure!(needles.is_sorted_by(|a, b| a < b), "{needles:?}");
    ensure!(
        (needles.len() as u64, written + lost) == (written, u64::from(sent)),
        "{sent} needles: {} in the file, {written} written, {lost} lost",
        needles.len()
    );
    Ok(())
}
