//! What the cases share: one daemon with upstream's stable rules, all matches reported.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use monitor_tests::daemon::Daemon;
use monitor_tests::upstream;
use serde_json::Value;

use crate::actions::{Programs, run};

/// Longest an alert may take on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) struct World {
    pub(crate) daemon: Daemon,
    pub(crate) programs: Programs,
}

impl World {
    /// Starts the daemon on the stable rules; `None`, with the reason printed, where it cannot run.
    pub(crate) fn start(docker_socket: Option<&str>) -> Result<Option<Self>> {
        let Some(rules) = upstream::rules("falco_rules.yaml") else { return Ok(None) };
        let socket = docker_socket.unwrap_or("/nonexistent/docker.sock");
        let config = format!("rule_matching: all\nmetrics: off\ndocker:\n  socket: {socket}\n");
        let daemon = Daemon::builder().policy(&rules).config(&config).start()?;
        Ok(Some(Self { daemon, programs: Programs::new()? }))
    }

    /// The alert of `rule` that `fits`.
    pub(crate) fn expect(&self, rule: &str, fits: impl Fn(&Value) -> bool) -> Result<Value> {
        let wanted = |alert: &Value| alert["rule"] == rule && fits(&alert["output_fields"]);
        self.daemon.wait_for(wanted, PATIENCE).with_context(|| format!("no alert of `{rule}`"))
    }

    /// Runs `innocent` and makes sure that `rule` says nothing of it.
    pub(crate) fn expect_quiet(
        &self,
        rule: &str,
        innocent: impl FnOnce() -> Result<()>,
    ) -> Result<()> {
        let before = self.daemon.alerts().len();
        innocent()?;
        self.fence()?;
        let alerts = self.daemon.alerts();
        if let Some(alert) = alerts.iter().skip(before).find(|alert| alert["rule"] == rule) {
            bail!("`{rule}` fired on an innocent action: {alert}");
        }
        Ok(())
    }

    /// Does something that alerts and waits for it: whatever happened before has been judged.
    pub(crate) fn fence(&self) -> Result<()> {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let mark = format!("fence-{}-{number}", std::process::id());
        let mut grep = std::process::Command::new("grep");
        run(grep.args(["BEGIN RSA PRIVATE", "/dev/null", &mark]))?;
        let fits = |fields: &Value| text(fields, "proc.cmdline").contains(&mark);
        self.expect("Search Private Keys or Passwords", fits).map(drop)
    }
}

/// A field as text, empty when missing.
pub(crate) fn text<'v>(fields: &'v Value, name: &str) -> &'v str {
    fields[name].as_str().unwrap_or_default()
}

/// Asserts fields that every alert of a case must carry.
#[track_caller]
pub(crate) fn assert_fields(alert: &Value, expected: &[(&str, Value)]) {
    for (name, value) in expected {
        assert_eq!(&alert["output_fields"][*name], value, "{name} in {alert:#}");
    }
}
