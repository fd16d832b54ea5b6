//! Kernels for virtual machines: Debian's cloud images, unpacked below `target/vm`, never
//! installed on the machine itself.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};

use super::apt;
use crate::{shell, workspace};

/// The kernel series of Debian 12.
pub(crate) const DEFAULT: &str = "6.1";

/// Fetches the newest kernel of `series` that this machine's own package sources offer.
pub(crate) fn install(series: &str) -> Result<()> {
    let image = workspace::guest_kernel(series);
    if image.is_file() {
        return Ok(());
    }
    let folder = image.parent().context("the image has no folder")?;
    let mut package = newest(series)?;
    if package.is_none() && shell::is_root() {
        apt::update()?;
        package = newest(series)?;
    }
    let package = package.with_context(|| no_kernel(series))?;
    if folder.exists() {
        fs::remove_dir_all(folder)?;
    }
    fs::create_dir_all(folder)?;
    let archive = download(&package, folder)?;
    let unpacked = folder.join("unpacked");
    shell::run(
        Command::new("dpkg-deb")
            .arg("-x")
            .arg(&archive)
            .arg(&unpacked),
    )?;
    let release = package.strip_prefix("linux-image-").unwrap_or(&package);
    let found = unpacked.join("boot").join(format!("vmlinuz-{release}"));
    // The last step, so that an interrupted call leaves no image behind.
    fs::rename(&found, &image).with_context(|| format!("`{}` is missing", found.display()))?;
    fs::remove_dir_all(&unpacked)?;
    fs::remove_file(&archive)?;
    Ok(())
}

fn no_kernel(series: &str) -> String {
    format!(
        "the package sources of this machine offer no linux-image-{series}.*-cloud-amd64; \
         add Debian's bookworm suite and run `apt-get update`"
    )
}

fn download(package: &str, folder: &Path) -> Result<std::path::PathBuf> {
    let fetch = || {
        // Not below the package manager's own user, which may not enter this folder.
        let mut command = apt::apt_get(&["-o", "APT::Sandbox::User=root", "download", package]);
        shell::run(command.current_dir(folder))
    };
    if fetch().is_err() {
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

fn newest(series: &str) -> Result<Option<String>> {
    let series = series.replace('.', "\\.");
    let pattern = format!("^linux-image-{series}\\.[^ ]*-cloud-amd64$");
    let listing =
        shell::query(Command::new("apt-cache").args(["search", "--names-only", &pattern]))?;
    Ok(pick_newest(&listing.unwrap_or_default()))
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
        .filter(|name| name.starts_with("linux-image-"))
        .max_by_key(|name| numbers(name))
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
    }
}
