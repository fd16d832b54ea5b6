//! What goes wrong around the daemon: a full disk, a log server that does not read, a kill, a
//! flood at the end, and files that are not what they should be.

mod bomb;
mod disk;
mod end;
mod files;
mod input;
mod kept;
mod peer;
mod urgent;

use std::collections::HashSet;
use std::fs::{self, File};
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use monitor_tests::{daemon, http, paths, wait};
use serde_json::Value;

use crate::actions::{Programs, succeed};
use crate::world::{PATIENCE, configuration, text};

/// Longest that an end may take: outputs get five seconds.
const END: Duration = Duration::from_secs(10);

/// What a daemon writes to standard output.
const STDOUT: &str = "stdout";

/// A needle is a program with a number and as much text behind it as wanted.
const RULES: &str = "
- rule: needle
  desc: a program with a number
  condition: evt.type in (execve, execveat) and proc.name = echo and proc.args startswith e2e-fault-
  output: needle | args=%proc.args
  priority: NOTICE
";

/// A daemon whose alerts go where the case says, and that the case may kill.
struct Subject {
    process: Child,
    port: u16,
    alerts: PathBuf,
    log: PathBuf,
}

impl Subject {
    /// Starts it on `rules` and waits until it is ready. Alerts go to `alerts`; `settings` are
    /// lines below `alerts:` in its configuration.
    fn start(programs: &Programs, rules: &str, alerts: &Path, settings: &str) -> Result<Self> {
        let port = http::free_port()?;
        let policy = daemon::policy(programs.folder(), rules)?;
        let stdout = if settings.contains("  stdout: ") {
            ""
        } else {
            "  stdout: off\n"
        };
        let settings = format!(
            "state_file: off\nalerts:\n{stdout}  file: {}\n{settings}metrics:\n  \
             listen: 127.0.0.1:{port}\n",
            alerts.display()
        );
        let config = configuration(programs, &settings)?;
        let log = programs.folder().join("log");
        let process = Command::new(paths::daemon()?)
            .args(["run", "--config"])
            .arg(config)
            .arg("--policy")
            .arg(policy)
            // Where the alert log is.
            .env(daemon::STATE, programs.folder())
            .stdin(Stdio::null())
            .stdout(File::create(programs.folder().join(STDOUT))?)
            .stderr(File::create(&log)?)
            .spawn()?;
        let mut subject = Self {
            process,
            port,
            alerts: alerts.to_owned(),
            log,
        };
        wait::until("the line `ready`", PATIENCE, || {
            let log = subject.log()?;
            if let Some(status) = subject.process.try_wait()? {
                bail!("the daemon ended with {status}:\n{log}");
            }
            Ok(log.lines().any(|line| line == "ready").then_some(()))
        })?;
        Ok(subject)
    }

    fn log(&self) -> Result<String> {
        Ok(fs::read_to_string(&self.log)?)
    }

    /// A sample of its metrics, as `name` or `name{labels}`.
    fn metric(&self, name: &str) -> Result<u64> {
        let metrics = http::fetch(self.port, "/metrics")?;
        let value = metrics
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(' '))
            .with_context(|| format!("no `{name}` in:\n{metrics}"))?;
        Ok(value.parse::<f64>()? as u64)
    }

    /// The numbers of the needles in the file, in its order; of an alert that is there twice, with
    /// the same identifier, once. Fails on a line that is no alert.
    fn needles(&self) -> Result<Vec<u32>> {
        let content = fs::read_to_string(&self.alerts)?;
        ensure!(
            content.is_empty() || content.ends_with('\n'),
            "the last line is torn"
        );
        let mut seen = HashSet::new();
        let mut needles = Vec::new();
        // An alert that tells of a loss is about no needle.
        let told = |line: &&str| line.contains("Monitor internal: alerts were lost");
        for line in content.lines().filter(|line| !told(line)) {
            let (number, uuid) = number(line)?;
            if seen.insert(uuid) {
                needles.push(number);
            }
        }
        Ok(needles)
    }

    /// Waits until the file has this needle.
    fn wait_for(&self, wanted: u32) -> Result<()> {
        let end = format!("e2e-fault-{wanted}-");
        wait::until(&format!("needle {wanted}"), PATIENCE, || {
            let content = fs::read_to_string(&self.alerts)?;
            Ok(content.contains(&end).then_some(()))
        })
        .with_context(|| self.log().unwrap_or_default())
    }

    fn kill(mut self) -> Result<ExitStatus> {
        self.process.kill()?;
        let status = self.process.wait()?;
        ensure!(status.signal() == Some(9), "{status}");
        Ok(status)
    }

    /// Stops it with SIGTERM: it has to end in time and with status 0.
    fn stop(mut self) -> Result<Self> {
        let status = wait::terminate(&mut self.process, END)?;
        ensure!(status.success(), "{status}:\n{}", self.log()?);
        Ok(self)
    }
}

impl Drop for Subject {
    fn drop(&mut self) {
        // Ended already, unless the case failed.
        let _ended = self.process.kill();
        let _status = self.process.wait();
    }
}

/// Runs needle `number`, with `padding` bytes of text behind it.
fn needle(number: u32, padding: usize) -> Result<()> {
    let argument = format!("e2e-fault-{number}-{}", "x".repeat(padding));
    succeed(Command::new("/bin/echo").arg(argument)).map(drop)
}

/// The number of the needle that an alert is about, and the alert's identifier.
fn number(line: &str) -> Result<(u32, String)> {
    let alert: Value = serde_json::from_str(line).with_context(|| format!("torn: {line}"))?;
    let args = text(&alert["output_fields"], "proc.args");
    let number = args.split('-').nth(2);
    let number = number.with_context(|| format!("not a needle: {line}"))?;
    Ok((number.parse()?, text(&alert, "uuid").to_owned()))
}
