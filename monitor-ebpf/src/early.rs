//! Opens that no rule can match, found by their paths before anything else is gathered: most opens.
//!
//! Only the plain cases are decided here, by texts that are put aside; what is passed is not read
//! twice where it says where the file is. All else is decided when the record is complete, by
//! [`filter::keeps`], which would decide the same of what is decided here.

use aya_ebpf::helpers::generated::{bpf_probe_read_kernel_str, bpf_probe_read_user_str};
use monitor_common::file::Open;
use monitor_common::filter::Head;
use monitor_common::{PATH_MAX, Slot};

use crate::file::{self, AT_FDCWD};
use crate::filter::{self, Asked, Text};
use crate::layout::*;
use crate::read::{Pointer, Probed, Read, Typed, masked};
use crate::record::{Origin, Record};
use crate::scratch::{ASIDE, COMMON, WALKED};
use crate::walk::{self, End, Place, Walk};

/// What was read of the paths of an open, in map memory.
#[repr(C)]
pub struct Paths {
    /// Length of the text that the walk found.
    resolved: u32,
    /// Length of the passed text, or [`UNREADABLE`].
    passed: u32,
    /// Whether there is an open file, and whether there is a passed text.
    is_open: u32,
    is_named: u32,
}

const UNREADABLE: u32 = u32::MAX;
/// Words in which texts are compared; what is longer is read twice.
const WORDS: u32 = 16;

/// What becomes of an open.
#[derive(Clone, Copy)]
pub struct Verdict;

impl Verdict {
    pub const REFUSED: u32 = 0;
    pub const KEPT: u32 = 1;
    /// It takes the whole record to say.
    pub const LATE: u32 = 2;
}

/// Reads the paths of an open: where its file is, if there is one, and its name, if it has one.
///
/// # Safety
/// `file` as for [`Read::at`]; `task` is the current one.
#[inline(always)]
pub unsafe fn read<R: Read>(
    record: &Record<COMMON>,
    task: Pointer,
    file: Pointer,
    (origin, name): (Origin, Pointer),
    dirfd: i32,
) {
    let paths = record.paths();
    // SAFETY: memory of the slot; the caller's file.
    unsafe {
        (*paths).is_open = u32::from(!file.is_null());
        (*paths).is_named = u32::from(!name.is_null());
        (*paths).passed = if name.is_null() {
            0
        } else {
            put_aside(record, origin, name)
        };
        (*paths).resolved = 0;
        if file.is_null() {
            return;
        }
        let walk = record.walk_mut();
        (*walk).mark = start(record, task, dirfd);
        (*walk).marked = 0;
        walk::set_home(walk, walk::home::<Typed>(task));
        walk::begin(walk, walk::place_at::<R>(file, FILE_PATH.load()));
        (*paths).resolved = record.look();
        // Word by word: the compiler would call a function that does so byte by byte.
        (&raw mut (*walk).mark.dentry).write_volatile(0);
        (&raw mut (*walk).mark.mnt).write_volatile(0);
    }
}

/// Reads the passed text; its length.
#[inline(always)]
unsafe fn put_aside(record: &Record<COMMON>, origin: Origin, name: Pointer) -> u32 {
    const MOST: u32 = PATH_MAX as u32;
    // SAFETY: the place is in the slot; the helpers check the source.
    let copied = unsafe {
        let to = record.in_slot(ASIDE).cast_mut().cast();
        match origin {
            Origin::User => bpf_probe_read_user_str(to, MOST, name.cast()),
            Origin::Kernel => bpf_probe_read_kernel_str(to, MOST, name.cast()),
        }
    };
    if copied <= 0 || copied == i64::from(MOST) {
        return UNREADABLE;
    }
    copied as u32 - 1
}

/// The directory that a relative path starts from; nowhere for others.
#[inline(always)]
unsafe fn start(record: &Record<COMMON>, task: Pointer, dirfd: i32) -> Place {
    // SAFETY: the text put aside; the current task is typed.
    unsafe {
        let passed = (*record.paths()).passed;
        if passed == 0 || passed == UNREADABLE || first(record) == b'/' {
            return Place { dentry: 0, mnt: 0 };
        }
        if dirfd == AT_FDCWD {
            return walk::cwd_of::<Typed>(task);
        }
        walk::place_at::<Probed>(
            file::of_descriptor_by::<Typed>(task, dirfd),
            FILE_PATH.load(),
        )
    }
}

/// Puts what was read into a record, as the slots of both paths; `name` is the one that was read.
/// Returns the first byte of the passed path: of an open by none, that of one that starts nowhere.
///
/// # Safety
/// `body` is the record's.
#[inline(always)]
pub unsafe fn keep(record: &Record<COMMON>, body: *mut Open, name: (Origin, Pointer)) -> u8 {
    // SAFETY: memory of the slot.
    unsafe {
        let paths = record.paths();
        if (*paths).is_open != 0 {
            let end = record.keep_walked(Slot::Resolved as u32, (*paths).resolved);
            file::note_memfd(record, body, end);
        }
        match (*paths).passed {
            UNREADABLE => record.string(Slot::Passed, name.0, name.1),
            0 if (*paths).is_named == 0 => b'/',
            0 => 0,
            len => {
                record.keep_aside(len);
                first(record)
            }
        }
    }
}

