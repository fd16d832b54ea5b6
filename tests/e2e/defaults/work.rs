//! Ordinary work that looks like trouble: a package with a service, a job, rules for sudo and a
//! setuid program is installed, and a program is compiled.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;

use crate::actions::succeed;

const CONTROL: &str = "\
Package: e2e-work
Version: 1.0
Architecture: all
Maintainer: Nobody <nobody@example.org>
Description: a package that does what packages do
";

const CONFIGURE: &str = "\
#!/bin/sh
set -e
chmod 4755 /usr/bin/e2e-work
useradd --system --no-create-home e2e-work
ln -sf /etc/e2e-work /etc/ssh/e2e-work.link
grep -q root /etc/shadow
";

const FILES: &[(&str, u32)] = &[
    ("usr/bin/e2e-work", 0o4755),
    ("usr/lib/systemd/system/e2e-work.service", 0o644),
    ("etc/cron.d/e2e-work", 0o644),
    ("etc/sudoers.d/e2e-work", 0o440),
    ("etc/pam.d/e2e-work", 0o644),
    ("etc/profile.d/e2e-work.sh", 0o644),
    ("etc/ssh/sshd_config.d/e2e-work.conf", 0o644),
];

/// Installs a package, the host's files below a layer that is thrown away.
pub(super) fn install(folder: &Path) -> Result<()> {
    let package = package(folder)?;
    let layer = folder.join("layer");
    fs::create_dir(&layer)?;
    // The root is a root, as in a container: what is below it has the names it has on a host.
    let script = "mount -t tmpfs none \"$1\" && cd \"$1\" && mkdir up work root && \
         mount -t overlay overlay -o lowerdir=/,upperdir=up,workdir=work root && \
         cp \"$2\" root/e2e-work.deb && cd root && mkdir -p e2e-old && pivot_root . e2e-old && \
         mount -t proc proc /proc && mount --rbind e2e-old/dev /dev && umount -l /e2e-old && \
         dpkg --install /e2e-work.deb";
    let mut command = Command::new("unshare");
    command.args(["--mount", "sh", "-c", script, "sh"]);
    succeed(command.arg(layer).arg(package)).map(drop)
}

fn package(folder: &Path) -> Result<PathBuf> {
    let tree = folder.join("e2e-work");
    let write = |path: &str, text: &str, mode: u32| -> Result<()> {
        let path = tree.join(path);
        fs::create_dir_all(path.parent().unwrap_or(&tree))?;
        fs::write(&path, text)?;
        Ok(fs::set_permissions(&path, Permissions::from_mode(mode))?)
    };
    write("DEBIAN/control", CONTROL, 0o644)?;
    write("DEBIAN/postinst", CONFIGURE, 0o755)?;
    for (path, mode) in FILES {
        // What the files say does not matter; only root's shell would ever read them.
        write(path, "#\n", mode & 0o777)?;
    }
    let package = folder.join("e2e-work.deb");
    let mut build = Command::new("dpkg-deb");
    succeed(build.arg("--build").arg(&tree).arg(&package))?;
    Ok(package)
}

/// Compiles a program that needs nothing but the standard library.
pub(super) fn compile(folder: &Path) -> Result<()> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let crate_folder = folder.join("e2e-crate");
    let mut new = Command::new(&cargo);
    succeed(
        new.args(["init", "--vcs=none", "--quiet"])
            .arg(&crate_folder),
    )?;
    let mut build = Command::new(&cargo);
    build
        .args(["build", "--offline", "--quiet"])
        .env_remove("CARGO_TARGET_DIR")
        .current_dir(crate_folder);
    succeed(&mut build).map(drop)
}
