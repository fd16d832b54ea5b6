//! The rings, and the count of what went in and what was lost.

use aya_ebpf::helpers::generated::bpf_ringbuf_output;
use aya_ebpf::macros::map;
use aya_ebpf::maps::{PerCpuArray, RingBuf};
use monitor_common::Kind;
use monitor_common::loss::{KINDS_MAX, LOSS_STRIDE, LossReason};

/// What is rare and must not be lost: processes and cgroups.
#[map]
static LIFECYCLE: RingBuf = RingBuf::with_byte_size(4 << 20, 0);
/// What comes in floods: files and network.
#[map]
static BULK: RingBuf = RingBuf::with_byte_size(4 << 20, 0);
#[map]
static LOSSES: PerCpuArray<u64> = PerCpuArray::with_max_entries(KINDS_MAX * LOSS_STRIDE, 0);
#[map]
static KEPT: PerCpuArray<u64> = PerCpuArray::with_max_entries(KINDS_MAX, 0);

/// The kinds that come in floods, a bit for each.
const BULK_KINDS: u32 = {
    let kinds = [
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
    ];
    let (mut bits, mut index) = (0, 0);
    while index < kinds.len() {
        bits |= 1 << kinds[index] as u32;
        index += 1;
    }
    bits
};

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
    if let Err(reason) = outcome {
        bump(&LOSSES, kind * LOSS_STRIDE + reason as u32);
    }
    0
}

/// Copies `len` bytes of a finished record into its ring.
///
/// # Safety
/// `record` points to `len` initialised bytes of a map value.
#[inline(always)]
pub unsafe fn output(kind: u32, record: *const u8, len: u32) -> Outcome {
    let record = record.cast_mut();
    // SAFETY: the helper takes the map by its definition; the verifier checks memory and length.
    // One call for each map: old verifiers do not take a choice of maps.
    let failed = unsafe {
        if BULK_KINDS >> (kind & 31) & 1 != 0 {
            bpf_ringbuf_output(
                (&raw const BULK).cast_mut().cast(),
                record.cast(),
                len.into(),
                0,
            )
        } else {
            let ring = (&raw const LIFECYCLE).cast_mut();
            bpf_ringbuf_output(ring.cast(), record.cast(), len.into(), 0)
        }
    };
    if failed != 0 {
        return Err(LossReason::RingFull);
    }
    kept(kind);
    Ok(())
}

/// Writes a record of fixed size and a rare kind in place: `fill` must set every byte.
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

#[inline(always)]
fn bump(counters: &PerCpuArray<u64>, index: u32) {
    if let Some(counter) = counters.get_ptr_mut(index) {
        // SAFETY: a checked map value of this CPU. A program that preempts between load and store
        // can make the count one short, never wrong otherwise.
        unsafe { *counter += 1 };
    }
}
