//! `cargo xtask soak`: the daemon for half an hour under mixed load, with its memory, descriptors,
//! threads and losses watched.
//!
//! Argument: how many minutes. Prints a line of figures each half minute, then what was checked.
//! It watches the host it runs on, so what else happens there is load too. Ends with status 1 when
//! a check fails.

#![expect(
    clippy::indexing_slicing,
    reason = "indexing a JSON value gives null, it never panics"
)]

mod alerts;
mod load;
mod sample;
mod verdict;

use std::process::ExitCode;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use monitor_tests::daemon::Daemon;
use monitor_tests::docker::Dockerd;
use monitor_tests::tree::Tree;
use monitor_tests::{daemon, docker, http, paths};
use tempfile::TempDir;

use alerts::AlertFiles;
use load::{IMAGE, Load};
use sample::{HEADER, Sample};
use verdict::WARM_UP;

const PAUSE: Duration = Duration::from_secs(5);
/// Samples from one printed line to the next.
const PRINTED: usize = 6;

fn main() -> Result<ExitCode> {
    let minutes = std::env::args().nth(1).context("usage: soak MINUTES")?;
    let time = Duration::from_mins(minutes.parse()?);
    if time < 3 * WARM_UP {
        bail!(
            "needs {:?} or more: the first {WARM_UP:?} do not count",
            3 * WARM_UP
        );
    }
    if let Some(reason) = daemon::obstacle().or_else(docker::obstacle) {
        bail!("cannot run here: {reason}");
    }
    soak(time)
}

fn soak(time: Duration) -> Result<ExitCode> {
    let docker = Dockerd::start()?;
    docker.import_image(IMAGE, &Tree::busybox()?)?;
    let folder = TempDir::with_prefix("soak-")?;
    let port = http::free_port()?;
    let daemon = start(&folder, &docker, port)?;
    let mut files = AlertFiles::new(daemon.alerts_file(), folder.path());
    let load = Load::start(&docker, port)?;
    let samples = watch(&daemon, port, time, &mut files)?;
    let lost = sample::losses(port)?;
    let done = load.stop();
    let log = daemon.log();
    files.keep_last()?;
    daemon.stop()?;
    let tally = files.tally()?;
    if !log.is_empty() {
        println!("\nlog of the daemon:\n{log}");
    }
    println!("\nload: {done}\nalerts: {tally}");
    for line in lost {
        println!("{line}");
    }
    let findings = verdict::judge(&samples, &done, &tally);
    for finding in &findings {
        println!("{finding}");
    }
    let failed = findings.iter().any(|finding| !finding.holds);
    Ok(ExitCode::from(u8::from(failed)))
}

/// Upstream's rules where they are, ours, and one for what the load does.
fn start(folder: &TempDir, docker: &Dockerd, port: u16) -> Result<Daemon> {
    let config = folder.path().join("monitor.yaml");
    let text = format!(
        "rule_matching: all\nalerts: {{stdout: off}}\ndocker: {{socket: {}}}\n\
         metrics: {{listen: '127.0.0.1:{port}'}}\n",
        docker.socket().display()
    );
    std::fs::write(&config, text)?;
    let needles = daemon::policy(folder.path(), alerts::RULE)?;
    let upstream = paths::upstream_rules().map(|folder| folder.join("falco_rules.yaml"));
    if upstream.is_none() {
        println!("upstream's rules are not here: only ours are loaded");
    }
    let mut arguments = vec!["--config".into(), config];
    for file in upstream
        .into_iter()
        .chain([paths::root().join("policies"), needles])
    {
        arguments.extend(["--policy".into(), file]);
    }
    Daemon::start(&arguments)
}

fn watch(
    daemon: &Daemon,
    port: u16,
    time: Duration,
    files: &mut AlertFiles,
) -> Result<Vec<Sample>> {
    println!("{HEADER}");
    let start = Instant::now();
    let mut samples = Vec::new();
    while start.elapsed() < time {
        thread::sleep(PAUSE);
        let sample = Sample::take(daemon.pid(), port, start.elapsed())?;
        if samples.len() % PRINTED == 0 {
            println!("{sample}");
        }
        samples.push(sample);
        files.rotate_when_due()?;
    }
    Ok(samples)
}
