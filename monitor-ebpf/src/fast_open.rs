//! Connects that a message makes: TCP Fast Open (`MSG_FASTOPEN`), by sendto(2) and its like and by
//! `io_uring`, without any call to connect.
//!
//! The kernel asks the programs for connects at the root of the unified hierarchy of cgroups then,
//! too. What comes of it is not known yet: the record says that it is under way.

use aya_ebpf::bindings::bpf_sock_addr;
use aya_ebpf::macros::cgroup_sock_addr;
use aya_ebpf::programs::SockAddrContext;
use monitor_common::Kind;
use monitor_common::network::Connect;
use monitor_common::syscall::Operation;

use crate::address::{PASS, long, short};
use crate::emit::settle;
use crate::layout::*;
use crate::network::{self, AF_INET, AF_INET6, EINPROGRESS};
use crate::read::{Pointer, Probed, Read};
use crate::record;
use crate::scratch;
use crate::syscall::{current_call, is_in, own};

const SOCK_STREAM: u16 = 1;
const IPPROTO_TCP: u16 = 6;

/// A connect over IPv4.
#[cgroup_sock_addr(connect4)]
pub fn message_connect4(ctx: SockAddrContext) -> i32 {
    if comes_with_data(ctx.sock_addr) {
        let (address, port) = short(ctx.sock_addr);
        tell(AF_INET, address, port);
    }
    PASS
}

/// A connect over IPv6.
#[cgroup_sock_addr(connect6)]
pub fn message_connect6(ctx: SockAddrContext) -> i32 {
    if comes_with_data(ctx.sock_addr) {
        let (address, port) = long(ctx.sock_addr);
        tell(AF_INET6, address, port);
    }
    PASS
}

/// Whether a message waits to be sent along with the connect.
#[inline(always)]
fn comes_with_data(context: *mut bpf_sock_addr) -> bool {
    // SAFETY: the context is typed.
    let protocol = unsafe { (*context).protocol };
    // Other sockets have something else there.
    if protocol != IPPROTO_TCP.into() || !present(&TCP_FAST_OPEN) || own() {
        return false;
    }
    let slot = match scratch::claim() {
        Ok(slot) => slot,
        Err(reason) => {
            settle(Kind::Connect, Err(reason));
            return false;
        }
    };
    // SAFETY: the context is typed, the slot claimed. With a number the verifier lets calculate; what
    // is read there is probed.
    unsafe {
        let socket = scratch::number(slot, (*context).__bindgen_anon_1.sk as u64);
        scratch::release(slot);
        !Probed::get::<Pointer>(socket as Pointer, &TCP_FAST_OPEN).is_null()
    }
}

#[inline(always)]
fn tell(family: u16, address: [u32; 4], port: u16) {
    let call = current_call(EINPROGRESS);
    let sends = [Operation::SendTo, Operation::SendMsg, Operation::SendMmsg];
    let fd = if is_in(sends) {
        call.args[0] as i32
    } else {
        -1
    };
    let outcome = record::with::<Probed>(Kind::Connect as u32, 0, |record| {
        let body = record.body::<Connect>();
        // SAFETY: memory of the record.
        unsafe {
            (*body).ret = call.ret;
            (*body).fd = fd;
            (*body).passed_family = family;
            network::clear(body);
            (*body).family = family;
            (*body).kind = SOCK_STREAM;
            (*body).protocol = IPPROTO_TCP;
            (*body).remote_port = port;
            (&raw mut (*body).remote)
                .cast::<[u32; 4]>()
                .write_unaligned(address);
        }
        record.emit(Kind::Connect)
    });
    settle(Kind::Connect, outcome);
}
