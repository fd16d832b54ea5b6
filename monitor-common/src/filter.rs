//! Which opens some rule may match, decided in the kernel: what the loader compiles from rules, and
//! how it is read, by kernel programs and host tests alike.
//!
//! Rules are reduced to at most [`CLAUSES`] clauses, a bit each, of which one has to hold. What the
//! call itself tells (its [class](class)) rules out some, and whose it is ([`Scope`]); for the others the path is read byte by
//! byte through an automaton that knows all texts the clauses ask for. A bit left over keeps the
//! event. Each view of the path is read by itself, and either keeps it.

#![expect(
    clippy::inline_always,
    reason = "kernel programs may pass no references between functions"
)]

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use crate::{Flags, SLOTS as STRINGS, Slot};

/// Most clauses: a bit each.
pub const CLAUSES: usize = 64;
/// Steps in one piece of the table of steps, which is written piece by piece.
pub const PIECE: usize = 2048;
/// Pieces of the table of one filter.
pub const PIECES: usize = 128;
/// Steps of one filter: states times classes of bytes.
pub const STEPS: usize = PIECE * PIECES;
/// States at which a text is found.
pub const FOUND: usize = 1024;
/// Filters side by side: one in force, and one being written.
pub const SLOTS: usize = 2;

/// Bits of a [`class`].
pub const READ: usize = 1;
/// Opened to write.
pub const WRITE: usize = 2;
/// A directory: opened as one, with success.
pub const DIRECTORY: usize = 4;
/// The call failed.
pub const FAILED: usize = 8;
/// By `open_by_handle_at`.
pub const HANDLE: usize = 16;
/// How many classes there are.
pub const CLASSES: usize = 32;

const O_ACCMODE: u32 = 3;
/// Which bit `O_DIRECTORY` is on x86-64.
pub const DIRECTORY_BIT: u32 = 16;
/// `creat` of x86-64, which passes no flags.
const CREAT: u32 = 85;
const OPEN_BY_HANDLE_AT: u32 = 304;

/// Whose an event is, as far as the kernel knows.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(u32)]
pub enum Scope {
    /// Not known: the host's or a container's.
    Either = 0,
    /// The host's, for sure.
    Host = 1,
    /// A container's, for sure.
    Container = 2,
}

/// How many there are, as a power of two.
pub const SCOPES: usize = 4;

/// Places for what cgroups are; one whose place another has is not known.
pub const CGROUPS: u32 = 8192;
/// Places for cgroups in one entry of the map, which is read and written as a whole.
pub const CGROUPS_PIECE: usize = 128;
/// Places for processes of the host; the same.
pub const HOSTS: u32 = 32768;

/// What is at a cgroup's place, to tell its scope; ids are below 2^62.
#[inline(always)]
pub const fn cgroup_entry(cgroup: u64, scope: Scope) -> u64 {
    cgroup << 2 | scope as u64
}

/// What the entry at a cgroup's place says of it.
#[inline(always)]
pub const fn scope_of(entry: u64, cgroup: u64) -> Scope {
    if entry >> 2 != cgroup {
        return Scope::Either;
    }
    match entry & 3 {
        1 => Scope::Host,
        2 => Scope::Container,
        _ => Scope::Either,
    }
}

/// The place of a cgroup.
#[inline(always)]
pub const fn cgroup_place(cgroup: u64) -> u32 {
    cgroup as u32 & (CGROUPS - 1)
}

/// The place of a process.
#[inline(always)]
pub const fn host_place(pid: u32) -> u32 {
    pid & (HOSTS - 1)
}

/// What tells a process from all others: pids are below 2^22, and its start (ns) counts in ticks of
/// `/proc`, which is all that is known of those that are older than the daemon.
#[inline(always)]
pub const fn host_key(pid: u32, start: u64) -> u64 {
    const TICK_NS: u64 = 10_000_000;
    (start / TICK_NS) << 22 | pid as u64
}

