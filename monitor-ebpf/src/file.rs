//! Files: opens, symbolic and hard links.

use monitor_common::file::{Link, Open};
use monitor_common::process::ExeFlags;
use monitor_common::{Kind, Slot};

use crate::early::{self, Verdict};
use crate::emit::Outcome;
use crate::filter::{self, Asked};
use crate::layout::*;
use crate::read::{Pointer, Probed, Read, Typed, current};
use crate::record::{Origin, Record};
use crate::scratch::COMMON;
use crate::syscall::Call;
use crate::walk::{self, End, Walk};

/// "The working directory" in place of a descriptor.
pub const AT_FDCWD: i32 = -100;

pub const O_PATH: u32 = 0o10_000_000;
const O_ACCMODE: u32 = 3;
pub const OVERLAYFS_SUPER_MAGIC: u64 = 0x794c_7630;

/// The arguments of one of the open calls.
pub struct OpenArguments {
    pub dirfd: i32,
    pub path: u64,
    pub flags: u32,
    pub mode: u32,
}

/// The arguments of one of the link calls.
pub struct LinkArguments {
    pub dirfd: i32,
    pub path: u64,
    pub target_dirfd: i32,
    pub target: u64,
    pub flags: u32,
}

/// The open file behind a descriptor of the current process; null if there is none. Untyped.
#[inline(always)]
pub fn of_descriptor(fd: i32) -> Pointer {
    of_descriptor_by::<Probed>(current(), fd)
}

/// [`of_descriptor`] of the current task, for programs that run often.
#[inline(always)]
pub fn of_descriptor_by<R: Read>(task: Pointer, fd: i32) -> Pointer {
    // SAFETY: the current task is typed; the size of the table bounds the index.
    unsafe {
        let files: Pointer = R::get(task, &TASK_FILES);
        let table: Pointer = R::get(files, &FILES_TABLE);
        let descriptors: Pointer = R::get(table, &TABLE_FILES);
        if fd < 0 || fd as u32 >= R::get::<u32>(table, &TABLE_SIZE) {
            return core::ptr::null();
        }
        Probed::at(
            descriptors.wrapping_add(fd as usize * size_of::<Pointer>()),
            0,
        )
    }
}

/// Number and device of an inode.
///
/// # Safety
/// As for [`Read::at`].
#[inline(always)]
pub unsafe fn identity<R: Read>(inode: Pointer) -> (u64, u32) {
    // SAFETY: the caller's.
    unsafe {
        (
            R::get(inode, &INODE_INO),
            R::get(R::get(inode, &INODE_SB), &SB_DEV),
        )
    }
}

/// Layer of an overlay that a file lies in, and whether it has no name left: [`ExeFlags`].
///
/// # Safety
/// As for [`Read::at`].
#[inline(always)]
pub unsafe fn layer<R: Read>(inode: Pointer) -> u32 {
    // SAFETY: the caller's.
    unsafe {
        let mut flags = 0;
        if R::get::<u32>(inode, &INODE_NLINK) == 0 {
            flags |= ExeFlags::UNLINKED;
        }
        let block: Pointer = R::get(inode, &INODE_SB);
        if R::get::<u64>(block, &SB_MAGIC) == OVERLAYFS_SUPER_MAGIC {
            // `struct ovl_inode` of `fs/overlayfs/ovl_entry.h`: `vfs_inode`, then
            // `__upperdentry`; overlayfs is often a module, so BTF does not have it.
            let upper: u64 = Probed::get(inode, &INODE_SIZE);
            flags |= if upper == 0 {
                ExeFlags::LOWER_LAYER
            } else {
                ExeFlags::UPPER_LAYER
            };
        }
        flags
    }
}

