//! Opens that no rule can match go no further: the kernel's part of `monitor_common::filter`.

use aya_ebpf::bindings::BPF_F_MMAPABLE;
use aya_ebpf::macros::map;
use aya_ebpf::maps::Array;
use monitor_common::file::Open;
use monitor_common::filter::{
    FOUND, Found, Head, Passed, Reading, SLOTS, STEPS, Tables, class, passed,
};
use monitor_common::loss::KINDS_MAX;
use monitor_common::{Header, Kind, Slot};

use crate::emit::{Counters, bump};
use crate::file::OpenArguments;
use crate::layout::*;
use crate::read::{Pointer, Read, Typed, current, masked_word};
use crate::record::{Record, in_record};
use crate::scope;
use crate::scratch::{self, COMMON, Common, RECORD};
use crate::syscall::Call;

/// The filter in force: 0 for none, or one more than its number. Behind it that of numbers
/// (`crate::numbers`).
#[map]
pub static FILTER_IN_FORCE: Array<u64> = Array::with_max_entries(2, BPF_F_MMAPABLE);
#[map]
static FILTER_HEADS: Array<Head> = Array::with_max_entries(SLOTS as u32, BPF_F_MMAPABLE);
#[map]
static FILTER_STEPS: Array<[u16; STEPS]> = Array::with_max_entries(SLOTS as u32, BPF_F_MMAPABLE);
#[map]
static FILTER_FOUND: Array<Found> = Array::with_max_entries((SLOTS * FOUND) as u32, BPF_F_MMAPABLE);
/// Events left out, by kind.
#[map]
pub static FILTERED: Counters<{ KINDS_MAX as usize }> = Counters::with_max_entries(1, 0);

/// Bytes read in one call of the inner function, and calls of it: longest texts are `PATH_MAX`.
const BYTES: u32 = 32;
const ROUNDS: u32 = 128;

/// A text of a record being read, in map memory.
#[repr(C)]
pub struct Scan {
    /// Number of the filter.
    filter: u32,
    /// Where the next byte is, from the slot's beginning, and where the text ends.
    at: u32,
    end: u32,
    reserved: u32,
    reading: Reading,
}

/// The tables of a filter.
struct Numbered {
    number: u32,
    steps: *const [u16; STEPS],
}

impl Numbered {
    #[inline(always)]
    fn new(number: u32) -> Option<Self> {
        let steps = FILTER_STEPS.get_ptr(number)?;
        Some(Self { number, steps })
    }
}

impl Tables for Numbered {
    #[inline(always)]
    fn step(&self, index: u64) -> u64 {
        // SAFETY: within a checked map value, by the mask.
        unsafe {
            self.steps
                .cast::<u16>()
                .add(masked_word::<{ STEPS as i32 - 1 }>(index) as usize)
                .read_volatile()
                .into()
        }
    }

    #[inline(always)]
    fn found(&self, state: u32) -> Found {
        // SAFETY: a checked map value.
        FILTER_FOUND
            .get_ptr(self.number * FOUND as u32 + state)
            .map_or(Found::default(), |found| unsafe { found.read() })
    }
}

/// The filter in force.
#[inline(always)]
fn in_force() -> Option<(u32, *const Head)> {
    // SAFETY: a checked map value.
    let number = unsafe { FILTER_IN_FORCE.get_ptr(0)?.read_volatile() } as u32;
    let number = number.checked_sub(1)?;
    Some((number, FILTER_HEADS.get_ptr(number)?))
}

/// Tables of the filter of a number.
#[inline(always)]
pub fn head(number: u32) -> Option<*const Head> {
    FILTER_HEADS.get_ptr(number)
}

/// What may match an open, by what the call tells but its paths.
#[derive(Clone, Copy)]
pub struct Asked {
    /// The filter that was asked: 0 for none, or one more than its number.
    pub filter: u32,
    /// Class of the open.
    pub class: u32,
    /// Clauses left; all without a filter.
    pub left: u64,
}

/// Asks the filter in force.
#[inline(always)]
pub fn ask(call: &Call, open: &OpenArguments) -> Asked {
    let class = class_of(call, open);
    match in_force() {
        Some((number, _)) => Asked {
            filter: number + 1,
            class,
            left: clauses_left(number, class),
        },
        None => Asked {
            filter: 0,
            class,
            left: u64::MAX,
        },
    }
}

/// The class of an open.
#[inline(always)]
pub fn class_of(call: &Call, open: &OpenArguments) -> u32 {
    class(call.ret, open.flags, O_DIRECTORY_BIT.load(), call.number) as u32
}

