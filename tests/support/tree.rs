//! File trees for container images and for guests of virtual machines.

use std::fs::{self, File, Permissions};
use std::io::Read as _;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use tempfile::TempDir;

const PASSWD: &str = "root:x:0:0:root:/root:/bin/sh\nuser:x:1000:1000:user:/home/user:/bin/sh\n";
const GROUP: &str = "root:x:0:\nshadow:x:42:\nuser:x:1000:\n";
const SHADOW: &str = "root:*:19000:0:99999:7:::\nuser:*:19000:0:99999:7:::\n";

/// A tree of files below a temporary folder. Paths in the tree may be given with a leading slash.
#[derive(Debug)]
pub struct Tree {
    root: TempDir,
}

impl Tree {
    /// An empty tree.
    ///
    /// # Errors
    ///
    /// When no temporary folder can be made.
    pub fn empty() -> Result<Self> {
        Ok(Self {
            root: TempDir::new()?,
        })
    }

    /// Busybox with a link for each of its applets, the folders of a small Linux, the users root
    /// and user (1000), and `/etc/shadow`.
    ///
    /// # Errors
    ///
    /// When there is no busybox, or files cannot be written.
    pub fn busybox() -> Result<Self> {
        Self::with_busybox(&crate::paths::program("busybox").context("busybox is missing")?)
    }

    /// The same, with a busybox for another machine that has the applets of the one here.
    ///
    /// # Errors
    ///
    /// The same.
    pub fn with_busybox(busybox: &Path) -> Result<Self> {
        let tree = Self::empty()?;
        for folder in [
            "dev",
            "etc",
            "home/user",
            "proc",
            "root",
            "run",
            "sys",
            "usr/bin",
            "var",
        ] {
            tree.folder(folder)?;
        }
        tree.folder("tmp")?.mode("tmp", 0o1777)?;
        tree.program("bin/busybox", busybox)?;
        let own = crate::paths::program("busybox").context("busybox is missing")?;
        let applets = Command::new(own).arg("--list").output()?.stdout;
        for applet in String::from_utf8(applets)?
            .lines()
            .filter(|name| *name != "busybox")
        {
            tree.symlink(&format!("bin/{applet}"), "busybox")?;
        }
        tree.file("etc/passwd", PASSWD)?.file("etc/group", GROUP)?;
        tree.file("etc/shadow", SHADOW)?.mode("etc/shadow", 0o640)?;
        Ok(tree)
    }

    /// Adds a file, readable by all.
    ///
    /// # Errors
    ///
    /// When it cannot be written.
    pub fn file(&self, path: &str, content: impl AsRef<[u8]>) -> Result<&Self> {
        let target = self.place(path)?;
        fs::write(&target, content).with_context(|| format!("cannot write `{path}`"))?;
        self.mode(path, 0o644)
    }

    /// Adds a script or other text that can be executed.
    ///
    /// # Errors
    ///
    /// When it cannot be written.
    pub fn script(&self, path: &str, content: &str) -> Result<&Self> {
        self.file(path, content)?.mode(path, 0o755)
    }

    /// Adds a program of this machine with the shared libraries it loads.
    ///
    /// # Errors
    ///
    /// When it, or one of its libraries, cannot be copied.
    pub fn program(&self, path: &str, source: &Path) -> Result<&Self> {
        let copy = |path: &str, source: &Path| -> Result<()> {
            fs::copy(source, self.place(path)?)
                .with_context(|| format!("cannot copy `{}` to `{path}`", source.display()))?;
            self.mode(path, 0o755)?;
            Ok(())
        };
        copy(path, source)?;
        for library in libraries(source)? {
            let path = library.to_str().context("a library's path is no text")?;
            if !self.path(path).exists() {
                copy(path, &library)?;
            }
        }
        Ok(self)
    }

    /// Adds the files of one of this machine's Debian packages, programs with the libraries they
    /// load, but those with one of the parts of `left_out` in their names.
    ///
    /// # Errors
    ///
    /// When there is no such package, or files cannot be copied.
    pub fn package(&self, name: &str, left_out: &[&str]) -> Result<&Self> {
        for file in package_files(name)?.lines() {
            if !left_out.iter().any(|part| file.contains(part)) {
                self.same(Path::new(file))
                    .with_context(|| file.to_owned())?;
            }
        }
        Ok(self)
    }

    /// Adds the files of a folder of this machine, and of those in it.
    ///
    /// # Errors
    ///
    /// When one cannot be copied.
    pub fn copy(&self, path: &str, source: &Path) -> Result<&Self> {
        self.folder(path)?;
        for entry in fs::read_dir(source).with_context(|| source.display().to_string())? {
            let entry = entry?;
            let name = entry.file_name();
            let inner = format!("{path}/{}", name.to_str().context("a name is no text")?);
            if entry.file_type()?.is_dir() {
                self.copy(&inner, &entry.path())?;
            } else {
                self.file(&inner, fs::read(entry.path())?)?;
            }
        }
        Ok(self)
    }

