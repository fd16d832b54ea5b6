//! Actions in containers of a real dockerd.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use monitor_tests::daemon::is_from;
use monitor_tests::docker::Dockerd;
use monitor_tests::{daemon, docker, skip_if, wait};
use serde_json::{Value, json};

use crate::actions::Programs;
use crate::sandbox::{IMAGE, REPOSITORY, Sandbox, dockerd, is_in};
use crate::world::{PATIENCE, World, assert_fields, docker_settings, text, watch};

#[test]
fn stable_rules_in_containers() -> Result<()> {
    skip_if!(daemon::obstacle());
    skip_if!(docker::obstacle());
    let docker = dockerd()?;
    let mut world = World::start(Some(&docker))?;
    terminal_shell(&mut world, &docker)?;
    dropped_binary(&mut world, &docker)?;
    netcat(&mut world, &docker)?;
    packet_socket(&mut world, &docker)?;
    release_agent(&mut world, &docker)?;
    debugfs(&mut world, &docker)?;
    host_is_never_a_container(&mut world, &docker)
}

fn terminal_shell(world: &mut World, docker: &Dockerd) -> Result<()> {
    let rule = "Terminal shell in container";
    let name = "e2e-terminal";
    let run = [
        "run",
        "--rm",
        "-t",
        "--network",
        "none",
        "--name",
        name,
        IMAGE,
        "sh",
        "-c",
        "true",
    ];
    docker.cli(&run)?;
    let alert = world.expect(rule, |fields| text(fields, "container.name") == name)?;
    assert_fields(
        &alert,
        &[
            ("proc.name", json!("sh")),
            ("proc.cmdline", json!("sh -c true")),
            ("container.image.repository", json!(REPOSITORY)),
        ],
    );
    ensure!(alert["output_fields"]["proc.tty"] != json!(0), "{alert}");
    world.expect_quiet(rule, |_| {
        docker
            .cli(&[
                "run",
                "--rm",
                "--network",
                "none",
                IMAGE,
                "sh",
                "-c",
                "true",
            ])
            .map(drop)
    })
}

fn dropped_binary(world: &mut World, docker: &Dockerd) -> Result<()> {
    let rule = "Drop and execute new binary in container";
    let sandbox = Sandbox::start(docker, "e2e-drop", &[])?;
    sandbox.sh("cp /bin/busybox /tmp/true; /tmp/true; exit 0")?;
    let alert = world.expect(rule, |fields| text(fields, "proc.exepath") == "/tmp/true")?;
    is_in(&alert, &sandbox.name, &sandbox.id);
    assert_fields(&alert, &[("proc.pname", json!("sh"))]);
    world.expect_quiet(rule, |_| sandbox.sh("true; /bin/busybox true"))
}

fn netcat(world: &mut World, docker: &Dockerd) -> Result<()> {
    let rule = "Netcat Remote Code Execution in Container";
    let sandbox = Sandbox::start(docker, "e2e-netcat", &[])?;
    sandbox.sh("/bin/nc -w 1 127.0.0.1 9 -e /bin/sh; true")?;
    let alert = world.expect(rule, |fields| text(fields, "proc.name") == "nc")?;
    is_in(&alert, &sandbox.name, &sandbox.id);
    world.expect_quiet(rule, |_| sandbox.sh("/bin/nc -w 1 127.0.0.1 9; true"))
}

fn packet_socket(world: &mut World, docker: &Dockerd) -> Result<()> {
    let rule = "Packet socket created in container";
    let sandbox = Sandbox::start(docker, "e2e-packet", &[])?;
    sandbox.sh("/bin/arping -c 1 -w 1 -I lo 127.0.0.1; true")?;
    let alert = world.expect(rule, |fields| text(fields, "proc.name") == "arping")?;
    is_in(&alert, &sandbox.name, &sandbox.id);
    world.expect_quiet(rule, |_| sandbox.sh("/bin/ping -c 1 127.0.0.1; true"))
}

fn release_agent(world: &mut World, docker: &Dockerd) -> Result<()> {
    let rule = "Detect release_agent File Container Escapes";
    let sandbox = Sandbox::start(docker, "e2e-escape", &["--cap-add", "SYS_ADMIN"])?;
    sandbox.sh("echo /x > /tmp/release_agent")?;
    let alert = world.expect(rule, |fields| {
        text(fields, "fd.name") == "/tmp/release_agent"
    })?;
    is_in(&alert, &sandbox.name, &sandbox.id);
    ensure!(text(&alert["output_fields"], "thread.cap_effective").contains("CAP_SYS_ADMIN"));
    let plain = Sandbox::start(docker, "e2e-plain", &[])?;
    world.expect_quiet(rule, |_| plain.sh("echo /x > /tmp/release_agent"))
}