/// Whether the name that a walk found is one of a memfd (`MFD_NAME_PREFIX` of `mm/memfd.c`).
///
/// # Safety
/// `walk` is in a map value.
#[inline(always)]
pub unsafe fn is_memfd(walk: *const Walk) -> bool {
    const PREFIX: &[u8; 6] = b"memfd:";
    // SAFETY: bounded by the mask and the room behind the text.
    unsafe {
        let start = (&raw const (*walk).start).read_volatile() & 0xfff;
        let text = (&raw const (*walk).text).cast::<u8>().add(start as usize);
        let mut index = 0;
        while index < PREFIX.len() {
            if text.add(index).read_volatile() != PREFIX[index] {
                return false;
            }
            index += 1;
        }
        true
    }
}

/// Sets what an `openat2` opened for, and whether a directory, by the file that it made: its flags are
/// in the program's memory, which another thread may have changed by the end of the call.
#[inline(always)]
pub fn as_made(call: &Call, open: &mut OpenArguments) {
    if call.ret < 0 {
        return;
    }
    let file = of_descriptor(call.ret as i32);
    if !file.is_null() {
        let kept = O_ACCMODE | 1 << (O_DIRECTORY_BIT.load() & 31) | O_PATH;
        // SAFETY: probed.
        let made: u32 = unsafe { Probed::get(file, &FILE_FLAGS) };
        open.flags = open.flags & !kept | made & kept;
    }
}

/// Fills the slots of a passed path: itself, the working directory, and where it starts.
#[inline(always)]
pub fn passed(record: &Record<COMMON>, origin: Origin, path: Pointer, dirfd: i32) {
    // Some calls (`open_by_handle_at`) and some of io_uring have none at hand.
    let first = if path.is_null() {
        b'/'
    } else {
        record.string(Slot::Passed, origin, path)
    };
    record.place(Slot::Cwd, walk::cwd());
    base(record, Slot::Base, first, dirfd);
}

/// Fills the slot of the directory that a relative path starts from.
#[inline(always)]
pub fn base(record: &Record<COMMON>, slot: Slot, first: u8, dirfd: i32) {
    if first == b'/' || dirfd == AT_FDCWD {
        return;
    }
    let file = of_descriptor(dirfd);
    if !file.is_null() {
        // SAFETY: probed.
        let place = unsafe { walk::place_at::<Probed>(file, FILE_PATH.load()) };
        record.place(slot, place);
    }
}

/// Facts about an open file, and its path.
///
/// # Safety
/// `file` as for [`Read::at`].
#[inline(always)]
pub unsafe fn opened<R: Read>(record: &Record<COMMON>, body: *mut Open, file: Pointer) {
    // SAFETY: the caller's.
    unsafe {
        facts::<R>(body, file);
        let place = walk::place_at::<R>(file, FILE_PATH.load());
        let end = record.place(Slot::Resolved, place);
        note_memfd(record, body, end);
    }
}

/// Notes of a file without a directory whether it is a memfd, right after the walk to it.
#[inline(always)]
pub unsafe fn note_memfd(record: &Record<COMMON>, body: *mut Open, end: u32) {
    // SAFETY: memory of the record.
    unsafe {
        if end == End::PSEUDO && is_memfd(record.walk()) {
            (*body).layer |= ExeFlags::MEMFD;
        }
    }
}

/// Facts about an open file.
#[inline(always)]
unsafe fn facts<R: Read>(body: *mut Open, file: Pointer) {
    // SAFETY: the caller's.
    unsafe {
        let inode: Pointer = R::get(file, &FILE_INODE);
        let (number, dev) = identity::<R>(inode);
        (*body).inode = number;
        (*body).dev = dev;
        (*body).inode_mode = u32::from(R::get::<u16>(inode, &INODE_MODE));
        (*body).file_mode = R::get(file, &FILE_MODE);
        (*body).layer = layer::<R>(inode);
    }
}

/// Starts the body of an open; facts about the file are 0.
#[inline(always)]
pub fn open_body(record: &Record<COMMON>, call: &Call, open: &OpenArguments) -> *mut Open {
    let body = record.body::<Open>();
    // SAFETY: memory of the record.
    unsafe {
        (*body).ret = call.ret;
        (*body).inode = 0;
        (*body).dev = 0;
        (*body).flags = open.flags;
        (*body).create_mode = open.mode;
        (*body).inode_mode = 0;
        (*body).file_mode = 0;
        (*body).layer = 0;
        (*body).syscall = call.number;
        (*body).dirfd = open.dirfd;
    }
    body
}

