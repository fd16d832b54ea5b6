//! The folder in which an archive's files are put together.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// A folder that stands for the root of a host. Modes do not depend on the caller's umask.
#[derive(Debug)]
pub(super) struct Stage {
    root: PathBuf,
}

impl Stage {
    /// An empty one.
    pub(super) fn new(root: PathBuf) -> Result<Self> {
        fs::create_dir_all(&root)?;
        Ok(Self { root })
    }

    /// Where it is.
    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    /// Writes a file that all may read.
    pub(super) fn file(&self, path: &str, content: &[u8]) -> Result<&Self> {
        self.write(path, content, 0o644)
    }

    /// Copies a file, for all to read.
    pub(super) fn copy(&self, path: &str, source: &Path) -> Result<&Self> {
        self.write(path, &read(source)?, 0o644)
    }

    /// Copies a program.
    pub(super) fn program(&self, path: &str, source: &Path) -> Result<&Self> {
        self.write(path, &read(source)?, 0o755)
    }

    /// Makes a folder.
    pub(super) fn folder(&self, path: &str) -> Result<&Self> {
        let mut folder = self.root.clone();
        for part in Path::new(path) {
            folder.push(part);
            if !folder.is_dir() {
                fs::create_dir(&folder)?;
                fs::set_permissions(&folder, Permissions::from_mode(0o755))?;
            }
        }
        Ok(self)
    }

    /// The names of everything in it, sorted; those of folders end in a slash.
    pub(super) fn names(&self) -> Result<Vec<String>> {
        let mut names = Vec::new();
        collect(&self.root, "", &mut names)?;
        names.sort();
        Ok(names)
    }

    fn write(&self, path: &str, content: &[u8], mode: u32) -> Result<&Self> {
        if let Some((folder, _)) = path.rsplit_once('/') {
            self.folder(folder)?;
        }
        let target = self.root.join(path);
        fs::write(&target, content).with_context(|| format!("cannot write `{path}`"))?;
        fs::set_permissions(&target, Permissions::from_mode(mode))?;
        Ok(self)
    }
}

fn read(source: &Path) -> Result<Vec<u8>> {
    fs::read(source).with_context(|| format!("cannot read `{}`", source.display()))
}

fn collect(folder: &Path, above: &str, names: &mut Vec<String>) -> Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = format!("{above}{}", entry.file_name().to_string_lossy());
        if entry.file_type()?.is_dir() {
            let name = format!("{name}/");
            collect(&entry.path(), &name, names)?;
            names.push(name);
        } else {
            names.push(name);
        }
    }
    Ok(())
}
