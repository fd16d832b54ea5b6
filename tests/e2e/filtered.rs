//! Whole policies, ours and upstream's, on what `monitor-daemon/examples/workload.sh` does on the host
//! and in a container: the alerts are the same with the kernel's filter and without.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, ensure};
use monitor_tests::cgroup::Cgroup;
use monitor_tests::daemon::{self, Daemon};
use monitor_tests::{paths, skip, skip_if};
use serde_json::Value;

use crate::actions::Programs;
use crate::world::{WATCHING, configuration, is_watching};

const WORKLOAD: &str = include_str!("../../monitor-daemon/examples/workload.sh");
/// What is compared of an alert, besides its rule. The session tells whose it is.
const FIELDS: [&str; 6] = [
    "proc.sid",
    "proc.pid",
    "evt.type",
    "fd.name",
    "fs.path.name",
    "container.id",
];

#[test]
fn our_policies_raise_the_same_alerts_with_the_filter_and_without() -> Result<()> {
    same_alerts(&[paths::root().join("policies")], 15)
}

#[test]
fn upstreams_rules_raise_the_same_alerts_with_the_filter_and_without() -> Result<()> {
    let missing = "upstream's rules are not beside the checkout";
    let folder = paths::upstream_rules();
    skip_if!(folder.is_none().then(|| missing.to_owned()));
    let names = ["falco", "falco-incubating", "falco-sandbox"];
    let files = names.map(|name| format!("{name}_rules.yaml"));
    let folder = folder.context(missing)?;
    same_alerts(&files.map(|file| folder.join(file)), 15)
}

/// At least so many rules have to raise some.
fn same_alerts(policies: &[PathBuf], rules: usize) -> Result<()> {
    skip_if!(daemon::obstacle());
    skip_if!(skip::without(&[
        "setsid", "unshare", "perl", "nsenter", "chroot"
    ]));
    let programs = [Programs::new()?, Programs::new()?];
    let [mut filtered, mut whole] = [
        start(&programs[0], policies, "")?,
        start(&programs[1], policies, "kernel_filter: false\n")?,
    ];
    let container = Cgroup::make(&format!("/docker/{}", "e2f1".repeat(16)))?;
    let folder = programs[0].folder().join("work");
    std::fs::create_dir_all(&folder)?;
    let sessions = [
        work(&folder, None)?.to_string(),
        work(&folder, Some(&container.processes()))?.to_string(),
    ];
    for daemon in [&mut filtered, &mut whole] {
        is_watching(daemon)?;
    }
    let [filtered, whole] = [told(filtered, &sessions)?, told(whole, &sessions)?];
    let raised: BTreeSet<&String> = whole.keys().map(|key| &key[0]).collect();
    println!(
        "{} rules raised {} alerts",
        raised.len(),
        whole.values().sum::<usize>()
    );
    ensure!(raised.len() >= rules, "{raised:?}");
    let apart = |one: &Alerts, other: &Alerts| -> Vec<String> {
        let apart = one
            .iter()
            .filter(|(key, count)| other.get(*key) != Some(*count));
        apart
            .map(|(key, count)| format!("{count} {key:?}"))
            .collect()
    };
    let (missing, more) = (apart(&whole, &filtered), apart(&filtered, &whole));
    ensure!(
        missing.is_empty() && more.is_empty(),
        "without a filter: {missing:#?}, with it: {more:#?}"
    );
    Ok(())
}

fn start(programs: &Programs, policies: &[PathBuf], settings: &str) -> Result<Daemon> {
    let appended = format!("append_output:\n- extra_fields: [{}]\n", FIELDS.join(", "));
    let settings = format!("rule_matching: all\n{settings}{appended}");
    let mut arguments = vec!["--config".into(), configuration(programs, &settings)?];
    let needle = daemon::policy(programs.folder(), WATCHING)?;
    for policy in policies.iter().cloned().chain([needle]) {
        arguments.extend([PathBuf::from("--policy"), policy]);
    }
    Daemon::start(&arguments)
}

/// Does the work, in a cgroup if one is given; the session that it is.
fn work(folder: &Path, cgroup: Option<&Path>) -> Result<u32> {
    let enter = match cgroup {
        Some(cgroup) => format!("echo $$ > {};", cgroup.display()),
        None => String::new(),
    };
    let text = format!("{enter}\n{WORKLOAD}");
    let mut child = Command::new("setsid")
        .args(["unshare", "--mount", "sh", "-c", &text, "workload"])
        .arg(folder)
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()?;
    let session = child.id();
    let status = child.wait()?;
    ensure!(status.success(), "the workload: {status}");
    Ok(session)
}

/// Rule and fields of alerts, with how many there were of each.
type Alerts = BTreeMap<Vec<String>, usize>;

/// The alerts about these sessions.
fn told(daemon: Daemon, sessions: &[String]) -> Result<Alerts> {
    let mut alerts = Alerts::new();
    for alert in daemon.stop()? {
        let fields = &alert["output_fields"];
        let text = |value: &Value| {
            value
                .as_str()
                .map_or_else(|| value.to_string(), str::to_owned)
        };
        if !sessions.contains(&text(&fields["proc.sid"])) {
            continue;
        }
        let rule = text(&alert["rule"]);
        let key = std::iter::once(rule).chain(FIELDS.map(|name| text(&fields[name])));
        *alerts.entry(key.collect()).or_insert(0) += 1;
    }
    Ok(alerts)
}
