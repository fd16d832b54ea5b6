//! The RPM package, installed by `rpm` into a root of its own: all is there, an upgrade keeps what
//! somebody changed, and its end leaves the alert log alone.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use monitor_tests::tree::Tree;
use monitor_tests::{paths, skip, skip_if};

use crate::actions::succeed;

fn obstacle() -> Option<String> {
    let missing = || paths::rpm_package().err().map(|error| error.to_string());
    skip::not_root()
        .or_else(|| skip::without(&["rpm", "rpmbuild", "busybox", "systemd-sysusers"]))
        .or_else(missing)
}

fn text(command: &mut Command) -> Result<String> {
    Ok(String::from_utf8(succeed(command)?.stdout)?)
}

/// A small host.
struct Root(Tree);

impl Root {
    fn path(&self, name: &str) -> PathBuf {
        self.0.root().join(name)
    }

    fn rpm(&self, action: &str, what: &Path) -> Result<()> {
        let mut rpm = Command::new("rpm");
        rpm.arg("--root").arg(self.0.root());
        // Its database is elsewhere on Debian, and no other package is there.
        rpm.args(["--dbpath", "/var/lib/rpm", "--nodeps", action])
            .arg(what);
        let output = succeed(&mut rpm)?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(
            !said.contains("error") && !said.contains("scriptlet"),
            "rpm {action}: {said}"
        );
        Ok(())
    }

    /// Has a `systemctl` that writes down what it is asked, as no systemd runs here.
    fn with_systemctl() -> Result<Self> {
        let root = Self(Tree::busybox()?);
        root.0
            .script("/usr/bin/systemctl", "#!/bin/sh\necho \"$@\" >>/asked\n")?;
        Ok(root)
    }

    /// What it was asked since the last time.
    fn asked(&self) -> Result<Vec<String>> {
        let asked = fs::read_to_string(self.path("asked"))?;
        fs::remove_file(self.path("asked"))?;
        Ok(asked.lines().map(str::to_owned).collect())
    }
}

#[test]
fn the_package_holds_what_the_archive_does() -> Result<()> {
    skip_if!(obstacle());
    let package = paths::rpm_package()?;
    let query = |format: &str| {
        text(
            Command::new("rpm")
                .args(["-qp", "--queryformat", format])
                .arg(&package),
        )
    };
    let inside = query("[%{FILENAMES}\t%{FILEFLAGS:fflags}\t%{FILEUSERNAME}:%{FILEGROUPNAME}\n]")?;
    let rows: Vec<Vec<&str>> = inside
        .lines()
        .map(|line| line.split('\t').collect())
        .collect();
    let archive = text(Command::new("tar").arg("-tzf").arg(paths::archive()?))?;
    let expected: BTreeSet<&str> = archive
        .lines()
        .map(|name| name.trim_end_matches('/'))
        .collect();
    let found: BTreeSet<&str> = rows
        .iter()
        .map(|row| row[0].trim_start_matches('/'))
        .collect();
    let difference: Vec<_> = found.symmetric_difference(&expected).collect();
    ensure!(difference.is_empty(), "{difference:?}");
    ensure!(rows.iter().all(|row| row[2] == "root:root"), "{inside}");
    let kept: Vec<&str> = rows
        .iter()
        .filter(|row| row[1] == "cn")
        .map(|row| row[0])
        .collect();
    ensure!(
        kept == [
            "/etc/logrotate.d/monitor-daemon",
            "/etc/monitor/monitor.yaml"
        ],
        "{kept:?}"
    );
    ensure!(
        query("%{VERSION} %{ARCH} %{BUILDHOST}")?
            == concat!(env!("CARGO_PKG_VERSION"), " x86_64 localhost")
    );
    let checked = text(Command::new("rpm").arg("--checksig").arg(&package))?;
    ensure!(checked.trim_end().ends_with("digests OK"), "{checked}");
    Ok(())
}

