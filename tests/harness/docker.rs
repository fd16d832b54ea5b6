//! The private dockerd.

use std::fs;

use anyhow::Result;
use monitor_tests::docker::{self, Dockerd};
use monitor_tests::skip_if;
use monitor_tests::tree::Tree;

#[test]
fn runs_containers_and_leaves_nothing() -> Result<()> {
    skip_if!(docker::obstacle());
    let dockerd = Dockerd::start()?;
    let folder = dockerd.socket().parent().unwrap().to_owned();
    let tree = Tree::busybox()?;
    tree.script("/hello", "#!/bin/sh\necho hello from $(id -un)\n")?;
    let id = dockerd.import_image("example/busybox:1", &tree)?;
    assert!(id.starts_with("sha256:"), "{id}");
    assert_eq!(
        dockerd.text(&["run", "--rm", "example/busybox:1", "/hello"])?,
        "hello from root"
    );
    assert_eq!(
        dockerd.text(&["info", "--format", "{{.Driver}}"])?,
        "overlay2"
    );

    // One that still runs must not outlive it.
    let container = dockerd.text(&["run", "--detach", "example/busybox:1", "sleep", "1000"])?;
    drop(dockerd);
    assert!(!folder.exists());
    let mounts = fs::read_to_string("/proc/self/mounts")?;
    assert!(!mounts.contains(folder.to_str().unwrap()), "{mounts}");
    for process in fs::read_dir("/proc")? {
        let line = fs::read(process?.path().join("cmdline")).unwrap_or_default();
        let line = String::from_utf8_lossy(&line);
        assert!(
            !line.contains(folder.to_str().unwrap()) && !line.contains(&container),
            "{line}"
        );
    }
    Ok(())
}

#[test]
fn comes_back_with_its_images() -> Result<()> {
    skip_if!(docker::obstacle());
    let mut dockerd = Dockerd::start()?;
    dockerd.import_image("example/busybox:1", &Tree::busybox()?)?;
    dockerd.restart()?;
    assert_eq!(
        dockerd.text(&["run", "--rm", "example/busybox:1", "echo", "again"])?,
        "again"
    );
    Ok(())
}
