//! Body of cgroup records.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// A cgroup made, removed or entered, in the hierarchy that tells containers apart only. The
/// header's task is who did it; slot `Resolved` holds the cgroup's path below the root of the
/// hierarchy.
#[derive(Clone, Copy, Debug, FromBytes, Immutable, IntoBytes, KnownLayout)]
#[repr(C)]
pub struct Cgroup {
    /// Id of the cgroup.
    pub id: u64,
    /// Start of the moved process (attach only).
    pub target_start: u64,
    /// Process moved (attach only).
    pub target_pid: u32,
    /// Thread moved (attach only).
    pub target_tid: u32,
    /// Depth below the root.
    pub level: u32,
    /// Always 0.
    pub reserved: u32,
}

const _: () = assert!(size_of::<Cgroup>() == 32);
