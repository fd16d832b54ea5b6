//! DNS: the messages that programs send to port 53 and what they get back, as packets pass the
//! root of the unified hierarchy of cgroups. Packets are looked at and always pass.
//!
//! A datagram leaves in the context of its sender; answers come whenever they do, and segments of
//! TCP may leave later. So each socket that asks is remembered with its process. A container's
//! question may be redirected to another port before it leaves (Docker's own server is reached so);
//! then the socket tells where it was meant for, or for one that is not connected the address
//! passed with the message, which is the kernel's copy.
//!
//! A connection whose process was forgotten meanwhile is a loss, told by the first that it says.
//!
//! Datagrams may pass as one packet (`UDP_SEGMENT`), and messages over TCP lie in as many as one likes:
//! the daemon takes the former apart and puts the latter together.
//!
//! Left out: other ports, and answers to nobody.

use aya_ebpf::bindings::{__sk_buff, BPF_ANY, BPF_NOEXIST, bpf_sock_addr};
use aya_ebpf::helpers::generated::{
    bpf_get_socket_cookie, bpf_probe_read_kernel, bpf_skb_load_bytes,
};
use aya_ebpf::macros::{cgroup_skb, cgroup_sock, cgroup_sock_addr, map};
use aya_ebpf::maps::{HashMap, LruHashMap};
use aya_ebpf::programs::{SkBuffContext, SockAddrContext, SockContext};
use monitor_common::loss::LossReason;
use monitor_common::network::Dns;
use monitor_common::{Kind, PATH_MAX, Slot, Task};

use crate::address::{long, short};
use crate::emit::{Outcome, settle};
use crate::network::{AF_INET, AF_INET6, clear};
use crate::read::{Probed, masked};
use crate::record::{self, Record};
use crate::scratch::COMMON;
use crate::syscall::own;

/// Lets a packet or message pass.
const PASS: i32 = 1;
const PORT: u16 = 53;
const TCP: u8 = 6;
const UDP: u8 = 17;
const SOCK_STREAM: u16 = 1;
const SOCK_DGRAM: u16 = 2;
const SYN: u8 = 2;
const ACK: u8 = 16;
/// Headers of IPv6 between its own and that of the transport; more makes no sense.
const EXTENSIONS_MAX: u32 = 6;

/// Who asked through a socket, by its cookie; pid 0 for what is not to be told. As many as may wait for
/// an answer at once: resolvers wait for seconds. What comes of a connection that was forgotten is
/// counted, be it a question or an answer; not the answer to a datagram of a socket that has no peer.
#[map]
static ASKERS: LruHashMap<u64, Task> = LruHashMap::with_max_entries(4096, 0);
/// Where a message was meant for, from its call to the packet that follows, by the socket's cookie: as
/// many as are on their way through the stack at once, or never leave it, for their sockets.
#[map]
static ASKED: HashMap<u64, [u32; 4]> = HashMap::with_max_entries(4096, 0);

/// What is left to know of a packet.
struct Packet {
    skb: *mut __sk_buff,
    family: u16,
    protocol: u8,
    source: u16,
    destination: u16,
    /// Flags of TCP.
    flags: u8,
    /// Number of the first byte, of TCP.
    sequence: u32,
    /// Where the message begins, and how long it is.
    at: u32,
    length: u32,
}

/// What a socket sends; `BPF_CGROUP_INET_EGRESS`, behind all rules that rewrite packets.
#[cgroup_skb(egress)]
pub fn dns_egress(ctx: SkBuffContext) -> i32 {
    settle(Kind::Dns, egress(ctx.skb.skb));
    PASS
}

/// What a socket gets; `BPF_CGROUP_INET_INGRESS`.
#[cgroup_skb(ingress)]
pub fn dns_ingress(ctx: SkBuffContext) -> i32 {
    settle(Kind::Dns, ingress(ctx.skb.skb));
    PASS
}

/// A datagram with an address of its own, IPv4.
#[cgroup_sock_addr(sendmsg4)]
pub fn dns_sendmsg4(ctx: SockAddrContext) -> i32 {
    note(ctx.sock_addr, short(ctx.sock_addr));
    PASS
}

/// The same, IPv6, or IPv4 in IPv6 form.
#[cgroup_sock_addr(sendmsg6)]
pub fn dns_sendmsg6(ctx: SockAddrContext) -> i32 {
    note(ctx.sock_addr, long(ctx.sock_addr));
    PASS
}

