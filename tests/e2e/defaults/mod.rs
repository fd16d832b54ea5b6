//! The policies built into the binary: each rule fires on a real action, and ordinary work makes
//! no alert.

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use monitor_tests::daemon::{Daemon, Mark, is_from};
use monitor_tests::docker::Dockerd;
use monitor_tests::tree::Tree;
use monitor_tests::{daemon, docker, paths, skip, skip_if};
use serde_json::Value;

mod container;
mod host;
mod work;

use crate::actions::{Programs, run, succeed};
use crate::sandbox::{IMAGE, Sandbox, dockerd};
use crate::world::{PATIENCE, configuration, docker_settings, text};

fn start(programs: &Programs, docker: &Dockerd) -> Result<Daemon> {
    let config = configuration(programs, &docker_settings(docker))?;
    Daemon::start(&["--config".as_ref(), config.as_os_str()])
}

#[test]
fn every_shipped_rule_fires() -> Result<()> {
    skip_if!(daemon::obstacle());
    skip_if!(docker::obstacle());
    skip_if!(skip::without(&[
        "busybox", "perl", "unshare", "ip", "script", "setpriv", "shred"
    ]));
    let acts = host::ACTS.iter().map(|act| act.rule);
    let acted: BTreeSet<String> = acts.chain(container::rules()).map(str::to_owned).collect();
    assert_eq!(
        acted,
        shipped()?,
        "rules with a case and rules in policies/"
    );
    let docker = Dockerd::start()?;
    let tree = Tree::busybox()?;
    tree.program("bin/perl", &paths::program("perl").context("no perl")?)?;
    docker.import_image(IMAGE, &tree)?;
    let programs = Programs::new()?;
    let mut daemon = start(&programs, &docker)?;
    for (number, act) in host::ACTS.iter().enumerate() {
        on_the_host(&mut daemon, &programs, number, act)?;
    }
    container::all(&mut daemon, &docker)
}

fn on_the_host(
    daemon: &mut Daemon,
    programs: &Programs,
    number: usize,
    act: &host::Act,
) -> Result<()> {
    let folder = programs.folder().display().to_string();
    // In the command line of the shell, which is the program or its parent.
    let sign = format!(": e2e-act-{number};");
    let script = format!("SIGN {}; exit 0", act.script);
    let script = script.replace("FOLDER", &folder).replace("SIGN", &sign);
    let mark = daemon.mark()?;
    run(&mut programs.shell(act.shell, &script)?)?;
    daemon
        .wait_for_since(mark, act.rule, PATIENCE, |alert| {
            is_from(alert, act.rule) && alert.to_string().contains(&sign)
        })
        .map(drop)
}

/// The rules in `policies/`.
fn shipped() -> Result<BTreeSet<String>> {
    let mut rules = BTreeSet::new();
    for file in fs::read_dir(paths::root().join("policies"))? {
        let text = fs::read_to_string(file?.path())?;
        let names = text
            .lines()
            .filter_map(|line| line.strip_prefix("- rule: "));
        rules.extend(names.map(str::to_owned));
    }
    Ok(rules)
}

#[test]
fn ordinary_work_makes_no_alert() -> Result<()> {
    skip_if!(daemon::obstacle());
    skip_if!(docker::obstacle());
    skip_if!(skip::without(&["dpkg-deb", "unshare", "pivot_root"]));
    let docker = dockerd()?;
    let programs = Programs::new()?;
    let mut daemon = start(&programs, &docker)?;
    let begin = daemon.mark()?;
    // The machine on its own.
    succeed(Command::new("sleep").arg("3"))?;
    fenced(&mut daemon, &programs, begin, "idle")?;

    let begin = daemon.mark()?;
    succeed(Command::new("ls").args(["-lR", "/etc"]))?;
    succeed(Command::new("apt-get").arg("--version"))?;
    succeed(Command::new("apt-get").args(["--simulate", "install", "busybox-static"]))?;
    succeed(Command::new("dpkg").arg("--list"))?;
    succeed(Command::new("passwd").args(["--status", "root"]))?;
    succeed(Command::new("su").args(["-s", "/bin/sh", "-c", "id", "nobody"]))?;
    succeed(Command::new("find").args(["/etc", "-type", "f"]))?;
    work::install(programs.folder())?;
    work::compile(programs.folder())?;
    let echo = ["run", "--rm", "--network", "none", IMAGE, "echo", "hello"];
    docker.text(&echo)?;
    let sandbox = Sandbox::start(&docker, "e2e-plain", &[])?;
    sandbox.sh("ls -lR /etc; cat /etc/passwd; id; touch /tmp/file")?;
    drop(sandbox);
    fenced(&mut daemon, &programs, begin, "work")
}

/// Makes sure that no alert came since `begin`: acts, and the action's alert is the first.
fn fenced(daemon: &mut Daemon, programs: &Programs, begin: Mark, sign: &str) -> Result<()> {
    let rule = "Symbolic link to a protected file";
    let link = programs.folder().join(sign);
    succeed(Command::new("ln").args(["-s", "/etc/shadow"]).arg(&link))?;
    let link = link.display().to_string();
    let fence = |alert: &Value| text(&alert["output_fields"], "evt.arg.linkpath") == link;
    daemon.wait_for_since(begin, rule, PATIENCE, fence)?;
    let alerts = daemon.alerts_since(begin)?;
    let first = alerts.first().context("no alert")?;
    ensure!(fence(first), "{sign}: {first:#}");
    Ok(())
}
