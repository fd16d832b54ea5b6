//! From a dentry and its mount to the text of the path, as `d_path` would give it, from any hook.
//!
//! The walk goes up component by component and across mounts to the top of the mount namespace,
//! writing from the end of a buffer. It keeps its state in map memory and goes on in two nested
//! functions of their own, which take and give plain numbers: the verifier looks at such a function
//! once in each program, for any numbers, and never into it from a call. So a walk of thousands of
//! steps costs it a few rounds of the inner function and a few hundred calls. (`bpf_loop`, from
//! 5.17, is no cure: kernels since 6.8 verify its callback a hundred times over.)

use aya_ebpf::helpers::generated::bpf_probe_read_kernel;
use monitor_common::PATH_MAX;

use crate::layout::*;
use crate::read::{Pointer, Probed, Read, current};
use crate::scratch;

/// Longest text: `PATH_MAX` less the NUL that is not written.
const TEXT_MAX: u32 = PATH_MAX as u32 - 1;
const NAME_MAX: u32 = 255;
/// Steps in one call of the inner function, and calls of it: longest paths have 2047 components of
/// one byte; the rest is for mounts.
const STEPS: u32 = 16;
const ROUNDS: u32 = 256;

/// A file's place: a `struct path`, as numbers.
#[derive(Clone, Copy)]
pub struct Place {
    /// `struct dentry *`
    pub dentry: u64,
    /// `struct vfsmount *`
    pub mnt: u64,
}

/// How a walk ended.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct End;

impl End {
    /// Out of steps, or of room.
    pub const TRUNCATED: u32 = 0;
    /// At the root of the task's mount namespace.
    pub const ROOT: u32 = 1;
    /// At a root that is not the task's.
    pub const DETACHED: u32 = 2;
    /// It never began: a file without a directory, such as a memfd. The text is its name.
    pub const PSEUDO: u32 = 3;
}

/// State of a walk, in map memory.
#[repr(C)]
pub struct Walk {
    dentry: u64,
    mnt: u64,
    /// Root dentry of `mnt`.
    root: u64,
    /// The task's mount namespace.
    home: u64,
    /// The mount of the root file system that the walk came to (`struct vfsmount *`).
    top: u64,
    /// The same, if the latest walk to [`Slot::Resolved`](monitor_common::Slot) came there from
    /// where a mount shows a file that lies elsewhere, or never came there; else 0.
    elsewhere: u64,
    /// Number by which [`scratch::walk_of`] finds this.
    pub number: u32,
    /// Where the text begins.
    pub start: u32,
    /// One of [`End`].
    pub end: u32,
    /// Whether a mount on the way shows something that lies elsewhere.
    moved: u32,
    /// The text, and room for a last name so that every write is within bounds.
    pub text: [u8; PATH_MAX + NAME_MAX as usize + 1],
}

/// Where the current task works.
#[inline(always)]
pub fn cwd() -> Place {
    place_of_task(&FS_PWD)
}

/// The current task's root.
#[inline(always)]
fn root() -> Place {
    place_of_task(&FS_ROOT)
}

#[inline(always)]
fn place_of_task(member: &Member) -> Place {
    // SAFETY: probed.
    unsafe {
        let fs: Pointer = Probed::get(current(), &TASK_FS);
        place_at::<Probed>(fs, member.load())
    }
}

/// The `struct path` at `offset` bytes from `base`.
///
/// # Safety
/// As for [`Read::at`].
#[inline(always)]
pub unsafe fn place_at<R: Read>(base: Pointer, offset: u32) -> Place {
    // SAFETY: the caller's.
    unsafe {
        Place {
            dentry: R::at(base, offset + PATH_DENTRY.load()),
            mnt: R::at(base, offset + PATH_MNT.load()),
        }
    }
}

/// Tells a walk which mount namespace is the task's.
///
/// # Safety
/// `walk` points into a map value.
#[inline(always)]
pub unsafe fn set_home(walk: *mut Walk, home: u64) {
    // SAFETY: the caller's.
    unsafe { (&raw mut (*walk).home).write_volatile(home) };
}

/// The current task's mount namespace.
#[inline(always)]
pub fn home() -> u64 {
    // SAFETY: probed.
    unsafe {
        let proxy: Pointer = Probed::get(current(), &TASK_NSPROXY);
        Probed::get(proxy, &NSPROXY_MNT)
    }
}

/// Says where a walk is to start.
///
/// # Safety
/// `walk` points into a map value.
#[inline(always)]
pub unsafe fn begin(walk: *mut Walk, from: Place) {
    // SAFETY: the caller's.
    unsafe {
        (&raw mut (*walk).dentry).write_volatile(from.dentry);
        (&raw mut (*walk).mnt).write_volatile(from.mnt);
    }
}