/// What an open tells besides its path; `directory` is the bit of `O_DIRECTORY`, which is not the
/// same on each machine. Without a branch on it: they cost the verifier of 6.1 four times as much.
#[inline(always)]
pub const fn class(ret: i64, flags: u32, directory: u32, syscall: u32) -> usize {
    let access = match flags & O_ACCMODE {
        _ if syscall == CREAT => 0,
        0 => READ,
        1 => WRITE,
        2 => READ | WRITE,
        _ => 0,
    };
    let kind = if ret < 0 {
        FAILED
    } else {
        (flags >> (directory & 31) & 1) as usize * DIRECTORY
    };
    let handle = if syscall == OPEN_BY_HANDLE_AT {
        HANDLE
    } else {
        0
    };
    access | kind | handle
}

/// What of a record makes up the path as passed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Passed {
    /// It is not known: nothing may be ruled out.
    Unknown,
    /// It is the resolved one.
    Resolved,
    /// The passed text.
    Alone,
    /// The text of this slot, without its last byte if that is all of it, `/`, and the passed text.
    Below(Slot),
}

/// What makes up the passed path of an open, by its flags, lengths of its strings, and first bytes
/// of the passed text and of the directory that it starts from.
#[inline(always)]
pub fn passed(
    flags: u16,
    lengths: &[u32; STRINGS],
    first: u8,
    start: impl Fn(Slot) -> u8,
) -> Passed {
    let length = |slot: Slot| lengths.get(slot as usize).copied().unwrap_or(0);
    // What a mount shows elsewhere is rare, and is read in three ways.
    if flags & (Flags::PATH_TRUNCATED | Flags::PASSED_UNREADABLE) != 0
        || length(Slot::Original) != 0
    {
        return Passed::Unknown;
    }
    if length(Slot::Passed) == 0 {
        let unknown = length(Slot::Base) != 0 || length(Slot::Resolved) == 0;
        return if unknown {
            Passed::Unknown
        } else {
            Passed::Resolved
        };
    }
    if first == b'/' {
        return Passed::Alone;
    }
    let directory = if length(Slot::Base) != 0 {
        Slot::Base
    } else {
        Slot::Cwd
    };
    if length(directory) == 0 || start(directory) != b'/' {
        return Passed::Unknown;
    }
    Passed::Below(directory)
}

/// A filter but for its tables.
#[derive(Clone, Copy, Debug, FromBytes, Immutable, IntoBytes, KnownLayout)]
#[repr(C)]
pub struct Head {
    /// Clauses that a class does not rule out.
    pub by_class: [u64; CLASSES],
    /// Clauses that a [`Scope`] does not rule out.
    pub by_scope: [u64; SCOPES],
    /// Clauses that do not look at the path, its directory, its last component, the text as passed.
    pub free: [u64; 4],
    /// Clauses that ask for a path, directory, last component *without* the texts found.
    pub negated: [u64; 3],
    /// The state at the beginning of a text.
    pub start: u32,
    /// States below this one find something.
    pub found: u32,
    /// Steps of a state, as a power of two.
    pub shift: u32,
    /// Class of the end of a text.
    pub end: u32,
    /// Class of each byte.
    pub bytes: [u8; 256],
}

/// What a state finds: clauses, a bit each.
#[derive(
    Clone, Copy, Debug, Default, Eq, FromBytes, Immutable, IntoBytes, KnownLayout, PartialEq,
)]
#[repr(C)]
pub struct Found {
    /// By the path.
    pub name: u64,
    /// By the directory, if no `/` follows.
    pub directory: u64,
    /// By the last component.
    pub file: u64,
    /// By the text as passed, before it was made a path.
    pub raw: u64,
    /// The path is not clean, so that its text says nothing: all bits.
    pub unclean: u64,
}

/// The tables of a filter.
pub trait Tables {
    /// The state that a step leads to.
    fn step(&self, index: u64) -> u64;
    /// What a state below [`Head::found`] finds.
    fn found(&self, state: u32) -> Found;
}

/// A text being read.
#[derive(Clone, Copy, Debug, FromBytes, Immutable, IntoBytes, KnownLayout)]
#[repr(C)]
pub struct Reading {
    /// The state of the automaton.
    pub state: u64,
    /// What was found so far.
    pub found: Found,
}

