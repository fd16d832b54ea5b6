//! The `.deb`: the staged files with Debian's metadata, packed by `dpkg-deb`. Metadata and scripts
//! are in `packaging/debian`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result};

use super::stage::Stage;
use crate::{shell, workspace};

/// Files that an upgrade leaves as somebody changed them.
const CONFFILES: &str = "/etc/logrotate.d/monitor-daemon\n/etc/monitor/monitor.yaml\n";
const SCRIPTS: [&str; 3] = ["postinst", "prerm", "postrm"];

/// Leaves the package in `folder`; adds to the stage what only a package has.
pub(super) fn pack(stage: &Stage, folder: &Path) -> Result<PathBuf> {
    let source = workspace::root().join("packaging/debian");
    stage.copy(
        &format!("{}/copyright", super::DOCUMENTS),
        &source.join("copyright"),
    )?;
    let names = stage.names()?;
    let files: Vec<&String> = names.iter().filter(|name| !name.ends_with('/')).collect();
    let mut bytes = 0;
    for name in &files {
        bytes += fs::metadata(stage.root().join(name))?.len();
    }
    let mut sums = Command::new("md5sum");
    let sums = shell::query(sums.args(&files).current_dir(stage.root()))?;
    let sums = sums.context("`md5sum` failed")?;
    let version = env!("CARGO_PKG_VERSION");
    let control = fs::read_to_string(source.join("control"))?
        .replace("@VERSION@", version)
        .replace("@KILOBYTES@", &bytes.div_ceil(1024).to_string());
    stage
        .file("DEBIAN/control", control.as_bytes())?
        .file("DEBIAN/conffiles", CONFFILES.as_bytes())?
        .file("DEBIAN/md5sums", sums.as_bytes())?;
    for name in SCRIPTS {
        stage.program(&format!("DEBIAN/{name}"), &source.join(name))?;
    }
    let package = folder.join(format!("monitor-daemon_{version}_amd64.deb"));
    let mut dpkg = Command::new("dpkg-deb");
    // No time of the building machine.
    dpkg.env("SOURCE_DATE_EPOCH", "0")
        .args(["--root-owner-group", "-Zxz", "--build"])
        .arg(stage.root())
        .arg(&package);
    shell::run(&mut dpkg)?;
    Ok(package)
}
