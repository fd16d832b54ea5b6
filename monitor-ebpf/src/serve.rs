//! The serving side of sockets: `bind`, `listen`, `accept`.

use aya_ebpf::bindings::BPF_ANY;
use aya_ebpf::macros::map;
use aya_ebpf::maps::HashMap;
use monitor_common::loss::LossReason;
use monitor_common::network::Serve;
use monitor_common::{Flags, Kind, Slot};

use crate::address;
use crate::emit::{Outcome, settle};
use crate::layout::*;
use crate::message;
use crate::network::{
    AF_INET, AF_INET6, AF_UNIX, Passed, Within, clear, family_of, is_socket, of_socket,
    passed_address, refuses_far, socket_of, unix_name,
};
use crate::noted::{self, Notes};
use crate::numbers;
use crate::read::{Pointer, Probed, Read};
use crate::record::{Origin, Record};
use crate::scratch::COMMON;
use crate::syscall::{Call, thread};

const SYS_ACCEPT4: u32 = 288;

/// Open files of the sockets that a thread's call is at work on, by the thread's id until the call
/// ends: on the object tier. Of one for which there is no room, the files are those behind the
/// descriptors by then, and that is counted.
#[map]
static SERVING: HashMap<u64, [u64; 2]> = HashMap::with_max_entries(8192, 0);

/// Holds the files of the listening socket and of the new one for the end of the call.
#[inline(always)]
pub fn hold(kind: Kind, listener: Pointer, made: Pointer) {
    let files = [listener as u64, made as u64];
    noted::made(Notes::Serving);
    let held = SERVING.insert(thread(), files, BPF_ANY.into());
    settle(kind, held.map_err(|_| LossReason::StateEvicted));
}

/// Forgets what was held for a call of the current thread.
#[inline(always)]
pub fn forget() {
    if noted::any(Notes::Serving) {
        let _ = SERVING.remove(thread());
    }
}

/// What was held for a call.
#[inline(always)]
fn serving(call: &Call) -> Option<[u64; 2]> {
    if call.is_uring() || !noted::any(Notes::Serving) {
        return None;
    }
    let files = SERVING.get_ptr(thread())?;
    // SAFETY: a checked map value, which this thread alone changes.
    Some(unsafe { files.read_volatile() })
}

/// [`serving`], of a call that is over.
#[inline(always)]
fn held(record: &Record<COMMON>, call: &Call) -> Option<[u64; 2]> {
    let files = serving(call)?;
    forget();
    record.flag(Flags::KEPT);
    Some(files)
}

/// An `accept`, at its exit.
#[inline(always)]
pub fn accept(record: &Record<COMMON>, call: &Call) -> Outcome {
    let held = held(record, call);
    let listener = held.map_or_else(|| call.file(), |files| files[0] as Pointer);
    let made = || held.map_or_else(|| call.made(), |files| files[1] as Pointer);
    let file = if call.ret >= 0 { made() } else { listener };
    let flags = if call.number == SYS_ACCEPT4 {
        call.args[3] as u32
    } else {
        0
    };
    let body = serve(record, call, call.ret as i32, flags);
    // SAFETY: memory of the record; probed.
    unsafe {
        of_socket(record, Within::Body, file, call.ret >= 0);
        if numbers::leaves_out(record, Kind::Accept, call) {
            return Ok(());
        }
        queue(body, socket_of(listener));
        own_name(record, Slot::Passed, file);
    }
    record.emit(Kind::Accept)
}

/// Whether no rule can match an `accept` that made a connection, by what that says; see
/// [`refuses_far`].
#[inline(always)]
pub fn refuses_accept(call: &Call) -> bool {
    if call.ret < 0 {
        return false;
    }
    let made = serving(call).map_or_else(|| call.made(), |files| files[1] as Pointer);
    refuses_far(Kind::Accept, call, made, true)
}

/// A `listen`, at its exit.
#[inline(always)]
pub fn listen(record: &Record<COMMON>, call: &Call) -> Outcome {
    let file = held(record, call).map_or_else(|| call.file(), |files| files[0] as Pointer);
    let body = serve(record, call, call.args[0] as i32, call.args[1] as u32);
    // SAFETY: memory of the record; probed.
    unsafe {
        of_socket(record, Within::Body, file, false);
        if numbers::leaves_out(record, Kind::Listen, call) {
            return Ok(());
        }
        queue(body, socket_of(file));
        own_name(record, Slot::Passed, file);
    }
    record.emit(Kind::Listen)
}

