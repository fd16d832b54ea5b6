//! Which maps of notes for calls have ever had one. Where nothing was ever noted (on the syscall tier
//! most of them) nothing has to be looked up or taken out: an end of a thread would touch five places
//! in memory that nobody has touched lately.

use aya_ebpf::macros::map;
use aya_ebpf::maps::Array;

/// A map of notes, whose [`made`] is called before each that is made.
#[derive(Clone, Copy)]
pub enum Notes {
    Tried = 0,
    Copies = 1,
    Serving = 2,
    Linkings = 3,
    Names = 4,
}

/// 1 for each of [`Notes`] that has had one.
#[map]
static NOTED: Array<u64> = Array::with_max_entries(5, 0);

/// Whether there may be notes. Who has made one has seen it being made.
#[inline(always)]
pub fn any(notes: Notes) -> bool {
    // SAFETY: a checked map value.
    NOTED
        .get_ptr(notes as u32)
        .is_none_or(|noted| unsafe { noted.read_volatile() != 0 })
}

/// A note is about to be made.
#[inline(always)]
pub fn made(notes: Notes) {
    // It is hardly ever written, so that CPUs share it.
    if !any(notes)
        && let Some(noted) = NOTED.get_ptr_mut(notes as u32)
    {
        // SAFETY: as above.
        unsafe { noted.write_volatile(1) };
    }
}
