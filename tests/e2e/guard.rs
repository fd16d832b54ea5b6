//! The daemon looks after itself: its programs deliver, and who lays hands on its kernel objects is
//! told, with what was done; what can be set right is.

use std::fs;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use monitor_tests::daemon::{self, Daemon, field, is_from};
use monitor_tests::tree::Tree;
use monitor_tests::{http, paths, skip, skip_if, vm, wait};
use serde_json::Value;

use crate::actions::{Programs, run};
use crate::guest::{BOOT_AND_RUN, alerts, section};
use crate::world::{PATIENCE, watch};

const TAMPERED: &str = "Monitor tampered with";
/// No array of programs has more.
const OPERATIONS: u32 = 40;
/// Anything that the daemon or its self-check might be seen doing, and a needle.
const RULES: &str = "
- rule: self
  desc: the daemon itself, or its child
  condition: >
    evt.type in (execve, execveat, open, openat, openat2, connect, accept, accept4, socket, bind,
    listen, sendto, unlink, unlinkat, rmdir, rename, renameat, renameat2, mkdir, mkdirat, symlink,
    symlinkat, link, linkat, chmod, fchmodat, memfd_create, unshare, setuid, bpf, kill)
    and proc.exepath = DAEMON
  output: it did %evt.type %fd.name %proc.cmdline
  priority: NOTICE
- rule: needle
  desc: an open
  condition: evt.type in (open, openat, openat2) and fd.name endswith /e2e-guard-needle
  output: opened %fd.name
  priority: NOTICE
";

#[test]
fn own_acts_are_seen_and_no_alert_and_tampering_is_one() -> Result<()> {
    skip_if!(daemon::obstacle());
    skip_if!(skip::without(&["bpftool"]));
    let programs = Programs::new()?;
    let port = http::free_port()?;
    let settings = format!("metrics:\n  listen: 127.0.0.1:{port}\n");
    let path = paths::daemon()?;
    let rules = RULES.replace("DAEMON", &path.display().to_string());
    let mut daemon = watch(&programs, &rules, &settings)?;
    every_kind_delivers(port)?;
    needle(&mut daemon, &programs)?;
    table_of_calls(&mut daemon, &programs)?;
    table_of_programs(&mut daemon, &programs)?;
    detached_links(&mut daemon)?;
    let metrics = http::fetch(port, "/metrics")?;
    let tamperings = value(&metrics, "monitor_tamperings_total").context("no such metric")?;
    ensure!(tamperings >= 2, "{tamperings} were counted");
    let alerts = daemon.stop()?;
    let own: Vec<&Value> = alerts
        .iter()
        .filter(|alert| is_from(alert, "self"))
        .collect();
    ensure!(own.is_empty(), "the daemon alerted on itself: {own:#?}");
    Ok(())
}

/// What a reload brings.
const MORE_RULES: &str = "
- rule: made
  desc: a directory
  condition: evt.type in (mkdir, mkdirat) and fs.path.name = /tmp/e2e-guard-made
  output: made %fs.path.name
  priority: NOTICE
";

/// Where BPF programs are a security module, others cannot even try; the first process can.
const PROTECTED: &str = r#"
monitor-daemon run --every-alert --config /rules/monitor.yaml --policy /rules/own.yaml --alerts /tmp/alerts 2>/tmp/log &
daemon=$!
tries=0
until grep -q '^ready' /tmp/log; do
    tries=$((tries + 1)); [ $tries -lt 600 ] || { cat /tmp/log; exit 1; }
    usleep 100000
done
kill -0 $daemon && echo "asked"
kill -KILL $daemon || echo "kill: $?"
sh -c "kill -STOP $daemon" || echo "stop: $?"
dd if=/proc/$daemon/mem of=/dev/null count=1 2>&1 | head -n 1
cat /proc/$daemon/comm
sleep 1000 & kill -KILL $! && echo "another was killed"
tries=0
until [ $(grep -c 'was refused' /tmp/alerts) -ge 3 ]; do
    tries=$((tries + 1)); [ $tries -lt 300 ] || break
    usleep 100000
