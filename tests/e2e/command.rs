//! `run` as a command: what it prints, what it refuses, and with which exit code.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use monitor_tests::{daemon, paths, skip_if, wait};
use serde_json::Value;

use crate::actions::{Programs, run, succeed};
use crate::world::configuration;

const STOP: Duration = Duration::from_secs(30);

const RULES: &str = r"
- rule: needle
  desc: a program with an argument of its own
  condition: evt.type in (execve, execveat) and proc.args = e2e-needle
  output: needle | args=%proc.args uid=%user.uid
  priority: NOTICE
  tags: [b, a]
";

/// Keys of an alert, in Falco's order.
const KEYS: [&str; 10] = [
    "hostname",
    "output",
    "output_fields",
    "priority",
    "rule",
    "sequence",
    "source",
    "tags",
    "time",
    "uuid",
];

#[test]
fn a_dash_prints_json_lines_to_standard_output() -> Result<()> {
    skip_if!(daemon::obstacle());
    let programs = Programs::new()?;
    let policy = daemon::policy(programs.folder(), RULES)?;
    let mut daemon = Command::new(paths::daemon()?)
        .args(["run", "--alerts", "-", "--config"])
        .arg(configuration(&programs, "")?)
        .arg("--policy")
        .arg(policy)
        // No run before this one.
        .env(daemon::STATE, programs.folder())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    let log = BufReader::new(daemon.stderr.take().context("no standard error")?);
    let mut log = log.lines();
    // Ends with the daemon too.
    let ready = log.any(|line| line.is_ok_and(|line| line == "ready"));
    let acted = succeed(Command::new("/bin/echo").arg("e2e-needle"));
    // Whatever is on its way is written before the end.
    let ended = wait::terminate(&mut daemon, STOP)?;
    let output = daemon.wait_with_output()?;
    acted?;
    ensure!(ready && ended.success(), "{ended}, ready: {ready}");
    let text = String::from_utf8(output.stdout)?;
    let line = text.strip_suffix('\n').context("no whole line")?;
    has_the_shape(line)
}

/// One alert, in Falco's form.
fn has_the_shape(line: &str) -> Result<()> {
    let alert: Value = serde_json::from_str(line).with_context(|| line.to_owned())?;
    let keys: Vec<&str> = alert
        .as_object()
        .context("no object")?
        .keys()
        .map(String::as_str)
        .collect();
    ensure!(keys == KEYS, "{line}");
    let places = KEYS.map(|key| line.find(&format!("\"{key}\":")));
    ensure!(places.is_sorted(), "{line}");

    let time = alert["time"].as_str().context("no time")?;
    ensure!(is_rfc3339_utc(time), "{line}");
    // `12:00:00.000000001: Notice needle | …`
    let output = alert["output"].as_str().context("no output")?;
    let (of_day, rest) = output.split_once(": ").context("no prefix")?;
    ensure!(fits(of_day, "00:00:00.000000000"), "{line}");
    ensure!(
        rest.starts_with("Notice needle | args=e2e-needle uid=0"),
        "{line}"
    );
    ensure!(alert["priority"] == "Notice", "{line}");
    ensure!(alert["rule"] == "needle", "{line}");
    ensure!(alert["source"] == "syscall", "{line}");
    ensure!(alert["tags"] == serde_json::json!(["a", "b"]), "{line}");
    ensure!(alert["output_fields"]["user.uid"] == 0, "{line}");
    ensure!(alert["output_fields"]["evt.time"].is_u64(), "{line}");
    Ok(())
}

fn is_rfc3339_utc(time: &str) -> bool {
    fits(time, "0000-00-00T00:00:00.000000000Z")
}

/// Whether `text` has digits where `shape` has zeros, and else the same characters.
fn fits(text: &str, shape: &str) -> bool {
    text.len() == shape.len()
        && text
            .chars()
            .zip(shape.chars())
            .all(|(is, shape)| match shape {
                '0' => is.is_ascii_digit(),
                other => is == other,
            })
}

#[test]
fn without_root_it_says_what_to_do() -> Result<()> {
    skip_if!(daemon::obstacle());
    let programs = Programs::new()?;
    // Others may not see the folder that the daemon was built in.
    fs::set_permissions(programs.folder(), fs::Permissions::from_mode(0o755))?;
    let copy = programs.folder().join("monitor-daemon");
    fs::copy(paths::daemon()?, &copy)?;
    let output = run(Command::new(copy)
        .args(["run", "--config"])
        .arg(configuration(&programs, "")?)
        .current_dir("/")
        .uid(65534)
        .gid(65534))?;
    refused(
        &output,
        3,
        "needs root: run `sudo monitor-daemon run` (missing: ",
    )
}

#[test]
fn an_unknown_key_is_named_with_its_place_and_the_nearest_one() -> Result<()> {
    skip_if!(daemon::obstacle());
    let programs = Programs::new()?;
    let config = programs.folder().join("wrong.yaml");
    fs::write(&config, "# settings\nmetrics:\n  lisen: off\n")?;
    let output = run(&mut started(&["--config".as_ref(), &config])?)?;
    refused(&output, 4, &format!("{}:3:3: ", config.display()))?;
    refused(&output, 4, "`lisen`")?;
    refused(&output, 4, "`listen`")
}

#[test]
fn a_broken_policy_is_shown_with_its_place() -> Result<()> {
    skip_if!(daemon::obstacle());
    let programs = Programs::new()?;
    let text = RULES.replace("evt.type in", "evt.typ in");
    let policy = daemon::policy(programs.folder(), &text)?;
    let output = run(&mut started(&["--policy".as_ref(), &policy])?)?;
    refused(&output, 1, &format!("{}:4:14", policy.display()))?;
    refused(&output, 1, "evt.typ")?;
    refused(&output, 1, "evt.type")
}

#[test]
fn a_missing_policy_is_named() -> Result<()> {
    skip_if!(daemon::obstacle());
    let missing = Path::new("/nonexistent/policy.yaml");
    let output = run(&mut started(&["--policy".as_ref(), missing])?)?;
    refused(&output, 1, "cannot read `/nonexistent/policy.yaml`")
}

fn started(arguments: &[&Path]) -> Result<Command> {
    let mut command = Command::new(paths::daemon()?);
    command.arg("run").args(arguments);
    Ok(command)
}

/// The daemon ended with a code and a complaint, before it was ready.
pub(crate) fn refused(output: &Output, code: i32, words: &str) -> Result<()> {
    let complaint = String::from_utf8_lossy(&output.stderr);
    ensure!(
        output.status.code() == Some(code) && complaint.contains(words),
        "{}, no `{words}` in:\n{complaint}",
        output.status
    );
    ensure!(
        !complaint.lines().any(|line| line == "ready"),
        "{complaint}"
    );
    Ok(())
}
