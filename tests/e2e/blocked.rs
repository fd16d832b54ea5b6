//! More threads wait within a call than there is room for what the kernel programs note about it.
//! Who calls then is told all the same, what is not known for sure is counted, and when the threads
//! are gone all is as before.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use monitor_tests::daemon::is_from;
use monitor_tests::tree::Tree;
use monitor_tests::{c, daemon, http, paths, skip, skip_if, vm, wait};
use serde_json::Value;

use crate::actions::Programs;
use crate::guest::{alerts, ended_well, script};
use crate::world::{PATIENCE, is_watching, text, watch};

/// Room for notes about addresses, and about accepts.
const ADDRESSES: u64 = 4096;
const ACCEPTS: u64 = 8192;
/// Threads beyond that.
const BEYOND: u64 = 100;
const OWN_NETWORK: &str = "ip link set lo up && exec \"$0\" \"$@\"";
const IN_GUEST: Duration = Duration::from_mins(8);

/// The calls that matter. What the threads do is asked for by none.
const RULES: &str = "
- rule: connected
  desc: a connection that is refused
  condition: evt.type = connect and fd.sport in (43471, 43472)
  output: connected | port=%fd.sport address=%evt.arg.addr
  priority: NOTICE
- rule: sent
  desc: a message to a name
  condition: evt.type = sendto and fd.name startswith @e2e-blocked-
  output: sent | name=%fd.name
  priority: NOTICE
- rule: accepted
  desc: a connection that is served
  condition: evt.type = accept and fd.sport in (43471, 43472)
  output: accepted | port=%fd.sport tuple=%evt.arg.tuple
  priority: NOTICE
- rule: fence
  desc: what comes last
  condition: evt.type = openat and fd.name = /tmp/e2e-blocked-fence
  output: fence
  priority: NOTICE
- rule: needle
  desc: tells that the daemon watches
  condition: evt.type = execve and proc.exepath endswith /true
  output: needle
  priority: NOTICE
";

/// May match any connect, as far as the kernel can tell: of those that no rule can match nothing is
/// noted.
const ASKED: &str = "
- rule: asked
  desc: connects of a program that is not there
  condition: evt.type = connect and proc.name = e2e-nobody
  output: asked
  priority: NOTICE
";

fn compile(program: &Path) -> Result<()> {
    let source = paths::root().join("tests/bin/blocked.c");
    c::compile(&source, program, &["-pthread"])
}

#[test]
fn a_connect_among_thousands_that_wait_is_told() -> Result<()> {
    skip_if!(daemon::obstacle());
    skip_if!(c::obstacle("blocked"));
    skip_if!(skip::without(&["unshare", "ip"]));
    let programs = Programs::new()?;
    let program = programs.folder().join("blocked");
    c::provide(&program, compile)?;
    let port = http::free_port()?;
    let metrics = format!("metrics:\n  listen: 127.0.0.1:{port}\n");
    let mut daemon = watch(&programs, &[RULES, ASKED].concat(), &metrics)?;
    is_watching(&mut daemon)?;
    let before = lost(port)?;
    let mark = daemon.mark()?;
    // Ports that it leaves behind are of its own network.
    let mut child = Command::new("unshare")
        .args(["--net", "sh", "-c", OWN_NETWORK])
        .arg(&program)
        .args(["connect", &(ADDRESSES + BEYOND).to_string()])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    let mut input = child.stdin.take().context("no input")?;
    let output = child.stdout.take().context("no output")?;
    let mut output = BufReader::new(output);
    let mut says = |expected: &str| -> Result<()> {
        let mut line = String::new();
        output.read_line(&mut line)?;
        ensure!(line.trim() == expected, "{line:?} and not {expected}");
        Ok(())
    };
    says("full")?;
    // Those beyond, and the one that matters; others connect too, whoever asks for this among them.
    wait::until("those without room being counted", PATIENCE, || {
        Ok((lost(port)? - before > BEYOND).then_some(()))
    })?;
    input.write_all(b"\n")?;
    says("empty")?;
    let emptied = lost(port)?;
    input.write_all(b"\n")?;
    let status = child.wait()?;
    ensure!(status.success(), "it ended with {status}");
    daemon.wait_for_since(mark, "the last connection", PATIENCE, |alert| {
        is_from(alert, "connected") && port_of(alert) == "43472"
    })?;
    let told = told(daemon.alerts_since(mark)?.iter());
    ensure!(
        told == [
            "connected 43471 127.0.0.1:43471",
            "connected 43472 127.0.0.1:43472"
        ],
        "{told:?}"
    );
    ensure!(lost(port)? == emptied, "there is no room for the last one");
    Ok(())
}

