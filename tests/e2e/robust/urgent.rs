//! `newest_first`: a log server comes back, and the daemon is killed while it catches up.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{Ipv4Addr, TcpListener};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use monitor_tests::{daemon, skip_if, wait};

use super::kept::serve_http;
use super::{Subject, number};
use crate::actions::{Programs, succeed};
use crate::world::PATIENCE;

const ALERTS: u32 = 1200;
/// One of so many is severe.
const EACH: u32 = 100;
/// So many have come when the daemon is killed: all that are severe, and some of the others.
const KILLED_AT: usize = 100;

/// Needles of two kinds, one of which is for the middle of the night.
const RULES: &str = "
- rule: urgent needle
  desc: a program with a number
  condition: evt.type in (execve, execveat) and proc.name = echo and proc.args startswith e2e-urgent-
  output: needle | args=%proc.args
  priority: ALERT
- rule: needle
  desc: a program with a number
  condition: evt.type in (execve, execveat) and proc.name = echo and proc.args startswith e2e-fault-
  output: needle | args=%proc.args
  priority: NOTICE
";

fn is_urgent(number: u32) -> bool {
    number % EACH == EACH / 2
}

#[test]
fn the_newest_severe_alerts_come_first_and_a_kill_while_it_catches_up_costs_none() -> Result<()> {
    skip_if!(daemon::obstacle());
    let programs = Programs::new()?;
    let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let address = free.local_addr()?;
    drop(free);
    let alerts = programs.folder().join("alerts.jsonl");
    let settings =
        format!("  http:\n    siem: {{url: 'http://{address}/', newest_first: critical}}\n");
    let subject = Subject::start(&programs, RULES, &alerts, &settings)?;
    for number in 0..ALERTS {
        let kind = if is_urgent(number) { "urgent" } else { "fault" };
        succeed(Command::new("/bin/echo").arg(format!("e2e-{kind}-{number}-")))?;
    }
    subject.wait_for(ALERTS - 1)?;
    let received = serve_http(address)?;
    let mut came: Vec<(u32, String)> = Vec::new();
    let mut take = |count: usize| {
        wait::until(&format!("{count} needles at the server"), PATIENCE, || {
            for body in received.try_iter() {
                came.push(number(&body)?);
            }
            let distinct: BTreeSet<u32> = came.iter().map(|(number, _)| *number).collect();
            Ok((distinct.len() >= count).then_some(()))
        })
        .with_context(|| format!("{} came", came.len()))
    };
    take(KILLED_AT)?;
    subject.kill()?;
    let subject = Subject::start(&programs, RULES, &alerts, &settings)?;
    take(ALERTS as usize)?;
    subject.stop()?;

    let urgent: Vec<u32> = (0..ALERTS)
        .rev()
        .filter(|number| is_urgent(*number))
        .collect();
    let numbers: Vec<u32> = came.iter().map(|(number, _)| *number).collect();
    ensure!(numbers.starts_with(&urgent), "{numbers:?}");
    let mut names: BTreeMap<u32, BTreeSet<String>> = BTreeMap::new();
    for (number, uuid) in came {
        names.entry(number).or_default().insert(uuid);
    }
    ensure!(names.values().all(|names| names.len() == 1), "{names:?}");
    // What had come in the last moments before the kill may come again.
    let twice = numbers.len() - names.len();
    println!("{} alerts, of which {twice} came twice", names.len());
    ensure!(twice < names.len() / 4, "{twice} came twice");
    Ok(())
}
