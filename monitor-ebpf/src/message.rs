//! Messages: those that are sent to an address, and those that are received.

use aya_ebpf::helpers::generated::bpf_probe_read_user;
use monitor_common::network::{Connect, Send};
use monitor_common::{Flags, Kind, MESSAGE_MAX, Slot};

use crate::address;
use crate::emit::{Outcome, settle_code};
use crate::layout::*;
use crate::network::{
    AF_INET, AF_INET6, AF_UNIX, Passed, Within, clear, family_of, is_socket, of_socket,
    passed_address, socket_of, unix_name,
};
use crate::numbers;
use crate::read::{Pointer, Probed, Read};
use crate::record::{self, Origin, Record};
use crate::scratch::COMMON;
use crate::serve;
use crate::syscall::Call;
use crate::tell;

const SYS_READ: u32 = 0;
const SYS_WRITE: u32 = 1;
const SYS_PREAD: u32 = 17;
const SYS_PWRITE: u32 = 18;
const SYS_READV: u32 = 19;
const SYS_WRITEV: u32 = 20;
const SYS_PIPE: u32 = 22;
const SYS_SOCKETPAIR: u32 = 53;
const SYS_PIPE2: u32 = 293;
const SYS_PREADV: u32 = 295;
const SYS_PWRITEV: u32 = 296;
const SYS_PREADV2: u32 = 327;
const SYS_PWRITEV2: u32 = 328;
const SYS_SENDTO: u32 = 44;
const SYS_RECVFROM: u32 = 45;
/// `UIO_MAXIOV`: most messages of a call.
const MESSAGES_MAX: u32 = 1024;
/// Of how many the verifier follows one after the other.
const BATCH: u32 = 32;

/// Above number and flags of a call: set if it succeeded.
const SUCCEEDED: u32 = 48;

/// Whether a call that only sockets take was on one. One that succeeded was, whatever its descriptor
/// stands for by now; requests of `io_uring` hold their files.
#[inline(always)]
pub fn was_on_socket(call: &Call) -> bool {
    call.ret >= 0 && !call.is_uring() || is_socket(call.file())
}

/// Whether a `sendto` or `sendmsg` names an address.
#[inline(always)]
pub fn has_destination(call: &Call) -> bool {
    let [first, second, _, _, fifth, sixth] = call.args;
    let succeeded = u64::from(call.ret >= 0) << SUCCEEDED;
    let about = succeeded | u64::from(call.number) << 16 | u64::from(call.flags);
    is_destined(about, first, second, fifth, sixth) != 0
}

/// [`has_destination`] by number and flags of the call, and its arguments but two.
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn is_destined(about: u64, first: u64, second: u64, fifth: u64, sixth: u64) -> u32 {
    let call = Call {
        number: (about >> 16) as u32,
        ret: (about >> SUCCEEDED) as i64 - 1,
        args: [first, second, 0, 0, fifth, sixth],
        flags: about as u16,
    };
    let known = address::is_known(call.number) || !to(&call).address.is_null();
    u32::from(known && was_on_socket(&call))
}

/// A message to an address, at the exit of its call.
#[inline(always)]
pub fn send(record: &Record<COMMON>, call: &Call) -> Outcome {
    let body = record.body::<Send>();
    let file = call.file();
    let family = family_of(file);
    // IPv4 takes an address of no family for one of its own (`udp_sendmsg`).
    let unspecified = if family == AF_INET { AF_INET } else { 0 };
    // SAFETY: memory of the record; the file is probed.
    unsafe {
        let socket = message(body, call);
        let to = to(call);
        let passed = passed_address(socket, &to, unspecified);
        let passed = taken(record, socket, call).unwrap_or(passed);
        (*socket).passed_family = passed;
        if matches!(to.origin, Origin::Kernel) && !call.is_uring() {
            record.flag(Flags::KEPT);
        }
        if family == AF_INET6 && passed == AF_INET {
            map_remote(socket);
        }
        of_socket(record, Within::Body, file, false);
        if numbers::leaves_out(record, Kind::Send, call) {
            address::forget();
            return Ok(());
        }
        if passed == AF_UNIX {
            unix_name(record, Slot::Passed, &to);
        }
    }
    content(record, call);
    address::forget();
    record.emit(Kind::Send)
}

/// A message received, at the exit of its call.
#[inline(always)]
pub fn receive(record: &Record<COMMON>, call: &Call) -> Outcome {
    let body = record.body::<Send>();
    let file = call.file();
    // SAFETY: memory of the record; the file is probed.
    unsafe {
        let socket = message(body, call);
        let from = destination(call);
        let mut sender = 0;
        if call.ret >= 0 && !from.address.is_null() {
            sender = passed_address(socket, &from, 0);
        }
        sender = taken(record, socket, call).unwrap_or(sender);
        let connected = Probed::get::<u16>(socket_of(file), &SK_PORT) != 0;
        (*socket).passed_family = if connected { 0 } else { sender };
        of_socket(record, Within::Body, file, true);
        if numbers::leaves_out(record, Kind::Receive, call) {
            return Ok(());
        }
        if sender == AF_UNIX {
            unix_name(record, Slot::Passed, &from);
        } else {
            serve::own_name(record, Slot::Passed, file);
        }
    }
    content(record, call);
    record.emit(Kind::Receive)
}

