//! The Debian package, installed by `dpkg` into a root of its own: all is there, an upgrade keeps
//! what somebody changed, and a purge leaves the alert log alone.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use monitor_tests::tree::Tree;
use monitor_tests::{paths, skip, skip_if};

use crate::actions::{run, succeed};

fn obstacle() -> Option<String> {
    let missing = || paths::debian_package().err().map(|error| error.to_string());
    skip::not_root()
        .or_else(|| skip::without(&["dpkg", "dpkg-deb", "busybox", "systemd-sysusers"]))
        .or_else(missing)
}

fn text(command: &mut Command) -> Result<String> {
    Ok(String::from_utf8(succeed(command)?.stdout)?)
}

/// Names of the files in an archive that `tar` lists, without the leading `./`.
fn files(listed: &str) -> BTreeSet<String> {
    let names = listed.lines().map(|name| name.trim_start_matches("./"));
    let files = names.filter(|name| !name.is_empty() && !name.ends_with('/'));
    files.map(str::to_owned).collect()
}

#[test]
fn the_package_holds_what_the_archive_does() -> Result<()> {
    skip_if!(obstacle());
    let package = paths::debian_package()?;
    let inside = text(
        Command::new("sh")
            .args(["-c", "dpkg-deb --fsys-tarfile \"$1\" | tar -t", "sh"])
            .arg(&package),
    )?;
    let archive = text(Command::new("tar").arg("-tzf").arg(paths::archive()?))?;
    let mut expected = files(&archive);
    expected.insert("usr/share/doc/monitor-daemon/copyright".to_owned());
    let found = files(&inside);
    let difference: Vec<_> = found.symmetric_difference(&expected).collect();
    ensure!(difference.is_empty(), "{difference:?}");
    let listed = text(Command::new("dpkg-deb").arg("--contents").arg(&package))?;
    let foreign: Vec<&str> = listed
        .lines()
        .filter(|line| line.split_whitespace().nth(1) != Some("root/root"))
        .collect();
    ensure!(foreign.is_empty(), "{foreign:#?}");
    let field = |name| {
        text(
            Command::new("dpkg-deb")
                .arg("--field")
                .arg(&package)
                .arg(name),
        )
    };
    ensure!(field("Version")?.trim() == env!("CARGO_PKG_VERSION"));
    ensure!(field("Depends")?.trim().is_empty(), "the program is static");
    let bytes: u64 = field("Installed-Size")?.trim().parse()?;
    ensure!(bytes > 1000, "{bytes} KiB");
    Ok(())
}

/// A small Debian.
struct Root {
    tree: Tree,
}

impl Root {
    fn new() -> Result<Self> {
        let tree = Tree::busybox()?;
        for folder in ["info", "updates", "triggers", "parts"] {
            tree.folder(&format!("var/lib/dpkg/{folder}"))?;
        }
        tree.file("var/lib/dpkg/status", "")?;
        tree.file("var/lib/dpkg/available", "")?;
        let sysusers = paths::program("systemd-sysusers").context("systemd-sysusers is missing")?;
        tree.program("usr/bin/systemd-sysusers", &sysusers)?;
        Ok(Self { tree })
    }

    fn path(&self, name: &str) -> PathBuf {
        self.tree.root().join(name)
    }

    fn dpkg(&self, action: &str, what: &Path) -> Result<()> {
        let mut dpkg = Command::new("dpkg");
        dpkg.arg(format!("--root={}", self.tree.root().display()));
        // No other package is there, and nobody answers questions.
        dpkg.args(["--force-depends", "--force-bad-path", action])
            .arg(what)
            .env("DEBIAN_FRONTEND", "noninteractive");
        let output = run(&mut dpkg)?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "dpkg {action}: {said}");
        Ok(())
    }

    /// The line of the service's user, if there is one.
    fn user(&self) -> Result<Option<String>> {
        let users = fs::read_to_string(self.path("etc/passwd"))?;
        let mut lines = users.lines();
        let line = lines.find(|line| line.starts_with("monitor-daemon:"));
        Ok(line.map(str::to_owned))
    }

    /// Files below folders that are the daemon's, and all others with its name.
    fn left(&self) -> Result<BTreeSet<String>> {
        let mut find = Command::new("find");
        find.current_dir(self.tree.root());
        find.args([".", "-path", "./var/lib/dpkg", "-prune", "-o"]);
        find.args(["-path", "*monitor*", "-not", "-type", "d", "-print"]);
        Ok(files(&text(&mut find)?))
    }
}

