//! Which events a first program has told of, for the second one at the same tracepoint.
//!
//! The kernel leaves a program out while it runs on that CPU already, and there are kernels (7.2 for
//! one) on which a task can be preempted amid a program at a tracepoint. Whoever runs meanwhile would
//! start programs unseen. So execs, forks and exits have a second program, which tells what the
//! first was not asked about; both are left out only where two tasks are held up at once, one in
//! each.

use aya_ebpf::macros::map;
use aya_ebpf::maps::LruHashMap;
use monitor_common::Kind;

use crate::layout::*;
use crate::read::{Pointer, Read, Typed};

/// Events that the second program has not been asked about yet: one for each task that is between
/// both.
#[map]
static TOLD: LruHashMap<[u32; 2], u32> = LruHashMap::with_max_entries(8192, 0);

/// The first program is done with an event of a task, which is an argument of its hook.
#[inline(always)]
pub fn told(kind: Kind, task: Pointer) {
    // Where it cannot be noted, the event is told twice.
    let _full = TOLD.insert(key(kind, task), 0, 0);
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