#[inline(always)]
fn first(record: &Record<COMMON>) -> u8 {
    // SAFETY: in bounds of the slot.
    unsafe { record.in_slot(ASIDE).read_volatile() }
}

/// Decides by what was read, of an open of the current task: one of [`Verdict`]. Counts what is refused.
#[inline(always)]
pub fn verdict(record: &Record<COMMON>, task: Pointer, asked: Asked) -> u32 {
    let verdict = early_verdict(record.number(), asked.filter, asked.left, asked.class);
    if verdict != Verdict::REFUSED {
        return verdict;
    }
    if filter::is_self_check_by(task) {
        return Verdict::KEPT;
    }
    filter::count();
    Verdict::REFUSED
}

/// What the paths of the open in a slot say. A function of its own, which the verifier looks at once.
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn early_verdict(slot: u32, filter: u32, left: u64, class: u32) -> u32 {
    let Some(number) = filter.checked_sub(1) else {
        return Verdict::KEPT;
    };
    let (Some(record), Some(head)) = (Record::of_slot(slot), filter::head(number)) else {
        return Verdict::KEPT;
    };
    // SAFETY: a checked map value.
    let head = unsafe { &*head };
    decide(&record, number, head, left, class as usize)
}

#[inline(always)]
fn decide(record: &Record<COMMON>, filter: u32, head: &Head, left: u64, class: usize) -> u32 {
    // SAFETY: memory of the slot.
    let (passed, resolved, is_open, is_named) = unsafe {
        let paths = record.paths();
        (
            (*paths).passed,
            (*paths).resolved,
            (*paths).is_open != 0,
            (*paths).is_named != 0,
        )
    };
    if left & head.free(class) != 0 || passed == UNREADABLE {
        return Verdict::KEPT;
    }
    // SAFETY: in bounds of the slot.
    if is_open && (resolved == 0 || !unsafe { walk::is_plain(record.walk()) }) {
        return Verdict::LATE;
    }
    let text = Text {
        number: record.number(),
        filter,
        head,
    };
    let mut raw = 0;
    if passed == 0 {
        if is_named || !is_open {
            return Verdict::LATE;
        }
    } else if first(record) == b'/' {
        if !(is_open && resolved == passed && same(record, resolved)) {
            text.begin(0);
            text.read(ASIDE, passed);
            let (found, of_passed) = text.end(class);
            if found & left != 0 {
                return Verdict::KEPT;
            }
            raw = of_passed;
        }
    } else if !is_open || !is_below(record, passed) {
        return Verdict::LATE;
    }
    if is_open {
        text.begin(raw);
        text.read(WALKED + start_of(record.walk()), resolved);
        if text.end(class).0 & left != 0 {
            return Verdict::KEPT;
        }
    }
    Verdict::REFUSED
}

/// Where the text of a walk begins.
#[inline(always)]
fn start_of(walk: *const Walk) -> u32 {
    // SAFETY: callers give one in a slot.
    unsafe { (&raw const (*walk).start).read_volatile() & 0xfff }
}

/// Whether a relative path is what the walk found below the directory that it starts from: then one
/// text is both views.
#[inline(always)]
fn is_below(record: &Record<COMMON>, passed: u32) -> bool {
    // SAFETY: in bounds of the slot.
    let (marked, end) = unsafe {
        let walk = record.walk();
        (
            (&raw const (*walk).marked).read_volatile(),
            (&raw const (*walk).end).read_volatile(),
        )
    };
    marked != 0
        && end == End::ROOT
        && marked.wrapping_add(1).wrapping_add(passed) == walk::TEXT_MAX
        && same(record, passed)
}

/// Whether the last bytes that the walk found are the passed text.
#[inline(always)]
fn same(record: &Record<COMMON>, len: u32) -> bool {
    early_same(record.number(), len) != 0
}

/// [`same`] in a slot, for a text of no more than [`WORDS`].
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn early_same(slot: u32, len: u32) -> u32 {
    let Some(record) = Record::of_slot(slot) else {
        return 0;
    };
    if len > 8 * WORDS {
        return 0;
    }
    let from = masked::<0xfff>(walk::TEXT_MAX.wrapping_sub(len));
    let mut at = 0;
    while at < 8 * WORDS {
        if at >= len {
            return 1;
        }
        // SAFETY: both have room for a word behind their end; bounded by constants and the mask.
        let differ = unsafe {
            let one = walk::load(record.in_slot(WALKED).add(from as usize).add(at as usize));
            let other = walk::load(record.in_slot(ASIDE).add(at as usize));
            one ^ other
        };
        let rest = len - at;
        let differ = if rest < 8 {
            differ & ((1u64 << (rest * 8)) - 1)
        } else {
            differ
        };
        if differ != 0 {
            return 0;
        }
        at += 8;
    }
    1
}