#[test]
fn an_upgrade_keeps_changes_and_the_end_keeps_the_alert_log() -> Result<()> {
    skip_if!(obstacle());
    let root = Root(Tree::busybox()?);
    let sysusers = paths::program("systemd-sysusers").context("systemd-sysusers is missing")?;
    root.0.program("/usr/bin/systemd-sysusers", &sysusers)?;
    root.rpm("--install", &paths::rpm_package()?)?;
    let mut version = Command::new("chroot");
    version
        .arg(root.0.root())
        .args(["/usr/bin/monitor-daemon", "--version"]);
    ensure!(text(&mut version)?.starts_with("monitor-daemon "));
    let users = fs::read_to_string(root.path("etc/passwd"))?;
    ensure!(users.contains("\nmonitor-daemon:"), "{users}");

    let (changed, own) = (
        root.path("etc/monitor/monitor.yaml"),
        root.path("etc/monitor/conf.d/own.yaml"),
    );
    fs::write(&changed, "hostname: changed\n")?;
    fs::write(&own, "protect: true\n")?;
    fs::create_dir_all(root.path("var/lib/monitor"))?;
    fs::write(root.path("var/lib/monitor/alerts.db"), "x")?;
    let temporary = tempfile::tempdir()?;
    root.rpm("--upgrade", &newer(temporary.path())?)?;
    ensure!(fs::read_to_string(&changed)? == "hostname: changed\n");
    ensure!(root.path("etc/monitor/monitor.yaml.rpmnew").exists());
    ensure!(fs::read_to_string(&own)? == "protect: true\n");
    ensure!(
        !root.path("usr/bin/monitor-daemon").exists(),
        "the old version's files have gone"
    );

    root.rpm("--erase", Path::new("monitor-daemon"))?;
    ensure!(root.path("var/lib/monitor/alerts.db").exists());
    ensure!(own.exists(), "what somebody wrote stays");
    ensure!(root.path("etc/monitor/monitor.yaml.rpmsave").exists());
    Ok(())
}

#[test]
fn systemd_is_told_what_becomes_of_the_service() -> Result<()> {
    skip_if!(obstacle());
    let temporary = tempfile::tempdir()?;
    let root = Root::with_systemctl()?;
    root.rpm("--install", &paths::rpm_package()?)?;
    let asked = root.asked()?;
    ensure!(
        asked == ["daemon-reload", "--no-reload preset monitor-daemon.service"],
        "an installation: {asked:?}"
    );
    root.rpm("--upgrade", &newer(temporary.path())?)?;
    let asked = root.asked()?;
    ensure!(
        asked == ["daemon-reload", "try-restart monitor-daemon.service"],
        "an upgrade: {asked:?}"
    );

    let root = Root::with_systemctl()?;
    root.rpm("--install", &paths::rpm_package()?)?;
    root.asked()?;
    root.rpm("--erase", Path::new("monitor-daemon"))?;
    let asked = root.asked()?;
    ensure!(
        asked
            == [
                "--no-reload disable --now monitor-daemon.service",
                "daemon-reload"
            ],
        "the end: {asked:?}"
    );
    Ok(())
}

/// A higher version that has another configuration and nothing else.
fn newer(folder: &Path) -> Result<PathBuf> {
    let spec = folder.join("newer.spec");
    fs::write(
        &spec,
        "Name: monitor-daemon\nVersion: 99\nRelease: 1\nSummary: x\nLicense: x\n\
         %description\nx\n\
         %install\nmkdir -p %{buildroot}/etc/monitor\necho >%{buildroot}/etc/monitor/monitor.yaml\n\
         %files\n%config(noreplace) /etc/monitor/monitor.yaml\n",
    )?;
    built(&spec, folder, &[])
}

/// The package that `rpmbuild` makes by a spec, in a folder, with more definitions.
pub(crate) fn built(spec: &Path, folder: &Path, more: &[(&str, &str)]) -> Result<PathBuf> {
    let name = "newer.rpm";
    let mut rpmbuild = Command::new("rpmbuild");
    rpmbuild.args(["--quiet", "-bb", "--target=x86_64-linux"]);
    let place = folder.display().to_string();
    let own = [
        ("_topdir", place.as_str()),
        ("_rpmdir", &place),
        ("_build_name_fmt", name),
    ];
    for (key, value) in own.iter().chain(more) {
        rpmbuild.arg("--define").arg(format!("{key} {value}"));
    }
    succeed(rpmbuild.arg(spec))?;
    Ok(folder.join(name))
}