/// A `bind`, at its exit.
#[inline(always)]
pub fn bind(record: &Record<COMMON>, call: &Call) -> Outcome {
    let file = call.file();
    let body = serve(record, call, call.args[0] as i32, 0);
    let passed = match address::copied(call.number) {
        Some(copied) => {
            record.flag(Flags::KEPT);
            copied
        }
        None => Passed {
            origin: call.origin(),
            address: call.args[1] as Pointer,
            len: call.args[2] as u32,
        },
    };
    // SAFETY: memory of the record; probed.
    unsafe {
        let socket = &raw mut (*body).socket;
        let family = passed_address(socket, &passed, 0);
        let family = message::taken(record, socket, call).unwrap_or(family);
        (*socket).passed_family = family;
        let (address, port) = ((*socket).remote, (*socket).remote_port);
        (*socket).remote = [0; 16];
        (*socket).remote_port = 0;
        // What such a socket says is not all of its address.
        if !matches!(family, AF_INET | AF_INET6) {
            (*socket).local = address;
            (*socket).local_port = port;
        }
        of_socket(record, Within::Body, file, false);
        if call.ret < 0 {
            (*socket).local = address;
            (*socket).local_port = port;
        }
        if numbers::leaves_out(record, Kind::Bind, call) {
            address::forget();
            return Ok(());
        }
        if family == AF_UNIX {
            if call.ret < 0 {
                unix_name(record, Slot::Passed, &passed);
            } else {
                own_name(record, Slot::Passed, file);
            }
        }
    }
    address::forget();
    record.emit(Kind::Bind)
}

/// Starts the body of a call of the serving side.
#[inline(always)]
fn serve(record: &Record<COMMON>, call: &Call, fd: i32, argument: u32) -> *mut Serve {
    let body = record.body::<Serve>();
    // SAFETY: memory of the record.
    unsafe {
        (*body).syscall = call.number;
        (*body).argument = argument;
        (*body).queue = 0;
        (*body).queue_max = 0;
        let socket = &raw mut (*body).socket;
        (*socket).ret = call.ret;
        (*socket).fd = fd;
        (*socket).passed_family = 0;
        clear(socket);
    }
    body
}

/// How many connections wait at a listening socket.
#[inline(always)]
unsafe fn queue(body: *mut Serve, sk: Pointer) {
    if present(&SK_QUEUE) && present(&SK_QUEUE_MAX) {
        // SAFETY: the caller's record; probed.
        unsafe {
            (*body).queue = Probed::get(sk, &SK_QUEUE);
            (*body).queue_max = Probed::get(sk, &SK_QUEUE_MAX);
        }
    }
}

/// The `AF_UNIX` name that a socket itself has, or else its peer, if one of them has one.
///
/// # Safety
/// None beyond that of the record's own memory: the source is checked.
#[inline(always)]
pub unsafe fn own_name(record: &Record<COMMON>, slot: Slot, file: Pointer) {
    if !present(&UNIX_ADDRESS) || !present(&UNIX_ADDRESS_LEN) || !present(&UNIX_ADDRESS_NAME) {
        return;
    }
    if !is_socket(file) || family_of(file) != AF_UNIX {
        return;
    }
    // SAFETY: probed.
    unsafe {
        let mut address: Pointer = Probed::get(socket_of(file), &UNIX_ADDRESS);
        if address.is_null() && present(&UNIX_PEER) {
            let peer: Pointer = Probed::get(socket_of(file), &UNIX_PEER);
            address = Probed::get(peer, &UNIX_ADDRESS);
        }
        if address.is_null() {
            return;
        }
        let name = Passed {
            origin: Origin::Kernel,
            address: address.wrapping_add(UNIX_ADDRESS_NAME.load() as usize),
            len: Probed::get(address, &UNIX_ADDRESS_LEN),
        };
        unix_name(record, slot, &name);
    }
}
