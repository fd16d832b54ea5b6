//! The whole record of each call that users of such a monitor ask for: its type, result and every
//! argument, on success and on failure, by its number in programs of 64 and of 32 bits.
//!
//! The tables beside this file say what is called and what has to be told; `table.rs` has their
//! form. A small program does the calls. One daemon watches all.

mod coverage;
mod table;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, ensure};
use monitor_tests::daemon::{self, is_from};
use monitor_tests::{paths, skip, skip_if};
use serde_json::Value;
use table::{Abi, Expected, Group};

use crate::actions::Programs;
use crate::world::{PATIENCE, watch};

/// Name of the program that does the calls; a guest, which has no compiler, comes with it.
pub(crate) const PROGRAM: &str = "e2e-calls";

/// The tables by their names.
const TABLES: [(&str, &str); 5] = [
    ("files", include_str!("files.txt")),
    ("sockets", include_str!("sockets.txt")),
    ("processes", include_str!("processes.txt")),
    ("mounts", include_str!("mounts.txt")),
    ("kernel", include_str!("kernel.txt")),
];

/// What every alert tells.
const FIELDS: [&str; 32] = [
    "evt.type",
    "syscall.type",
    "evt.category",
    "evt.args",
    "evt.res",
    "evt.rawres",
    "evt.failed",
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
    "proc.sid",
];

/// Compiles the program, which runs without any library.
pub(crate) fn compile(program: &Path) -> Result<()> {
    let options = [
        "-static",
        "-nostdlib",
        "-ffreestanding",
        "-fno-stack-protector",
        "-fno-pic",
        "-no-pie",
        "-mgeneral-regs-only",
        "-fcf-protection=none",
    ];
    let source = paths::root().join("tests/bin/calls.c");
    monitor_tests::c::compile(&source, program, &options)
}

/// What one process did.
struct Done {
    abi: Abi,
    table: &'static str,
    group: Group,
    folder: PathBuf,
    pid: u32,
    results: Vec<i64>,
}

#[test]
fn each_call_is_told_with_all_that_belongs_to_it() -> Result<()> {
    skip_if!(daemon::obstacle());
    let ready = paths::program(PROGRAM);
    if ready.is_none() {
        skip_if!(skip::without(&["gcc"]));
    }
    let programs = Programs::new()?;
    let program = programs.folder().join(PROGRAM);
    match ready {
        Some(ready) => drop(std::fs::copy(ready, &program)?),
        None => compile(&program)?,
    }
    let mut daemon = watch(&programs, &rules(&program), "rule_matching: all\n")?;
    let mark = daemon.mark()?;
    let mut all = Vec::new();
    for abi in [Abi::Wide, Abi::Narrow] {
        for (table, text) in TABLES {
            for group in table::groups(text, abi)? {
                all.push(perform(&program, programs.folder(), abi, table, group)?);
            }
        }
    }
    let last = all.last().context("no calls")?.pid;
    let number = |alert: &Value, name: &str| alert["output_fields"][name].as_u64();
    daemon.wait_for_since(mark, "the last call", PATIENCE, |alert| {
        number(alert, "proc.pid") == Some(last.into()) && is_from(alert, "the end")
    })?;
    let mut told: BTreeMap<u32, Vec<&Value>> = BTreeMap::new();
    for alert in daemon.alerts_since(mark)? {
        if !is_from(alert, "the end") {
            let pid = number(alert, "proc.pid").context("no pid")?;
            told.entry(pid as u32).or_default().push(alert);
        }
    }
    let kernel = table::version(&rustix::system::uname().release().to_string_lossy())?;
    let mut wrong = Vec::new();
    for done in &all {
        let told = told.remove(&done.pid).unwrap_or_default();
        compare(done, &told, kernel, &program, &mut wrong);
    }
    // Processes that the calls made tell of their own beginning.
    let begins = |alert: &&Value| alert["output_fields"]["evt.type"] == "clone";
    for alert in told.into_values().flatten().filter(|alert| !begins(alert)) {
        wrong.push(format!("of another process: {}", alert["output_fields"]));
    }
    ensure!(wrong.is_empty(), "{}", wrong.join("\n"));
    Ok(())
}

/// A rule for each table, and one for the end of each process.
fn rules(program: &Path) -> String {
    let mut text = format!(
        "- rule: the end\n  desc: the end\n  condition: evt.type = procexit and proc.exepath = \
         {}\n  output: it ends %proc.pid\n  priority: NOTICE\n",
        program.display()
    );
    let fields = FIELDS.map(|name| format!("%{name}")).join(" ");
    for (name, table) in TABLES {
        let _ = writeln!(
            text,
            "- rule: {name}\n  desc: a table\n  condition: evt.type in ({}) and proc.exepath = {} \
             and proc.args contains \" {name}/\"\n  output: it did {fields}\n  priority: NOTICE",
            table::calls(table).join(", "),
            program.display()
        );
    }
    text
}

