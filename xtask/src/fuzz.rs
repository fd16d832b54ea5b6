//! `fuzz`: bytes that nobody expects, for a while, into everything that reads what others wrote.
//!
//! The targets are the binaries of `tests/fuzz`, built with coverage instrumentation by cargo-fuzz
//! and without a sanitizer: that works with a stable compiler, and there is no unsafe code that one
//! could watch. What makes new code run is kept below `target/` and is where the next call goes on.

use std::collections::VecDeque;
use std::fs::{self, File};
use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::thread;

use anyhow::{Context, Result, bail};

use crate::setup::{self, CARGO_FUZZ, Level};
use crate::{build, shell, workspace};

/// Longest that one input may take, in seconds; also most memory for it, in MB.
const LIMITS: [&str; 2] = ["-timeout=10", "-rss_limit_mb=1024"];

#[derive(clap::Args)]
pub(crate) struct Options {
    /// Targets; all without any
    targets: Vec<String>,
    /// How long each runs
    #[arg(long, default_value_t = 60)]
    seconds: u64,
}

/// A target that has run.
pub(crate) struct Ran {
    pub(crate) target: String,
    /// The file with what it printed, when it found something.
    pub(crate) complaint: Option<PathBuf>,
}

/// Sets up, and fails when a target found something.
pub(crate) fn fuzz(options: &Options) -> Result<()> {
    setup::setup(Level::Ci)?;
    build::build_ebpf()?;
    let ran = run(&options.targets, options.seconds)?;
    let failed: Vec<&str> = ran
        .iter()
        .filter(|ran| ran.complaint.is_some())
        .map(|ran| ran.target.as_str())
        .collect();
    if !failed.is_empty() {
        bail!(
            "{}: the lines above name the inputs; `{} -minimize_crash=1 INPUT` makes one smaller",
            failed.join(", "),
            binary("TARGET").display()
        );
    }
    Ok(())
}

/// Builds and runs targets, as many at once as there are CPUs.
pub(crate) fn run(wanted: &[String], seconds: u64) -> Result<Vec<Ran>> {
    let all = targets()?;
    if let Some(unknown) = wanted.iter().find(|name| !all.contains(name)) {
        bail!(
            "no target is called `{unknown}`; there are: {}",
            all.join(", ")
        );
    }
    build_targets()?;
    let chosen = if wanted.is_empty() { &all } else { wanted };
    let queue: Mutex<VecDeque<&String>> = Mutex::new(chosen.iter().collect());
    let ran = Mutex::new(Vec::new());
    let next = || lock(&queue).pop_front();
    thread::scope(|scope| {
        let work = || {
            while let Some(target) = next() {
                let result = run_one(target, seconds);
                lock(&ran).push(result);
            }
        };
        for _ in 0..thread::available_parallelism().map_or(1, NonZero::get) {
            scope.spawn(work);
        }
    });
    ran.into_inner()
        .unwrap_or_else(PoisonError::into_inner)
        .into_iter()
        .collect()
}

/// The names of all targets, sorted.
fn targets() -> Result<Vec<String>> {
    let mut names = Vec::new();
    for file in fs::read_dir(folder().join("targets"))? {
        let file = file?.path();
        let name = file.file_stem().context("a target without a name")?;
        names.push(name.to_string_lossy().into_owned());
    }
    names.sort();
    Ok(names)
}

fn build_targets() -> Result<()> {
    let mut fuzz = shell::without_outer_cargo(setup::tool(&CARGO_FUZZ));
    fuzz.args(["build", "--sanitizer", "none", "--fuzz-dir"])
        .arg(folder())
        .arg("--target-dir")
        .arg(target_folder())
        .env("CARGO", shell::cargo().get_program())
        .current_dir(workspace::root());
    shell::run(&mut fuzz)
}

/// Runs one target; an input that it fails on is left beside its corpus.
fn run_one(target: &str, seconds: u64) -> Result<Ran> {
    let found = target_folder().join("corpus").join(target);
    fs::create_dir_all(&found)?;
    let log = target_folder().join(format!("{target}.log"));
    let mut command = Command::new(binary(target));
    command
        .arg(&found)
        .args(seeds(target))
        .args(dictionary(target))
        .args(LIMITS)
        .arg(format!("-max_total_time={seconds}"))
        .arg(format!(
            "-artifact_prefix={}/",
            prepared(&target_folder().join("found").join(target))?.display()
        ))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(File::create(&log)?);
    shell::announce(&command);
    let status = command
        .status()
        .with_context(|| format!("cannot start `{}`", shell::line(&command)))?;
    let text = fs::read(&log)?;
    let text = String::from_utf8_lossy(&text);
    if status.success() {
        let done = text.lines().rev().find(|line| line.starts_with("Done "));
        println!("fuzz {target}: {}", done.unwrap_or("done"));
    } else {
        println!("fuzz {target}: FAILED\n{}", tail(&text));
    }
    Ok(Ran {
        target: target.to_owned(),
        complaint: (!status.success()).then_some(log),
    })
}

/// Committed inputs of a target; where there are none it starts from nothing.
fn seeds(target: &str) -> Option<PathBuf> {
    let folder = match target {
        "rules" => workspace::root().join("policies"),
        _ => folder().join("seeds").join(target),
    };
    Some(folder).filter(|folder| folder.is_dir())
}

fn dictionary(target: &str) -> Option<String> {
    let file = folder().join("language.dict");
    ["condition", "output", "rules"]
        .contains(&target)
        .then(|| format!("-dict={}", file.display()))
}

fn folder() -> PathBuf {
    workspace::root().join("tests/fuzz")
}

fn target_folder() -> PathBuf {
    workspace::target().join("fuzz")
}

fn binary(target: &str) -> PathBuf {
    target_folder()
        .join("x86_64-unknown-linux-gnu/release")
        .join(target)
}

fn prepared(folder: &Path) -> Result<&Path> {
    fs::create_dir_all(folder)?;
    Ok(folder)
}

fn tail(text: &str) -> String {
    let lines: Vec<&str> = text.lines().collect();
    let start = lines.len().saturating_sub(40);
    lines.get(start..).unwrap_or_default().join("\n")
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
