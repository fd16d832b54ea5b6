//! What goes into the archive. Each part stands alone: one that cannot be had says why.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use super::super::top;
use super::{program, secrets};
use crate::alert_log;
use crate::config::{ADDITIONS, Config, DEFAULT_PATH};
use crate::selfcheck::child::SELF;

/// Bytes of a part.
const PART_BYTES: u64 = 1 << 20;
/// For the self-check, which loads all programs.
const DOCTOR_TIME: Duration = Duration::from_mins(1);
const PROGRAM_TIME: Duration = Duration::from_secs(10);
/// Lines of the journal that are looked through for ours.
const JOURNAL_LINES: &str = "20000";

/// A file of the archive.
#[derive(Debug)]
pub(super) struct Part {
    pub(super) name: &'static str,
    pub(super) about: &'static str,
    /// The text, or why there is none.
    pub(super) text: Result<String, String>,
}

fn part(name: &'static str, about: &'static str, text: Result<String, String>) -> Part {
    // Also where nobody expects an address with a password.
    let text = text.map(|text| secrets::without_secrets(&text));
    Part { name, about, text }
}

/// All of them; `config` is the file that the user named.
pub(super) fn gather(config: Option<&Path>) -> Vec<Part> {
    let loaded = Config::load(config);
    let known = loaded.as_ref().ok();
    let asked = |path: &str| ask(known, path);
    vec![
        part(
            "version.txt",
            "version of the program that made this report",
            Ok(format!("monitor-daemon {}\n", env!("CARGO_PKG_VERSION"))),
        ),
        part(
            "doctor.txt",
            "what `monitor-daemon doctor` says: what this kernel offers, and what stays unseen",
            doctor(config),
        ),
        part(
            "config.yaml",
            "the configuration in effect, secrets removed",
            loaded
                .as_ref()
                .map_err(ToString::to_string)
                .and_then(effective),
        ),
        part(
            "files.txt",
            "configuration files, policies and the alert log by name and size",
            Ok(files(known, config)),
        ),
        part(
            "metrics.txt",
            "what Prometheus finds; names of rules are in it",
            asked("/metrics"),
        ),
        part(
            "health.json",
            "whether the running daemon is well",
            asked("/healthz"),
        ),
        part(
            "service.txt",
            "what systemd knows of the service, and its process",
            service(),
        ),
        part(
            "log.txt",
            "the daemon's own last lines in the journal, without alerts",
            journal(),
        ),
        part(
            "kernel.txt",
            "kernel, distribution, memory, settings that matter",
            Ok(kernel()),
        ),
    ]
}

fn doctor(config: Option<&Path>) -> Result<String, String> {
    let mut command = Command::new(SELF);
    command.arg("doctor");
    if let Some(config) = config {
        command.arg("--config").arg(config);
    }
    run(&mut command, DOCTOR_TIME)
}

fn run(command: &mut Command, time: Duration) -> Result<String, String> {
    program::output(command, time, PART_BYTES).map_err(|error| error.to_string())
}

fn effective(config: &Config) -> Result<String, String> {
    let parsed = config
        .to_yaml()
        .and_then(|text| serde_yaml::from_str::<serde_yaml::Value>(&text));
    let shown = parsed.and_then(|mut value| {
        secrets::remove(&mut value);
        serde_yaml::to_string(&value)
    });
    shown.map_err(|error| error.to_string())
}

/// What a running daemon answers, whatever the status.
fn ask(config: Option<&Config>, path: &str) -> Result<String, String> {
    let usual = Config::default().metrics;
    let address = config.map_or(usual, |config| config.metrics);
    let address = address.ok_or("`metrics.listen` is off")?;
    let answer = top::ask(address, path).map_err(|error| format!("{address}: {error}"))?;
    let (_, body) = answer.split_once("\r\n\r\n").ok_or("no answer")?;
    Ok(body.to_owned())
}

fn files(config: Option<&Config>, named: Option<&Path>) -> String {
    let main = named.unwrap_or(Path::new(DEFAULT_PATH)).to_owned();
    let mut paths = vec![main.clone()];
    paths.extend(below(&main.with_file_name(ADDITIONS)));
    let config = config.cloned().unwrap_or_default();
    for policy in &config.policies {
        paths.push(policy.clone());
        paths.extend(below(policy));
    }
    let log = config.alerts.log.path.path(alert_log::NAME);
    let log = log.into_iter().flat_map(|log| {
        let beside = |end: &str| {
            let mut name = log.clone().into_os_string();
            name.push(end);
            PathBuf::from(name)
        };
        ["", "-wal", ".damaged"].map(beside)
    });
    paths.extend(log);
    paths.extend(config.alerts.file);
    paths.extend(config.alerts.files.into_values().map(|file| file.path));
    let mut text = String::new();
    for path in paths {
        let size = match fs::metadata(&path) {
            Ok(found) if found.is_dir() => "folder".to_owned(),
            Ok(found) => format!("{} bytes", found.len()),
            Err(error) => error.to_string(),
        };
        let _ = writeln!(text, "{}: {size}", path.display());
    }
    text
}

/// The files of a folder, sorted; none if it is no folder.
fn below(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
    paths.sort();
    paths
}

