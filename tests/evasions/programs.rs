//! The programs that do what no shell can: C, for they use calls that safe Rust does not have.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use monitor_tests::paths;

/// Compiles `programs/*.c` into `folder`, each to a program of its name.
///
/// # Errors
///
/// When the compiler is missing or refuses one.
pub(crate) fn build(folder: &Path) -> Result<PathBuf> {
    fs::create_dir_all(folder)?;
    for source in fs::read_dir(paths::root().join("tests/evasions/programs"))? {
        let source = source?.path();
        if source.extension().is_none_or(|extension| extension != "c") {
            continue;
        }
        let name = source.file_stem().context("a source without a name")?;
        let output = Command::new("gcc")
            .args(["-O1", "-Wall", "-Wextra", "-pthread", "-o"])
            .args([&folder.join(name), &source])
            .output()
            .context("cannot start gcc")?;
        let complaint = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "{}: {complaint}", source.display());
    }
    Ok(folder.to_owned())
}
