//! Cargo's own additions, built from source in one version for all.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result};

use crate::{shell, workspace};

/// A program that `cargo install` builds.
pub(crate) struct Tool {
    name: &'static str,
    version: &'static str,
}

/// Builds fuzz targets.
pub(crate) const CARGO_FUZZ: Tool = Tool {
    name: "cargo-fuzz",
    version: "0.13.2",
};
/// Checks dependencies: licences, sources, duplicates, known flaws.
pub(crate) const CARGO_DENY: Tool = Tool {
    name: "cargo-deny",
    version: "0.20.2",
};

/// Where [`install`] puts it.
pub(crate) fn tool(tool: &Tool) -> PathBuf {
    workspace::tools().join("bin").join(tool.name)
}

/// Builds it, unless it is there in the wanted version.
pub(super) fn install(wanted: &Tool) -> Result<()> {
    let Tool { name, version } = wanted;
    let present = shell::query(Command::new(tool(wanted)).arg("--version"))?;
    if present.is_some_and(|line| line.trim_end() == format!("{name} {version}")) {
        return Ok(());
    }
    let build = workspace::tools().join("build");
    let mut command = shell::cargo();
    command
        .args(["install", name, "--locked", "--force", "--version", version])
        .arg("--root")
        .arg(workspace::tools())
        .env("CARGO_TARGET_DIR", &build);
    shell::run(&mut command).with_context(|| format!("{name} cannot be built"))?;
    std::fs::remove_dir_all(&build).context("cannot clean up")
}
