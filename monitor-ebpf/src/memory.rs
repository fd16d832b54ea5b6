//! Mappings: which of them are told. Programs map memory all the time to work in it, and files to
//! read them: what code could be run from, or what changes a file, is all that rules ask for.

use crate::syscall::Call;

const SYS_MMAP: u32 = 9;
/// Of `include/uapi/asm-generic/mman-common.h`.
const PROT_WRITE: u64 = 2;
const PROT_EXEC: u64 = 4;
/// Set in `MAP_SHARED_VALIDATE` too.
const MAP_SHARED: u64 = 1;
const MAP_ANONYMOUS: u64 = 0x20;

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