/// A socket that is closed: `BPF_CGROUP_INET_SOCK_RELEASE`.
#[cgroup_sock(sock_release)]
pub fn dns_release(ctx: SockContext) -> i32 {
    // SAFETY: the context is typed.
    let (kind, cookie) = unsafe {
        let kind = (*ctx.sock).type_;
        (kind, bpf_get_socket_cookie(ctx.sock.cast()))
    };
    // What a connection has been given to send may leave yet.
    if kind == SOCK_DGRAM.into() {
        let _ = ASKED.remove(cookie);
        let _ = ASKERS.remove(cookie);
    }
    PASS
}

/// Remembers where a message is meant for until it leaves, if that is a server of names.
#[inline(always)]
fn note(addressed: *mut bpf_sock_addr, (address, port): ([u32; 4], u16)) {
    // SAFETY: has no precondition.
    let cookie = unsafe { bpf_get_socket_cookie(addressed.cast()) };
    if port == PORT {
        // What cannot be noted is told with the address that the packet has; not at all, if that is
        // at another port.
        let noted = ASKED.insert(cookie, address, BPF_ANY.into());
        settle(Kind::Dns, noted.map_err(|_| LossReason::StateEvicted));
    } else {
        let _ = ASKED.remove(cookie);
    }
}

#[inline(always)]
fn egress(skb: *mut __sk_buff) -> Outcome {
    let connected = is_connected(skb);
    let Some(packet) = Packet::of(skb, connected) else {
        return Ok(());
    };
    // SAFETY: the context is typed.
    let cookie = unsafe { bpf_get_socket_cookie(skb.cast()) };
    let noted = ASKED.get_ptr(cookie);
    if !connected && packet.destination != PORT && noted.is_none() {
        return Ok(());
    }
    let begins = packet.protocol == TCP && packet.flags & SYN != 0;
    if packet.length == 0 && !begins {
        return Ok(());
    }
    let later = packet.protocol == TCP && !begins;
    let asker = ASKERS.get_ptr(cookie);
    if later && asker.is_none() {
        return Err(LossReason::StateEvicted);
    }
    // The daemon's own, and connections that somebody at port 53 made.
    let ignored = own() || begins && packet.flags & ACK != 0;
    if later && is_nobody(asker) {
        return Ok(());
    }
    let outcome = record::with::<Probed>(Kind::Dns as u32, 0, |record| {
        let task = record.task();
        // SAFETY: the record's header is initialised, and a map value is a `Task`.
        unsafe {
            if let (true, Some(asker)) = (later, asker) {
                remember(task, asker);
            } else {
                // A segment that is sent again may leave while another program runs.
                let flags = if begins { BPF_NOEXIST } else { BPF_ANY };
                if ignored {
                    (*task).pid = 0;
                }
                // By reference: a copy would be on the stack.
                let task: &Task = &*task;
                let _ = ASKERS.insert(cookie, task, flags.into());
            }
            if packet.length == 0 || !later && ignored {
                return Ok(());
            }
            let body = packet.describe(record, false)?;
            let socket = &raw mut (*body).socket;
            (*socket).remote_port = PORT;
            if let Some(noted) = noted {
                let words = noted.cast::<[u8; 16]>();
                take_address(&raw mut (*socket).remote, words, packet.family);
            } else if packet.destination != PORT {
                let meant = remote_of(skb, packet.family);
                take_address(
                    &raw mut (*socket).remote,
                    (&raw const meant).cast(),
                    AF_INET6,
                );
            }
        }
        packet.emit(record)
    });
    if noted.is_some() {
        let _ = ASKED.remove(cookie);
    }
    outcome
}

#[inline(always)]
fn ingress(skb: *mut __sk_buff) -> Outcome {
    let connected = is_connected(skb);
    let Some(packet) = Packet::of(skb, connected) else {
        return Ok(());
    };
    if packet.source != PORT || packet.length == 0 {
        return Ok(());
    }
    // SAFETY: the context is typed.
    let cookie = unsafe { bpf_get_socket_cookie(skb.cast()) };
    let asker = ASKERS.get_ptr(cookie);
    let Some(known) = asker else {
        // Anybody may send a datagram to a socket without a peer.
        return if connected {
            Err(LossReason::StateEvicted)
        } else {
            Ok(())
        };
    };
    if is_nobody(asker) {
        return Ok(());
    }
    record::with::<Probed>(Kind::Dns as u32, 0, |record| {
        // SAFETY: the record's header is initialised, and a map value is a `Task`.
        unsafe { remember(record.task(), known) };
        packet.describe(record, true)?;
        packet.emit(record)
    })
}

