//! The daemon's own event comes the whole way every few seconds, `/healthz` says so, and an alert
//! says when it does not.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use monitor_tests::daemon::{self, field, is_from};
use monitor_tests::{c, http, paths, skip, skip_if, wait};
use serde_json::Value;

use crate::actions::{Programs, succeed};
use crate::confined::helper;
use crate::tamper;
use crate::world::{PATIENCE, watch};

/// Matches the canary, which is nobody's event, and what else starts like it, which is.
const RULES: &str = "
- rule: anything
  desc: whatever starts
  condition: evt.type in (execve, execveat) and proc.args startswith self-check
  output: started %proc.cmdline by %proc.ppid
  priority: NOTICE
";
/// Makes the kernel take a ring for full.
const PROGRAM: &str = "silence";
/// What comes through another ring.
const OPENS: &str = "
- rule: opened
  desc: a file is read
  condition: evt.type in (open, openat) and fd.name endswith /e2e-canary-secret
  output: opened %fd.name
  priority: NOTICE
";
/// Bytes of the ring of execs.
const RING: &str = "65536";
/// One that cannot be started is told 2 s later, and tried again.
const MISSING: Duration = Duration::from_secs(20);

#[test]
fn a_missing_canary_is_told_and_health_is_by_it() -> Result<()> {
    skip_if!(daemon::obstacle());
    skip_if!(skip::without(&["prlimit"]));
    let programs = Programs::new()?;
    let port = http::free_port()?;
    let settings = format!("metrics:\n  listen: 127.0.0.1:{port}\nstate_file: off\n");
    let mut daemon = watch(&programs, RULES, &settings)?;
    let healthy = || Ok(http::fetch(port, "/healthz").ok());
    let health: Value = serde_json::from_str(&wait::until("health", PATIENCE, healthy)?)?;
    println!("{health}");
    ensure!(health["status"] == "ok", "{health}");
    let second = || Ok((count(port, "monitor_canaries_total")? >= 2.0).then_some(()));
    wait::until("the second canary", PATIENCE, second)?;
    ensure!(count(port, "monitor_canary_latency_seconds_count")? >= 2.0);
    ensure!(count(port, "monitor_canaries_missing_total")? < 0.5);

    let like = Command::new(paths::daemon()?).arg("self-check").status()?;
    ensure!(like.success(), "{like}");
    let others = |alert: &Value| is_from(alert, "anything");
    daemon.wait_for("the alert of another's", PATIENCE, others)?;

    // No child can be started without a descriptor.
    let helper = helper(&daemon)?;
    limit_files(&helper, "3:4096")?;
    let missing = |alert: &Value| is_from(alert, "Monitor internal: canary missing");
    let alert = daemon.wait_for("the alert", MISSING, missing)?;
    println!("{}", alert["output"]);
    let why = field(&alert, "canary.why").unwrap_or_default();
    ensure!(why.starts_with("not sent: "), "{alert}");
    limit_files(&helper, "4096:4096")?;
    let again = || {
        Ok(daemon
            .log()
            .contains("the canary comes again")
            .then_some(()))
    };
    wait::until("the next canary", MISSING, again)?;
    ensure!(count(port, "monitor_canaries_missing_total")? > 0.5);
    let alerts = daemon.stop()?;
    let ours = |alert: &Value| {
        is_from(alert, "anything") && field(alert, "proc.ppid").unwrap_or_default() == helper
    };
    ensure!(
        !alerts.iter().any(ours),
        "the canary is nobody's event: {alerts:#?}"
    );
    Ok(())
}

/// It is sent, and its exec does not come: somebody has silenced the ring that it comes through. Others
/// go on.
#[test]
fn a_canary_that_is_sent_and_does_not_come_is_told() -> Result<()> {
    skip_if!(daemon::obstacle());
    skip_if!(skip::without(&["bpftool"]));
    skip_if!(c::obstacle(PROGRAM));
    let programs = Programs::new()?;
    let program = programs.folder().join(PROGRAM);
    c::provide(&program, compile)?;
    let port = http::free_port()?;
    let settings = format!(
        "metrics:\n  listen: 127.0.0.1:{port}\nstate_file: off\nrings:\n  lifecycle_bytes: {RING}\n"
    );
    let mut daemon = watch(&programs, OPENS, &settings)?;
    let healthy = || Ok(http::fetch(port, "/healthz").ok());
    wait::until("health", PATIENCE, healthy)?;
    let maps = tamper::maps(&daemon)?;
    let ring = maps.get("LIFECYCLE").context("no LIFECYCLE")?;
    let mut silence = Command::new(&program)
        .args([&ring.id, RING])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    let mut line = String::new();
    BufReader::new(silence.stdout.take().context("no output")?).read_line(&mut line)?;
    ensure!(line == "silent\n", "{line:?}");
    let mark = daemon.mark()?;
    let secret = programs.folder().join("e2e-canary-secret");
    fs::write(&secret, "")?;
    let told = wait::until("the alert", 2 * MISSING, || {
        // By these the daemon knows that it reads what is newer.
        fs::read(&secret)?;
        let alerts = daemon.alerts_since(mark)?;
        let missing = |alert: &&Value| is_from(alert, "Monitor internal: canary missing");
        Ok(alerts.iter().find(missing).cloned())
    })?;
    println!("{}", told["output"]);
    let why = field(&told, "canary.why").unwrap_or_default();
    ensure!(why.starts_with("lost: "), "{told}");
    ensure!(count(port, "monitor_canaries_missing_total")? > 0.5);
    let unwell = || {
        let said = http::fetch(port, "/healthz").err();
        let said = said.map(|said| said.to_string());
        Ok(said.filter(|said| said.contains("none has come for")))
    };
    let said = wait::until("bad health", 2 * MISSING, unwell)?;
    println!("{said}");
    ensure!(said.contains(" 503 "), "{said}");
    // It ends, and the ring is the daemon's again.
    drop(silence.stdin.take());
    ensure!(silence.wait()?.success());
    let again = || {
        let log = daemon.log();
        Ok(log.contains("the canary comes again").then_some(()))
    };
    wait::until("the next canary", MISSING, again)?;
    wait::until("health again", PATIENCE, healthy)?;
    daemon.stop().map(drop)
}

fn compile(program: &Path) -> Result<()> {
    c::compile(&paths::root().join("tests/bin/silence.c"), program, &[])
}

fn limit_files(pid: &str, limits: &str) -> Result<()> {
    let files = format!("--nofile={limits}");
    succeed(Command::new("prlimit").args(["--pid", pid, &files])).map(drop)
}

/// A figure without labels.
fn count(port: u16, name: &str) -> Result<f64> {
    let text = http::fetch(port, "/metrics")?;
    let value = text
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    Ok(value.with_context(|| name.to_owned())?.parse()?)
}
