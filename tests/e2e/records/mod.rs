//! The whole record of each call that users of such a monitor ask for: its type, result and every
//! argument, on success and on failure, by its number in programs of 64 and of 32 bits.
//!
//! The tables beside this file say what is called and what has to be told; `table.rs` has their
//! form. A small program does the calls: short-lived, in a second thread, and older than the daemon
//! too. One daemon watches all.

mod coverage;
mod doer;
mod judge;
mod table;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use doer::{Doer, Way};
pub(crate) use doer::{PROGRAM, compile};
use monitor_tests::daemon::{self, is_from};
use monitor_tests::{c, http, skip_if, wait};
use serde_json::Value;
use table::{Group, Objects};

use crate::actions::Programs;
use crate::world::{PATIENCE, watch};

/// A table with its name.
type Table = (&'static str, &'static str);

/// All of them.
const TABLES: [Table; 6] = [
    ("files", include_str!("files.txt")),
    ("reads", include_str!("reads.txt")),
    ("sockets", include_str!("sockets.txt")),
    ("processes", include_str!("processes.txt")),
    ("mounts", include_str!("mounts.txt")),
    ("kernel", include_str!("kernel.txt")),
];

/// What the program does to know its calls, and to tell their results.
const SCRIPT: &str = " and not (evt.type in (read, write) and fd.num in (0, 1))";

/// What every alert tells.
const FIELDS: [&str; 48] = [
    "evt.type",
    "syscall.type",
    "evt.category",
    "evt.args",
    "evt.res",
    "evt.rawres",
    "evt.failed",
    "evt.buffer",
    "evt.buflen",
    "proc.name",
    "proc.exe",
    "proc.exepath",
    "proc.args",
    "proc.cmdline",
    "proc.cwd",
    "proc.pid",
    "proc.ppid",
    "thread.tid",
    "thread.ismain",
    "user.uid",
    "user.name",
    "group.gid",
    "container.id",
    "container.name",
    "fd.num",
    "fd.type",
    "fd.typechar",
    "fd.name",
    "fd.nameraw",
    "fs.path.name",
    "fs.path.nameraw",
    "fs.path.source",
    "fs.path.target",
    "proc.vpid",
    "proc.tty",
    "proc.env",
    "proc.duration",
    "proc.pname",
    "proc.pexe",
    "proc.pexepath",
    "proc.pcmdline",
    "proc.aexepath[1]",
    "proc.exe_ino.ctime",
    "proc.exe_ino.mtime",
    "proc.exe_ino.ctime_duration_proc_start",
    "proc.is_exe_from_memfd",
    "user.loginuid",
    "group.name",
];

#[test]
fn each_call_is_told_with_all_that_belongs_to_it() -> Result<()> {
    let tables: Vec<Table> = TABLES.into_iter().filter(|table| !is_bulk(table)).collect();
    each_is_told(&tables, "")
}

/// What every program does all the time, in a ring with room for that.
#[test]
fn each_call_on_descriptors_is_told_with_all_that_belongs_to_it() -> Result<()> {
    let tables: Vec<Table> = TABLES.into_iter().filter(is_bulk).collect();
    each_is_told(&tables, "rings: {bulk_bytes: 67108864}\n")
}

fn is_bulk(table: &Table) -> bool {
    table.0 == "reads"
}

