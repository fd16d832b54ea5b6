//! Body of records about calls that their registers tell.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use crate::network::Connect;

/// A call whose arguments are values, not structures to be read. Paths and texts among them are in
/// the slots that the kind names.
#[derive(Clone, Copy, Debug, FromBytes, Immutable, IntoBytes, KnownLayout)]
#[repr(C)]
pub struct Registers {
    /// Result, or a negative errno.
    pub ret: i64,
    /// Arguments in the order of the call, as passed, but for [`ENDS`].
    pub args: [u64; 6],
    /// System call number (x86-64).
    pub syscall: u32,
    /// Always 0.
    pub reserved: u32,
    /// What the call's descriptor stood for at its end.
    pub held: Held,
}

/// The argument that has the descriptors which `pipe`, `pipe2` and `socketpair` gave, as the program
/// was told them: the first in the lower half. [`u64::MAX`] where they could not be read.
pub const ENDS: usize = 5;

/// An open file that a call was given by its descriptor, and has in [`crate::Slot::Resolved`]: the
/// path, or the name of a socket of `AF_UNIX`.
#[derive(Clone, Copy, Debug, FromBytes, Immutable, IntoBytes, KnownLayout)]
#[repr(C)]
pub struct Held {
    /// The socket, if it is one; the descriptor, or -1 for a call that has none. Result and passed
    /// family are 0.
    pub socket: Connect,
    /// Inode number.
    pub inode: u64,
    /// Device of the inode, as the kernel has it.
    pub dev: u32,
    /// Mode of the inode; 0 when nothing is known of the file.
    pub inode_mode: u32,
    /// [`crate::process::ExeFlags`] that are about layers.
    pub layer: u32,
    /// Always 0.
    pub reserved: u32,
}

const _: () = assert!(size_of::<Registers>() == 64 + size_of::<Held>());
const _: () = assert!(size_of::<Held>() == 80);