    /// Adds a file or link of this machine under its own name.
    fn same(&self, file: &Path) -> Result<()> {
        let name = file.to_str().context("a name is no text")?;
        let Ok(found) = fs::symlink_metadata(file) else {
            // Left out when the package was installed.
            return Ok(());
        };
        if found.is_symlink() {
            // Links at the root are the machine's own layout.
            if file.parent() != Some(Path::new("/")) {
                let target = fs::read_link(file)?;
                self.symlink(name, target.to_str().context("a link is no text")?)?;
            }
        } else if found.is_file() {
            if is_program(file)? {
                self.program(name, file)?
                    .mode(name, found.permissions().mode())?;
            } else {
                self.file(name, fs::read(file)?)?
                    .mode(name, found.permissions().mode())?;
            }
        }
        Ok(())
    }

    /// Adds a symbolic link, in place of another.
    ///
    /// # Errors
    ///
    /// When a file or folder is there already.
    pub fn symlink(&self, path: &str, target: &str) -> Result<&Self> {
        symlink(target, self.place(path)?).with_context(|| format!("cannot link `{path}`"))?;
        Ok(self)
    }

    /// Adds a folder and those above it.
    ///
    /// # Errors
    ///
    /// When a file is in the way.
    pub fn folder(&self, path: &str) -> Result<&Self> {
        fs::create_dir_all(self.path(path)).with_context(|| format!("cannot make `{path}`"))?;
        Ok(self)
    }

    /// Sets the permission bits of a file or folder.
    ///
    /// # Errors
    ///
    /// When there is none at `path`.
    pub fn mode(&self, path: &str, mode: u32) -> Result<&Self> {
        fs::set_permissions(self.path(path), Permissions::from_mode(mode))
            .with_context(|| format!("cannot change the mode of `{path}`"))?;
        Ok(self)
    }

    /// The tree as a tar archive, everything owned by root.
    ///
    /// # Errors
    ///
    /// When `tar` fails.
    pub fn tar(&self) -> Result<Vec<u8>> {
        self.archive("tar --create --numeric-owner --owner=0 --group=0 .")
    }

    /// The tree as an archive that the kernel unpacks at boot, everything owned by root.
    ///
    /// # Errors
    ///
    /// When `cpio` fails.
    pub fn initramfs(&self) -> Result<Vec<u8>> {
        self.archive("find . | cpio --create --format=newc --owner=+0:+0 --quiet")
    }

    fn archive(&self, script: &str) -> Result<Vec<u8>> {
        let mut shell = Command::new("sh");
        shell.args(["-c", script]).current_dir(self.root.path());
        let output = shell.stdin(Stdio::null()).output()?;
        if !output.status.success() {
            bail!(
                "`{script}` failed: {}",
                String::from_utf8_lossy(&output.stderr)
            );
        }
        Ok(output.stdout)
    }

    /// Where it is.
    pub fn root(&self) -> &Path {
        self.root.path()
    }

    fn path(&self, path: &str) -> PathBuf {
        self.root.path().join(path.trim_start_matches('/'))
    }

    /// The path, with the folders above it made and nothing there that would be followed: an
    /// applet of busybox may give way to the program itself.
    fn place(&self, path: &str) -> Result<PathBuf> {
        let target = self.path(path);
        if target.is_symlink() {
            fs::remove_file(&target)?;
        }
        fs::create_dir_all(target.parent().unwrap_or(self.root.path()))?;
        Ok(target)
    }
}

/// The names of a package's files, a line each; none when it is not installed.
///
/// # Errors
///
/// When this is no Debian.
pub fn package_files(name: &str) -> Result<String> {
    let output = Command::new("dpkg-query")
        .args(["--listfiles", name])
        .output()
        .context("cannot start dpkg-query")?;
    Ok(String::from_utf8(output.stdout)?)
}

fn is_program(file: &Path) -> Result<bool> {
    let mut start = [0; 4];
    let read = File::open(file)?.read(&mut start)?;
    Ok(read == start.len() && start == *b"\x7fELF")
}

/// The files that the dynamic loader opens for `program`, itself among them; none for a static
/// program.
fn libraries(program: &Path) -> Result<Vec<PathBuf>> {
    let output = Command::new("ldd")
        .arg(program)
        .output()
        .context("cannot start ldd")?;
    let listing = String::from_utf8_lossy(&output.stdout);
    if listing.contains("not found") {
        bail!("a library of `{}` is missing: {listing}", program.display());
    }
    let paths = listing
        .split_whitespace()
        .filter(|word| word.starts_with('/'));
    Ok(paths.map(PathBuf::from).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_brings_its_libraries() {
        let tree = Tree::empty().unwrap();
        tree.program("/bin/cat", Path::new("/bin/cat")).unwrap();
        let listing = String::from_utf8(tree.archive("find . -type f").unwrap()).unwrap();
        assert!(listing.contains("./bin/cat\n"), "{listing}");
        assert!(listing.contains("/libc.so.6\n"), "{listing}");
        assert!(listing.contains("/ld-linux-x86-64.so.2\n"), "{listing}");
    }
}
