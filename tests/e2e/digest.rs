//! An image that came from a registry carries its digest.

use anyhow::{Context as _, Result, ensure};
use monitor_tests::daemon::is_from;
use monitor_tests::docker::Dockerd;
use monitor_tests::registry::{self, Registry};
use monitor_tests::tree::Tree;
use monitor_tests::{daemon, docker, skip_if};
use serde_json::json;

use crate::actions::Programs;
use crate::world::{PATIENCE, assert_fields, docker_settings, watch};

const RULE: &str = "needle";

const RULES: &str = r"
- rule: needle
  desc: the container's first program
  condition: evt.type in (execve, execveat) and container.id != host and proc.args = first-exec
  output: >
    id=%container.id name=%container.name repository=%container.image.repository
    tag=%container.image.tag digest=%container.image.digest reference=%container.image
  priority: NOTICE
";

#[test]
fn a_pulled_image_has_its_digest_at_the_first_exec() -> Result<()> {
    skip_if!(daemon::obstacle());
    skip_if!(docker::obstacle());
    skip_if!(registry::obstacle());
    let registry = Registry::start()?;
    let docker = Dockerd::start()?;
    let repository = format!("{}/team/box", registry.host());
    let image = format!("{repository}:v1");
    pull(&docker, &image)?;
    let digest = digest(&docker, &image, &repository)?;

    let programs = Programs::new()?;
    let mut daemon = watch(&programs, RULES, &docker_settings(&docker))?;
    let run = ["run", "-d", "--network", "none", "--name", "e2e-digest"];
    let id = docker.text(&[&run[..], &[&image, "echo", "first-exec"]].concat())?;
    let alert = daemon.wait_for("the alert", PATIENCE, |alert| is_from(alert, RULE))?;
    assert_fields(
        &alert,
        &[
            ("container.id", json!(id.get(..12))),
            ("container.name", json!("e2e-digest")),
            ("container.image", json!(image)),
            ("container.image.repository", json!(repository)),
            ("container.image.tag", json!("v1")),
            ("container.image.digest", json!(digest)),
        ],
    );

    // Pinned by digest, the same image has the same digest.
    let pinned = format!("{repository}@{digest}");
    let mark = daemon.mark()?;
    docker.text(&[
        "run",
        "--rm",
        "--network",
        "none",
        &pinned,
        "echo",
        "first-exec",
    ])?;
    let alert = daemon.wait_for_since(mark, "the alert", PATIENCE, |alert| is_from(alert, RULE))?;
    assert_fields(
        &alert,
        &[
            ("container.image.repository", json!(repository)),
            ("container.image.digest", json!(digest)),
        ],
    );
    Ok(())
}

/// Brings the image into the registry, forgets it, and pulls it.
fn pull(docker: &Dockerd, image: &str) -> Result<()> {
    docker.import_image(image, &Tree::busybox()?)?;
    docker.text(&["push", image])?;
    docker.text(&["rmi", image])?;
    ensure!(
        docker.text(&["images", "--quiet"])?.is_empty(),
        "no image is left"
    );
    docker.text(&["pull", image]).map(drop)
}

/// The digest as docker tells it.
fn digest(docker: &Dockerd, image: &str, repository: &str) -> Result<String> {
    let digests = "{{range .RepoDigests}}{{.}} {{end}}";
    let digests = docker.text(&["image", "inspect", "--format", digests, image])?;
    let digest = digests.strip_prefix(&format!("{repository}@"));
    Ok(digest.with_context(|| digests.clone())?.to_owned())
}
