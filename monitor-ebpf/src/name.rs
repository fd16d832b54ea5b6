//! Names that the kernel acts on, noted where it has them until the call's end tells of them.
//!
//! By then the objects may be gone, and what the program passed may be another text. A note is made
//! for a thread, or a request of `io_uring`, whose end is told; the end takes it out.

use aya_ebpf::helpers::generated::{bpf_probe_read_kernel, bpf_probe_read_kernel_str};
use aya_ebpf::macros::map;
use aya_ebpf::maps::HashMap;
use monitor_common::loss::LossReason;
use monitor_common::{Flags, PATH_MAX, Slot};

use crate::emit::Outcome;
use crate::noted::{self, Notes};
use crate::read::{Pointer, Probed, current};
use crate::record::Record;
use crate::scratch::{self, COMMON};
use crate::walk::{self, End, Place};

/// Notes by owner and [`Which`]. Memory is taken as it is needed: at most 8 MiB for as many calls on
/// names as are under way at once.
#[map]
static NAMES: HashMap<[u64; 2], Name> = HashMap::with_max_entries(2048, BPF_F_NO_PREALLOC);

const BPF_F_NO_PREALLOC: u32 = 1;
/// An owner of no names.
pub const NOBODY: u64 = 0;

/// Which name of a call.
#[derive(Clone, Copy)]
#[repr(u64)]
pub enum Which {
    /// What [`Slot::Passed`] stands for.
    Main = 0,
    /// What [`Slot::Target`] stands for.
    Target = 1,
}

/// A noted name.
#[repr(C)]
struct Name {
    /// Bytes of the text.
    len: u32,
    /// How the walk ended: one of [`End`].
    end: u32,
    text: [u8; PATH_MAX],
}

/// Notes the path of a place for a thread or request.
#[inline(always)]
pub fn keep(owner: u64, which: Which, place: Place) -> Outcome {
    let slot = scratch::claim()?;
    // SAFETY: the slot is claimed; text and record are disjoint parts of it, the latter larger than
    // a note.
    let outcome = unsafe {
        let walk = &raw mut (*slot).walk;
        walk::set_home(walk, walk::home::<Probed>(current()));
        walk::begin(walk, place);
        let len = walk::walk(walk);
        let start = (&raw const (*walk).start).read_volatile() & 0xfff;
        let text = (&raw const (*walk).text).cast::<u8>().add(start as usize);
        let name = (&raw mut (*slot).record).cast::<Name>();
        bpf_probe_read_kernel((&raw mut (*name).text).cast(), len, text.cast());
        (*name).len = len;
        (*name).end = (&raw const (*walk).end).read_volatile();
        insert(owner, which, &*name)
    };
    // SAFETY: claimed above, and done with.
    unsafe { scratch::release(slot) };
    outcome
}

/// Notes a text that is the kernel's copy.
#[inline(always)]
pub fn keep_text(owner: u64, which: Which, text: Pointer) -> Outcome {
    let slot = scratch::claim()?;
    // SAFETY: as for `keep`; the source is checked.
    let outcome = unsafe {
        let name = (&raw mut (*slot).record).cast::<Name>();
        let to = (&raw mut (*name).text).cast();
        let copied = bpf_probe_read_kernel_str(to, PATH_MAX as u32, text.cast());
        (*name).len = if copied > 0 { copied as u32 - 1 } else { 0 };
        (*name).end = End::ROOT;
        insert(owner, which, &*name)
    };
    // SAFETY: claimed above, and done with.
    unsafe { scratch::release(slot) };
    outcome
}

#[inline(always)]
fn insert(owner: u64, which: Which, name: &Name) -> Outcome {
    noted::made(Notes::Names);
    let done = NAMES.insert([owner, which as u64], name, 0);
    done.map_err(|_| LossReason::StateEvicted)
}

/// Fills a slot with what was noted; whether something was.
#[inline(always)]
pub fn fill(record: &Record<COMMON>, slot: Slot, owner: u64, which: Which) -> bool {
    let Some(name) = NAMES.get_ptr([owner, which as u64]) else {
        return false;
    };
    // SAFETY: a checked map value, which only the owner's thread changes.
    unsafe {
        let len = (&raw const (*name).len).read_volatile() & 0xfff;
        let (to, at) = record.room::<PATH_MAX>();
        bpf_probe_read_kernel(to.cast(), len, (&raw const (*name).text).cast());
        record.fill(slot, at, u64::from(len));
        match (&raw const (*name).end).read_volatile() {
            End::TRUNCATED => record.flag(Flags::PATH_TRUNCATED),
            End::DETACHED | End::PSEUDO if matches!(slot, Slot::Resolved) => {
                record.flag(Flags::DETACHED);
            }
            _ => {}
        }
    }
    true
}

/// Takes out what was noted, if anything.
#[inline(always)]
pub fn forget(owner: u64) {
    if !noted::any(Notes::Names) {
        return;
    }
    // What has a second name has a first one.
    if NAMES.remove([owner, Which::Main as u64]).is_ok() {
        let _ = NAMES.remove([owner, Which::Target as u64]);
    }
}