/// Whether the socket of a packet is connected to a server of names.
#[inline(always)]
fn is_connected(skb: *mut __sk_buff) -> bool {
    // SAFETY: the context is typed. The port is in network byte order in the upper half.
    unsafe { u32::from_be((*skb).remote_port) == u32::from(PORT) }
}

/// The address that a socket is connected to, IPv4 in the first word.
#[inline(always)]
unsafe fn remote_of(skb: *mut __sk_buff, family: u16) -> [u32; 4] {
    // Members of the context are read at fixed places only: no choice may come before the load.
    // SAFETY: the context is typed.
    let (short, long) = unsafe {
        let long = [
            (&raw const (*skb).remote_ip6[0]).read_volatile(),
            (&raw const (*skb).remote_ip6[1]).read_volatile(),
            (&raw const (*skb).remote_ip6[2]).read_volatile(),
            (&raw const (*skb).remote_ip6[3]).read_volatile(),
        ];
        ((&raw const (*skb).remote_ip4).read_volatile(), long)
    };
    if family == AF_INET {
        [short, 0, 0, 0]
    } else {
        long
    }
}

/// Puts an address into a body; of one in IPv6 form that an IPv4 packet goes to, the last word.
#[inline(always)]
unsafe fn take_address(to: *mut [u8; 16], from: *const [u8; 16], family: u16) {
    /// The third word of IPv4 in IPv6 form.
    const MAPPED: u32 = 0xffff_u32.to_be();
    // SAFETY: the caller's for the target; the helper checks the source.
    unsafe {
        if family == AF_INET6 {
            bpf_probe_read_kernel(to.cast(), 16, from.cast());
            return;
        }
        let words = from.cast::<u32>();
        let mapped = words.add(2).read() == MAPPED;
        let from = if mapped { words.add(3) } else { words };
        bpf_probe_read_kernel(to.cast(), 4, from.cast());
    }
}

/// Whether what a socket says is not to be told.
#[inline(always)]
fn is_nobody(asker: Option<*const Task>) -> bool {
    // SAFETY: a checked map value.
    asker.is_some_and(|asker| unsafe { (*asker).pid } == 0)
}

/// Makes a record one about the process that asked.
#[inline(always)]
unsafe fn remember(task: *mut Task, asker: *const Task) {
    // SAFETY: the caller's for the target; the helper checks the source.
    unsafe { bpf_probe_read_kernel(task.cast(), size_of::<Task>() as u32, asker.cast()) };
}

impl Packet {
    /// Looks at a packet of IP; `None` for what is neither a datagram nor, on a connection to a
    /// server of names, a segment.
    #[inline(always)]
    fn of(skb: *mut __sk_buff, connected: bool) -> Option<Self> {
        // The protocol of IPv4 included: most packets are done with after one look.
        let head: [u8; 10] = load(skb, 0)?;
        let (family, protocol, at) = if head[0] >> 4 == 4 {
            (AF_INET, head[9], u32::from(head[0] & 0xf) * 4)
        } else {
            let (protocol, at) = behind_extensions(skb, head[6])?;
            (AF_INET6, protocol, at)
        };
        if protocol != UDP && !(protocol == TCP && connected) {
            return None;
        }
        let ports: [u16; 2] = load(skb, at)?;
        let (mut payload, mut flags, mut sequence) = (at + 8, 0, 0);
        if protocol == TCP {
            let [offset, bits]: [u8; 2] = load(skb, at + 12)?;
            payload = at + u32::from(offset >> 4) * 4;
            flags = bits;
            // What is sent with the first packet comes behind that, which is counted as a byte.
            sequence = u32::from_be(load(skb, at + 4)?).wrapping_add(u32::from(bits & SYN != 0));
        }
        // SAFETY: the context is typed.
        let length = unsafe { (*skb).len }.checked_sub(payload)?;
        Some(Self {
            skb,
            family,
            protocol,
            source: u16::from_be(ports[0]),
            destination: u16::from_be(ports[1]),
            flags,
            sequence,
            at: payload,
            length,
        })
    }

