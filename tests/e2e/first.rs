//! The first program of a container is itself the thing to detect: its alert has name and image,
//! however many containers start at once and whatever dockerd does meanwhile.

use std::process::Output;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{self, ScopedJoinHandle};

use anyhow::{Context as _, Result, anyhow, ensure};
use monitor_tests::docker::{Client, Dockerd, Restart};
use monitor_tests::tree::Tree;
use monitor_tests::{daemon, docker, skip_if, wait};
use serde_json::{Value, json};

use crate::sandbox::{IMAGE, REPOSITORY, dockerd};
use crate::world::{PATIENCE, World, assert_fields, text};

const RULE: &str = "Search Private Keys or Passwords";
/// Containers in all, and those that start at once.
const ALL: usize = 200;
const AT_ONCE: usize = 20;
/// Restarts of dockerd, and containers that start between two.
const RESTARTS: usize = 3;
const BETWEEN: usize = 4;

/// Runs a container that searches for keys and is gone at once, as a user of its own image.
fn search(docker: &Client, name: &str) -> Result<Output> {
    let run = ["run", "--rm", "--network", "none", "--user", "1000"];
    let find = ["--name", name, IMAGE, "find", "/etc", "-name", "id_rsa"];
    docker.cli(&[&run[..], &find[..]].concat())
}

fn joined<T>(thread: ScopedJoinHandle<'_, Result<T>>) -> Result<T> {
    thread.join().map_err(|_| anyhow!("a thread panicked"))?
}

fn check(alert: &Value) {
    let expected = [
        ("container.image.repository", json!(REPOSITORY)),
        ("container.image.tag", json!("v1")),
        ("proc.name", json!("find")),
    ];
    assert_fields(alert, &expected);
    // Unknown when a busy dockerd had not told of the image's layers by the end of the wait and the
    // container was gone; never the host's user of that id.
    let user = text(&alert["output_fields"], "user.name");
    assert!(["user", "<NA>"].contains(&user), "{alert:#}");
}

fn names(alerts: &[Value]) -> Vec<&str> {
    let names = alerts
        .iter()
        .filter(|alert| alert["rule"] == RULE)
        .map(|alert| text(&alert["output_fields"], "container.name"));
    names.collect()
}

#[test]
fn two_hundred_containers_have_names_twenty_at_a_time() -> Result<()> {
    skip_if!(daemon::obstacle());
    skip_if!(docker::obstacle());
    let docker = dockerd()?;
    let mut world = World::start(Some(&docker))?;
    let client = docker.client();
    for burst in 0..ALL / AT_ONCE {
        thread::scope(|scope| {
            let start = |number| {
                let client = &client;
                scope.spawn(move || search(client, &format!("e2e-first-{number}")))
            };
            let started: Vec<_> = (burst * AT_ONCE..(burst + 1) * AT_ONCE)
                .map(start)
                .collect();
            for run in started {
                let output = joined(run)?;
                ensure!(output.status.success(), "{output:?}");
            }
            Ok(())
        })?;
    }
    world.fence()?;
    let alerts = world.daemon.stop()?;
    let mut found = names(&alerts);
    found.retain(|name| !name.is_empty() && *name != "host");
    found.sort_unstable();
    let mut expected: Vec<String> = (0..ALL).map(|n| format!("e2e-first-{n}")).collect();
    expected.sort_unstable();
    ensure!(found == expected, "one alert a container: {found:#?}");
    for alert in alerts.iter().filter(|alert| is_ours(alert)) {
        check(alert);
    }
    Ok(())
}

/// Whether an alert comes from a container; the fence's come from the host.
fn is_ours(alert: &Value) -> bool {
    alert["rule"] == RULE && alert["output_fields"]["container.id"] != "host"
}

/// Containers start one after the other while dockerd restarts again and again.
#[test]
fn containers_have_names_while_dockerd_restarts() -> Result<()> {
    skip_if!(daemon::obstacle());
    skip_if!(docker::obstacle());
    for restart in [Restart::KeepsContainers, Restart::StopsContainers] {
        restarts(restart).with_context(|| format!("{restart:?}"))?;
    }
    Ok(())
}

fn restarts(restart: Restart) -> Result<()> {
    let mut docker = Dockerd::start_with(restart)?;
    docker.import_image(IMAGE, &Tree::busybox()?)?;
    let mut world = World::start(Some(&docker))?;
    let client = docker.client();
    let (count, over) = (AtomicUsize::new(0), AtomicBool::new(false));
    let searched = thread::scope(|scope| {
        let starter = scope.spawn(|| search_on(&client, &count, &over));
        let restarted = (0..RESTARTS).try_for_each(|_| {
            docker.restart()?;
            // Time for a few, the first of them while dockerd comes up.
            let enough = count.load(Ordering::Relaxed) + BETWEEN;
            wait::until("containers between restarts", PATIENCE, || {
                Ok((count.load(Ordering::Relaxed) >= enough).then_some(()))
            })
        });
        over.store(true, Ordering::Relaxed);
        let searched = joined(starter);
        restarted.and(searched)
    })?;
    world.fence()?;
    let alerts = world.daemon.stop()?;
    let ours: Vec<Value> = alerts.into_iter().filter(is_ours).collect();
    let found = names(&ours);
    println!(
        "{} containers searched, {} alerts",
        searched.len(),
        found.len()
    );
    for name in &searched {
        ensure!(found.contains(&&**name), "{name} among {found:?}");
    }
    // Also those that did not live to the end of their search.
    for alert in &ours {
        check(alert);
        ensure!(
            text(&alert["output_fields"], "container.name").starts_with("e2e-"),
            "{alert}"
        );
    }
    Ok(())
}

/// Runs containers until it is `over`; the names of those that searched to the end.
fn search_on(client: &Client, count: &AtomicUsize, over: &AtomicBool) -> Result<Vec<String>> {
    let mut searched = Vec::new();
    for number in 0.. {
        if over.load(Ordering::Relaxed) {
            break;
        }
        let name = format!("e2e-restart-{number}");
        if search(client, &name)?.status.success() {
            searched.push(name);
            count.store(searched.len(), Ordering::Relaxed);
        }
    }
    Ok(searched)
}
