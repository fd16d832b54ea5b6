//! Sockets: `socket`, `connect`, second descriptors of them, and what all calls on them share.

use core::mem::offset_of;

use aya_ebpf::helpers::generated::{
    bpf_probe_read_kernel, bpf_probe_read_kernel_str, bpf_probe_read_user, bpf_probe_read_user_str,
};
use monitor_common::call::{Held, Registers};
use monitor_common::network::{Connect, Dup, Socket};
use monitor_common::{Flags, Header, Kind, PATH_MAX, Slot};

use crate::address;
use crate::emit::{Outcome, bump};
use crate::family::{self, AF_VSOCK};
use crate::file;
use crate::filter::FILTERED;
use crate::layout::*;
use crate::numbers;
use crate::read::{Pointer, Probed, Read, masked};
use crate::record::{Origin, Record, in_record};
use crate::scratch::{COMMON, RECORD};
use crate::syscall::{Call, own};
use crate::walk;

pub const AF_UNIX: u16 = 1;
pub const AF_INET: u16 = 2;
pub const AF_INET6: u16 = 10;
const SYS_FCNTL: u32 = 72;
const SYS_DUP3: u32 = 292;
const F_DUPFD: u64 = 0;
const F_DUPFD_CLOEXEC: u64 = 1030;
const S_IFMT: u16 = 0o170_000;
const S_IFSOCK: u16 = 0o140_000;
const EINTR: i64 = -4;
pub const EINPROGRESS: i64 = -115;
const EISCONN: i64 = -106;
const EALREADY: i64 = -114;
/// `UNIX_PATH_MAX`
const UNIX_NAME_MAX: u64 = 108;

/// An address as it was passed.
pub struct Passed {
    pub origin: Origin,
    pub address: Pointer,
    pub len: u32,
}

/// A `socket`, at its exit.
#[inline(always)]
pub fn socket(record: &Record<COMMON>, call: &Call) -> Outcome {
    if refuses_socket(record, call) {
        return Ok(());
    }
    record.emit(Kind::Socket)
}

/// Sets the body of a `socket`; whether no rule can match it.
#[inline(always)]
pub fn refuses_socket(record: &Record<COMMON>, call: &Call) -> bool {
    let body = record.body::<Socket>();
    // SAFETY: memory of the record.
    unsafe {
        (*body).ret = call.ret;
        (*body).domain = call.args[0] as u32;
        (*body).kind = call.args[1] as u32;
        (*body).protocol = call.args[2] as u32;
        (*body).reserved = 0;
    }
    numbers::leaves_out(record, Kind::Socket, call)
}

/// A `connect` on an open file (null for a bad descriptor), at its exit.
#[inline(always)]
pub fn connect(
    record: &Record<COMMON>,
    call: &Call,
    fd: i32,
    file: Pointer,
    passed: &Passed,
) -> Outcome {
    let body = record.body::<Connect>();
    // SAFETY: memory of the record; the file is probed.
    unsafe {
        (*body).ret = call.ret;
        (*body).fd = fd;
        clear(body);
        let mut family = passed_address(body, passed, 0);
        if let Origin::User = passed.origin
            && let Some(tried) = address::take(body, call.number)
        {
            family = tried;
            record.flag(Flags::TRIED);
        }
        (*body).passed_family = family;
        if !file.is_null() {
            // A socket to another machine keeps where it was to go.
            let tried = family == AF_VSOCK && !matches!(call.ret, EISCONN | EALREADY);
            of_socket(record, Within::Body, file, is_under_way(call) || tried);
        }
        if numbers::leaves_out(record, Kind::Connect, call) {
            return Ok(());
        }
        if family == AF_UNIX {
            if call.ret == 0 {
                file_of_peer(record, file);
            }
            unix_name(record, Slot::Passed, passed);
            record.place(Slot::Cwd, walk::cwd());
        }
    }
    record.emit(Kind::Connect)
}

/// Whether the socket of a `connect` has the address that it is to go to. A blocking one that a signal
/// interrupts goes on in the background.
#[inline(always)]
fn is_under_way(call: &Call) -> bool {
    matches!(call.ret, 0 | EINTR | EINPROGRESS)
}

/// Whether no rule can match a `connect` by what its socket says: what tells most of them apart, and
/// before a record is begun, which costs more than all the rest.
#[inline(always)]
pub fn refuses_connect(call: &Call) -> bool {
    refuses_far(Kind::Connect, call, call.file(), is_under_way(call))
}

