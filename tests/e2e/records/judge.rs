//! What was told of a process against what it did.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::Value;

use super::doer::{Done, PROGRAM};
use super::table::{Expected, Objects};

/// Compares what was told of a process with what it did.
pub(super) fn compare(
    done: &Done,
    told: &[&Value],
    (kernel, objects): ((u32, u32), &Objects),
    program: &Path,
    wrong: &mut Vec<String>,
) {
    let mut told = told.iter().peekable();
    // Of tables with failing execs, its own is the first.
    told.next_if(|alert| is_exec_of(alert, program));
    let place = &done.arguments;
    for (line, result) in done.group.lines.iter().zip(&done.results) {
        let Some(call) = &line.call else {
            continue;
        };
        let arguments = match &line.expected {
            Some(expected) => expected.arguments(objects),
            None => Some(""),
        };
        let is_it = |alert: &&&Value| alert["output_fields"]["evt.type"] == **call;
        let told = told.next_if(|alert| arguments.is_some() && is_it(alert));
        let Some(expected) = &line.expected else {
            continue;
        };
        let at = format!("{place}: {call} {}", line.script);
        let text = text_of(*result);
        if !expected.allows(kernel, &text) {
            wrong.push(format!("{at} gave {text}"));
        }
        match (told, arguments) {
            (Some(alert), Some(arguments)) => {
                let fields = fields(done, call, (expected, arguments), *result, program);
                differences(alert, &fields, &at, wrong);
            }
            (_, None) => {}
            (None, Some(_)) => wrong.push(format!("{at}: nothing was told of it")),
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

/// What differs from run to run, and has a value.
const PRESENT: [&str; 10] = [
    "proc.tty",
    "proc.duration",
    "proc.pname",
    "proc.pexe",
    "proc.pcmdline",
    "proc.exe_ino.ctime",
    "proc.exe_ino.mtime",
    "proc.exe_ino.ctime_duration_proc_start",
    "user.loginuid",
    "group.name",
];

/// What an alert has to tell of a call.
fn fields(
    done: &Done,
    call: &str,
    (expected, told): (&Expected, &str),
    result: i64,
    program: &Path,
) -> BTreeMap<String, String> {
    let text = text_of(result);
    let program = program.display();
    let arguments = done.arguments.clone();
    let own = std::env::current_exe().unwrap_or_default();
    let own = own.display().to_string();
    let common = [
        ("evt.type", call.to_owned()),
        ("syscall.type", call.to_owned()),
        ("evt.args", told.to_owned()),
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
        ("thread.tid", done.tid.to_string()),
        ("thread.ismain", (done.tid == done.pid).to_string()),
        ("user.uid", "0".to_owned()),
        ("user.name", "root".to_owned()),
        ("container.id", "host".to_owned()),
        ("container.name", "host".to_owned()),
        ("proc.pid", done.pid.to_string()),
        ("proc.vpid", done.pid.to_string()),
        ("proc.pexepath", own.clone()),
        ("proc.aexepath[1]", own),
        ("proc.env", "*E2E_CALLS=yes*".to_owned()),
        ("proc.is_exe_from_memfd", "false".to_owned()),
    ];
    let present = PRESENT.map(|name| (name, "+".to_owned()));
    let common = common.into_iter().chain(present);
    let common = common.map(|(name, value)| (name.to_owned(), value));
    let told = expected.fields.iter().cloned();
    let all = common.chain(told);
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

/// Whether a text is the expected one, in which `*` stands for anything; `+` is any value.
fn fits(found: &str, expected: &str) -> bool {
    if expected == "+" {
        return found != "null";
    }
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
