//! What the kernel leaves out of opens: nothing that a rule matches, whoever moves where.

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use monitor_tests::cgroup::{self, Cgroup};
use monitor_tests::daemon::Daemon;
use monitor_tests::{daemon, http, skip_if, wait};
use serde_json::Value;

use crate::actions::{Programs, succeed};
use crate::world::{PATIENCE, is_watching, text, watch};

const RULES: &str = "
- rule: inside
  desc: an open of a container's
  condition: >
    evt.type in (open, openat) and container.id != host
    and (fd.name endswith .e2e-secret or fd.name endswith .e2e-inside)
  output: inside | file=%fd.name
  priority: NOTICE
- rule: outside
  desc: an open of the host's
  condition: evt.type in (open, openat) and container.id = host and fd.name endswith .e2e-secret
  output: outside | file=%fd.name
  priority: NOTICE
- rule: written
  desc: an open to write
  condition: evt.type in (open, openat) and evt.is_open_write = true and fd.name endswith .e2e-file
  output: written | file=%fd.name
  priority: NOTICE
- rule: missing
  desc: an open of what is not there
  condition: evt.type in (open, openat) and evt.res = ENOENT and fd.name endswith /e2e-missing
  output: missing | file=%fd.name
  priority: NOTICE
- rule: needle
  desc: tells that the daemon watches
  condition: evt.type = execve and proc.exepath endswith /true
  output: needle
  priority: NOTICE
";

/// A shell that goes into a container's cgroup ($1) and out again ($2), and what it opens there.
const WORK: &str = r#"
: < 1.e2e-secret
: < 1.e2e-inside
# Names that a dentry holds itself end at 31 or 39 bytes; texts are compared up to 128.
for length in 14 15 22 23 24 30 31; do
    : > "$(printf "%0${length}d" 0).e2e-file"
done
long=$(printf '%070d' 0)
mkdir -p "$long/$long"
: > "$long/$long/long.e2e-file"
: > "$PWD/$long/$long/whole.e2e-file"
( cd "$long"; : > "../$long/$long/up.e2e-file"; : > "$long/below.e2e-file" )
( : < 2.e2e-secret )
: > 3.e2e-file
: < 3.e2e-file
: < link
: < ./folder/../4.e2e-secret
( : < e2e-missing ) 2> /dev/null || true
( echo 0 > "$1"; : < 5.e2e-secret; : < 5.e2e-inside )
echo $$ > "$1"
: < 6.e2e-secret
( : < 7.e2e-secret )
echo $$ > "$2"
: < 8.e2e-secret
( : < 9.e2e-secret; : < 9.e2e-inside )
"#;

/// Rule and file of each alert.
const EXPECTED: [(&str, &str); 25] = [
    ("written", "00000000000000.e2e-file"),
    ("written", "000000000000000.e2e-file"),
    ("written", "0000000000000000000000.e2e-file"),
    ("written", "00000000000000000000000.e2e-file"),
    ("written", "000000000000000000000000.e2e-file"),
    ("written", "000000000000000000000000000000.e2e-file"),
    ("written", "0000000000000000000000000000000.e2e-file"),
    ("written", "long.e2e-file"),
    ("written", "whole.e2e-file"),
    ("written", "up.e2e-file"),
    ("written", "below.e2e-file"),
    ("outside", "1.e2e-secret"),
    ("outside", "2.e2e-secret"),
    ("written", "3.e2e-file"),
    ("outside", "4.e2e-secret"),
    ("outside", "0.e2e-secret"),
    ("missing", "e2e-missing"),
    ("inside", "5.e2e-secret"),
    ("inside", "5.e2e-inside"),
    ("inside", "6.e2e-secret"),
    ("inside", "7.e2e-secret"),
    ("inside", "8.e2e-secret"),
    ("inside", "9.e2e-secret"),
    ("inside", "9.e2e-inside"),
    ("needle", ""),
];

#[test]
fn the_kernels_filter_changes_no_alert() -> Result<()> {
    skip_if!(daemon::obstacle());
    let programs = Programs::new()?;
    let container = Cgroup::make(&format!("/docker/{}", "e2ef".repeat(16)))?;
    let folder = programs.folder().join("work");
    fs::create_dir_all(folder.join("folder"))?;
    for number in 0..=9 {
        for kind in ["secret", "inside", "file"] {
            fs::write(folder.join(format!("{number}.e2e-{kind}")), "")?;
        }
    }
    std::os::unix::fs::symlink("0.e2e-secret", folder.join("link"))?;

    let port = http::free_port()?;
    let metrics = format!("metrics:\n  listen: 127.0.0.1:{port}\n");
    let mut filtered = watch(&programs, RULES, &metrics)?;
    let mut whole = watch(&programs, RULES, "kernel_filter: false\n")?;
    let shell = |script: &str, arguments: &[&std::path::Path]| {
        let mut shell = Command::new("sh");
        shell.current_dir(&folder).args(["-ec", script, "sh"]);
        succeed(shell.args(arguments))
    };
    // Any opens will do: others' too.
    wait::until("opens being left out", PATIENCE, || {
        shell(": < 1.e2e-file", &[])?;
        Ok((left_out(port)? > 0).then_some(()))
    })?;

    let own = fs::read_to_string("/proc/self/cgroup")?;
    let own = own.lines().find_map(|line| line.strip_prefix("0::/"));
    let own = cgroup::unified()?.join(own.context("no unified cgroup")?);
    shell(WORK, &[&container.processes(), &own.join("cgroup.procs")])?;
    let expected: BTreeSet<(String, String)> = EXPECTED
        .iter()
        .map(|(rule, file)| ((*rule).to_owned(), (*file).to_owned()))
        .collect();
    for daemon in [&mut filtered, &mut whole] {
        is_watching(daemon)?;
    }
    for (daemon, filter) in [(filtered, "filter"), (whole, "no filter")] {
        let found = told(daemon)?;
        ensure!(
            found == expected,
            "with {filter}: missing {:?}, too many {:?}",
            expected.difference(&found),
            found.difference(&expected)
        );
    }
    Ok(())
}

/// Rule and name of the file of each alert.
fn told(daemon: Daemon) -> Result<BTreeSet<(String, String)>> {
    let alerts = daemon.stop()?;
    let name = |alert: &Value| {
        let path = text(&alert["output_fields"], "fd.name").to_owned();
        path.rsplit('/').next().unwrap_or_default().to_owned()
    };
    let pair = |alert: &Value| (text(alert, "rule").to_owned(), name(alert));
    // The daemon may have alerts of its own about other things on this host.
    let ours = |(rule, _): &(String, String)| EXPECTED.iter().any(|(known, _)| known == rule);
    Ok(alerts.iter().map(pair).filter(ours).collect())
}

/// How many opens did not leave the kernel.
fn left_out(port: u16) -> Result<u64> {
    let page = http::fetch(port, "/metrics")?;
    let name = "monitor_events_filtered_total{kind=\"open\"}";
    let count = page.lines().find_map(|line| line.strip_prefix(name));
    Ok(count.map_or(Ok(0), |count| count.trim().parse())?)
}