fn debugfs(world: &mut World, docker: &Dockerd) -> Result<()> {
    let rule = "Debugfs Launched in Privileged Container";
    let privileged = ["--runtime", docker::LEAN_RUNTIME, "--privileged"];
    let sandbox = Sandbox::start(docker, "e2e-debugfs", &privileged)?;
    // Any program of that name: the rule goes by it.
    let launch = "cp /bin/busybox /tmp/debugfs; /tmp/debugfs true; exit 0";
    sandbox.sh(launch)?;
    let alert = world.expect(rule, |fields| text(fields, "proc.name") == "debugfs")?;
    is_in(&alert, &sandbox.name, &sandbox.id);
    assert_fields(
        &alert,
        &[
            ("proc.exepath", json!("/tmp/debugfs")),
            ("proc.pname", json!("sh")),
        ],
    );
    let plain = Sandbox::start(docker, "e2e-no-debugfs", &[])?;
    world.expect_quiet(rule, |_| plain.sh(launch))
}

/// Reads below a running container's own files from the host stay the host's.
fn host_is_never_a_container(world: &mut World, docker: &Dockerd) -> Result<()> {
    let sandbox = Sandbox::start(docker, "e2e-neighbour", &[])?;
    let pid = docker.text(&["inspect", "-f", "{{.State.Pid}}", &sandbox.name])?;
    let reader = world.programs.copy("hostreader")?;
    let mut cat = std::process::Command::new(reader);
    std::os::unix::process::CommandExt::arg0(&mut cat, "cat");
    crate::actions::run(cat.arg(format!("/proc/{}/root/etc/shadow", pid.trim())))?;
    crate::actions::run(std::process::Command::new("true").env("container", "docker"))?;
    let mut cat = std::process::Command::new(world.programs.copy("hostreader")?);
    std::os::unix::process::CommandExt::arg0(&mut cat, "cat");
    crate::actions::succeed(cat.arg("/etc/shadow"))?;
    let rule = "Read sensitive file untrusted";
    let alert = world.expect(rule, |fields| text(fields, "proc.name") == "hostreader")?;
    assert_fields(
        &alert,
        &[
            ("container.id", json!("host")),
            ("container.name", json!("host")),
        ],
    );
    Ok(())
}

const SETTINGS: &str = r"
- rule: settings
  desc: how a container was made
  condition: >
    evt.type in (execve, execveat) and proc.name = echo and proc.args startswith e2e-settings
    and container.label[com.example/team] = 'a b' and container.mount.dest[/tmp] = /host
    and container.cap_add contains CAP_SYS_ADMIN and container.memory_limit > 0
  output: >
    settings | type=%container.type id=%container.full_id image=%container.image
    image_id=%container.image.id digest=%container.image.digest privileged=%container.privileged
    user=%container.user runs_as=%user.name mounts=%container.mounts first=%container.mount[0]
    source=%container.mount.source[/host] rdwr=%container.mount.rdwr[/tmp]
    mode=%container.mount.mode[/tmp] propagation=%container.mount.propagation[/tmp]
    networks=%container.networks ip=%container.ip host_pid=%container.host_pid
    host_network=%container.host_network host_ipc=%container.host_ipc add=%container.cap_add
    drop=%container.cap_drop memory=%container.memory_limit cpu=%container.cpu_limit
    pids=%container.pids_limit parent=%container.cgroup_parent labels=%container.labels
    start=%container.start_ts duration=%container.duration cni=%container.cni.json
    healthcheck=%container.healthcheck
  priority: NOTICE
";

/// Every field of a container, from a real one.
#[test]
fn settings_of_a_container_are_in_the_alert() -> Result<()> {
    skip_if!(daemon::obstacle());
    skip_if!(docker::obstacle());
    let docker = dockerd()?;
    let programs = Programs::new()?;
    let mut daemon = watch(&programs, SETTINGS, &docker_settings(&docker))?;
    let run = "run --rm --name e2e-settings --network host --ipc host --pid host \
         --user 1000:1000 --volume /tmp:/host:ro --cap-add SYS_ADMIN --cap-add CAP_SYSLOG \
         --cap-drop NET_RAW --memory 64m --cpus 1.5 --pids-limit 77 --cgroup-parent /e2e-jobs \
         --label com.example/team";
    let mut run: Vec<String> = run.split_whitespace().map(str::to_owned).collect();
    if let Some(label) = run.last_mut() {
        label.push_str("=a b");
    }
    run.extend([IMAGE, "echo", "e2e-settings"].map(str::to_owned));
    let run: Vec<&str> = run.iter().map(String::as_str).collect();
    docker.text(&run)?;
    let alert = daemon.wait_for("the alert", PATIENCE, |alert| is_from(alert, "settings"))?;
    let image = docker.text(&["image", "inspect", "--format", "{{.Id}}", IMAGE])?;
    let expected = [
        ("container.type", json!("docker")),
        ("container.name", json!("e2e-settings")),
        ("container.image", json!(IMAGE)),
        ("container.image.id", json!(image)),
        // Never pushed or pulled.
        ("container.image.digest", json!("")),
        ("container.privileged", json!(false)),
        ("container.user", json!("1000:1000")),
        ("user.name", json!("user")),
        ("container.mounts", json!("/tmp:/host:ro:false:rslave")),
        ("container.mount[0]", json!("/tmp:/host:ro:false:rslave")),
        ("container.mount.source[/host]", json!("/tmp")),
        ("container.mount.rdwr[/tmp]", json!("false")),
        ("container.mount.mode[/tmp]", json!("ro")),
        ("container.mount.propagation[/tmp]", json!("rslave")),
        ("container.networks", json!("host")),
        ("container.ip", Value::Null),
        ("container.host_pid", json!(true)),
        ("container.host_network", json!(true)),
        ("container.host_ipc", json!(true)),
        ("container.cap_add", json!("CAP_SYSLOG CAP_SYS_ADMIN")),
        ("container.cap_drop", json!("CAP_NET_RAW")),
        ("container.memory_limit", json!(64 << 20)),
        ("container.cpu_limit", json!(1500)),
        ("container.pids_limit", json!(77)),
        ("container.cgroup_parent", json!("/e2e-jobs")),
        ("container.labels", json!("com.example/team:a b")),
        ("container.cni.json", Value::Null),
        ("container.healthcheck", Value::Null),
    ];
    assert_fields(&alert, &expected);
    // It shares the host's pid namespace, whose first process is as old as the host.
    let started = alert["output_fields"]["container.duration"].as_u64();
    let started = started.map(Duration::from_nanos);
    ensure!(started.is_some_and(|ago| ago < PATIENCE), "{alert:#}");
    Ok(())
}

