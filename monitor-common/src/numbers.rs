//! Which events some rule may match by the numbers in their records, decided in the kernel: what the
//! loader compiles from rules, and how it is read, by kernel programs and host tests alike.
//!
//! As for the paths of opens ([`crate::filter`]), rules are reduced to clauses, a bit each, at most
//! [`CLAUSES`] for a [`Kind`](crate::Kind). What they ask of a [`Quantity`] changes at some of its
//! values only: between two of these the same clauses are left. So each quantity that is asked for
//! has a table of such [`Pieces`], and an event goes where all of its tables together leave no clause.

#![expect(
    clippy::inline_always,
    reason = "kernel programs may pass no references between functions"
)]

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

pub use crate::filter::CLAUSES;
use crate::filter::{SCOPES, Scope};

/// Pieces of one table: the last is that of [`UNKNOWN`].
pub const PIECES: usize = 64;
/// Tables of one filter.
pub const TABLES: usize = 128;
/// Kinds, by their number.
pub const KINDS: usize = 64;
/// Quantities, by their number.
pub const QUANTITIES: usize = 16;

/// The key of what is not known: nothing may be ruled out. Keys have 63 bits.
pub const UNKNOWN: u64 = u64::MAX >> 1;
/// The key of what there is none of.
pub const MISSING: u64 = UNKNOWN - 1;
/// The largest key of a value; it stands for all above it.
pub const LARGEST: u64 = MISSING - 1;
/// Added to a result, so that its order is that of its keys.
const RESULTS: i64 = 1 << 40;
/// Above an IPv6 address, which has its first 62 bits in a key; those of IPv4 are below.
const IPV6: u64 = 1 << 62;
/// Bits of a protocol's key below the type of the socket.
const PROTOCOL_BITS: u32 = 32;

const AF_INET: u16 = 2;
const AF_INET6: u16 = 10;
const AF_VSOCK: u16 = 40;

/// A number of an event.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
#[repr(u32)]
pub enum Quantity {
    /// [`result`] of the call.
    Result = 0,
    /// The call's x86-64 number.
    Call = 1,
    /// Effective user id of the thread.
    User = 2,
    /// Address [`family`].
    Family = 3,
    /// Type and [`protocol`] of a socket of IP.
    Protocol = 4,
    /// Remote [`address`].
    RemoteAddress = 5,
    /// Remote port, of what has an address of IP.
    RemotePort = 6,
    /// Local [`address`].
    LocalAddress = 7,
    /// Local port, of what has an address of IP.
    LocalPort = 8,
    /// An argument: the domain of `socket`, the request of `ptrace`, the first of others.
    First = 9,
    /// The type of `socket`, with its flags; the second of others.
    Second = 10,
    /// The protocol of `socket`; the third of others.
    Third = 11,
    /// The fourth argument.
    Fourth = 12,
    /// The fifth argument.
    Fifth = 13,
}

/// What is asked of events of one kind.
#[derive(Clone, Copy, Debug, FromBytes, Immutable, IntoBytes, KnownLayout)]
#[repr(C)]
pub struct Head {
    /// Quantities that have a table, a bit each; and [`Self::IN_USE`].
    pub asked: u64,
    /// Clauses that a [`Scope`] does not rule out.
    pub by_scope: [u64; SCOPES],
    /// The table of each quantity.
    pub tables: [u32; QUANTITIES],
}

/// Clauses that the values of a quantity leave: between two edges always the same.
#[derive(Clone, Copy, Debug, FromBytes, Immutable, IntoBytes, KnownLayout)]
#[repr(C)]
pub struct Pieces {
    /// The first key of each piece, in order. That of the first piece is not looked at, and those of
    /// no use are [`UNKNOWN`], like the last.
    pub edges: [u64; PIECES],
    /// Clauses that each leaves.
    pub left: [u64; PIECES],
}

impl Quantity {
    /// All, in the order of their numbers.
    pub const ALL: [Self; 14] = [
        Self::Result,
        Self::Call,
        Self::User,
        Self::Family,
        Self::Protocol,
        Self::RemoteAddress,
        Self::RemotePort,
        Self::LocalAddress,
        Self::LocalPort,
        Self::First,
        Self::Second,
        Self::Third,
        Self::Fourth,
        Self::Fifth,
    ];

