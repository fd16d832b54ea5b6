//! Small programs in C, for what needs memory that is shared with the kernel.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::paths;

/// Compiles `tests/bin/SOURCE.c` to a program called `name` in `folder`; it needs no libraries.
///
/// # Errors
///
/// When there is no compiler, or when it finds an error.
pub fn compile(source: &str, folder: &Path, name: &str) -> Result<PathBuf> {
    let program = folder.join(name);
    let source = paths::root().join(format!("tests/bin/{source}.c"));
    let status = Command::new("gcc")
        .args(["-O1", "-Wall", "-Wextra", "-Werror", "-static", "-o"])
        .args([&program, &source])
        .status()
        .context("cannot run gcc")?;
    ensure!(status.success(), "gcc: {status}: `{}`", source.display());
    Ok(program)
}
