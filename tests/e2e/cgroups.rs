//! Cgroups as all runtimes name them, made by hand, and processes that move between them.

use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use monitor_tests::cgroup::{self, Cgroup};
use monitor_tests::daemon::{Daemon, is_from};
use monitor_tests::docker::{Dockerd, LEAN_RUNTIME};
use monitor_tests::tree::Tree;
use monitor_tests::{daemon, docker, paths, skip, skip_if, vm};
use serde_json::{Value, json};

use crate::actions::{Programs, run};
use crate::guest::{BOOT_AND_RUN, script, section};
use crate::sandbox::{IMAGE, REPOSITORY, Sandbox, dockerd};
use crate::world::{PATIENCE, assert_fields, docker_settings, text, watch};

const STARTED: &str = "started in a cgroup";
const MOVED: &str = "moved";

pub(crate) const RULES: &str = r"
- rule: started in a cgroup
  desc: an echo of the case
  condition: evt.type = execve and proc.name = echo and proc.args startswith e2e-
  output: >
    echo | args=%proc.args id=%container.id full=%container.full_id type=%container.type
    name=%container.name
  priority: NOTICE
- rule: moved
  desc: a process came into another container's cgroup
  condition: evt.type = cgroup_move
  output: >
    moved | pid=%evt.arg.pid comm=%evt.arg.comm source=%evt.arg.source dest=%evt.arg.dest
    path=%evt.arg.path by=%proc.pid command=%proc.cmdline id=%container.id name=%container.name
  priority: NOTICE
";

/// Cgroup, id and type of the container; `{A}` and `{B}` stand for ids.
pub(crate) const CGROUPS: &[(&str, &str, &str)] = &[
    // Docker with its cgroupfs driver, its systemd driver, a parent of the user's choice, rootless.
    ("/docker/{A}", "{A}", "docker"),
    ("/docker/{A}/deep/down/below", "{A}", "docker"),
    ("/system.slice/docker-{A}.scope", "{A}", "docker"),
    ("/system.slice/docker-{A}.scope/init.scope", "{A}", "docker"),
    ("/e2e-parent/{A}", "{A}", "docker"),
    (
        "/user.slice/user-4242.slice/user@4242.service/user.slice/docker-{A}.scope",
        "{A}",
        "docker",
    ),
    // Docker in Docker, and Kubernetes in it.
    ("/docker/{A}/docker/{B}", "{B}", "docker"),
    (
        "/docker/{A}/kubelet/kubepods/burstable/pod4c0c3b5c/{B}",
        "{B}",
        "containerd",
    ),
    (
        "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod4c0c.slice/cri-containerd-{A}.scope",
        "{A}",
        "containerd",
    ),
    ("/kubepods/besteffort/pod4c0c/{A}", "{A}", "containerd"),
    ("/default/{A}", "{A}", "containerd"),
    ("/default/web-1", "web-1", "containerd"),
    (
        "/kubepods.slice/kubepods-pod4c0c.slice/crio-{A}.scope/container",
        "{A}",
        "cri-o",
    ),
    ("/machine.slice/libpod-{A}.scope/container", "{A}", "podman"),
    ("/libpod_parent/libpod-{A}", "{A}", "podman"),
    ("/lxc.payload.web/init.scope", "web", "lxc"),
    ("/lxc/web", "web", "lxc"),
    (
        "/machine.slice/systemd-nspawn@web.service/payload/init.scope",
        "web",
        "systemd-nspawn",
    ),
    (
        "/machine.slice/machine-web.scope/payload",
        "web",
        "systemd-nspawn",
    ),
    // The runtimes' own processes, and what only looks alike.
    ("/machine.slice/libpod-conmon-{A}.scope", "host", "host"),
    ("/lxc.monitor.web", "host", "host"),
    (
        "/machine.slice/systemd-nspawn@web.service/supervisor",
        "host",
        "host",
    ),
    ("/system.slice/docker-{A}.service", "host", "host"),
];

/// Case by case other ids: a container keeps its runtime.
pub(crate) fn expand(text: &str, case: usize) -> String {
    let id = |first: char| format!("{first}{case:063}");
    text.replace("{A}", &id('a')).replace("{B}", &id('b'))
}

