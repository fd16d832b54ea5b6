//! `run`: from a fresh machine to live alerts in one command.

use std::os::unix::process::CommandExt;

use anyhow::{Context, Result, bail};

use crate::build::{self, Profile};
use crate::setup::{self, Level};
use crate::{shell, workspace};

/// Sets up, builds, and becomes the daemon.
pub(crate) fn run(arguments: &[String]) -> Result<()> {
    if !shell::is_root() {
        bail!(
            "watching a host takes root: loading programs into the kernel is not allowed to \
             other users\n\
             build as yourself and start it as root:\n    \
             cargo xtask build && sudo target/release/monitor-daemon run"
        );
    }
    setup::setup(Level::Build)?;
    build::build(Profile::Release)?;
    let mut command = shell::without_outer_cargo(workspace::daemon());
    command.arg("run").args(arguments);
    shell::announce(&command);
    // Replaces this process, so that signals and the exit status are the daemon's own.
    Err(command.exec()).context("cannot start the daemon")
}