/// The same package with a higher version.
pub(crate) fn newer(folder: &Path) -> Result<PathBuf> {
    let (inside, package) = (folder.join("inside"), folder.join("newer.deb"));
    let mut unpack = Command::new("dpkg-deb");
    succeed(unpack.arg("-R").arg(paths::debian_package()?).arg(&inside))?;
    let control = inside.join("DEBIAN/control");
    let version = format!("Version: {}\n", env!("CARGO_PKG_VERSION"));
    let text = fs::read_to_string(&control)?;
    ensure!(text.contains(&version), "{text}");
    fs::write(&control, text.replace(&version, "Version: 99.0\n"))?;
    fs::write(inside.join("usr/share/monitor-daemon/newer"), "")?;
    let mut pack = Command::new("dpkg-deb");
    succeed(pack.arg("--build").arg(&inside).arg(&package))?;
    Ok(package)
}

#[test]
fn an_upgrade_keeps_changes_and_a_purge_keeps_the_alert_log() -> Result<()> {
    skip_if!(obstacle());
    let root = Root::new()?;
    root.dpkg("--install", &paths::debian_package()?)?;
    let mut version = Command::new("chroot");
    version.arg(root.tree.root()).arg("/usr/bin/monitor-daemon");
    let version = text(version.arg("--version"))?;
    ensure!(version.starts_with("monitor-daemon "), "{version}");
    let user = root.user()?.context("the service has no user")?;
    ensure!(user.ends_with(":/usr/sbin/nologin"), "{user}");

    let (changed, own) = (
        root.path("etc/monitor/monitor.yaml"),
        root.path("etc/monitor/conf.d/own.yaml"),
    );
    fs::write(&changed, "hostname: changed\n")?;
    fs::write(&own, "protect: true\n")?;
    let temporary = tempfile::tempdir()?;
    root.dpkg("--install", &newer(temporary.path())?)?;
    ensure!(root.path("usr/share/monitor-daemon/newer").exists());
    ensure!(fs::read_to_string(&changed)? == "hostname: changed\n");
    ensure!(fs::read_to_string(&own)? == "protect: true\n");

    let state = root.path("var/lib/monitor");
    fs::create_dir_all(&state)?;
    fs::create_dir_all(root.path("var/log/monitor"))?;
    for name in ["alerts.db", "alerts.db-wal", "state.json"] {
        fs::write(state.join(name), "x")?;
    }
    fs::write(root.path("var/log/monitor/alerts.jsonl"), "x")?;
    let name = Path::new("monitor-daemon");
    root.dpkg("--remove", name)?;
    ensure!(
        own.exists() && changed.exists(),
        "a removal keeps configuration"
    );
    ensure!(!root.path("usr/bin/monitor-daemon").exists());
    root.dpkg("--purge", name)?;
    let left = root.left()?;
    let expected = ["var/lib/monitor/alerts.db", "var/lib/monitor/alerts.db-wal"];
    ensure!(left.iter().eq(expected.iter()), "{left:?}");
    ensure!(
        root.user()? == Some(user),
        "the alert log has another owner"
    );
    Ok(())
}

/// What `dpkg` runs is read by any shell.
#[test]
fn scripts_are_right_for_every_shell() -> Result<()> {
    skip_if!(skip::without(&["dash"]));
    let folder = paths::root().join("packaging/debian");
    for name in ["postinst", "prerm", "postrm"] {
        let file = folder.join(name);
        succeed(Command::new("dash").arg("-n").arg(&file)).context(name)?;
        let text = fs::read_to_string(&file)?;
        ensure!(
            text.starts_with("#!/bin/sh\n") && text.contains("\nset -e\n"),
            "{name}"
        );
    }
    Ok(())
}
