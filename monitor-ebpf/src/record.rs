//! Building one record: header, body, then strings in slot order.
//!
//! Strings lie one behind the other. The verifier does not follow their lengths: how much is used
//! is kept in map memory and bounded anew at each string, by room that the largest record has.

use aya_ebpf::helpers::generated::{
    bpf_ktime_get_boot_ns, bpf_probe_read_kernel, bpf_probe_read_kernel_str, bpf_probe_read_user,
    bpf_probe_read_user_str,
};
use monitor_common::{Flags, Header, Kind, PATH_MAX, SLOTS, Slot, Task};

use crate::emit::{self, Lane, Outcome};
use crate::read::{Pointer, Read, Typed, current, masked};
use crate::scratch::{self, COMMON, Scratch};
use crate::task;
use crate::walk::{self, End, Place, Walk};

/// Whose memory a string lies in.
#[derive(Clone, Copy)]
pub enum Origin {
    /// The program's: it may change while we look.
    User,
    /// The kernel's own copy.
    Kernel,
}

/// A record being built in a slot of scratch memory.
pub struct Record<const SIZE: usize> {
    slot: *mut Scratch<SIZE>,
}

impl<const SIZE: usize> Record<SIZE> {
    /// Starts a record about `task`.
    ///
    /// # Safety
    /// `slot` is a map value that no other program uses; `task` as for [`Read::at`].
    #[inline(always)]
    pub unsafe fn new<R: Read>(slot: *mut Scratch<SIZE>, kind: u32, task: Pointer) -> Self {
        let record = Self { slot };
        // SAFETY: the caller's.
        unsafe {
            let home = begin::<R>(record.header(), kind, task);
            walk::set_home(&raw mut (*slot).walk, home);
        }
        record
    }

    /// The body, whose bytes the caller must all set. Strings come after it.
    #[inline(always)]
    pub fn body<T>(&self) -> *mut T {
        self.set_used((size_of::<Header>() + size_of::<T>()) as u64);
        // SAFETY: in bounds of the slot, by its size.
        unsafe {
            (&raw mut (*self.slot).record)
                .cast::<u8>()
                .add(size_of::<Header>())
                .cast()
        }
    }

    /// The walk of the latest path.
    #[inline(always)]
    pub fn walk(&self) -> *const Walk {
        // SAFETY: in bounds of the slot.
        unsafe { &raw const (*self.slot).walk }
    }

    /// Number of the slot among all.
    #[inline(always)]
    pub fn number(&self) -> u32 {
        // SAFETY: in bounds of the slot.
        unsafe { (*self.slot).walk.number }
    }

    /// A byte of the record.
    #[inline(always)]
    pub fn byte(&self, at: u32) -> u8 {
        // SAFETY: a bounded offset into the record.
        unsafe {
            (&raw const (*self.slot).record)
                .cast::<u8>()
                .add((at as usize).min(SIZE - 1))
                .read_volatile()
        }
    }

    /// The header.
    #[inline(always)]
    pub fn header(&self) -> *mut Header {
        // SAFETY: in bounds of the slot.
        unsafe { (&raw mut (*self.slot).record).cast() }
    }

    /// The task that the record is about.
    #[inline(always)]
    pub fn task(&self) -> *mut Task {
        // SAFETY: in bounds of the slot.
        unsafe { &raw mut (*self.header()).task }
    }

    /// Sets a bit of [`Flags`].
    #[inline(always)]
    pub fn flag(&self, bit: u16) {
        // SAFETY: the header is initialised.
        unsafe { (*self.header()).flags |= bit };
    }

    /// Fills a slot with the path of a place; returns how the walk ended.
    #[inline(always)]
    pub fn place(&self, slot: Slot, place: Place) -> u32 {
        // SAFETY: text and record are disjoint parts of the slot; both bounded.
        unsafe {
            let walk = &raw mut (*self.slot).walk;
            let len = walk::walk(walk, place);
            self.walked(slot, len);
            if matches!(slot, Slot::Resolved) {
                walk::keep_elsewhere(walk);
            }
            let end = (&raw const (*walk).end).read_volatile();
            match end {
                End::TRUNCATED => self.flag(Flags::PATH_TRUNCATED),
                End::DETACHED | End::PSEUDO if matches!(slot, Slot::Resolved) => {
                    self.flag(Flags::DETACHED);
                }
                _ => {}
            }
            end
        }
    }

    /// Fills [`Slot::Original`], after the slots before it, if a mount shows the file of
    /// [`Slot::Resolved`], which is at `place`, elsewhere than where it lies.
    #[inline(always)]
    pub fn original(&self, place: Place) {
        // SAFETY: in bounds of the slot.
        unsafe {
            let len = walk::walk_original(&raw mut (*self.slot).walk, place);
            self.walked(Slot::Original, len);
        }
    }

    /// Fills a slot with the last bytes of the text of the latest walk.
    #[inline(always)]
    unsafe fn walked(&self, slot: Slot, len: u32) {
        // SAFETY: text and record are disjoint parts of the slot; both bounded.
        unsafe {
            let walk = &raw const (*self.slot).walk;
            let start = (&raw const (*walk).start).read_volatile() & 0xfff;
            let text = (&raw const (*walk).text).cast::<u8>().add(start as usize);
            let (to, at) = self.room::<PATH_MAX>();
            bpf_probe_read_kernel(to.cast(), len, text.cast());
            self.fill(slot, at, u64::from(len));
        }
    }

