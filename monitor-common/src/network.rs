//! Bodies of network records.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// A `connect`. Addresses are those of the socket after the call; for a failed call the remote
/// address is what was passed. Slots, for `AF_UNIX` only: `Passed` holds the name (an abstract one
/// with `@` for its leading NUL), `Cwd`, and `Resolved` the file to which the socket at the other end is
/// bound, if it is to one and the call made the connection. `io_uring` may try twice: a record with `EINPROGRESS`
/// is then followed by one with the result.
///
/// For `AF_VSOCK`, `AF_NETLINK` and `AF_PACKET` an address is what their `struct sockaddr_…` has
/// behind the family, at most 16 bytes, and the port is how many of them are known.
#[derive(Clone, Copy, Debug, FromBytes, Immutable, IntoBytes, KnownLayout)]
#[repr(C)]
pub struct Connect {
    /// 0 or a negative errno.
    pub ret: i64,
    /// Remote address, network byte order; IPv4 in the first four bytes.
    pub remote: [u8; 16],
    /// Local address, likewise.
    pub local: [u8; 16],
    /// Descriptor, or -1 when unknown.
    pub fd: i32,
    /// Address family of the socket, `AF_*`.
    pub family: u16,
    /// Socket type, `SOCK_*`.
    pub kind: u16,
    /// Protocol, `IPPROTO_*`.
    pub protocol: u16,
    /// Remote port, host byte order.
    pub remote_port: u16,
    /// Local port, host byte order.
    pub local_port: u16,
    /// Family in the passed address, `AF_*`.
    pub passed_family: u16,
}

/// A DNS message between a process and a server of names, over UDP or TCP. Slot `Args` holds what
/// there is of it; over TCP it begins with its length, 16 bits in network byte order.
#[derive(Clone, Copy, Debug, FromBytes, Immutable, IntoBytes, KnownLayout)]
#[repr(C)]
pub struct Dns {
    /// The socket; its remote end is the server as the process knows it, the descriptor is unknown
    /// and the result the message's length.
    pub socket: Connect,
    /// Bytes of the message, or of the segment that it begins in.
    pub length: u32,
    /// 1 for what the process received, 0 for what it sent.
    pub received: u32,
    /// Bytes of each datagram but the last, of those that pass as one packet; else 0.
    pub datagram: u32,
    /// TCP: number of the first byte in its connection; else 0.
    pub sequence: u32,
}

/// A `dup`, `dup2`, `dup3` or `fcntl` that made a second descriptor of a socket; other files, and
/// calls that fail, are left out.
#[derive(Clone, Copy, Debug, FromBytes, Immutable, IntoBytes, KnownLayout)]
#[repr(C)]
pub struct Dup {
    /// The socket, under its new descriptor; nothing was passed.
    pub socket: Connect,
    /// System call number (x86-64).
    pub syscall: u32,
    /// The descriptor it had before.
    pub oldfd: i32,
    /// `O_CLOEXEC` of `dup3`; the command of `fcntl`.
    pub flags: u32,
    /// Always 0.
    pub reserved: u32,
}

/// A message. One that is sent: a `sendto` or `sendmsg`, or one message of a `sendmmsg`, that names where to send to; those that
/// go over a connection are left out. One that is received: a `recvfrom` or `recvmsg`, or one of a
/// `recvmmsg`, of any socket; the passed family is that of the sender, where the socket has no peer.
/// Slot `Passed`, for `AF_UNIX` only, holds the name; `Args` the head of the message, at most
/// [`crate::MESSAGE_MAX`] bytes of its first piece.
#[derive(Clone, Copy, Debug, FromBytes, Immutable, IntoBytes, KnownLayout)]
#[repr(C)]
pub struct Send {
    /// The socket and the passed address; an IPv4 one for an IPv6 socket in IPv6 form. The result
    /// is a number of bytes.
    pub socket: Connect,
    /// System call number (x86-64).
    pub syscall: u32,
    /// `MSG_*`
    pub flags: u32,
    /// Bytes to send, or room to receive into; `u64::MAX` where the call says so in pieces.
    pub size: u64,
}

/// A `bind`, `listen`, `accept` or `accept4`. Slot `Passed`, for `AF_UNIX` only, holds the local
/// name, as in [`Connect`]: the kernel's, or for a `bind` that fails the passed one.
#[derive(Clone, Copy, Debug, FromBytes, Immutable, IntoBytes, KnownLayout)]
#[repr(C)]
pub struct Serve {
    /// The socket; of an `accept` the new one under its new descriptor, or the listening one with
    /// the errno for descriptor when it fails. The local address of a `bind` that fails is what
    /// was passed.
    pub socket: Connect,
    /// System call number (x86-64).
    pub syscall: u32,
    /// `backlog` of `listen`, flags of `accept4`.
    pub argument: u32,
    /// Connections that wait at the listening socket.
    pub queue: u32,
    /// Most that may.
    pub queue_max: u32,
}

/// A `socket` call.
#[derive(Clone, Copy, Debug, FromBytes, Immutable, IntoBytes, KnownLayout)]
#[repr(C)]
pub struct Socket {
    /// File descriptor, or a negative errno.
    pub ret: i64,
    /// `AF_*`.
    pub domain: u32,
    /// `SOCK_*` with flags.
    pub kind: u32,
    /// Protocol.
    pub protocol: u32,
    /// Always 0.
    pub reserved: u32,
}

const _: () = assert!(size_of::<Connect>() == 56);
const _: () = assert!(size_of::<Dns>() == 72);
const _: () = assert!(size_of::<Dup>() == 72);
const _: () = assert!(size_of::<Send>() == 72);
const _: () = assert!(size_of::<Serve>() == 72);
const _: () = assert!(size_of::<Socket>() == 24);
