//! The rings, and the count of what went in and what was lost.

use core::arch::asm;

use aya_ebpf::bindings::BPF_NOEXIST;
use aya_ebpf::helpers::generated::bpf_ringbuf_output;
use aya_ebpf::macros::map;
use aya_ebpf::maps::{LruHashMap, PerCpuArray, RingBuf};
use monitor_common::Kind;
use monitor_common::loss::{KINDS_MAX, LOSS_STRIDE, LOST_CGROUPS_MAX, LossReason};

use crate::read::{Probed, current};
use crate::task;

/// Counters of each CPU in one value, so that all are read by one call.
pub type Counters<const COUNT: usize> = PerCpuArray<[u64; COUNT]>;

/// What must not be lost, for all else is joined with it: processes and cgroups.
#[map]
static LIFECYCLE: RingBuf = RingBuf::with_byte_size(4 << 20, 0);
/// What is rare unless somebody wants it not to be: ids, namespaces, signals, and execs that fail.
#[map]
static CONTROL: RingBuf = RingBuf::with_byte_size(1 << 20, 0);
/// What comes in floods: files and network.
#[map]
static BULK: RingBuf = RingBuf::with_byte_size(4 << 20, 0);
/// Losses by kind and reason.
#[map]
static LOSSES: Counters<{ (KINDS_MAX * LOSS_STRIDE) as usize }> = Counters::with_max_entries(1, 0);
/// Records by kind.
#[map]
static KEPT: Counters<{ KINDS_MAX as usize }> = Counters::with_max_entries(1, 0);
/// Losses by cgroup and kind.
#[map]
static LOST_BY_CGROUP: LruHashMap<[u64; 2], u64> =
    LruHashMap::with_max_entries(LOST_CGROUPS_MAX, 0);

/// The ring that a record goes into.
#[derive(Clone, Copy)]
pub enum Lane {
    Lifecycle,
    Control,
    Bulk,
}

/// The kinds that come in floods, a bit for each.
const BULK_KINDS: u64 = bits(&[
    Kind::Open,
    Kind::Connect,
    Kind::Socket,
    Kind::Symlink,
    Kind::Link,
    Kind::Dup,
    Kind::Send,
    Kind::Remove,
    Kind::Rename,
    Kind::Mode,
    Kind::Mkdir,
    Kind::Accept,
    Kind::Bind,
    Kind::Call,
    Kind::Dns,
    Kind::Memory,
    Kind::Receive,
    Kind::Passed,
]);
const LIFECYCLE_KINDS: u64 = bits(&Kind::LIFECYCLE);

const fn bits(kinds: &[Kind]) -> u64 {
    let (mut bits, mut index) = (0, 0);
    while index < kinds.len() {
        bits |= 1 << kinds[index] as u64;
        index += 1;
    }
    bits
}

impl Lane {
    /// Where records of a kind go, by its number.
    #[inline(always)]
    pub fn of(kind: u32) -> Self {
        let bit = 1u64 << (kind & 63);
        if BULK_KINDS & bit != 0 {
            Self::Bulk
        } else if LIFECYCLE_KINDS & bit != 0 {
            Self::Lifecycle
        } else {
            Self::Control
        }
    }
}

/// How a body ends; `Ok` also when there was nothing to report.
pub type Outcome = Result<(), LossReason>;

/// Ends an entry point: counts a loss.
#[inline(always)]
pub fn settle(kind: Kind, outcome: Outcome) -> i32 {
    settle_number(kind as u32, outcome)
}

/// [`settle`] for a kind by its number.
#[inline(always)]
pub fn settle_number(kind: u32, outcome: Outcome) -> i32 {
    settle_code(kind, code(outcome))
}

/// An outcome as a number: 0 where there was no loss.
#[inline(always)]
pub fn code(outcome: Outcome) -> u32 {
    match outcome {
        Ok(()) => 0,
        Err(reason) => reason as u32 + 1,
    }
}

/// [`settle_number`] for an outcome as a number.
#[inline(always)]
pub fn settle_code(kind: u32, code: u32) -> i32 {
    if code != 0 {
        bump(&LOSSES, kind * LOSS_STRIDE + (code - 1) % LOSS_STRIDE);
        lost_by_cgroup(kind);
    }
    0
}

/// Copies `len` bytes of a finished record into a ring.
///
/// # Safety
/// `record` points to `len` initialised bytes of a map value.
#[inline(always)]
pub unsafe fn output(lane: Lane, kind: u32, record: *const u8, len: u32) -> Outcome {
    // SAFETY: the caller's. One call for each map: old verifiers do not take a choice of maps.
    let failed = unsafe {
        match lane {
            Lane::Bulk => into(&BULK, record, len),
            Lane::Lifecycle => into(&LIFECYCLE, record, len),
            Lane::Control => into(&CONTROL, record, len),
        }
    };
    if failed != 0 {
        return Err(LossReason::RingFull);
    }
    kept(kind);
    Ok(())
}

#[inline(always)]
unsafe fn into(ring: &RingBuf, record: *const u8, len: u32) -> i64 {
    let ring = (&raw const *ring).cast_mut();
    // SAFETY: the helper takes the map by its definition; the verifier checks memory and length.
    unsafe { bpf_ringbuf_output(ring.cast(), record.cast_mut().cast(), len.into(), 0) }
}

/// Writes a record of fixed size and a lifecycle kind in place: `fill` must set every byte.
#[inline(always)]
pub fn write<T: 'static>(kind: Kind, fill: impl FnOnce(*mut T)) -> Outcome {
    let Some(mut entry) = LIFECYCLE.reserve::<T>(0) else {
        return Err(LossReason::RingFull);
    };
    fill(entry.as_mut_ptr());
    entry.submit(0);
    kept(kind as u32);
    Ok(())
}

#[inline(always)]
fn kept(kind: u32) {
    bump(&KEPT, kind);
}

/// Adds one to a counter of this CPU; there are a power of two.
#[inline(always)]
pub fn bump<const COUNT: usize>(counters: &Counters<COUNT>, index: u32) {
    const { assert!(COUNT.is_power_of_two()) };
    if let Some(all) = counters.get_ptr_mut(0) {
        let mut index = index as usize;
        // SAFETY: touches its operand only: the verifier has to see the bound right here.
        unsafe { asm!("{index} &= {most}", index = inout(reg) index, most = const COUNT - 1) };
        // SAFETY: within a checked map value of this CPU. A program that preempts between load and
        // store can make the count one short, never wrong otherwise.
        unsafe { *all.cast::<u64>().add(index) += 1 };
    }
}

/// Counts a loss for the cgroup of the current task. What cannot be counted here (another CPU has
/// the same bucket) is still among [`LOSSES`].
#[inline(always)]
fn lost_by_cgroup(kind: u32) {
    // SAFETY: probed.
    let cgroup = unsafe { task::cgroup::<Probed>(current()) };
    let key = [cgroup, u64::from(kind)];
    let mut counter = LOST_BY_CGROUP.get_ptr_mut(key);
    if counter.is_none() {
        // Another CPU may do the same at this moment: one of both makes the entry.
        let _exists = LOST_BY_CGROUP.insert(key, 0, BPF_NOEXIST.into());
        counter = LOST_BY_CGROUP.get_ptr_mut(key);
    }
    if let Some(counter) = counter {
        // SAFETY: aligned memory of a map value, checked by the verifier.
        unsafe {
            asm!("lock *(u64 *)({word} + 0) += {one}", word = in(reg) counter, one = in(reg) 1u64);
        }
    }
}
