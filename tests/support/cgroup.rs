//! Cgroups made by hand: what container runtimes do, without a runtime.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result};

/// Where the unified hierarchy is mounted: beside those of v1 on a hybrid host, else alone.
///
/// # Errors
///
/// When there is none.
pub fn unified() -> Result<PathBuf> {
    ["/sys/fs/cgroup/unified", "/sys/fs/cgroup"]
        .into_iter()
        .map(PathBuf::from)
        .find(|root| root.join("cgroup.controllers").exists())
        .context("no unified cgroup hierarchy is mounted")
}

/// A cgroup; on drop it and what was made above it is removed.
#[derive(Debug)]
pub struct Cgroup {
    path: PathBuf,
    made: Vec<PathBuf>,
}

impl Cgroup {
    /// Makes the cgroup at `path` below the root of the unified hierarchy, and those above it.
    ///
    /// # Errors
    ///
    /// When it cannot be made.
    pub fn make(path: &str) -> Result<Self> {
        let path = unified()?.join(path.trim_start_matches('/'));
        let made = path
            .ancestors()
            .take_while(|above| !above.exists())
            .map(Path::to_owned)
            .collect();
        fs::create_dir_all(&path).with_context(|| format!("cannot make `{}`", path.display()))?;
        Ok(Self { path, made })
    }

    /// A program that is in the cgroup when it begins.
    pub fn command(&self, program: impl AsRef<Path>) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", "echo $$ >\"$0\" && exec \"$@\""]);
        command.arg(self.processes()).arg(program.as_ref());
        command
    }

    /// The file that takes processes.
    pub fn processes(&self) -> PathBuf {
        self.path.join("cgroup.procs")
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        for path in &self.made {
            // Somebody else's process in it keeps it.
            let _ = fs::remove_dir(path);
        }
    }
}
