//! Files by name: each with its own choice of alerts, its own format, and rotated by the daemon.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread::{self, ScopedJoinHandle};

use anyhow::{Context as _, Result, ensure};
use monitor_tests::disk::Disk;
use monitor_tests::{daemon, skip_if, wait};
use serde_json::Value;

use super::{RULES, STDOUT, Subject, needle};
use crate::actions::{Programs, succeed};
use crate::world::PATIENCE;

/// What a file with the tag gets, and standard output by its priority.
const LOUD: &str = "
- rule: loud
  desc: another program with a number
  condition: evt.type in (execve, execveat) and proc.name = echo and proc.args startswith e2e-loud-
  output: loud | args=%proc.args
  priority: WARNING
  tags: [loud]
";

/// Needles of each of so many threads: what they give is many times as long as a file may be.
const THREADS: u32 = 4;
const NEEDLES: u32 = 60;
const LOUD_ONES: u32 = 5;
const MAX_BYTES: u64 = 4096;

#[test]
fn files_have_their_own_choice_and_format_and_rotation_under_load_loses_nothing() -> Result<()> {
    skip_if!(daemon::obstacle());
    let programs = Programs::new()?;
    let folder = programs.folder();
    let file = |name: &str| folder.join(name);
    let settings = format!(
        "  stdout: cef\n  stdout_priority: warning\n  stdout_rules: ['lou*']\n  files:\n    all: {{path: {}, \
         format: text, max_bytes: {MAX_BYTES}, keep: 1000}}\n    loud: {{path: {}, format: ecs, tags: [loud]}}\n",
        file("all").display(),
        file("loud").display()
    );
    let rules = format!("{RULES}{LOUD}");
    let subject = Subject::start(&programs, &rules, &file("alerts.jsonl"), &settings)?;
    thread::scope(|scope| {
        let each = |thread: u32| (0..NEEDLES).try_for_each(|n| needle(thread * NEEDLES + n, 40));
        let threads: Vec<_> = (0..THREADS)
            .map(|thread| scope.spawn(move || each(thread)))
            .collect();
        for number in 0..LOUD_ONES {
            let argument = format!("e2e-loud-{number}");
            succeed(Command::new("/bin/echo").arg(argument))?;
        }
        let mut ended = threads.into_iter().map(ScopedJoinHandle::join);
        ended.try_for_each(|ended| ended.unwrap_or(Ok(())))
    })?;
    // Whose alert is behind all others.
    let last = THREADS * NEEDLES;
    needle(last, 40)?;
    subject.wait_for(last)?;
    subject.stop()?;

    let expected = outputs(&fs::read_to_string(file("alerts.jsonl"))?)?;
    let (found, files) = rotated(&file("all"))?;
    let found: Vec<&str> = found.lines().collect();
    ensure!(expected == found, "{expected:#?}\n{found:#?}");
    let needles = found.iter().filter(|line| line.contains("e2e-fault-"));
    ensure!(needles.collect::<BTreeSet<_>>().len() as u32 == last + 1);
    ensure!(files.len() > 5, "{files:?}");
    for file in files {
        let length = file.metadata()?.len();
        ensure!(length <= MAX_BYTES, "{} has {length}", file.display());
    }
    let loud = fs::read_to_string(file("loud"))?;
    let mut names = Vec::new();
    for line in loud.lines() {
        let document: Value = serde_json::from_str(line).context("ECS is JSON")?;
        names.push(document.pointer("/rule/name").cloned());
    }
    ensure!(
        names == vec![Some("loud".into()); LOUD_ONES as usize],
        "{loud}"
    );
    let stdout = fs::read_to_string(file(STDOUT))?;
    let is_cef = |line: &str| line.starts_with("CEF:0|monitor|") && line.contains("|loud|");
    let count = stdout.lines().filter(|line| is_cef(line)).count();
    ensure!(
        (count, stdout.lines().count()) == (LOUD_ONES as usize, LOUD_ONES as usize),
        "{stdout}"
    );
    Ok(())
}

#[test]
fn a_file_that_is_rotated_survives_a_full_disk_without_a_loss() -> Result<()> {
    skip_if!(daemon::obstacle());
    let programs = Programs::new()?;
    let disk = Disk::new(&programs.folder().join("disk"), "64k")?;
    let path = disk.folder().join("all");
    let settings = format!(
        "  files:\n    all: {{path: {}, format: text, max_bytes: 16384, keep: 1000}}\n",
        path.display()
    );
    let alerts = programs.folder().join("alerts.jsonl");
    let subject = Subject::start(&programs, RULES, &alerts, &settings)?;
    let errors = "monitor_alert_write_errors_total{output=\"file.all\"}";
    let mut sent = 0;
    wait::until("a full disk", 3 * PATIENCE, || {
        needle(sent, 1500)?;
        sent += 1;
        Ok((subject.metric(errors)? > 0).then_some(()))
    })?;
    needle(sent, 1500)?;
    // The others go on meanwhile.
    subject.wait_for(sent)?;
    disk.resize("16m")?;
    let written = "monitor_alerts_total{output=\"file.all\"}";
    wait::until("all alerts", PATIENCE, || {
        Ok((subject.metric(written)? > u64::from(sent)).then_some(()))
    })
    .with_context(|| subject.log().unwrap_or_default())?;
    subject.stop()?;
    let expected = outputs(&fs::read_to_string(&alerts)?)?;
    let (found, files) = rotated(&path)?;
    let found: Vec<&str> = found.lines().collect();
    ensure!(expected == found, "{expected:#?}\n{found:#?}");
    ensure!(files.len() > 3, "{files:?}");
    Ok(())
}

/// The text lines of the alerts in a file.
fn outputs(alerts: &str) -> Result<Vec<String>> {
    let output = |line: &str| {
        let alert: Value = serde_json::from_str(line)?;
        let output = alert["output"].as_str().context("no output")?;
        Ok(output.to_owned())
    };
    alerts.lines().map(output).collect()
}

/// What is in a file and in those that it was before, the oldest first, and which these are.
fn rotated(path: &Path) -> Result<(String, Vec<PathBuf>)> {
    let before = (1..).map(|n| path.with_extension(n.to_string()));
    let mut files = vec![path.to_owned()];
    files.extend(before.take_while(|path| path.exists()));
    files.reverse();
    let texts: Result<Vec<String>, _> = files.iter().map(fs::read_to_string).collect();
    Ok((texts?.concat(), files))
}
