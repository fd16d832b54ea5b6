//! A process that holds the lock of its memory, so that nobody can read its arguments: the daemon
//! starts all the same, knows it for what it is, and counts it.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, ensure};
use monitor_tests::daemon::is_from;
use monitor_tests::{c, daemon, http, paths, skip_if, wait};
use serde_json::json;

use crate::actions::Programs;
use crate::world::{PATIENCE, assert_fields, watch};

const RULES: &str = "
- rule: opened
  desc: a file is read
  condition: evt.type in (open, openat) and fd.name endswith /e2e-unread-secret
  output: opened | exe=%proc.exepath name=%proc.name command=%proc.cmdline
  priority: NOTICE
";

fn compile(program: &Path) -> Result<()> {
    let source = paths::root().join("tests/bin/unread.c");
    c::compile(&source, program, &["-pthread"])
}

#[test]
fn a_process_that_cannot_be_read_holds_nothing_up() -> Result<()> {
    skip_if!(daemon::obstacle());
    skip_if!(c::obstacle("unread"));
    skip_if!(no_fuse());
    let programs = Programs::new()?;
    let program = programs.folder().join("unread");
    c::provide(&program, compile)?;
    let [mounted, secret] = ["slow", "e2e-unread-secret"].map(|name| programs.folder().join(name));
    fs::write(&mounted, "")?;
    fs::write(&secret, "")?;
    let mut child = Command::new(&program)
        .args([&mounted, &secret])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    let mut input = child.stdin.take().context("no input")?;
    let status = format!("/proc/{}/status", child.id());
    wait::until(
        "a thread that waits for its own file system",
        PATIENCE,
        || {
            let text = fs::read_to_string(&status)?;
            Ok(text.contains("\nState:\tD").then_some(()))
        },
    )?;

    let port = http::free_port()?;
    let metrics = format!("metrics:\n  listen: 127.0.0.1:{port}\n");
    let mut daemon = watch(&programs, RULES, &metrics)?;
    input.write_all(b"\n")?;
    let mut line = String::new();
    BufReader::new(child.stdout.take().context("no output")?).read_line(&mut line)?;
    ensure!(line == "done\n", "{line:?}");
    let alert = daemon.wait_for("its open", PATIENCE, |alert| is_from(alert, "opened"))?;
    assert_fields(
        &alert,
        &[
            ("proc.exepath", json!(program.display().to_string())),
            ("proc.name", json!("unread")),
            ("proc.cmdline", json!("unread")),
        ],
    );
    let page = http::fetch(port, "/metrics")?;
    ensure!(
        page.lines()
            .any(|line| line == "monitor_unread_processes_total 1"),
        "{page}"
    );
    daemon.stop()?;
    drop(input);
    child.wait()?;
    Ok(())
}

fn no_fuse() -> Option<String> {
    let here = Path::new("/dev/fuse").exists();
    (!here).then(|| "there is no /dev/fuse".to_owned())
}