/// What an alert of a process in such a cgroup must say.
#[track_caller]
pub(crate) fn check(alert: &Value, id: &str, kind: &str) {
    let expected = [
        ("container.id", json!(id.get(..12).unwrap_or(id))),
        ("container.type", json!(kind)),
    ];
    assert_fields(alert, &expected);
    if kind != "host" {
        assert_fields(alert, &[("container.full_id", json!(id))]);
    }
}

#[test]
fn cgroups_of_all_runtimes_are_containers() -> Result<()> {
    skip_if!(daemon::obstacle());
    let programs = Programs::new()?;
    let mut daemon = watch(&programs, RULES, "")?;
    for (number, (path, id, kind)) in CGROUPS.iter().enumerate() {
        let cgroup = Cgroup::make(&expand(path, number))?;
        let mark = format!("e2e-{number}-");
        let script = "echo $$ > \"$1\"; exec /bin/echo \"$2\"";
        let mut shell = Command::new("sh");
        run(shell
            .args(["-c", script, "sh"])
            .arg(cgroup.processes())
            .arg(&mark))?;
        let alert = daemon
            .wait_for("the echo", PATIENCE, |alert| {
                is_from(alert, STARTED) && text(&alert["output_fields"], "proc.args") == mark
            })
            .with_context(|| (*path).to_owned())?;
        check(&alert, &expand(id, number), kind);
    }
    Ok(())
}

/// `clone3` is 435, `CLONE_INTO_CGROUP` 2^33, `SIGCHLD` 17.
const CLONE_INTO: &str = "/bin/perl -e 'open(my $cgroup, q(<), q(/host)); \
     my $args = pack(q(Q11), 2 ** 33, 0, 0, 0, 17, 0, 0, 0, 0, 0, fileno($cgroup)); \
     my $pid = syscall(435, $args, 88); exec(q(/bin/echo), q(e2e-cloned)) if $pid == 0; \
     die if $pid < 0; waitpid($pid, 0)'";

#[test]
fn leaving_a_containers_cgroup_is_an_event() -> Result<()> {
    skip_if!(daemon::obstacle());
    skip_if!(docker::obstacle());
    skip_if!(skip::without(&["perl"]));
    let docker = Dockerd::start()?;
    let tree = Tree::busybox()?;
    tree.program("bin/perl", &paths::program("perl").context("no perl")?)?;
    docker.import_image(IMAGE, &tree)?;
    let programs = Programs::new()?;
    let mut daemon = watch(&programs, RULES, &docker_settings(&docker))?;
    let begin = daemon.mark()?;
    let volume = format!("{}:/host", cgroup::unified()?.display());
    let options = [
        "--runtime",
        LEAN_RUNTIME,
        "--privileged",
        "--volume",
        &volume,
    ];
    let sandbox = Sandbox::start(&docker, "e2e-leaver", &options)?;
    let short = json!(sandbox.id.get(..12));

    // What is no event: starts, `docker exec`, and a container's moves below its own cgroup.
    let own = format!("/host/docker/{}", sandbox.id);
    sandbox.sh(&format!(
        "mkdir {own}/inner; echo $$ > {own}/inner/cgroup.procs; /bin/echo e2e-inner"
    ))?;
    let inner = echo(&mut daemon, "e2e-inner")?;
    assert_fields(&inner, &[("container.name", json!("e2e-leaver"))]);
    let alerts = daemon.alerts_since(begin)?;
    let moved = alerts.iter().find(|alert| is_from(alert, MOVED));
    ensure!(moved.is_none(), "{moved:#?}");

    let mark = daemon.mark()?;
    sandbox.sh("echo $$ > /host/cgroup.procs; /bin/echo e2e-left")?;
    let alert = daemon.wait_for_since(mark, "the move", PATIENCE, |alert| is_from(alert, MOVED))?;
    let expected = [
        ("evt.arg.comm", json!("sh")),
        ("evt.arg.source", short.clone()),
        ("evt.arg.dest", json!("host")),
        ("evt.arg.path", json!("/")),
        ("container.id", short.clone()),
        ("container.name", json!("e2e-leaver")),
    ];
    assert_fields(&alert, &expected);
    // Whatever it does there is still the container's doing.
    let left = echo(&mut daemon, "e2e-left")?;
    assert_fields(&left, &[("container.name", json!("e2e-leaver"))]);

    let mark = daemon.mark()?;
    sandbox.sh(CLONE_INTO)?;
    let alert = daemon.wait_for_since(mark, "the move", PATIENCE, |alert| is_from(alert, MOVED))?;
    let expected = [
        ("evt.arg.comm", json!("perl")),
        ("evt.arg.source", short.clone()),
        ("container.name", json!("e2e-leaver")),
    ];
    assert_fields(&alert, &expected);
    let cloned = echo(&mut daemon, "e2e-cloned")?;
    assert_fields(&cloned, &[("container.name", json!("e2e-leaver"))]);

    host_joins(&mut daemon, &sandbox)
}

