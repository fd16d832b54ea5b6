//! Processes that were there before the daemon, and the time of its start, in which nothing is
//! missed.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::Stdio;

use anyhow::{Context as _, Result, ensure};
use monitor_tests::daemon::is_from;
use monitor_tests::tied::Tied;
use monitor_tests::{daemon, docker, skip, skip_if, wait};
use serde_json::{Value, json};

use crate::actions::Programs;
use crate::sandbox::{Sandbox, dockerd};
use crate::world::{PATIENCE, assert_fields, docker_settings, text, watch};

const OPENED: &str = "opened by an old process";
const FORKED: &str = "opened by its child";
const STARTED: &str = "started by an old process";

const RULES: &str = r"
- macro: opened
  condition: (evt.type in (open, openat, openat2) and fd.num >= 0)
- rule: opened by an old process
  desc: by the process that was there before
  condition: opened and fd.name endswith /e2e-old
  output: >
    pid=%proc.pid vpid=%proc.vpid name=%proc.name exepath=%proc.exepath exe=%proc.exe
    args=%proc.args cwd=%proc.cwd ppid=%proc.ppid parent=%proc.pname user=%user.name
    uid=%user.uid container=%container.id name=%container.name
  priority: NOTICE
- rule: opened by its child
  desc: by a process that it forked and that runs the same program
  condition: opened and fd.name endswith /e2e-forked
  output: >
    name=%proc.name exepath=%proc.exepath exe=%proc.exe args=%proc.args cwd=%proc.cwd
    ppid=%proc.ppid parent=%proc.pname parent_exe=%proc.pexepath parent_command=%proc.pcmdline
    user=%user.name container=%container.id name=%container.name
  priority: NOTICE
- rule: started by an old process
  desc: a program that it started
  condition: evt.type = execve and proc.name = child
  output: >
    exepath=%proc.exepath args=%proc.args cwd=%proc.cwd ppid=%proc.ppid parent=%proc.pname
    parent_exe=%proc.pexepath parent_command=%proc.pcmdline user=%user.name
    container=%container.id name=%container.name
  priority: NOTICE
";

/// Waits for a file, then opens, starts and forks. Stays for a while, for a container's users are
/// read from its files, which go with it.
fn script(folder: &str) -> String {
    format!(
        "until [ -e {folder}/go ]; do sleep 0.1; done; read x < {folder}/e2e-old; \
         {folder}/child one two; (read x < {folder}/e2e-forked); sleep 60"
    )
}

/// A folder that users may read, with what the script needs.
fn stage() -> Result<Programs> {
    let programs = Programs::new()?;
    fs::set_permissions(programs.folder(), fs::Permissions::from_mode(0o755))?;
    fs::write(programs.folder().join("e2e-old"), "line\n")?;
    fs::write(programs.folder().join("e2e-forked"), "line\n")?;
    programs.copy("child")?;
    Ok(programs)
}

#[test]
fn a_process_older_than_the_daemon_is_known() -> Result<()> {
    skip_if!(daemon::obstacle());
    skip_if!(skip::without(&["busybox"]));
    let programs = stage()?;
    let folder = programs.folder().display().to_string();
    let script = script(&folder);
    let mut shell = programs.shell("older", &script)?;
    let older = Tied(
        shell
            .current_dir("/usr")
            .uid(1)
            .gid(1)
            .stderr(Stdio::null())
            .spawn()?,
    );
    let mut daemon = watch(&programs, RULES, "")?;
    fs::write(programs.folder().join("go"), "")?;

    let process = [
        ("proc.name", json!("older")),
        ("proc.exe", json!("sh")),
        ("proc.exepath", json!(format!("{folder}/older"))),
        ("proc.args", json!(format!("-c {script}"))),
    ];
    let place = [
        ("proc.cwd", json!("/usr/")),
        ("user.name", json!("daemon")),
        ("container.id", json!("host")),
        ("container.name", json!("host")),
    ];
    let parent = [
        ("proc.ppid", json!(older.0.id())),
        ("proc.pname", json!("older")),
        ("proc.pexepath", json!(format!("{folder}/older"))),
        ("proc.pcmdline", json!(format!("older -c {script}"))),
    ];
    let own = fs::read_to_string("/proc/self/comm")?;
    let alert = expect(&mut daemon, OPENED)?;
    assert_fields(&alert, &process);
    assert_fields(&alert, &place);
    assert_fields(
        &alert,
        &[
            ("proc.pid", json!(older.0.id())),
            ("proc.ppid", json!(std::process::id())),
            ("proc.pname", json!(own.trim_end())),
            ("user.uid", json!(1)),
        ],
    );
    let alert = expect(&mut daemon, FORKED)?;
    assert_fields(&alert, &process);
    assert_fields(&alert, &place);
    assert_fields(&alert, &parent);
    let alert = expect(&mut daemon, STARTED)?;
    is_child(&alert, &folder);
    assert_fields(&alert, &place);
    assert_fields(&alert, &parent);
    Ok(())
}