impl Asked {
    /// Nothing was asked yet.
    pub const LATER: Self = Self {
        filter: 0,
        class: 0,
        left: u64::MAX,
    };

    /// Whether no rule can match; counts the open then.
    #[inline(always)]
    pub fn refuses(&self) -> bool {
        if self.left != 0 || is_self_check() {
            return false;
        }
        count();
        true
    }
}

/// Whether no rule can match an open, by what the call tells but its paths; counts it then.
#[inline(always)]
pub fn refuses(call: &Call, open: &OpenArguments) -> bool {
    ask(call, open).refuses()
}

/// Counts an open that is left out.
#[inline(always)]
pub fn count() {
    bump(&FILTERED, Kind::Open as u32);
}

/// The clauses left by the class of an open, and by whose it is. A function that takes and gives
/// numbers is verified once: whatever it found, its callers go on as one.
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn clauses_left(number: u32, class: u32) -> u64 {
    let Some(head) = FILTER_HEADS.get_ptr(number) else {
        return u64::MAX;
    };
    // SAFETY: a checked map value.
    let head = unsafe { &*head };
    let left = head.left(class as usize);
    if head.asks_scope(left) {
        left & head.within(scope::scope::<Typed>() as u32)
    } else {
        left
    }
}

/// Whether some rule may match an open whose record is complete; counts it if none can.
#[inline(always)]
pub fn keeps(record: &Record<COMMON>, call: &Call, open: &OpenArguments) -> bool {
    filter_keeps(record.number(), class_of(call, open)) != 0
}

/// [`keeps`] for the record in a slot, by the class of the open.
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn filter_keeps(slot: u32, class: u32) -> u32 {
    let Some((number, head)) = in_force() else {
        return 1;
    };
    // SAFETY: a checked map value.
    let (head, class) = (unsafe { &*head }, class as usize);
    let mut seen = 0;
    in_record(slot, |record| {
        let left = clauses_left(number, class as u32);
        let found = left & head.free(class) != 0 || left & views(record, number, head, class) != 0;
        seen = u32::from(found);
    });
    if seen != 0 || is_self_check() {
        return 1;
    }
    count();
    0
}

/// Whether a child of the daemon is at work, or one of the helper which starts them for it: what these do
/// is to show that it is recorded.
#[inline(always)]
pub fn is_self_check() -> bool {
    is_self_check_by(current())
}

/// [`is_self_check`], by the current task.
#[inline(always)]
pub fn is_self_check_by(task: Pointer) -> bool {
    // SAFETY: the current task is typed.
    unsafe {
        let parent: Pointer = Typed::get(task, &TASK_PARENT);
        let before: Pointer = Typed::get(parent, &TASK_PARENT);
        let own = SELF_PID.load();
        Typed::get::<u32>(parent, &TASK_TGID) == own || Typed::get::<u32>(before, &TASK_TGID) == own
    }
}

/// The clauses that either view of the path leaves.
#[inline(always)]
fn views(record: &Record<COMMON>, number: u32, head: &Head, class: usize) -> u64 {
    // SAFETY: the header of a record is initialised.
    let (flags, lengths) = unsafe { ((*record.header()).flags, (*record.header()).strings) };
    let resolved = (size_of::<Header>() + size_of::<Open>()) as u32;
    let start = resolved + lengths[Slot::Resolved as usize];
    let cwd = start + lengths[Slot::Passed as usize];
    let base = cwd + lengths[Slot::Cwd as usize];
    let place = |slot: Slot| match slot {
        Slot::Base => base,
        _ => cwd,
    };
    let text = Text {
        number: record.number(),
        filter: number,
        head,
    };
    let first = |slot: Slot| record.byte(place(slot));
    let (mut left, raw) = match passed(flags, &lengths, record.byte(start), first) {
        Passed::Unknown => return u64::MAX,
        Passed::Resolved => (0, 0),
        Passed::Alone => {
            text.begin(0);
            text.read(RECORD + start, lengths[Slot::Passed as usize]);
            text.end(class)
        }
        Passed::Below(slot) => {
            let len = match slot {
                Slot::Base => lengths[Slot::Base as usize],
                _ => lengths[Slot::Cwd as usize],
            };
            text.begin(0);
            text.read(RECORD + place(slot), if len == 1 { 0 } else { len });
            text.slash();
            text.read(RECORD + start, lengths[Slot::Passed as usize]);
            text.end(class)
        }
    };
    let len = lengths[Slot::Resolved as usize];
    if len != 0 {
        text.begin(raw);
        text.read(RECORD + resolved, len);
        left |= text.end(class).0;
    }
    left
}

