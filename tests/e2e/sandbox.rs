//! Containers that sleep until a case acts in them.

use anyhow::Result;
use monitor_tests::docker::Dockerd;
use monitor_tests::tree::Tree;
use serde_json::{Value, json};

use crate::world::assert_fields;

pub(crate) const IMAGE: &str = "registry.example/team/box:v1";
pub(crate) const REPOSITORY: &str = "registry.example/team/box";

/// A dockerd with one image.
pub(crate) fn dockerd() -> Result<Dockerd> {
    let docker = Dockerd::start()?;
    docker.import_image(IMAGE, &Tree::busybox()?)?;
    Ok(docker)
}

/// What every alert of a container carries.
#[track_caller]
pub(crate) fn is_in(alert: &Value, name: &str, id: &str) {
    let fields = [
        ("container.id", json!(id.get(..12))),
        ("container.name", json!(name)),
        ("container.image.repository", json!(REPOSITORY)),
        ("container.image.tag", json!("v1")),
        ("user.name", json!("root")),
    ];
    assert_fields(alert, &fields);
}

pub(crate) struct Sandbox<'d> {
    docker: &'d Dockerd,
    pub(crate) name: String,
    pub(crate) id: String,
}

impl<'d> Sandbox<'d> {
    /// A container that sleeps until it is removed.
    pub(crate) fn start(docker: &'d Dockerd, name: &str, options: &[&str]) -> Result<Self> {
        Self::run(docker, name, options, &["sleep", "600"])
    }

    /// A container that runs `command` until it is removed.
    pub(crate) fn run(
        docker: &'d Dockerd,
        name: &str,
        options: &[&str],
        command: &[&str],
    ) -> Result<Self> {
        let mut arguments = vec!["run", "-d", "--network", "none", "--name", name];
        arguments.extend(options);
        arguments.push(IMAGE);
        arguments.extend(command);
        let id = docker.text(&arguments)?;
        Ok(Self {
            docker,
            name: name.to_owned(),
            id,
        })
    }

    /// Runs a shell script in it, whatever its status.
    pub(crate) fn sh(&self, script: &str) -> Result<()> {
        self.docker
            .cli(&["exec", &self.name, "sh", "-c", script])
            .map(drop)
    }
}

impl Drop for Sandbox<'_> {
    fn drop(&mut self) {
        // The dockerd's own end removes what this leaves.
        let _removed = self.docker.cli(&["rm", "-f", &self.name]);
    }
}