done
kill -0 $daemon && echo "still there"
# Other rules, which need programs that were not there when the daemon began.
cp /rules/more.yaml /rules/own.yaml
tries=0
until grep -q 'rules were loaded anew' /tmp/log; do
    tries=$((tries + 1)); [ $tries -lt 300 ] || break
    usleep 100000
done
ln -s /tmp /tmp/e2e-guard-link
mkdir /tmp/e2e-guard-link/e2e-guard-made
tries=0
until grep -q e2e-guard-made /tmp/alerts; do
    tries=$((tries + 1)); [ $tries -lt 300 ] || break
    usleep 100000
done
kill -KILL $daemon || echo "kill again: $?"
# The first process of this guest does what it is asked for.
echo $daemon >/run/terminate
wait $daemon; echo "status $?"
echo '== log'; cat /tmp/log
echo '== alerts'; cat /tmp/alerts
echo '== doctor'; monitor-daemon doctor
"#;

/// Like the suite's own, but that the first process sends a signal when it is asked.
const FIRST: &str = r#"#!/bin/busybox sh
export PATH=/bin:/sbin:/usr/bin:/usr/sbin
on() { mkdir -p "$3"; mount -t "$1" "$2" "$3"; }
on proc proc /proc
on sysfs sysfs /sys
on devtmpfs dev /dev
on tmpfs tmp /tmp
on tmpfs run /run
on cgroup2 cgroup2 /sys/fs/cgroup
on securityfs securityfs /sys/kernel/security
ip link set lo up
stty -F /dev/ttyS1 raw -echo
sh /script </dev/null >/dev/ttyS1 2>&1 &
script=$!
until [ -e /run/terminate ] || ! kill -0 $script; do usleep 100000; done
kill -TERM $(cat /run/terminate)
wait $script
echo "guest-exit-status $?" >/dev/ttyS1
poweroff -f
"#;

#[test]
fn a_protected_daemon_is_killed_by_the_first_process_only() -> Result<()> {
    skip_if!(daemon::obstacle());
    skip_if!(vm::obstacle(vm::DEBIAN_12));
    let tree = Tree::busybox()?;
    tree.program("/bin/monitor-daemon", &paths::daemon()?)?;
    tree.file(
        "/rules/own.yaml",
        RULES.replace("DAEMON", "/bin/monitor-daemon"),
    )?;
    let config = "protect: true\nmetrics:\n  listen: off\n";
    tree.file("/rules/monitor.yaml", config)?;
    tree.file("/rules/more.yaml", MORE_RULES)?;
    tree.script("/init", FIRST)?.script("/script", PROTECTED)?;
    let output = vm::boot(vm::DEBIAN_12, &tree, BOOT_AND_RUN)?;
    let text = &output.text;
    for line in [
        "asked",
        "kill: 1",
        "stop: 1",
        "another was killed",
        "still there",
        "kill again: 1",
        "status 0",
    ] {
        ensure!(
            text.contains(&format!("\n{line}\n")) || text.starts_with(line),
            "no `{line}` in\n{text}"
        );
    }
    ensure!(
        text.contains("Operation not permitted"),
        "no EPERM in\n{text}"
    );
    let alerts = alerts(text)?;
    for what in [
        "signal 9 to the daemon was refused",
        "signal 19 to the daemon was refused",
        "tracing the daemon was refused",
    ] {
        let told = |alert: &&Value| field(alert, "monitor.tampering").as_deref() == Some(what);
        let alert = alerts
            .iter()
            .find(told)
            .with_context(|| format!("`{what}`: {alerts:#?}"))?;
        ensure!(is_from(alert, TAMPERED), "{alert:#}");
        ensure!(field(alert, "proc.name").is_some(), "{alert:#}");
    }
    let made = alerts.iter().find(|alert| is_from(alert, "made"));
    let name = made.and_then(|alert| field(alert, "fs.path.name"));
    // The name is the kernel's, which a program at its function notes.
    ensure!(name.as_deref() == Some("/tmp/e2e-guard-made"), "{made:#?}");
    ensure!(
        section(text, "doctor")?.contains("`protect: true` works here"),
        "{text}"
    );
    Ok(())
}

