//! `bpf-linker`, which turns the kernel programs' bitcode into one object.
//!
//! It has to load the same LLVM as the compiler that wrote the bitcode, so it is built here,
//! against Debian's LLVM, unless one that fits is there already.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::{shell, workspace};

const VERSION: &str = "0.13";

/// Builds the linker for LLVM `llvm` unless a fitting one exists.
pub(super) fn install(llvm: u32) -> Result<()> {
    if let Ok(folder) = installed()
        && fits(&folder.join("bpf-linker"), llvm)?
    {
        return Ok(());
    }
    let mut command = shell::cargo();
    command
        .args(["install", "bpf-linker", "--locked", "--force", "--version"])
        .arg(format!("^{VERSION}"))
        .args([
            "--no-default-features",
            "--features",
            &format!("llvm-{llvm}"),
            "--root",
        ])
        .arg(workspace::tools())
        .env("LLVM_PREFIX", format!("/usr/lib/llvm-{llvm}"))
        .env("CARGO_TARGET_DIR", workspace::tools().join("build"));
    shell::run(&mut command).context("bpf-linker cannot be built")?;
    // Half a gigabyte that nothing reads again.
    std::fs::remove_dir_all(workspace::tools().join("build")).context("cannot clean up")
}

/// The folder of the linker that [`install`] found or built.
///
/// # Errors
///
/// When there is none: `setup` has not run.
pub(crate) fn installed() -> Result<PathBuf> {
    folders()
        .into_iter()
        .find(|folder| folder.join("bpf-linker").is_file())
        .context("bpf-linker is missing; run `cargo xtask setup`")
}

/// Ours first: a user's own may change below us.
fn folders() -> Vec<PathBuf> {
    let home = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    let home = home.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cargo")));
    std::iter::once(workspace::tools())
        .chain(home)
        .map(|folder| folder.join("bin"))
        .collect()
}

fn fits(program: &Path, llvm: u32) -> Result<bool> {
    // Runs it, so that one whose libraries have gone does not count.
    let version = shell::query(Command::new(program).arg("--version"))?.unwrap_or_default();
    let libraries = shell::query(Command::new("ldd").arg(program))?.unwrap_or_default();
    Ok(version.starts_with(&format!("bpf-linker {VERSION}."))
        && libraries.contains(&format!("libLLVM.so.{llvm}")))
}
