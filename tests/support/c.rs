//! Small programs in C, for what needs memory that is shared with the kernel.
//!
//! A guest has no compiler: it comes with those that its cases call, on the search path.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::{paths, skip};

/// Why there can be no program `name`, if so.
pub fn obstacle(name: &str) -> Option<String> {
    if paths::program(name).is_some() {
        return None;
    }
    skip::without(&["gcc"])
}

/// Puts the program of this name there: the one on the search path, or what `compile` makes.
///
/// # Errors
///
/// When it cannot be copied, and those of `compile`.
pub fn provide(program: &Path, compile: impl FnOnce(&Path) -> Result<()>) -> Result<()> {
    let name = program.file_name().and_then(|name| name.to_str());
    match paths::program(name.context("a program without a name")?) {
        Some(ready) => drop(std::fs::copy(ready, program)?),
        None => compile(program)?,
    }
    Ok(())
}

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