/// An open of the current task, at the exit of its call: its record is not started yet.
#[inline(always)]
pub fn open(
    record: &Record<COMMON>,
    task: Pointer,
    call: &Call,
    open: &OpenArguments,
    asked: Asked,
) -> Outcome {
    let file = if call.ret >= 0 {
        of_descriptor_by::<Typed>(task, call.ret as i32)
    } else {
        core::ptr::null()
    };
    let name = (Origin::User, open.path as Pointer);
    // SAFETY: probed.
    unsafe { open_of::<Probed>(record, task, call, open, asked, file, name) }
}

/// An open of a file (null if it failed) by a name: nothing but its paths is looked at, unless a rule
/// may match it. The record is not started yet.
///
/// # Safety
/// `file` as for [`Read::at`]; `task` is the current one.
#[inline(always)]
pub unsafe fn open_of<R: Read>(
    record: &Record<COMMON>,
    task: Pointer,
    call: &Call,
    open: &OpenArguments,
    asked: Asked,
    file: Pointer,
    name: (Origin, Pointer),
) -> Outcome {
    // SAFETY: the caller's.
    unsafe {
        early::read::<R>(record, task, file, name, open.dirfd);
        let verdict = early::verdict(record, task, asked);
        if verdict == Verdict::REFUSED {
            return Ok(());
        }
        record.start::<Typed>(Kind::Open as u32, call.flags);
        let body = open_body(record, call, open);
        if !file.is_null() {
            facts::<R>(body, file);
        }
        let first = early::keep(record, body, name);
        record.place(Slot::Cwd, walk::cwd());
        base(record, Slot::Base, first, open.dirfd);
        if !file.is_null() {
            original::<R>(record, file);
        }
        if verdict == Verdict::LATE && !filter::keeps(record, call, open) {
            return Ok(());
        }
        record.emit(Kind::Open)
    }
}

/// Fills the record of an open, at the exit of its call.
#[inline(always)]
pub fn tell_open(record: &Record<COMMON>, call: &Call, open: &OpenArguments) {
    let body = open_body(record, call, open);
    if call.ret >= 0 {
        let file = call.made();
        if !file.is_null() {
            // SAFETY: probed.
            unsafe { opened::<Probed>(record, body, file) };
        }
    }
    passed(record, call.origin(), open.path as Pointer, open.dirfd);
    if call.ret >= 0 {
        // SAFETY: probed.
        unsafe { original::<Probed>(record, call.made()) };
    }
}

/// Where an open file lies, if a mount shows it elsewhere: the last of the slots.
///
/// # Safety
/// `file` as for [`Read::at`], and its path was the latest in [`Slot::Resolved`].
#[inline(always)]
pub unsafe fn original<R: Read>(record: &Record<COMMON>, file: Pointer) {
    // SAFETY: the caller's.
    record.original(unsafe { walk::place_at::<R>(file, FILE_PATH.load()) });
}

/// Starts the body of a link.
#[inline(always)]
pub fn link_body(record: &Record<COMMON>, call: &Call, link: &LinkArguments) {
    let body = record.body::<Link>();
    // SAFETY: memory of the record.
    unsafe {
        (*body).ret = call.ret;
        (*body).syscall = call.number;
        (*body).dirfd = link.dirfd;
        (*body).target_dirfd = link.target_dirfd;
        (*body).flags = link.flags;
    }
}

/// A symbolic or hard link, at the exit of its call.
#[inline(always)]
pub fn link(record: &Record<COMMON>, kind: Kind, call: &Call, link: &LinkArguments) -> Outcome {
    link_body(record, call, link);
    passed(record, call.origin(), link.path as Pointer, link.dirfd);
    let first = record.string(Slot::Target, call.origin(), link.target as Pointer);
    base(record, Slot::TargetBase, first, link.target_dirfd);
    record.emit(kind)
}
