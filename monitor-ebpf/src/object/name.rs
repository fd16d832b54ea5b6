//! Names of calls that their registers tell: the kernel asks its security modules with the objects
//! in hand, before it acts. The end of the call tells them with its result.
//!
//! The parameters of these functions are the same from 5.10 to 7.2.

use aya_ebpf::macros::{fentry, fexit};
use aya_ebpf::programs::{FEntryContext, FExitContext};
use monitor_common::Kind;

use crate::emit::settle;
use crate::layout::*;
use crate::name::{self, Which};
use crate::read::{Pointer, Probed, Read, Typed, current};
use crate::syscall::{is_told, thread, told};
use crate::uring;
use crate::walk::{self, Place};

/// `PF_IO_WORKER` of `include/linux/sched.h`.
const IO_WORKER: u32 = 0x10;
/// `PF_KTHREAD`
const KERNEL_THREAD: u32 = 0x20_0000;

/// Who comes to a hook for what is told of here.
#[derive(Clone, Copy)]
enum Through {
    /// Calls. Others come too, who are told otherwise.
    Calls,
    /// Workers of `io_uring` as well.
    CallsAndRequests,
}

/// `security_path_unlink(const struct path *dir, struct dentry *dentry)`
#[fentry(function = "security_path_unlink")]
pub fn unlink_name(ctx: FEntryContext) -> i32 {
    let through = Through::CallsAndRequests;
    one(Kind::Remove, through, below(ctx.arg(0), ctx.arg(1)))
}

/// `security_path_rmdir(const struct path *dir, struct dentry *dentry)`
#[fentry(function = "security_path_rmdir")]
pub fn rmdir_name(ctx: FEntryContext) -> i32 {
    let through = Through::CallsAndRequests;
    one(Kind::Remove, through, below(ctx.arg(0), ctx.arg(1)))
}

/// `security_path_mkdir(const struct path *dir, struct dentry *dentry, umode_t mode)`
#[fentry(function = "security_path_mkdir")]
pub fn mkdir_name(ctx: FEntryContext) -> i32 {
    let through = Through::CallsAndRequests;
    one(Kind::Mkdir, through, below(ctx.arg(0), ctx.arg(1)))
}

/// `security_path_mknod(const struct path *dir, struct dentry *dentry, umode_t mode, unsigned int
/// dev)`, for opens and binds too.
#[fentry(function = "security_path_mknod")]
pub fn mknod_name(ctx: FEntryContext) -> i32 {
    one(Kind::Call, Through::Calls, below(ctx.arg(0), ctx.arg(1)))
}

/// `security_path_rename(const struct path *old_dir, struct dentry *old_dentry, const struct path
/// *new_dir, struct dentry *new_dentry, unsigned int flags)`
#[fentry(function = "security_path_rename")]
pub fn rename_names(ctx: FEntryContext) -> i32 {
    let new = below(ctx.arg(2), ctx.arg(3));
    let old = below(ctx.arg(0), ctx.arg(1));
    two(Kind::Rename, Through::CallsAndRequests, new, old)
}

/// `security_path_chmod(const struct path *path, umode_t mode)`
#[fentry(function = "security_path_chmod")]
pub fn chmod_name(ctx: FEntryContext) -> i32 {
    one(Kind::Mode, Through::Calls, at(ctx.arg(0)))
}

/// `chown_common(const struct path *path, uid_t user, gid_t group)`. Before 6.1 no program takes
/// structs by value, which the ids of `security_path_chown` are.
#[fentry(function = "chown_common")]
pub fn chown_name(ctx: FEntryContext) -> i32 {
    one(Kind::Call, Through::Calls, at(ctx.arg(0)))
}

/// `security_path_truncate(const struct path *path)`, for opens too.
#[fentry(function = "security_path_truncate")]
pub fn truncate_name(ctx: FEntryContext) -> i32 {
    one(Kind::Call, Through::Calls, at(ctx.arg(0)))
}

/// `vfs_utimes(const struct path *path, struct timespec64 *times)`
#[fentry(function = "vfs_utimes")]
pub fn times_name(ctx: FEntryContext) -> i32 {
    one(Kind::Call, Through::Calls, at(ctx.arg(0)))
}

/// `set_fs_pwd(struct fs_struct *fs, const struct path *path)`
#[fentry(function = "set_fs_pwd")]
pub fn chdir_name(ctx: FEntryContext) -> i32 {
    one(Kind::Call, Through::Calls, at(ctx.arg(1)))
}

/// `security_path_chroot(const struct path *path)`
#[fentry(function = "security_path_chroot")]
pub fn chroot_name(ctx: FEntryContext) -> i32 {
    one(Kind::Control, Through::Calls, at(ctx.arg(0)))
}

/// `security_sb_mount(const char *dev_name, const struct path *path, const char *type, unsigned long
/// flags, void *data)`. What is mounted is a text, of which this is the kernel's copy.
#[fentry(function = "security_sb_mount")]
pub fn mount_names(ctx: FEntryContext) -> i32 {
    let Some(owner) = owner(Kind::Control, Through::Calls) else {
        return 0;
    };
    let path = at(ctx.arg(1));
    let kept = name::keep(owner, Which::Main, path())
        .and_then(|()| name::keep_text(owner, Which::Target, ctx.arg(0)));
    settle(Kind::Control, kept)
}

