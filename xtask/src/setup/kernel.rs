//! Kernels for virtual machines: Debian's cloud images, unpacked below `target/vm`, never
//! installed on the machine itself.
//!
//! Debian 12's own kernel comes from the machine's package sources; those of other releases from
//! Debian's archive, by package lists below `target/vm/apt` that nothing else on the machine reads.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use super::apt;
use super::source::{ARCHIVE, Source};
use crate::{shell, workspace};

/// The kernel series of Debian 12.
pub(crate) const DEFAULT: &str = "6.1";

/// The newest kernel of Debian's archive, whatever its number.
pub(crate) const NEWEST: &str = "newest";

/// The kernels that the tests boot beside [`DEFAULT`]: series, and the suite of Debian's archive
/// that has it.
const OTHERS: [(&str, &str); 3] = [
    ("5.10", "debian-security bullseye-security"),
    ("6.12", "debian bookworm-backports"),
    (NEWEST, "debian sid"),
];

/// The same for aarch64: without and with programs at kernel functions.
const ARM: [(&str, &str); 2] = [
    ("6.1-arm64", "debian bookworm"),
    ("6.12-arm64", "debian bookworm-backports"),
];
/// The end of their series.
pub(crate) const ARM_SUFFIX: &str = "-arm64";

/// Modules of [`DEFAULT`] that its guests load, each behind those that it needs, below the folder of
/// the package's modules.
const MODULES: [&str; 7] = [
    "drivers/net/dummy.ko",
    "fs/overlayfs/overlay.ko",
    "net/vmw_vsock/vsock.ko",
    "lib/libcrc32c.ko",
    "net/ipv4/udp_tunnel.ko",
    "net/ipv6/ip6_udp_tunnel.ko",
    "net/sctp/sctp.ko",
];

/// Fetches every kernel that the tests boot. One of another release that cannot be fetched is told,
/// and is an error only where `CI=true` is set: its tests then fail, elsewhere they skip.
pub(crate) fn install_all() -> Result<()> {
    install(DEFAULT)?;
    for (series, _) in OTHERS {
        let done = install(series);
        if std::env::var_os("CI").is_some_and(|value| value == "true") {
            done?;
        } else if let Err(error) = done {
            println!("warning: no kernel {series} for virtual machines: {error:#}");
        }
    }
    Ok(())
}

/// Fetches what the tests boot on an emulated aarch64: kernels, and a busybox.
pub(crate) fn install_arm() -> Result<()> {
    for (series, _) in ARM {
        install(series)?;
    }
    from_arm("busybox-static", "bin/busybox", "busybox").map(drop)
}

/// Fetches the headers of musl for aarch64, and says where they are.
pub(crate) fn arm_headers() -> Result<PathBuf> {
    from_arm("musl-dev", "usr/include/aarch64-linux-musl", "include")
}

/// Fetches what `package` has at `path`, for aarch64, and says where it is.
fn from_arm(package: &str, path: &str, name: &str) -> Result<PathBuf> {
    let folder = workspace::target().join("vm/arm64");
    let kept = folder.join(name);
    if kept.exists() {
        return Ok(kept);
    }
    fs::create_dir_all(&folder)?;
    let source = Source::archive(ARM[0].1, "arm64")?;
    let unpacked = source.unpack(package, &folder)?;
    fs::rename(unpacked.join(path), &kept)
        .with_context(|| format!("`{package}` has no `{path}`"))?;
    fs::remove_dir_all(&unpacked)?;
    Ok(kept)
}

/// Fetches the newest kernel of `series` that there is.
pub(crate) fn install(series: &str) -> Result<()> {
    let image = workspace::guest_kernel(series);
    let modules = workspace::guest_modules(series);
    if image.is_file() && (series != DEFAULT || modules.is_dir()) {
        return Ok(());
    }
    let folder = image.parent().context("the image has no folder")?;
    let architecture = match series.strip_suffix(ARM_SUFFIX) {
        Some(_) => "arm64",
        None => "amd64",
    };
    let mut others = OTHERS.iter().chain(&ARM);
    let other = others.find(|(other, _)| *other == series);
    let source = match other {
        None => Source::default(),
        Some((_, suite)) => Source::archive(suite, architecture)?,
    };
    let mut package = source.newest(series)?;
    if package.is_none() && other.is_none() && shell::is_root() {
        apt::update()?;
        package = source.newest(series)?;
    }
    let package = package.with_context(|| no_kernel(series))?;
    let fresh = folder.join("fresh");
    for old in [&fresh, &modules] {
        if old.exists() {
            fs::remove_dir_all(old)?;
        }
    }
    fs::create_dir_all(&fresh)?;
    let unpacked = source.unpack(&package, &fresh)?;
    let found = image_in(&unpacked, &package)?;
    fs::rename(&found, &image).with_context(|| format!("`{}` is missing", found.display()))?;
    // The last step, so that an interrupted call leaves no modules of another kernel.
    if series == DEFAULT {
        let kept = keep_modules(&unpacked, &package, &fresh)?;
        fs::rename(kept, &modules)?;
    }
    fs::remove_dir_all(&fresh)?;
    Ok(())
}

