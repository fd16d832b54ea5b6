//! Where calls want to go, and whom messages come from, by the kernel's own copy of the address:
//! the end of a call can only read it from the program's memory, which may have been changed by
//! then.
//!
//! Programs at the root of the unified hierarchy of cgroups see each attempt over IP before it is
//! made, and keep it for the end of the call.

use aya_ebpf::bindings::{BPF_ANY, bpf_sock_addr};
use aya_ebpf::helpers::generated::bpf_probe_read_kernel;
use aya_ebpf::macros::{cgroup_sock_addr, map};
use aya_ebpf::maps::HashMap;
use aya_ebpf::programs::SockAddrContext;
use monitor_common::Kind;
use monitor_common::loss::LossReason;
use monitor_common::network::Connect;
use monitor_common::syscall::{Operation, SOCKETCALL, X32_BIT};

use crate::emit::settle;
use crate::layout::*;
use crate::network::{AF_INET, AF_INET6, Passed};
use crate::noted::{self, Notes};
use crate::numbers;
use crate::read::{Pointer, Probed, Read, Typed, current, masked};
use crate::record::Origin;
use crate::syscall::{is_compat, is_number_of, registers_of};

/// Most bytes of an address (`struct sockaddr_storage`).
const ADDRESS_MAX: u32 = 128;

/// Lets the attempt go on.
pub const PASS: i32 = 1;

/// Calls that the x32 ABI has for itself, without [`X32_BIT`]; no calls of another machine.
const X32_RECVFROM: u32 = 517;
const X32_SENDMSG: u32 = 518;
const X32_RECVMSG: u32 = 519;

/// What a thread tries, by its id, until its call ends. As many calls may block at once; of one for
/// which there is no room the address is read from the program's memory, and that is counted.
#[map]
static TRIED: HashMap<u32, Tried> = HashMap::with_max_entries(4096, 0);

/// The kernel's copy of the address that a thread's call has, of any family, by the thread's id until
/// the call ends: on the object tier. Messages to names (`AF_UNIX`) may block like connects.
#[map]
static COPIES: HashMap<u32, Copied> = HashMap::with_max_entries(4096, 0);

/// A copy.
#[repr(C)]
struct Copied {
    /// For its own place as a number, with which the verifier lets calculate.
    at: u64,
    /// As in [`Tried`].
    number: u32,
    len: u32,
    bytes: [u8; ADDRESS_MAX as usize],
}

/// An attempt, or what came.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Tried {
    address: [u32; 4],
    /// Number of the call in the x86-64 ABI; 0 for `socketcall`, which may be any.
    number: u32,
    family: u16,
    /// In host byte order.
    port: u16,
}

/// A `connect` over IPv4.
#[cgroup_sock_addr(connect4)]
pub fn tried_connect4(ctx: SockAddrContext) -> i32 {
    keep_connect(AF_INET, ctx.sock_addr, short(ctx.sock_addr));
    PASS
}

/// A `connect` over IPv6, also of IPv4 in IPv6 form.
#[cgroup_sock_addr(connect6)]
pub fn tried_connect6(ctx: SockAddrContext) -> i32 {
    keep_connect(AF_INET6, ctx.sock_addr, long(ctx.sock_addr));
    PASS
}

/// A `bind` of IPv4.
#[cgroup_sock_addr(bind4)]
pub fn tried_bind4(ctx: SockAddrContext) -> i32 {
    keep(Kind::Bind, AF_INET, short(ctx.sock_addr));
    PASS
}

/// A `bind` of IPv6.
#[cgroup_sock_addr(bind6)]
pub fn tried_bind6(ctx: SockAddrContext) -> i32 {
    keep(Kind::Bind, AF_INET6, long(ctx.sock_addr));
    PASS
}

/// A datagram with an address, IPv4.
#[cgroup_sock_addr(sendmsg4)]
pub fn tried_sendmsg4(ctx: SockAddrContext) -> i32 {
    keep(Kind::Send, AF_INET, short(ctx.sock_addr));
    PASS
}

