//! A private container registry on a loopback port, which dockerd takes without TLS.

use std::fs::{self, File};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use tempfile::TempDir;

use crate::{http, skip, wait};

const START: Duration = Duration::from_mins(1);
const STOP: Duration = Duration::from_secs(30);

/// Why no registry can be started here, if so.
pub fn obstacle() -> Option<String> {
    skip::without(&["docker-registry"])
}

/// A running registry; on drop it is stopped and its images deleted.
#[derive(Debug)]
pub struct Registry {
    process: Child,
    folder: TempDir,
    port: u16,
}

impl Registry {
    /// Starts an empty one and waits until it answers.
    ///
    /// # Errors
    ///
    /// When it ends or does not answer; its log is in the error.
    pub fn start() -> Result<Self> {
        let folder = TempDir::with_prefix("registry-")?;
        let port = http::free_port()?;
        let process = spawn(folder.path(), port)?;
        let mut registry = Self {
            process,
            folder,
            port,
        };
        let ready = wait::until("an answer of the registry", START, || {
            if let Some(status) = registry.process.try_wait()? {
                bail!("docker-registry ended with {status}");
            }
            Ok(http::fetch(port, "/v2/").ok())
        });
        ready.with_context(|| registry.log())?;
        Ok(registry)
    }

    /// How image names that live here begin, such as `127.0.0.1:5000`.
    pub fn host(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        // It ends by the signal and not with status 0, which says nothing.
        if let Err(error) = wait::terminate(&mut self.process, STOP) {
            eprintln!("docker-registry: {error:#}");
        }
    }
}

fn spawn(folder: &Path, port: u16) -> Result<Child> {
    let configuration = folder.join("config.yml");
    let images = folder.join("images");
    let text = format!(
        "version: 0.1\nstorage:\n  filesystem:\n    rootdirectory: {}\n\
         http:\n  addr: 127.0.0.1:{port}\n",
        images.display()
    );
    fs::write(&configuration, text)?;
    let log = File::create(folder.join("log"))?;
    Command::new("docker-registry")
        .arg("serve")
        .arg(configuration)
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log)
        .spawn()
        .context("cannot start docker-registry")
}
