//! Evasions: how a workload hides from a monitor, each as a case of its own, on both tiers.
//!
//! A case is *detected* when its alerts came with the right fields and its innocent twin caused
//! none, *blind* when something is missing, *counted* when only a loss is told, *untried* where the kernel has no such thing. The
//! outcomes are compared with `expected.tsv`, so that none changes or goes missing unseen.

#![expect(
    clippy::indexing_slicing,
    reason = "indexing a JSON value gives null, it never panics"
)]

mod case;
mod cases;
mod expectation;
mod judge;
mod programs;
mod script;
mod selftest;
mod table;

use std::collections::BTreeSet;
use std::fs;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use monitor_tests::tree::Tree;
use monitor_tests::{daemon, paths, skip, skip_if, vm};
use serde_json::Value;

use expectation::Tier;
use judge::Evidence;
use script::{Load, Site};

/// Busybox's shell does itself what is called as programs, or runs itself as `exe`: they would not be
/// known by their names.
const AGAIN: &str = "[ -n \"$BASH_VERSION\" ] || exec bash \"$0\"\n";
/// The guest's kernel has these file systems and protocols as modules, in this order.
const MODULES: &str = "\
MODULES=/modules
for name in overlay vsock libcrc32c udp_tunnel ip6_udp_tunnel sctp; do
    insmod $MODULES/$name.ko || exit 1
done
";
/// Longest that a run may take; a quiet machine needs two minutes, on this host as in the guest.
const PATIENCE: Duration = Duration::from_mins(15);

#[test]
fn evasions_on_this_host() -> Result<()> {
    skip_if!(daemon::obstacle());
    skip_if!(skip::without(&[
        "gcc", "busybox", "unshare", "nsenter", "timeout", "perl"
    ]));
    // In the root file system, where a file is told from what mounts show of it.
    let folder = tempfile::Builder::new().prefix("evade-").tempdir_in("/")?;
    let programs = programs::build(&folder.path().join("programs"))?;
    let root = folder.path().join("run");
    fs::create_dir(&root)?;
    let daemon = paths::daemon()?;
    let site = Site {
        root: root.to_str().context("a folder")?,
        programs: programs.to_str().context("a folder")?,
        daemon: daemon.to_str().context("a path")?,
        load: Load {
            rounds: 100_000,
            needles: 500,
            spawns: 200_000,
            short: 6000,
        },
    };
    let script = root.join("script");
    fs::write(&script, site.script(&cases::chosen()))?;
    let start = Instant::now();
    let mut shell = Command::new("timeout");
    shell
        .arg(PATIENCE.as_secs().to_string())
        .arg("sh")
        .arg(&script)
        .stdin(Stdio::null());
    let output = shell.output().context("cannot run the script")?;
    let text = String::from_utf8_lossy(&output.stdout);
    println!("{text}{}", String::from_utf8_lossy(&output.stderr));
    ensure!(
        output.status.success(),
        "the script ended with {}",
        output.status
    );
    let alerts = fs::read_to_string(root.join("alerts"))?;
    println!(
        "{:?} for the run, {} bytes of alerts",
        start.elapsed(),
        alerts.len()
    );
    conclude(site, &text, &alerts)
}

#[test]
fn evasions_in_a_guest() -> Result<()> {
    skip_if!(daemon::obstacle());
    skip_if!(vm::obstacle(vm::DEBIAN_12));
    let modules = paths::guest_modules(vm::DEBIAN_12);
    skip_if!(modules.as_ref().err().map(ToString::to_string));
    skip_if!(skip::without(&["gcc", "bash", "perl"]));
    let folder = tempfile::tempdir()?;
    let tree = Tree::busybox()?;
    tree.folder("/run-of-cases")?;
    tree.program("/bin/monitor-daemon", &paths::daemon()?)?;
    for name in ["bash", "perl"] {
        let program = paths::program(name).with_context(|| format!("{name} is missing"))?;
        tree.program(&format!("/bin/{name}"), &program)?;
    }
    tree.copy("/modules", &modules?)?;
    for program in fs::read_dir(programs::build(folder.path())?)? {
        let program = program?;
        let name = program.file_name();
        let name = name.to_str().context("a name")?;
        tree.program(&format!("/programs/{name}"), &program.path())?;
    }
    let site = Site {
        root: "/run-of-cases",
        programs: "/programs",
        daemon: "/bin/monitor-daemon",
        load: Load {
            rounds: 1000,
            needles: 30,
            spawns: 2000,
            short: 200,
        },
    };
    let script = format!(
        "{AGAIN}{MODULES}SHOW_ALERTS=yes\n{}",
        site.script(&cases::chosen())
    );
    let start = Instant::now();
    let output = vm::run(vm::DEBIAN_12, &tree, &script, PATIENCE)?;
    println!("{:?} for the run", start.elapsed());
    let alerts = output
        .text
        .split_once("== alerts\n")
        .context("no alerts")?
        .1;
    let alerts = alerts.split_once("== doctor\n").context("no report")?.0;
    conclude(site, &output.text, alerts)
}