/// A datagram with an address, IPv6.
#[cgroup_sock_addr(sendmsg6)]
pub fn tried_sendmsg6(ctx: SockAddrContext) -> i32 {
    keep(Kind::Send, AF_INET6, long(ctx.sock_addr));
    PASS
}

/// The sender of a datagram, IPv4.
#[cgroup_sock_addr(recvmsg4)]
pub fn got_recvmsg4(ctx: SockAddrContext) -> i32 {
    keep(Kind::Receive, AF_INET, short(ctx.sock_addr));
    PASS
}

/// The sender of a datagram, IPv6.
#[cgroup_sock_addr(recvmsg6)]
pub fn got_recvmsg6(ctx: SockAddrContext) -> i32 {
    keep(Kind::Receive, AF_INET6, long(ctx.sock_addr));
    PASS
}

/// The address of IPv4 that is tried, and the port in host byte order.
#[inline(always)]
pub fn short(context: *mut bpf_sock_addr) -> ([u32; 4], u16) {
    // SAFETY: the context is typed.
    let (address, port) = unsafe { ((*context).user_ip4, (*context).user_port) };
    ([address, 0, 0, 0], u16::from_be(port as u16))
}

/// The same of IPv6.
#[inline(always)]
pub fn long(context: *mut bpf_sock_addr) -> ([u32; 4], u16) {
    // SAFETY: the context is typed.
    let (address, port) = unsafe {
        let address = [
            (*context).user_ip6[0],
            (*context).user_ip6[1],
            (*context).user_ip6[2],
            (*context).user_ip6[3],
        ];
        (address, (*context).user_port)
    };
    (address, u16::from_be(port as u16))
}

/// Keeps what a connect tries, if a rule can match it.
#[inline(always)]
fn keep_connect(family: u16, context: *mut bpf_sock_addr, (address, port): ([u32; 4], u16)) {
    // SAFETY: the context is typed.
    let of_socket = unsafe { (*context).family };
    let Some(number) = calling() else {
        return;
    };
    // A datagram socket of IPv6 may try addresses of IPv4; `socketcall` may be any call.
    let is_plain = of_socket == family.into() && number != 0;
    if is_plain && refuses(number, family, address, port) {
        return;
    }
    keep_as(Kind::Connect, number, family, (address, port));
}

/// Whether no rule can match a connect to an address, whatever comes of it.
#[inline(always)]
fn refuses(number: u32, family: u16, address: [u32; 4], port: u16) -> bool {
    let [a, b, c, d] = address.map(u64::from);
    let words = [b << 32 | a, d << 32 | c];
    numbers::refuses_remote(Kind::Connect, number, family, words, port)
}

#[inline(always)]
fn keep(kind: Kind, family: u16, tried: ([u32; 4], u16)) {
    if let Some(number) = calling() {
        keep_as(kind, number, family, tried);
    }
}

#[inline(always)]
fn keep_as(kind: Kind, number: u32, family: u16, (address, port): ([u32; 4], u16)) {
    let tried = Tried {
        address,
        number,
        family,
        port,
    };
    noted::made(Notes::Tried);
    let kept = TRIED.insert(thread(), tried, BPF_ANY.into());
    settle(kind, kept.map_err(|_| LossReason::StateEvicted));
}

/// Keeps an address of `len` bytes in the kernel for the end of the call.
#[inline(always)]
pub fn copy(kind: Kind, address: Pointer, len: u32) {
    let Some(number) = calling() else {
        return;
    };
    let len = len.min(ADDRESS_MAX);
    let mut copied = Copied {
        at: 0,
        number,
        len,
        bytes: [0; ADDRESS_MAX as usize],
    };
    // SAFETY: all bytes are there, and the mask leaves no more; the helper checks the source.
    unsafe {
        let size = masked::<0xff>(len);
        bpf_probe_read_kernel((&raw mut copied.bytes).cast(), size, address.cast());
    }
    noted::made(Notes::Copies);
    let kept = COPIES.insert(thread(), copied, BPF_ANY.into());
    settle(kind, kept.map_err(|_| LossReason::StateEvicted));
}

