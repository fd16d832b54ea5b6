//! A real Prometheus that scrapes one local port, and its checker for metric names.

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;
use tempfile::TempDir;

use crate::{http, skip, wait};

const START: Duration = Duration::from_mins(1);
const STOP: Duration = Duration::from_secs(30);

/// Why no Prometheus can be started here, if so.
pub fn obstacle() -> Option<String> {
    skip::without(&["prometheus", "promtool"])
}

/// A running Prometheus; on drop it is stopped and its data deleted.
#[derive(Debug)]
pub struct Prometheus {
    process: Child,
    folder: TempDir,
    port: u16,
}

/// One value of an instant query.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    /// The labels with the metric's name as `__name__`.
    pub labels: Vec<(String, String)>,
    /// The value; may be infinite or no number.
    pub value: f64,
}

impl Sample {
    /// The value of a label.
    pub fn label(&self, name: &str) -> Option<&str> {
        let label = self.labels.iter().find(|(label, _)| label == name)?;
        Some(&label.1)
    }
}

impl Prometheus {
    /// Starts one that scrapes `/metrics` at `127.0.0.1:<target>` five times a second, and waits
    /// until it is ready.
    ///
    /// # Errors
    ///
    /// When it ends or does not get ready; its log is in the error.
    pub fn start(target: u16) -> Result<Self> {
        let folder = TempDir::with_prefix("prometheus-")?;
        let port = http::free_port()?;
        let process = spawn(folder.path(), port, target)?;
        let mut prometheus = Self {
            process,
            folder,
            port,
        };
        let ready = wait::until("Prometheus", START, || {
            if let Some(status) = prometheus.process.try_wait()? {
                bail!("prometheus ended with {status}");
            }
            Ok(http::fetch(port, "/-/ready").ok())
        });
        ready.with_context(|| prometheus.log())?;
        Ok(prometheus)
    }

    /// Waits until the target has been scraped with success.
    ///
    /// # Errors
    ///
    /// When that does not happen `within` the time; the reason that Prometheus gives is in the
    /// error.
    pub fn wait_until_up(&self, within: Duration) -> Result<()> {
        let up = wait::until("a successful scrape", within, || {
            let samples = self.query("up")?;
            Ok(samples
                .iter()
                .any(|sample| sample.value > 0.0)
                .then_some(()))
        });
        up.with_context(|| http::fetch(self.port, "/api/v1/targets").unwrap_or_default())
    }

    /// The samples of an instant query.
    ///
    /// # Errors
    ///
    /// When the expression is wrong.
    pub fn query(&self, expression: &str) -> Result<Vec<Sample>> {
        let path = format!("/api/v1/query?query={}", http::encoded(expression));
        let answer: Value = serde_json::from_str(&http::fetch(self.port, &path)?)?;
        let results = answer.pointer("/data/result").and_then(Value::as_array);
        let results = results.with_context(|| format!("`{expression}`: {answer}"))?;
        results
            .iter()
            .map(|result| sample(result).with_context(|| format!("`{expression}`: {result}")))
            .collect()
    }

    /// Waits until `expression` has a sample that `accept` takes, and gives it.
    ///
    /// # Errors
    ///
    /// When none comes `within` the time.
    pub fn wait_for(
        &self,
        expression: &str,
        within: Duration,
        accept: impl Fn(&Sample) -> bool,
    ) -> Result<Sample> {
        let mut last = Vec::new();
        let found = wait::until(expression, within, || {
            last = self.query(expression)?;
            Ok(last.iter().find(|sample| accept(sample)).cloned())
        });
        found.with_context(|| format!("last samples: {last:?}"))
    }

    fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        if let Err(error) = wait::terminate(&mut self.process, STOP) {
            eprintln!("prometheus: {error:#}");
        }
    }
}

/// Has `promtool check metrics` judge an exposition.
///
/// # Errors
///
/// When it finds anything; its words are in the error.
pub fn check_metrics(exposition: &str) -> Result<()> {
    let mut promtool = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .context("cannot start promtool")?;
    promtool
        .stdin
        .take()
        .context("promtool has no input")?
        .write_all(exposition.as_bytes())?;
    let output = promtool.wait_with_output()?;
    let findings = [output.stdout, output.stderr].concat();
    let findings = String::from_utf8_lossy(&findings);
    ensure!(
        output.status.success() && findings.trim().is_empty(),
        "promtool: {findings}"
    );
    Ok(())
}

fn spawn(folder: &Path, port: u16, target: u16) -> Result<Child> {
    let configuration = folder.join("prometheus.yml");
    let text = format!(
        "global:\n  scrape_interval: 200ms\n  scrape_timeout: 200ms\n\
         scrape_configs:\n- job_name: target\n  static_configs:\n\
         \x20 - targets: ['127.0.0.1:{target}']\n"
    );
    fs::write(&configuration, text)?;
    let log = File::create(folder.join("log"))?;
    Command::new("prometheus")
        .arg(format!("--config.file={}", configuration.display()))
        .arg(format!(
            "--storage.tsdb.path={}",
            folder.join("data").display()
        ))
        .arg(format!("--web.listen-address=127.0.0.1:{port}"))
        .current_dir(folder)
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log)
        .spawn()
        .context("cannot start prometheus")
}

fn sample(result: &Value) -> Option<Sample> {
    let labels = result.get("metric")?.as_object()?.iter();
    let labels = labels.map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned())));
    Some(Sample {
        labels: labels.collect::<Option<_>>()?,
        value: result.pointer("/value/1")?.as_str()?.parse().ok()?,
    })
}
