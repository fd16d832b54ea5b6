//! Plain loads from any pointer: `bpf_rdonly_cast` of the kernel, for the programs' `read.rs`. With it
//! what they read of the kernel's memory costs a tenth of what a helper takes.
//!
//! To a type of the kernel's it casts since 6.2, to none, which is what the programs ask for, since
//! 6.17. It is no helper and has a number of its own on each kernel, which aya does not know of.

use monitor_common::layout::CAST;

/// The kernel's name for it.
pub(super) const FUNCTION: &str = "bpf_rdonly_cast";
/// `call`, and what makes it one of a function of the kernel's (`BPF_PSEUDO_KFUNC_CALL`).
const CALL: u8 = 0x85;
const OF_KERNEL: u8 = 0x20;

/// The number of the function among the kernel's types, if it does what the programs ask for: a
/// program that does so is tried.
pub(super) fn usable(number: Option<u32>) -> Option<u32> {
    let number = number?;
    let [a, b, c, d] = number.to_le_bytes();
    let program = [
        // r1 = 4096; r2 = 0: no type.
        [0xb7, 1, 0, 0, 0, 0x10, 0, 0],
        [0xb7, 2, 0, 0, 0, 0, 0, 0],
        [CALL, OF_KERNEL, 0, 0, a, b, c, d],
        // r0 = *(u64 *)(r0 + 8); r0 = 0; return.
        [0x79, 0, 8, 0, 0, 0, 0, 0],
        [0xb7, 0, 0, 0, 0, 0, 0, 0],
        [0x95, 0, 0, 0, 0, 0, 0, 0],
    ];
    match monitor_freeze::takes(&program) {
        Ok(()) => Some(number),
        Err(error) => {
            tracing::debug!(%error, "kernel memory is read through helpers");
            None
        }
    }
}

/// Puts the kernel's function where the object calls it.
pub(super) fn put(object: &mut [u8], number: u32) {
    let (instructions, _) = object.as_chunks_mut::<8>();
    for instruction in instructions {
        let [code, registers, 0, 0, number_of @ ..] = instruction else {
            continue;
        };
        if *code == CALL && *registers == 0 && *number_of == CAST.to_le_bytes() {
            *registers = OF_KERNEL;
            *number_of = number.to_le_bytes();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_of_the_cast_become_those_of_the_kernel_and_no_others() {
        let helper = [CALL, 0, 0, 0, 113, 0, 0, 0];
        let cast = [CALL, 0, 0, 0, 1, 0xfe, 0xca, 0];
        let number = [0xb7, 0, 0, 0, 1, 0xfe, 0xca, 0];
        let mut object = [helper, cast, number, cast].concat();
        object.push(CALL);
        put(&mut object, 65_486);
        let made = [CALL, OF_KERNEL, 0, 0, 0xce, 0xff, 0, 0];
        let mut expected = [helper, made, number, made].concat();
        expected.push(CALL);
        assert_eq!(object, expected);
    }
}