impl Head {
    /// Clauses that are left whatever the path is.
    #[inline(always)]
    pub const fn free(&self, class: usize) -> u64 {
        let [name, directory, file, raw] = self.free_of(class);
        name & directory & file & raw
    }

    /// Directories of directories, and names of what was not opened, are not looked at.
    #[inline(always)]
    const fn free_of(&self, class: usize) -> [u64; 4] {
        let [name, mut directory, mut file, raw] = self.free;
        if class & DIRECTORY != 0 {
            directory = u64::MAX;
        }
        if class & (DIRECTORY | FAILED) != 0 {
            file = u64::MAX;
        }
        [name, directory, file, raw]
    }

    /// Class of a byte.
    #[inline(always)]
    pub fn byte(&self, byte: u8) -> u32 {
        self.bytes
            .get(usize::from(byte))
            .copied()
            .unwrap_or(0)
            .into()
    }

    /// The state that a byte of this class, or the end, leads to from a state.
    #[inline(always)]
    pub fn next(&self, tables: &impl Tables, state: u64, class: u32) -> u64 {
        tables.step(state << (self.shift & 31) | u64::from(class))
    }

    /// Clauses that the class leaves.
    #[inline(always)]
    pub fn left(&self, class: usize) -> u64 {
        self.by_class
            .get(class & (CLASSES - 1))
            .copied()
            .unwrap_or(u64::MAX)
    }

    /// Whether some clauses that the class leaves are left by some scopes only.
    #[inline(always)]
    pub fn asks_scope(&self, left: u64) -> bool {
        let [_, host, container, _] = self.by_scope;
        left & !(host & container) != 0
    }

    /// Clauses that a [`Scope`], by its number, leaves.
    #[inline(always)]
    pub fn within(&self, scope: u32) -> u64 {
        self.by_scope
            .get(scope as usize & (SCOPES - 1))
            .copied()
            .unwrap_or(u64::MAX)
    }
}

impl Reading {
    /// Before the first byte. What the text as passed has is `raw` for the resolved one.
    #[inline(always)]
    pub const fn new(head: &Head, raw: u64) -> Self {
        Self {
            state: head.start as u64,
            found: Found {
                name: 0,
                directory: 0,
                file: 0,
                raw,
                unclean: 0,
            },
        }
    }

    /// Reads a byte.
    #[inline(always)]
    pub fn read(&mut self, head: &Head, tables: &impl Tables, byte: u8) {
        self.state = head.next(tables, self.state, head.byte(byte));
        self.found.at(head, tables, self.state, byte == b'/');
    }

    /// Reads the end of the text; the clauses that the text leaves of these.
    #[inline(always)]
    pub fn end(&mut self, head: &Head, tables: &impl Tables, class: usize) -> u64 {
        self.state = head.next(tables, self.state, head.end);
        self.found.at(head, tables, self.state, false);
        let [name, directory, file, raw] = head.free_of(class);
        let [no_name, no_directory, no_file] = head.negated;
        let seen = &self.found;
        let holds = ((seen.name ^ no_name) | name)
            & ((seen.directory ^ no_directory) | directory)
            & ((seen.file ^ no_file) | file)
            & (seen.raw | raw);
        holds | seen.unclean
    }
}

impl Found {
    /// Adds what a state finds; `slash` says that a `/` led there.
    #[inline(always)]
    pub fn at(&mut self, head: &Head, tables: &impl Tables, state: u64, slash: bool) {
        if state as u32 >= head.found {
            // Most states find nothing.
            if slash {
                self.directory = 0;
            }
            return;
        }
        let found = tables.found(state as u32);
        self.name |= found.name;
        self.file |= found.file;
        self.raw |= found.raw;
        self.unclean |= found.unclean;
        if slash {
            self.directory = found.directory;
        }
    }
}

const _: () = assert!(size_of::<Head>() == 8 * (CLASSES + SCOPES + 7) + 8 * 2 + 256);
const _: () = assert!(size_of::<Reading>() == 48);
