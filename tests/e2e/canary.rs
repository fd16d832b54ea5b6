//! The daemon's own event comes the whole way every few seconds, `/healthz` says so, and an alert
//! says when it does not.

use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use monitor_tests::daemon::{self, field, is_from};
use monitor_tests::{http, skip, skip_if, wait};
use serde_json::Value;

use crate::actions::{Programs, succeed};
use crate::confined::helper;
use crate::world::{PATIENCE, watch};

/// Matches the canary itself, which is nobody's event.
const RULES: &str = "
- rule: anything
  desc: whatever starts
  condition: evt.type in (execve, execveat) and proc.name startswith monitor
  output: started %proc.cmdline
  priority: NOTICE
";
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
    ensure!(
        !alerts.iter().any(|alert| is_from(alert, "anything")),
        "the canary is nobody's event: {alerts:#?}"
    );
    Ok(())
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