/// `security_sb_umount(struct vfsmount *mnt, int flags)`
#[fentry(function = "security_sb_umount")]
pub fn umount_name(ctx: FEntryContext) -> i32 {
    let mnt: Pointer = ctx.arg(0);
    let place = || Place {
        // SAFETY: probed.
        dentry: unsafe { Probed::get(mnt, &VFSMOUNT_ROOT) },
        mnt: mnt as u64,
    };
    one(Kind::Control, Through::Calls, place)
}

/// `security_move_mount(const struct path *from_path, const struct path *to_path)`
#[fentry(function = "security_move_mount")]
pub fn move_mount_names(ctx: FEntryContext) -> i32 {
    let (from, to) = (at(ctx.arg(0)), at(ctx.arg(1)));
    two(Kind::Control, Through::Calls, to, from)
}

/// `security_sb_pivotroot(const struct path *old_path, const struct path *new_path)`
#[fentry(function = "security_sb_pivotroot")]
pub fn pivot_root_names(ctx: FEntryContext) -> i32 {
    let (old, new) = (at(ctx.arg(0)), at(ctx.arg(1)));
    two(Kind::Control, Through::Calls, new, old)
}

/// `filename_lookup(int dfd, struct filename *name, unsigned flags, struct path *path, struct path
/// *root)`, for calls that ask no security module with a path. Calls that look two paths up, or one
/// that is not theirs, are left out.
#[fexit(function = "filename_lookup")]
pub fn attribute_name(ctx: FExitContext) -> i32 {
    found(&ctx, Kind::Call, &ATTRIBUTES)
}

/// The same.
#[fexit(function = "filename_lookup")]
pub fn tree_name(ctx: FExitContext) -> i32 {
    found(&ctx, Kind::Control, &TREES)
}

/// `security_file_open(struct file *file)`, for calls that open a file of their own.
#[fentry(function = "security_file_open")]
pub fn opened_name(ctx: FEntryContext) -> i32 {
    if !told(Kind::Control).is_some_and(|number| OPENERS.contains(&number)) {
        return 0;
    }
    let file: Pointer = ctx.arg(0);
    // SAFETY: probed.
    let place = move || unsafe { walk::place_at::<Probed>(file, FILE_PATH.load()) };
    one(Kind::Control, Through::Calls, place)
}

/// x86-64 numbers of `setxattr`, `lsetxattr`, `removexattr` and `lremovexattr`, `setxattrat`,
/// `removexattrat` and `file_setattr`.
const ATTRIBUTES: [u32; 7] = [188, 189, 197, 198, 463, 466, 469];
/// Of `open_tree`, `fspick`, `mount_setattr` and `open_tree_attr`.
const TREES: [u32; 4] = [428, 433, 442, 467];
/// Of `swapon`, `swapoff` and `acct`.
const OPENERS: [u32; 3] = [167, 168, 163];

/// Notes what one of these calls has looked up.
#[inline(always)]
fn found<const COUNT: usize>(ctx: &FExitContext, kind: Kind, calls: &[u32; COUNT]) -> i32 {
    let failed = ctx.arg::<u64>(5) as i32 != 0;
    if failed || !told(kind).is_some_and(|number| calls.contains(&number)) {
        return 0;
    }
    one(kind, Through::Calls, at(ctx.arg(3)))
}

/// Notes the one name of a call.
#[inline(always)]
fn one(kind: Kind, through: Through, place: impl FnOnce() -> Place) -> i32 {
    let Some(owner) = owner(kind, through) else {
        return 0;
    };
    settle(kind, name::keep(owner, Which::Main, place()))
}

/// Notes both names of a call.
#[inline(always)]
fn two(
    kind: Kind,
    through: Through,
    main: impl FnOnce() -> Place,
    target: impl FnOnce() -> Place,
) -> i32 {
    let Some(owner) = owner(kind, through) else {
        return 0;
    };
    let kept = name::keep(owner, Which::Main, main())
        .and_then(|()| name::keep(owner, Which::Target, target()));
    settle(kind, kept)
}

/// Whom a name is noted for, if somebody is told of it.
#[inline(always)]
fn owner(kind: Kind, through: Through) -> Option<u64> {
    // SAFETY: the current task is typed.
    let flags: u32 = unsafe { Typed::get(current(), &TASK_FLAGS) };
    if flags & IO_WORKER != 0 {
        return match through {
            Through::Calls => None,
            Through::CallsAndRequests => uring::awaited(),
        };
    }
    (flags & KERNEL_THREAD == 0 && is_told(kind)).then(thread)
}

/// The place of a `struct path *`, an argument of the hook.
#[inline(always)]
fn at(path: Pointer) -> impl FnOnce() -> Place {
    // SAFETY: probed.
    move || unsafe { walk::place_at::<Probed>(path, 0) }
}

/// The place of a name in a directory, arguments of the hook.
#[inline(always)]
fn below(directory: Pointer, dentry: Pointer) -> impl FnOnce() -> Place {
    move || Place {
        dentry: dentry as u64,
        // SAFETY: probed.
        mnt: unsafe { Probed::get(directory, &PATH_MNT) },
    }
}
