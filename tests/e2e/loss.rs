//! More than the kernel's buffers hold: what is lost is counted, and what is rare gets through.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::process::{Child, Command};

use anyhow::{Context as _, Result, ensure};
use monitor_tests::daemon::is_from;
use monitor_tests::{daemon, http, skip, skip_if, wait};
use serde_json::Value;

use crate::actions::{Programs, succeed};
use crate::world::{PATIENCE, text, watch};

const NEEDLES: usize = 200;

/// The smallest rings there are for floods; that of execs must hold what comes while others have
/// the CPU.
const RINGS: &str =
    "rings:\n  lifecycle_bytes: 1048576\n  control_bytes: 65536\n  bulk_bytes: 65536\n";

/// What is repeated without end.
struct Noise {
    /// Perl, in a loop.
    act: &'static str,
    /// Kind of its records.
    kind: &'static str,
    /// What a rule says that wants them and matches none.
    condition: &'static str,
}

const OPENS: Noise = Noise {
    act: "open(my $file, q(<), q(/dev/null))",
    kind: "open",
    condition: "evt.type in (open, openat, openat2) and proc.name = nobody",
};
const SIGNALS: Noise = Noise {
    act: "kill(0, $$)",
    kind: "control",
    condition: "evt.type = kill and proc.name = nobody",
};
const FAILED_EXECS: Noise = Noise {
    act: "syscall(59, $none, $none, 0)",
    kind: "exec",
    condition: "evt.type = execve and evt.failed = true and proc.name = none",
};

struct Flood(Vec<Child>);

impl Flood {
    /// One process on each of these CPUs.
    fn start(act: &str, cpus: &[String]) -> Result<Self> {
        let mut flood = Self(Vec::new());
        // For as long as it lives, at most two minutes.
        let script = format!("alarm 120; my $none = q(/nonexistent); while (1) {{ {act} }}");
        for cpu in cpus {
            let mut perl = Command::new("taskset");
            perl.args(["--cpu-list", cpu, "perl", "-e", &script]);
            flood.0.push(perl.spawn()?);
        }
        Ok(flood)
    }
}

impl Drop for Flood {
    fn drop(&mut self) {
        for process in &mut self.0 {
            let _ended = process.kill();
            let _status = process.wait();
        }
    }
}

#[test]
fn losses_of_opens_are_counted_and_cost_no_exec() -> Result<()> {
    flooded(&OPENS)
}

#[test]
fn losses_of_signals_cost_no_exec() -> Result<()> {
    flooded(&SIGNALS)
}

#[test]
fn losses_of_execs_that_fail_cost_no_exec() -> Result<()> {
    flooded(&FAILED_EXECS)
}

