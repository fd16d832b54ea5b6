//! Calls that are told by their registers and sockets: dups, module loads, messages, and what
//! is done to names.

use anyhow::{Context as _, Result, ensure};
use monitor_tests::docker::Dockerd;
use monitor_tests::tree::Tree;
use monitor_tests::{daemon, docker, paths, skip_if, vm};
use serde_json::{Value, json};

use crate::guest::{BOOT_AND_RUN, ended_well, script, section};
use crate::world::{World, assert_fields, text};

const IMAGE: &str = "registry.example/team/calls:v1";

/// What every alert of these containers carries.
fn is_in(alert: &Value, name: &str) {
    let fields = [
        ("container.name", json!(name)),
        (
            "container.image.repository",
            json!("registry.example/team/calls"),
        ),
        ("container.image.tag", json!("v1")),
    ];
    assert_fields(alert, &fields);
}

/// Runs a script in a container of its own, which may fail.
fn sh(docker: &Dockerd, name: &str, options: &[&str], script: &str) -> Result<()> {
    let mut arguments = vec!["run", "--rm", "--network", "none", "--name", name];
    arguments.extend(options);
    let script = format!("{script}; true");
    arguments.extend([IMAGE, "sh", "-c", &script]);
    docker.cli(&arguments).map(drop)
}

#[test]
fn stable_rules_on_calls_in_containers() -> Result<()> {
    skip_if!(daemon::obstacle());
    skip_if!(docker::obstacle());
    let docker = Dockerd::start()?;
    docker.import_image(IMAGE, &Tree::busybox()?)?;
    let mut world = World::start(Some(&docker))?;
    reverse_shell(&mut world, &docker)?;
    module(&mut world, &docker)
}

fn reverse_shell(world: &mut World, docker: &Dockerd) -> Result<()> {
    let rule = "Redirect STDOUT/STDIN to Network Connection in Container";
    let name = "e2e-reverse";
    let script = "/bin/nc -l -p 4444 >/dev/null </dev/null & tries=0; \
                  until /bin/nc 127.0.0.1 4444 -e /bin/true || [ $tries -gt 100 ]; \
                  do tries=$((tries + 1)); usleep 50000; done";
    sh(docker, name, &[], script)?;
    let alert = world.expect(rule, |fields| {
        text(fields, "container.name") == name && fields["fd.rport"] == json!(4444)
    })?;
    is_in(&alert, name);
    let fields = [
        ("proc.name", json!("nc")),
        ("fd.sip", json!("127.0.0.1")),
        ("fd.type", json!("ipv4")),
        ("fd.l4proto", json!("tcp")),
    ];
    assert_fields(&alert, &fields);
    let call = text(&alert["output_fields"], "evt.type");
    ensure!(["dup", "dup2", "dup3"].contains(&call), "{alert}");
    // The same with a file for the socket.
    let innocent = "/bin/true >/tmp/out 2>&1 </dev/null";
    world.expect_quiet(rule, |_| sh(docker, "e2e-redirect", &[], innocent))
}

fn module(world: &mut World, docker: &Dockerd) -> Result<()> {
    let rule = "Linux Kernel Module Injection Detected";
    let name = "e2e-module";
    let script = "echo no module >/tmp/x.ko; /bin/insmod /tmp/x.ko";
    sh(docker, name, &["--cap-add", "SYS_MODULE"], script)?;
    let alert = world.expect(rule, |fields| text(fields, "container.name") == name)?;
    is_in(&alert, name);
    let fields = [
        ("proc.name", json!("insmod")),
        ("proc.args", json!("/tmp/x.ko")),
    ];
    assert_fields(&alert, &fields);
    ensure!(
        text(&alert["output_fields"], "evt.res") != "SUCCESS",
        "{alert}"
    );
    world.expect_quiet(rule, |_| sh(docker, "e2e-no-module", &[], script))
}

/// Rules for what the guest's script does, where no container is.
const GUEST_RULES: &str = r"
- rule: dup
  desc: a socket becomes a standard stream
  condition: evt.type in (dup, dup2, dup3) and evt.rawres in (0, 1, 2) and fd.type = ipv4
  output: dup | name=%fd.name rport=%fd.rport proto=%fd.l4proto
  priority: NOTICE
