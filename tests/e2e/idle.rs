//! With rules about execs that succeed only, nothing runs at the begin or end of system calls: those
//! cost what they cost without the daemon. Who tampers with it is found out all the same.

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;

use anyhow::{Result, ensure};
use monitor_tests::daemon::{self, Daemon, field, is_from};
use monitor_tests::{skip, skip_if, wait};

use crate::actions::{Programs, run, succeed};
use crate::world::{PATIENCE, watch};

const EXECS: &str = "
- rule: needle
  desc: an exec
  condition: evt.type in (execve, execveat) and evt.res = SUCCESS and proc.exepath endswith /true
  output: it began
  priority: NOTICE
";
/// The same, and those that fail.
const FAILURES: &str = "
- rule: needle
  desc: an exec
  condition: evt.type in (execve, execveat) and proc.exepath endswith /true
  output: it began
  priority: NOTICE
- rule: failed
  desc: an exec that failed
  condition: evt.type = execve and evt.failed = true
  output: it failed
  priority: NOTICE
";

#[test]
fn execs_alone_cost_no_other_call() -> Result<()> {
    skip_if!(daemon::obstacle());
    skip_if!(skip::without(&["bpftool"]));
    let programs = Programs::new()?;
    let mut daemon = watch(&programs, EXECS, "metrics:\n  listen: off\n")?;
    succeed(&mut Command::new("true"))?;
    daemon.wait_for("the exec", PATIENCE, |alert| is_from(alert, "needle"))?;
    let names = attached(&daemon)?;
    ensure!(names.contains("exec"), "{names:?}");
    let calls: Vec<&String> = names.iter().filter(|name| of_calls(name)).collect();
    ensure!(calls.is_empty(), "{calls:?} run at every call");
    tampering(&mut daemon)?;
    reloaded(&mut daemon, &programs)?;
    daemon.stop().map(drop)
}

/// Whether a program of this name is at the begin or end of all system calls.
fn of_calls(name: &str) -> bool {
    name.starts_with("sys_")
}

/// Whether it tells of execs that fail.
fn of_failures(name: &str) -> bool {
    of_calls(name) || name.starts_with("execve")
}

/// Nobody tells of the call; a look at the maps does.
fn tampering(daemon: &mut Daemon) -> Result<()> {
    let maps = ids(daemon, "map_id:")?;
    let of_name = |id: &&String| {
        let shown = Command::new("bpftool")
            .args(["map", "show", "id", id])
            .output();
        shown.is_ok_and(|shown| String::from_utf8_lossy(&shown.stdout).contains("name SWITCHES"))
    };
    let map = maps.iter().find(of_name);
    let map = map.ok_or_else(|| anyhow::anyhow!("no switches in {maps:?}"))?;
    let mark = daemon.mark()?;
    let mut bpftool = Command::new("bpftool");
    bpftool.args(["map", "update", "id", map, "key", "hex", "00", "00", "00"]);
    bpftool.args(["00", "value", "hex", "01", "00", "00", "00", "00", "00"]);
    run(bpftool.args(["00", "00"]))?;
    let told = |alert: &serde_json::Value| {
        let what = field(alert, "monitor.tampering").unwrap_or_default();
        what.contains("SWITCHES")
    };
    daemon
        .wait_for_since(mark, "the alert", PATIENCE, told)
        .map(drop)
}

/// Changed rules are taken over: those that need the ends of calls get them, and they go again.
fn reloaded(daemon: &mut Daemon, programs: &Programs) -> Result<()> {
    for (rules, wanted) in [(FAILURES, true), (EXECS, false)] {
        daemon::policy(programs.folder(), rules)?;
        wait::until("the programs to change", PATIENCE, || {
            let there = attached(daemon)?.iter().any(|name| of_failures(name));
            Ok((there == wanted).then_some(()))
        })?;
    }
    Ok(())
}

/// Names of the daemon's programs, as far as the kernel keeps them.
fn attached(daemon: &Daemon) -> Result<BTreeSet<String>> {
    let mut names = BTreeSet::new();
    let ids = ids(daemon, "prog_id:")?;
    // All at once: one that was let go of since cannot be shown by its id.
    let shown = succeed(Command::new("bpftool").args(["-j", "prog", "show"]))?;
    let all: Vec<serde_json::Value> = serde_json::from_slice(&shown.stdout)?;
    for one in all
        .iter()
        .filter(|one| ids.contains(&one["id"].to_string()))
    {
        names.extend(one["name"].as_str().map(str::to_owned));
    }
    Ok(names)
}

/// What the `fdinfo` of the daemon's descriptors says behind a word.
fn ids(daemon: &Daemon, word: &str) -> Result<BTreeSet<String>> {
    let mut ids = BTreeSet::new();
    for entry in fs::read_dir(format!("/proc/{}/fdinfo", daemon.pid()))? {
        // Closed since, by another thread.
        let text = fs::read_to_string(entry?.path()).unwrap_or_default();
        let found = text.lines().find_map(|line| line.strip_prefix(word));
        ids.extend(found.map(|id| id.trim().to_owned()));
    }
    Ok(ids)
}
