//! Whoever may call `bpf(2)` can write to the daemon's maps: to those that only programs write to not
//! even so, and the others are set right again, with an alert. The table in `docs/reference/maps.md`
//! says which are which.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::process::{Command, Output, Stdio};

use anyhow::{Context as _, Result, ensure};
use monitor_tests::cgroup::{self, Cgroup};
use monitor_tests::daemon::{self, Daemon, field, is_from};
use monitor_tests::{paths, skip, skip_if, wait};
use serde_json::Value;

use crate::actions::{Programs, succeed};
use crate::world::{PATIENCE, watch};

const TAMPERED: &str = "Monitor tampered with";
/// Opens that the kernel side leaves out but for one, so that a filter is in force; and what only the
/// end of a call tells, so that `bpf(2)` is watched on each tier.
const RULES: &str = "
- rule: memory
  desc: a file in memory
  condition: evt.type = memfd_create and proc.name = e2e-tamper-none
  output: made one
  priority: NOTICE
- rule: needle
  desc: an open
  condition: evt.type in (open, openat, openat2) and fd.name endswith /e2e-tamper-needle
  output: opened %fd.name
  priority: NOTICE
";
/// Maps that hold something with these rules at their first entry, on each tier.
const HOLDING: [&str; 3] = ["FILTER_HEADS", "FILTER_FOUND", "FILTER_IN_FORCE"];
/// Bytes of a name in the kernel.
const NAME: usize = 15;

/// A map, as bpftool tells it.
#[derive(Debug)]
pub(crate) struct Map {
    pub(crate) id: String,
    kind: String,
    key: usize,
    value: usize,
    frozen: bool,
}

#[test]
fn maps_are_frozen_or_set_right() -> Result<()> {
    skip_if!(daemon::obstacle());
    skip_if!(skip::without(&["bpftool"]));
    let programs = Programs::new()?;
    let mut daemon = watch(&programs, RULES, "metrics:\n  listen: off\n")?;
    needle(&mut daemon, &programs)?;
    let maps = maps(&daemon)?;
    let table = fs::read_to_string(paths::root().join("docs/reference/maps.md"))?;
    let documented: BTreeMap<String, &str> = table.lines().filter_map(row).collect();
    for (name, map) in &maps {
        let said = documented.get(name);
        let said = said.with_context(|| format!("maps.md says nothing of {name}"))?;
        ensure!(map.frozen == said.starts_with("frozen"), "{said}: {map:?}");
        if map.frozen && map.kind == "array" {
            let written = write(map, 0, 1)?;
            ensure!(!written.status.success(), "{name} was written to");
        }
    }
    ensure!(maps.len() > 25, "{maps:?}");
    for (name, value) in HOLDING.map(|name| (name, 0)).into_iter().chain([
        ("OPERATIONS", 1),
        ("URING_OPERATION", 1),
        ("SWITCHES", 1),
        ("STANDBY_STATE", 9),
        ("SCOPES", 9),
        ("HOSTS_BELIEVED", 0),
    ]) {
        let map = maps.get(name).with_context(|| format!("no {name}"))?;
        told(&mut daemon, name, || write(map, 0, value))?;
        needle(&mut daemon, &programs)?;
    }
    let map = maps.get("HOST_PROCESSES").context("no HOST_PROCESSES")?;
    stranger(&mut daemon, map)?;
    daemon.stop().map(drop)
}

/// A process of a container is written down as one of the host's.
fn stranger(daemon: &mut Daemon, map: &Map) -> Result<()> {
    /// As in `monitor_common::filter`.
    const PLACES: u32 = 32768;
    let cgroup = Cgroup::make(&format!("/docker/{:064x}", std::process::id()))?;
    let mut shell = Command::new("sh");
    let shell = shell.args([
        "-c",
        "echo $$ >$0; read line",
        &cgroup.processes().to_string_lossy(),
    ]);
    let mut child = shell.stdin(Stdio::piped()).spawn()?;
    let ended = (|| {
        let pid = child.id();
        wait::until("the container", PATIENCE, || {
            let there = fs::read_to_string(cgroup.processes())?;
            Ok((there.trim() == pid.to_string()).then_some(()))
        })?;
        let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
        let (_, stat) = stat.rsplit_once(") ").context("a name")?;
        let start: u64 = stat.split(' ').nth(19).context("a start")?.parse()?;
        let host = fs::metadata(cgroup::unified()?)?.ino();
        let entry = [start << 22 | u64::from(pid), host];
        let value: Vec<u8> = entry.iter().flat_map(|word| word.to_ne_bytes()).collect();
        let key = (pid % PLACES).to_ne_bytes();
        told(daemon, "HOST_PROCESSES", || update(map, &key, &value))
    })();
    drop(child.stdin.take());
    child.wait()?;
    ended
}