- rule: moved
  desc: a file gets another name
  condition: evt.type in (rename, renameat, renameat2) and evt.arg.newpath = /tmp/new
  output: moved | old=%evt.arg.oldpath res=%evt.res
  priority: NOTICE
- rule: setuid bit
  desc: a file becomes setuid
  condition: evt.type in (chmod, fchmod, fchmodat) and evt.arg.mode contains S_ISUID
  output: setuid bit | file=%evt.arg.filename
  priority: NOTICE
- rule: module
  desc: a module is loaded
  condition: evt.type in (init_module, finit_module)
  output: module | type=%evt.type args=%proc.args res=%evt.res
  priority: NOTICE
- rule: message
  desc: a message is sent to an address
  condition: >
    evt.type in (sendto, sendmsg) and fd.l4proto = udp and fd.connected = false
    and fd.name_changed = true and fd.sport = 53
  output: message | name=%fd.name sip=%fd.sip res=%evt.rawres
  priority: NOTICE
";

const GUEST_ACTIONS: &str = r"
/bin/nc -l -p 4444 >/dev/null </dev/null &
tries=0
until /bin/nc 127.0.0.1 4444 -e /bin/true || [ $tries -gt 100 ]; do
    tries=$((tries + 1)); usleep 50000
done
timeout 1 /bin/tftp -g -r x -l /dev/null 127.0.0.1 53
echo x >/tmp/old; /bin/mv /tmp/old /tmp/new; /bin/chmod 4755 /tmp/new
echo no module >/tmp/x.ko; /bin/insmod /tmp/x.ko
";

#[test]
fn the_object_tier_sees_calls() -> Result<()> {
    skip_if!(daemon::obstacle());
    skip_if!(vm::obstacle(vm::DEBIAN_12));
    let tree = Tree::busybox()?;
    tree.program("/bin/monitor-daemon", &paths::daemon()?)?;
    tree.file("/rules/own.yaml", GUEST_RULES)?.file(
        "/rules/monitor.yaml",
        "rule_matching: all\nmetrics:\n  listen: off\n",
    )?;
    let script = script(
        "--policy /rules/own.yaml",
        GUEST_ACTIONS,
        r#""rule":"module""#,
    );
    let output = vm::run(vm::DEBIAN_12, &tree, &script, BOOT_AND_RUN)?;
    let text = &output.text;
    ended_well(text)?;
    let alert = guest_alert(text, "dup", |fields| fields["fd.rport"] == json!(4444))?;
    assert_fields(&alert, &[("fd.l4proto", json!("tcp"))]);
    guest_alert(text, "module", |fields| fields["proc.args"] == "/tmp/x.ko")?;
    guest_alert(text, "message", |fields| fields["fd.sip"] == "127.0.0.1")?;
    guest_alert(text, "moved", |fields| {
        fields["evt.arg.oldpath"] == "/tmp/old"
    })?;
    guest_alert(text, "setuid bit", |fields| {
        fields["evt.arg.filename"] == "/tmp/new"
    })?;
    let report: Value = serde_json::from_str(section(text, "doctor")?)?;
    let kinds = report["coverage"].as_array().context("no coverage")?;
    for (name, tier) in [
        ("dup", "object"),
        ("module", "object"),
        ("send", "object"),
        ("remove", "object"),
        ("rename", "object"),
        ("mode", "object"),
        ("mkdir", "object"),
        ("call", "object"),
        ("control", "object"),
        ("identity", "syscall"),
        ("namespace", "syscall"),
        ("memfd", "syscall"),
    ] {
        let kind = kinds
            .iter()
            .find(|kind| kind["kind"] == name)
            .context(name)?;
        ensure!(kind["tier"] == tier, "{kind:#}");
    }
    Ok(())
}

fn guest_alert(text: &str, rule: &str, fits: impl Fn(&Value) -> bool) -> Result<Value> {
    let mut alerts = Vec::new();
    for line in section(text, "alerts")?.lines() {
        let alert: Value = serde_json::from_str(line).with_context(|| line.to_owned())?;
        if daemon::is_from(&alert, rule) && fits(&alert["output_fields"]) {
            return Ok(alert);
        }
        alerts.push(alert);
    }
    Err(anyhow::anyhow!(
        "no fitting alert of `{rule}` in {alerts:#?}"
    ))
}