/// The same of any call on a connection, by its file; without the remote end where that `is_far` not.
#[inline(always)]
pub fn refuses_far(kind: Kind, call: &Call, file: Pointer, is_far: bool) -> bool {
    // SAFETY: probed.
    unsafe {
        if !is_socket(file) {
            return false;
        }
        let sk = socket_of(file);
        let family: u16 = Probed::get(sk, &SK_FAMILY);
        let (mut address, mut port) = ([0; 2], 0);
        if family == AF_INET || family == AF_INET6 {
            port = u16::from_be(Probed::get(sk, &SK_PORT));
            // Then the passed address counts.
            if !is_far || port == 0 {
                return false;
            }
            if family == AF_INET {
                address[0] = Probed::get::<u32>(sk, &SK_ADDRESS).into();
            } else if present(&SK_ADDRESS6) {
                address = Probed::get(sk, &SK_ADDRESS6);
            } else {
                return false;
            }
        }
        let refuses = numbers::refuses_remote(kind, call.number, family, address, port);
        if refuses {
            bump(&FILTERED, kind as u32);
        }
        refuses
    }
}

/// The file to which the other end of a connected socket of `AF_UNIX` is bound: the passed name may
/// lead there by links, and the program may have changed it since. A connection that a server takes
/// up has the path of the socket that listens.
#[inline(always)]
fn file_of_peer(record: &Record<COMMON>, file: Pointer) {
    if file.is_null() || !present(&UNIX_PEER) || !present(&UNIX_PATH) {
        return;
    }
    // SAFETY: probed.
    unsafe {
        let peer: Pointer = Probed::get(socket_of(file), &UNIX_PEER);
        let place = walk::place_at::<Probed>(peer, UNIX_PATH.load());
        if place.dentry != 0 {
            record.place(Slot::Resolved, place);
        }
    }
}

/// A socket's second descriptor, at the exit of the call that made it.
#[inline(always)]
pub fn dup(record: &Record<COMMON>, call: &Call) -> Outcome {
    if refuses_dup(record, call) {
        return Ok(());
    }
    record.emit(Kind::Dup)
}

/// Sets the body of a second descriptor; whether no rule can match it.
#[inline(always)]
pub fn refuses_dup(record: &Record<COMMON>, call: &Call) -> bool {
    let body = record.body::<Dup>();
    // SAFETY: memory of the record; the file is probed.
    unsafe {
        (*body).syscall = call.number;
        (*body).oldfd = call.args[0] as i32;
        // The others have no such argument.
        (*body).flags = match call.number {
            SYS_DUP3 => call.args[2] as u32,
            SYS_FCNTL => call.args[1] as u32,
            _ => 0,
        };
        (*body).reserved = 0;
        let socket = &raw mut (*body).socket;
        (*socket).ret = call.ret;
        (*socket).fd = call.ret as i32;
        (*socket).passed_family = 0;
        clear(socket);
    }
    let file = file::of_descriptor(call.ret as i32);
    of_socket(record, Within::Body, file, true);
    numbers::leaves_out(record, Kind::Dup, call)
}

/// Whether an `fcntl` asks for a second descriptor.
#[inline(always)]
pub fn is_dup(call: &Call) -> bool {
    matches!(call.args[1], F_DUPFD | F_DUPFD_CLOEXEC)
}

/// Whether a call gave a socket a second descriptor.
#[inline(always)]
pub fn has_second(call: &Call) -> bool {
    call.ret >= 0 && !own() && is_socket(file::of_descriptor(call.ret as i32))
}

/// Family of the socket behind an open file.
#[inline(always)]
pub fn family_of(file: Pointer) -> u16 {
    // SAFETY: probed.
    unsafe { Probed::get(socket_of(file), &SK_FAMILY) }
}

/// The `struct sock` behind an open file that is a socket.
#[inline(always)]
pub fn socket_of(file: Pointer) -> Pointer {
    // SAFETY: probed.
    unsafe {
        let socket: Pointer = Probed::get(file, &FILE_PRIVATE);
        Probed::get(socket, &SOCKET_SK)
    }
}

/// Whether an open file (null for none) is a socket.
#[inline(always)]
pub fn is_socket(file: Pointer) -> bool {
    // SAFETY: probed.
    unsafe {
        let inode: Pointer = Probed::get(file, &FILE_INODE);
        Probed::get::<u16>(inode, &INODE_MODE) & S_IFMT == S_IFSOCK
    }
}

