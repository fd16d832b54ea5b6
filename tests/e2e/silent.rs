//! Programs that are loaded and tell nothing: the self-check finds each, although others go on to tell
//! of the same kind of event.

use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use monitor_tests::daemon::{self, Daemon, field, is_from};
use monitor_tests::{http, skip, skip_if, wait};
use serde_json::Value;

use crate::actions::{Programs, succeed};
use crate::world::{PATIENCE, watch};

const TAMPERED: &str = "Monitor tampered with";
const FTRACE: &str = "/proc/sys/kernel/ftrace_enabled";
const RULES: &str = "
- rule: connected
  desc: a connect
  condition: evt.type = connect and proc.name = e2e-silent-none
  output: connected
  priority: NOTICE
- rule: removed
  desc: a file
  condition: evt.type in (unlink, unlinkat, rmdir) and fs.path.name endswith /e2e-silent-needle
  output: removed %fs.path.name
  priority: NOTICE
";

#[test]
fn a_program_that_tells_nothing_is_found_although_others_do() -> Result<()> {
    skip_if!(daemon::obstacle());
    skip_if!(skip::without(&["bpftool"]));
    let programs = Programs::new()?;
    let port = http::free_port()?;
    let settings = format!("metrics:\n  listen: 127.0.0.1:{port}\n");
    let mut daemon = watch(&programs, RULES, &settings)?;
    wait::until("both kinds to deliver", PATIENCE, || {
        let page = http::fetch(port, "/metrics")?;
        let delivers =
            |kind| line(&page, "provider_delivers", kind).is_some_and(|line| line.ends_with(" 1"));
        Ok((delivers("connect") && delivers("remove")).then_some(()))
    })?;
    let links = links(&daemon)?;
    let page = http::fetch(port, "/metrics")?;
    let serves = line(&page, "provider", "remove").context("nothing of remove")?;
    let by_name = serves.contains("fentry/security_path_unlink");
    let off = if by_name { Ftrace::off(&links)? } else { None };
    let mark = daemon.mark()?;
    detach(&links, "inet6_connect")?;
    // The daemon has seen that and looks at once. Where functions serve no more, no connect comes at all.
    let (kind, hook) = if off.is_some() {
        ("remove", "fentry/security_path_unlink")
    } else {
        ("connect", "cgroup/connect6")
    };
    alert(&mut daemon, mark, kind, hook)?;
    ensure!(
        daemon.log().contains("the daemon does without"),
        "{}",
        daemon.log()
    );
    // What is left still tells.
    let needle = programs.folder().join("e2e-silent-needle");
    fs::write(&needle, "")?;
    fs::remove_file(&needle)?;
    daemon.wait_for("the needle", PATIENCE, |alert| is_from(alert, "removed"))?;
    wait::until("others to serve", PATIENCE, || {
        let page = http::fetch(port, "/metrics")?;
        let serves = line(&page, "provider", kind).context("nothing of the kind")?;
        Ok((!serves.contains(hook)).then_some(()))
    })?;
    drop(daemon);
    Ok(())
}

/// The line of a metric about a kind.
fn line<'t>(page: &'t str, name: &str, kind: &str) -> Option<&'t str> {
    let begin = format!("monitor_{name}{{kind=\"{kind}\"");
    page.lines().find(|line| line.starts_with(&begin))
}

fn alert(daemon: &mut Daemon, mark: daemon::Mark, kind: &str, hook: &str) -> Result<()> {
    let begin = format!("{kind} events come without what ");
    let told = |alert: &Value| {
        let what = field(alert, "monitor.tampering").unwrap_or_default();
        is_from(alert, TAMPERED) && what.starts_with(&begin) && what.contains(hook)
    };
    daemon.wait_for_since(mark, hook, PATIENCE, told).map(drop)
}

/// The daemon's links at cgroups, by what of them.
fn links(daemon: &Daemon) -> Result<BTreeMap<String, Vec<String>>> {
    let mut links = BTreeMap::new();
    for entry in fs::read_dir(format!("/proc/{}/fdinfo", daemon.pid()))? {
        // Closed since, by another thread.
        let text = fs::read_to_string(entry?.path()).unwrap_or_default();
        let Some(id) = text.lines().find_map(|line| line.strip_prefix("link_id:")) else {
            continue;
        };
        let told = succeed(Command::new("bpftool").args(["-j", "link", "show", "id", id.trim()]))?;
        let told: Value = serde_json::from_slice(&told.stdout)?;
        if let Some(at) = told["attach_type"].as_str() {
            let at = at.trim_start_matches("cgroup_");
            // An older name of the same.
            let at = if at == "connect6" {
                "inet6_connect"
            } else {
                at
            };
            links
                .entry(at.to_owned())
                .or_insert_with(Vec::new)
                .push(id.trim().to_owned());
        }
    }
    Ok(links)
}

fn detach(links: &BTreeMap<String, Vec<String>>, at: &str) -> Result<()> {
    let these = links.get(at).with_context(|| format!("no link at {at}"))?;
    for link in these {
        succeed(Command::new("bpftool").args(["link", "detach", "id", link]))?;
    }
    Ok(())
}

/// Programs at the kernel's functions run no more until this is dropped.
struct Ftrace;

impl Ftrace {
    /// Unseen by the daemon, whose program for that is taken away; `None` where the kernel lets nobody
    /// while there are such programs (5.10).
    fn off(links: &BTreeMap<String, Vec<String>>) -> Result<Option<Self>> {
        detach(links, "sysctl")?;
        match fs::write(FTRACE, "0") {
            Ok(()) => Ok(Some(Self)),
            Err(error) if error.kind() == ErrorKind::ResourceBusy => Ok(None),
            Err(error) => Err(error.into()),
        }
    }
}

impl Drop for Ftrace {
    fn drop(&mut self) {
        let _on = fs::write(FTRACE, "1");
    }
}