/// Has a process do the calls of a group, in a folder of its own.
fn perform(
    program: &Path,
    above: &Path,
    abi: Abi,
    table: &'static str,
    group: Group,
) -> Result<Done> {
    let folder = above.join(format!("{}-{table}-{}", abi.name(), group.name));
    std::fs::create_dir(&folder)?;
    let lines = group.lines.iter().map(|line| line.script.as_str());
    let script = lines.collect::<Vec<_>>().join("\n") + "\n";
    let script = script.replace("$dir", &folder.display().to_string());
    let mut child = Command::new(program)
        .args([abi.name(), &format!("{table}/{}", group.name)])
        .current_dir(&folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    let mut input = child.stdin.take().context("no standard input")?;
    input.write_all(script.as_bytes())?;
    drop(input);
    let output = child.wait_with_output()?;
    let output = String::from_utf8(output.stdout)?;
    let mut numbers = output.lines().map(str::parse);
    let pid = numbers.next().context("it did not begin")??;
    let results: Vec<i64> = numbers.collect::<Result<_, _>>()?;
    ensure!(
        results.len() == group.lines.len(),
        "{table}/{} ended after {results:?} of {script}",
        group.name
    );
    Ok(Done {
        abi,
        table,
        group,
        folder,
        pid: u32::try_from(pid)?,
        results,
    })
}

/// Compares what was told of a process with what it did.
fn compare(
    done: &Done,
    told: &[&Value],
    kernel: (u32, u32),
    program: &Path,
    wrong: &mut Vec<String>,
) {
    let mut told = told.iter().peekable();
    // Of tables with failing execs, its own is the first.
    told.next_if(|alert| is_exec_of(alert, program));
    let place = format!("{} {}/{}", done.abi.name(), done.table, done.group.name);
    for (line, result) in done.group.lines.iter().zip(&done.results) {
        let Some(call) = &line.call else {
            continue;
        };
        let told = told.next_if(|alert| alert["output_fields"]["evt.type"] == **call);
        let Some(expected) = &line.expected else {
            continue;
        };
        let at = format!("{place}: {call} {}", line.script);
        let text = text_of(*result);
        if !expected.allows(kernel, &text) {
            wrong.push(format!("{at} gave {text}"));
        }
        match told {
            Some(alert) => {
                let fields = fields(done, call, expected, *result, program);
                differences(alert, &fields, &at, wrong);
            }
            None => wrong.push(format!("{at}: nothing was told of it")),
        }
    }
    for alert in told {
        wrong.push(format!("{place}: too much: {}", alert["output_fields"]));
    }
}

/// Whether an alert is of the start of the program itself.
fn is_exec_of(alert: &Value, program: &Path) -> bool {
    let fields = &alert["output_fields"];
    let arguments = fields["evt.args"].as_str().unwrap_or_default();
    fields["evt.type"] == "execve"
        && fields["evt.res"] == "SUCCESS"
        && arguments.contains(&format!("filename={}", program.display()))
}

/// What an alert has to tell of a call.
fn fields(
    done: &Done,
    call: &str,
    expected: &Expected,
    result: i64,
    program: &Path,
) -> BTreeMap<String, String> {
    let text = text_of(result);
    let program = program.display();
    let arguments = format!("{} {}/{}", done.abi.name(), done.table, done.group.name);
    let common = [
        ("evt.type", call.to_owned()),
        ("syscall.type", call.to_owned()),
        ("evt.args", expected.arguments.clone()),
        (
            "evt.res",
            if result < 0 {
                text
            } else {
                "SUCCESS".to_owned()
            },
        ),
        ("evt.rawres", result.to_string()),
        ("evt.failed", (result < 0).to_string()),
        ("proc.name", PROGRAM.to_owned()),
        ("proc.exe", program.to_string()),
        ("proc.exepath", program.to_string()),
        ("proc.cmdline", format!("{PROGRAM} {arguments}")),
        ("proc.args", arguments),
        ("proc.cwd", "$dir/".to_owned()),
        ("proc.ppid", std::process::id().to_string()),
        ("thread.tid", done.pid.to_string()),
        ("thread.ismain", "true".to_owned()),
        ("user.uid", "0".to_owned()),
        ("user.name", "root".to_owned()),
        ("container.id", "host".to_owned()),
        ("container.name", "host".to_owned()),
    ];
    let common = common.map(|(name, value)| (name.to_owned(), value));
    let all = common.into_iter().chain(expected.fields.iter().cloned());
    all.map(|(name, value)| (name, filled(&value, done, result)))
        .collect()
}

/// A result as the language prints it.
fn text_of(result: i64) -> String {
    monitor_policy::text::errno(result).into_owned()
}

/// An expected text with what differs from run to run.
fn filled(text: &str, done: &Done, result: i64) -> String {
    let mut text = text
        .replace("$res", &text_of(result))
        .replace("$dir", &done.folder.display().to_string())
        .replace("$pid", &done.pid.to_string());
    for (line, result) in done.group.lines.iter().zip(&done.results) {
        if let Some(label) = &line.label {
            text = text
                .replace(&format!("@{label}"), &result.to_string())
                .replace(&format!("%{label}"), &format!("{result:X}"));
        }
    }
    text
}

fn differences(
    alert: &Value,
    expected: &BTreeMap<String, String>,
    at: &str,
    wrong: &mut Vec<String>,
) {
    for (name, expected) in expected {
        let found = match &alert["output_fields"][name.as_str()] {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        if !fits(&found, expected) {
            wrong.push(format!("{at}: {name} is `{found}`, not `{expected}`"));
        }
    }
}

/// Whether a text is the expected one, in which `*` stands for anything.
fn fits(found: &str, expected: &str) -> bool {
    let mut parts = expected.split('*');
    let Some(mut rest) = found.strip_prefix(parts.next().unwrap_or_default()) else {
        return false;
    };
    let Some(last) = expected.rsplit_once('*').map(|(_, last)| last) else {
        return rest.is_empty();
    };
    for part in parts {
        let Some((_, behind)) = rest.split_once(part) else {
            return false;
        };
        rest = behind;
    }
    found.ends_with(last)
}
