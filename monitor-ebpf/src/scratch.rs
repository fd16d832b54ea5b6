//! Memory to build records in, too large for the stack.
//!
//! A program holds a slot of its CPU from [`claim`] to [`Scratch::release`]. Programs on
//! trampolines can be preempted by other programs on the same CPU, so a slot is claimed by an
//! atomic exchange, and there are several.

use core::arch::asm;

use aya_ebpf::helpers::generated::bpf_get_smp_processor_id;
use aya_ebpf::macros::map;
use aya_ebpf::maps::Array;
use monitor_common::loss::LossReason;
use monitor_common::process::Exec;
use monitor_common::{ARGS_MAX, ENV_MAX, Header, PATH_MAX, SCRATCH_SLOTS};

use crate::walk::Walk;

/// Fixed parts and six paths (a link has most), the largest record but execs.
pub const COMMON: usize = size_of::<Header>() + 64 + 6 * PATH_MAX;
/// What exec needs: four paths and the vectors.
pub const LARGE: usize =
    size_of::<Header>() + size_of::<Exec>() + 4 * PATH_MAX + ARGS_MAX + ENV_MAX;

/// One slot.
#[repr(C)]
pub struct Scratch<const SIZE: usize> {
    /// 1 while a program holds the slot.
    busy: u64,
    /// Bytes of `record` filled.
    pub used: u64,
    /// State and text of a walk.
    pub walk: Walk,
    /// The record.
    pub record: [u8; SIZE],
}

/// Slot of all programs but exec's.
pub type Common = Scratch<COMMON>;
/// Slot of exec.
pub type Large = Scratch<LARGE>;

#[map]
static SCRATCH: Array<Common> = Array::with_max_entries(SCRATCH_SLOTS, 0);
#[map]
static EXEC_SCRATCH: Array<Large> = Array::with_max_entries(1, 0);

/// A free slot of this CPU.
#[inline(always)]
pub fn claim() -> Result<*mut Common, LossReason> {
    let first = cpu() * SCRATCH_SLOTS;
    let mut index = 0;
    while index < SCRATCH_SLOTS {
        let slot = SCRATCH
            .get_ptr_mut(first + index)
            .ok_or(LossReason::NoScratch)?;
        // SAFETY: a checked map value; `busy` is its first, aligned word.
        if unsafe { exchange(slot.cast(), 1) } == 0 {
            return Ok(slot);
        }
        index += 1;
    }
    Err(LossReason::NoScratch)
}

/// The slot for exec: its tracepoint runs with preemption off and never nests.
#[inline(always)]
pub fn large() -> Result<*mut Large, LossReason> {
    EXEC_SCRATCH.get_ptr_mut(cpu()).ok_or(LossReason::NoScratch)
}

/// Gives a slot back.
///
/// # Safety
/// `slot` comes from [`claim`] and is not used after.
#[inline(always)]
pub unsafe fn release(slot: *mut Common) {
    // SAFETY: a checked map value.
    unsafe { (&raw mut (*slot).busy).write_volatile(0) };
}

/// The CPU this program runs on; migration is off while it does.
#[inline(always)]
pub fn cpu() -> u32 {
    // SAFETY: has no precondition.
    unsafe { bpf_get_smp_processor_id() as u32 }
}

/// Atomic exchange: the BPF target of rustc offers no compare-and-swap types.
#[inline(always)]
unsafe fn exchange(word: *mut u64, value: u64) -> u64 {
    let mut value = value;
    // SAFETY: `word` is aligned memory of a map value, checked by the verifier.
    unsafe {
        asm!("{value} = xchg_64({word} + 0, {value})", value = inout(reg) value, word = in(reg) word)
    };
    value
}
