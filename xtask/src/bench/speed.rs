//! How fast rules load and events are evaluated; writes the table in the README.
//!
//! Times are medians over rounds, in each of which everything is measured once, so that a machine
//! that is busy for a while does not spoil one figure alone. Instructions are counted by
//! callgrind; they say more where times are noisy.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use super::machine::machine;
use super::table::{self, EVENTS, Figures, LOAD, SIZES};
use crate::{shell, workspace};

/// Evaluations before those that are counted, and counted ones.
const WARM_UP: u32 = 50;
const COUNTED: u32 = 400;

/// Measures in so many rounds, and writes the table.
pub(super) fn speed(rounds: u32) -> Result<()> {
    let mut figures = Figures {
        times: times(rounds)?,
        ..Figures::default()
    };
    let program = program("instructions")?;
    for size in SIZES {
        count(&program, size, &mut figures)?;
    }
    let readme = workspace::root().join("README.md");
    let text = fs::read_to_string(&readme).context("cannot read README.md")?;
    let table = figures.table(&machine(), rounds);
    print!("{table}");
    fs::write(&readme, table::replace(&text, &table)?).context("cannot write README.md")
}

/// Median of the rounds' medians, ns, by what and how many rules.
fn times(rounds: u32) -> Result<BTreeMap<(&'static str, u32), f64>> {
    let mut all: BTreeMap<_, Vec<f64>> = BTreeMap::new();
    for _ in 0..rounds.max(1) {
        shell::run(shell::cargo().args(["bench", "-p", "monitor-policy", "--bench", "speed"]))?;
        for what in EVENTS.into_iter().chain([LOAD]) {
            for size in SIZES {
                let time = estimate(what, size)?;
                all.entry((what, size)).or_default().push(time);
            }
        }
    }
    let median = |mut times: Vec<f64>| {
        times.sort_by(f64::total_cmp);
        times.get(times.len() / 2).copied().unwrap_or_default()
    };
    Ok(all
        .into_iter()
        .map(|(key, times)| (key, median(times)))
        .collect())
}

/// What criterion found last, ns.
fn estimate(what: &str, size: u32) -> Result<f64> {
    let path = workspace::target()
        .join("criterion")
        .join(what)
        .join(size.to_string())
        .join("new/estimates.json");
    let missing = || {
        format!(
            "no result in `{}`; are upstream's rules beside the checkout (../shared/falco/rules)?",
            path.display()
        )
    };
    let text = fs::read_to_string(&path).with_context(missing)?;
    let estimates: Value = serde_json::from_str(&text)?;
    let median = estimates.pointer("/median/point_estimate");
    median.and_then(Value::as_f64).with_context(missing)
}

/// Counts instructions of loading so many rules and of evaluating each event, and the bytes that
/// the rules keep.
fn count(program: &Path, size: u32, figures: &mut Figures) -> Result<()> {
    let run = |event: &str, evaluations: u32| -> Result<(u64, u64)> {
        let mut command = shell::without_outer_cargo("valgrind");
        command
            .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
            .arg(program)
            .args([&size.to_string(), event, &evaluations.to_string()]);
        shell::announce(&command);
        let output = command.output().context("cannot start valgrind")?;
        let report = String::from_utf8_lossy(&output.stderr);
        let collected = report
            .lines()
            .find_map(|line| line.split_once("Collected : "));
        let (_, count) = collected.with_context(|| format!("callgrind says: {report}"))?;
        let bytes = String::from_utf8_lossy(&output.stdout).trim().parse()?;
        Ok((count.trim().parse()?, bytes))
    };
    let (load, bytes) = run("open", 0)?;
    figures.instructions.insert((LOAD, size), load);
    figures.bytes.insert(size, bytes);
    for event in EVENTS {
        let (before, _) = run(event, WARM_UP)?;
        let (after, _) = run(event, WARM_UP + COUNTED)?;
        let each = after.saturating_sub(before) / u64::from(COUNTED);
        figures.instructions.insert((event, size), each);
    }
    Ok(())
}

/// A benchmark of `monitor-policy`, built.
pub(super) fn program(name: &str) -> Result<PathBuf> {
    let mut command = shell::cargo();
    command.args(["bench", "-p", "monitor-policy", "--bench", name]);
    command.args(["--no-run", "--message-format=json"]);
    let messages = shell::query(&mut command)?.context("the benchmarks do not build")?;
    let executable = messages
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .find_map(|message| {
            let ours = message.pointer("/target/name")?.as_str()? == name;
            let path = message.get("executable")?.as_str()?;
            ours.then(|| PathBuf::from(path))
        });
    match executable {
        Some(path) => Ok(path),
        None => bail!("cargo names no program for the benchmark `{name}`"),
    }
}
