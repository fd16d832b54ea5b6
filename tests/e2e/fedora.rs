//! A host with systemd and `rpm`, as Fedora is one: the RPM's scripts switch the real service on and off,
//! and the fleet's timer brings it policies (`fleet`).

mod fleet;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use monitor_tests::tree::Tree;
use monitor_tests::{paths, skip, skip_if, systemd, vm};

use crate::actions::succeed;
use crate::guest::section;
use crate::rpm;
use crate::service::{CONFIGURATION, has_lines};

const WITHIN: Duration = Duration::from_mins(12);

/// Two halves: between them is the fleet's part.
const INSTALL: &str = r#"
export PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C
alerted() { grep -q "\"proc.args\":\"$1\"" /var/log/monitor/alerts.jsonl; }
state() { systemctl is-enabled $unit; systemctl is-active $unit; }
# Busybox has an `rpm` of its own.
rpm() { /usr/bin/rpm --dbpath /var/lib/rpm --nodeps "$@"; }
# As on Fedora: what is installed is off until somebody switches it on.
mkdir -p /etc/systemd/system-preset; echo 'disable *' >/etc/systemd/system-preset/00-case.preset
rpm --install /monitor-daemon.rpm || die install
echo '== installed'; state
"#;
const REST: &str = r#"
pid=$(property MainPID)
rpm --upgrade /newer.rpm || die upgrade
echo '== upgraded'; state; /usr/bin/rpm --dbpath /var/lib/rpm --query monitor-daemon
[ "$(property MainPID)" != $pid ] || die 'the old program still runs'
needle e2e-needle-2
systemctl disable --now $unit
rpm --upgrade --oldpackage /monitor-daemon.rpm || die 'upgrade of what is off'
echo '== off'; state
systemctl enable --now $unit || die 'on again'
pid=$(property MainPID)
rpm --erase monitor-daemon || die erase
echo '== erased'; state; ls -d /usr/bin/monitor-daemon
[ -e /proc/$pid ] && die 'it runs without its package'
[ -s /var/lib/monitor/alerts.db ] || die 'the log is gone'
[ -s /etc/monitor/conf.d/case.yaml ] || die 'what somebody wrote is gone'
echo '== end'
"#;

fn obstacle() -> Option<String> {
    let missing = || paths::rpm_package().err().map(|error| error.to_string());
    systemd::obstacle()
        .or_else(|| skip::without(&["rpm", "rpmbuild"]))
        .or_else(fleet::obstacle)
        .or_else(missing)
}

/// The host, and two versions of the package.
fn host() -> Result<Tree> {
    let tree = systemd::tree(&[INSTALL, fleet::SCRIPT, REST].concat())?;
    fleet::add(&tree)?;
    let rpm = paths::program("rpm").context("rpm is missing")?;
    tree.program("/usr/bin/rpm", &rpm)?
        .package("rpm-common", &systemd::LEFT_OUT)?
        .folder("/var/lib/rpm")?;
    let temporary = tempfile::tempdir()?;
    let newer = newer(temporary.path())?;
    tree.file("/monitor-daemon.rpm", fs::read(paths::rpm_package()?)?)?
        .file("/newer.rpm", fs::read(newer)?)?
        .file("/etc/monitor/conf.d/case.yaml", CONFIGURATION)?
        .symlink("/var/run", "/run")?;
    Ok(tree)
}

/// The same package with a higher version.
fn newer(folder: &Path) -> Result<PathBuf> {
    let stage = folder.join("stage");
    fs::create_dir(&stage)?;
    let mut unpack = Command::new("tar");
    unpack.arg("-xzf").arg(paths::archive()?);
    succeed(unpack.arg("-C").arg(&stage))?;
    let mut find = Command::new("find");
    let names = succeed(find.arg(&stage).args(["-type", "f", "-printf", "/%P\n"]))?;
    let (files, spec) = (folder.join("files"), folder.join("spec"));
    fs::write(&files, names.stdout)?;
    let text = fs::read_to_string(paths::root().join("packaging/rpm/monitor-daemon.spec"))?
        .replace("@VERSION@", "99.0")
        .replace("@STAGE@", &stage.display().to_string())
        .replace("@FILES@", &files.display().to_string());
    fs::write(&spec, text)?;
    rpm::built(
        &spec,
        folder,
        &[
            ("_binary_payload", "w1.gzdio"),
            ("__os_install_post", "%{nil}"),
            ("debug_package", "%{nil}"),
            ("_build_id_links", "none"),
        ],
    )
}

#[test]
fn the_package_runs_the_service_and_a_timer_brings_policies() -> Result<()> {
    skip_if!(obstacle());
    let output = systemd::boot(vm::DEBIAN_12, &host()?, WITHIN)?;
    let part = |name| section(&output.text, name);
    has_lines(part("installed")?, &["disabled", "inactive"])?;
    has_lines(part("fleet")?, &["versions/2"])?;
    has_lines(
        part("upgraded")?,
        &["enabled", "active", "monitor-daemon-99.0-1.x86_64"],
    )?;
    has_lines(part("off")?, &["disabled", "inactive"])?;
    let erased = part("erased")?;
    has_lines(erased, &["inactive"])?;
    let is_there = |line: &str| line == "enabled" || line.starts_with("/usr/bin");
    ensure!(!erased.lines().any(is_there), "{erased}");
    Ok(())
}
