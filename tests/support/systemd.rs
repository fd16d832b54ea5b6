//! A guest whose first process is systemd: this machine's own package, with the libraries it
//! loads, and busybox for the rest.
//!
//! There is no udev, no D-Bus and no login; `systemctl`, the journal, and all that a unit can ask
//! for are the real thing.

use std::fs::{self, File};
use std::io::Read as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};

use crate::tree::Tree;
use crate::{skip, vm};

/// Parts of the package that a guest has no use for.
const LEFT_OUT: [&str; 4] = [
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

/// Why no such guest can be booted here, if so.
pub fn obstacle() -> Option<String> {
    let parts = vm::obstacle(vm::DEBIAN_12);
    parts
        .or_else(|| skip::without(&["dpkg-query", "ldd"]))
        .or_else(|| {
            let files = package().unwrap_or_default();
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
    for file in package()?.lines() {
        let left_out = LEFT_OUT.iter().any(|part| file.contains(part));
        if !left_out {
            add(&tree, Path::new(file)).with_context(|| file.to_owned())?;
        }
    }
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
    tree.file("/case", RUN)?.file("/script", script)?;
    Ok(tree)
}

/// The names of the package's files, a line each.
fn package() -> Result<String> {
    let output = Command::new("dpkg-query")
        .args(["--listfiles", "systemd"])
        .output()
        .context("cannot start dpkg-query")?;
    Ok(String::from_utf8(output.stdout)?)
}

fn add(tree: &Tree, file: &Path) -> Result<()> {
    let name = file.to_str().context("a name is no text")?;
    let Ok(found) = fs::symlink_metadata(file) else {
        // Left out when the package was installed.
        return Ok(());
    };
    if found.is_symlink() {
        // Links at the root are the machine's own layout.
        if file.parent() != Some(Path::new("/")) {
            let target = fs::read_link(file)?;
            tree.symlink(name, target.to_str().context("a link is no text")?)?;
        }
    } else if found.is_file() {
        if is_program(file)? {
            tree.program(name, file)?;
        } else {
            tree.file(name, fs::read(file)?)?
                .mode(name, found.permissions().mode())?;
        }
    }
    Ok(())
}

fn is_program(file: &Path) -> Result<bool> {
    let mut start = [0; 4];
    let read = File::open(file)?.read(&mut start)?;
    Ok(read == start.len() && start == *b"\x7fELF")
}