fn service() -> Result<String, String> {
    const SHOWN: &str = "--property=LoadState,ActiveState,SubState,Result,MainPID,NRestarts,\
         ExecMainStartTimestamp,ExecMainStatus,MemoryCurrent,CPUUsageNSec,TasksCurrent,\
         DropInPaths,FragmentPath,Version";
    let mut command = Command::new("systemctl");
    let mut text = run(
        command.args(["show", "monitor-daemon", SHOWN]),
        PROGRAM_TIME,
    )?;
    let pid = text.lines().find_map(|line| line.strip_prefix("MainPID="));
    if let Some(pid) = pid
        .and_then(|pid| pid.parse::<u32>().ok())
        .filter(|pid| *pid > 0)
    {
        for name in ["status", "limits"] {
            add_file(&mut text, Path::new(&format!("/proc/{pid}/{name}")));
        }
    }
    Ok(text)
}

fn journal() -> Result<String, String> {
    let mut command = Command::new("journalctl");
    let text = run(
        command
            .args([
                "--unit=monitor-daemon",
                "--no-pager",
                "--output=cat",
                "--lines",
            ])
            .arg(JOURNAL_LINES),
        PROGRAM_TIME,
    )?;
    Ok(own_lines(&text))
}

/// Log lines and the word `ready`; alerts, which tell what happened on the host, are left out.
fn own_lines(text: &str) -> String {
    let levels = [" ERROR ", " WARN ", " INFO ", " DEBUG ", " TRACE "];
    let own = |line: &&str| {
        // `2026-01-31T12:00:00.000000Z  INFO …`, as tracing writes it.
        let (time, rest) = line.split_at_checked(27).unwrap_or_default();
        let level = levels
            .iter()
            .any(|level| rest.trim_start().starts_with(level.trim_start()));
        *line == "ready" || (time.ends_with('Z') && time.contains('T') && level)
    };
    let lines = text.lines().filter(own);
    let own = lines.fold(String::new(), |text, line| text + line + "\n");
    secrets::without_answers(&own)
}

/// Files of which all is told.
const FACTS: [&str; 17] = [
    "/proc/version",
    "/etc/os-release",
    "/proc/uptime",
    "/proc/loadavg",
    "/sys/devices/system/cpu/online",
    "/sys/kernel/security/lsm",
    "/sys/kernel/security/lockdown",
    "/proc/sys/kernel/unprivileged_bpf_disabled",
    "/proc/sys/kernel/perf_event_paranoid",
    "/proc/sys/kernel/kptr_restrict",
    "/proc/sys/kernel/ftrace_enabled",
    "/proc/sys/kernel/yama/ptrace_scope",
    "/proc/sys/kernel/pid_max",
    "/proc/sys/net/core/bpf_jit_enable",
    "/proc/sys/net/core/bpf_jit_harden",
    "/proc/self/status",
    "/proc/meminfo",
];

fn kernel() -> String {
    let mut text = String::new();
    for path in FACTS {
        add_file(&mut text, Path::new(path));
    }
    let btf = fs::metadata("/sys/kernel/btf/vmlinux").map(|file| file.len());
    let btf = btf.map_or_else(|error| error.to_string(), |bytes| format!("{bytes} bytes"));
    let _ = writeln!(text, "== /sys/kernel/btf/vmlinux\n{btf}");
    text.push_str("== mounts of the kernel's own\n");
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    let own = [
        "cgroup",
        "cgroup2",
        "bpf",
        "tracefs",
        "debugfs",
        "securityfs",
    ];
    for line in mounts.lines() {
        if line
            .split(' ')
            .nth(2)
            .is_some_and(|kind| own.contains(&kind))
        {
            let _ = writeln!(text, "{line}");
        }
    }
    text
}

fn add_file(text: &mut String, path: &Path) {
    let content = fs::read_to_string(path);
    let content = content.unwrap_or_else(|error| format!("{error}\n"));
    let _ = writeln!(text, "== {}\n{}", path.display(), content.trim_end());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_daemons_own_lines_are_taken_from_the_journal() {
        let journal = "\
Started monitor-daemon.service - Runtime security monitor.
2026-01-31T12:00:00.000001Z  INFO the rules are in force
ready
{\"hostname\":\"h\",\"output\":\"12:00:00.0: Warning INFO secret\"}
12:00:00.000000001: Warning Shadow read | command=cat ERROR
2026-01-31T12:00:05.000001Z ERROR somebody tampered with the daemon
2026-01-31T12:00:05.000001Z nothing
é
2026-01-31T12:00:06.000001Z ERROR monitor_daemon::output::feed: an alert is refused output=\"http.a\" rule=R why=\"the server answered 400 Bad Request: {\\\"value\\\":\\\"hunter2\\\"}\"
2026-01-31T12:00:07.000001Z ERROR alerts are refused why=\"the server took all but 1 of 2: hunter2\"
2026-01-31T12:00:08.000001Z  WARN alerts are not taken why=\"cannot connect: refused\"
";
        let expected = "\
2026-01-31T12:00:00.000001Z  INFO the rules are in force
ready
2026-01-31T12:00:05.000001Z ERROR somebody tampered with the daemon
2026-01-31T12:00:06.000001Z ERROR monitor_daemon::output::feed: an alert is refused output=\"http.a\" rule=R why=\"the server answered 400 Bad Request: REMOVED
2026-01-31T12:00:07.000001Z ERROR alerts are refused why=\"the server took all but 1 of 2: REMOVED
2026-01-31T12:00:08.000001Z  WARN alerts are not taken why=\"cannot connect: refused\"
";
        assert_eq!(own_lines(journal), expected);
    }
}
