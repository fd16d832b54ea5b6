//! What both sides know of programs that can be preempted.

/// Places for notes about calls that the first of two programs has told of, a power of two.
pub const CALLS: u32 = 4096;
/// The program that looks has seen that programs at tracepoints cannot be preempted.
pub const NO: u64 = 1;
/// They can.
pub const YES: u64 = 2;

const _: () = assert!(CALLS.is_power_of_two());
