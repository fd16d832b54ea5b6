//! `top` against a running daemon, with a container that makes events.

use std::io::{Read as _, Write as _};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use monitor_tests::{daemon, docker, http, paths, skip, skip_if, wait};
use serde_json::Value;

use crate::actions::{Programs, run, succeed};
use crate::sandbox::{IMAGE, Sandbox, dockerd};
use crate::world::{PATIENCE, docker_settings, watch};

const RULES: &str = r"
- rule: in the container
  desc: every program that the container starts
  condition: evt.type in (execve, execveat) and container.id != host
  output: started | args=%proc.args
  priority: NOTICE
- rule: never
  desc: opens by nobody; no index can leave this test out
  condition: evt.type in (open, openat, openat2) and not proc.pid > 0
  output: opened | name=%fd.name
  priority: WARNING
";

/// Opens and execs without an end.
const BUSY: &str = "while :; do /bin/cat /etc/passwd >/dev/null; done";

#[test]
fn shows_a_busy_container_and_the_rules() -> Result<()> {
    skip_if!(daemon::obstacle());
    skip_if!(docker::obstacle());
    let docker = dockerd()?;
    let sandbox = Sandbox::run(&docker, "e2e-busy", &[], &["sh", "-c", BUSY])?;
    let port = http::free_port()?;
    let programs = Programs::new()?;
    let settings = format!(
        "{}metrics:\n  listen: 127.0.0.1:{port}\n",
        docker_settings(&docker)
    );
    let mut daemon = watch(&programs, RULES, &settings)?;
    daemon.wait_for("an alert of the container", PATIENCE, |alert| {
        alert["output_fields"]["container.name"] == "e2e-busy"
    })?;

    // The figures of the second in which the container was first seen may not be out yet, nor is
    // the host busy in every moment.
    let (shown, container) = wait::until("container and host in `top`", PATIENCE, || {
        let shown = json(port)?;
        let named = |name| row(&shown["containers"], "name", name).cloned();
        let both = named("e2e-busy").zip(named("host"));
        Ok(both.map(|(container, _)| (shown, container)))
    })?;
    ensure!(
        container["id"].as_str() == sandbox.id.get(..12),
        "{container}"
    );
    ensure!(container["image"] == IMAGE, "{container}");
    ensure!(container["per_second"].as_f64() > Some(1.0), "{container}");
    let rule = row(&shown["rules"], "rule", "in the container").context("no rule")?;
    ensure!(rule["matches"].as_u64() > Some(0), "{rule}");
    ensure!(rule["priority"] == "Notice", "{rule}");
    let silent = row(&shown["rules"], "rule", "never").context("no rule")?;
    ensure!(silent["matches"] == 0, "{silent}");
    ensure!(silent["seconds"].as_f64() > Some(0.0), "{silent}");
    ensure!(shown["pid"] == daemon.pid(), "{shown}");
    ensure!(shown["rss_bytes"].as_u64() > Some(1_000_000), "{shown}");

    let text = top(port, &["--once", "--interval", "1"])?;
    let text = String::from_utf8(text.stdout)?;
    ensure!(
        text.lines().all(|line| line.chars().count() <= 80),
        "{text}"
    );
    for expected in [
        "events/s",
        "e2e-busy",
        "in the container",
        "never",
        "queues: ",
    ] {
        ensure!(text.contains(expected), "no `{expected}` in\n{text}");
    }
    Ok(())
}

#[test]
fn on_a_terminal_it_redraws_until_q_and_gives_the_screen_back() -> Result<()> {
    skip_if!(daemon::obstacle());
    skip_if!(skip::without(&["script"]));
    let port = http::free_port()?;
    let programs = Programs::new()?;
    let settings = format!("metrics:\n  listen: 127.0.0.1:{port}\n");
    let _daemon = watch(&programs, RULES, &settings)?;
    let line = format!(
        "stty rows 20 columns 80; {} top --interval 1 --address 127.0.0.1:{port}; echo \"end $?\"; stty -a",
        paths::daemon()?.display()
    );
    // A terminal for the command; what is written to it are keys.
    let mut terminal = Command::new("script")
        .args(["--quiet", "--return", "--command", &line, "/dev/null"])
        .env("TERM", "xterm")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    let mut screen = terminal.stdout.take().context("no output")?;
    let mut keys = terminal.stdin.take().context("no input")?;
    let mut shown = Vec::new();
    let mut buffer = [0; 4096];
    // Two drawings with figures: it goes on by itself.
    while String::from_utf8_lossy(&shown).matches("events/s").count() < 2 {
        let count = screen.read(&mut buffer)?;
        ensure!(count > 0, "{}", String::from_utf8_lossy(&shown));
        shown.extend(buffer.get(..count).unwrap_or_default());
    }
    keys.write_all(b"q")?;
    screen.read_to_end(&mut shown)?;
    drop(keys);
    let ended = wait::until("the end of `script`", PATIENCE, || Ok(terminal.try_wait()?))?;
    let shown = String::from_utf8_lossy(&shown);
    ensure!(ended.success() && shown.contains("end 0"), "{shown}");
    let (before, after) = shown
        .split_once("\u{1b}[?1049l")
        .context("the screen is not back")?;
    ensure!(before.contains("\u{1b}[?1049h"), "{shown}");
    // Drawn over, never cleared: nothing flickers.
    ensure!(before.matches("\u{1b}[2J").count() == 1, "{shown}");
    ensure!(
        after.contains(" icanon") && after.contains(" echo "),
        "{after}"
    );
    Ok(())
}

#[test]
fn without_a_daemon_it_says_what_to_do() -> Result<()> {
    skip_if!(paths::daemon().err().map(|error| error.to_string()));
    let port = http::free_port()?;
    let output = run(&mut command(port, &["--once"])?)?;
    let complaint = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.code() == Some(3), "{output:?}");
    for expected in [
        format!("no daemon answers at 127.0.0.1:{port}"),
        "systemctl start monitor-daemon".to_owned(),
    ] {
        ensure!(complaint.contains(&expected), "{complaint}");
    }
    Ok(())
}

fn json(port: u16) -> Result<Value> {
    let output = top(port, &["--once", "--format", "json", "--interval", "1"])?;
    Ok(serde_json::from_slice(&output.stdout)?)
}

fn top(port: u16, arguments: &[&str]) -> Result<Output> {
    let started = std::time::Instant::now();
    let output = succeed(&mut command(port, arguments)?)?;
    let took = started.elapsed();
    ensure!(took < Duration::from_secs(20), "`top --once` took {took:?}");
    Ok(output)
}

fn command(port: u16, arguments: &[&str]) -> Result<Command> {
    let mut command = Command::new(paths::daemon()?);
    command
        .args(["top", "--address"])
        .arg(format!("127.0.0.1:{port}"))
        .args(arguments);
    Ok(command)
}

fn row<'v>(rows: &'v Value, key: &str, name: &str) -> Option<&'v Value> {
    rows.as_array()?.iter().find(|row| row[key] == name)
}
