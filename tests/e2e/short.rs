//! Processes that live for a moment: each of many thousands is told with what it ran, who started
//! it and where, although all of them are gone by the time the daemon looks.

use std::collections::HashMap;
use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use monitor_tests::cgroup::Cgroup;
use monitor_tests::daemon::{Daemon, is_from};
use monitor_tests::tree::Tree;
use monitor_tests::{daemon, docker, skip_if, wait};
use serde_json::{Value, json};

use crate::actions::{Programs, succeed};
use crate::sandbox::{IMAGE, REPOSITORY, Sandbox};
use crate::world::{docker_settings, text, watch};

const SHELLS: usize = 20_000;
/// The same without a container runtime, where emulation has a quarter of that.
const FEWER_SHELLS: usize = 2_000;
const SPAWN_MANY: &str = env!("CARGO_BIN_EXE_spawn-many");
/// Longest that the last alert may take behind the last shell.
const LONGEST: Duration = Duration::from_mins(1);

const RULES: &str = r#"
- rule: short
  desc: a shell that does nothing
  condition: >
    evt.type = execve and proc.args startswith "-c : short-"
  output: >
    args=%proc.args name=%proc.name exe=%proc.exe exepath=%proc.exepath ppid=%proc.ppid
    parent=%proc.pname parent_exe=%proc.pexepath parent_command=%proc.pcmdline
    grandparent=%proc.aname[2] id=%container.id container=%container.name
    image=%container.image.repository uid=%user.uid user=%user.name
  priority: NOTICE
"#;

#[test]
fn each_of_many_short_processes_is_told_with_parent_and_container() -> Result<()> {
    skip_if!(daemon::obstacle());
    skip_if!(docker::obstacle());
    let tree = Tree::busybox()?;
    tree.program("/bin/spawn-many", SPAWN_MANY.as_ref())?;
    let docker = docker::Dockerd::start()?;
    docker.import_image(IMAGE, &tree)?;
    let programs = Programs::new()?;
    let daemon = watch(&programs, RULES, &docker_settings(&docker))?;
    let sandbox = Sandbox::start(&docker, "e2e-short", &["--user", "1000"])?;
    let count = SHELLS.to_string();
    docker.text(&["exec", &sandbox.name, "/bin/spawn-many", &count, "short"])?;
    let expected = [
        ("proc.exepath", json!("/bin/busybox")),
        ("proc.pexepath", json!("/bin/spawn-many")),
        ("container.id", json!(sandbox.id.get(..12))),
        ("container.name", json!(sandbox.name)),
        ("container.image.repository", json!(REPOSITORY)),
        ("user.uid", json!(1000)),
        ("user.name", json!("user")),
    ];
    check(daemon, SHELLS, &expected)
}

#[test]
fn each_of_many_short_processes_is_told_in_a_cgroup() -> Result<()> {
    skip_if!(daemon::obstacle());
    let id = "e2e5".repeat(16);
    let container = Cgroup::make(&format!("/docker/{id}"))?;
    let programs = Programs::new()?;
    let daemon = watch(&programs, RULES, "")?;
    let shells = wait::fewer(FEWER_SHELLS);
    let mut spawn = container.command(SPAWN_MANY);
    succeed(spawn.args([&shells.to_string(), "short"]))?;
    let path = |path: &str| fs::canonicalize(Path::new(path)).map(|path| json!(path));
    let expected = [
        ("proc.exepath", path("/bin/sh")?),
        ("proc.pexepath", path(SPAWN_MANY)?),
        ("container.id", json!(id.get(..12))),
        ("user.uid", json!(0)),
    ];
    check(daemon, shells, &expected)
}

/// Each of the shells was told once, with these fields and what all have in common.
fn check(mut daemon: Daemon, shells: usize, expected: &[(&str, Value)]) -> Result<()> {
    wait_for_last(&mut daemon, shells)?;
    let alerts = daemon.stop()?;
    let mut told: HashMap<&str, &Value> = HashMap::new();
    for alert in alerts.iter().filter(|alert| is_from(alert, "short")) {
        let fields = &alert["output_fields"];
        let before = told.insert(text(fields, "proc.args"), fields);
        ensure!(before.is_none(), "told twice: {alert}");
    }
    let parent = &told.values().next().context("no alert")?["proc.ppid"];
    let common = [
        ("proc.name", json!("sh")),
        ("proc.exe", json!("/bin/sh")),
        ("proc.ppid", parent.clone()),
        ("proc.pname", json!("spawn-many")),
        ("proc.pcmdline", json!(format!("spawn-many {shells} short"))),
    ];
    for number in 0..shells {
        let arguments = format!("-c : short-{number}");
        let fields = *told
            .get(&*arguments)
            .with_context(|| format!("{arguments} is missing"))?;
        for (name, expected) in common.iter().chain(expected) {
            ensure!(
                fields[*name] == *expected,
                "{name} of {arguments}: {fields:#}"
            );
        }
    }
    ensure!(told.len() == shells, "{} alerts", told.len());
    Ok(())
}

/// Numbers are handed out in order, but the last shells may end in any.
fn wait_for_last(daemon: &mut Daemon, shells: usize) -> Result<()> {
    let last = format!("-c : short-{}", shells - 1);
    daemon
        .wait_for("the last shell", LONGEST, |alert| {
            text(&alert["output_fields"], "proc.args") == last
        })
        .map(drop)
}