    /// Bytes of each of the datagrams that pass as one packet, but the last; 0 for what is one.
    #[inline(always)]
    fn datagram(&self) -> u32 {
        // SAFETY: the context is typed.
        let size = unsafe { (&raw const (*self.skb).gso_size).read_volatile() };
        if self.protocol == UDP { size } else { 0 }
    }

    /// Sets the body from the packet itself.
    #[inline(always)]
    fn describe(&self, record: &Record<COMMON>, received: bool) -> Result<*mut Dns, LossReason> {
        let body = record.body::<Dns>();
        let (own, other) = if received {
            (self.destination, self.source)
        } else {
            (self.source, self.destination)
        };
        // SAFETY: memory of the record; 4 or 16 bytes at each address.
        unsafe {
            (*body).length = self.length;
            (*body).received = u32::from(received);
            (*body).sequence = self.sequence;
            (*body).datagram = self.datagram();
            let socket = &raw mut (*body).socket;
            clear(socket);
            (*socket).ret = self.length.into();
            (*socket).fd = -1;
            (*socket).family = self.family;
            (*socket).kind = if self.protocol == TCP {
                SOCK_STREAM
            } else {
                SOCK_DGRAM
            };
            (*socket).protocol = self.protocol.into();
            (*socket).passed_family = 0;
            (*socket).local_port = own;
            (*socket).remote_port = other;
            let (local, remote) = (&raw mut (*socket).local, &raw mut (*socket).remote);
            let (source, destination) = if received {
                (remote, local)
            } else {
                (local, remote)
            };
            let failed = if self.family == AF_INET {
                bpf_skb_load_bytes(self.skb.cast(), 12, source.cast(), 4)
                    | bpf_skb_load_bytes(self.skb.cast(), 16, destination.cast(), 4)
            } else {
                bpf_skb_load_bytes(self.skb.cast(), 8, source.cast(), 16)
                    | bpf_skb_load_bytes(self.skb.cast(), 24, destination.cast(), 16)
            };
            if failed != 0 {
                return Err(LossReason::KernelRead);
            }
        }
        Ok(body)
    }

    /// Adds the message and hands the record to its ring.
    #[inline(always)]
    fn emit(&self, record: &Record<COMMON>) -> Outcome {
        let (to, at) = record.room::<PATH_MAX>();
        let most = self.length.min(PATH_MAX as u32);
        // At least 1: there is a message.
        let length = masked::<0xfff>(most - 1) + 1;
        // SAFETY: `room` bounds the target, the helper checks the source.
        let failed = unsafe { bpf_skb_load_bytes(self.skb.cast(), self.at, to.cast(), length) };
        if failed != 0 {
            return Err(LossReason::KernelRead);
        }
        record.fill(Slot::Args, at, length.into());
        record.emit(Kind::Dns)?;
        // What of a batch has no room is not told.
        if self.datagram() != 0 && self.length > PATH_MAX as u32 {
            return Err(LossReason::TooLong);
        }
        Ok(())
    }
}

/// The transport of a packet of IPv6, and where its header is.
#[inline(always)]
fn behind_extensions(skb: *mut __sk_buff, first: u8) -> Option<(u8, u32)> {
    /// Hop by hop, routing, destination.
    const EXTENSIONS: [u8; 3] = [0, 43, 60];
    let (mut next, mut at, mut count) = (first, 40, 0);
    while count < EXTENSIONS_MAX {
        if next != EXTENSIONS[0] && next != EXTENSIONS[1] && next != EXTENSIONS[2] {
            return Some((next, at));
        }
        let [after, length]: [u8; 2] = load(skb, at)?;
        next = after;
        at += (u32::from(length) + 1) * 8;
        count += 1;
    }
    None
}

/// Bytes of a packet, from the header of IP on.
#[inline(always)]
fn load<T: Default>(skb: *mut __sk_buff, at: u32) -> Option<T> {
    let mut value = T::default();
    let to = (&raw mut value).cast();
    // SAFETY: the helper fills all bytes or fails; `T` is valid for any.
    let failed = unsafe { bpf_skb_load_bytes(skb.cast(), at, to, size_of::<T>() as u32) };
    (failed == 0).then_some(value)
}
