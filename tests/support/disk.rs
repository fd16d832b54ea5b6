//! A disk in memory that is too small, or can be filled.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Result, ensure};

/// It goes on drop.
#[derive(Debug)]
pub struct Disk(PathBuf);

impl Disk {
    /// One of `size`, such as `16m`, at `folder`, which is made.
    ///
    /// # Errors
    ///
    /// When the folder is there, or nothing can be mounted.
    pub fn new(folder: &Path, size: &str) -> Result<Self> {
        fs::create_dir(folder)?;
        mount(
            &["-t", "tmpfs", "-o", &format!("size={size}"), "none"],
            folder,
        )?;
        Ok(Self(folder.to_owned()))
    }

    /// Where it is.
    pub fn folder(&self) -> &Path {
        &self.0
    }

    /// Gives it another size.
    ///
    /// # Errors
    ///
    /// When more is on it.
    pub fn resize(&self, size: &str) -> Result<()> {
        mount(&["-o", &format!("remount,size={size}")], &self.0)
    }

    /// Leaves no room.
    ///
    /// # Errors
    ///
    /// When there was none for a file's name.
    pub fn fill(&self) -> Result<()> {
        let mut file = File::create(self.filler())?;
        let piece = vec![0; 1 << 16];
        while file.write_all(&piece).is_ok() {}
        Ok(())
    }

    /// Gives back what [`Self::fill`] took.
    ///
    /// # Errors
    ///
    /// When it was not filled.
    pub fn empty(&self) -> Result<()> {
        Ok(fs::remove_file(self.filler())?)
    }

    fn filler(&self) -> PathBuf {
        self.0.join("filler")
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // Lazily, as busybox says it too.
        let _unmounted = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

fn mount(options: &[&str], folder: &Path) -> Result<()> {
    let mounted = Command::new("mount").args(options).arg(folder).status()?;
    ensure!(mounted.success(), "cannot mount a tmpfs with {options:?}");
    Ok(())
}
