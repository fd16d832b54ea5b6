//! The service as an operator gets it: the archive unpacked into a guest whose first process is a
//! real systemd, the unit started, watched, restarted and stopped.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use monitor_tests::{paths, skip_if, systemd};
use serde_json::Value;

use crate::guest::section;

const WITHIN: Duration = Duration::from_mins(8);

/// Beside the shipped policies, so that every kind of event is watched.
pub(crate) const RULES: &str = r"
- rule: needle
  desc: the case's own program
  condition: evt.type in (execve, execveat) and proc.args startswith e2e-needle
  output: needle | args=%proc.args user=%user.name
  priority: CRITICAL
";

pub(crate) const CONFIGURATION: &str = "\
policies: [/usr/share/monitor-daemon/policies, /etc/monitor/rules]
alerts:
  file: /var/log/monitor/alerts.jsonl
";

/// Where Docker would listen, and as it does: root and its group may ask.
const DOCKER: &str = "\
[Socket]
ListenStream=/run/docker.sock
SocketMode=0660
SocketGroup=docker
Accept=yes
";
const ASKED: &str = "[Service]\nExecStart=/bin/touch /run/asked\n";

/// Stricter than shipped, so that the case need not wait for half a minute.
const OVERRIDE: &str = "[Service]\nWatchdogSec=20\nTimeoutAbortSec=2\nRestartSec=1\n";

const SCRIPT: &str = r#"
alerted() { journalctl -u $unit -o cat | grep -q "\"proc.args\":\"$1\""; }

