//! Open files that come from another process: at the end of the calls that take them (the syscall
//! tier), and where the kernel gives a descriptor to one (`crate::object::passed`).

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
/// Of how many the verifier follows one after the other.
const BATCH: u32 = 32;
/// `SCM_MAX_FD` of `include/net/scm.h`: most files of a message.
const FILES_MAX: u32 = 253;
/// What the kernel may put before and behind the files: credentials, a security label, a pidfd, a
/// time (`scm_recv_unix` of `net/core/scm.c`).
const HEADERS_MAX: u32 = 6;
/// `SOL_SOCKET` and `SCM_RIGHTS`, of a `struct cmsghdr`.
const RIGHTS: u64 = 1 << 32 | 1;

/// The files that a call took, at its end: a record each.
#[inline(always)]
pub fn look(call: &Call) {
    if call.ret < 0 || own() {
        return;
    }
    let flags = u64::from(call.flags);
    if call.number == SYS_PIDFD_GETFD {
        passed_one(call.ret as u32, flags);
        return;
    }
    let socket = call.file();
    if !is_socket(socket) || family_of(socket) != AF_UNIX {
        return;
    }
    let wide = call.flags & Flags::COMPAT == 0;
    let count = if call.number == SYS_RECVMMSG {
        call.ret
    } else {
        1
    };
    // `struct mmsghdr`: a `struct msghdr`, then how much came.
    let size = if wide { 64 } else { 32 };
    let mut first = 0;
    while first < MESSAGES_MAX {
        if i64::from(first) >= count {
            break;
        }
        let messages = call.args[1].wrapping_add(u64::from(first) * size);
        passed_messages(messages, count as u64 - u64::from(first), flags);
        first += BATCH;
    }
}

/// The files of some messages of as many as there are.
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn passed_messages(messages: u64, count: u64, flags: u64) -> u32 {
    let wide = flags & u64::from(Flags::COMPAT) == 0;
    let mut index = 0;
    while index < BATCH {
        if u64::from(index) >= count {
            break;
        }
        let at = |size| messages.wrapping_add(u64::from(index) * size);
        if wide {
            passed_message(at(64), flags);
        } else {
            passed_message32(at(32), flags);
        }
        index += 1;
    }
    index
}

/// The files of a message, by the `struct msghdr` that the kernel has filled. A function that takes
/// numbers is verified once, not for each message.
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn passed_message(message: u64, flags: u64) -> u32 {
    files::<8>(message, flags)
}

/// The same of a 32-bit program.
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn passed_message32(message: u64, flags: u64) -> u32 {
    files::<4>(message, flags)
}

/// `WORD` is the size of a pointer there.
#[inline(always)]
fn files<const WORD: u64>(message: u64, flags: u64) -> u32 {
    // Name, vector of bytes, each with its length, then this.
    let control = message.wrapping_add(4 * WORD);
    let mut header = user(control, WORD);
    let end = header.wrapping_add(user(control.wrapping_add(WORD), WORD));
    let mut count = 0;
    while count < HEADERS_MAX {
        count += 1;
        // `struct cmsghdr`: its length with itself, a word, then level and type.
        let len = user(header, WORD);
        if len < WORD + 8 || len > end.wrapping_sub(header) || header >= end {
            break;
        }
        if user(header.wrapping_add(WORD), 8) == RIGHTS {
            let data = header.wrapping_add(WORD + 8);
            passed_files(data, header.wrapping_add(len), flags);
        }
        header = header.wrapping_add((len + WORD - 1) & !(WORD - 1));
    }
    0
}

/// The files that a message has between two places.
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn passed_files(mut data: u64, end: u64, flags: u64) -> u32 {
    let mut files = 0;
    while files < FILES_MAX {
        files += 1;
        if data.wrapping_add(4) > end {
            break;
        }
        passed_one(user(data, 4) as u32, flags);
        data = data.wrapping_add(4);
    }
    files
}

/// A file that came, by its descriptor.
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn passed_one(fd: u32, flags: u64) -> u32 {
    let file = file::of_descriptor(fd as i32);
    if file.is_null() {
        return 0;
    }
    let kind = Kind::Passed as u32;
    let outcome = record::with::<Probed>(kind, flags as u16, |record| {
        passed::<Probed>(record, i64::from(fd), file)
    });
    settle_number(kind, outcome);
    0
}

/// A file that came to the current task under a descriptor, or why it did not.
#[inline(always)]
pub fn passed<R: Read>(record: &Record<COMMON>, ret: i64, file: Pointer) -> Outcome {
    let body = record.body::<Open>();
    // SAFETY: memory of the record; the file is as for `R`.
    unsafe {
        (*body).ret = ret;
        (*body).flags = R::get(file, &FILE_FLAGS);
        (*body).create_mode = 0;
        (*body).syscall = 0;
        (*body).dirfd = AT_FDCWD;
        file::opened::<R>(record, body, file);
        file::original::<R>(record, file);
    }
    record.emit(Kind::Passed)
}

/// A number of 4 or 8 bytes in the program's memory; 0 where there is none. With a frame of its own,
/// for those of its callers and of what walks a path are together no more than the kernel allows.
#[unsafe(export_name = "user_word")]
#[inline(never)]
pub extern "C" fn user(at: u64, bytes: u64) -> u64 {
    let mut word = MaybeUninit::<u64>::zeroed();
    let size = if bytes == 8 { 8 } else { 4 };
    // SAFETY: the helper fills the bytes or fails, and then sets them to 0; all were set before.
    unsafe {
        bpf_probe_read_user(word.as_mut_ptr().cast(), size, at as *const _);
        word.assume_init()
    }
}
