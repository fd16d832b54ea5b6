//! The daemon under test: started as an operator would, watched through its alerts.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;
use tempfile::TempDir;

use crate::{paths, skip, unrun, wait};

const START: Duration = Duration::from_mins(1);
const STOP: Duration = Duration::from_secs(30);

/// Names the folder in which the daemon keeps when it was last alive; one of its own if not set.
pub const STATE: &str = "STATE_DIRECTORY";

/// Why the daemon cannot watch this host, if so.
pub fn obstacle() -> Option<String> {
    skip::not_root().or_else(|| paths::daemon().err().map(|error| error.to_string()))
}

/// A running daemon. On drop it is stopped, and the test fails unless it ended cleanly.
#[derive(Debug)]
pub struct Daemon {
    process: Child,
    folder: TempDir,
    source: File,
    unfinished: Vec<u8>,
    alerts: Vec<Value>,
    log: Arc<Mutex<String>>,
    reader: Option<JoinHandle<()>>,
    stopped: bool,
}

/// A position in the stream of alerts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mark(usize);

impl Daemon {
    /// Starts `monitor-daemon run --every-alert --alerts <file>` with further `arguments` and waits
    /// until it says that it is ready.
    ///
    /// # Errors
    ///
    /// When it ends or does not get ready; what it wrote is in the error.
    pub fn start<S: AsRef<std::ffi::OsStr>>(arguments: &[S]) -> Result<Self> {
        Self::start_command(Command::new(paths::daemon()?).arg("run").args(arguments))
    }

    /// Like [`Self::start`], for a command that has its environment and its arguments before
    /// `--alerts` set.
    ///
    /// # Errors
    ///
    /// The same.
    pub fn start_command(command: &mut Command) -> Result<Self> {
        // Cases do the same thing twice.
        Self::start_rolled_up(command.arg("--every-alert"))
    }

    /// Like [`Self::start_command`], with alerts that say the same rolled up.
    ///
    /// # Errors
    ///
    /// The same.
    pub fn start_rolled_up(command: &mut Command) -> Result<Self> {
        let folder = TempDir::with_prefix("daemon-")?;
        let path = folder.path().join("alerts.jsonl");
        let source = File::options()
            .create(true)
            .append(true)
            .read(true)
            .open(&path)?;
        command.arg("--alerts").arg(&path);
        // A run before this one is not the case's, unless it says so.
        if !command.get_envs().any(|(name, _)| name == STATE) {
            command.env(STATE, folder.path());
        }
        command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        let mut process = command.spawn().context("cannot start the daemon")?;
        let log = Arc::default();
        let reader = process
            .stderr
            .take()
            .map(|stderr| collect(stderr, Arc::clone(&log)));
        let mut daemon = Self {
            process,
            folder,
            source,
            unfinished: Vec::new(),
            alerts: Vec::new(),
            log,
            reader,
            stopped: false,
        };
        daemon.wait_until_ready()?;
        Ok(daemon)
    }

    /// Its process number.
    pub fn pid(&self) -> u32 {
        self.process.id()
    }

