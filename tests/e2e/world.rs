//! What the cases share: one daemon with upstream's stable rules, all matches reported.

use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use monitor_tests::daemon::{Daemon, Mark, is_from};
use monitor_tests::docker::Dockerd;
use monitor_tests::paths;
use serde_json::Value;

use crate::actions::{Programs, run, succeed};

/// Longest an alert may take on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

const FENCE: &str = "e2e-fence-";

pub(crate) struct World {
    pub(crate) daemon: Daemon,
    pub(crate) programs: Programs,
}

impl World {
    /// Starts the daemon on the stable rules.
    pub(crate) fn start(docker: Option<&Dockerd>) -> Result<Self> {
        let programs = Programs::new()?;
        let mut command = Command::new(paths::daemon()?);
        command.arg("run").args(arguments(&programs, docker)?);
        Ok(Self {
            daemon: Daemon::start_command(&mut command)?,
            programs,
        })
    }

    /// The same, with these lines as `/etc/hosts` of the daemon alone.
    pub(crate) fn start_with_hosts(docker: &Dockerd, hosts: &str) -> Result<Self> {
        let programs = Programs::new()?;
        let file = programs.folder().join("hosts");
        std::fs::write(&file, hosts)?;
        let mut command = Command::new("unshare");
        let script = "mount --bind \"$1\" /etc/hosts && shift && exec \"$@\"";
        command
            .args(["--mount", "sh", "-c", script, "sh"])
            .arg(file);
        command
            .arg(paths::daemon()?)
            .arg("run")
            .args(arguments(&programs, Some(docker))?);
        Ok(Self {
            daemon: Daemon::start_command(&mut command)?,
            programs,
        })
    }

    /// The alert of `rule` that `fits`.
    pub(crate) fn expect(&mut self, rule: &str, fits: impl Fn(&Value) -> bool) -> Result<Value> {
        self.expect_since(None, rule, fits)
    }

    /// The same among those behind `mark`.
    pub(crate) fn expect_since(
        &mut self,
        mark: Option<Mark>,
        rule: &str,
        fits: impl Fn(&Value) -> bool,
    ) -> Result<Value> {
        let wanted = |alert: &Value| is_from(alert, rule) && fits(&alert["output_fields"]);
        let what = format!("an alert of `{rule}`");
        match mark {
            Some(mark) => self.daemon.wait_for_since(mark, &what, PATIENCE, wanted),
            None => self.daemon.wait_for(&what, PATIENCE, wanted),
        }
    }

    /// Runs `innocent` and makes sure that `rule` says nothing of it.
    pub(crate) fn expect_quiet(
        &mut self,
        rule: &str,
        innocent: impl FnOnce(&Programs) -> Result<()>,
    ) -> Result<()> {
        let mark = self.daemon.mark()?;
        innocent(&self.programs)?;
        self.fence()?;
        let alerts = self.daemon.alerts_since(mark)?;
        // The fence itself is a search for keys.
        let loud = |alert: &&Value| is_from(alert, rule) && !alert.to_string().contains(FENCE);
        match alerts.iter().find(loud) {
            Some(alert) => bail!("`{rule}` fired on an innocent action: {alert}"),
            None => Ok(()),
        }
    }

    /// Does something that alerts and waits for it: whatever happened before has been judged.
    pub(crate) fn fence(&mut self) -> Result<()> {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let mark = format!("{FENCE}{}-{number}", std::process::id());
        let mut grep = Command::new("grep");
        run(grep.args(["BEGIN RSA PRIVATE", "/dev/null", &mark]))?;
        let fits = |fields: &Value| text(fields, "proc.cmdline").ends_with(&mark);
        self.expect("Search Private Keys or Passwords", fits)
            .map(drop)
    }
}

/// A rule for [`is_watching`].
pub(crate) const WATCHING: &str = "
- rule: needle
  desc: tells that the daemon watches
  condition: evt.type = execve and proc.exepath endswith /true
  output: needle
  priority: NOTICE
";

/// Makes sure of it, with [`WATCHING`] among the rules.
pub(crate) fn is_watching(daemon: &mut Daemon) -> Result<()> {
    succeed(&mut Command::new("true"))?;
    let alert = daemon.wait_for("the needle", PATIENCE, |alert| is_from(alert, "needle"));
    alert.map(drop)
}

/// Starts the daemon on a case's own rules. `settings` are the lines of its configuration; metrics
/// are off and no dockerd is known unless they say otherwise.
pub(crate) fn watch(programs: &Programs, rules: &str, settings: &str) -> Result<Daemon> {
    let policy = monitor_tests::daemon::policy(programs.folder(), rules)?;
    let config = configuration(programs, settings)?;
    Daemon::start(&["--config".into(), config, "--policy".into(), policy])
}

/// A file with these lines of configuration; metrics are off and no dockerd is known unless they
/// say otherwise.
pub(crate) fn configuration(programs: &Programs, settings: &str) -> Result<PathBuf> {
    let mut text = settings.to_owned();
    for (key, default) in [
        ("metrics:", "metrics:\n  listen: off\n"),
        ("docker:", "docker:\n  socket: /nonexistent/docker.sock\n"),
        ("control:", "control:\n  socket: off\n"),
    ] {
        if !text.contains(key) {
            text.push_str(default);
        }
    }
    let path = programs.folder().join("monitor.yaml");
    std::fs::write(&path, text)?;
    Ok(path)
}

/// The configuration's lines for a dockerd.
pub(crate) fn docker_settings(docker: &Dockerd) -> String {
    format!("docker:\n  socket: {}\n", docker.socket().display())
}

/// Upstream's stable rules, with a configuration that points at `docker` or at nothing.
fn arguments(programs: &Programs, docker: Option<&Dockerd>) -> Result<[PathBuf; 4]> {
    let rules = paths::upstream_rules().context("upstream's rules are missing")?;
    let docker = docker.map(docker_settings).unwrap_or_default();
    let config = configuration(programs, &format!("rule_matching: all\n{docker}"))?;
    Ok([
        "--config".into(),
        config,
        "--policy".into(),
        rules.join("falco_rules.yaml"),
    ])
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