    /// Fills a slot with a string that ends at a NUL; returns its first byte (0 for none).
    #[inline(always)]
    pub fn string(&self, slot: Slot, origin: Origin, string: Pointer) -> u8 {
        let (to, at) = self.room::<PATH_MAX>();
        // SAFETY: the helpers check the source; `room` bounds the target.
        let copied = unsafe {
            match origin {
                Origin::User => bpf_probe_read_user_str(to.cast(), PATH_MAX as u32, string.cast()),
                Origin::Kernel => {
                    bpf_probe_read_kernel_str(to.cast(), PATH_MAX as u32, string.cast())
                }
            }
        };
        if copied <= 0 {
            self.flag(Flags::PASSED_UNREADABLE);
            return 0;
        }
        if copied == PATH_MAX as i64 {
            self.flag(Flags::PATH_TRUNCATED);
        }
        self.fill(slot, at, copied as u64 - 1);
        // SAFETY: `room` gives at least a byte, and the helper set it.
        unsafe { to.read_volatile() }
    }

    /// Appends up to `MAX` bytes of user memory to a slot; false if they cannot be read.
    #[inline(always)]
    pub fn bytes<const MAX: usize>(&self, slot: Slot, from: u64, len: u64) -> Result<(), ()> {
        let (to, at) = self.room::<MAX>();
        // Old verifiers do not see from a comparison alone that it is not negative.
        let len = masked::<{ i32::MAX }>(len.min(i32::MAX as u64) as u32).min(MAX as u32);
        // SAFETY: the helper checks the source; `room` and `min` bound the target.
        let failed = unsafe { bpf_probe_read_user(to.cast(), len, from as *const _) };
        if failed != 0 {
            return Err(());
        }
        self.fill(slot, at, len.into());
        Ok(())
    }

    /// Where the next string goes, with room for `MAX` bytes, and its offset.
    #[inline(always)]
    pub fn room<const MAX: usize>(&self) -> (*mut u8, u64) {
        // SAFETY: a bounded offset into the record.
        unsafe {
            let at = (&raw const (*self.slot).used)
                .read_volatile()
                .min((SIZE - MAX) as u64);
            (
                (&raw mut (*self.slot).record).cast::<u8>().add(at as usize),
                at,
            )
        }
    }

    /// Adds `len` bytes at offset `at` to a slot.
    #[inline(always)]
    pub fn fill(&self, slot: Slot, at: u64, len: u64) {
        // SAFETY: the header is initialised; the slot number is a constant below `SLOTS`.
        unsafe { (*self.header()).strings[slot as usize] += len as u32 };
        self.set_used(at + len);
    }

    /// Hands the record to its ring.
    #[inline(always)]
    pub fn emit(&self, kind: Kind) -> Outcome {
        self.emit_number(kind as u32)
    }

    /// [`Record::emit`] for a kind by its number.
    #[inline(always)]
    pub fn emit_number(&self, kind: u32) -> Outcome {
        self.emit_into(Lane::of(kind), kind)
    }

    /// [`Record::emit_number`] into a ring that is not the kind's own.
    #[inline(always)]
    pub fn emit_into(&self, lane: Lane, kind: u32) -> Outcome {
        // SAFETY: all bytes below `used` were set.
        unsafe {
            let used = (&raw const (*self.slot).used)
                .read_volatile()
                .min(SIZE as u64) as u32;
            (*self.header()).len = used;
            emit::output(lane, kind, (&raw const (*self.slot).record).cast(), used)
        }
    }

    #[inline(always)]
    fn set_used(&self, used: u64) {
        // SAFETY: in bounds of the slot.
        unsafe { (&raw mut (*self.slot).used).write_volatile(used) };
    }
}

/// A record without strings.
#[repr(C)]
pub struct Fixed<T> {
    header: Header,
    body: T,
}

/// Reports a record without strings: `fill` must set all bytes of the body.
///
/// # Safety
/// `task` is typed.
#[inline(always)]
pub unsafe fn fixed<T: 'static>(kind: Kind, task: Pointer, fill: impl FnOnce(*mut T)) -> Outcome {
    emit::write(kind, |record: *mut Fixed<T>| {
        // SAFETY: memory of the ring, as large as the record.
        unsafe {
            begin::<Typed>(&raw mut (*record).header, kind as u32, task);
            (*record).header.len = size_of::<Fixed<T>>() as u32;
            fill(&raw mut (*record).body);
        }
    })
}

/// Runs `fill` on a record about the current task, of a [`Kind`] by its number.
#[inline(always)]
pub fn with<R: Read>(
    kind: u32,
    flags: u16,
    fill: impl FnOnce(&Record<COMMON>) -> Outcome,
) -> Outcome {
    let slot = scratch::claim()?;
    // SAFETY: claimed; the current task is typed.
    let record = unsafe { Record::new::<R>(slot, kind, current()) };
    record.flag(flags);
    let outcome = fill(&record);
    // SAFETY: claimed above, and `fill` is done.
    unsafe { scratch::release(slot) };
    outcome
}

/// Sets the header of a record; returns the task's mount namespace.
#[inline(always)]
unsafe fn begin<R: Read>(header: *mut Header, kind: u32, task: Pointer) -> u64 {
    // SAFETY: the caller gives memory for a header.
    unsafe {
        (&raw mut (*header).len).write(size_of::<Header>() as u32);
        (&raw mut (*header).kind).write(kind as u16);
        (&raw mut (*header).time).write(bpf_ktime_get_boot_ns());
        let strings = (&raw mut (*header).strings).cast::<u64>();
        let mut word = 0;
        while word < SLOTS / 2 {
            strings.add(word).write_volatile(0);
            word += 1;
        }
        let (flags, home) = task::describe::<R>(&raw mut (*header).task, task);
        (&raw mut (*header).flags).write(flags);
        home
    }
}
