//! Building one record: header, body, then strings in slot order.
//!
//! Strings lie one behind the other. The verifier does not follow their lengths: how much is used
//! is kept in map memory and bounded anew at each string, by room that the largest record has.

use core::mem::MaybeUninit;

use aya_ebpf::helpers::generated::{
    bpf_ktime_get_boot_ns, bpf_probe_read_kernel, bpf_probe_read_kernel_str, bpf_probe_read_user,
    bpf_probe_read_user_str,
};
use monitor_common::loss::LossReason;
use monitor_common::{Flags, Header, Kind, PATH_MAX, SLOTS, Slot, Task};

use crate::early::Paths;
use crate::emit::{self, Lane, Outcome};
use crate::read::{Pointer, Probed, Read, Typed, current, masked};
use crate::scratch::{self, ASIDE, COMMON, Scratch};
use crate::syscall::Call;
use crate::task::{self, Whose};
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
    /// Starts a record about the current task.
    ///
    /// # Safety
    /// `slot` is a map value that no other program uses; `task` is the current one, and as for
    /// [`Read::at`].
    #[inline(always)]
    pub unsafe fn new<R: Read>(slot: *mut Scratch<SIZE>, kind: u32, task: Pointer) -> Self {
        let record = Self { slot };
        // SAFETY: the caller's.
        unsafe {
            let home = begin::<R>(record.header(), kind, task, Whose::Current);
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

    /// [`Record::place`], in place.
    #[inline(always)]
    pub fn place_here(&self, slot: Slot, place: Place) -> u32 {
        // SAFETY: in bounds of the slot.
        unsafe { walk::begin(&raw mut (*self.slot).walk, place) };
        self.walked(slot as u32)
    }

    /// Fills a slot with the path of the place where the walk was begun.
    #[inline(always)]
    fn walked(&self, slot: u32) -> u32 {
        let len = self.walk_there(slot == Slot::Resolved as u32);
        self.keep_walked(slot, len)
    }

    /// Walks to the place where the walk was begun; the length of the text.
    #[inline(always)]
    fn walk_there(&self, is_file: bool) -> u32 {
        // SAFETY: in bounds of the slot.
        unsafe {
            let walk = &raw mut (*self.slot).walk;
            let len = walk::walk(walk);
            if is_file {
                walk::keep_elsewhere(walk);
            }
            len
        }
    }

    /// Fills a slot with the path that the latest walk found; returns how that ended.
    #[inline(always)]
    pub fn keep_walked(&self, slot: u32, len: u32) -> u32 {
        self.fill_walked(slot, len);
        // SAFETY: in bounds of the slot.
        unsafe {
            let walk = &raw const (*self.slot).walk;
            let end = (&raw const (*walk).end).read_volatile();
            match end {
                End::TRUNCATED => self.flag(Flags::PATH_TRUNCATED),
                End::DETACHED | End::PSEUDO if slot == Slot::Resolved as u32 => {
                    self.flag(Flags::DETACHED);
                }
                _ => {}
            }
            end
        }
    }

    /// Fills a slot with the last bytes of the text of the latest walk.
    #[inline(always)]
    fn fill_walked(&self, slot: u32, len: u32) {
        // SAFETY: text and record are disjoint parts of the slot; both bounded.
        unsafe {
            let walk = &raw const (*self.slot).walk;
            let start = (&raw const (*walk).start).read_volatile() & 0xfff;
            let text = (&raw const (*walk).text).cast::<u8>().add(start as usize);
            let (to, at) = self.room::<PATH_MAX>();
            let len = masked::<0xfff>(len);
            bpf_probe_read_kernel(to.cast(), len, text.cast());
            self.fill_number(slot, at, u64::from(len));
        }
    }

    /// [`Record::original`], in place.
    #[inline(always)]
    pub fn original_here(&self, place: Place) {
        // SAFETY: in bounds of the slot.
        unsafe {
            let walk = &raw mut (*self.slot).walk;
            if walk::begin_original(walk, place) {
                let len = walk::walk_original(walk);
                self.fill_walked(Slot::Original as u32, len);
            }
        }
    }

    /// [`Record::string`], in place.
    #[inline(always)]
    pub fn string_here(&self, slot: u32, origin: Origin, string: Pointer) -> u8 {
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
        self.fill_number(slot, at, copied as u64 - 1);
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
        self.fill_number(slot as u32, at, len);
    }

    /// [`Record::fill`] for a slot by its number.
    #[inline(always)]
    pub fn fill_number(&self, slot: u32, at: u64, len: u64) {
        // SAFETY: the header is initialised; the number of a slot is below `SLOTS`, and what the mask
        // leaves is in the record.
        unsafe {
            let strings = (&raw mut (*self.header()).strings).cast::<u32>();
            *strings.add(masked::<0xf>(slot) as usize) += len as u32;
        }
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

impl Record<COMMON> {
    /// The record in a slot.
    #[inline(always)]
    pub fn of_slot(number: u32) -> Option<Self> {
        scratch::slot(number).map(|slot| Self { slot })
    }

    /// A place in the slot, by one of the offsets of [`scratch`].
    #[inline(always)]
    pub fn in_slot(&self, at: u32) -> *const u8 {
        self.slot
            .cast_const()
            .cast::<u8>()
            .wrapping_add(at as usize)
    }

    /// What was read of the paths of an open.
    #[inline(always)]
    pub fn paths(&self) -> *mut Paths {
        // SAFETY: in bounds of the slot.
        unsafe { &raw mut (*self.slot).paths }
    }

    /// The walk, to be begun.
    #[inline(always)]
    pub fn walk_mut(&self) -> *mut Walk {
        // SAFETY: in bounds of the slot.
        unsafe { &raw mut (*self.slot).walk }
    }

    /// Starts the record, of a [`Kind`] by its number, about the current task; what was put into it is gone.
    #[inline(always)]
    pub fn start<R: Read>(&self, kind: u32, flags: u16) {
        if R::TYPED {
            start_typed(self.number(), kind);
        } else {
            start_probed(self.number(), kind);
        }
        self.flag(flags);
    }

    /// Walks to an open file, whose walk was begun; the length of the text.
    #[inline(always)]
    pub fn look(&self) -> u32 {
        self.walk_there(true)
    }

    /// Fills the slot of the passed path with what was put aside.
    #[inline(always)]
    pub fn keep_aside(&self, len: u32) {
        let (to, at) = self.room::<PATH_MAX>();
        let len = masked::<0xfff>(len);
        // SAFETY: both bounded parts of the slot.
        unsafe { bpf_probe_read_kernel(to.cast(), len, self.in_slot(ASIDE).cast()) };
        self.fill(Slot::Passed, at, len.into());
    }

    /// Fills a slot with the path of a place; returns how the walk ended.
    #[inline(always)]
    pub fn place(&self, slot: Slot, place: Place) -> u32 {
        // SAFETY: in bounds of the slot.
        unsafe { walk::begin(&raw mut (*self.slot).walk, place) };
        record_place(self.number(), slot as u32)
    }

    /// Fills [`Slot::Original`], after the slots before it, if a mount shows the file of
    /// [`Slot::Resolved`], which is at `place`, elsewhere than where it lies.
    #[inline(always)]
    pub fn original(&self, place: Place) {
        // SAFETY: in bounds of the slot.
        if unsafe { walk::begin_original(&raw mut (*self.slot).walk, place) } {
            record_original(self.number());
        }
    }

    /// Fills a slot with a string that ends at a NUL; returns its first byte (0 for none).
    #[inline(always)]
    pub fn string(&self, slot: Slot, origin: Origin, string: Pointer) -> u8 {
        record_string(
            self.number(),
            slot as u32,
            matches!(origin, Origin::User).into(),
            self.as_number(string),
        ) as u8
    }

    /// A pointer as a number, for functions that the verifier looks at once.
    #[inline(always)]
    pub fn as_number(&self, pointer: Pointer) -> u64 {
        // SAFETY: the slot is claimed.
        unsafe { scratch::number(self.slot, pointer as u64) }
    }
}

/// Does something to the record in a slot.
#[inline(always)]
pub fn in_record(number: u32, change: impl FnOnce(&Record<COMMON>)) -> u32 {
    if let Some(record) = Record::of_slot(number) {
        change(&record);
    }
    0
}

/// [`Record::place`] of the record in a slot, where its walk was begun.
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn record_place(number: u32, slot: u32) -> u32 {
    Record::of_slot(number).map_or(End::DETACHED, |record| record.walked(slot))
}

/// [`Record::original`] of the record in a slot, where that walk was begun.
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn record_original(number: u32) -> u32 {
    in_record(number, |record| {
        // SAFETY: in bounds of the slot.
        let len = unsafe { walk::walk_original(&raw mut (*record.slot).walk) };
        record.fill_walked(Slot::Original as u32, len);
    })
}

/// [`Record::string`] of the record in a slot, of a string in the kernel (0) or of the program (1).
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn record_string(number: u32, slot: u32, origin: u32, string: u64) -> u32 {
    let Some(record) = Record::of_slot(number) else {
        return 0;
    };
    let origin = if origin == 0 {
        Origin::Kernel
    } else {
        Origin::User
    };
    record.string_here(slot, origin, string as Pointer).into()
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
/// `task` is typed, and the current one if `whose` says so.
#[inline(always)]
pub unsafe fn fixed<T: 'static>(
    kind: Kind,
    (task, whose): (Pointer, Whose),
    fill: impl FnOnce(*mut T),
) -> Outcome {
    emit::write(kind, |record: *mut Fixed<T>| {
        // SAFETY: memory of the ring, as large as the record.
        unsafe {
            begin::<Typed>(&raw mut (*record).header, kind as u32, task, whose);
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
    let record = Record { slot };
    record.start::<R>(kind, flags);
    let outcome = fill(&record);
    // SAFETY: claimed above, and `fill` is done.
    unsafe { scratch::release(slot) };
    outcome
}

/// Runs `fill` on a record that is to be [started](Record::start).
#[inline(always)]
pub fn unstarted(fill: impl FnOnce(&Record<COMMON>) -> Outcome) -> Outcome {
    let slot = scratch::claim()?;
    let outcome = fill(&Record { slot });
    // SAFETY: claimed above, and `fill` is done.
    unsafe { scratch::release(slot) };
    outcome
}

/// Runs `tell` on a record about a call of the current task, by the number of its slot: see
/// [`about`]. What comes of it is a [`emit::code`].
#[inline(always)]
pub fn tell<R: Read>(kind: u32, call: &Call, tell: impl FnOnce(u32) -> u32) -> u32 {
    let slot = match scratch::claim() {
        Ok(slot) => slot,
        Err(reason) => return emit::code(Err(reason)),
    };
    // SAFETY: claimed.
    unsafe { (&raw mut (*slot).call).write(MaybeUninit::new(*call)) };
    let record = Record { slot };
    record.start::<R>(kind, call.flags);
    let code = tell(record.number());
    // SAFETY: claimed above, and `tell` is done.
    unsafe { scratch::release(slot) };
    code
}

/// [`tell`], if `look` says so, which sees the call but no header: to begin a record costs more than
/// most such looks.
#[inline(always)]
pub fn tell_if<R: Read>(
    kind: u32,
    call: &Call,
    look: impl FnOnce(u32) -> u32,
    tell: impl FnOnce(u32) -> u32,
) -> u32 {
    tell_unstarted(call, |number| {
        if look(number) == 0 {
            return emit::code(Ok(()));
        }
        in_record(number, |record| record.start::<R>(kind, call.flags));
        tell(number)
    })
}

/// [`tell`] on a record that is to be [started](Record::start).
#[inline(always)]
pub fn tell_unstarted(call: &Call, tell: impl FnOnce(u32) -> u32) -> u32 {
    let slot = match scratch::claim() {
        Ok(slot) => slot,
        Err(reason) => return emit::code(Err(reason)),
    };
    // SAFETY: claimed.
    unsafe { (&raw mut (*slot).call).write(MaybeUninit::new(*call)) };
    let code = tell(Record { slot }.number());
    // SAFETY: claimed above, and `tell` is done.
    unsafe { scratch::release(slot) };
    code
}

/// Runs `fill` on the record and the call in a slot, in a function that takes its number: the
/// verifier looks at that once, whatever came before.
#[inline(always)]
pub fn about(number: u32, fill: impl FnOnce(&Record<COMMON>, &Call) -> Outcome) -> u32 {
    let Some(record) = Record::of_slot(number) else {
        return emit::code(Err(LossReason::NoScratch));
    };
    // SAFETY: a checked map value; `tell` has set the call.
    let call = unsafe { (*record.slot).call.assume_init_ref() };
    emit::code(fill(&record, call))
}

/// Whether the call in a slot is to be told, as [`about`]; what cannot be seen is.
#[inline(always)]
pub fn wanted(number: u32, refuses: impl FnOnce(&Record<COMMON>, &Call) -> bool) -> u32 {
    let Some(record) = Record::of_slot(number) else {
        return 1;
    };
    // SAFETY: as in `about`.
    let call = unsafe { (*record.slot).call.assume_init_ref() };
    u32::from(!refuses(&record, call))
}

/// Starts a record about the current task in a slot.
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn start_typed(number: u32, kind: u32) -> u32 {
    start_in::<Typed>(number, kind)
}

/// The same, in programs that run seldom.
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn start_probed(number: u32, kind: u32) -> u32 {
    start_in::<Probed>(number, kind)
}

#[inline(always)]
fn start_in<R: Read>(number: u32, kind: u32) -> u32 {
    if let Some(slot) = scratch::slot(number) {
        // SAFETY: whoever calls has claimed it; the current task is typed.
        unsafe { Record::new::<R>(slot, kind, current()) };
    }
    0
}

/// Sets the header of a record; returns the task's mount namespace.
#[inline(always)]
unsafe fn begin<R: Read>(header: *mut Header, kind: u32, task: Pointer, whose: Whose) -> u64 {
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
        let (flags, home) = task::describe::<R>(&raw mut (*header).task, task, whose);
        (&raw mut (*header).flags).write(flags);
        home
    }
}
