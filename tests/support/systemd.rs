//! A guest whose first process is systemd: this machine's own package, with the libraries it
//! loads, and busybox for the rest.
//!
//! There is no udev, no D-Bus and no login; `systemctl`, the journal, and all that a unit can ask
//! for are the real thing.

use std::time::Duration;

use anyhow::{Result, ensure};

use crate::tree::{Tree, package_files};
use crate::{skip, vm};

/// Parts of the package that a guest has no use for.
pub const LEFT_OUT: [&str; 4] = [
    "/usr/share/doc",
    "/usr/share/man",
    "/usr/share/locale",
    "getty",
];

/// Runs `/script` when the system is up, and switches off.
const CASE: &str = "
[Unit]
After=multi-user.target

[Service]
Type=oneshot
ExecStart=/bin/sh /case
TimeoutStartSec=infinity
";

const RUN: &str = r#"
exec >/dev/ttyS1 2>&1 </dev/null
stty -F /dev/ttyS1 raw -echo
export HOME=/root TERM=dumb SYSTEMD_PAGER= SYSTEMD_COLORS=0
sh /script
echo "guest-exit-status $?"
poweroff -f
"#;

/// What scripts begin with. They say themselves how a needle is found: `alerted NEEDLE`.
const PRELUDE: &str = r#"
unit=monitor-daemon
die() { echo "FAILED: $1"; systemctl status $unit; journalctl -u $unit | tail -n 40; exit 1; }
property() { systemctl show -P "$1" $unit; }
# Until a command succeeds: name, command.
until_true() {
    what=$1; shift; tries=0
    until "$@" >/dev/null 2>&1; do
        tries=$((tries + 1)); [ $tries -lt 240 ] || die "$what"
        usleep 500000
    done
}
needle() { /bin/echo $1; until_true "no alert of $1" alerted $1; }
"#;

/// Why no such guest can be booted here, if so.
pub fn obstacle() -> Option<String> {
    let parts = vm::obstacle(vm::DEBIAN_12);
    parts
        .or_else(|| skip::without(&["dpkg-query", "ldd"]))
        .or_else(|| {
            let files = package_files("systemd").unwrap_or_default();
            let there = files.lines().any(|file| file.ends_with("/systemd/systemd"));
            (!there).then(|| "needs Debian's package `systemd`".to_owned())
        })
}

/// The guest's files; its output is that of the shell script.
///
/// # Errors
///
/// When the package is not there, or files cannot be copied.
pub fn tree(script: &str) -> Result<Tree> {
    let tree = Tree::busybox()?;
    tree.package("systemd", &LEFT_OUT)?;
    tree.symlink("/init", "/lib/systemd/systemd")?
        .file("/etc/machine-id", "0123456789abcdef0123456789abcdef\n")?
        .file("/etc/hostname", "guest\n")?
        .folder("/var/log")?
        .folder("/var/tmp")?;
    let units = "/etc/systemd/system";
    tree.file(&format!("{units}/case.service"), CASE)?
        .symlink(
            &format!("{units}/default.target"),
            "/lib/systemd/system/multi-user.target",
        )?
        .symlink(
            &format!("{units}/multi-user.target.wants/case.service"),
            "../case.service",
        )?
        // Nobody logs in.
        .symlink(&format!("{units}/getty.target"), "/dev/null")?;
    tree.file("/case", RUN)?
        .file("/script", format!("{PRELUDE}{script}"))?;
    Ok(tree)
}

/// Boots such a guest, whose script has to come to its end.
///
/// # Errors
///
/// As [`vm::boot`], and when the script fails: with the console.
pub fn boot(series: &str, tree: &Tree, within: Duration) -> Result<vm::Output> {
    let output = vm::boot(series, tree, within)?;
    ensure!(
        output.status == 0,
        "status {}, console:\n{}",
        output.status,
        output.console
    );
    Ok(output)
}