/// One that left in time outlives its container, and what it does is still the container's doing,
/// name and all.
#[test]
fn a_process_that_outlives_its_container_keeps_its_name() -> Result<()> {
    skip_if!(daemon::obstacle());
    skip_if!(docker::obstacle());
    let docker = dockerd()?;
    let programs = Programs::new()?;
    let mut daemon = watch(&programs, OUTLIVES, &docker_settings(&docker))?;
    // Without a pid namespace of its own, what kills the container goes by its cgroups: it leaves
    // them in every hierarchy.
    let options = ["--pid", "host", "--volume", "/sys/fs/cgroup:/host"];
    let sandbox = Sandbox::start(&docker, "e2e-outlived", &options)?;
    let stays = "for h in /host/* /host; do echo $$ > $h/cgroup.procs; done 2>/dev/null; \
         while :; do read x < /proc/uptime; usleep 100000; done";
    docker.text(&["exec", "--detach", "e2e-outlived", "sh", "-c", stays])?;
    let reads = |alert: &Value| is_from(alert, "reads on");
    let alert = daemon.wait_for("a read", PATIENCE, reads)?;
    let survivor = Survivor(
        alert["output_fields"]["proc.pid"]
            .as_i64()
            .context("a pid")?,
    );
    let id = sandbox.id.clone();
    drop(sandbox);
    let left = docker.text(&["ps", "--all", "--quiet"])?;
    ensure!(left.is_empty(), "{left}");
    let mark = daemon.mark()?;
    let alert = daemon.wait_for_since(mark, "a late read", PATIENCE, reads)?;
    let expected = [
        ("container.id", json!(id.get(..12))),
        ("container.name", json!("e2e-outlived")),
        ("container.image.repository", json!(REPOSITORY)),
        ("proc.pid", json!(survivor.0)),
    ];
    assert_fields(&alert, &expected);
    Ok(())
}

const OUTLIVES: &str = r"
- rule: reads on
  desc: the case's loop
  condition: evt.type in (open, openat) and fd.name = /proc/uptime and proc.name = sh
  output: read | pid=%proc.pid id=%container.id name=%container.name
  priority: NOTICE
";

/// A process that ends with the case.
struct Survivor(i64);

impl Drop for Survivor {
    fn drop(&mut self) {
        let mut kill = Command::new("kill");
        let _ended = kill.args(["-KILL", &self.0.to_string()]).status();
    }
}

/// A process of the host that hides in a container.
fn host_joins(daemon: &mut Daemon, sandbox: &Sandbox<'_>) -> Result<()> {
    let mark = daemon.mark()?;
    let processes = cgroup::unified()?.join(format!("docker/{}/cgroup.procs", sandbox.id));
    let mut shell = Command::new("sh");
    run(shell.args(["-c", "echo $$ > \"$1\"", "sh"]).arg(processes))?;
    let alert = daemon.wait_for_since(mark, "the move", PATIENCE, |alert| is_from(alert, MOVED))?;
    let expected = [
        ("evt.arg.source", json!("host")),
        ("evt.arg.dest", json!(sandbox.id.get(..12))),
    ];
    assert_fields(&alert, &expected);
    Ok(())
}

