//! The programs that do what no shell can: C, for they use calls that safe Rust does not have.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use monitor_tests::{c, paths};

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
        c::compile(&source, &folder.join(name), &["-pthread"])?;
    }
    Ok(folder.to_owned())
}