/// Sets the addresses of a body, and what is known of its socket, to 0.
///
/// # Safety
/// `body` is in a record.
#[inline(always)]
pub unsafe fn clear(body: *mut Connect) {
    // SAFETY: in the caller's record; 16 aligned bytes each.
    unsafe {
        for address in [&raw mut (*body).remote, &raw mut (*body).local] {
            address.cast::<u64>().write_volatile(0);
            address.cast::<u64>().add(1).write_volatile(0);
        }
        (*body).family = 0;
        (*body).kind = 0;
        (*body).protocol = 0;
        (*body).remote_port = 0;
        (*body).local_port = 0;
    }
}

/// Where in a record a socket is told of.
#[derive(Clone, Copy)]
pub enum Within {
    /// At the beginning of the body.
    Body,
    /// In what the descriptor of a call stands for.
    Held,
}

impl Within {
    /// Offset in the record.
    const fn offset(self) -> u32 {
        let held = offset_of!(Registers, held) + offset_of!(Held, socket);
        let body = match self {
            Self::Body => 0,
            Self::Held => held,
        };
        (size_of::<Header>() + body) as u32
    }
}

/// Leaves only offsets that a socket has.
const OFFSETS: i32 = 0x1ff;
const _: () = assert!(Within::Held.offset() as i32 <= OFFSETS && OFFSETS as usize <= PATH_MAX);

/// What the socket itself says, which no program can change behind our back.
#[inline(always)]
pub fn of_socket(record: &Record<COMMON>, within: Within, file: Pointer, under_way: bool) {
    let file = record.as_number(file);
    socket_says(record.number(), within.offset(), file, under_way.into());
}

/// [`of_socket`] in the record of a slot. A function of its own, which the verifier looks at once: the
/// programs have it in many places.
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn socket_says(slot: u32, within: u32, file: u64, under_way: u32) -> u32 {
    in_record(slot, |record| {
        // SAFETY: in bounds of the slot, by the mask; probed.
        unsafe {
            let body = record
                .in_slot(RECORD)
                .add(masked::<OFFSETS>(within) as usize);
            tell_socket(body.cast_mut().cast(), file as Pointer, under_way != 0);
        }
    })
}

#[inline(always)]
unsafe fn tell_socket(body: *mut Connect, file: Pointer, under_way: bool) {
    // SAFETY: probed.
    unsafe {
        if !is_socket(file) {
            return;
        }
        let socket: Pointer = Probed::get(file, &FILE_PRIVATE);
        let sk = socket_of(file);
        let family: u16 = Probed::get(sk, &SK_FAMILY);
        (*body).family = family;
        (*body).kind = Probed::get(socket, &SOCKET_TYPE);
        (*body).protocol = Probed::get(sk, &SK_PROTOCOL);
        if family != AF_INET && family != AF_INET6 {
            family::of_socket(body, sk, family, under_way);
            return;
        }
        (*body).local_port = Probed::get(sk, &SK_LOCAL_PORT);
        let port = u16::from_be(Probed::get(sk, &SK_PORT));
        let take_remote = under_way && port != 0;
        if take_remote {
            (*body).remote_port = port;
        }
        if family == AF_INET {
            read_into::<u32>(&raw mut (*body).local, sk, &SK_LOCAL_ADDRESS);
            if take_remote {
                read_into::<u32>(&raw mut (*body).remote, sk, &SK_ADDRESS);
            }
        } else if present(&SK_ADDRESS6) && present(&SK_LOCAL_ADDRESS6) {
            read_into::<[u64; 2]>(&raw mut (*body).local, sk, &SK_LOCAL_ADDRESS6);
            if take_remote {
                read_into::<[u64; 2]>(&raw mut (*body).remote, sk, &SK_ADDRESS6);
            }
        }
    }
}

#[inline(always)]
unsafe fn read_into<T: Copy>(to: *mut [u8; 16], base: Pointer, member: &Member) {
    // SAFETY: `T` has at most 16 bytes, at an aligned place; probed.
    unsafe { to.cast::<T>().write(Probed::get(base, member)) };
}

