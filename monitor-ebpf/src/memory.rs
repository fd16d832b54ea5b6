//! Mappings: which of them are told. Programs map memory all the time to work in it, and files to
//! read them: what code could be run from, or what changes a file, is all that rules ask for.

use core::ffi::c_void;

use aya_ebpf::helpers::generated::bpf_find_vma;

use crate::layout::*;
use crate::read::{Pointer, Probed, Read, current};
use crate::syscall::Call;

const SYS_MMAP: u32 = 9;
/// Of `include/uapi/asm-generic/mman-common.h`.
const PROT_WRITE: u64 = 2;
const PROT_EXEC: u64 = 4;
/// Set in `MAP_SHARED_VALIDATE` too.
const MAP_SHARED: u64 = 1;
const MAP_ANONYMOUS: u64 = 0x20;

/// The open file behind the memory that an `mmap` or `mprotect` was about, as it is at the end of the
/// call; null if there is none. For 5.17 and later.
#[inline(always)]
pub fn mapped(call: &Call) -> Pointer {
    let [address, _, _, flags, ..] = call.args;
    let address = match call.number {
        SYS_MMAP if call.ret < 0 || flags & MAP_ANONYMOUS != 0 => return core::ptr::null(),
        SYS_MMAP => call.ret as u64,
        _ => address,
    };
    let mut file = 0u64;
    let context = (&raw mut file).cast();
    // SAFETY: the current task is typed; the callback gets the context that it expects.
    unsafe {
        let take = take_file as *const c_void;
        bpf_find_vma(
            current().cast_mut().cast(),
            address,
            take.cast_mut(),
            context,
            0,
        );
    }
    file as Pointer
}

/// `long (*)(struct task_struct *task, struct vm_area_struct *vma, void *context)`.
#[inline(never)]
extern "C" fn take_file(_: *const c_void, area: Pointer, file: *mut u64) -> i64 {
    // SAFETY: probed; the context is the caller's number.
    unsafe { *file = Probed::get(area, &VMA_FILE) };
    0
}

/// Whether an `mmap` or `mprotect` makes memory that can be run, or a file's that can be written.
#[inline(always)]
pub fn matters(call: &Call) -> bool {
    let [_, _, protection, flags, ..] = call.args;
    if protection & PROT_EXEC != 0 {
        return true;
    }
    call.number == SYS_MMAP
        && protection & PROT_WRITE != 0
        && flags & (MAP_SHARED | MAP_ANONYMOUS) == MAP_SHARED
}
