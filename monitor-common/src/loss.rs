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
    /// It holds more than a record has room for: the rest was not told.
    TooLong = 5,
}

impl LossReason {
    /// All reasons, in number order.
    pub const ALL: [Self; 6] = [
        Self::RingFull,
        Self::NoScratch,
        Self::KernelRead,
        Self::StateEvicted,
        Self::NoProgram,
        Self::TooLong,
    ];

    /// Lower-case name, as in metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::RingFull => "ring_full",
            Self::NoScratch => "no_scratch",
            Self::KernelRead => "kernel_read",
            Self::StateEvicted => "state_evicted",
            Self::NoProgram => "no_program",
            Self::TooLong => "too_long",
        }
    }
}

/// Counters of one reason for one kind: the place in the row of each CPU is
/// `kind * LOSS_STRIDE + reason`.
pub const LOSS_STRIDE: u32 = 8;
/// Kinds that there is room for, in the counters of losses and in those of records by kind.
pub const KINDS_MAX: u32 = 64;
/// Entries of the map of losses by cgroup, whose key is the cgroup's id and the number of the
/// kind: more than the cgroups of a busy host that can lose at once, each with a few kinds. What
/// was counted longest ago leaves first; it is still in the array of losses.
pub const LOST_CGROUPS_MAX: u32 = 4096;