#[test]
fn a_container_older_than_the_daemon_is_known() -> Result<()> {
    skip_if!(daemon::obstacle());
    skip_if!(docker::obstacle());
    let docker = dockerd()?;
    let programs = stage()?;
    let script = script("/e2e");
    let volume = format!("{}:/e2e", programs.folder().display());
    let options = ["--user", "1000", "--workdir", "/home", "--volume", &volume];
    let sandbox = Sandbox::run(&docker, "e2e-older", &options, &["sh", "-c", &script])?;
    let pid = docker.text(&["inspect", "-f", "{{.State.Pid}}", &sandbox.name])?;
    let pid: u32 = pid.parse()?;
    let mut daemon = watch(&programs, RULES, &docker_settings(&docker))?;
    fs::write(programs.folder().join("go"), "")?;

    let process = [
        ("proc.name", json!("sh")),
        ("proc.exe", json!("sh")),
        ("proc.exepath", json!("/bin/busybox")),
        ("proc.args", json!(format!("-c {script}"))),
    ];
    let place = [
        ("proc.cwd", json!("/home/")),
        ("user.name", json!("user")),
        ("container.id", json!(sandbox.id.get(..12))),
        ("container.name", json!("e2e-older")),
    ];
    let parent = [
        ("proc.ppid", json!(pid)),
        ("proc.pname", json!("sh")),
        ("proc.pexepath", json!("/bin/busybox")),
        ("proc.pcmdline", json!(format!("sh -c {script}"))),
    ];
    let alert = expect(&mut daemon, OPENED)?;
    assert_fields(&alert, &process);
    assert_fields(&alert, &place);
    assert_fields(
        &alert,
        &[
            ("proc.pid", json!(pid)),
            ("proc.vpid", json!(1)),
            ("user.uid", json!(1000)),
        ],
    );
    let alert = expect(&mut daemon, FORKED)?;
    assert_fields(&alert, &process);
    assert_fields(&alert, &place);
    assert_fields(&alert, &parent);
    let alert = expect(&mut daemon, STARTED)?;
    is_child(&alert, "/e2e");
    assert_fields(&alert, &place);
    assert_fields(&alert, &parent);
    Ok(())
}

fn expect(daemon: &mut daemon::Daemon, rule: &str) -> Result<Value> {
    daemon.wait_for(rule, PATIENCE, |alert| is_from(alert, rule))
}

#[track_caller]
fn is_child(alert: &Value, folder: &str) {
    let fields = [
        ("proc.exepath", json!(format!("{folder}/child"))),
        ("proc.args", json!("one two")),
    ];
    assert_fields(alert, &fields);
}

/// Counts up while the daemon starts: from the first number that it tells, none is missing.
#[test]
fn the_start_leaves_no_gap() -> Result<()> {
    let after_ready = wait::fewer(300) as u64;
    skip_if!(daemon::obstacle());
    skip_if!(skip::without(&["busybox"]));
    let programs = Programs::new()?;
    let folder = programs.folder().to_owned();
    let needle = folder.join("needle");
    fs::copy("/bin/true", &needle)?;
    let rules = format!(
        "- rule: needle\n  desc: a number\n  condition: evt.type = execve and proc.exepath = {}\n  \
         output: number | args=%proc.args\n  priority: NOTICE\n",
        needle.display()
    );
    let script = format!(
        "cd {}; n=0; until [ -e stop ]; do n=$((n + 1)); echo $n > count; ./needle $n; done",
        folder.display()
    );
    let mut shell = programs.shell("spawner", &script)?;
    let mut spawner = Tied(shell.stdin(Stdio::null()).spawn()?);
    wait::until("the first numbers", PATIENCE, || {
        Ok(count(&folder).filter(|count| *count > 10))
    })?;
    let mut daemon = watch(&programs, &rules, "")?;
    let ready = wait::until("a number", PATIENCE, || Ok(count(&folder)))?;
    wait::until("more numbers", PATIENCE, || {
        Ok(count(&folder).filter(|count| *count > ready + after_ready))
    })?;
    fs::write(folder.join("stop"), "")?;
    ensure!(spawner.0.wait()?.success());

    let last = count(&folder).context("no number")?;
    daemon.wait_for("the last number", PATIENCE, |alert| {
        text(&alert["output_fields"], "proc.args") == last.to_string()
    })?;
    let numbers: Vec<u64> = daemon
        .stop()?
        .iter()
        .map(|alert| text(&alert["output_fields"], "proc.args").parse())
        .collect::<Result<_, _>>()?;
    let first = *numbers.first().context("no alert")?;
    ensure!(first <= ready + 1, "{first} came long after {ready}");
    let expected: Vec<u64> = (first..=last).collect();
    ensure!(numbers == expected, "from {first} to {last}: {numbers:?}");
    Ok(())
}

/// The number that the spawner is at; nothing while it writes.
fn count(folder: &Path) -> Option<u64> {
    let text = fs::read_to_string(folder.join("count")).ok()?;
    text.strip_suffix('\n')?.parse().ok()
}
