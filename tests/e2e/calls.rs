//! Calls that are told by their registers and sockets: dups and module loads.

use anyhow::{Result, ensure};
use monitor_tests::docker::Dockerd;
use monitor_tests::tree::Tree;
use monitor_tests::{daemon, docker, skip_if};
use serde_json::{Value, json};

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
