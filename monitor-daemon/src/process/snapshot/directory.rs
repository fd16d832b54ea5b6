//! Files below one `/proc/PID`, all read through one handle on that directory.

use std::path::Path;

use rustix::fd::OwnedFd;
use rustix::fs::{AtFlags, CWD, Mode, OFlags, StatxFlags, openat, readlinkat, statx};
use rustix::io::{Errno, read};

/// Bytes read at once.
const CHUNK: usize = 16 * 1024;
/// Most bytes read of any file; an argument vector cannot be larger on a sane system.
const READ_MAX: usize = 64 * 1024 * 1024;

/// A process's directory. Once the process is gone every read fails, even when its pid is in use
/// again.
#[derive(Debug)]
pub(super) struct Directory(OwnedFd);

/// What a link leads to.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) struct Target {
    pub(super) inode: u64,
    /// Change and modification, ns since the epoch.
    pub(super) ctime: u64,
    pub(super) mtime: u64,
}

/// Bytes of a file of which only head and tail were kept.
#[derive(Debug, Default)]
pub(super) struct HeadAndTail {
    pub(super) bytes: Vec<u8>,
    pub(super) full_len: usize,
}

impl Directory {
    pub(super) fn open(proc_root: &Path, pid: u32) -> Result<Self, Errno> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        openat(CWD, proc_root.join(pid.to_string()), flags, Mode::empty()).map(Self)
    }

    /// The first `max` bytes of a file.
    pub(super) fn head(&self, name: &str, max: usize) -> Result<Vec<u8>, Errno> {
        let file = self.file(name)?;
        let mut bytes = Vec::new();
        while bytes.len() < max {
            let room = CHUNK.min(max - bytes.len());
            if append(&file, &mut bytes, room)? == 0 {
                break;
            }
        }
        Ok(bytes)
    }

    /// The first and the last half of `max` bytes of a file; all of it when it has no more.
    pub(super) fn head_and_tail(&self, name: &str, max: usize) -> Result<HeadAndTail, Errno> {
        let file = self.file(name)?;
        let mut kept = HeadAndTail::default();
        while kept.full_len < READ_MAX {
            let count = append(&file, &mut kept.bytes, CHUNK)?;
            if count == 0 {
                break;
            }
            kept.full_len += count;
            // Enough is left for a whole last half, whatever comes.
            cut_middle(&mut kept.bytes, max / 2, max);
        }
        if kept.full_len > max {
            cut_middle(&mut kept.bytes, max / 2, max - max / 2);
        }
        Ok(kept)
    }

    pub(super) fn link(&self, name: &str) -> Result<Vec<u8>, Errno> {
        readlinkat(&self.0, name, Vec::new()).map(std::ffi::CString::into_bytes)
    }

    /// The file that one of the kernel's links leads to, as far as the kernel knows it: no file system
    /// is asked over a network.
    pub(super) fn target(&self, name: &str) -> Result<Target, Errno> {
        let wanted = StatxFlags::INO | StatxFlags::CTIME | StatxFlags::MTIME;
        let found = statx(&self.0, name, AtFlags::STATX_DONT_SYNC, wanted)?;
        let ns = |seconds: i64, ns: u32| {
            let seconds = u64::try_from(seconds).unwrap_or_default();
            seconds.saturating_mul(1_000_000_000) + u64::from(ns)
        };
        Ok(Target {
            inode: found.stx_ino,
            ctime: ns(found.stx_ctime.tv_sec, found.stx_ctime.tv_nsec),
            mtime: ns(found.stx_mtime.tv_sec, found.stx_mtime.tv_nsec),
        })
    }

    fn file(&self, name: &str) -> Result<OwnedFd, Errno> {
        openat(
            &self.0,
            name,
            OFlags::RDONLY | OFlags::CLOEXEC,
            Mode::empty(),
        )
    }
}

/// Reads up to `count` bytes behind what `bytes` holds; 0 at the end of the file.
fn append(file: &OwnedFd, bytes: &mut Vec<u8>, count: usize) -> Result<usize, Errno> {
    let before = bytes.len();
    bytes.resize(before + count, 0);
    let room = bytes.get_mut(before..).unwrap_or_default();
    let got = loop {
        match read(file, &mut *room) {
            Err(Errno::INTR) => {}
            other => break other,
        }
    };
    bytes.truncate(before + got.unwrap_or_default());
    got
}

/// Keeps the first `head` and the last `tail` bytes.
fn cut_middle(bytes: &mut Vec<u8>, head: usize, tail: usize) {
    if bytes.len() > head + tail {
        bytes.drain(head..bytes.len() - tail);
    }
}
