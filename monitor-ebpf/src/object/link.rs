//! Symbolic and hard links that succeed: `security_path_*` knows the mount, `vfs_*` the result.
//!
//! Both names are the kernel's. Overlays call `vfs_*` again for their layers, with other dentries.

use core::arch::asm;

use aya_ebpf::helpers::bpf_get_current_pid_tgid;
use aya_ebpf::macros::{fentry, fexit, map};
use aya_ebpf::maps::HashMap;
use aya_ebpf::programs::{FEntryContext, FExitContext};
use aya_ebpf::{EbpfContext, Global};
use monitor_common::loss::LossReason;
use monitor_common::syscall::Operation;
use monitor_common::{Flags, Kind, Slot};

use crate::again;
use crate::emit::settle;
use crate::file::{self, AT_FDCWD, LinkArguments};
use crate::layout::*;
use crate::noted::{self, Notes};
use crate::numbers;
use crate::read::{Pointer, Probed, Read, Typed};
use crate::record::{self, Origin, Record};
use crate::scratch::COMMON;
use crate::syscall::{Call, current_call, link_arguments};
use crate::walk::Place;

const LINKS: [Operation; 4] = [
    Operation::Symlink,
    Operation::SymlinkAt,
    Operation::Link,
    Operation::LinkAt,
];

/// New names under way, by thread: more than wait for a folder at once. A link without room for its
/// name is a loss.
#[map]
static LINKINGS: HashMap<u64, [u64; 2]> = HashMap::with_max_entries(4096, 0);

/// `security_path_symlink(const struct path *dir, struct dentry *dentry, const char *old_name)`,
/// 5.10 to 7.2.
#[fentry(function = "security_path_symlink")]
pub fn symlink_begin(ctx: FEntryContext) -> i32 {
    begin(Kind::Symlink, ctx.arg(0), ctx.arg(1))
}

/// `security_path_link(struct dentry *old_dentry, const struct path *new_dir, struct dentry
/// *new_dentry)`, 5.10 to 7.2.
#[fentry(function = "security_path_link")]
pub fn link_begin(ctx: FEntryContext) -> i32 {
    begin(Kind::Link, ctx.arg(1), ctx.arg(2))
}

#[inline(always)]
fn begin(kind: Kind, directory: Pointer, dentry: Pointer) -> i32 {
    // SAFETY: arguments of the hook are typed.
    let mnt: u64 = unsafe { Typed::get(directory, &PATH_MNT) };
    noted::made(Notes::Linkings);
    let kept = LINKINGS.insert(bpf_get_current_pid_tgid(), [dentry as u64, mnt], 0);
    settle(kind, kept.map_err(|_| LossReason::StateEvicted))
}

/// Forgets the new name of the current thread, which ends.
#[inline(always)]
pub fn forget() {
    if noted::any(Notes::Linkings) {
        let _ = LINKINGS.remove(bpf_get_current_pid_tgid());
    }
}

/// `vfs_symlink(…, struct dentry *dentry, const char *oldname, …)`, 5.10 to 7.2: the parameters
/// move.
#[fexit(function = "vfs_symlink")]
pub fn symlink_done(ctx: FExitContext) -> i32 {
    let Some(place) = linked(&ctx, &VFS_SYMLINK_DENTRY, &VFS_SYMLINK_RESULT) else {
        return 0;
    };
    let target = argument(&ctx, &VFS_SYMLINK_TARGET);
    report(Kind::Symlink, place, |record| {
        record.string(Slot::Target, Origin::Kernel, target as Pointer);
    })
}

/// `vfs_link(struct dentry *old_dentry, …, struct dentry *new_dentry, …)`, 5.10 to 7.2: the
/// parameters move.
#[fexit(function = "vfs_link")]
pub fn link_done(ctx: FExitContext) -> i32 {
    let Some(place) = linked(&ctx, &VFS_LINK_NEW, &VFS_LINK_RESULT) else {
        return 0;
    };
    // A link never crosses mounts.
    let target = Place {
        dentry: argument(&ctx, &VFS_LINK_OLD),
        mnt: place.mnt,
    };
    report(Kind::Link, place, |record| {
        record.place(Slot::Target, target);
    })
}

/// Where the new name is, if this is the link that the thread began and it succeeded.
#[inline(always)]
fn linked(ctx: &FExitContext, dentry: &Global<u32>, result: &Global<u32>) -> Option<Place> {
    let thread = bpf_get_current_pid_tgid();
    // Counted when it began, if there was no room. SAFETY: only the thread itself changes its entry.
    let &[begun, mnt] = unsafe { LINKINGS.get(thread) }?;
    if begun != argument(ctx, dentry) {
        return None;
    }
    let _ = LINKINGS.remove(thread);
    (argument(ctx, result) as i32 == 0).then_some(Place { dentry: begun, mnt })
}

/// A parameter of the function by its position; its result is behind the last one.
///
/// The position is a constant for the verifier, which leaves one arm. Written as loads with
/// offsets of their own, which alone are allowed from a program's context: the compiler would add
/// position and context.
#[inline(always)]
fn argument(ctx: &FExitContext, position: &Global<u32>) -> u64 {
    match position.load() {
        0 => load::<0>(ctx),
        1 => load::<8>(ctx),
        2 => load::<16>(ctx),
        3 => load::<24>(ctx),
        4 => load::<32>(ctx),
        5 => load::<40>(ctx),
        _ => 0,
    }
}

#[inline(always)]
fn load<const OFFSET: i32>(ctx: &FExitContext) -> u64 {
    let value: u64;
    // SAFETY: the verifier checks that the function has as many parameters.
    unsafe {
        asm!("{value} = *(u64 *)({ctx} + {offset})", value = out(reg) value,
             ctx = in(reg) ctx.as_ptr(), offset = const OFFSET);
    }
    value
}

#[inline(always)]
fn report(kind: Kind, place: Place, target: impl FnOnce(&Record<COMMON>)) -> i32 {
    again::tells_call();
    let (call, link) = asked();
    if numbers::refuses(kind as u32, &call) {
        return 0;
    }
    let outcome = record::with::<Probed>(kind as u32, call.flags, |record| {
        file::link_body(record, &call, &link);
        record.place(Slot::Resolved, place);
        file::passed(record, Origin::User, link.path as Pointer, link.dirfd);
        target(record);
        record.emit(kind)
    });
    settle(kind, outcome)
}

/// The call behind a link, and its arguments; for `io_uring` none.
#[inline(always)]
fn asked() -> (Call, LinkArguments) {
    let mut call = current_call(0);
    for operation in LINKS {
        if call.is(operation) {
            let link = link_arguments(operation as u8, &call);
            // What is reported is the resolved path.
            return (
                call,
                LinkArguments {
                    target_dirfd: AT_FDCWD,
                    ..link
                },
            );
        }
    }
    call.number = 0;
    call.flags = Flags::OBJECT_TIER;
    let none = LinkArguments {
        dirfd: AT_FDCWD,
        path: 0,
        target_dirfd: AT_FDCWD,
        target: 0,
        flags: 0,
    };
    (call, none)
}
