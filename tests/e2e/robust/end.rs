//! Ends that nobody chose: killed, and stopped in the middle of a flood.

use std::fs;
use std::process::Command;
use std::time::Instant;

use anyhow::{Result, ensure};
use monitor_tests::tied::Tied;
use monitor_tests::{daemon, skip, skip_if, wait};

use super::{END, RULES, Subject, needle, number};
use crate::actions::Programs;
use crate::world::PATIENCE;

/// Matches what the flood does, so that each of its calls is an event to judge.
const OPENS: &str = "
- rule: open
  desc: makes opens wanted
  condition: evt.type in (open, openat, openat2) and proc.name = nobody
  output: open
  priority: NOTICE
";
const FLOOD: &str = "alarm 60; while (1) { open(my $file, q(<), q(/dev/null)) }";
const NEEDLES: u32 = 100;

/// Opens files without a pause.
fn flood() -> Result<Tied> {
    Ok(Tied(Command::new("perl").args(["-e", FLOOD]).spawn()?))
}

#[test]
fn after_a_kill_it_starts_again_and_goes_on_in_the_same_file() -> Result<()> {
    skip_if!(daemon::obstacle());
    let programs = Programs::new()?;
    let alerts = programs.folder().join("alerts.jsonl");
    for round in 0..3 {
        let subject = Subject::start(&programs, RULES, &alerts, "")?;
        needle(round, 0)?;
        subject.wait_for(round)?;
        ensure!(subject.needles()? == (0..=round).collect::<Vec<_>>());
        subject.kill()?;
    }
    Ok(())
}

#[test]
fn a_line_that_a_kill_cut_costs_no_other() -> Result<()> {
    skip_if!(daemon::obstacle());
    let programs = Programs::new()?;
    let alerts = programs.folder().join("alerts.jsonl");
    fs::write(&alerts, "{\"rule\": \"need")?;
    let subject = Subject::start(&programs, RULES, &alerts, "")?;
    needle(7, 0)?;
    subject.wait_for(7)?;
    subject.stop()?;
    let content = fs::read_to_string(&alerts)?;
    let lines: Vec<&str> = content.lines().collect();
    ensure!(
        lines.len() == 2 && number(lines[1])?.0 == 7,
        "the cut line and the alert: {content}"
    );
    Ok(())
}

#[test]
fn an_end_amid_a_flood_is_in_time_and_costs_no_alert() -> Result<()> {
    skip_if!(daemon::obstacle());
    skip_if!(skip::without(&["perl"]));
    let programs = Programs::new()?;
    let alerts = programs.folder().join("alerts.jsonl");
    let rules = format!("{RULES}{OPENS}");
    let subject = Subject::start(&programs, &rules, &alerts, "")?;
    let kept = "monitor_records_kept_total{kind=\"open\"}";
    let floods = [flood()?, flood()?];
    wait::until("the flood", PATIENCE, || {
        Ok((subject.metric(kept)? > 10_000).then_some(()))
    })?;
    for number in 0..NEEDLES {
        needle(number, 0)?;
    }
    let begin = Instant::now();
    let subject = subject.stop()?;
    let took = begin.elapsed();
    drop(floods);
    ensure!(took < END / 2, "{took:?}");
    let needles = subject.needles()?;
    ensure!(needles == (0..NEEDLES).collect::<Vec<_>>(), "{needles:?}");
    Ok(())
}
