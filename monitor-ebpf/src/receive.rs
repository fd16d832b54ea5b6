//! Open files that come from another process: at the end of the calls that take them (the syscall
//! tier), and where the kernel gives a descriptor to one (`crate::object::receive`).

use core::mem::MaybeUninit;

use aya_ebpf::helpers::generated::bpf_probe_read_user;
use monitor_common::file::Open;
use monitor_common::{Flags, Kind};

use crate::emit::{Outcome, settle_number};
use crate::file::{self, AT_FDCWD};
use crate::layout::*;
use crate::network::{AF_UNIX, family_of, is_socket};
use crate::read::{Pointer, Probed, Read};
use crate::record::{self, Record};
use crate::scratch::COMMON;
use crate::syscall::{Call, own};

const SYS_RECVMMSG: u32 = 299;
const SYS_PIDFD_GETFD: u32 = 438;
/// `UIO_MAXIOV`: most messages of a `recvmmsg`.
const MESSAGES_MAX: u32 = 1024;
/// `SCM_MAX_FD` of `include/net/scm.h`: most files of a message.
const FILES_MAX: u32 = 253;
/// What the kernel may put before and behind the files: credentials, a security label, a pidfd, a
/// time (`scm_recv_unix` of `net/core/scm.c`).
const HEADERS_MAX: u32 = 6;
/// `SOL_SOCKET` and `SCM_RIGHTS`, of a `struct cmsghdr`.
const RIGHTS: [u32; 2] = [1, 1];

/// The files that a call took, at its end: a record each.
#[inline(always)]
pub fn look(call: &Call) {
    if call.ret < 0 || own() {
        return;
    }
    let flags = u64::from(call.flags);
    if call.number == SYS_PIDFD_GETFD {
        received_one(call.ret as u32, flags);
        return;
    }
    let socket = call.file();
    if !is_socket(socket) || family_of(socket) != AF_UNIX {
        return;
    }
    if call.number != SYS_RECVMMSG {
        received_message(call.args[1], flags);
        return;
    }
    // `struct mmsghdr`: a `struct msghdr`, then how much came.
    let size = if call.flags & Flags::COMPAT == 0 {
        64
    } else {
        32
    };
    let mut index = 0;
    while index < MESSAGES_MAX {
        if i64::from(index) >= call.ret {
            break;
        }
        received_message(call.args[1].wrapping_add(u64::from(index) * size), flags);
        index += 1;
    }
}

/// The files of a message, by the `struct msghdr` that the kernel has filled. A function that takes
/// numbers is verified once, not for each message.
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn received_message(message: u64, flags: u64) -> u32 {
    let wide = flags as u16 & Flags::COMPAT == 0;
    let word = if wide { 8 } else { 4 };
    let at = if wide { 32 } else { 16 };
    let mut header = user(message.wrapping_add(at), word);
    let end = header.wrapping_add(user(message.wrapping_add(at + word), word));
    let mut count = 0;
    while count < HEADERS_MAX {
        count += 1;
        // `struct cmsghdr`: its length with itself, a word, then level and type.
        let data = header.wrapping_add(word + 8);
        let len = user(header, word);
        if data > end || len < word + 8 || len > end.wrapping_sub(header) {
            break;
        }
        let kind = [
            user(header.wrapping_add(word), 4) as u32,
            user(header.wrapping_add(word + 4), 4) as u32,
        ];
        if kind == RIGHTS {
            received_files(data, (len - word - 8) / 4, flags);
        }
        header = header.wrapping_add((len + word - 1) & !(word - 1));
    }
    0
}

/// The files whose descriptors stand in a row in the program's memory.
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn received_files(descriptors: u64, count: u64, flags: u64) -> u32 {
    let mut index = 0;
    while index < FILES_MAX {
        if u64::from(index) >= count {
            break;
        }
        let fd = user(descriptors.wrapping_add(4 * u64::from(index)), 4);
        received_one(fd as u32, flags);
        index += 1;
    }
    0
}

/// A file that came, by its descriptor.
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn received_one(fd: u32, flags: u64) -> u32 {
    let file = file::of_descriptor(fd as i32);
    if file.is_null() {
        return 0;
    }
    let kind = Kind::Receive as u32;
    let outcome = record::with::<Probed>(kind, flags as u16, |record| {
        received::<Probed>(record, i64::from(fd), file)
    });
    settle_number(kind, outcome);
    0
}

/// A file that came to the current task under a descriptor, or why it did not.
#[inline(always)]
pub fn received<R: Read>(record: &Record<COMMON>, ret: i64, file: Pointer) -> Outcome {
    let body = record.body::<Open>();
    // SAFETY: memory of the record; the file is as for `R`.
    unsafe {
        (*body).ret = ret;
        (*body).flags = R::get(file, &FILE_FLAGS);
        (*body).create_mode = 0;
        (*body).syscall = 0;
        (*body).dirfd = AT_FDCWD;
        file::opened::<R>(record, body, file);
    }
    record.emit(Kind::Receive)
}

/// A number of 4 or 8 bytes in the program's memory; 0 where there is none.
#[inline(always)]
fn user(at: u64, bytes: u64) -> u64 {
    let mut word = MaybeUninit::<u64>::zeroed();
    let size = if bytes == 8 { 8 } else { 4 };
    // SAFETY: the helper fills the bytes or fails, and then sets them to 0; all were set before.
    unsafe {
        bpf_probe_read_user(word.as_mut_ptr().cast(), size, at as *const _);
        word.assume_init()
    }
}
