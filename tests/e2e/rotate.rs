//! The alert file and a real logrotate: nothing lost, nothing twice, no signal.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use monitor_tests::daemon::field;
use monitor_tests::{daemon, paths, skip, skip_if, wait};
use serde_json::Value;

use crate::actions::{Programs, succeed};
use crate::world::{PATIENCE, watch};

const RULES: &str = r"
- rule: numbered
  desc: the case's own programs, by number
  condition: evt.type in (execve, execveat) and proc.args startswith e2e-rotate-
  output: numbered | args=%proc.args
  priority: NOTICE
";

const ROUNDS: u64 = 4;
const PER_ROUND: u64 = 25;

#[test]
fn no_alert_is_lost_or_doubled_by_logrotate() -> Result<()> {
    skip_if!(daemon::obstacle());
    skip_if!(skip::without(&["logrotate"]));
    let programs = Programs::new()?;
    let daemon = watch(&programs, RULES, "state_file: off\n")?;
    let alerts = daemon.alerts_file();
    let folder = alerts
        .parent()
        .context("the alerts have no folder")?
        .to_owned();
    let shipped = fs::read_to_string(paths::root().join("packaging/logrotate/monitor-daemon"))?;
    let config = programs.folder().join("logrotate");
    // The shipped rules for this folder and its owner, without packing, so that the case can read the
    // files.
    let rules = shipped
        .replace("/var/log/monitor", &folder.display().to_string())
        .replace("su monitor-daemon monitor-daemon", "su root root")
        .replace("    compress\n    delaycompress\n", "");
    fs::write(&config, rules)?;

    for round in 0..ROUNDS {
        for number in 0..PER_ROUND {
            let number = round * PER_ROUND + number;
            succeed(Command::new("/bin/echo").arg(format!("e2e-rotate-{number}")))?;
            // In the middle of what is being written.
            if number % PER_ROUND == PER_ROUND / 2 {
                rotate(&config, &programs.folder().join("state"))?;
            }
        }
    }
    let expected: Vec<u64> = (0..ROUNDS * PER_ROUND).collect();
    let mut found = Vec::new();
    let complete = wait::until("every number", PATIENCE, || {
        found = numbers(&folder)?;
        Ok((found.len() >= expected.len()).then_some(()))
    });
    complete.with_context(|| format!("{found:?}"))?;
    ensure!(found == expected, "{found:?}");
    let files = files(&folder)?.len() as u64;
    ensure!(files > ROUNDS, "only {files} files");
    daemon.stop()?;
    Ok(())
}

fn rotate(config: &Path, state: &Path) -> Result<()> {
    let mut logrotate = Command::new(paths::program("logrotate").context("no logrotate")?);
    succeed(
        logrotate
            .arg("--force")
            .arg("--state")
            .arg(state)
            .arg(config),
    )?;
    Ok(())
}

/// The alert file and what was made of it.
fn files(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries = fs::read_dir(folder)?.map(|entry| Ok(entry?.path()));
    let mut files: Vec<PathBuf> = entries.collect::<Result<_>>()?;
    files.retain(|file| file.to_string_lossy().contains(".jsonl"));
    Ok(files)
}

/// The numbers in all files, sorted; a line that is still being written does not count.
fn numbers(folder: &Path) -> Result<Vec<u64>> {
    let mut numbers = Vec::new();
    for file in files(folder)? {
        let text = fs::read_to_string(file)?;
        for line in text
            .split_inclusive('\n')
            .filter(|line| line.ends_with('\n'))
        {
            let alert: Value = serde_json::from_str(line).with_context(|| line.to_owned())?;
            let args = field(&alert, "proc.args").unwrap_or_default();
            numbers.push(
                args.strip_prefix("e2e-rotate-")
                    .unwrap_or_default()
                    .parse()?,
            );
        }
    }
    numbers.sort_unstable();
    Ok(numbers)
}
