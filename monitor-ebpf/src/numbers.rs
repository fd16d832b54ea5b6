//! Events that no rule can match by their numbers go no further: the kernel's part of
//! `monitor_common::numbers`.
//!
//! What the call itself tells is looked at before a record is begun, the rest when its body is
//! complete, before any string is read that is not needed for that.

use aya_ebpf::bindings::BPF_F_MMAPABLE;
use aya_ebpf::macros::map;
use aya_ebpf::maps::Array;
use monitor_common::call::Registers;
use monitor_common::filter::{SLOTS, Scope};
use monitor_common::network::{Connect, Socket};
use monitor_common::numbers::{
    Head, KINDS, MISSING, PIECES, Pieces, Quantity, TABLES, end, family, number, piece, protocol,
    result,
};
use monitor_common::process::Ptrace;
use monitor_common::{Header, Kind};

use crate::emit::bump;
use crate::filter::{FILTER_IN_FORCE, FILTERED, is_self_check};
use crate::layout::*;
use crate::read::{Probed, Read, Typed, current, masked};
use crate::record::Record;
use crate::scope;
use crate::scratch::COMMON;
use crate::syscall::Call;

/// What is asked of each kind.
#[map]
static NUMBER_HEADS: Array<Head> = Array::with_max_entries((SLOTS * KINDS) as u32, BPF_F_MMAPABLE);
#[map]
static NUMBER_TABLES: Array<Pieces> =
    Array::with_max_entries((SLOTS * TABLES) as u32, BPF_F_MMAPABLE);

/// In `FILTER_IN_FORCE`, behind the filter of paths.
const NUMBERS: u32 = 1;
/// `SOCK_TYPE_MASK`
const SOCKET_TYPE: u32 = 0xf;

/// The head of a kind in the filter in force, if it asks anything.
#[inline(always)]
fn head(kind: u32) -> Option<&'static Head> {
    // SAFETY: checked map values.
    unsafe {
        let number = FILTER_IN_FORCE.get_ptr(NUMBERS)?.read_volatile() as u32;
        let number = number.checked_sub(1)?;
        let head = NUMBER_HEADS.get_ptr(number * KINDS as u32 + kind % KINDS as u32)?;
        ((&raw const (*head).asked).read_volatile() != 0).then(|| &*head)
    }
}

/// Whether no rule can match an event of a kind, by what the call tells; counts it then.
#[inline(always)]
pub fn refuses(kind: u32, call: &Call) -> bool {
    if numbers_before(kind, call.ret as u64, call.number) != 0 || is_self_check() {
        return false;
    }
    bump(&FILTERED, kind);
    true
}

/// Whether no rule can match a connection by its remote end. An address of 4 bytes is the first of a
/// word.
#[inline(always)]
pub fn refuses_remote(kind: Kind, call: u32, family: u16, address: [u64; 2], port: u16) -> bool {
    let [first, second] = address;
    let about = u64::from(family) << 48 | u64::from(port) << 32 | u64::from(call);
    numbers_of_remote(kind as u32, about, first, second) == 0 && !is_self_check()
}

/// Whether no rule can match an event whose body is complete; counts it then.
#[inline(always)]
pub fn leaves_out(record: &Record<COMMON>, kind: Kind, call: &Call) -> bool {
    let left = numbers_after(record.number(), kind as u32, call.ret as u64, call.number);
    if left != 0 || is_self_check() {
        return false;
    }
    bump(&FILTERED, kind as u32);
    true
}

/// [`leaves_out`] for a call that its registers tell.
#[inline(always)]
pub fn leaves_out_registers(record: &Record<COMMON>, kind: u32, call: &Call) -> bool {
    let left = numbers_of_registers(record.number(), kind, call.ret as u64, call.number);
    if left != 0 || is_self_check() {
        return false;
    }
    bump(&FILTERED, kind);
    true
}

/// The clauses that result and number of a call leave, and whose it is.
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn numbers_before(kind: u32, ret: u64, call: u32) -> u64 {
    let Some(head) = head(kind) else {
        return u64::MAX;
    };
    in_scope(head, of_call(head, ret, call))
}

/// The clauses that the record in a slot leaves.
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn numbers_after(slot: u32, kind: u32, ret: u64, call: u32) -> u64 {
    const SOCKET: u32 = Kind::Socket as u32;
    const PTRACE: u32 = Kind::Ptrace as u32;
    let (Some(head), Some(record)) = (head(kind), Record::of_slot(slot)) else {
        return u64::MAX;
    };
    let mut asked = Asked {
        head,
        left: of_call(head, ret, call),
    };
    // SAFETY: the record's body is complete; its header need not be there.
    unsafe {
        asked.about(Quantity::User, user);
        let body = record.header().add(1);
        match kind {
            SOCKET => asked.socket(&*body.cast::<Socket>()),
            PTRACE => asked.about(Quantity::First, || number((*body.cast::<Ptrace>()).request)),
            _ => asked.connection(&*body.cast::<Connect>(), kind == Kind::Connect as u32),
        }
    }
    in_scope(head, asked.left)
}

/// The same for a record of which the arguments are set.
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn numbers_of_registers(slot: u32, kind: u32, ret: u64, call: u32) -> u64 {
    let (Some(head), Some(record)) = (head(kind), Record::of_slot(slot)) else {
        return u64::MAX;
    };
    let mut asked = Asked {
        head,
        left: of_call(head, ret, call),
    };
    // SAFETY: the record's header and what is read of its body are complete.
    unsafe {
        let task = record.task();
        asked.about(Quantity::User, || number((*task).euid.into()));
        let body = record.header().add(1).cast::<Registers>();
        asked.about(Quantity::First, || number((*body).args[0]));
        asked.about(Quantity::Second, || number((*body).args[1]));
        asked.about(Quantity::Third, || number((*body).args[2]));
        asked.about(Quantity::Fourth, || number((*body).args[3]));
        asked.about(Quantity::Fifth, || number((*body).args[4]));
    }
    in_scope(head, asked.left)
}