/// The value of a metric, by its name and labels.
fn value(metrics: &str, name: &str) -> Option<u64> {
    let mut lines = metrics.lines().filter_map(|line| line.rsplit_once(' '));
    lines.find(|(found, _)| *found == name)?.1.parse().ok()
}

fn every_kind_delivers(port: u16) -> Result<()> {
    let delivers = |kind: &str| format!("monitor_provider_delivers{{kind=\"{kind}\",");
    let metrics = wait::until("kinds to deliver", PATIENCE, || {
        let metrics = http::fetch(port, "/metrics")?;
        let told = metrics
            .lines()
            .any(|line| line.starts_with(&delivers("open")));
        Ok(told.then_some(metrics))
    })?;
    for kind in [
        "exec", "fork", "exit", "open", "connect", "accept", "remove", "memfd", "control",
    ] {
        let line = metrics
            .lines()
            .find(|line| line.starts_with(&delivers(kind)));
        let line = line.with_context(|| format!("nothing is told of {kind}:\n{metrics}"))?;
        ensure!(line.ends_with(" 1"), "{line}");
    }
    Ok(())
}

fn needle(daemon: &mut Daemon, programs: &Programs) -> Result<()> {
    let path = programs.folder().join("e2e-guard-needle");
    fs::write(&path, "")?;
    let mark = daemon.mark()?;
    fs::read(&path)?;
    daemon
        .wait_for_since(mark, "the needle", PATIENCE, |alert| {
            is_from(alert, "needle")
        })
        .map(drop)
}

/// Numbers in the `fdinfo` of the daemon's descriptors that have all of these lines.
fn ids(daemon: &Daemon, lines: &[&str], id: &str) -> Result<Vec<String>> {
    let mut ids = Vec::new();
    for entry in fs::read_dir(format!("/proc/{}/fdinfo", daemon.pid()))? {
        // Closed since, by another thread.
        let Ok(text) = fs::read_to_string(entry?.path()) else {
            continue;
        };
        let has = |line: &&str| text.lines().any(|found| found.replace('\t', "") == **line);
        if lines.iter().all(has) {
            let found = text.lines().find_map(|line| line.strip_prefix(id));
            ids.extend(found.map(|value| value.trim_matches([':', '\t']).to_owned()));
        }
    }
    ids.sort();
    ids.dedup();
    Ok(ids)
}

/// Sets a value of an array: each of its words of 64 bits.
fn update(map: &str, key: u32, words: &[u64]) -> Result<()> {
    let hex = |bytes: &[u8]| {
        bytes
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect::<Vec<_>>()
    };
    let words: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
    let mut bpftool = Command::new("bpftool");
    bpftool.args(["map", "update", "id", map, "key", "hex"]);
    bpftool.args(hex(&key.to_le_bytes()));
    bpftool.args(["value", "hex"]).args(hex(&words));
    run(&mut bpftool).map(drop)
}

/// What an array has at a key; nothing where it has no program there.
fn entry(map: &str, key: u32) -> Result<Option<u64>> {
    let mut bpftool = Command::new("bpftool");
    bpftool.args(["-j", "map", "lookup", "id", map, "key", "hex"]);
    let bytes = key.to_le_bytes().map(|byte| format!("{byte:02x}"));
    let told = run(bpftool.args(bytes))?;
    let told: Value = serde_json::from_slice(&told.stdout)?;
    let bytes = told["value"].as_array().into_iter().flatten();
    let bytes = bytes.filter_map(|byte| byte.as_str()?.strip_prefix("0x"));
    let word: String = bytes.rev().collect();
    Ok(u64::from_str_radix(&word, 16).ok())
}

