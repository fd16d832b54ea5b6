//! Which events have been told of, for a second program that tells what the first was not asked about.
//!
//! The kernel leaves a program out while it runs on that CPU already, and there are kernels (7.2 for
//! one) on which a task can be preempted amid a program. Whoever runs meanwhile would go unseen: a
//! task of a program that does nothing but calls is in one of ours half of the time. So
//!
//! * the programs at the ends of calls are made such as the kernel runs with preemption disabled
//!   ([`BARE_CALLS`]): these are left out only while a task is preempted amid a call on a map;
//! * what a program within a call tells, at one of the kernel's functions, is told by the end of the
//!   call if that program was left out;
//! * execs, forks and exits have a second program at the same place; that of execs and exits cannot be
//!   preempted. Both of forks are left out where two tasks are held up at once, one in each, which
//!   happens where the host starves the CPU.
//!
//! On other kernels none of this is there: [`AGAIN`] is 0, and the second programs are not loaded.

use aya_ebpf::macros::{btf_tracepoint, map};
use aya_ebpf::maps::{Array, LruHashMap};
use aya_ebpf::programs::BtfTracePointContext;
use monitor_common::Kind;
use monitor_common::again::{CALLS, NO, YES};

use crate::layout::*;
use crate::read::{Pointer, Probed, Read, Typed, current};
use crate::syscall::{registers_of, thread};

/// Events that one of two programs has told of and the other was not asked about yet, by kind and task,
/// with their [`mark`]: one for each task that is between both.
#[map]
static TOLD: LruHashMap<[u32; 2], u64> = LruHashMap::with_max_entries(8192, 0);

/// A thread's call that was told within, and how many of its calls have ended that are asked about here,
/// at the place that the thread's id gives; the loader says how many. Of two threads at one place at
/// once, one is told of twice.
#[map]
static TOLD_CALLS: Array<Calls> = Array::with_max_entries(1, 0);

#[repr(C)]
struct Calls {
    told: u64,
    ended: u64,
}

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

/// A program is done with an event of a task, which is an argument of its hook or the current one.
#[inline(always)]
pub fn told(kind: Kind, task: Pointer) {
    if AGAIN.load() != 0 {
        // Where it cannot be noted, the event is told twice.
        let _full = TOLD.insert(key(kind, task), mark(kind, task), 0);
    }
}

/// Whether the other program was; forgets it. Either may be the first: all programs of perf run at
/// once, where the first of them was attached, by whomever.
#[inline(always)]
pub fn was_told(kind: Kind, task: Pointer) -> bool {
    if AGAIN.load() == 0 {
        return false;
    }
    let key = key(kind, task);
    // SAFETY: a copy of a number.
    let found = unsafe { TOLD.get(key).copied() };
    // One of an event whose other program was left out stays.
    let was_told = found == Some(mark(kind, task));
    if was_told {
        let _gone = TOLD.remove(key);
    }
    was_told
}

#[inline(always)]
fn key(kind: Kind, task: Pointer) -> [u32; 2] {
    // SAFETY: an argument of the hook or the current task is typed.
    [kind as u32, unsafe { Typed::get(task, &TASK_PID) }]
}

/// What tells an event from the one before it of a task with that id: an exec's memory is made while
/// that of the one before is still there; a task is made once and ends once.
#[inline(always)]
fn mark(kind: Kind, task: Pointer) -> u64 {
    let place = if matches!(kind, Kind::Exec) {
        &TASK_MM
    } else {
        &TASK_START
    };
    // SAFETY: an argument of the hook or the current task is typed.
    unsafe { Typed::get(task, place) }
}

/// A hook within the call that the current task is in tells of it, or has found that nobody wants it:
/// the end of the call need not.
#[inline(always)]
pub fn tells_call() {
    if AGAIN.load() == 0 {
        return;
    }
    if let Some(calls) = calls() {
        let own = call(registers_of(current()));
        // SAFETY: a checked map value.
        unsafe { (&raw mut (*calls).told).write_volatile(own) };
    }
}

/// A number that is another one when the current thread's call has ended, for notes that are to be of
/// no use then: the program that takes one away may be left out.
#[inline(always)]
pub fn ended() -> u64 {
    if AGAIN.load() == 0 {
        return 0;
    }
    // SAFETY: a checked map value.
    calls().map_or(0, |calls| unsafe {
        (&raw const (*calls).ended).read_volatile()
    })
}

/// Whether a hook told of the call with these registers, at its end; forgets it.
#[inline(always)]
pub fn was_call_told(regs: Pointer) -> bool {
    let own = call(regs);
    // There always is one; so the verifier follows only one way on from here.
    let Some(calls) = calls() else {
        return true;
    };
    // SAFETY: a checked map value.
    unsafe {
        let (told, ended) = (&raw mut (*calls).told, &raw mut (*calls).ended);
        ended.write_volatile(ended.read_volatile().wrapping_add(1));
        let was_told = told.read_volatile() == own;
        told.write_volatile(0);
        was_told
    }
}

/// What a note says that is about the call with these registers, of the current thread.
#[inline(always)]
fn call(regs: Pointer) -> u64 {
    // SAFETY: registers are typed.
    let number: u32 = unsafe { Typed::get(regs, &CALL_NUMBER) };
    thread() << 32 | u64::from(number)
}

/// The place for notes about the current thread.
#[inline(always)]
fn calls() -> Option<*mut Calls> {
    TOLD_CALLS.get_ptr_mut(thread() as u32 & (CALLS - 1))
}