/// Judges all cases and holds the outcomes to the expectation of the tier that served them.
fn conclude(site: Site<'_>, text: &str, alerts: &str) -> Result<()> {
    let evidence = Evidence::gather(site, text, alerts)?;
    let mut found = Vec::new();
    let mut broken = Vec::new();
    for case in cases::chosen() {
        match evidence.judge(case) {
            Ok(outcome) => {
                println!("{:>2} {:<20} {outcome:?}", case.row, case.name);
                found.push((case.name, outcome));
            }
            Err(error) => broken.push(format!("{}: {error:#}", case.name)),
        }
    }
    let tier = tier(text)?;
    let of = |name: &str| {
        found
            .iter()
            .filter(|(_, outcome)| outcome.name() == name)
            .count()
    };
    println!(
        "{} tier: {} cases detected, {} blind, {} counted, {} untried",
        tier.name(),
        of("detected"),
        of("blind"),
        of("counted"),
        of("untried")
    );
    ensure!(
        broken.is_empty(),
        "cases without an outcome:\n{}",
        broken.join("\n")
    );
    expectation::settle(tier, &found)
}

/// The tier of this kernel: that which serves opens.
fn tier(text: &str) -> Result<Tier> {
    let report = text.split_once("== doctor\n").context("no report")?.1;
    let report = report.split_once("== end").context("no end")?.0;
    let report: Value = serde_json::from_str(report)?;
    let kinds = report["coverage"].as_array().context("no coverage")?;
    let open = kinds
        .iter()
        .find(|kind| kind["kind"] == "open")
        .context("no opens")?;
    let tier = Tier::ALL
        .into_iter()
        .find(|tier| open["tier"] == tier.name());
    tier.with_context(|| format!("no tier for opens: {open}"))
}

#[test]
fn every_technique_has_cases_of_different_names() {
    let cases = cases::all();
    let rows: BTreeSet<u8> = cases.iter().map(|case| case.row).collect();
    assert_eq!(rows, (1..=case::BEYOND).collect());
    let names: BTreeSet<&str> = cases.iter().map(|case| case.name).collect();
    assert_eq!(names.len(), cases.len());
    assert!(cases.iter().all(|case| !case.seen.is_empty()));
}

#[test]
fn the_page_in_the_documentation_is_fresh() -> Result<()> {
    if expectation::blesses() {
        return table::write();
    }
    let page = table::page(&expectation::read()?);
    assert_eq!(
        fs::read_to_string(table::path())?,
        page,
        "EVASIONS_BLESS=1 writes it"
    );
    Ok(())
}

/// What is promised: techniques detected, of 38.
#[test]
fn enough_techniques_are_detected() -> Result<()> {
    let expectation = expectation::read()?;
    for (tier, bar) in [(Tier::Syscall, 30), (Tier::Object, 34)] {
        let rows = table::detected_rows(&expectation, tier);
        let missing: Vec<u8> = (1..=case::ROWS).filter(|row| !rows.contains(row)).collect();
        ensure!(
            rows.len() >= bar,
            "{} tier: {} rows; not {missing:?}",
            tier.name(),
            rows.len()
        );
    }
    Ok(())
}

/// The script is one that a shell takes.
#[test]
fn the_script_is_a_shell_script() -> Result<()> {
    let load = Load {
        rounds: 1,
        needles: 1,
        spawns: 1,
        short: 1,
    };
    let site = Site {
        root: "/tmp",
        programs: "/programs",
        daemon: "daemon",
        load,
    };
    let folder = tempfile::tempdir()?;
    let script = folder.path().join("script");
    fs::write(&script, site.script(&cases::chosen()))?;
    let output = Command::new("sh").arg("-n").arg(&script).output()?;
    let complaint = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{complaint}");
    Ok(())
}