fn no_kernel(series: &str) -> String {
    format!(
        "the package sources offer no cloud kernel linux-image-{series}; for Debian 12's own, add \
         its bookworm suite and run `apt-get update`"
    )
}

/// Moves [`MODULES`] of an unpacked package to a folder below `fresh`; which.
fn keep_modules(unpacked: &Path, package: &str, fresh: &Path) -> Result<PathBuf> {
    let all = unpacked.join("lib/modules").join(release(package));
    let kept = fresh.join("modules");
    fs::create_dir_all(&kept)?;
    for module in MODULES {
        let found = all.join("kernel").join(module);
        let name = found.file_name().context("a module without a name")?;
        fs::rename(&found, kept.join(name))
            .with_context(|| format!("`{package}` has no `{module}`"))?;
    }
    Ok(kept)
}

/// The kernel's own name in that of its package.
fn release(package: &str) -> &str {
    ["linux-image-", "linux-binary-"]
        .iter()
        .find_map(|prefix| package.strip_prefix(prefix))
        .unwrap_or(package)
}

/// Where an unpacked package has its image: below `/boot`, or in the folder of the modules since
/// Debian 14.
fn image_in(unpacked: &Path, package: &str) -> Result<PathBuf> {
    let release = release(package);
    let places = [
        unpacked.join("boot").join(format!("vmlinuz-{release}")),
        unpacked
            .join("usr/lib/modules")
            .join(release)
            .join("vmlinuz"),
    ];
    let found = places.into_iter().find(|place| place.is_file());
    found.with_context(|| format!("`{package}` holds no kernel image"))
}

impl Source {
    /// Unpacks a package into a folder below `folder`; where.
    fn unpack(&self, package: &str, folder: &Path) -> Result<PathBuf> {
        let archive = self.download(package, folder)?;
        let unpacked = folder.join("unpacked");
        let mut unpack = Command::new("dpkg-deb");
        shell::run(unpack.arg("-x").arg(&archive).arg(&unpacked))?;
        fs::remove_file(&archive)?;
        Ok(unpacked)
    }

    fn download(&self, package: &str, folder: &Path) -> Result<PathBuf> {
        let fetch = || {
            // Not below the package manager's own user, which may not enter this folder.
            let mut command = apt::apt_get(&["-o", "APT::Sandbox::User=root"]);
            command.args(self.options()).args(["download", package]);
            shell::run(command.current_dir(folder))
        };
        if fetch().is_err() {
            if !self.options().is_empty() {
                bail!("`{package}` cannot be fetched from {ARCHIVE}");
            }
            if !shell::is_root() {
                bail!("run `apt-get update` as root: the package lists are out of date");
            }
            apt::update()?;
            fetch()?;
        }
        fs::read_dir(folder)?
            .filter_map(|entry| Some(entry.ok()?.path()))
            .find(|path| path.extension().is_some_and(|extension| extension == "deb"))
            .with_context(|| format!("apt-get left no package in {}", folder.display()))
    }

    fn newest(&self, series: &str) -> Result<Option<String>> {
        let (series, architecture) = match series.strip_suffix(ARM_SUFFIX) {
            Some(series) => (series, "arm64"),
            None => (series, "amd64"),
        };
        let numbers = match series {
            NEWEST => "[0-9]".to_owned(),
            series => series.replace('.', "\\.") + "\\.",
        };
        // Since Debian 14 the image is in a package that `linux-image` only depends on.
        let pattern = format!("^linux-(image|binary)-{numbers}[^ ]*-cloud-{architecture}$");
        let mut command = Command::new("apt-cache");
        command.args(self.options());
        let listing = shell::query(command.args(["search", "--names-only", &pattern]))?;
        Ok(pick_newest(&listing.unwrap_or_default()))
    }
}

fn pick_newest(listing: &str) -> Option<String> {
    let numbers = |name: &str| -> Vec<u64> {
        name.split(|c: char| !c.is_ascii_digit())
            .filter_map(|part| part.parse().ok())
            .collect()
    };
    listing
        .lines()
        .filter_map(|line| line.split(' ').next())
        // Of the same number, that with the image in it.
        .max_by_key(|name| (numbers(name), name.starts_with("linux-binary-")))
        .map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_kernel_wins_by_number() {
        let listing = "linux-image-6.1.0-9-cloud-amd64 - Linux\n\
                       linux-image-6.1.0-52-cloud-amd64 - Linux\n\
                       linux-image-6.1.0-10-cloud-amd64 - Linux\n";
        assert_eq!(
            pick_newest(listing).as_deref(),
            Some("linux-image-6.1.0-52-cloud-amd64")
        );
        assert_eq!(pick_newest(""), None);
        let listing = "linux-binary-7.2.13+deb14-cloud-amd64 - Linux\n\
                       linux-image-7.2.13+deb14-cloud-amd64 - Linux\n\
                       linux-binary-7.2.9+deb14-cloud-amd64 - Linux\n";
        assert_eq!(
            pick_newest(listing).as_deref(),
            Some("linux-binary-7.2.13+deb14-cloud-amd64")
        );
    }
}