/// Walks; the text is then in `walk.text` from `walk.start`, and its length is returned.
///
/// # Safety
/// `walk` points into a map value.
#[inline(always)]
pub unsafe fn walk(walk: *mut Walk) -> u32 {
    // SAFETY: the caller's.
    unsafe {
        let mnt = (&raw const (*walk).mnt).read_volatile();
        let root = Probed::get::<u64>(mnt as Pointer, &VFSMOUNT_ROOT);
        (&raw mut (*walk).root).write_volatile(root);
        (&raw mut (*walk).start).write_volatile(TEXT_MAX);
        (&raw mut (*walk).end).write_volatile(End::TRUNCATED);
        (&raw mut (*walk).top).write_volatile(0);
        (&raw mut (*walk).moved).write_volatile(0);
        walk_far((&raw const (*walk).number).read_volatile());
        finish(walk)
    }
}

/// Notes, after a walk to a file, whether a mount showed it elsewhere than where it lies.
///
/// # Safety
/// `walk` points into a map value.
#[inline(always)]
pub unsafe fn keep_elsewhere(walk: *mut Walk) {
    // SAFETY: the caller's.
    unsafe {
        let elsewhere = match (&raw const (*walk).end).read_volatile() {
            End::ROOT if (&raw const (*walk).moved).read_volatile() != 0 => {
                (&raw const (*walk).top).read_volatile()
            }
            // A tree that is mounted nowhere.
            End::DETACHED => root().mnt,
            _ => 0,
        };
        (&raw mut (*walk).elsewhere).write_volatile(elsewhere);
    }
}

/// Says where a walk in the root file system is to start, if a mount shows the file elsewhere.
///
/// # Safety
/// `walk` points into a map value; the latest walk to a file was one to `from`.
#[inline(always)]
pub unsafe fn begin_original(walk: *mut Walk, from: Place) -> bool {
    // SAFETY: the caller's.
    unsafe {
        if (&raw const (*walk).elsewhere).read_volatile() == 0 {
            return false;
        }
        begin(walk, from);
    }
    true
}

/// Walks to where a file is in the root file system; the length of the text, 0 if it is in another
/// file system.
///
/// # Safety
/// `walk` points into a map value, and was begun.
#[inline(always)]
pub unsafe fn walk_original(walk: *mut Walk) -> u32 {
    // SAFETY: the caller's; probed.
    unsafe {
        let top = (&raw const (*walk).elsewhere).read_volatile() as Pointer;
        let mnt = (&raw const (*walk).mnt).read_volatile() as Pointer;
        if Probed::get::<u64>(mnt, &VFSMOUNT_SB) != Probed::get::<u64>(top, &VFSMOUNT_SB) {
            return 0;
        }
        // No mount is crossed: the walk ends at the root of that mount, or of the file system.
        (&raw mut (*walk).mnt).write_volatile(0);
        (&raw mut (*walk).root).write_volatile(Probed::get(top, &VFSMOUNT_ROOT));
        (&raw mut (*walk).start).write_volatile(TEXT_MAX);
        (&raw mut (*walk).end).write_volatile(End::TRUNCATED);
        walk_far((&raw const (*walk).number).read_volatile());
        let start = (&raw const (*walk).start).read_volatile();
        match (&raw const (*walk).end).read_volatile() {
            End::ROOT | End::DETACHED => TEXT_MAX.wrapping_sub(start) & 0xfff,
            _ => 0,
        }
    }
}

/// Goes on with a walk until it ends.
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn walk_far(number: u32) -> u32 {
    let mut round = 0;
    while round < ROUNDS && walk_on(number) == 0 {
        round += 1;
    }
    round
}

/// Goes on with a walk for a while; 1 when it has ended.
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn walk_on(number: u32) -> u32 {
    let Some(walk) = scratch::walk_of(number) else {
        return 1;
    };
    let mut taken = 0;
    while taken < STEPS {
        // SAFETY: a checked map value.
        if unsafe { step(walk) } != 0 {
            return 1;
        }
        taken += 1;
    }
    0
}

/// Decides what the end of the walk means.
#[inline(always)]
unsafe fn finish(walk: *mut Walk) -> u32 {
    // SAFETY: the caller's.
    unsafe {
        let mut start = (&raw const (*walk).start).read_volatile();
        if (&raw const (*walk).end).read_volatile() == End::ROOT {
            if start == TEXT_MAX {
                start = TEXT_MAX - 1;
                (*walk).text[start as usize] = b'/';
                (&raw mut (*walk).start).write_volatile(start);
            }
            let mnt = (&raw const (*walk).mnt).read_volatile() as Pointer;
            let mount = mnt.wrapping_sub(MOUNT_MNT.load() as usize);
            let home = (&raw const (*walk).home).read_volatile();
            if Probed::get::<u64>(mount, &MOUNT_NS) != home {
                (&raw mut (*walk).end).write_volatile(End::DETACHED);
            }
        }
        TEXT_MAX.wrapping_sub(start) & 0xfff
    }
}