fn flooded(noise: &Noise) -> Result<()> {
    skip_if!(daemon::obstacle());
    skip_if!(skip::without(&["perl", "taskset"]));
    let port = http::free_port()?;
    let programs = Programs::new()?;
    let needle = programs.folder().join("needle");
    fs::copy("/bin/true", &needle)?;
    let rules = format!(
        "- rule: needle\n  desc: a program\n  condition: evt.type = execve and proc.exepath = {}\n  \
         output: needle | args=%proc.args\n  priority: NOTICE\n\
         - rule: noise\n  desc: makes the noise wanted\n  condition: {}\n  output: noise\n  \
         priority: NOTICE\n",
        needle.display(),
        noise.condition,
    );
    let settings = format!("{RINGS}metrics:\n  listen: 127.0.0.1:{port}\n");
    let mut daemon = watch(&programs, &rules, &settings)?;

    let cpus = allowed_cpus()?;
    let cpus: Vec<String> = cpus.iter().cycle().take(2).map(u32::to_string).collect();
    let flood = Flood::start(noise.act, &cpus)?;
    let before = wait::until("losses on each flooded CPU", PATIENCE, || {
        let lost = lost(port, noise.kind)?;
        let rose = |cpu: &String| lost.get(cpu).is_some_and(|count| *count > 0.0);
        Ok(cpus.iter().all(rose).then_some(lost))
    })?;
    let count = wait::fewer(NEEDLES);
    for number in 0..count {
        succeed(Command::new(&needle).arg(number.to_string()))?;
    }
    let risen = wait::until("more losses", PATIENCE, || {
        let now = lost(port, noise.kind)?;
        let rose = |cpu: &String| now.get(cpu) > before.get(cpu);
        Ok(cpus.iter().all(rose).then_some(now))
    });
    risen.with_context(|| format!("losses before: {before:?}"))?;
    drop(flood);

    succeed(Command::new(&needle).arg("last"))?;
    let arguments = |alert: &Value| text(&alert["output_fields"], "proc.args").to_owned();
    daemon.wait_for("the last needle", PATIENCE, |alert| {
        arguments(alert) == "last"
    })?;
    let told = daemon.wait_for("the alert of losses", PATIENCE, |alert| {
        is_from(alert, "Monitor internal: events lost")
    })?;
    // Where the tests run in a container, that is not the host.
    ensure!(
        text(&told["output_fields"], "container.id") != "unknown",
        "{told}"
    );
    let alerts = daemon.stop()?;
    let needles = alerts.iter().filter(|alert| is_from(alert, "needle"));
    let found: Vec<String> = needles.map(arguments).collect();
    let numbers = (0..count).map(|number| number.to_string());
    let expected: Vec<String> = numbers.chain(["last".to_owned()]).collect();
    ensure!(found == expected, "of execs: {found:?}");
    check_told(noise, &alerts)
}

/// What was lost was told, and of what has rings of its own nothing was. Others on this machine
/// try to execute what is not there, too.
fn check_told(noise: &Noise, alerts: &[Value]) -> Result<()> {
    let told = alerts.iter().map(|alert| &alert["output_fields"]);
    let told: Vec<&str> = told.map(|fields| text(fields, "lost.kinds")).collect();
    let kinds = told.iter().flat_map(|kinds| kinds.split(','));
    let kinds = kinds.filter_map(|kind| Some(kind.split_once(':')?.0));
    let kinds: BTreeSet<&str> = kinds.collect();
    ensure!(kinds.contains(noise.kind), "{told:?}");
    let other = kinds
        .iter()
        .find(|kind| ![noise.kind, "exec"].contains(kind));
    ensure!(other.is_none(), "of {}: {told:?}", noise.kind);
    Ok(())
}

/// The CPUs that this process may run on.
fn allowed_cpus() -> Result<Vec<u32>> {
    let status = fs::read_to_string("/proc/self/status")?;
    let list = status
        .lines()
        .find_map(|line| line.strip_prefix("Cpus_allowed_list:"))
        .context("no list of CPUs")?;
    let mut cpus = Vec::new();
    for range in list.trim().split(',') {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        cpus.extend(first.parse::<u32>()?..=last.parse()?);
    }
    Ok(cpus)
}

/// Records of a kind lost so far, by CPU.
fn lost(port: u16, kind: &str) -> Result<BTreeMap<String, f64>> {
    let exposition = http::fetch(port, "/metrics")?;
    let kind = format!("kind=\"{kind}\"");
    let mut lost = BTreeMap::new();
    for line in exposition.lines() {
        let Some(sample) = line.strip_prefix("monitor_records_lost_total{") else {
            continue;
        };
        let (labels, value) = sample.split_once("} ").context("not a sample")?;
        if labels.split(',').any(|label| label == kind) {
            let cpu = labels
                .split(',')
                .find_map(|label| label.strip_prefix("cpu=\"")?.strip_suffix('"'))
                .context("a loss without a CPU")?;
            *lost.entry(cpu.to_owned()).or_default() += value.parse::<f64>()?;
        }
    }
    Ok(lost)
}