/// The kernel's copy of the address of the current task's call, by its x86-64 number.
#[inline(always)]
pub fn copied(number: u32) -> Option<Passed> {
    let copied = COPIES.get_ptr_mut(thread())?;
    // SAFETY: a checked map value, which this thread alone uses.
    unsafe {
        if (*copied).number != 0 && (*copied).number != number {
            return None;
        }
        (&raw mut (*copied).at).write_volatile(&raw const (*copied).bytes as u64);
        Some(Passed {
            origin: Origin::Kernel,
            address: (&raw const (*copied).at).read_volatile() as Pointer,
            len: (*copied).len,
        })
    }
}

/// Forgets the copy, when the call has been told.
#[inline(always)]
pub fn forget() {
    if noted::any(Notes::Copies) {
        let _ = COPIES.remove(thread());
    }
}

/// Forgets what the current task's call has tried.
#[inline(always)]
pub fn drop_tried() {
    if noted::any(Notes::Tried) {
        let _ = TRIED.remove(thread());
    }
}

/// Forgets all that is kept of the current task's call, which nobody will tell.
#[inline(always)]
pub fn drop_all() {
    drop_tried();
    forget();
}

/// The call that the task is in, if it is one that ends with the attempt: not those of `io_uring`,
/// nor what the kernel does for itself.
#[inline(always)]
fn calling() -> Option<u32> {
    let task = current();
    // SAFETY: probed.
    let number: u32 = unsafe { Probed::get(registers_of(task), &CALL_NUMBER) };
    let compat = is_compat(task);
    if compat && number == SOCKETCALL {
        return Some(0);
    }
    let number = number & !X32_BIT;
    let attempts = [
        Operation::Connect,
        Operation::SendTo,
        Operation::SendMsg,
        Operation::RecvFrom,
        Operation::RecvMsg,
        Operation::Bind,
    ];
    for operation in attempts {
        if is_number_of(operation, number, compat) {
            return Some(operation.call().number);
        }
    }
    match number {
        _ if compat => None,
        X32_RECVFROM => Some(Operation::RecvFrom.call().number),
        X32_SENDMSG => Some(Operation::SendMsg.call().number),
        X32_RECVMSG => Some(Operation::RecvMsg.call().number),
        _ => None,
    }
}

#[inline(always)]
fn thread() -> u32 {
    // SAFETY: the current task is typed.
    unsafe { Typed::get(current(), &TASK_PID) }
}

/// Whether the current task's call, by its x86-64 number, has tried an address.
#[inline(always)]
pub fn is_known(number: u32) -> bool {
    attempt(number).is_some()
}

/// Puts what the current task's call has tried into a body, once; the family of the address.
///
/// # Safety
/// `body` is in a record.
#[inline(always)]
pub unsafe fn take(body: *mut Connect, number: u32) -> Option<u16> {
    let tried = attempt(number);
    let family = tried.map(|tried| {
        // SAFETY: the caller's for the body; a checked map value.
        unsafe {
            let to = (&raw mut (*body).remote).cast();
            bpf_probe_read_kernel(to, 16, (&raw const (*tried).address).cast());
            (*body).remote_port = (*tried).port;
            (*tried).family
        }
    });
    if family.is_some() {
        drop_tried();
    }
    family
}

#[inline(always)]
fn attempt(number: u32) -> Option<*const Tried> {
    if !noted::any(Notes::Tried) {
        return None;
    }
    let tried = TRIED.get_ptr(thread())?;
    // SAFETY: a checked map value.
    let of = unsafe { (*tried).number };
    (of == 0 || of == number).then_some(tried)
}
