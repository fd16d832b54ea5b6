//! Files below a container's root, opened so that the container gains nothing and cannot hold the
//! daemon up.
//!
//! - Links are followed within that root only (`RESOLVE_IN_ROOT`), and never `/proc`'s magic ones.
//! - No file system is asked anything before its type is known to answer from the kernel: not
//!   FUSE, not the network. The type comes from the mount that a handle is on.
//! - A handle is taken first (`O_PATH`, without effect on a device or a pipe) and opened for
//!   reading only if it is a regular file, without waiting for a lease.

use std::os::fd::AsRawFd as _;
use std::path::{Path, PathBuf};

use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{
    AtFlags, CWD, FileType, Mode, OFlags, ResolveFlags, StatxFlags, fstat, open, openat2, statx,
};
use rustix::io::{Errno, read};

/// Most bytes read of a list of mounts, which the container can make long.
const MOUNTS_MAX: usize = 1024 * 1024;
/// File systems that answer without asking anybody outside the kernel.
const LOCAL: [&[u8]; 15] = [
    b"aufs",
    b"bcachefs",
    b"btrfs",
    b"erofs",
    b"ext2",
    b"ext3",
    b"ext4",
    b"f2fs",
    b"overlay",
    b"ramfs",
    b"rootfs",
    b"squashfs",
    b"tmpfs",
    b"xfs",
    b"zfs",
];

/// What `/etc/NAME` is in one layer of an image.
#[derive(Debug, Eq, PartialEq)]
pub(super) enum Layered {
    /// A file with these first bytes.
    File(Vec<u8>),
    /// Not in this layer: a lower one may have it.
    Absent,
    /// Something that is no file, and hides what lower layers have.
    Hidden,
}

/// What tells directories apart.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Identity {
    device: (u32, u32),
    inode: u64,
}

/// The root directory of a process, or of a layer of an image.
#[derive(Debug)]
pub(super) struct Root {
    handle: OwnedFd,
    mounts: PathBuf,
}

impl Root {
    /// The root of the process behind `process` (`/proc/PID`), to be checked before it is read.
    pub(super) fn open(process: &Path) -> Result<Self, Errno> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        Ok(Self {
            handle: open(process.join("root"), flags, Mode::empty())?,
            mounts: process.join("mountinfo"),
        })
    }

    /// That its file system answers without asking anybody outside the kernel.
    pub(super) fn check(&self) -> Result<(), Errno> {
        self.check_local(&self.handle)
    }

    /// The directory of one layer, as an overlay file system takes it.
    pub(super) fn of_layer(path: &Path) -> Result<Self, Errno> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let handle = open(path, flags, Mode::empty())?;
        let root = Self {
            handle,
            mounts: "/proc/self/mountinfo".into(),
        };
        root.check()?;
        Ok(root)
    }

    /// Which directory it is, in whichever mount namespace: what the kernel knows, whatever the
    /// file system.
    pub(super) fn identity(&self) -> Result<Identity, Errno> {
        let flags = AtFlags::EMPTY_PATH | AtFlags::STATX_DONT_SYNC;
        let found = statx(&self.handle, "", flags, StatxFlags::INO)?;
        Ok(Identity {
            device: (found.stx_dev_major, found.stx_dev_minor),
            inode: found.stx_ino,
        })
    }

    /// `/etc/NAME` in this layer.
    pub(super) fn layered_etc(&self, name: &str, max: usize) -> Layered {
        match self.read_etc(name, max) {
            Ok(bytes) => Layered::File(bytes),
            Err(Errno::NOENT) => Layered::Absent,
            Err(_) => Layered::Hidden,
        }
    }

    /// The first `max` bytes of `/etc/NAME`.
    pub(super) fn read_etc(&self, name: &str, max: usize) -> Result<Vec<u8>, Errno> {
        let handle = self.etc(name)?;
        if FileType::from_raw_mode(fstat(&handle)?.st_mode) != FileType::RegularFile {
            return Err(Errno::INVAL);
        }
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        let path = format!("/proc/self/fd/{}", handle.as_raw_fd());
        read_up_to(&open(path, flags, Mode::empty())?, max)
    }

    fn etc(&self, name: &str) -> Result<OwnedFd, Errno> {
        let inside = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
        let path = format!("etc/{name}");
        match handle(self.handle.as_fd(), &path, inside | ResolveFlags::NO_XDEV) {
            Err(Errno::XDEV) => self.etc_across_mounts(name),
            other => other,
        }
    }

    /// A file that is mounted over, as Kubernetes does: component by component and without links.
    fn etc_across_mounts(&self, name: &str) -> Result<OwnedFd, Errno> {
        let plain = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
        let etc = handle(self.handle.as_fd(), "etc", plain)?;
        self.check_local(&etc)?;
        let file = handle(etc.as_fd(), name, plain)?;
        self.check_local(&file)?;
        Ok(file)
    }

    fn check_local(&self, handle: &OwnedFd) -> Result<(), Errno> {
        let info = head(format!("/proc/self/fdinfo/{}", handle.as_raw_fd()))?;
        let mount = mount_id(&info).ok_or(Errno::NODEV)?;
        let mounts = head(&self.mounts)?;
        let kind = file_system(&mounts, mount).ok_or(Errno::NODEV)?;
        if LOCAL.contains(&kind) {
            Ok(())
        } else {
            Err(Errno::OPNOTSUPP)
        }
    }
}