/// Containers that ran before the daemon are known, and a dockerd that goes away and comes back
/// costs no detection.
#[test]
fn docker_may_come_and_go() -> Result<()> {
    skip_if!(daemon::obstacle());
    skip_if!(docker::obstacle());
    let mut docker = dockerd()?;
    let before = Sandbox::start(&docker, "e2e-before", &[])?;
    let mut world = World::start(Some(&docker))?;
    let rule = "Search Private Keys or Passwords";
    before.sh("/bin/find /etc -name id_dsa")?;
    let alert = world.expect(rule, |fields| {
        text(fields, "proc.cmdline").contains("id_dsa")
    })?;
    is_in(&alert, "e2e-before", &before.id);
    drop(before);

    docker.stop()?;
    world.fence().context("with dockerd stopped")?;
    docker.resume()?;
    let deadline = std::time::Instant::now() + PATIENCE;
    // The daemon reconnects within its back-off; until then names may be missing.
    loop {
        let mark = format!("id_ed25519-{:?}", deadline.elapsed());
        let name = format!("e2e-after-{}", std::process::id());
        let run = ["run", "--rm", "--network", "none", "--name", &name, IMAGE];
        docker.cli(&[&run[..], &["find", "/etc", "-name", &mark]].concat())?;
        let alert = world.expect(rule, |fields| text(fields, "proc.cmdline").contains(&mark))?;
        if alert["output_fields"]["container.name"] == json!(name) {
            return Ok(());
        }
        ensure!(
            std::time::Instant::now() < deadline,
            "metadata never caught up: {alert}"
        );
    }
}

/// A rule that names a host means its addresses. The daemon gets a hosts file of its own.
#[test]
fn the_kubernetes_api_is_known_by_name() -> Result<()> {
    skip_if!(daemon::obstacle());
    skip_if!(docker::obstacle());
    let docker = dockerd()?;
    let hosts = "203.0.113.77 kubernetes.default.svc.cluster.local\n";
    let mut world = World::start_with_hosts(&docker, hosts)?;
    let rule = "Contact K8S API Server From Container";
    let sandbox = Sandbox::start(&docker, "e2e-k8s", &[])?;
    let fits = |alert: &Value| is_from(alert, rule);
    // The name is resolved beside the loop, soon after the start.
    let alert = wait::until("the alert", PATIENCE, || {
        let first = world.daemon.mark()?;
        sandbox.sh("/bin/nc -w 1 203.0.113.77 6443; true")?;
        let second = Duration::from_secs(1);
        Ok(world.daemon.wait_for_since(first, rule, second, fits).ok())
    })?;
    is_in(&alert, &sandbox.name, &sandbox.id);
    assert_fields(
        &alert,
        &[("proc.name", json!("nc")), ("fd.rport", json!(6443))],
    );
    world.expect_quiet(rule, |_| sandbox.sh("/bin/nc -w 1 203.0.113.78 6443; true"))
}

/// Without any dockerd the daemon starts at once and detects.
#[test]
fn docker_may_be_absent() -> Result<()> {
    skip_if!(daemon::obstacle());
    let mut world = World::start(None)?;
    world.fence()
}

/// The daemon's end is clean and says so.
#[test]
fn a_signal_drains_and_stops() -> Result<()> {
    skip_if!(daemon::obstacle());
    let mut world = World::start(None)?;
    world.fence()?;
    let alerts = world.daemon.stop()?;
    ensure!(!alerts.is_empty(), "the fence's alert is in the file");
    Ok(())
}
