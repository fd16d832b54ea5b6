//! The two clocks: records carry `CLOCK_BOOTTIME`, people read `CLOCK_REALTIME`.

use rustix::time::{ClockId, Timespec, clock_gettime};

/// `CLOCK_BOOTTIME`, ns.
pub(crate) fn boot_ns() -> u64 {
    ns(clock_gettime(ClockId::Boottime))
}

/// What to add to a boot time to get ns since the epoch. Changes when the wall clock is set.
pub(crate) fn boot_to_epoch_ns() -> u64 {
    epoch_ns().saturating_sub(boot_ns())
}

fn ns(time: Timespec) -> u64 {
    (time.tv_sec as u64)
        .saturating_mul(1_000_000_000)
        .saturating_add(time.tv_nsec as u64)
}

/// `CLOCK_REALTIME`, ns since the epoch.
pub(crate) fn epoch_ns() -> u64 {
    ns(clock_gettime(ClockId::Realtime))
}

/// Now, seconds since the epoch.
pub(crate) fn epoch_seconds() -> u64 {
    epoch_ns() / 1_000_000_000
}