fn each_is_told(tables: &[Table], settings: &str) -> Result<()> {
    skip_if!(daemon::obstacle());
    skip_if!(c::obstacle(PROGRAM));
    let programs = Programs::new()?;
    let program = programs.folder().join(PROGRAM);
    c::provide(&program, compile)?;
    let start = |way, (table, group)| Doer::start(&program, way, table, group);
    let mut older = Vec::new();
    for of_table in groups(Way::Older, tables)? {
        older.push(start(Way::Older, of_table)?);
    }
    let port = http::free_port()?;
    // All that the calls alert of, should the disk with the alert log be slow.
    let settings = format!(
        "{settings}rule_matching: all\nmetrics:\n  listen: 127.0.0.1:{port}\n\
         alerts: {{queue_bytes: 268435456}}\n"
    );
    let mut daemon = watch(&programs, &rules(&program, tables), &settings)?;
    let mark = daemon.mark()?;
    let mut all = Vec::new();
    for doer in older {
        all.push(doer.perform()?);
    }
    for way in [Way::Wide, Way::Narrow, Way::Thread] {
        for of_table in groups(way, tables)? {
            all.push(start(way, of_table)?.perform()?);
        }
    }
    let last = all.last().context("no calls")?.pid;
    let number = |alert: &Value, name: &str| alert["output_fields"][name].as_u64();
    daemon.wait_for_since(mark, "the last call", PATIENCE, |alert| {
        number(alert, "proc.pid") == Some(last.into()) && is_from(alert, "the end")
    })?;
    let mut told: BTreeMap<u32, Vec<&Value>> = BTreeMap::new();
    let alerts = daemon.alerts_since(mark)?;
    all_are_written(alerts)?;
    for alert in alerts {
        if !is_from(alert, "the end") {
            let pid = number(alert, "proc.pid");
            let pid = pid.with_context(|| format!("no pid: {alert}"))?;
            told.entry(pid as u32).or_default().push(alert);
        }
    }
    let kernel = table::version(&rustix::system::uname().release().to_string_lossy())?;
    let objects = objects(&http::fetch(port, "/metrics")?);
    let mut wrong = Vec::new();
    for done in &all {
        let told = told.remove(&done.pid).unwrap_or_default();
        judge::compare(done, &told, (kernel, &objects), &program, &mut wrong);
    }
    // Guests lack what calls need, and their kernels some of the calls.
    if std::env::var_os(wait::SLOWER).is_none() {
        wrong.extend(coverage::never_succeeded(&all, kernel));
    }
    // Processes that the calls made tell of their own beginning.
    let begins = |alert: &&Value| alert["output_fields"]["evt.type"] == "clone";
    for alert in told.into_values().flatten().filter(|alert| !begins(alert)) {
        wrong.push(format!("of another process: {}", alert["output_fields"]));
    }
    ensure!(wrong.is_empty(), "{}", wrong.join("\n"));
    Ok(())
}

/// Whether no alert was lost behind the rules, as their numbers tell.
fn all_are_written(alerts: &[Value]) -> Result<()> {
    let number = |alert: Option<&Value>| alert.and_then(|alert| alert["sequence"].as_u64());
    let ends = number(alerts.first()).zip(number(alerts.last()));
    let (first, last) = ends.context("alerts without numbers")?;
    let (raised, written) = (last + 1 - first, alerts.len());
    ensure!(
        raised == written as u64,
        "{raised} alerts were raised, and {written} written"
    );
    Ok(())
}

/// What the metrics say of the object tier.
fn objects(metrics: &str) -> Objects {
    let lines = metrics
        .lines()
        .filter(|line| line.starts_with("monitor_provider{") && line.contains("tier=\"object\""));
    let kinds = |label: &str| {
        let kind = |line: &str| Some(line.split_once("kind=\"")?.1.split_once('"')?.0.to_owned());
        lines
            .clone()
            .filter(|line| line.contains(label))
            .filter_map(kind)
            .collect()
    };
    Objects {
        served: kinds(""),
        made_up_for: kinds("raw_syscalls/sys_exit"),
    }
}

/// All groups, with the names of their tables.
fn groups(way: Way, tables: &[Table]) -> Result<Vec<(&'static str, Group)>> {
    let mut all = Vec::new();
    for (table, text) in tables {
        let mut groups = table::groups(text, way.abi())?;
        // The end of a traced thread waits for its tracer, which nobody here is.
        groups.retain(|group| way != Way::Thread || group.name != "tracing");
        all.extend(groups.into_iter().map(|group| (*table, group)));
    }
    Ok(all)
}

/// A rule for each table, and one for the end of each process.
fn rules(program: &Path, tables: &[Table]) -> String {
    let mut text = format!(
        "- rule: the end\n  desc: the end\n  condition: evt.type = procexit and proc.exepath = \
         {}\n  output: it ends %proc.pid\n  priority: NOTICE\n",
        program.display()
    );
    let fields = FIELDS.map(|name| format!("%{name}")).join(" ");
    for (name, table) in tables {
        let _ = writeln!(
            text,
            "- rule: {name}\n  desc: a table\n  condition: evt.type in ({}) and proc.exepath = {} \
             and proc.args contains \" {name}/\"{SCRIPT}\n  output: it did {fields}\n  priority: NOTICE",
            table::calls(table).join(", "),
            program.display()
        );
    }
    text
}
