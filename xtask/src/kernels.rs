//! `kernels`: the tables of kernels in the README and of programs in `docs/reference/programs.md`.
//!
//! Both are made from what the end-to-end suite left in `target/kernels`, a file for each kernel,
//! and from the object. A program that has grown more than a stated margin is no longer what the
//! table says: growth is to be seen by whoever makes it.

mod tables;

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use crate::{setup, shell, workspace};
use tables::{Place, Run};

/// What this machine's own kernel is called among the files.
const NATIVE: &str = "native";
/// The files, in the order of the rows.
const RUNS: [&str; 7] = [
    "5.10",
    "6.1",
    "6.12",
    setup::NEWEST,
    NATIVE,
    "6.1-arm64",
    "6.12-arm64",
];

#[derive(clap::Args)]
pub(crate) struct Options {
    /// Write the tables; otherwise they are compared
    #[arg(long)]
    write: bool,
}

/// Writes the tables, or compares them with what was found last.
pub(crate) fn kernels(options: &Options) -> Result<()> {
    let runs = runs()?;
    if runs.is_empty() {
        bail!("no results in target/kernels: run `cargo xtask test e2e`");
    }
    let object = object_sizes()?;
    if options.write {
        return write(&runs, &object);
    }
    println!("{}", tables::kernels(&runs));
    compare(&runs, &object)
}

/// The programs of the object with the number of their instructions, as a text to be read.
pub(crate) fn sizes() -> Result<String> {
    let sizes = object_sizes()?;
    let lines = sizes
        .iter()
        .map(|(name, count)| format!("{count:>8} {name}\n"));
    Ok(format!(
        "instructions of each program:\n{}",
        lines.collect::<String>()
    ))
}

/// Compares what there is with the tables.
///
/// # Errors
///
/// When a program is new, gone or has grown, or another tier serves a kind.
pub(crate) fn check() -> Result<()> {
    compare(&runs()?, &object_sizes()?)
}

/// Keeps what the suite came to on this machine's own kernel.
pub(crate) fn keep_native(passed: u64, failed: u64, skipped: u64) -> Result<()> {
    let mut doctor = Command::new(workspace::daemon());
    doctor.args(["doctor", "--programs", "--format", "json"]);
    let Some(programs) = shell::query(&mut doctor)? else {
        return Ok(());
    };
    let programs: Value = serde_json::from_str(&programs)?;
    let report =
        json!({"passed": passed, "failed": failed, "skipped": skipped, "programs": programs});
    fs::create_dir_all(folder())?;
    fs::write(
        folder().join(format!("{NATIVE}.json")),
        format!("{report:#}\n"),
    )?;
    Ok(())
}

fn folder() -> PathBuf {
    workspace::target().join("kernels")
}

fn readme() -> PathBuf {
    workspace::root().join("README.md")
}

fn programs() -> PathBuf {
    workspace::root().join("docs/reference/programs.md")
}

fn runs() -> Result<Vec<Run>> {
    let mut runs = Vec::new();
    for name in RUNS {
        let path = folder().join(format!("{name}.json"));
        if path.is_file() {
            let report = serde_json::from_str(&fs::read_to_string(&path)?);
            let report = report.with_context(|| path.display().to_string())?;
            let place = match name {
                NATIVE => Place::Native,
                setup::NEWEST => Place::Newest,
                _ => Place::Guest,
            };
            runs.push(Run::new(place, &report));
        }
    }
    Ok(runs)
}

fn write(runs: &[Run], object: &BTreeMap<String, u64>) -> Result<()> {
    let text = tables::replace(&fs::read_to_string(readme())?, &tables::kernels(runs))?;
    fs::write(readme(), text)?;
    fs::write(programs(), tables::programs(runs, object))?;
    Ok(())
}

fn compare(runs: &[Run], object: &BTreeMap<String, u64>) -> Result<()> {
    let mut complaints = tables::other_tiers(&fs::read_to_string(readme())?, runs);
    let known = fs::read_to_string(programs()).context("docs/reference/programs.md is missing")?;
    complaints.extend(tables::growth(&known, runs, object));
    if complaints.is_empty() {
        return Ok(());
    }
    bail!(
        "{}\nif that is meant, run `cargo xtask kernels --write`",
        complaints.join("\n")
    )
}

/// Instructions of each function of the object, from its symbols.
fn object_sizes() -> Result<BTreeMap<String, u64>> {
    let mut command = Command::new(setup::llvm_programs()?.join("llvm-readelf"));
    command
        .args(["--symbols", "--wide"])
        .arg(workspace::bpf_object());
    let listing = shell::query(&mut command)?.context("`llvm-readelf` does not read the object")?;
    Ok(tables::functions(&listing))
}
