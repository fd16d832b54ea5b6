//! A dockerd that hangs delays no alert for longer than the wait for metadata, and costs none.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result, ensure};
use monitor_tests::daemon::{Daemon, is_from};
use monitor_tests::{daemon, docker, skip_if, wait};
use serde_json::{Value, json};

use crate::actions::{Programs, succeed};
use crate::sandbox::{Sandbox, dockerd, is_in};
use crate::world::{PATIENCE, assert_fields, docker_settings, text, watch};

/// From an event to its alert in the file: half a second, the default wait for metadata, and what
/// a busy machine may add.
const BOUND: Duration = Duration::from_secs(2);

const HOST: &str = "on the host";
const LOOP: &str = "in the container";

const RULES: &str = r"
- macro: started
  condition: (evt.type in (execve, execveat))
- rule: on the host
  desc: a needle outside of containers
  condition: started and container.id = host and proc.args startswith e2e-host-
  output: needle | args=%proc.args user=%user.name
  priority: NOTICE
- rule: in the container
  desc: a round of the container's loop
  condition: started and container.id != host and proc.args startswith e2e-round-
  output: round | args=%proc.args name=%proc.name user=%user.name
  priority: NOTICE
";

/// Acts every second, without a `docker exec`.
const ROUNDS: &str = "n=0; while :; do n=$((n + 1)); /bin/echo e2e-round-$n; sleep 1; done";

#[test]
fn a_hung_dockerd_delays_nothing() -> Result<()> {
    skip_if!(daemon::obstacle());
    skip_if!(docker::obstacle());
    let docker = dockerd()?;
    let sandbox = Sandbox::run(&docker, "e2e-rounds", &[], &["sh", "-c", ROUNDS])?;
    let programs = Programs::new()?;
    let mut daemon = watch(&programs, RULES, &docker_settings(&docker))?;
    daemon.wait_for("a round with metadata", PATIENCE, |alert| {
        is_from(alert, LOOP) && alert["output_fields"]["container.name"] == "e2e-rounds"
    })?;

    let frozen = docker.freeze()?;
    for number in 0..5 {
        needle(&mut daemon, number)?;
        let alert = next_round(&mut daemon)?;
        // What was known stays known.
        is_in(&alert, &sandbox.name, &sandbox.id);
    }
    drop(frozen);
    let alert = next_round(&mut daemon)?;
    is_in(&alert, &sandbox.name, &sandbox.id);
    Ok(())
}

/// Nobody has told the daemon of the container, and nobody does.
#[test]
fn a_container_is_known_by_its_id_while_dockerd_hangs() -> Result<()> {
    skip_if!(daemon::obstacle());
    skip_if!(docker::obstacle());
    let docker = dockerd()?;
    let sandbox = Sandbox::run(&docker, "e2e-rounds", &[], &["sh", "-c", ROUNDS])?;
    let frozen = docker.freeze()?;
    let programs = Programs::new()?;
    let mut daemon = watch(&programs, RULES, &docker_settings(&docker))?;
    for number in 0..5 {
        needle(&mut daemon, number)?;
        let alert = next_round(&mut daemon)?;
        assert_fields(&alert, &[("container.id", json!(sandbox.id.get(..12)))]);
        ensure!(
            alert["output_fields"]["container.name"].is_null(),
            "{alert}"
        );
    }
    drop(frozen);
    let alert = wait::until("metadata", PATIENCE, || {
        let alert = next_round(&mut daemon)?;
        let named = !alert["output_fields"]["container.name"].is_null();
        Ok(named.then_some(alert))
    })?;
    is_in(&alert, &sandbox.name, &sandbox.id);
    Ok(())
}

/// Something to detect on the host, whose alert waits for no container.
fn needle(daemon: &mut Daemon, number: u32) -> Result<()> {
    let argument = format!("e2e-host-{number}");
    let mark = daemon.mark()?;
    succeed(std::process::Command::new("/bin/echo").arg(&argument))?;
    let alert = daemon.wait_for_since(mark, "the host's alert", PATIENCE, |alert| {
        is_from(alert, HOST) && text(&alert["output_fields"], "proc.args") == argument
    })?;
    in_time(&alert)
}

/// The next round that the container does.
fn next_round(daemon: &mut Daemon) -> Result<Value> {
    let mark = daemon.mark()?;
    let alert = daemon.wait_for_since(mark, "a round", PATIENCE, |alert| is_from(alert, LOOP))?;
    in_time(&alert)?;
    Ok(alert)
}

fn in_time(alert: &Value) -> Result<()> {
    let time = alert["output_fields"]["evt.time"].as_u64();
    let time = Duration::from_nanos(time.context("evt.time is missing")?);
    let delay = SystemTime::now()
        .duration_since(UNIX_EPOCH)?
        .saturating_sub(time);
    ensure!(delay <= BOUND, "{delay:?} late: {alert}");
    Ok(())
}
