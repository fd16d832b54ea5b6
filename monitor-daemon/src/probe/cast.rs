//! How the programs read the kernel's memory: the loader puts the quickest way that this kernel
//! takes where their `read.rs` leaves room for it.
//!
//! - Of a pointer whose type the kernel can tell: a plain load.
//! - Of any: a plain load behind `bpf_rdonly_cast`, a tenth of what a helper takes. To a type of the
//!   kernel's it casts since 6.2, to none, which is what the programs ask for, since 6.17. It is no
//!   helper and has a number of its own on each kernel, which aya does not know of.
//! - Else by `bpf_probe_read_kernel`.

use monitor_common::layout::{CAST, READ, READ_TYPED};

/// The kernel's name for it.
pub(super) const FUNCTION: &str = "bpf_rdonly_cast";
/// `call`, and what makes it one of a function of the kernel's (`BPF_PSEUDO_KFUNC_CALL`).
const CALL: u8 = 0x85;
const OF_KERNEL: u8 = 0x20;
/// `r0 = 0` and `r1 = 0`, for what has nothing to do.
const SET_R0: [u8; 8] = [0xb7, 0, 0, 0, 0, 0, 0, 0];
const SET_R1: [u8; 8] = [0xb7, 1, 0, 0, 0, 0, 0, 0];
/// `call bpf_probe_read_kernel`.
const HELPER: [u8; 8] = [CALL, 0, 0, 0, 113, 0, 0, 0];
/// Where an instruction has its registers, and its number.
const REGISTERS: usize = 1;
const NUMBER: usize = 4;
/// Of the registers, the one that is written; the other bits are the one that is read.
const DESTINATION: u8 = 0x0f;

/// The number of the function among the kernel's types, if it does what the programs ask for: a
/// program that does so is tried.
pub(super) fn usable(number: Option<u32>) -> Option<u32> {
    let number = number?;
    let program = [
        // r1 = 4096; r2 = 0: no type.
        [0xb7, 1, 0, 0, 0, 0x10, 0, 0],
        [0xb7, 2, 0, 0, 0, 0, 0, 0],
        function(number),
        // r0 = *(u64 *)(r0 + 8); r0 = 0; return.
        [0x79, 0, 8, 0, 0, 0, 0, 0],
        [0xb7, 0, 0, 0, 0, 0, 0, 0],
        [0x95, 0, 0, 0, 0, 0, 0, 0],
    ];
    match monitor_freeze::takes(monitor_freeze::RAW_TRACEPOINT, &program) {
        Ok(()) => Some(number),
        Err(error) => {
            tracing::debug!(%error, "kernel memory is read through helpers");
            None
        }
    }
}

/// Puts the ways to read into the object: a cast by the function `number`, if there is one, and plain
/// loads where the kernel can tell the types of pointers.
pub(super) fn put(object: &mut [u8], number: Option<u32>, typed: bool) {
    let (instructions, _) = object.as_chunks_mut::<8>();
    for at in 0..instructions.len() {
        let Some(call) = instructions.get_mut(at) else {
            return;
        };
        let &mut [CALL, 0, 0, 0, ref called @ ..] = call else {
            continue;
        };
        let called = u32::from_le_bytes(*called);
        if let (CAST, Some(number)) = (called, number) {
            *call = function(number);
        }
        // As `read` in the programs' `read.rs` has it: its operands are before and behind the call.
        let around = at.checked_sub(3).map(|first| first..at + 2);
        let around = around.and_then(|around| instructions.get_mut(around));
        match (called, around, number) {
            (READ_TYPED, Some([slot, _, _, call, load]), _) if typed => {
                *slot = SET_R1;
                *call = SET_R0;
                load[REGISTERS] = load[REGISTERS] & DESTINATION | 3 << 4;
            }
            (READ | READ_TYPED, Some([slot, size, from, call, load]), Some(number)) => {
                // r1 is what r3 was to be, of no type; the value is where r0 points.
                slot[REGISTERS] = from[REGISTERS] & !DESTINATION | 1;
                size[NUMBER..].fill(0);
                *call = function(number);
                load[REGISTERS] &= DESTINATION;
            }
            (READ | READ_TYPED, Some([_, _, _, call, _]), None) => *call = HELPER,
            _ => {}
        }
    }
}

/// A call of a function of the kernel's.
fn function(number: u32) -> [u8; 8] {
    let [a, b, c, d] = number.to_le_bytes();
    [CALL, OF_KERNEL, 0, 0, a, b, c, d]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `r1 = r7; r2 = 4; r3 = r6; call; r6 = *(u32 *)(r7 + 0)`.
    fn read(call: [u8; 8]) -> [[u8; 8]; 5] {
        [
            [0xbf, 0x71, 0, 0, 0, 0, 0, 0],
            [0xb7, 2, 0, 0, 4, 0, 0, 0],
            [0xbf, 0x63, 0, 0, 0, 0, 0, 0],
            call,
            [0x61, 0x76, 0, 0, 0, 0, 0, 0],
        ]
    }

    fn called(number: u32) -> [u8; 8] {
        let [a, b, c, d] = number.to_le_bytes();
        [CALL, 0, 0, 0, a, b, c, d]
    }

    #[test]
    fn reads_become_what_the_kernel_takes() {
        let [slot, size, from, _, _] = read(HELPER);
        // r1 = r6; r2 = 0; r3 = r6; call; r6 = *(u32 *)(r0 + 0).
        let cast = [
            [0xbf, 0x61, 0, 0, 0, 0, 0, 0],
            [0xb7, 2, 0, 0, 0, 0, 0, 0],
            from,
            [CALL, OF_KERNEL, 0, 0, 0xce, 0xff, 0, 0],
            [0x61, 0x06, 0, 0, 0, 0, 0, 0],
        ];
        // r1 = 0; r2 = 4; r3 = r6; r0 = 0; r6 = *(u32 *)(r3 + 0).
        let plain = [SET_R1, size, from, SET_R0, [0x61, 0x36, 0, 0, 0, 0, 0, 0]];
        let helped = [slot, size, from, HELPER, read(HELPER)[4]];
        for (call, number, typed, expected) in [
            (READ, None, true, helped),
            (READ, Some(65_486), true, cast),
            (READ_TYPED, None, true, plain),
            (READ_TYPED, Some(65_486), true, plain),
            (READ_TYPED, Some(65_486), false, cast),
            (READ_TYPED, None, false, helped),
        ] {
            let mut object = read(called(call)).concat();
            put(&mut object, number, typed);
            assert_eq!(object, expected.concat(), "{call:#x} {number:?} {typed}");
        }
    }

    #[test]
    fn no_other_call_is_touched() {
        let others = [HELPER, [0xb7, 0, 0, 0, 1, 0xfe, 0xca, 0], called(CAST)];
        let mut object = [others, others].concat().concat();
        object.push(CALL);
        let before = object.clone();
        put(&mut object, None, true);
        assert_eq!(object, before);
        put(&mut object, Some(65_486), true);
        let made = [CALL, OF_KERNEL, 0, 0, 0xce, 0xff, 0, 0];
        assert_eq!(object[40..48], made);
        assert_eq!(object[..16], before[..16]);
        assert_eq!(object[24..40], before[24..40]);
    }
}