/// [`address::take`], which the record says.
///
/// # Safety
/// `body` is in the record.
#[inline(always)]
pub unsafe fn taken(record: &Record<COMMON>, body: *mut Connect, call: &Call) -> Option<u16> {
    // SAFETY: the caller's.
    let family = unsafe { address::take(body, call.number) };
    if family.is_some() {
        record.flag(Flags::TRIED);
    }
    family
}

/// The head of what was sent or received: of its first piece, where it is in pieces.
#[inline(always)]
fn content(record: &Record<COMMON>, call: &Call) {
    if call.ret <= 0 || call.is_uring() {
        return;
    }
    let (mut from, mut length) = (call.args[1], call.ret as u64);
    if !matches!(call.number, SYS_SENDTO | SYS_RECVFROM) {
        let compat = call.flags & Flags::COMPAT != 0;
        // `msg_iov` of `struct msghdr`, then `struct iovec`.
        let pieces = word(from.wrapping_add(if compat { 8 } else { 16 }), compat);
        from = word(pieces, compat);
        length = length.min(word(
            pieces.wrapping_add(if compat { 4 } else { 8 }),
            compat,
        ));
    }
    if record
        .bytes::<MESSAGE_MAX>(Slot::Args, from, length)
        .is_err()
    {
        record.flag(Flags::PASSED_UNREADABLE);
    }
}

/// The head of what a call on a descriptor read or wrote, of its first piece where it is in pieces.
#[inline(always)]
pub fn moved(record: &Record<COMMON>, call: &Call) {
    let in_pieces = match call.number {
        SYS_READ | SYS_WRITE | SYS_PREAD | SYS_PWRITE => false,
        SYS_READV | SYS_WRITEV | SYS_PREADV | SYS_PWRITEV | SYS_PREADV2 | SYS_PWRITEV2 => true,
        _ => return,
    };
    if call.ret <= 0 {
        return;
    }
    let (mut from, mut length) = (call.args[1], call.ret as u64);
    if in_pieces {
        let compat = call.flags & Flags::COMPAT != 0;
        // `struct iovec`.
        let size = if compat { 4 } else { 8 };
        length = length.min(word(from.wrapping_add(size), compat));
        from = word(from, compat);
    }
    if record
        .bytes::<MESSAGE_MAX>(Slot::Args, from, length)
        .is_err()
    {
        record.flag(Flags::PASSED_UNREADABLE);
    }
}

/// The descriptors of a new pipe or pair of sockets.
#[inline(always)]
pub fn ends(call: &Call, to: *mut u64) {
    let from = match call.number {
        SYS_PIPE | SYS_PIPE2 => call.args[0],
        SYS_SOCKETPAIR => call.args[3],
        _ => return,
    };
    let mut both = 0u64;
    // SAFETY: the helper fills the bytes or fails.
    let failed = unsafe { bpf_probe_read_user((&raw mut both).cast(), 8, from as *const _) };
    let both = if failed == 0 { both } else { u64::MAX };
    // SAFETY: the caller's, memory of a record.
    unsafe { to.write_volatile(both) };
}

/// A pointer or length in the program's memory; 0 where that cannot be read.
#[inline(always)]
fn word(from: u64, compat: bool) -> u64 {
    let (mut word, size) = (0u64, if compat { 4 } else { 8 });
    // SAFETY: the helper fills the bytes or fails, with zeros.
    unsafe { bpf_probe_read_user((&raw mut word).cast(), size, from as *const _) };
    word
}

/// Starts the body of a message.
#[inline(always)]
unsafe fn message(body: *mut Send, call: &Call) -> *mut Connect {
    let whole = matches!(call.number, SYS_SENDTO | SYS_RECVFROM);
    // SAFETY: the caller's record.
    unsafe {
        (*body).syscall = call.number;
        (*body).flags = call.args[if whole { 3 } else { 2 }] as u32;
        (*body).size = if whole && !call.is_uring() {
            call.args[2]
        } else {
            u64::MAX
        };
        let socket = &raw mut (*body).socket;
        (*socket).ret = call.ret;
        (*socket).fd = call.args[0] as i32;
        (*socket).passed_family = 0;
        clear(socket);
        socket
    }
}

/// Where a message is to go, by the kernel's copy if there is one.
#[inline(always)]
fn to(call: &Call) -> Passed {
    match address::copied(call.number) {
        Some(copied) => copied,
        None => destination(call),
    }
}