/// One component or one mount; 1 ends the walk.
#[inline(always)]
unsafe fn step(walk: *mut Walk) -> u32 {
    // SAFETY: the caller's.
    unsafe {
        let dentry = (&raw const (*walk).dentry).read_volatile();
        if dentry == (&raw const (*walk).root).read_volatile() {
            return cross_mount(walk);
        }
        let (parent, name, len) = component(dentry as Pointer);
        if parent == dentry {
            return no_parent(walk, name, len);
        }
        let start = (&raw const (*walk).start).read_volatile();
        if start > TEXT_MAX || start < len + 1 {
            return 1;
        }
        let slash = prepend(walk, start, name, len).wrapping_sub(1) & 0xfff;
        (*walk).text[slash as usize] = b'/';
        (&raw mut (*walk).start).write_volatile(slash);
        (&raw mut (*walk).dentry).write_volatile(parent);
        0
    }
}

/// Parent and name of a dentry. The members lie side by side on all known kernels: one read.
#[inline(always)]
unsafe fn component(dentry: Pointer) -> (u64, Pointer, u32) {
    // SAFETY: probed reads take any address.
    unsafe {
        let side_by_side = DENTRY_NAME_LEN.load() == DENTRY_PARENT.load() + 12
            && DENTRY_NAME.load() == DENTRY_PARENT.load() + 16;
        let (parent, len, name) = if side_by_side {
            let words: [u64; 3] = Probed::get(dentry, &DENTRY_PARENT);
            (words[0], (words[1] >> 32) as u32, words[2])
        } else {
            let parent: u64 = Probed::get(dentry, &DENTRY_PARENT);
            let name: u64 = Probed::get(dentry, &DENTRY_NAME);
            (parent, Probed::get(dentry, &DENTRY_NAME_LEN), name)
        };
        (parent, name as Pointer, len & NAME_MAX)
    }
}

/// From the root of a mount to where it is mounted.
#[inline(always)]
unsafe fn cross_mount(walk: *mut Walk) -> u32 {
    // SAFETY: probed reads take any address.
    unsafe {
        let mnt = (&raw const (*walk).mnt).read_volatile() as Pointer;
        let mount = mnt.wrapping_sub(MOUNT_MNT.load() as usize);
        let parent: Pointer = Probed::get(mount, &MOUNT_PARENT);
        let top = (&raw const (*walk).top).read_volatile();
        if parent == mount || parent.is_null() {
            if top == 0 {
                (&raw mut (*walk).top).write_volatile(mnt as u64);
            }
            (&raw mut (*walk).end).write_volatile(End::ROOT);
            return 1;
        }
        let above = parent.wrapping_add(MOUNT_MNT.load() as usize);
        let point: u64 = Probed::get(mount, &MOUNT_POINT);
        let root: u64 = Probed::get(above, &VFSMOUNT_ROOT);
        if point == root && Probed::get::<Pointer>(parent, &MOUNT_PARENT) == parent {
            // The root file system lies over what the kernel began with.
            (&raw mut (*walk).top).write_volatile(mnt as u64);
        } else if point != (&raw const (*walk).root).read_volatile() {
            (&raw mut (*walk).moved).write_volatile(1);
        }
        (&raw mut (*walk).dentry).write_volatile(point);
        (&raw mut (*walk).mnt).write_volatile(above as u64);
        (&raw mut (*walk).root).write_volatile(root);
        0
    }
}

/// A dentry that has no parent and is not the root of its mount.
#[inline(always)]
unsafe fn no_parent(walk: *mut Walk, name: Pointer, len: u32) -> u32 {
    // SAFETY: as for `step`.
    unsafe {
        let start = (&raw const (*walk).start).read_volatile();
        if start == TEXT_MAX {
            let start = prepend(walk, TEXT_MAX, name, len);
            (&raw mut (*walk).start).write_volatile(start);
            (&raw mut (*walk).end).write_volatile(End::PSEUDO);
        } else {
            (&raw mut (*walk).end).write_volatile(End::DETACHED);
        }
        1
    }
}

/// Writes a name in front of `start`; returns where it begins.
#[inline(always)]
unsafe fn prepend(walk: *mut Walk, start: u32, name: Pointer, len: u32) -> u32 {
    let begin = start.wrapping_sub(len) & 0xfff;
    // SAFETY: at most 4095 + 255 bytes in, which `text` has.
    unsafe {
        let to = (&raw mut (*walk).text).cast::<u8>().add(begin as usize);
        bpf_probe_read_kernel(to.cast(), len, name.cast());
    }
    begin
}
