//! Where the time goes in the kernel: what each program of the daemon takes in each loop, by the
//! kernel's own statistics. Counting costs some 20 ns a run, so this is apart from the other
//! figures.

use std::collections::BTreeMap;
use std::fs;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::figures::{number, table};
use super::loops::{LOOPS, Length, Program};
use super::needle;
use super::part::Part;
use super::subject::Subject;
use crate::shell;

const SWITCH: &str = "/proc/sys/kernel/bpf_stats_enabled";
/// Less than this for an operation is not shown, ns.
const LEAST: f64 = 0.5;

/// Switches the statistics on, and back when dropped.
struct Switched(String);

impl Switched {
    fn on() -> Result<Self> {
        let before = fs::read_to_string(SWITCH).context("this kernel has no BPF statistics")?;
        fs::write(SWITCH, "1")?;
        Ok(Self(before))
    }
}

impl Drop for Switched {
    fn drop(&mut self) {
        let _ = fs::write(SWITCH, &self.0);
    }
}

/// Runs and their time, by program.
type Runs = BTreeMap<String, (u64, u64)>;

/// Each loop once, with each of our daemons.
pub(super) fn programs(loops: &Program, subjects: &[Subject], length: Length) -> Result<Part> {
    let _switched = Switched::on()?;
    let (mut rows, mut values) = (Vec::new(), Vec::new());
    for subject in subjects {
        let mut monitor = subject.start()?.context("there is nobody to measure")?;
        needle::watching(loops, &mut monitor)?;
        for work in LOOPS {
            let before = runs()?;
            let timing = loops.time(work.name, length, None)?;
            let after = runs()?;
            for (program, runs, ns) in per_operation(&before, &after, timing.operations) {
                let name = subject.name();
                rows.push(vec![
                    work.title.to_owned(),
                    name.clone(),
                    format!("`{program}`"),
                    number(runs),
                    number(ns),
                ]);
                values.push(json!({
                    "loop": work.name, "monitor": name, "program": program, "runs": runs, "ns": ns,
                }));
            }
        }
    }
    let head = [
        "Loop",
        "Monitor",
        "Program",
        "runs for an operation",
        "ns for an operation",
    ];
    Ok(Part {
        name: "programs",
        title: "Programs in the kernel",
        text: table(&head, &rows),
        json: Value::Array(values),
    })
}

/// What the statistics say now.
fn runs() -> Result<Runs> {
    let mut command = shell::without_outer_cargo(shell::find("bpftool").context("no bpftool")?);
    let output = command.args(["--json", "prog", "show"]).output()?;
    parse(&serde_json::from_slice(&output.stdout).context("bpftool printed no JSON")?)
}

fn parse(programs: &Value) -> Result<Runs> {
    let mut all = Runs::new();
    for program in programs.as_array().context("bpftool printed no list")? {
        let number = |key| program.get(key).and_then(Value::as_u64);
        let name = program.get("name").and_then(Value::as_str).unwrap_or("?");
        if let Some((runs, ns)) = number("run_cnt").zip(number("run_time_ns")) {
            let sum = all.entry(name.to_owned()).or_default();
            *sum = (sum.0 + runs, sum.1 + ns);
        }
    }
    Ok(all)
}

/// Runs and ns for an operation, the dearest first.
fn per_operation(before: &Runs, after: &Runs, operations: u64) -> Vec<(String, f64, f64)> {
    let mut list: Vec<_> = after
        .iter()
        .map(|(name, (runs, ns))| {
            let (runs_before, ns_before) = before.get(name).copied().unwrap_or_default();
            let each = |more: u64| more as f64 / operations as f64;
            let runs = each(runs.saturating_sub(runs_before));
            (name.clone(), runs, each(ns.saturating_sub(ns_before)))
        })
        .filter(|(_, _, ns)| *ns >= LEAST)
        .collect();
    list.sort_by(|(_, _, one), (_, _, other)| other.total_cmp(one));
    list
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_of_one_name_are_one_and_cheap_ones_are_left_out() {
        let show = |sums: [(u64, u64); 3]| {
            let names = ["enter", "enter", "exit"];
            let ran = sums.into_iter().zip(names).map(
                |((runs, ns), name)| json!({"name": name, "run_cnt": runs, "run_time_ns": ns}),
            );
            parse(&ran.chain([json!({"name": "never ran"})]).collect()).unwrap()
        };
        let before = show([(5, 500), (5, 500), (10, 100)]);
        let after = show([(105, 5500), (105, 6500), (20, 140)]);
        let expected = vec![("enter".to_owned(), 2.0, 110.0)];
        assert_eq!(per_operation(&before, &after, 100), expected);
        assert!(parse(&json!({})).is_err());
    }
}
