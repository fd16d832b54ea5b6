//! Where the tests find what was built and set up.

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};

/// The repository's root.
pub fn root() -> &'static Path {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
    manifest.parent().unwrap_or(manifest)
}

/// The daemon in its release build.
///
/// # Errors
///
/// When it has not been built.
pub fn daemon() -> Result<PathBuf> {
    let daemon = root().join("target/release/monitor-daemon");
    if !daemon.is_file() {
        bail!("`{}` is missing; run `cargo xtask build`", daemon.display());
    }
    Ok(daemon)
}

/// The archive that is installed on hosts.
///
/// # Errors
///
/// When it has not been built.
pub fn archive() -> Result<PathBuf> {
    let name = format!("monitor-daemon-{}-x86_64.tar.gz", env!("CARGO_PKG_VERSION"));
    let archive = root().join("target/dist").join(name);
    if !archive.is_file() {
        bail!("`{}` is missing; run `cargo xtask dist`", archive.display());
    }
    Ok(archive)
}

/// The same as a Debian package.
///
/// # Errors
///
/// When it has not been built.
pub fn debian_package() -> Result<PathBuf> {
    let name = format!("monitor-daemon_{}_amd64.deb", env!("CARGO_PKG_VERSION"));
    let package = root().join("target/dist").join(name);
    if !package.is_file() {
        bail!("`{}` is missing; run `cargo xtask dist`", package.display());
    }
    Ok(package)
}

/// The same as a package of RPM's.
///
/// # Errors
///
/// When it has not been built.
pub fn rpm_package() -> Result<PathBuf> {
    let name = format!("monitor-daemon-{}-1.x86_64.rpm", env!("CARGO_PKG_VERSION"));
    let package = root().join("target/dist").join(name);
    if !package.is_file() {
        bail!("`{}` is missing; run `cargo xtask dist`", package.display());
    }
    Ok(package)
}

/// The kernel image of `series` (such as `6.1`) for virtual machines.
///
/// # Errors
///
/// When it has not been set up.
pub fn guest_kernel(series: &str) -> Result<PathBuf> {
    let image = root()
        .join("target/vm/kernels")
        .join(series)
        .join("vmlinuz");
    if !image.is_file() {
        bail!(
            "`{}` is missing; run `cargo xtask setup --level test`",
            image.display()
        );
    }
    Ok(image)
}

/// The folder of the modules that guests with the kernel `series` may load.
///
/// # Errors
///
/// When it has not been set up.
pub fn guest_modules(series: &str) -> Result<PathBuf> {
    let folder = root()
        .join("target/vm/kernels")
        .join(series)
        .join("modules");
    if !folder.is_dir() {
        bail!(
            "`{}` is missing; run `cargo xtask setup --level test`",
            folder.display()
        );
    }
    Ok(folder)
}

/// The daemon and a busybox for aarch64.
///
/// # Errors
///
/// When they have not been built and set up.
pub fn arm_programs() -> Result<[PathBuf; 2]> {
    let programs = [
        "target/aarch64-unknown-linux-musl/debug/monitor-daemon",
        "target/vm/arm64/busybox",
    ];
    let programs = programs.map(|program| root().join(program));
    if let Some(missing) = programs.iter().find(|program| !program.is_file()) {
        bail!(
            "`{}` is missing; run `cargo xtask setup --level ci` and `cargo xtask build --arm`",
            missing.display()
        );
    }
    Ok(programs)
}

/// The upstream rule files, which lie beside the repository, if they are there.
pub fn upstream_rules() -> Option<PathBuf> {
    let folder = root().parent()?.join("shared/falco/rules");
    folder.is_dir().then_some(folder)
}

/// Where `program` is on the search path, system folders included.
pub fn program(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let system = ["/usr/local/sbin", "/usr/sbin", "/sbin"];
    std::env::split_paths(&path)
        .chain(system.iter().map(PathBuf::from))
        .map(|folder| folder.join(name))
        .find(|candidate| candidate.is_file())
}