#[test]
fn messages_and_accepts_among_thousands_that_wait_are_told_on_the_object_tier() -> Result<()> {
    skip_if!(daemon::obstacle());
    skip_if!(vm::obstacle(vm::DEBIAN_12));
    skip_if!(c::obstacle("blocked"));
    let tree = Tree::busybox()?;
    let folder = tempfile::tempdir()?;
    let program = folder.path().join("blocked");
    c::provide(&program, compile)?;
    tree.program("/bin/monitor-daemon", &paths::daemon()?)?;
    tree.program("/bin/blocked", &program)?;
    let config = "metrics:\n  listen: off\nappend_suggested_output: false\n";
    tree.file("/rules/own.yaml", RULES)?
        .file("/rules/monitor.yaml", config)?;
    let actions = format!(
        "echo 30000 >/proc/sys/kernel/threads-max
        for kind in 'send {}' 'accept {}'; do
            printf '\\n\\n' | blocked $kind || echo \"status of blocked: $?\"
        done
        : >/tmp/e2e-blocked-fence",
        ADDRESSES + BEYOND,
        ACCEPTS + BEYOND,
    );
    let script = script("--policy /rules/own.yaml", &actions, "e2e-blocked-fence");
    let output = vm::run(vm::DEBIAN_12, &tree, &script, IN_GUEST)?;
    ended_well(&output.text)?;
    let alerts = alerts(&output.text)?;
    let mut told = told(alerts.iter());
    // Whoever is accepted has connected.
    told.retain(|told| !told.starts_with("connected"));
    let expected = [
        "sent @e2e-blocked-1",
        "sent @e2e-blocked-2",
        "accepted 43471",
        "accepted 43472",
    ];
    ensure!(told.len() == expected.len(), "{told:?}");
    let matches = |(told, start): (&String, &&str)| told.starts_with(start);
    ensure!(told.iter().zip(&expected).all(matches), "{told:?}");
    // The last one of each had room again.
    for kind in ["send", "accept"] {
        let lost = lost_by_alerts(&alerts, kind);
        ensure!(lost == BEYOND + 1, "{lost} of {kind}: {alerts:#?}");
    }
    Ok(())
}

fn port_of(alert: &Value) -> String {
    let port = &alert["output_fields"]["fd.sport"];
    port.as_u64()
        .map_or_else(String::new, |port| port.to_string())
}

/// Rule and what its alert says, in order.
fn told<'a>(alerts: impl Iterator<Item = &'a Value>) -> Vec<String> {
    let one = |alert: &Value| {
        let fields = &alert["output_fields"];
        let rule = text(alert, "rule").to_owned();
        match &*rule {
            "connected" => Some(format!(
                "{rule} {} {}",
                port_of(alert),
                text(fields, "evt.arg.addr")
            )),
            "accepted" => Some(format!(
                "{rule} {} {}",
                port_of(alert),
                text(fields, "evt.arg.tuple")
            )),
            "sent" => Some(format!("{rule} {}", text(fields, "fd.name"))),
            _ => None,
        }
    };
    alerts.filter_map(one).collect()
}

/// Connects of which the kernel's copy of the address had no room.
fn lost(port: u16) -> Result<u64> {
    let page = http::fetch(port, "/metrics")?;
    let of_cpu = page.lines().filter(|line| {
        line.starts_with("monitor_records_lost_total{")
            && line.contains("kind=\"connect\",reason=\"state_evicted\"")
    });
    let counts = of_cpu.filter_map(|line| line.rsplit(' ').next());
    counts.map(|count| Ok(count.parse::<u64>()?)).sum()
}

/// Losses of a kind, by all alerts about losses.
fn lost_by_alerts(alerts: &[Value], kind: &str) -> u64 {
    let internal = alerts
        .iter()
        .filter(|alert| is_from(alert, "Monitor internal: events lost"));
    let kinds = internal.flat_map(|alert| text(&alert["output_fields"], "lost.kinds").split(','));
    let of_kind = kinds.filter_map(|one| one.split_once(':').filter(|(name, _)| *name == kind));
    of_kind
        .filter_map(|(_, count)| count.parse::<u64>().ok())
        .sum()
}
