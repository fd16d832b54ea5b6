//! The daemon tells for how long nothing was watched before it was started, and why.

use std::fs;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use monitor_tests::daemon::{self, Daemon, STATE, field, is_from};
use monitor_tests::tied::Tied;
use monitor_tests::{http, paths, skip_if};
use serde_json::Value;
use tempfile::TempDir;

use crate::world::{PATIENCE, WATCHING, is_watching};

const GAP: &str = "Monitor internal: nothing was watched";

struct Runs {
    folder: TempDir,
    port: u16,
}

impl Runs {
    fn start(&self) -> Result<Daemon> {
        let mut daemon = self.launch()?;
        is_watching(&mut daemon)?;
        Ok(daemon)
    }

    /// Starts it and waits for its word that it is ready, and for nothing else.
    fn launch(&self) -> Result<Daemon> {
        let config = self.folder.path().join("monitor.yaml");
        let listen = format!("metrics:\n  listen: 127.0.0.1:{}\n", self.port);
        fs::write(&config, listen)?;
        let mut command = Command::new(paths::daemon()?);
        command.args(["run", "--config"]).arg(config);
        let policy = daemon::policy(self.folder.path(), WATCHING)?;
        command.arg("--policy").arg(policy);
        Daemon::start_command(command.env(STATE, self.folder.path()))
    }

    fn state(&self) -> Result<String> {
        Ok(fs::read_to_string(self.folder.path().join("state.json"))?)
    }
}

/// The alert of a start.
fn told(daemon: &mut Daemon) -> Result<Value> {
    daemon.wait_for("the gap's alert", PATIENCE, |alert| is_from(alert, GAP))
}

#[test]
fn a_start_tells_for_how_long_nothing_was_watched() -> Result<()> {
    skip_if!(daemon::obstacle());
    let runs = Runs {
        folder: TempDir::with_prefix("gap-")?,
        port: http::free_port()?,
    };
    let alerts = runs.start()?.stop()?;
    ensure!(
        !alerts.iter().any(|alert| is_from(alert, GAP)),
        "nothing ran before: {alerts:#?}"
    );
    ensure!(runs.state()?.contains("\"ended\":true"));

    let meanwhile = Tied(Command::new("sleep").arg("1000").spawn()?);
    let mut daemon = runs.start()?;
    let alert = told(&mut daemon)?;
    ensure!(alert["priority"] == "Notice", "{alert:#}");
    ensure!(field(&alert, "gap.why").as_deref() == Some("stopped"));
    let started = field(&alert, "gap.started").unwrap_or_default();
    let name = format!("sleep({})", meanwhile.0.id());
    ensure!(started.split(',').any(|one| one == name), "{alert:#}");
    let metrics = http::fetch(runs.port, "/metrics")?;
    let gap = metrics
        .lines()
        .find_map(|line| line.strip_prefix("monitor_gap_seconds "));
    let gap: f64 = gap.context("no such metric")?.parse()?;
    ensure!(gap > 0.0 && gap < 60.0, "{gap} s");
    ensure!(runs.state()?.contains("\"ended\":false"));

    daemon.kill()?;
    let mut daemon = runs.start()?;
    let alert = told(&mut daemon)?;
    ensure!(alert["priority"] == "Critical", "{alert:#}");
    ensure!(field(&alert, "gap.why").as_deref() == Some("killed"));
    daemon.stop()?;
    // Who is ended as soon as it is ready was stopped, not killed.
    runs.launch()?.stop()?;
    let mut daemon = runs.launch()?;
    let alert = told(&mut daemon)?;
    ensure!(field(&alert, "gap.why").as_deref() == Some("stopped"));
    daemon.stop()?;

    // As it would be found in the next boot.
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id")?;
    let other = runs.state()?.replace(boot.trim(), &"0".repeat(36));
    fs::write(runs.folder.path().join("state.json"), other)?;
    let mut daemon = runs.start()?;
    let alert = told(&mut daemon)?;
    ensure!(field(&alert, "gap.why").as_deref() == Some("host restarted"));
    ensure!(field(&alert, "gap.started").is_none(), "{alert:#}");
    daemon.stop().map(drop)
}