/// Somebody writes to a map.
fn told(daemon: &mut Daemon, name: &str, write: impl FnOnce() -> Result<Output>) -> Result<()> {
    let mark = daemon.mark()?;
    let written = write()?;
    ensure!(written.status.success(), "{name}: {written:?}");
    let fits = |alert: &Value| {
        let what = field(alert, "monitor.tampering").unwrap_or_default();
        is_from(alert, TAMPERED) && what.contains(name) && what.ends_with("is set right again")
    };
    let alert = daemon.wait_for_since(mark, name, PATIENCE, fits)?;
    ensure!(field(&alert, "proc.name").is_some(), "{alert:#}");
    Ok(())
}

fn needle(daemon: &mut Daemon, programs: &Programs) -> Result<()> {
    let path = programs.folder().join("e2e-tamper-needle");
    fs::write(&path, "")?;
    let mark = daemon.mark()?;
    fs::read(&path)?;
    let fits = |alert: &Value| is_from(alert, "needle");
    daemon
        .wait_for_since(mark, "the needle", PATIENCE, fits)
        .map(drop)
}

/// The daemon's maps by name, as far as the kernel keeps it.
pub(crate) fn maps(daemon: &Daemon) -> Result<BTreeMap<String, Map>> {
    let mut ids = BTreeSet::new();
    for entry in fs::read_dir(format!("/proc/{}/fdinfo", daemon.pid()))? {
        // Closed since, by another thread.
        let text = fs::read_to_string(entry?.path()).unwrap_or_default();
        let id = text.lines().find_map(|line| line.strip_prefix("map_id:"));
        ids.extend(id.map(|id| id.trim().to_owned()));
    }
    let mut maps = BTreeMap::new();
    for id in ids {
        let told = succeed(Command::new("bpftool").args(["-j", "map", "show", "id", &id]))?;
        let told: Value = serde_json::from_slice(&told.stdout)?;
        let number = |name: &str| told[name].as_u64().unwrap_or_default() as usize;
        let name = told["name"].as_str().context("a map has no name")?;
        let map = Map {
            id,
            kind: told["type"].as_str().unwrap_or_default().to_owned(),
            key: number("bytes_key"),
            value: number("bytes_value"),
            frozen: number("frozen") == 1,
        };
        maps.insert(name.to_owned(), map);
    }
    Ok(maps)
}

/// Sets an entry to bytes of one value.
fn write(map: &Map, key: u8, value: u8) -> Result<Output> {
    let mut first = vec![0; map.key];
    if let Some(byte) = first.first_mut() {
        *byte = key;
    }
    update(map, &first, &vec![value; map.value])
}

fn update(map: &Map, key: &[u8], value: &[u8]) -> Result<Output> {
    let text =
        |bytes: &[u8]| -> Vec<String> { bytes.iter().map(|byte| format!("{byte:02x}")).collect() };
    let mut bpftool = Command::new("bpftool");
    bpftool.args(["map", "update", "id", &map.id, "key", "hex"]);
    bpftool
        .args(text(key))
        .args(["value", "hex"])
        .args(text(value));
    Ok(bpftool.output()?)
}

/// Of a row of the table of maps, the name and the last cell: what others can do to it.
fn row(line: &str) -> Option<(String, &str)> {
    let cells: Vec<&str> = line.trim_end_matches(" |").split(" | ").collect();
    let name = cells.first()?.strip_prefix("| `")?.trim_end_matches('`');
    let name = name.chars().take(NAME).collect();
    Some((name, cells.get(5).copied()?))
}