fn handle(base: BorrowedFd<'_>, path: &str, resolve: ResolveFlags) -> Result<OwnedFd, Errno> {
    openat2(
        base,
        path,
        OFlags::PATH | OFlags::CLOEXEC,
        Mode::empty(),
        resolve,
    )
}

/// The first bytes of a file of the kernel's.
fn head(path: impl AsRef<Path>) -> Result<Vec<u8>, Errno> {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC;
    read_up_to(
        &rustix::fs::openat(CWD, path.as_ref(), flags, Mode::empty())?,
        MOUNTS_MAX,
    )
}

fn read_up_to(file: &OwnedFd, max: usize) -> Result<Vec<u8>, Errno> {
    let mut bytes = Vec::new();
    let mut chunk = vec![0; 16 * 1024];
    while bytes.len() < max {
        let count = match read(file, &mut *chunk) {
            Err(Errno::INTR) => continue,
            other => other?,
        };
        if count == 0 {
            break;
        }
        bytes.extend(chunk.iter().take(count.min(max - bytes.len())));
    }
    Ok(bytes)
}

/// `mnt_id: 123` in `/proc/self/fdinfo/FD`.
fn mount_id(info: &[u8]) -> Option<u64> {
    let line = info
        .split(|byte| *byte == b'\n')
        .find_map(|l| l.strip_prefix(b"mnt_id:"))?;
    std::str::from_utf8(line.trim_ascii()).ok()?.parse().ok()
}

/// The type of the file system of a mount in `/proc/PID/mountinfo`.
fn file_system(mounts: &[u8], mount: u64) -> Option<&[u8]> {
    let mount = mount.to_string();
    mounts.split(|byte| *byte == b'\n').find_map(|line| {
        let mut words = line.split(|byte| *byte == b' ');
        (words.next()? == mount.as_bytes()).then_some(())?;
        words.find(|word| *word == b"-")?;
        words.next()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_type_of_a_mount_is_found() {
        let mounts = b"31 23 0:28 / / rw,relatime shared:1 - overlay overlay rw,lowerdir=/a\n\
            312 31 0:29 / /etc rw - fuse.sshfs x rw\n313 31 0:30 / /cut rw -";
        for (mount, expected) in [
            (31, Some(&b"overlay"[..])),
            (312, Some(b"fuse.sshfs")),
            (3, None),
            (313, None),
        ] {
            assert_eq!(file_system(mounts, mount), expected, "{mount}");
        }
        assert_eq!(
            mount_id(b"pos:\t0\nflags:\t0\nmnt_id:\t31\nino:\t7\n"),
            Some(31)
        );
        assert_eq!(mount_id(b"pos:\t0\n"), None);
    }
}
