//! The archive that `cargo xtask dist` leaves, unpacked into an empty root: all is there, and the
//! program needs nothing from outside.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use monitor_tests::{paths, skip, skip_if};

use crate::actions::{run, succeed};

const FILES: [&str; 18] = [
    "etc/logrotate.d/monitor-daemon",
    "etc/monitor/monitor.yaml",
    "usr/bin/monitor-daemon",
    "usr/lib/systemd/system/monitor-daemon.service",
    "usr/lib/sysusers.d/monitor-daemon.conf",
    "usr/share/bash-completion/completions/monitor-daemon",
    "usr/share/doc/monitor-daemon/INSTALL.md",
    "usr/share/doc/monitor-daemon/LICENSE",
    "usr/share/doc/monitor-daemon/THIRD-PARTY.txt",
    "usr/share/doc/monitor-daemon/fleet.md",
    "usr/share/fish/vendor_completions.d/monitor-daemon.fish",
    "usr/share/man/man1/monitor-daemon.1.gz",
    "usr/share/monitor-daemon/fleet/monitor-policies",
    "usr/share/monitor-daemon/fleet/monitor-policies.timer",
    "usr/share/monitor-daemon/grafana/monitor-daemon.json",
    "usr/share/monitor-daemon/policies/execution.yaml",
    "usr/share/monitor-daemon/prometheus/monitor-daemon.rules.yaml",
    "usr/share/zsh/site-functions/_monitor-daemon",
];

const PROGRAMS: [&str; 2] = [
    "usr/bin/monitor-daemon",
    "usr/share/monitor-daemon/fleet/monitor-policies",
];

fn obstacle() -> Option<String> {
    let missing = || paths::archive().err().map(|error| error.to_string());
    skip::not_root().or_else(missing)
}

fn unpacked() -> Result<tempfile::TempDir> {
    let root = tempfile::Builder::new().prefix("root-").tempdir()?;
    let mut tar = Command::new("tar");
    tar.arg("-C")
        .arg(root.path())
        .arg("-xzf")
        .arg(paths::archive()?);
    succeed(&mut tar)?;
    Ok(root)
}

/// The program below `root`, run with that as its root.
fn inside(root: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new("chroot");
    command
        .arg(root)
        .arg("/usr/bin/monitor-daemon")
        .args(arguments);
    command
}

#[test]
fn the_archive_holds_what_a_host_needs() -> Result<()> {
    skip_if!(obstacle());
    let root = unpacked()?;
    for name in FILES {
        let file = fs::metadata(root.path().join(name)).context(name)?;
        ensure!(file.is_file() && file.len() > 0, "{name} is empty");
        ensure!((file.uid(), file.gid()) == (0, 0), "{name} is not root's");
        let mode = if PROGRAMS.contains(&name) {
            0o755
        } else {
            0o644
        };
        ensure!(
            file.permissions().mode() & 0o7777 == mode,
            "{name}: {file:?}"
        );
    }
    Ok(())
}

#[test]
fn unpacking_changes_no_folder_of_the_host() -> Result<()> {
    skip_if!(obstacle());
    let mut list = Command::new("tar");
    list.arg("-tzf").arg(paths::archive()?);
    let list = String::from_utf8(succeed(&mut list)?.stdout)?;
    let foreign: Vec<&str> = list
        .lines()
        .filter(|name| name.ends_with('/') && !name.contains("monitor"))
        .collect();
    ensure!(foreign.is_empty(), "{foreign:?}");
    ensure!(list.lines().is_sorted(), "{list}");
    Ok(())
}

#[test]
fn the_checksum_is_that_of_the_archive() -> Result<()> {
    skip_if!(obstacle());
    let archive = paths::archive()?;
    let folder = archive.parent().context("the archive has no folder")?;
    let mut sum = archive.clone().into_os_string();
    sum.push(".sha256");
    let mut check = Command::new("sha256sum");
    succeed(check.arg("--check").arg(sum).current_dir(folder))?;
    Ok(())
}

#[test]
fn the_program_runs_where_nothing_else_is() -> Result<()> {
    skip_if!(obstacle());
    let root = unpacked()?;
    let version = succeed(&mut inside(root.path(), &["--version"]))?;
    let expected = format!("monitor-daemon {}\n", env!("CARGO_PKG_VERSION"));
    ensure!(version.stdout == expected.as_bytes(), "{version:?}");
    // The shipped configuration and policies are right.
    let config = succeed(&mut inside(root.path(), &["config"]))?;
    let config = String::from_utf8(config.stdout)?;
    ensure!(config.contains("stdout: json"), "{config}");
    let policies = root.path().join("usr/share/monitor-daemon/policies");
    let names: Vec<String> = fs::read_dir(policies)?
        .map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()))
        .collect::<Result<_>>()?;
    let paths: Vec<String> = names
        .iter()
        .map(|name| format!("/usr/share/monitor-daemon/policies/{name}"))
        .collect();
    let check = [
        &["check"][..],
        &paths.iter().map(String::as_str).collect::<Vec<_>>(),
    ]
    .concat();
    succeed(&mut inside(root.path(), &check))?;
    // It has no /proc there, and says so; it does not crash.
    let doctor = run(&mut inside(root.path(), &["doctor"]))?;
    ensure!(doctor.status.code() == Some(3), "{doctor:?}");
    Ok(())
}

#[test]
fn every_command_has_its_manual_and_its_completions() -> Result<()> {
    skip_if!(obstacle());
    let root = unpacked()?;
    let help = succeed(&mut inside(root.path(), &["--help"]))?;
    let help = String::from_utf8(help.stdout)?;
    let commands = help
        .lines()
        .skip_while(|line| *line != "Commands:")
        .skip(1)
        .take_while(|line| !line.is_empty())
        .filter_map(|line| line.split_whitespace().next());
    let commands: BTreeSet<&str> = commands.filter(|name| *name != "help").collect();
    ensure!(
        commands.contains("run") && commands.contains("top"),
        "{help}"
    );
    let share = root.path().join("usr/share");
    let completions = [
        "bash-completion/completions/monitor-daemon",
        "zsh/site-functions/_monitor-daemon",
        "fish/vendor_completions.d/monitor-daemon.fish",
    ];
    for name in commands {
        let page = share.join(format!("man/man1/monitor-daemon-{name}.1.gz"));
        ensure!(page.is_file(), "no manual page of `{name}`");
        for file in completions {
            let script = fs::read_to_string(share.join(file))?;
            ensure!(script.contains(name), "{file} does not know `{name}`");
        }
    }
    Ok(())
}
