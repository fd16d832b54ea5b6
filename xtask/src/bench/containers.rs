//! Containers without a runtime: cgroups with the names that Docker gives them, and a process that
//! waits in each.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Child;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};

use super::loops::Program;
use crate::workspace;

/// So many; dropped, they end.
#[derive(Debug)]
pub(super) struct Containers {
    cgroups: Vec<PathBuf>,
    processes: Vec<Child>,
}

impl Containers {
    pub(super) fn make(count: u32, loops: &Program) -> Result<Self> {
        let root = ["/sys/fs/cgroup/unified", "/sys/fs/cgroup"].map(Path::new);
        let root = root
            .into_iter()
            .find(|root| root.join("cgroup.controllers").exists());
        let root = root.context("no unified cgroup hierarchy is mounted")?;
        let mut containers = Self {
            cgroups: Vec::new(),
            processes: Vec::new(),
        };
        for number in 0..count {
            let cgroup = root.join("docker").join(format!("be{number:062x}"));
            fs::create_dir_all(&cgroup)?;
            containers.cgroups.push(cgroup.clone());
            let process = loops.command(&["pause"]).spawn()?;
            let pid = process.id();
            containers.processes.push(process);
            fs::write(cgroup.join("cgroup.procs"), pid.to_string())?;
        }
        Ok(containers)
    }

    /// The loops, as a program that runs itself in the first of them.
    pub(super) fn inside(&self, loops: &Program) -> Result<Program> {
        let cgroup = self.cgroups.first().context("there is no container")?;
        let script = workspace::target().join("bench/inside");
        let text = format!(
            "#!/bin/sh\necho $$ >{}/cgroup.procs\nexec {} \"$@\"\n",
            cgroup.display(),
            loops.path().display()
        );
        fs::write(&script, text)?;
        fs::set_permissions(&script, fs::Permissions::from_mode(0o755))?;
        Ok(Program::at(script))
    }
}

impl Drop for Containers {
    fn drop(&mut self) {
        for process in &mut self.processes {
            let _ = process.kill();
            let _ = process.wait();
        }
        for cgroup in &self.cgroups {
            // The kernel may take a moment to see that the last process has gone.
            for _ in 0..100 {
                if fs::remove_dir(cgroup).is_ok() {
                    break;
                }
                thread::sleep(Duration::from_millis(10));
            }
        }
        // Docker's own, when it has containers, is not empty and stays.
        let _ = self
            .cgroups
            .first()
            .and_then(|cgroup| fs::remove_dir(cgroup.parent()?).ok());
    }
}
