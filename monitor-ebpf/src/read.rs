//! Reading kernel memory.
//!
//! Two ways: [`Typed`] is a plain load, for pointers whose type the verifier knows (hook
//! arguments, the current task, and what was loaded from those); [`Probed`] takes any value, by a
//! plain load too where the kernel has a cast for that, else through a helper. Both read 0 where
//! nothing is mapped.

use core::arch::asm;
use core::mem::{MaybeUninit, transmute, transmute_copy};

use aya_ebpf::helpers::generated::{
    bpf_get_current_task, bpf_get_current_task_btf, bpf_probe_read_kernel,
};

use monitor_common::layout::{CAST, READ, READ_TYPED};

use crate::layout::{HAVE_TASK_BTF, Member};

/// A pointer into the kernel; its target is known to the verifier at most.
pub type Pointer = *const u8;

/// How to read at a pointer.
pub trait Read {
    /// Whether it is [`Typed`].
    const TYPED: bool;

    /// The value at `offset` bytes from `base`.
    ///
    /// # Safety
    /// `T` is valid for any bits; for [`Typed`], the verifier knows the type behind `base`.
    unsafe fn at<T: Copy>(base: Pointer, offset: u32) -> T;

    /// The value of a member of the struct at `base`.
    ///
    /// # Safety
    /// As for [`Read::at`].
    #[inline(always)]
    unsafe fn get<T: Copy>(base: Pointer, member: &Member) -> T {
        // SAFETY: the caller's.
        unsafe { Self::at(base, member.load()) }
    }
}

/// Plain loads; probed ones where the kernel cannot tell the type of the current task.
pub struct Typed;

impl Read for Typed {
    const TYPED: bool = true;

    #[inline(always)]
    unsafe fn at<T: Copy>(base: Pointer, offset: u32) -> T {
        // SAFETY: the verifier checks type and offset, and faults read as 0.
        unsafe { read::<T, READ_TYPED>(base.wrapping_add(offset as usize)) }
    }
}

/// Loads of any kernel memory.
pub struct Probed;

impl Read for Probed {
    const TYPED: bool = false;

    #[inline(always)]
    unsafe fn at<T: Copy>(base: Pointer, offset: u32) -> T {
        // SAFETY: the helper's; or the cast makes it a load that reads 0 where it faults.
        unsafe { read::<T, READ>(base.wrapping_add(offset as usize)) }
    }
}

/// What is at `from`, by the way that the loader chooses: it knows these instructions by the number
/// that they call, and makes them a call of `bpf_probe_read_kernel`, or a plain load, with a cast
/// before it or without. (Both ways side by side, of which the verifier leaves one out, make loading
/// take half as long again.)
///
/// # Safety
/// `T` is valid for any bits; for [`READ_TYPED`], the verifier knows the type behind `from`.
#[inline(always)]
unsafe fn read<T: Copy, const HOW: u32>(from: Pointer) -> T {
    /// Calls the helper, then takes what it read.
    macro_rules! taken {
        ($from:ident as $word:literal) => {{
            let mut slot = MaybeUninit::<u64>::uninit();
            let value: u64;
            asm!(
                "r1 = {slot}",
                "r2 = {size}",
                "r3 = {from}",
                "call {how}",
                concat!("{from} = *(", $word, " *)({slot} + 0)"),
                slot = in(reg) slot.as_mut_ptr(),
                from = inlateout(reg) $from => value,
                size = const size_of::<T>(),
                how = const HOW,
                out("r0") _, out("r1") _, out("r2") _, out("r3") _, out("r4") _, out("r5") _,
            );
            value
        }};
    }
    // SAFETY: fills the slot, and nothing else; any bits are a `T`, of which the low bytes are these.
    unsafe {
        let value = match size_of::<T>() {
            1 => taken!(from as "u8"),
            2 => taken!(from as "u16"),
            4 => taken!(from as "u32"),
            8 => taken!(from as "u64"),
            _ => return helped(from),
        };
        transmute_copy(&value)
    }
}

/// A load through `bpf_probe_read_kernel`.
///
/// # Safety
/// `T` is valid for any bits.
#[inline(always)]
unsafe fn helped<T: Copy>(from: Pointer) -> T {
    let mut value = MaybeUninit::<T>::uninit();
    // SAFETY: the helper fills all bytes, with zeros when it fails; any bits are a `T`.
    unsafe {
        bpf_probe_read_kernel(
            value.as_mut_ptr().cast(),
            size_of::<T>() as u32,
            from.cast(),
        );
        value.assume_init()
    }
}

/// A pointer that may be read from, whatever it is: only where `HAVE_CAST` says so. The loader puts
/// `bpf_rdonly_cast` in place of the call, which costs nothing: the verifier makes it a move, and
/// each load from the result one that faults without harm.
///
/// # Safety
/// What is read is valid for any bits.
#[inline(always)]
pub unsafe fn readable(pointer: Pointer) -> Pointer {
    // No type: any offset, any size.
    const VOID: u64 = 0;
    // SAFETY: never called as it stands here; the caller's.
    unsafe {
        let cast: unsafe extern "C" fn(Pointer, u64) -> Pointer = transmute(CAST as usize);
        cast(pointer, VOID)
    }
}

/// `value & MASK`, where the compiler would leave the mask out because it knows better than the
/// verifier.
#[inline(always)]
pub fn masked<const MASK: i32>(value: u32) -> u32 {
    masked_word::<MASK>(value.into()) as u32
}

/// [`masked`] for a whole register, of which no half has to be cleared.
#[inline(always)]
pub fn masked_word<const MASK: i32>(mut value: u64) -> u64 {
    // SAFETY: touches its operand only.
    unsafe { asm!("{value} &= {mask}", value = inout(reg) value, mask = const MASK) };
    value
}

/// Goes on until there is no more to do, `rounds` times at most; whether it came to the end.
///
/// A loop whose body is the call of a function: the count goes through `masked` for the compiler not
/// to write the calls out one by one.
#[inline(always)]
pub fn until_done(rounds: u32, go_on: impl Fn() -> u32) -> u32 {
    let mut round = 0;
    while round < rounds {
        if go_on() != 0 {
            return 1;
        }
        round = masked::<0xffff>(round + 1);
    }
    0
}

/// The running task; typed, where the kernel can tell its type.
#[inline(always)]
pub fn current() -> Pointer {
    // SAFETY: have no precondition.
    unsafe {
        if HAVE_TASK_BTF.load() == 0 {
            return bpf_get_current_task() as Pointer;
        }
        bpf_get_current_task_btf() as Pointer
    }
}