fn echo(daemon: &mut Daemon, mark: &str) -> Result<Value> {
    daemon.wait_for(mark, PATIENCE, |alert| {
        is_from(alert, STARTED) && text(&alert["output_fields"], "proc.args") == mark
    })
}

/// Debian 12's kernel, with the unified hierarchy alone and then with one of v1 alone.
#[test]
fn cgroups_of_all_runtimes_are_containers_where_only_v2_or_v1_is() -> Result<()> {
    skip_if!(daemon::obstacle());
    skip_if!(vm::obstacle(vm::DEBIAN_12));
    let tree = Tree::busybox()?;
    tree.program("/bin/monitor-daemon", &paths::daemon()?)?;
    tree.file("/rules/own.yaml", RULES)?;
    let config = "metrics:\n  listen: off\ndocker:\n  socket: /nonexistent\n";
    tree.file("/rules/monitor.yaml", config)?;
    let script = format!(
        "{}\n{ONLY_V1}\n{}",
        acts_below("/sys/fs/cgroup"),
        acts_below("/sys/fs/cgroup/pids")
    );
    let output = vm::run(vm::DEBIAN_12, &tree, &script, BOOT_AND_RUN)?;
    let (v2, v1) = output.text.split_once("== only v1\n").context("v1")?;
    check_guest(v2).context("v2")?;
    check_guest(v1).context("v1")
}

const ONLY_V1: &str = "umount /sys/fs/cgroup; mount -t tmpfs cgroup /sys/fs/cgroup; \
     mkdir /sys/fs/cgroup/pids; mount -t cgroup -o pids cgroup /sys/fs/cgroup/pids || exit 1; \
     rm /tmp/alerts /tmp/log; echo '== only v1'";

/// A script that starts something in each cgroup.
fn acts_below(root: &str) -> String {
    let act = |(number, (path, ..)): (usize, &(&str, &str, &str))| {
        let path = expand(path, number);
        // Writing is the shell's own doing: a move of a host process into a container.
        format!(
            "mkdir -p '{root}{path}'; (cd '{root}{path}'; \
             sh -c 'echo $$ > cgroup.procs; exec /bin/echo e2e-{number}-')\n"
        )
    };
    // A container that runs already, and one that forks and leaves.
    let path = expand(OLDER, 99);
    let older = format!(
        "mkdir -p {root}{path}; sh -c 'echo $$ > {root}{path}/cgroup.procs; \
         until [ -e /tmp/go ]; do usleep 100000; done; rm /tmp/go; \
         echo $$ > {root}/cgroup.procs; /bin/echo e2e-older' &\n\
         until grep -q . {root}{path}/cgroup.procs; do usleep 100000; done"
    );
    let acts: String = CGROUPS.iter().enumerate().map(act).collect();
    let actions = format!(
        "touch /tmp/go\n{acts}while [ -e /tmp/go ]; do usleep 100000; done\nusleep 500000\n/bin/echo e2e-last\n"
    );
    format!(
        "{older}\n{}",
        script("--policy /rules/own.yaml", &actions, "e2e-last")
    )
}

const OLDER: &str = "/docker/{A}";

fn check_guest(output: &str) -> Result<()> {
    let lines = section(output, "alerts")?.lines();
    let alerts: Vec<Value> = lines.map(serde_json::from_str).collect::<Result<_, _>>()?;
    let find = |rule, field: &str, value: &str| {
        let fits =
            |alert: &&Value| is_from(alert, rule) && text(&alert["output_fields"], field) == value;
        alerts.iter().find(fits)
    };
    for (number, (path, id, kind)) in CGROUPS.iter().enumerate() {
        let alert = find(STARTED, "proc.args", &format!("e2e-{number}-")).context(*path)?;
        check(alert, &expand(id, number), kind);
        let moved = find(MOVED, "evt.arg.path", &expand(path, number));
        ensure!(moved.is_some() == (*kind != "host"), "{path}: {moved:?}");
    }
    let older = find(STARTED, "proc.args", "e2e-older").context("the older one")?;
    check(older, &expand("{A}", 99), "docker");
    let left = find(MOVED, "evt.arg.path", "/").context("it left")?;
    assert_fields(left, &[("evt.arg.dest", json!("host"))]);
    Ok(())
}
