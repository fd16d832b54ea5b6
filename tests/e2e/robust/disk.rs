//! No room where alerts are written.

use std::fs;

use anyhow::{Result, ensure};
use monitor_tests::disk::Disk;
use monitor_tests::{daemon, skip_if, wait};

use super::{RULES, Subject, needle};
use crate::actions::Programs;
use crate::world::PATIENCE;

/// Alerts of this many bytes and more fill the little disk soon.
const PADDING: usize = 1500;
/// Without a change of the file's name there is nothing else that fails.
const ERRORS: &str = "monitor_alert_write_errors_total{output=\"file\"}";
const LOST: &str = "monitor_alerts_lost_total{output=\"file\",reason=\"queue_full\"}";
const WRITTEN: &str = "monitor_alerts_total{output=\"file\"}";

#[test]
fn a_full_disk_costs_what_is_counted_and_no_line_is_torn() -> Result<()> {
    skip_if!(daemon::obstacle());
    let programs = Programs::new()?;
    let disk = Disk::new(&programs.folder().join("disk"), "128k")?;
    let alerts = disk.folder().join("alerts.jsonl");
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
    // The queue may be full for a moment yet.
    let from = sent;
    wait::until("an alert of now", PATIENCE, || {
        needle(sent, 0)?;
        sent += 1;
        let content = fs::read_to_string(&alerts)?;
        let mut new = (from..sent).map(|number| format!("e2e-fault-{number}-"));
        Ok(new.any(|end| content.contains(&end)).then_some(()))
    })?;
    needle(sent, 0)?;
    subject.wait_for(sent)?;
    sent += 1;
    let (lost, written) = (subject.metric(LOST)?, subject.metric(WRITTEN)?);
    let subject = subject.stop()?;
    let needles = subject.needles()?;
    ensure!(needles.is_sorted_by(|a, b| a < b), "{needles:?}");
    // What tells of the first loss, and of others once a minute, is written or lost too.
    let (came, sent) = (needles.len() as u64, u64::from(sent));
    let told = (written + lost).saturating_sub(sent);
    ensure!(
        (1..=PATIENCE.as_secs()).contains(&told) && (came..=came + told).contains(&written),
        "{sent} needles: {came} in the file, {written} written, {lost} lost"
    );
    Ok(())
}