    /// What it wrote to standard error so far.
    pub fn log(&self) -> String {
        self.log
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// The file it writes its alerts to.
    pub fn alerts_file(&self) -> PathBuf {
        self.folder.path().join("alerts.jsonl")
    }

    /// The position behind all alerts that are out now.
    ///
    /// # Errors
    ///
    /// When the alerts cannot be read.
    pub fn mark(&mut self) -> Result<Mark> {
        self.read_alerts()?;
        Ok(Mark(self.alerts.len()))
    }

    /// The alerts that came out behind `mark` until now.
    ///
    /// # Errors
    ///
    /// When the alerts cannot be read.
    pub fn alerts_since(&mut self, mark: Mark) -> Result<&[Value]> {
        self.read_alerts()?;
        Ok(self.alerts.get(mark.0..).unwrap_or_default())
    }

    /// Waits for an alert that `accept` takes, among all since the start.
    ///
    /// # Errors
    ///
    /// When none comes `within` the time; the alerts that came and the log are in the error.
    pub fn wait_for(
        &mut self,
        what: &str,
        within: Duration,
        accept: impl Fn(&Value) -> bool,
    ) -> Result<Value> {
        self.wait_for_since(Mark(0), what, within, accept)
    }

    /// Waits for an alert behind `mark` that `accept` takes.
    ///
    /// # Errors
    ///
    /// When none comes `within` the time; the alerts that came and the log are in the error.
    pub fn wait_for_since(
        &mut self,
        mark: Mark,
        what: &str,
        within: Duration,
        accept: impl Fn(&Value) -> bool,
    ) -> Result<Value> {
        let found = wait::until(what, within, || {
            if let Some(status) = self.process.try_wait()? {
                bail!("the daemon ended with {status}");
            }
            Ok(self
                .alerts_since(mark)?
                .iter()
                .find(|alert| accept(alert))
                .cloned())
        });
        found.with_context(|| {
            let alerts = self.alerts.get(mark.0..).unwrap_or_default();
            let alerts: Vec<String> = alerts.iter().map(Value::to_string).collect();
            format!(
                "alerts that came instead:\n{}\nlog of the daemon:\n{}",
                alerts.join("\n"),
                self.log()
            )
        })
    }

    /// Stops it with SIGTERM and gives every alert it wrote, the last ones included.
    ///
    /// # Errors
    ///
    /// When it does not end, or not with status 0; its log is in the error.
    pub fn stop(mut self) -> Result<Vec<Value>> {
        self.end()?;
        self.read_alerts()?;
        ensure!(self.unfinished.is_empty(), "the last alert is incomplete");
        Ok(std::mem::take(&mut self.alerts))
    }

    /// Waits until it has ended by itself, cleanly.
    ///
    /// # Errors
    ///
    /// When it does not end `within` the time, or not with status 0; its log is in the error.
    pub fn ended(mut self, within: Duration) -> Result<()> {
        let process = &mut self.process;
        let ended = wait::until("the end of the daemon", within, || Ok(process.try_wait()?));
        self.stopped = true;
        let status = ended.with_context(|| self.log())?;
        ensure!(status.success(), "{status}: {}", self.log());
        Ok(())
    }

    /// Kills it with SIGKILL.
    ///
    /// # Errors
    ///
    /// When it has ended before.
    pub fn kill(mut self) -> Result<()> {
        self.stopped = true;
        ensure!(self.process.try_wait()?.is_none(), "{}", self.log());
        unrun::tell(self.pid());
        self.process.kill()?;
        self.process.wait()?;
        Ok(())
    }

    fn end(&mut self) -> Result<()> {
        if std::mem::replace(&mut self.stopped, true) {
            return Ok(());
        }
        unrun::tell(self.pid());
        let ended = wait::terminate(&mut self.process, STOP);
        // It ends with the daemon's standard error: not for one that may not be killed.
        if !matches!(self.process.try_wait(), Ok(None))
            && let Some(reader) = self.reader.take()
        {
            let _ = reader.join();
        }
        let status = ended.with_context(|| self.log())?;
        ensure!(
            status.success(),
            "the daemon ended with {status}:\n{}",
            self.log()
        );
        Ok(())
    }

    fn wait_until_ready(&mut self) -> Result<()> {
        let ready = wait::until("the daemon's line `ready`", START, || {
            if self.log().lines().any(|line| line == "ready") {
                return Ok(Some(()));
            }
            if let Some(status) = self.process.try_wait()? {
                self.stopped = true;
                bail!("the daemon ended with {status}");
            }
            Ok(None)
        });
        if ready.is_err() {
            // The error says it all; how it ends then is no second finding.
            self.stopped = true;
            wait::terminate(&mut self.process, STOP)?;
            if let Some(reader) = self.reader.take() {
                let _ = reader.join();
            }
        }
        ready.with_context(|| format!("log of the daemon:\n{}", self.log()))
    }

    fn read_alerts(&mut self) -> Result<()> {
        self.source.read_to_end(&mut self.unfinished)?;
        // A line without its end is still being written.
        let Some(end) = self.unfinished.iter().rposition(|byte| *byte == b'\n') else {
            return Ok(());
        };
        let rest = self.unfinished.split_off(end + 1);
        let complete = std::mem::replace(&mut self.unfinished, rest);
        for line in complete
            .split(|byte| *byte == b'\n')
            .filter(|line| !line.is_empty())
        {
            let alert = serde_json::from_slice(line).with_context(|| {
                format!("an alert is no JSON: {}", String::from_utf8_lossy(line))
            })?;
            self.alerts.push(alert);
        }
        Ok(())
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let ended = self.end();
        // A second panic while one unwinds would abort all tests.
        if thread::panicking() {
            return;
        }
        assert!(
            ended.is_ok(),
            "{:#}",
            ended.err().unwrap_or_else(|| anyhow::anyhow!(""))
        );
    }
}

/// A field of an alert, below `output_fields`, as text; `None` when it is absent or null.
pub fn field(alert: &Value, name: &str) -> Option<String> {
    match alert.get("output_fields")?.get(name)? {
        Value::Null => None,
        Value::String(text) => Some(text.clone()),
        other => Some(other.to_string()),
    }
}

/// Whether `alert` comes from the rule called `rule`.
pub fn is_from(alert: &Value, rule: &str) -> bool {
    alert.get("rule").and_then(Value::as_str) == Some(rule)
}

/// Writes a policy file into `folder` and gives its path.
///
/// # Errors
///
/// When it cannot be written.
pub fn policy(folder: &Path, text: &str) -> Result<PathBuf> {
    let path = folder.join("policy.yaml");
    fs::write(&path, text)?;
    Ok(path)
}

fn collect(stderr: ChildStderr, log: Arc<Mutex<String>>) -> JoinHandle<()> {
    thread::spawn(move || {
        for line in BufReader::new(stderr).split(b'\n').map_while(Result::ok) {
            let line = String::from_utf8_lossy(&line);
            let mut log = log.lock().unwrap_or_else(PoisonError::into_inner);
            log.push_str(&line);
            log.push('\n');
        }
    })
}
