//! Small programs in C, for what needs memory that is shared with the kernel.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};

/// Compiles `source` to `program`, with `options` of gcc's.
///
/// # Errors
///
/// When there is no compiler, or when it finds an error or a reason to warn.
pub fn compile(source: &Path, program: &Path, options: &[&str]) -> Result<()> {
    let output = Command::new("gcc")
        .args(["-O1", "-Wall", "-Wextra", "-Werror"])
        .args(options)
        .arg("-o")
        .args([program, source])
        .output()
        .context("cannot run gcc")?;
    let complaint = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{}: {complaint}", source.display());
    Ok(())
}
