//! Body of records about calls that their registers tell.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// A call whose arguments are values, not structures to be read. Paths and texts among them are in
/// the slots that the kind names.
#[derive(Clone, Copy, Debug, FromBytes, Immutable, IntoBytes, KnownLayout)]
#[repr(C)]
pub struct Registers {
    /// Result, or a negative errno.
    pub ret: i64,
    /// Arguments in the order of the call, as passed.
    pub args: [u64; 6],
    /// System call number (x86-64).
    pub syscall: u32,
    /// Always 0.
    pub reserved: u32,
}

const _: () = assert!(size_of::<Registers>() == 64);
