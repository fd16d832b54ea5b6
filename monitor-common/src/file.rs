//! Bodies of file records.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// An open. Slots: `Resolved` (successful opens), `Passed`, `Cwd`, `Base`, `Original`.
#[derive(Clone, Copy, Debug, FromBytes, Immutable, IntoBytes, KnownLayout)]
#[repr(C)]
pub struct Open {
    /// File descriptor, or a negative errno.
    pub ret: i64,
    /// Inode of the file.
    pub inode: u64,
    /// Device of the file, the kernel's `major << 20 | minor`.
    pub dev: u32,
    /// `O_*` as passed (`struct file`'s `f_flags` where the passed ones are not at hand).
    pub flags: u32,
    /// Creation mode as passed.
    pub create_mode: u32,
    /// `i_mode`: file type and permissions.
    pub inode_mode: u32,
    /// `f_mode` of the `struct file` (`FMODE_*`).
    pub file_mode: u32,
    /// [`crate::process::ExeFlags::UPPER_LAYER`], `LOWER_LAYER`, `MEMFD`, `UNLINKED`.
    pub layer: u32,
    /// System call number (x86-64), 0 for `io_uring` and when unknown.
    pub syscall: u32,
    /// Descriptor that a relative path starts from, or `AT_FDCWD`.
    pub dirfd: i32,
}

/// A symlink or hard link. Slots: `Passed` is the new name (`linkpath`, `newpath`), `Target` what
/// it points to (`target`, `oldpath`), `Base` and `TargetBase` their directories, `Resolved` the
/// new name as the kernel resolved it where it is known, and `Cwd`. On the object tier `Target` of a
/// hard link that succeeded is the resolved path, and `TargetBase` is empty.
#[derive(Clone, Copy, Debug, FromBytes, Immutable, IntoBytes, KnownLayout)]
#[repr(C)]
pub struct Link {
    /// 0 or a negative errno.
    pub ret: i64,
    /// System call number (x86-64), 0 when unknown.
    pub syscall: u32,
    /// `newdirfd`, or `AT_FDCWD`.
    pub dirfd: i32,
    /// `olddirfd` of `linkat`, or `AT_FDCWD`.
    pub target_dirfd: i32,
    /// `AT_*` flags of `linkat`.
    pub flags: u32,
}

const _: () = assert!(size_of::<Open>() == 48);
const _: () = assert!(size_of::<Link>() == 24);
