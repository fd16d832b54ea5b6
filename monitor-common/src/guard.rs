//! What is refused to others, and how the kernel side tells of it (`protect`).

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// Most maps, programs and links that the daemon can have: some hundred programs with a link each,
/// and twenty maps.
pub const OBJECTS_MAX: u32 = 1024;

/// What somebody tried. Numbers are part of the ABI.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(u32)]
pub enum What {
    /// To send the daemon a signal.
    Signal = 1,
    /// To trace it, or to read or write its memory, or to take its descriptors.
    Trace = 2,
    /// To get a descriptor of one of its maps.
    Map = 3,
    /// Of one of its programs.
    Program = 4,
    /// Of one of its links.
    Link = 5,
}

impl What {
    /// All, in number order.
    pub const ALL: [Self; 5] = [
        Self::Signal,
        Self::Trace,
        Self::Map,
        Self::Program,
        Self::Link,
    ];

    /// That with a number.
    pub fn from_number(number: u32) -> Option<Self> {
        Self::ALL.into_iter().find(|what| *what as u32 == number)
    }
}

/// One refusal.
#[derive(Clone, Copy, Debug, FromBytes, Immutable, IntoBytes, KnownLayout)]
#[repr(C)]
pub struct Refusal {
    /// When, `CLOCK_BOOTTIME` ns.
    pub time: u64,
    /// Start of the process that tried, `CLOCK_BOOTTIME` ns.
    pub start: u64,
    /// Id of its cgroup, in the hierarchy that tells containers apart.
    pub cgroup: u64,
    /// Its id.
    pub pid: u32,
    /// Its real user id.
    pub uid: u32,
    /// A [`What`].
    pub what: u32,
    /// The signal, or the id of the map, program or link.
    pub number: u32,
    /// The kernel's name of the task, NUL-padded.
    pub comm: [u8; 16],
}

const _: () = assert!(size_of::<Refusal>() == 56);

/// Key of an object in the map of the daemon's own.
pub const fn object(what: What, id: u32) -> u64 {
    (what as u64) << 32 | id as u64
}
