//! Memory to build records in, too large for the stack.
//!
//! A program holds a slot of its CPU from [`claim`] to [`release`]. Programs can be preempted by
//! other programs on the same CPU, so a slot is claimed by an atomic count of holders, and
//! there are several. The same program never runs twice at once on a CPU: the kernel sees to that.

use core::arch::asm;
use core::mem::{MaybeUninit, offset_of};

use aya_ebpf::helpers::generated::bpf_get_smp_processor_id;
use aya_ebpf::macros::map;
use aya_ebpf::maps::Array;
use monitor_common::call::Registers;
use monitor_common::loss::LossReason;
use monitor_common::process::Exec;
use monitor_common::{ARGS_MAX, ENV_MAX, Header, PATH_MAX, RECORD_MAX, SCRATCH_SLOTS};

use crate::early::Paths;
use crate::filter::Scan;
use crate::syscall::Call;
use crate::walk::Walk;

/// Fixed parts and seven paths (a rename has most), the largest record but execs.
pub const COMMON: usize = size_of::<Header>() + size_of::<Registers>() + 7 * PATH_MAX;
/// What exec needs: four paths and the vectors.
pub const LARGE: usize =
    size_of::<Header>() + size_of::<Exec>() + 4 * PATH_MAX + ARGS_MAX + ENV_MAX;

/// Number of the walk in the first slot of exec, and of that in the second.
const EXEC_WALK: u32 = u32::MAX;
const EXEC_WALK_AGAIN: u32 = u32::MAX - 1;

const _: () = assert!(SCRATCH_SLOTS.is_power_of_two());
const _: () = assert!(COMMON <= RECORD_MAX && LARGE <= RECORD_MAX);

/// Where in a slot texts are: of a walk, of a record, and where a passed path is put until it is known
/// whether there will be a record.
pub const WALKED: u32 = (offset_of!(Common, walk) + offset_of!(Walk, text)) as u32;
pub const RECORD: u32 = offset_of!(Common, record) as u32;
pub const ASIDE: u32 = RECORD + (COMMON - PATH_MAX) as u32;

/// One slot.
#[repr(C)]
pub struct Scratch<const SIZE: usize> {
    /// Number of the slot on its CPU.
    index: u64,
    /// Bytes of `record` filled.
    pub used: u64,
    /// State and text of a walk.
    pub walk: Walk,
    /// A number on its way into a function. It may be a pointer, which functions do not take, and which
    /// the verifier takes for a number when it is read again.
    pub given: u64,
    /// The call that the record is about, if it is about one.
    pub call: MaybeUninit<Call>,
    /// A text of the record being read.
    scan: Scan,
    /// What was read of the paths of an open.
    pub paths: Paths,
    /// The record.
    pub record: [u8; SIZE],
}

/// Which of two programs at the same tracepoint runs.
#[derive(Clone, Copy)]
pub enum Turn {
    First = 0,
    /// For what the first was not asked about.
    Again = 1,
}

/// Slot of all programs but exec's.
pub type Common = Scratch<COMMON>;
/// Slot of exec.
pub type Large = Scratch<LARGE>;

/// For each slot of a CPU, 1 while a program holds it.
#[map]
static SCRATCH_HELD: Array<[u64; SCRATCH_SLOTS as usize]> = Array::with_max_entries(1, 0);
/// As many for each CPU as programs that interrupt each other there; the loader knows the CPUs.
#[map]
static SCRATCH: Array<Common> = Array::with_max_entries(SCRATCH_SLOTS, 0);
/// For each CPU one for each of [`Turn`]: neither program interrupts itself.
#[map]
static EXEC_SCRATCH: Array<Large> = Array::with_max_entries(1, 0);

/// Takes a free slot of this CPU.
///
/// Its number is kept in the slot: in a register it would be four different constants, and the
/// verifier would follow the program once for each.
#[inline(always)]
pub fn claim() -> Result<*mut Common, LossReason> {
    let held = SCRATCH_HELD
        .get_ptr_mut(cpu())
        .ok_or(LossReason::NoScratch)?;
    let mut index = 0;
    while index < SCRATCH_SLOTS {
        // SAFETY: within the array that is a checked map value, and aligned.
        let word = unsafe { held.cast::<u64>().add(index as usize) };
        // SAFETY: as above.
        if unsafe { enter(word) } {
            let slot = SCRATCH
                .get_ptr_mut(cpu() * SCRATCH_SLOTS + index)
                .ok_or(LossReason::NoScratch)?;
            // SAFETY: a checked map value.
            unsafe {
                (&raw mut (*slot).index).write_volatile(u64::from(index));
                (*slot).walk.number = cpu() * SCRATCH_SLOTS + index;
            }
            return Ok(slot);
        }
        index += 1;
    }
    Err(LossReason::NoScratch)
}