/// Somebody turns calls off: opens, where calls serve them, and what calls serve everywhere.
fn table_of_calls(daemon: &mut Daemon, programs: &Programs) -> Result<()> {
    let maps = ids(
        daemon,
        &[
            "map_type:2",
            "key_size:4",
            "value_size:8",
            "max_entries:2080",
        ],
        "map_id",
    )?;
    let [map] = &maps[..] else {
        anyhow::bail!("not one table of calls: {maps:?}")
    };
    let mut last = None;
    let mark = daemon.mark()?;
    // memfd_create and three of opening.
    for call in [319, 2, 257, 437] {
        if entry(map, call)?.is_some_and(|entry| entry != 0) {
            update(map, call, &[0])?;
            last = Some(call);
        }
    }
    let last = last.context("no call is in the table")?;
    // A look in between tells of the first calls only, and then of the others.
    let named = if last == 437 { 257 } else { last }.to_string();
    let all = |alert: &Value| {
        let what = field(alert, "monitor.tampering").unwrap_or_default();
        is_from(alert, TAMPERED) && what.contains("OPERATIONS") && what.contains(&named)
    };
    let alert = daemon.wait_for_since(mark, "the alert", PATIENCE, all)?;
    ensure!(alert["priority"] == "Critical", "{alert:#}");
    ensure!(
        field(&alert, "proc.name").as_deref() == Some("bpftool"),
        "{alert:#}"
    );
    needle(daemon, programs)
}

/// Somebody takes a program out of the array that the dispatcher jumps by: that for opens, where
/// calls serve them.
fn table_of_programs(daemon: &mut Daemon, programs: &Programs) -> Result<()> {
    let maps = ids(daemon, &["map_type:3", "key_size:4"], "map_id")?;
    // The daemon has it twice.
    let map = maps.first().context("no array of programs")?;
    let mut taken = Vec::new();
    let mark = daemon.mark()?;
    for operation in 1..=OPERATIONS {
        if taken.len() < 3 && entry(map, operation)?.is_some() {
            let key = operation.to_le_bytes().map(|byte| format!("{byte:02x}"));
            let mut bpftool = Command::new("bpftool");
            bpftool.args(["map", "delete", "id", map, "key", "hex"]);
            run(bpftool.args(key))?;
            taken.push(operation);
        }
    }
    let first = taken.first().context("no program is in the array")?;
    let named = if *first == 1 { "call_open" } else { "call_" };
    let told = |alert: &Value| {
        let what = field(alert, "monitor.tampering").unwrap_or_default();
        is_from(alert, TAMPERED) && what.contains("CALL_PARTS") && what.contains(named)
    };
    let alert = daemon.wait_for_since(mark, "the alert", PATIENCE, told)?;
    ensure!(alert["priority"] == "Critical", "{alert:#}");
    needle(daemon, programs)
}

/// Where the kernel lets somebody detach a link, it is told.
fn detached_links(daemon: &mut Daemon) -> Result<()> {
    let mut detached = 0;
    for link in ids(daemon, &[], "link_id")? {
        let mark = daemon.mark()?;
        let detach = Command::new("bpftool")
            .args(["link", "detach", "id", &link])
            .output()?;
        if !detach.status.success() {
            // Those of tracepoints, for one, cannot be.
            continue;
        }
        let told = |alert: &Value| {
            let what = field(alert, "monitor.tampering").unwrap_or_default();
            is_from(alert, TAMPERED) && what.contains(&format!("link {link} "))
        };
        let alert = daemon.wait_for_since(mark, "the alert", PATIENCE, told)?;
        ensure!(
            field(&alert, "proc.name").as_deref() == Some("bpftool"),
            "{alert:#}"
        );
        detached += 1;
    }
    // Those of cgroups can be, on each kernel.
    ensure!(detached > 0, "no link could be detached");
    Ok(())
}
