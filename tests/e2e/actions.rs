//! Things that the cases do, made of what every Debian host has: busybox, perl, coreutils.

use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use anyhow::{Context as _, Result, ensure};

/// A folder of programs under other names, for rules that go by `proc.name`.
pub(crate) struct Programs {
    folder: tempfile::TempDir,
}

impl Programs {
    pub(crate) fn new() -> Result<Self> {
        Ok(Self {
            folder: tempfile::Builder::new().prefix("e2e-").tempdir()?,
        })
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// A copy of busybox under this name; called with `arg0` it acts as that applet.
    pub(crate) fn copy(&self, name: &str) -> Result<PathBuf> {
        let path = self.folder.path().join(name);
        if !path.exists() {
            std::fs::copy("/bin/busybox", &path).context("busybox-static is missing")?;
        }
        Ok(path)
    }

    /// A shell that goes by `name`.
    pub(crate) fn shell(&self, name: &str, script: &str) -> Result<Command> {
        let mut command = Command::new(self.copy(name)?);
        command.arg0("sh").args(["-c", script]);
        Ok(command)
    }
}

/// Runs to its end, whatever its status.
pub(crate) fn run(command: &mut Command) -> Result<Output> {
    command
        .output()
        .with_context(|| format!("cannot run {command:?}"))
}

/// Runs to its end and must succeed.
pub(crate) fn succeed(command: &mut Command) -> Result<Output> {
    let output = run(command)?;
    let stderr = String::from_utf8_lossy(&output.stderr);
    ensure!(
        output.status.success(),
        "{command:?}: {}: {stderr}",
        output.status
    );
    Ok(output)
}

/// A perl one-liner: its `syscall` reaches what no tool does.
pub(crate) fn perl(script: &str) -> Command {
    let mut command = Command::new("perl");
    command.args(["-e", script]);
    command
}
