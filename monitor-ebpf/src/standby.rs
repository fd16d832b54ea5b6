//! What takes over when somebody switches the kernel's own functions off: with
//! `kernel.ftrace_enabled` at 0, no program at the start or end of a function runs any more.
//!
//! The kernel asks a program at the root of the unified hierarchy of cgroups before each write to a
//! sysctl (`proc_sys_call_handler` of `fs/proc/proc_sysctl.c`). Ours refuses nothing: it puts those
//! entries into the tables of calls by which the syscall tier serves what the object tier served,
//! so that they are there when the write is done.

use aya_ebpf::EbpfContext as _;
use aya_ebpf::bindings::BPF_F_MMAPABLE;
use aya_ebpf::helpers::generated::{bpf_sysctl_get_name, bpf_sysctl_get_new_value};
use aya_ebpf::macros::{cgroup_sysctl, map};
use aya_ebpf::maps::Array;
use aya_ebpf::programs::SysctlContext;
use monitor_common::syscall::standby::{COUNT, ENTRIES, OFF, STATES, URING};

use crate::syscall::OPERATIONS;
use crate::uring::URING_OPERATIONS;

/// Entries for the tables of calls: see `monitor_common::syscall::standby`.
#[map]
static STANDBY: Array<[u64; 2]> = Array::with_max_entries(ENTRIES, BPF_F_MMAPABLE);
/// How many of these there are, and whether they were put in.
#[map]
static STANDBY_STATE: Array<u64> = Array::with_max_entries(STATES, BPF_F_MMAPABLE);

const NAME: &[u8; 21] = b"kernel/ftrace_enabled";
const NAME_ROOM: usize = 24;
const VALUE_ROOM: usize = 16;
/// Lets the write go on.
const PASS: i32 = 1;

/// A program reads or writes a sysctl; 5.2 and later.
#[cgroup_sysctl]
pub fn ftrace_off(ctx: SysctlContext) -> i32 {
    // SAFETY: the context is typed.
    if unsafe { (*ctx.sysctl).write } != 0 && is_ftrace(&ctx) && !is_on(&ctx) {
        stand_in();
    }
    PASS
}

#[inline(always)]
fn is_ftrace(ctx: &SysctlContext) -> bool {
    let mut name = [0u8; NAME_ROOM];
    // SAFETY: the helper fills at most what there is room for, with a NUL.
    let len = unsafe {
        bpf_sysctl_get_name(
            ctx.as_ptr().cast(),
            name.as_mut_ptr().cast(),
            NAME_ROOM as u64,
            0,
        )
    };
    if len != NAME.len() as i64 {
        return false;
    }
    let mut index = 0;
    while index < NAME.len() {
        if name[index] != NAME[index] {
            return false;
        }
        index += 1;
    }
    true
}

/// Whether a write says a number other than 0. One that cannot be read, or that begins with more
/// space than anybody needs, is taken for a 0.
#[inline(always)]
fn is_on(ctx: &SysctlContext) -> bool {
    let mut value = [0u8; VALUE_ROOM];
    // SAFETY: as above.
    let len = unsafe {
        bpf_sysctl_get_new_value(
            ctx.as_ptr().cast(),
            value.as_mut_ptr().cast(),
            VALUE_ROOM as u64,
        )
    };
    if len < 0 {
        return false;
    }
    let (mut index, mut begun, mut ended, mut on) = (0, false, false, false);
    while index < VALUE_ROOM {
        let is_space = matches!(value[index], 0 | b' ' | b'\t'..=b'\r');
        ended |= begun && is_space;
        begun |= !is_space;
        on |= !ended && matches!(value[index], b'1'..=b'9' | b'a'..=b'f' | b'A'..=b'F');
        index += 1;
    }
    on
}

/// Puts the entries into the tables, and says so.
#[inline(always)]
fn stand_in() {
    let Some(count) = STANDBY_STATE.get(COUNT) else {
        return;
    };
    let mut number = 0;
    while number < ENTRIES {
        if u64::from(number) >= *count {
            break;
        }
        put(number);
        number += 1;
    }
    if let Some(off) = STANDBY_STATE.get_ptr_mut(OFF) {
        // SAFETY: a checked map value.
        unsafe { off.write_volatile(1) };
    }
}

/// Puts one in. A function that takes a number is verified once, not for each entry.
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn put(number: u32) -> u32 {
    let Some([index, entry]) = STANDBY.get(number) else {
        return 0;
    };
    let place = if *index & URING == 0 {
        OPERATIONS.get_ptr_mut(*index as u32)
    } else {
        URING_OPERATIONS.get_ptr_mut((*index & !URING) as u32)
    };
    if let Some(place) = place {
        // SAFETY: a checked map value.
        unsafe { place.write_volatile(*entry) };
    }
    0
}
