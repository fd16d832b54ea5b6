//! Why a kernel program gave up on a record: one counter per CPU, [`Kind`](crate::Kind) and
//! reason, so nothing is lost in silence; and one by cgroup and kind, so that it is known whose.

/// Why a record did not reach the daemon. Numbers are part of the ABI.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(u32)]
pub enum LossReason {
    /// The ring had no room.
    RingFull = 0,
    /// Per-CPU scratch memory was missing (never expected).
    NoScratch = 1,
    /// Kernel memory that must be readable was not.
    KernelRead = 2,
    /// State kept between two hooks of one event was evicted.
    StateEvicted = 3,
    /// The program that a call goes on in was not where it had to be.
    NoProgram = 4,
}

impl LossReason {
    /// All reasons, in number order.
    pub const ALL: [Self; 5] = [
        Self::RingFull,
        Self::NoScratch,
        Self::KernelRead,
        Self::StateEvicted,
        Self::NoProgram,
    ];

    /// Lower-case name, as in metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::RingFull => "ring_full",
            Self::NoScratch => "no_scratch",
            Self::KernelRead => "kernel_read",
            Self::StateEvicted => "state_evicted",
            Self::NoProgram => "no_program",
        }
    }
}

/// Counters of one reason for one kind: index into the per-CPU loss array is
/// `kind * LOSS_STRIDE + reason`.
pub const LOSS_STRIDE: u32 = 8;
/// Entries of the loss array, and of the per-CPU array of records kept (indexed by kind).
pub const KINDS_MAX: u32 = 64;
/// Entries of the map of losses by cgroup, whose key is the cgroup's id and the number of the
/// kind: more than the cgroups of a busy host that can lose at once, each with a few kinds. What
/// was counted longest ago leaves first; it is still in the array of losses.
pub const LOST_CGROUPS_MAX: u32 = 4096;
