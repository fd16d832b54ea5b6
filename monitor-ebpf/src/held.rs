//! The open file or socket behind a descriptor that a call was given.

use monitor_common::Slot;
use monitor_common::call::Held;

use crate::file;
use crate::layout::*;
use crate::network::{Within, clear, is_socket, of_socket};
use crate::read::{Pointer, Probed, Read};
use crate::record::Record;
use crate::scratch::COMMON;
use crate::serve;
use crate::walk;

/// `FMODE_BACKING` of `include/linux/fs.h`, which is one bit or the other.
const FMODE_BACKING: u32 = 1 << 25 | 1 << 24;

/// Whether the slot of the file's name is still to be filled.
#[derive(Clone, Copy)]
pub enum Naming {
    Wanted,
    Done,
}

/// A call without a descriptor.
///
/// # Safety
/// `held` is in a record.
#[inline(always)]
pub unsafe fn none(held: *mut Held) {
    // SAFETY: the caller's.
    unsafe {
        let socket = &raw mut (*held).socket;
        clear(socket);
        (*socket).ret = 0;
        (*socket).fd = -1;
        (*socket).passed_family = 0;
        (*held).inode = 0;
        (*held).dev = 0;
        (*held).inode_mode = 0;
        (*held).layer = 0;
        (*held).reserved = 0;
    }
}

/// What a descriptor stands for; nothing more is known of one without a file (null).
///
/// # Safety
/// `held` is in the record.
#[inline(always)]
pub unsafe fn held(
    record: &Record<COMMON>,
    held: *mut Held,
    descriptor: i32,
    file: Pointer,
    naming: Naming,
) {
    let wanted = matches!(naming, Naming::Wanted);
    // SAFETY: the caller's; probed.
    unsafe {
        (*held).socket.fd = descriptor;
        if file.is_null() {
            return;
        }
        let mut path = FILE_PATH.load();
        let mut inode: Pointer = Probed::get(file, &FILE_INODE);
        // What an overlay maps is the file below it, which knows where the program sees it.
        if let Some(seen) = seen(file) {
            path = BACKING_PATH.load();
            inode = seen;
        }
        let (number, dev) = file::identity::<Probed>(inode);
        (*held).inode = number;
        (*held).dev = dev;
        (*held).inode_mode = Probed::get::<u16>(inode, &INODE_MODE).into();
        if is_socket(file) {
            of_socket(record, Within::Held, file, true);
            if wanted {
                serve::own_name(record, Slot::Resolved, file);
            }
        } else {
            (*held).layer = file::layer::<Probed>(inode);
            if wanted {
                record.place(Slot::Resolved, walk::place_at::<Probed>(file, path));
            }
        }
    }
}

/// The inode that a program sees, of an overlay, if the file is one below that.
#[inline(always)]
unsafe fn seen(file: Pointer) -> Option<Pointer> {
    // SAFETY: probed.
    unsafe {
        if Probed::get::<u32>(file, &FILE_MODE) & FMODE_BACKING == 0 {
            return None;
        }
        if !present(&BACKING_PATH) || !present(&DENTRY_SB) || !present(&DENTRY_INODE) {
            return None;
        }
        let dentry = walk::place_at::<Probed>(file, BACKING_PATH.load()).dentry as Pointer;
        let block: Pointer = Probed::get(dentry, &DENTRY_SB);
        let overlay = Probed::get::<u64>(block, &SB_MAGIC) == file::OVERLAYFS_SUPER_MAGIC;
        overlay.then(|| Probed::get(dentry, &DENTRY_INODE))
    }
}
