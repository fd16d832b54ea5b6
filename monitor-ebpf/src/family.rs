//! Addresses that are neither of IP nor names: those of virtual machines (`AF_VSOCK`), of the kernel
//! (`AF_NETLINK`) and of the link layer (`AF_PACKET`), in the form of `monitor_common::network`.

use aya_ebpf::helpers::generated::bpf_probe_read_kernel;
use monitor_common::network::Connect;

use crate::layout::*;
use crate::read::{Pointer, Probed, Read};

pub const AF_NETLINK: u16 = 16;
pub const AF_PACKET: u16 = 17;
pub const AF_VSOCK: u16 = 40;
/// `VMADDR_PORT_ANY`
const ANY_PORT: u32 = u32::MAX;

/// Bytes of an address of `len` bytes that are worth keeping, behind the family; 0 for those of
/// other families, and for one that the kernel would not take.
#[inline(always)]
pub fn kept(family: u16, len: u32) -> u16 {
    match family {
        AF_VSOCK if len >= 16 => 14,
        AF_NETLINK if len >= 12 => 10,
        AF_PACKET if len >= 18 => 16,
        _ => 0,
    }
}

/// What a socket of such a family says of its ends; the remote one if it is `connected`.
///
/// # Safety
/// `body` is in a record.
#[inline(always)]
pub unsafe fn of_socket(body: *mut Connect, sk: Pointer, family: u16, connected: bool) {
    // SAFETY: the caller's.
    unsafe {
        match family {
            AF_VSOCK => of_vsock(body, sk, connected),
            AF_NETLINK => of_netlink(body, sk, connected),
            AF_PACKET => of_packet(body, sk),
            _ => {}
        }
    }
}

/// `struct vsock_sock` of `include/net/af_vsock.h`: a `struct sock`, a pointer, then the local and
/// the remote `struct sockaddr_vm`. It is often part of a module, whose types BTF does not have.
#[inline(always)]
unsafe fn of_vsock(body: *mut Connect, sk: Pointer, connected: bool) {
    if !present(&SOCK_SIZE) {
        return;
    }
    let local = sk.wrapping_add(SOCK_SIZE.load() as usize + 8);
    // SAFETY: the caller's record; probed.
    unsafe {
        if is_vsock(local) {
            take(&raw mut (*body).local, 0, local.wrapping_add(2), 14);
            (*body).local_port = 14;
        }
        let remote = local.wrapping_add(16);
        if connected && is_vsock(remote) {
            take(&raw mut (*body).remote, 0, remote.wrapping_add(2), 14);
            (*body).remote_port = 14;
        }
    }
}

/// Whether there is an address that somebody has set.
#[inline(always)]
unsafe fn is_vsock(address: Pointer) -> bool {
    // SAFETY: probed.
    unsafe {
        Probed::at::<u16>(address, 0) == AF_VSOCK && Probed::at::<u32>(address, 4) != ANY_PORT
    }
}

#[inline(always)]
unsafe fn of_netlink(body: *mut Connect, sk: Pointer, connected: bool) {
    // SAFETY: the caller's record; probed.
    unsafe {
        if present(&NETLINK_PORT) && Probed::get::<u32>(sk, &NETLINK_PORT) != 0 {
            let port = sk.wrapping_add(NETLINK_PORT.load() as usize);
            take(&raw mut (*body).local, 2, port, 4);
            if present(&NETLINK_GROUPS) {
                take(
                    &raw mut (*body).local,
                    6,
                    Probed::get(sk, &NETLINK_GROUPS),
                    4,
                );
            }
            (*body).local_port = 10;
        }
        if connected && present(&NETLINK_PEER) && Probed::get::<u32>(sk, &NETLINK_PEER) != 0 {
            let peer = sk.wrapping_add(NETLINK_PEER.load() as usize);
            take(&raw mut (*body).remote, 2, peer, 4);
            (*body).remote_port = 10;
        }
    }
}

#[inline(always)]
unsafe fn of_packet(body: *mut Connect, sk: Pointer) {
    if !present(&PACKET_PROTOCOL) || !present(&PACKET_INTERFACE) {
        return;
    }
    // SAFETY: the caller's record; probed.
    unsafe {
        let protocol = sk.wrapping_add(PACKET_PROTOCOL.load() as usize);
        let interface = sk.wrapping_add(PACKET_INTERFACE.load() as usize);
        take(&raw mut (*body).local, 0, protocol, 2);
        take(&raw mut (*body).local, 2, interface, 4);
        (*body).local_port = 6;
    }
}

/// Copies `len` bytes of the kernel's to offset `at` of an address.
#[inline(always)]
unsafe fn take(to: *mut [u8; 16], at: usize, from: Pointer, len: u32) {
    // SAFETY: `at` and `len` are at most 16 together; the helper checks the source.
    unsafe { bpf_probe_read_kernel(to.cast::<u8>().add(at).cast(), len, from.cast()) };
}
