//! The alert log: a log server that is away while the daemon is killed, and no room for the log.

use std::collections::BTreeSet;
use std::io::Read as _;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::Path;
use std::process::Command;
use std::sync::mpsc::{Receiver, channel};
use std::thread;

use anyhow::{Context as _, Result, ensure};
use monitor_tests::disk::Disk;
use monitor_tests::{daemon, http, paths, skip_if, wait};

use super::{RULES, Subject, needle};
use crate::actions::{Programs, succeed};
use crate::world::PATIENCE;

/// Rounds of needles, each of which the daemon does not outlive.
const ROUNDS: u32 = 5;
const NEEDLES: u32 = 20;
const FAILING: &str = "monitor_alert_log_failing";

/// All that comes to a server, connection after connection, until the test ends.
fn serve(address: SocketAddr) -> Result<Receiver<String>> {
    let listener = TcpListener::bind(address)?;
    let (texts, received) = channel();
    thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            let texts = texts.clone();
            thread::spawn(move || {
                let mut bytes = [0; 4096];
                while let Ok(length @ 1..) = stream.read(&mut bytes) {
                    let text = String::from_utf8_lossy(&bytes[..length]).into_owned();
                    if texts.send(text).is_err() {
                        return;
                    }
                }
            });
        }
    });
    Ok(received)
}

/// The bodies of requests, each of which is answered with 200 when all of it is there.
pub(super) fn serve_http(address: SocketAddr) -> Result<Receiver<String>> {
    let listener = TcpListener::bind(address)?;
    let (bodies, received) = channel();
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let bodies = bodies.clone();
            thread::spawn(move || {
                http::serve(stream, |body| Ok(bodies.send(String::from_utf8(body)?)?))
            });
        }
    });
    Ok(received)
}

/// Numbers of the needles in what a server received.
fn numbers(text: &str) -> BTreeSet<u32> {
    let parts = text.split("e2e-fault-").skip(1);
    let numbers = parts.filter_map(|part| part.split('-').next()?.parse().ok());
    numbers.collect()
}

/// What `monitor-daemon alerts` prints about `log`.
fn ask(arguments: &[&str], log: &Path) -> Result<String> {
    let mut command = Command::new(paths::daemon()?);
    let output = succeed(command.arg("alerts").args(arguments).arg("--log").arg(log))?;
    Ok(String::from_utf8(output.stdout)?)
}

#[test]
fn log_servers_get_what_was_raised_while_they_were_away_and_the_daemon_killed() -> Result<()> {
    skip_if!(daemon::obstacle());
    let programs = Programs::new()?;
    let free = [
        TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?,
        TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?,
    ];
    let (address, http) = (free[0].local_addr()?, free[1].local_addr()?);
    drop(free);
    let alerts = programs.folder().join("alerts.jsonl");
    let settings = format!(
        "  syslog:\n    address: {address}\n    protocol: tcp\n  \
         http:\n    siem: {{url: 'http://{http}/', body: ndjson}}\n"
    );
    for round in 0..ROUNDS {
        let subject = Subject::start(&programs, RULES, &alerts, &settings)?;
        let first = round * NEEDLES;
        for number in first..first + NEEDLES {
            needle(number, 0)?;
        }
        // The file is written behind the log: what is there is kept.
        subject.wait_for(first + NEEDLES - 1)?;
        subject.kill()?;
    }
    let servers = [serve(address)?, serve_http(http)?];
    let subject = Subject::start(&programs, RULES, &alerts, &settings)?;
    let all: BTreeSet<u32> = (0..ROUNDS * NEEDLES).collect();
    for received in servers {
        let mut text = String::new();
        wait::until("all needles at the server", PATIENCE, || {
            text.extend(received.try_iter());
            Ok((numbers(&text) == all).then_some(()))
        })
        .with_context(|| format!("{:?}", numbers(&text)))?;
    }
    let subject = subject.stop()?;
    let in_file: BTreeSet<u32> = subject.needles()?.into_iter().collect();
    ensure!(in_file == all, "{in_file:?}");
    let log = programs.folder().join("alerts.db");
    let verified = ask(&["verify"], &log)?;
    ensure!(
        verified.contains("alerts are as they were written"),
        "{verified}"
    );
    let shown = ask(&["--format", "json", "--text", "e2e-fault-7-"], &log)?;
    ensure!(numbers(&shown) == BTreeSet::from([7]), "{shown}");
    Ok(())
}

#[test]
fn without_room_for_the_log_alerts_go_out_all_the_same_and_are_kept_later() -> Result<()> {
    skip_if!(daemon::obstacle());
    let programs = Programs::new()?;
    let disk = Disk::new(&programs.folder().join("disk"), "512k")?;
    let log = disk.folder().join("alerts.db");
    let alerts = programs.folder().join("alerts.jsonl");
    let settings = format!("  log:\n    path: {}\n", log.display());
    let subject = Subject::start(&programs, RULES, &alerts, &settings)?;
    let mut sent = 0;
    wait::until("a log without room", 3 * PATIENCE, || {
        needle(sent, 3000)?;
        sent += 1;
        Ok((subject.metric(FAILING)? == 1).then_some(()))
    })?;
    for _ in 0..20 {
        needle(sent, 0)?;
        sent += 1;
    }
    subject.wait_for(sent - 1)?;
    disk.resize("16m")?;
    wait::until("a log that is written again", PATIENCE, || {
        Ok((subject.metric(FAILING)? == 0).then_some(()))
    })?;
    let subject = subject.stop()?;
    let needles = subject.needles()?;
    ensure!(needles == (0..sent).collect::<Vec<_>>(), "{needles:?}");
    let kept = ask(&["--format", "json"], &log)?;
    ensure!(
        numbers(&kept) == (0..sent).collect(),
        "{sent}: {:?}",
        numbers(&kept)
    );
    Ok(())
}
