//! Ends of a connection, and how they read.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use monitor_common::network::Connect;

pub(super) const AF_UNIX: u16 = 1;
pub(super) const AF_INET: u16 = 2;
pub(super) const AF_INET6: u16 = 10;
pub(super) const AF_NETLINK: u16 = 16;
pub(super) const AF_PACKET: u16 = 17;
pub(super) const AF_VSOCK: u16 = 40;

/// Protocols of `AF_NETLINK` (`include/uapi/linux/netlink.h`).
const NETLINK: &[(u16, &str)] = &[
    (0, "route"),
    (2, "usersock"),
    (3, "firewall"),
    (4, "sock_diag"),
    (5, "nflog"),
    (6, "xfrm"),
    (7, "selinux"),
    (8, "iscsi"),
    (9, "audit"),
    (10, "fib_lookup"),
    (11, "connector"),
    (12, "netfilter"),
    (14, "dnrtmsg"),
    (15, "kobject_uevent"),
    (16, "generic"),
    (18, "scsitransport"),
    (20, "rdma"),
    (21, "crypto"),
    (22, "smc"),
];

/// One end of a connection.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Address {
    /// Of IP; IPv4 in IPv6 form is IPv4.
    Ip(SocketAddr),
    /// Of a virtual machine, or its host.
    Machine { machine: u32, port: u32 },
    /// Of the kernel (port 0), or a program that speaks its protocols; with the groups that hear it.
    Kernel {
        protocol: u16,
        port: u32,
        groups: u32,
    },
    /// An interface (0 for all), and the protocol in its packets.
    Link { interface: u32, protocol: u16 },
}

impl Address {
    /// The remote end of a socket; one of IP also where it has no port.
    pub(super) fn remote(body: &Connect) -> Option<Self> {
        Self::of(body, &body.remote, body.remote_port)
    }

    /// The local end, likewise.
    pub(super) fn local(body: &Connect) -> Option<Self> {
        Self::of(body, &body.local, body.local_port)
    }

    fn of(body: &Connect, bytes: &[u8; 16], port: u16) -> Option<Self> {
        let family = family(body);
        if family != AF_INET && family != AF_INET6 && port == 0 {
            return None;
        }
        let word = |at: usize| {
            let bytes = bytes.get(at..at + 4)?;
            Some(u32::from_le_bytes(bytes.try_into().ok()?))
        };
        Some(match family {
            AF_INET => {
                let [a, b, c, d, ..] = *bytes;
                Self::Ip(SocketAddr::new(Ipv4Addr::new(a, b, c, d).into(), port))
            }
            AF_INET6 => {
                let address = IpAddr::V6(Ipv6Addr::from(*bytes)).to_canonical();
                Self::Ip(SocketAddr::new(address, port))
            }
            AF_VSOCK => Self::Machine {
                machine: word(6)?,
                port: word(2)?,
            },
            AF_NETLINK => Self::Kernel {
                protocol: body.protocol,
                port: word(2)?,
                groups: word(6)?,
            },
            AF_PACKET => {
                let [high, low, ..] = *bytes;
                Self::Link {
                    interface: word(2)?,
                    protocol: u16::from_be_bytes([high, low]),
                }
            }
            _ => return None,
        })
    }

    /// As it was passed: IPv6 has brackets.
    pub(super) fn passed(self) -> String {
        match self {
            Self::Ip(socket) => socket.to_string(),
            other => other.to_string(),
        }
    }

    /// The address of IP.
    pub(super) const fn ip(self) -> Option<IpAddr> {
        match self {
            Self::Ip(socket) => Some(socket.ip()),
            _ => None,
        }
    }

    /// The port, of what has one.
    pub(super) const fn port(self) -> Option<u32> {
        match self {
            Self::Ip(socket) => Some(socket.port() as u32),
            Self::Machine { port, .. } => Some(port),
            _ => None,
        }
    }
}

/// As in `fd.name`, where IPv6 has no brackets.
impl fmt::Display for Address {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ip(socket) => write!(to, "{}:{}", socket.ip(), socket.port()),
            Self::Machine { machine, port } => {
                Unless(*machine).fmt(to)?;
                write!(to, ":")?;
                Unless(*port).fmt(to)
            }
            Self::Kernel {
                protocol,
                port,
                groups,
            } => {
                match NETLINK.iter().find(|row| row.0 == *protocol) {
                    Some((_, name)) => write!(to, "{name}")?,
                    None => write!(to, "{protocol}")?,
                }
                write!(to, ":{port}:{groups:#x}")
            }
            Self::Link {
                interface,
                protocol,
            } => write!(to, "{interface}:{protocol:#06x}"),
        }
    }
}

/// A number, or `any` for `VMADDR_CID_ANY` and `VMADDR_PORT_ANY`.
struct Unless(u32);

impl fmt::Display for Unless {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            u32::MAX => write!(to, "any"),
            number => write!(to, "{number}"),
        }
    }
}

/// Family of a socket's addresses: that of the socket, or of what was passed.
pub(super) const fn family(body: &Connect) -> u16 {
    if body.family == 0 {
        body.passed_family
    } else {
        body.family
    }
}