    /// The arguments of calls that their registers tell, in order. The sixth is not the program's own
    /// in all records.
    pub const ARGUMENTS: [Self; 5] = [
        Self::First,
        Self::Second,
        Self::Third,
        Self::Fourth,
        Self::Fifth,
    ];
}

impl Head {
    /// In [`Self::asked`]: whether any event of the kind may be left out.
    pub const IN_USE: u64 = 1 << 63;

    /// Whether there is a table for a quantity.
    #[inline(always)]
    pub const fn asks(&self, quantity: Quantity) -> bool {
        self.asked >> quantity as u32 & 1 != 0
    }

    /// Whether some of these clauses are left by some scopes only.
    #[inline(always)]
    pub const fn asks_scope(&self, left: u64) -> bool {
        let [_, host, container, _] = self.by_scope;
        left & !(host & container) != 0
    }

    /// Clauses that a [`Scope`] leaves.
    #[inline(always)]
    pub const fn within(&self, scope: Scope) -> u64 {
        let [either, host, container, _] = self.by_scope;
        match scope {
            Scope::Either => either,
            Scope::Host => host,
            Scope::Container => container,
        }
    }
}

/// The piece that a key is in, by the edges of all. Without a jump, for the verifier would follow both
/// ways of each.
#[inline(always)]
pub fn piece(key: u64, edge: impl Fn(u32) -> u64) -> u32 {
    let mut at = 0;
    let mut step = PIECES as u32 / 2;
    while step > 0 {
        // 1 if the key is below: neither has the highest bit.
        let below = key.wrapping_sub(edge(at + step)) >> 63;
        at += step & (below as u32).wrapping_sub(1);
        step /= 2;
    }
    at
}

/// Key of a number.
#[inline(always)]
pub const fn number(number: u64) -> u64 {
    if number > LARGEST { LARGEST } else { number }
}

/// Key of a result.
#[inline(always)]
pub const fn result(result: i64) -> u64 {
    if result < -RESULTS {
        return 0;
    }
    number(result.saturating_add(RESULTS) as u64)
}

/// Key of the family of a connection, by those of its socket and of the address that was passed, and
/// its remote address as two words of memory: IPv4 in IPv6 form counts as IPv4.
#[inline(always)]
pub const fn family(socket: u16, passed: u16, remote: [u64; 2]) -> u64 {
    let family = either_family(socket, passed);
    if family == AF_INET6 && is_mapped(remote) {
        AF_INET as u64
    } else {
        family as u64
    }
}

/// Key of a protocol of a socket of this [`family`]'s key and type.
#[inline(always)]
pub const fn protocol(family: u64, kind: u32, protocol: u32) -> u64 {
    if family == AF_INET as u64 || family == AF_INET6 as u64 {
        (kind as u64 & 0xffff) << PROTOCOL_BITS | protocol as u64
    } else {
        MISSING
    }
}

/// Keys of an end of a connection, by the families of socket and passed address, the address as two
/// words of memory, and the port: address, and port.
#[inline(always)]
pub const fn end(socket: u16, passed: u16, address: [u64; 2], port: u16) -> (u64, u64) {
    match either_family(socket, passed) {
        AF_INET => (ipv4((u64::from_be(address[0]) >> 32) as u32), port as u64),
        AF_INET6 if is_mapped(address) => (ipv4(u64::from_be(address[1]) as u32), port as u64),
        AF_INET6 => (ipv6(u64::from_be(address[0])), port as u64),
        // It has a port in its address.
        AF_VSOCK => (MISSING, UNKNOWN),
        _ => (MISSING, MISSING),
    }
}

/// Key of an IPv4 address.
#[inline(always)]
pub const fn ipv4(address: u32) -> u64 {
    address as u64
}

/// Key of an IPv6 address, by its first 64 bits, of which it has 62.
#[inline(always)]
pub const fn ipv6(network: u64) -> u64 {
    number(IPV6 | network >> 2)
}

#[inline(always)]
const fn either_family(socket: u16, passed: u16) -> u16 {
    if socket == 0 { passed } else { socket }
}

#[inline(always)]
const fn is_mapped(address: [u64; 2]) -> bool {
    address[0] == 0 && u64::from_be(address[1]) >> 32 == 0xffff
}

const _: () = assert!(size_of::<Head>() == 8 * (1 + SCOPES) + 4 * QUANTITIES);
const _: () = assert!(size_of::<Pieces>() == 16 * PIECES);
