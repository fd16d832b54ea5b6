//! Alerts that say the same: the first comes at once, the rest as one that tells how many.

use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use monitor_tests::daemon::{self, Daemon, is_from};
use monitor_tests::{http, paths, skip_if};
use serde_json::Value;

use crate::actions::{Programs, succeed};
use crate::world::{PATIENCE, configuration, text};

const RULES: &str = "\
- rule: repeated
  desc: the case's own programs
  condition: evt.type = execve and proc.args startswith e2e-rollup-
  output: repeated | args=%proc.args pid=%proc.pid
  priority: NOTICE
- rule: different
  desc: no two are alike
  condition: evt.type = execve and proc.args startswith e2e-budget-
  output: different | args=%proc.args
  priority: NOTICE
";

const REPEATED: u64 = 20;

struct Case {
    /// Holds the folder of rules and configuration.
    _programs: Programs,
    port: u16,
    daemon: Daemon,
}

impl Case {
    fn start(rollup: &str) -> Result<Self> {
        let programs = Programs::new()?;
        let port = http::free_port()?;
        let settings = format!(
            "alerts:\n  rollup: {rollup}\nmetrics:\n  listen: 127.0.0.1:{port}\nstate_file: off\n"
        );
        let config = configuration(&programs, &settings)?;
        let policy = daemon::policy(programs.folder(), RULES)?;
        let mut command = Command::new(paths::daemon()?);
        command.arg("run").arg("--config").arg(config);
        let daemon = Daemon::start_rolled_up(command.arg("--policy").arg(policy))?;
        Ok(Self {
            _programs: programs,
            port,
            daemon,
        })
    }
}

fn act(argument: &str) -> Result<()> {
    succeed(Command::new("/bin/echo").arg(argument)).map(drop)
}

#[test]
fn what_is_repeated_is_told_once_and_counted() -> Result<()> {
    skip_if!(daemon::obstacle());
    let mut case = Case::start("{window_seconds: 5}")?;
    for _ in 0..REPEATED {
        act("e2e-rollup-same")?;
    }
    act("e2e-rollup-other")?;
    let is_summary = |alert: &Value| is_from(alert, "repeated") && again(alert).is_some();
    let summary = case.daemon.wait_for("the count", PATIENCE, is_summary)?;
    println!("{}", summary["output"]);
    let metrics = http::fetch(case.port, "/metrics")?;
    let alerts = case.daemon.stop()?;
    let same: Vec<&Value> = alerts
        .iter()
        .filter(|alert| text(&alert["output_fields"], "proc.args") == "e2e-rollup-same")
        .collect();
    let first = same.first().context("no alert")?;
    ensure!(again(first).is_none(), "{first}");
    ensure!(summary["output_fields"]["rollup.uuid"] == first["uuid"]);
    ensure!(summary["output_fields"]["rollup.first"] == first["output_fields"]["evt.time"]);
    // On a slow machine, one window may not hold all.
    let told: u64 = same.iter().map(|alert| again(alert).unwrap_or(1)).sum();
    ensure!(told == REPEATED, "{told} of {REPEATED}: {same:#?}");
    ensure!(same.len() < REPEATED as usize / 2, "{}", same.len());
    let other = alerts
        .iter()
        .filter(|alert| text(&alert["output_fields"], "proc.args") == "e2e-rollup-other");
    ensure!(
        other.count() == 1,
        "what says something else is told by itself"
    );
    let counted = "monitor_alerts_rolled_up_total{reason=\"same\",rule=\"repeated\"} ";
    ensure!(metrics.contains(counted), "{metrics}");
    Ok(())
}

#[test]
fn a_rule_over_its_budget_is_counted_and_all_is_told_at_the_end() -> Result<()> {
    skip_if!(daemon::obstacle());
    let mut case = Case::start("{window_seconds: 3600, rule_alerts: 5}")?;
    for number in 0..REPEATED {
        act(&format!("e2e-budget-{number}"))?;
    }
    act("e2e-rollup-fence")?;
    let fence = |alert: &Value| is_from(alert, "repeated");
    case.daemon.wait_for("the fence", PATIENCE, fence)?;
    let alerts = case.daemon.stop()?;
    let of_rule = alerts.iter().filter(|alert| is_from(alert, "different"));
    let told: Vec<Option<u64>> = of_rule.map(again).collect();
    // Five, the first over the budget, and the count of the rest.
    let expected = [None, None, None, None, None, None, Some(REPEATED - 6)];
    ensure!(told == expected, "{told:?}");
    Ok(())
}

/// How many more an alert tells of.
fn again(alert: &Value) -> Option<u64> {
    alert["output_fields"]["rollup.count"].as_u64()
}