/// Texts in a slot of scratch memory.
pub struct Text<'a> {
    /// Of the slot.
    pub number: u32,
    /// Number of the filter.
    pub filter: u32,
    pub head: &'a Head,
}

impl Text<'_> {
    #[inline(always)]
    fn scan(&self) -> Option<*mut Scan> {
        scratch::scan_of(self.number)
    }

    /// Begins; `raw` is what the text as passed has.
    #[inline(always)]
    pub fn begin(&self, raw: u64) {
        if let Some(scan) = self.scan() {
            // SAFETY: a checked map value.
            unsafe {
                (*scan).filter = self.filter;
                // Word by word: the compiler would call a function that does so byte by byte.
                let words = (&raw mut (*scan).reading).cast::<u64>();
                let mut word = 0;
                while word < size_of::<Reading>() / size_of::<u64>() {
                    words.add(word).write_volatile(0);
                    word += 1;
                }
                (*scan).reading.state = self.head.start.into();
                (*scan).reading.found.raw = raw;
            }
        }
    }

    /// Reads `len` bytes from offset `at` of the slot.
    #[inline(always)]
    pub fn read(&self, at: u32, len: u32) {
        if let Some(scan) = self.scan() {
            // SAFETY: a checked map value.
            unsafe {
                (&raw mut (*scan).at).write_volatile(at);
                (&raw mut (*scan).end).write_volatile(at + len);
            }
            // Short texts need no more.
            if scan_on(self.number) == 0 {
                scan_far(self.number);
            }
        }
    }

    #[inline(always)]
    fn slash(&self) {
        if let (Some(scan), Some(tables)) = (self.scan(), Numbered::new(self.filter)) {
            // SAFETY: a checked map value.
            unsafe { (*scan).reading.read(self.head, &tables, b'/') };
        }
    }

    /// The clauses that are left (all, if the text was too long to be read), and those that found
    /// what they ask for in it as it was passed.
    #[inline(always)]
    pub fn end(&self, class: usize) -> (u64, u64) {
        let (Some(scan), Some(tables)) = (self.scan(), Numbered::new(self.filter)) else {
            return (u64::MAX, u64::MAX);
        };
        // SAFETY: a checked map value.
        unsafe {
            if (&raw const (*scan).at).read_volatile() < (&raw const (*scan).end).read_volatile() {
                return (u64::MAX, u64::MAX);
            }
            let left = (*scan).reading.end(self.head, &tables, class);
            (left, (*scan).reading.found.raw)
        }
    }
}

/// Reads the rest of a text.
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn scan_far(number: u32) -> u32 {
    let mut round = 0;
    while round < ROUNDS && scan_on(number) == 0 {
        round += 1;
    }
    round
}

/// Reads on for a while; 1 at the end of the text.
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn scan_on(number: u32) -> u32 {
    let Some((scan, slot)) = scratch::scan_and_slot_of(number) else {
        return 1;
    };
    // SAFETY: checked map values; places in the slot are bounded.
    unsafe {
        let filter = (&raw const (*scan).filter).read_volatile();
        let (Some(head), Some(tables)) = (FILTER_HEADS.get_ptr(filter), Numbered::new(filter))
        else {
            return 1;
        };
        // Only the state is kept out of memory: what is found hardly ever changes.
        let mut state = (*scan).reading.state;
        let seen = &mut (*scan).reading.found;
        let (from, end) = (
            (&raw const (*scan).at).read_volatile(),
            (&raw const (*scan).end).read_volatile(),
        );
        // What there is to do for each byte is most of what an open costs: as little as can be.
        let text = slot.add((from as usize).min(size_of::<Common>() - BYTES as usize));
        let most = end.saturating_sub(from);
        let mut taken = 0;
        while taken < BYTES && taken < most {
            let byte = text.add(taken as usize).read_volatile();
            state = (*head).next(&tables, state, (*head).byte(byte));
            let is_slash = byte == b'/';
            if is_slash || (state as u32) < (*head).found {
                seen.at(&*head, &tables, state, is_slash);
            }
            taken += 1;
        }
        (*scan).reading.state = state;
        (&raw mut (*scan).at).write_volatile(from.wrapping_add(taken));
        u32::from(taken >= most)
    }
}
