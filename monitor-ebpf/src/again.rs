//! Which events a first program has told of, for the second one at the same tracepoint.
//!
//! The kernel leaves a program out while it runs on that CPU already, and there are kernels (7.2 for
//! one) on which a task can be preempted amid a program at a tracepoint. Whoever runs meanwhile would
//! start programs, and end calls, unseen. So execs, forks, exits and the ends of calls have a second
//! program there, which tells what the first was not asked about; both are left out only where two
//! tasks are held up at once, one in each.
//!
//! On other kernels none of this is there: [`AGAIN`] is 0, and the second programs are not loaded.

use aya_ebpf::macros::{btf_tracepoint, map};
use aya_ebpf::maps::{Array, LruHashMap};
use aya_ebpf::programs::BtfTracePointContext;
use monitor_common::Kind;
use monitor_common::again::{CALLS, NO, YES};

use crate::layout::*;
use crate::read::{Pointer, Probed, Read, Typed, current};
use crate::scratch::Turn;

/// Events that the second program has not been asked about yet: one for each task that is between
/// both.
#[map]
static TOLD: LruHashMap<[u32; 2], u32> = LruHashMap::with_max_entries(8192, 0);

/// The same for calls, each at the place that its thread's id gives; the loader says how many. Of two
/// threads at one place at once, both between two programs, one is told of twice.
#[map]
static TOLD_CALLS: Array<u64> = Array::with_max_entries(1, 0);

/// What [`preempted`] has found.
#[map]
static PREEMPTED: Array<u64> = Array::with_max_entries(1, 0);

/// Finds out whether programs at tracepoints can be preempted: where they can, the kernel keeps the
/// task from going on on another CPU, since they may use what is the CPU's own.
#[btf_tracepoint(function = "sys_exit")]
pub fn preempted(_ctx: BtfTracePointContext) -> i32 {
    if let Some(found) = PREEMPTED.get_ptr_mut(0) {
        // SAFETY: the current task; a checked map value.
        unsafe {
            let stays = present(&TASK_STAYS) && Probed::get::<u16>(current(), &TASK_STAYS) != 0;
            found.write_volatile(if stays { YES } else { NO });
        }
    }
    0
}

/// The first program is done with an event of a task, which is an argument of its hook.
#[inline(always)]
pub fn told(kind: Kind, task: Pointer) {
    if AGAIN.load() != 0 {
        // Where it cannot be noted, the event is told twice.
        let _full = TOLD.insert(key(kind, task), 0, 0);
    }
}

/// Whether it was; forgets it.
#[inline(always)]
pub fn was_told(kind: Kind, task: Pointer) -> bool {
    TOLD.remove(key(kind, task)).is_ok()
}

#[inline(always)]
fn key(kind: Kind, task: Pointer) -> [u32; 2] {
    // SAFETY: an argument of the hook is typed.
    [kind as u32, unsafe { Typed::get(task, &TASK_PID) }]
}

/// Whether nothing is left to do for one of two programs at the end of a wanted call, with whose
/// registers the hook came. The first takes note that the call is its own.
#[inline(always)]
pub fn is_done(turn: Turn, regs: Pointer) -> bool {
    if AGAIN.load() == 0 {
        return false;
    }
    let thread = aya_ebpf::helpers::bpf_get_current_pid_tgid() as u32;
    // There always is one; so the verifier follows only one way on from here.
    let Some(place) = TOLD_CALLS.get_ptr_mut(thread & (CALLS - 1)) else {
        return true;
    };
    // SAFETY: an argument of the hook is typed; a checked map value.
    unsafe {
        let number: u32 = Typed::get(regs, &CALL_NUMBER);
        let own = u64::from(thread) << 32 | u64::from(number);
        match turn {
            Turn::First => {
                place.write_volatile(own);
                false
            }
            Turn::Again if place.read_volatile() == own => {
                place.write_volatile(0);
                true
            }
            Turn::Again => false,
        }
    }
}
