//! The `.rpm`: the staged files with RPM's metadata, packed by `rpmbuild`. Metadata and scripts are
//! in `packaging/rpm`.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result};

use super::stage::Stage;
use crate::{shell, workspace};

/// Files that an upgrade leaves as somebody changed them.
const CONFIGURATION: [&str; 2] = ["etc/logrotate.d/monitor-daemon", "etc/monitor/monitor.yaml"];

/// Leaves the package in `folder`.
pub(super) fn pack(stage: &Stage, folder: &Path) -> Result<PathBuf> {
    let version = env!("CARGO_PKG_VERSION");
    let work = folder.join("rpm");
    fs::create_dir_all(&work)?;
    let list = work.join("files");
    fs::write(&list, files(&stage.names()?))?;
    let text = |path: &Path| {
        path.to_str()
            .map(str::to_owned)
            .context("a path is no text")
    };
    let source = workspace::root().join("packaging/rpm/monitor-daemon.spec");
    let spec = fs::read_to_string(source)?
        .replace("@VERSION@", version)
        .replace("@STAGE@", &text(stage.root())?)
        .replace("@FILES@", &text(&list)?);
    let written = work.join("monitor-daemon.spec");
    fs::write(&written, spec)?;
    let (work_text, folder_text) = (text(&work)?, text(folder)?);
    let name = format!("monitor-daemon-{version}-1.x86_64.rpm");
    let mut rpmbuild = Command::new("rpmbuild");
    rpmbuild
        .env("SOURCE_DATE_EPOCH", "0")
        .args(["--quiet", "-bb", "--target=x86_64-linux"]);
    for (macro_name, value) in [
        ("_topdir", work_text.as_str()),
        ("_rpmdir", &folder_text),
        ("_build_name_fmt", &name),
        // No time and name of the building machine.
        ("_buildhost", "localhost"),
        ("use_source_date_epoch_as_buildtime", "1"),
        ("clamp_mtime_to_source_date_epoch", "1"),
        ("_binary_payload", "w7.xzdio"),
        // The files stay as they are.
        ("__os_install_post", "%{nil}"),
        ("debug_package", "%{nil}"),
        ("_build_id_links", "none"),
    ] {
        rpmbuild
            .arg("--define")
            .arg(format!("{macro_name} {value}"));
    }
    shell::run(rpmbuild.arg(&written))?;
    fs::remove_dir_all(&work)?;
    Ok(folder.join(name))
}

/// The package's files and, of the folders, those that are ours.
fn files(names: &[String]) -> String {
    let mut text = String::from("%defattr(-, root, root)\n");
    for name in names {
        let kind = match name.strip_suffix('/') {
            Some(folder) if folder.contains("monitor") => "%dir ",
            Some(_) => continue,
            None if CONFIGURATION.contains(&name.as_str()) => "%config(noreplace) ",
            None => "",
        };
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{kind}/{}", name.trim_end_matches('/'));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_of_the_host_are_not_in_the_package() {
        let names = [
            "etc/",
            "etc/monitor/",
            "etc/monitor/monitor.yaml",
            "usr/bin/x",
        ];
        let text = files(&names.map(str::to_owned));
        let expected = "%defattr(-, root, root)\n%dir /etc/monitor\n\
                        %config(noreplace) /etc/monitor/monitor.yaml\n/usr/bin/x\n";
        assert_eq!(text, expected);
    }
}
