//! Mappings: which of them are told. Programs map memory all the time to work in it, and files to
//! read them: what code could be run from, or what changes a file, is all that rules ask for.

use core::ffi::c_void;

use aya_ebpf::helpers::generated::bpf_find_vma;

use crate::layout::*;
use crate::read::{Pointer, Probed, Read, Typed, current};
use crate::syscall::Call;

const SYS_MMAP: u32 = 9;
/// Of `include/uapi/asm-generic/mman-common.h`.
const PROT_WRITE: u64 = 2;
const PROT_EXEC: u64 = 4;
/// Set in `MAP_SHARED_VALIDATE` too.
const MAP_SHARED: u64 = 1;
const MAP_ANONYMOUS: u64 = 0x20;

/// Levels of a tree of memory: with twice the areas that a process may have, 65530, nothing is deeper.
const DEPTH_MAX: u32 = 34;

/// The memory that an `mmap` or `mprotect` was about, if it may be a file's.
#[inline(always)]
fn place(call: &Call) -> Option<u64> {
    let [address, _, _, flags, ..] = call.args;
    match call.number {
        SYS_MMAP if call.ret < 0 || flags & MAP_ANONYMOUS != 0 => None,
        SYS_MMAP => Some(call.ret as u64),
        _ => Some(address),
    }
}

/// The open file behind the memory that an `mmap` or `mprotect` was about, as it is at the end of the
/// call; null if there is none. For 5.17 and later.
#[inline(always)]
pub fn mapped(call: &Call) -> Pointer {
    let Some(address) = place(call) else {
        return core::ptr::null();
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

/// The same before 6.1, as `find_vma` of `mm/mmap.c` does it. Nothing keeps other threads from changing
/// the tree meanwhile; then another file may be found, or none.
#[inline(always)]
pub fn mapped_in_tree(call: &Call) -> Pointer {
    let Some(address) = place(call) else {
        return core::ptr::null();
    };
    // SAFETY: the current task is typed; the rest is probed.
    unsafe {
        let memory: Pointer = Typed::get(current(), &TASK_MM);
        let mut node: Pointer = Probed::get(memory, &MM_TREE);
        let mut depth = 0;
        while depth < DEPTH_MAX && !node.is_null() {
            let area = node.wrapping_sub(VMA_NODE.load() as usize);
            node = if Probed::get::<u64>(area, &VMA_END) <= address {
                Probed::get(node, &NODE_RIGHT)
            } else if Probed::get::<u64>(area, &VMA_START) > address {
                Probed::get(node, &NODE_LEFT)
            } else {
                return Probed::get(area, &VMA_FILE);
            };
            depth += 1;
        }
    }
    core::ptr::null()
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
