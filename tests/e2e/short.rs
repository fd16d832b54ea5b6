//! Processes that live for a moment: each of many thousands is told with what it ran, who started
//! it and where, although all of them are gone by the time the daemon looks.

use std::collections::HashMap;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use monitor_tests::daemon::{Daemon, is_from};
use monitor_tests::tree::Tree;
use monitor_tests::{daemon, docker, skip_if};
use serde_json::{Value, json};

use crate::actions::Programs;
use crate::sandbox::{IMAGE, REPOSITORY, Sandbox};
use crate::world::{docker_settings, text, watch};

const SHELLS: usize = 20_000;
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
    tree.program("/bin/spawn-many", env!("CARGO_BIN_EXE_spawn-many").as_ref())?;
    let docker = docker::Dockerd::start()?;
    docker.import_image(IMAGE, &tree)?;
    let programs = Programs::new()?;
    let mut daemon = watch(&programs, RULES, &docker_settings(&docker))?;
    let sandbox = Sandbox::start(&docker, "e2e-short", &["--user", "1000"])?;
    let count = SHELLS.to_string();
    docker.text(&["exec", &sandbox.name, "/bin/spawn-many", &count, "short"])?;
    wait_for_last(&mut daemon)?;
    let alerts = daemon.stop()?;
    let mut told: HashMap<&str, &Value> = HashMap::new();
    for alert in alerts.iter().filter(|alert| is_from(alert, "short")) {
        let fields = &alert["output_fields"];
        let before = told.insert(text(fields, "proc.args"), fields);
        ensure!(before.is_none(), "told twice: {alert}");
    }
    let parent = &told.values().next().context("no alert")?["proc.ppid"];
    let expected = [
        ("proc.name", json!("sh")),
        ("proc.exe", json!("/bin/sh")),
        ("proc.exepath", json!("/bin/busybox")),
        ("proc.ppid", parent.clone()),
        ("proc.pname", json!("spawn-many")),
        ("proc.pexepath", json!("/bin/spawn-many")),
        ("proc.pcmdline", json!(format!("spawn-many {SHELLS} short"))),
        ("container.id", json!(sandbox.id.get(..12))),
        ("container.name", json!(sandbox.name)),
        ("container.image.repository", json!(REPOSITORY)),
        ("user.uid", json!(1000)),
        ("user.name", json!("user")),
    ];
    for number in 0..SHELLS {
        let arguments = format!("-c : short-{number}");
        let fields = *told
            .get(&*arguments)
            .with_context(|| format!("{arguments} is missing"))?;
        for (name, expected) in &expected {
            ensure!(
                fields[*name] == *expected,
                "{name} of {arguments}: {fields:#}"
            );
        }
    }
    ensure!(told.len() == SHELLS, "{} alerts", told.len());
    Ok(())
}

/// Numbers are handed out in order, but the last shells may end in any.
fn wait_for_last(daemon: &mut Daemon) -> Result<()> {
    let last = format!("-c : short-{}", SHELLS - 1);
    daemon
        .wait_for("the last shell", LONGEST, |alert| {
            text(&alert["output_fields"], "proc.args") == last
        })
        .map(drop)
}