/// Family of the passed address; remote address and port too if it is one of IP. `unspecified` is
/// the family that an address of none is taken for.
///
/// # Safety
/// `body` is in a record.
#[inline(always)]
pub unsafe fn passed_address(body: *mut Connect, passed: &Passed, unspecified: u16) -> u16 {
    // SAFETY: targets are in the caller's record; the helpers check the source.
    unsafe {
        if passed.len < 2 {
            return 0;
        }
        let mut family = 0u16;
        copy((&raw mut family).cast(), 2, passed, 0);
        let meant = if family == 0 { unspecified } else { family };
        let (address, len) = match meant {
            AF_INET if passed.len >= 16 => (4, 4),
            AF_INET6 if passed.len >= 24 => (8, 16),
            _ => {
                other_address(body, passed, family);
                return family;
            }
        };
        let mut port = 0u16;
        copy((&raw mut port).cast(), 2, passed, 2);
        (*body).remote_port = u16::from_be(port);
        let remote = (&raw mut (*body).remote).cast();
        if len == 4 {
            copy(remote, 4, passed, address)
        } else {
            copy(remote, 16, passed, address)
        };
        family
    }
}

/// The address of a family that is neither of IP nor has names.
#[inline(always)]
unsafe fn other_address(body: *mut Connect, passed: &Passed, family: u16) {
    let len = family::kept(family, passed.len);
    // SAFETY: the target is in the caller's record, and has 16 bytes.
    unsafe {
        let remote = (&raw mut (*body).remote).cast();
        let copied = match len {
            14 => copy(remote, 14, passed, 2),
            10 => copy(remote, 10, passed, 2),
            16 => copy(remote, 16, passed, 2),
            _ => false,
        };
        if copied {
            (*body).remote_port = len;
        }
    }
}

#[inline(always)]
unsafe fn copy(to: *mut u8, len: u32, passed: &Passed, offset: usize) -> bool {
    let from = passed.address.wrapping_add(offset).cast();
    // SAFETY: the caller's for the target; the helpers check the source.
    let failed = unsafe {
        match passed.origin {
            Origin::User => bpf_probe_read_user(to.cast(), len, from),
            Origin::Kernel => bpf_probe_read_kernel(to.cast(), len, from),
        }
    };
    failed == 0
}

/// Name of an `AF_UNIX` address; an abstract one, which begins with a NUL, is written `@name`.
///
/// # Safety
/// None beyond that of the record's own memory: the source is checked.
#[inline(always)]
pub unsafe fn unix_name(record: &Record<COMMON>, slot: Slot, passed: &Passed) {
    let origin = u64::from(matches!(passed.origin, Origin::User)) << 32;
    let address = record.as_number(passed.address);
    record_name(
        record.number(),
        slot as u32,
        address,
        origin | u64::from(passed.len),
    );
}

/// [`unix_name`] in the record of a slot of scratch memory; `about` is the length, above it 0 for an
/// address in the kernel.
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn record_name(number: u32, slot: u32, address: u64, about: u64) -> u32 {
    let passed = Passed {
        origin: if about >> 32 == 0 {
            Origin::Kernel
        } else {
            Origin::User
        },
        address: address as Pointer,
        len: about as u32,
    };
    in_record(number, |record| name(record, slot, &passed))
}

#[inline(always)]
fn name(record: &Record<COMMON>, slot: u32, passed: &Passed) {
    let len = u64::from(passed.len.saturating_sub(2)).min(UNIX_NAME_MAX);
    if len == 0 {
        return;
    }
    // SAFETY: 128 bytes of room for at most 109; the helpers check the source.
    unsafe {
        let (to, at) = record.room::<128>();
        if !copy(to, 1, passed, 2) {
            record.flag(Flags::PASSED_UNREADABLE);
            return;
        }
        if to.read_volatile() == 0 {
            copy(to.add(1), masked::<127>(len as u32 - 1), passed, 3);
            to.write_volatile(b'@');
            record.fill_number(slot, at, len);
            return;
        }
        let from = passed.address.wrapping_add(2).cast();
        let size = masked::<127>(len as u32 + 1);
        let copied = match passed.origin {
            Origin::User => bpf_probe_read_user_str(to.cast(), size, from),
            Origin::Kernel => bpf_probe_read_kernel_str(to.cast(), size, from),
        };
        if copied > 0 {
            record.fill_number(slot, at, copied as u64 - 1);
        } else {
            record.flag(Flags::PASSED_UNREADABLE);
        }
    }
}

/// A `connect`, at the exit of its call.
#[inline(always)]
pub fn connect_call(record: &Record<COMMON>, call: &Call) -> Outcome {
    let fd = call.args[0] as i32;
    let passed = Passed {
        origin: call.origin(),
        address: call.args[1] as Pointer,
        len: call.args[2] as u32,
    };
    connect(record, call, fd, call.file(), &passed)
}