/// Where a message is to go, or where it came from; the address is null if it does not say.
#[inline(always)]
fn destination(call: &Call) -> Passed {
    if call.is_uring() {
        return Passed {
            origin: Origin::Kernel,
            address: call.args[4] as Pointer,
            len: call.args[1] as u32,
        };
    }
    let (mut address, mut len) = (call.args[4], call.args[5] as u32);
    if call.number == SYS_RECVFROM {
        let from = call.args[5] as *const _;
        // SAFETY: the helper fills the bytes or fails, with zeros.
        unsafe { bpf_probe_read_user((&raw mut len).cast(), 4, from) };
    } else if call.number != SYS_SENDTO {
        // `struct msghdr` begins with the address and its length.
        let (from, mut head) = (call.args[1] as *const _, [0u32; 4]);
        // SAFETY: the helper fills the bytes or fails, which leaves what is there.
        unsafe { bpf_probe_read_user((&raw mut head).cast(), 16, from) };
        let [low, high, wide_len, _] = head;
        (address, len) = if call.flags & Flags::COMPAT == 0 {
            (u64::from(high) << 32 | u64::from(low), wide_len)
        } else {
            (u64::from(low), high)
        };
    }
    Passed {
        origin: Origin::User,
        address: address as Pointer,
        len,
    }
}

/// The messages of a `sendmmsg` that name an address, at its exit: one record each. Of a call that
/// fails, its first message.
#[inline(always)]
pub fn many_sent(call: &Call) {
    many(call, |messages, socket, ret, about, count| {
        some_sent(messages, socket, ret, about, count)
    });
}

/// The messages of a `recvmmsg`, likewise.
#[inline(always)]
pub fn many_received(call: &Call) {
    many(call, |messages, socket, ret, about, count| {
        some_received(messages, socket, ret, about, count)
    });
}

#[inline(always)]
fn many(call: &Call, some: impl Fn(u64, u64, i64, u64, u32) -> u32) {
    if !was_on_socket(call) {
        return;
    }
    let count = if call.ret < 0 { 1 } else { call.ret as u32 };
    let socket = u64::from(call.args[3] as u32) << 32 | u64::from(call.args[0] as u32);
    let about = u64::from(call.number) << 16 | u64::from(call.flags);
    let mut first = 0;
    while first < MESSAGES_MAX {
        if first >= count {
            break;
        }
        some(
            nth(call.args[1], first, call.flags),
            socket,
            call.ret,
            about,
            count - first,
        );
        first += BATCH;
    }
}

/// Where a message of many is.
#[inline(always)]
fn nth(messages: u64, index: u32, flags: u16) -> u64 {
    // `struct mmsghdr`: a `struct msghdr`, then how much of it was sent.
    let size = if flags & Flags::COMPAT == 0 { 64 } else { 32 };
    messages.wrapping_add(u64::from(index) * size)
}

/// Some of `count` messages of a `sendmmsg`; `socket` is its descriptor, above it the options, and
/// `about` number and flags of the call. A function that takes numbers is verified once.
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn some_sent(messages: u64, socket: u64, ret: i64, about: u64, count: u32) -> u32 {
    let mut index = 0;
    while index < BATCH && index < count {
        one_sent(nth(messages, index, about as u16), socket, ret, about);
        index += 1;
    }
    index
}

/// The same of a `recvmmsg`.
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn some_received(
    messages: u64,
    socket: u64,
    ret: i64,
    about: u64,
    count: u32,
) -> u32 {
    let mut index = 0;
    while index < BATCH && index < count {
        one_received(nth(messages, index, about as u16), socket, ret, about);
        index += 1;
    }
    index
}

/// A message of many, as if it had a call of its own.
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn one_sent(message: u64, socket: u64, ret: i64, about: u64) -> u32 {
    let one = one_of_many(message, socket, ret, about);
    if has_destination(&one) {
        let kind = Kind::Send as u32;
        settle_code(
            kind,
            record::tell::<Probed>(kind, &one, |number| tell::send(number)),
        );
    }
    0
}

/// The same of one that came.
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn one_received(message: u64, socket: u64, ret: i64, about: u64) -> u32 {
    let one = one_of_many(message, socket, ret, about);
    let kind = Kind::Receive as u32;
    settle_code(
        kind,
        record::tell::<Probed>(kind, &one, |number| tell::receive(number)),
    );
    0
}

#[inline(always)]
fn one_of_many(message: u64, socket: u64, ret: i64, about: u64) -> Call {
    let (number, flags) = ((about >> 16) as u32, about as u16);
    let sent = if flags & Flags::COMPAT == 0 { 56 } else { 28 };
    let mut length = 0u32;
    if ret >= 0 {
        let from = message.wrapping_add(sent) as *const _;
        // SAFETY: the helper fills the bytes or fails, which leaves what is there.
        unsafe { bpf_probe_read_user((&raw mut length).cast(), 4, from) };
    }
    Call {
        number,
        ret: if ret < 0 { ret } else { length.into() },
        args: [u64::from(socket as u32), message, socket >> 32, 0, 0, 0],
        flags,
    }
}

/// Rewrites an IPv4 remote address in IPv6 form.
#[inline(always)]
unsafe fn map_remote(body: *mut Connect) {
    // SAFETY: in the caller's record; 16 aligned bytes.
    unsafe {
        let words = (&raw mut (*body).remote).cast::<u64>();
        let address = words.read_volatile() << 32;
        words.write_volatile(0);
        words.add(1).write_volatile(address | 0xffff_0000);
    }
}