/// Gives a slot back; it must not be used after.
///
/// # Safety
/// `slot` comes from [`claim`].
#[inline(always)]
pub unsafe fn release(slot: *mut Common) {
    // SAFETY: the caller's; within the array that is a checked map value.
    unsafe {
        let index = (&raw const (*slot).index).read_volatile() & u64::from(SCRATCH_SLOTS - 1);
        if let Some(held) = SCRATCH_HELD.get_ptr_mut(cpu()) {
            leave(held.cast::<u64>().add(index as usize));
        }
    }
}

/// The slot of a program of exec, which needs no claim: no other uses it.
#[inline(always)]
pub fn large(turn: Turn) -> Result<*mut Large, LossReason> {
    let slot = EXEC_SCRATCH.get_ptr_mut(cpu() * 2 + turn as u32);
    let slot = slot.ok_or(LossReason::NoScratch)?;
    // SAFETY: a checked map value.
    unsafe { (*slot).walk.number = EXEC_WALK - turn as u32 };
    Ok(slot)
}

/// The walk in one of this CPU's slots of exec, or in a slot by its number among all.
#[inline(always)]
pub fn walk_of(number: u32) -> Option<*mut Walk> {
    // SAFETY: checked map values.
    unsafe {
        if number >= EXEC_WALK_AGAIN {
            let slot = EXEC_SCRATCH.get_ptr_mut(cpu() * 2 + (EXEC_WALK - number));
            return Some(&raw mut (*slot?).walk);
        }
        Some(&raw mut (*SCRATCH.get_ptr_mut(number)?).walk)
    }
}

/// A slot by its number among all.
#[inline(always)]
pub fn slot(number: u32) -> Option<*mut Common> {
    SCRATCH.get_ptr_mut(number)
}

/// A pointer as a number, by way of a slot.
///
/// # Safety
/// `slot` is claimed.
#[inline(always)]
pub unsafe fn number<const SIZE: usize>(slot: *mut Scratch<SIZE>, pointer: u64) -> u64 {
    // SAFETY: the caller's.
    unsafe {
        (&raw mut (*slot).given).write_volatile(pointer);
        (&raw const (*slot).given).read_volatile()
    }
}

/// The text being read of the record in a slot, by the slot's number among all.
#[inline(always)]
pub fn scan_of(number: u32) -> Option<*mut Scan> {
    // SAFETY: a checked map value.
    unsafe { Some(&raw mut (*SCRATCH.get_ptr_mut(number)?).scan) }
}

/// The same, and the slot, as bytes.
#[inline(always)]
pub fn scan_and_slot_of(number: u32) -> Option<(*mut Scan, *const u8)> {
    let slot = SCRATCH.get_ptr_mut(number)?;
    // SAFETY: a checked map value.
    unsafe { Some((&raw mut (*slot).scan, slot.cast_const().cast())) }
}

/// The CPU this program runs on; migration is off while it does.
#[inline(always)]
pub fn cpu() -> u32 {
    // SAFETY: has no precondition.
    unsafe { bpf_get_smp_processor_id() as u32 }
}

/// Counts a holder in, if it is the only one.
///
/// By addition without a result, the one atomic operation of kernels before 5.12: of programs that
/// interrupt each other in between, at most one sees itself alone.
#[inline(always)]
unsafe fn enter(word: *mut u64) -> bool {
    // SAFETY: `word` is aligned memory of a map value, checked by the verifier.
    unsafe {
        add(word, 1);
        let holders = word.read_volatile() as i64;
        // Fewer than none are left where somebody set the count to 0 under a holder; that is one
        // less of them.
        if holders > 1 {
            leave(word);
        }
        holders == 1
    }
}

/// Counts a holder out.
#[inline(always)]
unsafe fn leave(word: *mut u64) {
    // SAFETY: as above.
    unsafe { add(word, u64::MAX) };
}

/// Atomic addition: the BPF target of rustc offers no atomic types.
#[inline(always)]
unsafe fn add(word: *mut u64, value: u64) {
    // SAFETY: as above.
    unsafe {
        asm!("lock *(u64 *)({word} + 0) += {value}", word = in(reg) word, value = in(reg) value);
    }
}