tar -C / -xzf /archive.tar.gz || die unpack
systemd-sysusers || die sysusers
# As an older version ran, and as one may go back to.
root=/run/systemd/system/$unit.service.d/root.conf
mkdir -p ${root%/*}; printf '[Service]\nUser=root\n' >$root
systemctl daemon-reload
systemctl enable $unit || die enable
systemctl start docker.socket || die docker
systemctl start $unit || die 'start as root'
needle e2e-needle-0
systemctl stop $unit
echo '== root'; stat -c '%U' /var/lib/monitor/* /var/log/monitor/*
rm -f $root /run/asked
systemctl daemon-reload
systemctl start $unit || die start
echo '== started'
systemctl show $unit -p Type,ActiveState,SubState,NotifyAccess,WatchdogUSec,NRestarts
needle e2e-needle-1
pid=$(property MainPID)
echo '== process'; cat /proc/$pid/status
echo '== helper'; for child in $(cat /proc/$pid/task/$pid/children); do cat /proc/$child/status; done
until_true 'Docker is not asked' test -e /run/asked
systemctl stop docker.socket
echo '== mounts'; cat /proc/$pid/mountinfo
delivers() { wget -q -O - http://127.0.0.1:9464/metrics | grep -q ^monitor_provider_delivers; }
until_true 'no self-check' delivers
echo '== metrics'; wget -q -O - http://127.0.0.1:9464/metrics
echo '== top'; monitor-daemon top --once --format json || die top
monitor-daemon reload >/dev/null || die 'a reload by root'
echo '== security'; systemd-analyze security $unit

first=$(property WatchdogTimestampMonotonic)
fed() { [ "$(property WatchdogTimestampMonotonic)" != "$first" ]; }
until_true 'the watchdog is not fed' fed

kill -STOP $pid
again() { [ "$(property NRestarts)" = 1 ] && [ "$(property ActiveState)" = active ]; }
until_true 'a loop that hangs is not noticed' again
echo '== killed'; journalctl -u $unit -o cat | grep -i watchdog
needle e2e-needle-2

pid=$(property MainPID)
sed -i 's/startswith e2e-needle/startswith e2e-need/' /etc/monitor/rules/own.yaml
systemctl reload $unit || die reload
# Changed files may be loaded once more of themselves.
same() { [ "$(property MainPID) $(property ActiveState)" = "$pid active" ]; }
until_true 'a reload ended it' same
echo '- rule: broken' >/etc/monitor/rules/broken.yaml
systemctl reload $unit && die 'broken rules were taken'
until_true 'broken rules ended it' same
rm /etc/monitor/rules/broken.yaml
needle e2e-needle-3
echo '== control'; stat -c '%a %U' /run/monitor-daemon /run/monitor-daemon/control.sock
printf '[Service]\nType=oneshot\nExecStart=/usr/bin/monitor-daemon reload\n%s\n' \
    "$(grep ^CapabilityBoundingSet= /policies.service)" >/run/systemd/system/fetch.service
systemctl start fetch.service || die "the fleet's service cannot reload"
kill -USR1 $pid
other() { [ "$(property MainPID)" != $pid ] && [ "$(property ActiveState)" = active ]; }
until_true 'a stray signal ended it' other
needle e2e-needle-4
systemctl stop $unit || die stop
echo '== stopped'
systemctl show $unit -p ActiveState,Result,ExecMainStatus
echo '== journal'; journalctl -u $unit -o json -p crit
echo '== warnings'; journalctl -u $unit -o cat -p warning | grep -v '^{'
echo '== file'; stat -c '%a %U' /var/log/monitor /var/log/monitor/alerts.jsonl
grep -c e2e-needle /var/log/monitor/alerts.jsonl
echo '== log'; monitor-daemon alerts --format json | grep -o 'e2e-needle-[0-9]' | sort -u
# Nothing is root's, also after root has read.
find /var/lib/monitor /var/log/monitor -not -user monitor-daemon
monitor-daemon alerts verify || die 'the log was changed'
echo '== end'
"#;

/// Of all kernels this is the one whose programs take the most of what a service may. The package is
/// tried on another (`installed`).
#[test]
fn it_runs_hardened_under_systemd() -> Result<()> {
    skip_if!(obstacle());
    runs_on("newest")
}

fn obstacle() -> Option<String> {
    systemd::obstacle().or_else(|| paths::archive().err().map(|error| error.to_string()))
}

fn runs_on(series: &str) -> Result<()> {
    let tree = systemd::tree(SCRIPT)?;
    let fleet = paths::root().join("packaging/fleet/monitor-policies.service");
    tree.file("/archive.tar.gz", std::fs::read(paths::archive()?)?)?
        .file("/etc/monitor/rules/own.yaml", RULES)?
        .file("/etc/monitor/conf.d/case.yaml", CONFIGURATION)?
        // What only root may read, such as passwords.
        .mode("/etc/monitor/conf.d/case.yaml", 0o600)?
        .file("/etc/systemd/system/docker.socket", DOCKER)?
        .file("/etc/systemd/system/docker@.service", ASKED)?
        .symlink("/var/run", "/run")?
        .file("/policies.service", std::fs::read(fleet)?)?
        .file(
            "/etc/systemd/system/monitor-daemon.service.d/case.conf",
            OVERRIDE,
        )?;
    let output = systemd::boot(series, &tree, WITHIN)?;
    let text = &output.text;
    let before = section(text, "root")?;
    ensure!(before.lines().all(|owner| owner == "root"), "{before}");
    notified(section(text, "started")?)?;
    let process = section(text, "process")?;
    own_user(process)?;
    own_user(section(text, "helper")?)?;
    hardened(process, section(text, "mounts")?)?;
    sees_everything(section(text, "metrics")?)?;
    let top: Value = serde_json::from_str(section(text, "top")?)?;
    ensure!(
        top["rules"]
            .as_array()
            .is_some_and(|rules| rules.len() > 10),
        "{top}"
    );
    exposure(section(text, "security")?)?;
    ensure!(
        !section(text, "killed")?.is_empty(),
        "no word of the watchdog"
    );
    has_lines(
        section(text, "stopped")?,
        &["ActiveState=inactive", "Result=success", "ExecMainStatus=0"],
    )?;
    journal(section(text, "journal")?)?;
    let control = section(text, "control")?;
    has_lines(control, &["700 monitor-daemon", "600 monitor-daemon"])?;
    let file = section(text, "file")?;
    has_lines(file, &["750 monitor-daemon", "600 monitor-daemon", "5"])?;
    // What root's run wrote is there too.
    let log: Vec<&str> = section(text, "log")?.lines().collect();
    let needles = (0..=4).map(|number| format!("e2e-needle-{number}"));
    ensure!(log.iter().take(5).copied().eq(needles), "{log:?}");
    ensure!(!log.iter().any(|line| line.starts_with('/')), "{log:?}");
    Ok(())
}

/// Not root in any way, and nothing that it started would have its powers.
pub(crate) fn own_user(status: &str) -> Result<()> {
    let numbers = |name: &str| {
        let mut lines = status.lines();
        let line = lines.find_map(|line| line.strip_prefix(name));
        line.map(|line| line.split_whitespace().collect::<Vec<_>>())
    };
    for name in ["Uid:", "Gid:", "Groups:"] {
        let numbers = numbers(name).with_context(|| status.to_owned())?;
        ensure!(!numbers.is_empty() && !numbers.contains(&"0"), "{status}");
    }
    ensure!(
        numbers("CapAmb:") == Some(vec!["0000000000000000"]),
        "{status}"
    );
    Ok(())
}

fn notified(text: &str) -> Result<()> {
    let expected = [
        "Type=notify",
        "ActiveState=active",
        "SubState=running",
        "NotifyAccess=main",
        "WatchdogUSec=20s",
        "NRestarts=0",
    ];
    has_lines(text, &expected)
}

pub(crate) fn has_lines(text: &str, expected: &[&str]) -> Result<()> {
    for expected in expected {
        ensure!(text.lines().any(|line| line == *expected), "{text}");
    }
    Ok(())
}

/// Of root's powers five, none to be had, system calls filtered, nothing to write to.
pub(crate) fn hardened(status: &str, mounts: &str) -> Result<()> {
    // CAP_BPF, CAP_PERFMON, CAP_SYS_PTRACE, CAP_NET_ADMIN, CAP_DAC_READ_SEARCH.
    const POWERS: &str = "000000c000081004";
    let value = |name: &str| {
        let mut lines = status.lines();
        let line = lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(":\t"));
        line.with_context(|| format!("no {name} in\n{status}"))
    };
    for set in ["CapEff", "CapPrm", "CapBnd"] {
        ensure!(value(set)? == POWERS, "{status}");
    }
    ensure!(value("NoNewPrivs")? == "1", "{status}");
    ensure!(value("Seccomp")? == "2", "{status}");
    // Place and options of a mount are its fifth and sixth word (proc(5)).
    let options = |place: &str| {
        let mut found = mounts.lines().filter_map(|line| {
            let mut words = line.split(' ').skip(4);
            (words.next() == Some(place)).then(|| words.next())?
        });
        found.next_back().unwrap_or_default()
    };
    for (place, writable) in [
        ("/", "ro"),
        ("/proc", "ro"),
        ("/sys/fs/cgroup", "ro"),
        ("/var/log/monitor", "rw"),
    ] {
        ensure!(options(place).starts_with(writable), "{place}: {mounts}");
    }
    Ok(())
}

/// The powers suffice for every kind of event, on the better tier where there is one.
pub(crate) fn sees_everything(metrics: &str) -> Result<()> {
    let providers: Vec<&str> = metrics
        .lines()
        .filter(|line| line.starts_with("monitor_provider{"))
        .collect();
    ensure!(providers.len() > 10, "{metrics}");
    for provider in &providers {
        ensure!(provider.ends_with(" 1"), "{provider}");
    }
    for kind in ["open", "connect", "socket", "symlink", "link", "ptrace"] {
        let object = providers.iter().any(|provider| {
            provider.contains(&format!("kind=\"{kind}\"")) && provider.contains("tier=\"object\"")
        });
        ensure!(object, "{kind}: {providers:#?}");
    }
    delivers(metrics)
}

/// The self-check's own acts are seen, but for those that the unit refuses.
fn delivers(metrics: &str) -> Result<()> {
    let lines: Vec<&str> = metrics
        .lines()
        .filter(|line| line.starts_with("monitor_provider_delivers{"))
        .collect();
    ensure!(lines.iter().all(|line| line.ends_with(" 1")), "{lines:#?}");
    for kind in [
        "exec",
        "fork",
        "exit",
        "open",
        "connect",
        "socket",
        "dns",
        "symlink",
        "link",
        "remove",
        "rename",
        "mode",
        "dup",
        "passed",
        "namespace",
    ] {
        let kind = format!("kind=\"{kind}\"");
        ensure!(
            lines.iter().any(|line| line.contains(&kind)),
            "{kind}: {lines:#?}"
        );
    }
    Ok(())
}

/// systemd's own judgement; 10 is a service that does nothing for its safety.
pub(crate) fn exposure(text: &str) -> Result<()> {
    let line = text
        .lines()
        .find(|line| line.contains("Overall exposure level"));
    let line = line.with_context(|| text.to_owned())?;
    let level = line
        .split_whitespace()
        .find_map(|word| word.parse::<f64>().ok());
    ensure!(level < Some(2.6) && level.is_some(), "{line}");
    Ok(())
}

/// One entry an alert, with its priority, and in it the alert as JSON.
fn journal(text: &str) -> Result<()> {
    let mut needles = Vec::new();
    for line in text.lines() {
        let entry: Value = serde_json::from_str(line).with_context(|| line.to_owned())?;
        let message = entry["MESSAGE"].as_str().context("no message")?;
        let Ok(alert) = serde_json::from_str::<Value>(message) else {
            continue;
        };
        if alert["rule"] == "needle" {
            ensure!(entry["PRIORITY"] == "2", "{entry}");
            needles.push(alert["output_fields"]["proc.args"].clone());
        }
    }
    let expected = (0..=4).map(|number| format!("e2e-needle-{number}"));
    ensure!(
        needles == expected.collect::<Vec<_>>(),
        "{needles:?} in\n{text}"
    );
    Ok(())
}
