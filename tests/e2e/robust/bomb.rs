//! Files made to cost time or memory: each is loaded or refused, within bounds.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use monitor_tests::{paths, skip_if, wait};

use crate::actions::Programs;

/// Generous: a rules file of ten megabytes is loaded too, on a busy machine.
const WITHIN: Duration = Duration::from_mins(1);
/// Address space, in KiB.
const MEMORY: u32 = 2_000_000;

const RULE: &str =
    "- rule: r\n  desc: d\n  output: o\n  priority: debug\n  condition: evt.type = open";

fn policies() -> Vec<(&'static str, String)> {
    let (open, close) = ("(".repeat(1000), ")".repeat(1000));
    vec![
        (
            "parentheses",
            format!("{RULE} and {open}proc.name = a{close}\n"),
        ),
        (
            "negations",
            format!(
                "{RULE} and {}proc.name = a{}\n",
                "not (".repeat(50_000),
                ")".repeat(50_000)
            ),
        ),
        ("blocks", format!("{}a\n", "- ".repeat(100_000))),
        ("brackets", "[".repeat(100_000)),
        (
            "aliases",
            grown("- &a0 [x]\n", |n, all| format!("- &a{n} [{all}]\n"), "*a"),
        ),
        (
            "lists",
            grown(
                "- list: a0\n  items: [x, y]\n",
                |n, all| format!("- list: a{n}\n  items: [{all}]\n"),
                "a",
            ) + RULE
                + " and proc.name in (a9)\n",
        ),
        (
            "macros",
            grown(
                "- macro: a0\n  condition: (proc.name = a)\n",
                |n, all| {
                    format!(
                        "- macro: a{n}\n  condition: ({})\n",
                        all.replace(", ", " or ")
                    )
                },
                "a",
            ) + RULE
                + " and a9\n",
        ),
        ("ten megabytes", ten_megabytes()),
    ]
}

/// Nine definitions, each naming the one before it ten times.
fn grown(first: &str, next: impl Fn(u32, &str) -> String, name: &str) -> String {
    let mut text = first.to_owned();
    for number in 1..10 {
        let before = vec![format!("{name}{}", number - 1); 10].join(", ");
        text.push_str(&next(number, &before));
    }
    text
}

fn ten_megabytes() -> String {
    let mut text = String::new();
    let mut number = 0;
    while text.len() < 10_000_000 {
        let rule = RULE.replace("rule: r", &format!("rule: r{number}"));
        // Writing to a text cannot fail.
        let _ = writeln!(text, "{rule} and fd.name startswith /etc/{number}");
        number += 1;
    }
    text
}

#[test]
fn rules_that_explode_are_loaded_or_refused_within_bounds() -> Result<()> {
    let programs = Programs::new()?;
    skip_if!(paths::daemon().err().map(|error| error.to_string()));
    for (name, text) in policies() {
        let file = programs.folder().join("rules.yaml");
        fs::write(&file, text)?;
        let code = bounded(&["check".as_ref(), &file]).with_context(|| name)?;
        ensure!([0, 1].contains(&code), "{name}: exit code {code}");
    }
    Ok(())
}

#[test]
fn configurations_that_explode_are_refused_within_bounds() -> Result<()> {
    let programs = Programs::new()?;
    skip_if!(paths::daemon().err().map(|error| error.to_string()));
    for (name, text) in [
        ("brackets", format!("policies: {}\n", "[".repeat(100_000))),
        (
            "blocks",
            format!("policies:\n  {}a\n", "- ".repeat(100_000)),
        ),
        (
            "aliases",
            grown(
                "a0: &a0 [x]\n",
                |n, all| format!("a{n}: &a{n} [{all}]\n"),
                "*a",
            ),
        ),
        (
            "huge",
            format!("policies: [{}]\n", "a.yaml, ".repeat(1_000_000)),
        ),
    ] {
        let file = programs.folder().join("monitor.yaml");
        fs::write(&file, text)?;
        let arguments = ["config", "--config"].map(Path::new);
        let code = bounded(&[arguments[0], arguments[1], &file]).with_context(|| name)?;
        ensure!(code == 4, "{name}: exit code {code}");
    }
    Ok(())
}

/// Runs the daemon's command with little memory; its exit code.
fn bounded(arguments: &[&Path]) -> Result<i32> {
    let script = format!("ulimit -v {MEMORY}; exec \"$@\"");
    let mut command = Command::new("sh");
    command.args(["-c", &script, "sh"]);
    command.arg(paths::daemon()?).args(arguments);
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let begin = Instant::now();
    let mut process = command.spawn()?;
    let ended = wait::until("the end of the command", WITHIN, || Ok(process.try_wait()?));
    if ended.is_err() {
        process.kill()?;
        process.wait()?;
    }
    ended?
        .code()
        .with_context(|| format!("no exit code after {:?}", begin.elapsed()))
}