/// Of these clauses, those that are left by whose the event is.
#[inline(always)]
fn in_scope(head: &Head, left: u64) -> u64 {
    if head.asks_scope(left) {
        left & head.within(match whose() {
            HOST => Scope::Host,
            CONTAINER => Scope::Container,
            _ => Scope::Either,
        })
    } else {
        left
    }
}

const HOST: u32 = Scope::Host as u32;
const CONTAINER: u32 = Scope::Container as u32;

/// Whose the current task is, by the number of the [`Scope`]. Verified once for all who ask.
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn whose() -> u32 {
    scope::scope::<Typed>() as u32
}

/// The clauses that the remote end of a connection leaves, whatever else there is to say of it: by
/// kind, call, and above that the family of socket and address and the port in 16 bits each, and the
/// address as two words of memory.
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn numbers_of_remote(kind: u32, about: u64, first: u64, second: u64) -> u64 {
    let Some(head) = head(kind) else {
        return u64::MAX;
    };
    let (call, port) = (about as u32, (about >> 32) as u16);
    let (of, address) = ((about >> 48) as u16, [first, second]);
    let mut asked = Asked {
        head,
        left: u64::MAX,
    };
    asked.about(Quantity::Call, || number(call.into()));
    asked.about(Quantity::Family, || family(of, of, address));
    asked.about(Quantity::RemotePort, || end(of, of, address, port).1);
    asked.about(Quantity::RemoteAddress, || end(of, of, address, port).0);
    let left = asked.left;
    if head.asks_scope(left) {
        // The helper for the own cgroup is not there for all programs of cgroups.
        left & head.within(scope::scope::<Probed>())
    } else {
        left
    }
}

/// The current task's effective user.
#[inline(always)]
fn user() -> u64 {
    // SAFETY: probed.
    let user: u32 = unsafe { Probed::get(Probed::get(current(), &TASK_CRED), &CRED_EUID) };
    number(user.into())
}

#[inline(always)]
fn of_call(head: &'static Head, ret: u64, call: u32) -> u64 {
    let mut asked = Asked {
        head,
        left: u64::MAX,
    };
    asked.about(Quantity::Result, || result(ret as i64));
    asked.about(Quantity::Call, || number(call.into()));
    asked.left
}

/// What is left of the clauses as one quantity after the other is looked at.
struct Asked {
    head: &'static Head,
    left: u64,
}

impl Asked {
    #[inline(always)]
    fn about(&mut self, quantity: Quantity, key: impl FnOnce() -> u64) {
        if self.left != 0 && self.head.asks(quantity) {
            self.left &= pieces_left(self.head.tables[quantity as usize], key());
        }
    }

    #[inline(always)]
    fn socket(&mut self, body: &Socket) {
        let family = u64::from(body.domain as u16);
        self.about(Quantity::First, || number(body.domain.into()));
        self.about(Quantity::Second, || number(body.kind.into()));
        self.about(Quantity::Third, || number(body.protocol.into()));
        self.about(Quantity::Family, || {
            if body.ret < 0 { MISSING } else { family }
        });
        self.about(Quantity::Protocol, || {
            protocol(family, body.kind & SOCKET_TYPE, body.protocol)
        });
    }

    #[inline(always)]
    fn connection(&mut self, body: &Connect, connecting: bool) {
        let words = |address: &[u8; 16]| {
            let words = address.as_ptr().cast::<u64>();
            // SAFETY: 16 aligned bytes.
            unsafe { [words.read_volatile(), words.add(1).read_volatile()] }
        };
        let (socket, passed) = (body.family, body.passed_family);
        let family = || family(socket, passed, words(&body.remote));
        self.about(Quantity::Family, family);
        self.about(Quantity::Protocol, || {
            protocol(family(), body.kind.into(), body.protocol.into())
        });
        let remote = || {
            if body.remote_port == 0 && !connecting {
                return (MISSING, MISSING);
            }
            end(socket, passed, words(&body.remote), body.remote_port)
        };
        self.about(Quantity::RemotePort, || remote().1);
        self.about(Quantity::RemoteAddress, || remote().0);
        let local = || {
            if body.local_port == 0 {
                return (MISSING, MISSING);
            }
            end(socket, passed, words(&body.local), body.local_port)
        };
        self.about(Quantity::LocalPort, || local().1);
        self.about(Quantity::LocalAddress, || local().0);
    }
}

/// The clauses that a table leaves of a key. A function that takes and gives numbers is verified once.
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn pieces_left(table: u32, key: u64) -> u64 {
    const MOST: i32 = PIECES as i32 - 1;
    let Some(pieces) = NUMBER_TABLES.get_ptr(table) else {
        return u64::MAX;
    };
    // SAFETY: within a checked map value, by the masks.
    unsafe {
        let edges = (&raw const (*pieces).edges).cast::<u64>();
        let left = (&raw const (*pieces).left).cast::<u64>();
        let at = piece(key, |at| {
            edges.add(masked::<MOST>(at) as usize).read_volatile()
        });
        left.add(masked::<MOST>(at) as usize).read_volatile()
    }
}

const _: () = assert!(size_of::<Header>().is_multiple_of(8));
