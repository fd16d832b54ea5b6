//! The ends of sockets in `fd.*`: addresses, ports, names and protocols, and which end the process
//! is.

use std::net::{IpAddr, Ipv6Addr};

use monitor_common::Kind;
use monitor_common::network::Connect;
use monitor_policy::{Field, FieldRef, Value};

use super::Event;
use super::address::{
    AF_INET, AF_INET6, AF_NETLINK, AF_PACKET, AF_UNIX, AF_VSOCK, Address, family as body_family,
};
use super::fd::{type_name, typechar, word};
use crate::record::Body;

const EINPROGRESS: i64 = -115;

/// Which end of a connection the process is.
#[derive(Clone, Copy, Eq, PartialEq)]
enum End {
    Client,
    Server,
}

/// A field that is told by the family of a socket: `fd.typechar`, `fd.type` or `fd.sockfamily`.
pub(crate) fn of_family(field: Field, family: u16) -> Option<Value<'static>> {
    let letter = socket_typechar(family);
    match field {
        Field::FdType => Some(word(type_name(letter)?)),
        Field::FdSockfamily => Some(word(sockfamily(letter, || Some(family))?)),
        _ => Some(Value::Text(letter.to_string().into_bytes().into())),
    }
}

/// `fd.sockfamily`, by `fd.typechar` and the family of the socket.
fn sockfamily(letter: char, family: impl FnOnce() -> Option<u16>) -> Option<&'static str> {
    Some(match letter {
        '4' | '6' => "ip",
        'u' => "unix",
        'n' => "netlink",
        _ => match family()? {
            AF_VSOCK => "vsock",
            AF_PACKET => "packet",
            _ => return None,
        },
    })
}

/// Both ends of a connection as far as they are known.
pub(super) struct Tuple {
    pub(super) client: Option<Address>,
    pub(super) server: Option<Address>,
}

pub(super) fn value<'e>(event: &'e Event<'_>, field: &FieldRef) -> Option<Value<'e>> {
    match field.field {
        Field::FdL4proto => return Some(word(protocol(event)?)),
        Field::FdSockfamily => {
            let letter = typechar(event)?;
            return Some(word(sockfamily(letter, || socket_family(event))?));
        }
        Field::FdConnected => {
            return Some(Value::Bool(match event.record.body() {
                Body::Connect(body) => body.ret >= 0 || body.ret == EINPROGRESS,
                // A message with an address does not go over a connection.
                Body::Send(_) | Body::Listen(_) | Body::Bind(_) => false,
                Body::Receive(_) if is_from_anybody(event) => false,
                Body::Accept(body) => body.socket.ret >= 0,
                _ => event.connection()?.remote_port != 0,
            }));
        }
        Field::FdIsServer if event.connection().is_none() && event.record.registers().is_some() => {
            return None;
        }
        Field::FdIsServer => return Some(Value::Bool(own_end(event) == End::Server)),
        Field::FdNameChanged => {
            let sends = event.record.kind() == Kind::Send;
            return Some(Value::Bool(sends || is_from_anybody(event)));
        }
        _ => {}
    }
    let Tuple { client, server } = tuple(event)?;
    let (local, remote) = match own_end(event) {
        End::Client => (client, server),
        End::Server => (server, client),
    };
    let address = |end: Option<Address>| Some(Value::Address(end?.ip()?));
    let port = |end: Option<Address>| Some(Value::Unsigned(end?.port()?.into()));
    match field.field {
        Field::FdCip | Field::FdCnet => address(client),
        Field::FdSip | Field::FdSnet => address(server),
        Field::FdLip | Field::FdLnet => address(local),
        Field::FdRip | Field::FdRnet => address(remote),
        Field::FdCport => port(client),
        Field::FdSport => port(server),
        Field::FdLport => port(local),
        Field::FdRport => port(remote),
        _ if field.field.is_either_end() => {
            let mut both = Vec::new();
            elements(event, field, &mut both);
            (!both.is_empty()).then_some(Value::List(both))
        }
        Field::FdCipName => host(event, client),
        Field::FdSipName => host(event, server),
        Field::FdLipName => host(event, local),
        Field::FdRipName => host(event, remote),
        _ => None,
    }
}

/// Adds what a field has of both ends of a connection; whether it is such a field.
pub(super) fn elements(event: &Event<'_>, field: &FieldRef, elements: &mut Vec<Value<'_>>) -> bool {
    if !field.field.is_either_end() {
        return false;
    }
    let of = |end: Address| match field.field {
        Field::FdIp | Field::FdNet => Some(Value::Address(end.ip()?)),
        _ => Some(Value::Unsigned(end.port()?.into())),
    };
    if let Some(Tuple { client, server }) = tuple(event) {
        elements.extend([client, server].into_iter().flatten().filter_map(of));
    }
    true
}

/// The address behind a `fd.*ip.name` field.
pub(super) fn named_address(event: &Event<'_>, field: &FieldRef) -> Option<IpAddr> {
    let Tuple { client, server } = tuple(event)?;
    let (local, remote) = match own_end(event) {
        End::Client => (client, server),
        End::Server => (server, client),
    };
    let end = match field.field {
        Field::FdCipName => client,
        Field::FdSipName => server,
        Field::FdLipName => local,
        Field::FdRipName => remote,
        _ => return None,
    };
    end?.ip()
}

/// Addresses of a connection; IPv4 in IPv6 form reads as IPv4.
pub(super) fn tuple(event: &Event<'_>) -> Option<Tuple> {
    let body = event.connection()?;
    let connecting = event.record.kind() == Kind::Connect;
    let remote = Address::remote(body).filter(|_| body.remote_port != 0 || connecting);
    // A socket that never got a local address has port 0.
    let local = Address::local(body).filter(|_| body.local_port != 0);
    Some(match own_end(event) {
        End::Client => Tuple {
            client: local,
            server: remote,
        },
        End::Server => Tuple {
            client: remote,
            server: local,
        },
    })
}

pub(super) const fn socket_typechar(family: u16) -> char {
    match family {
        AF_INET => '4',
        AF_INET6 => '6',
        AF_UNIX => 'u',
        AF_NETLINK => 'n',
        _ => 'X',
    }
}

/// Family of the connection: IPv4 in IPv6 form counts as IPv4.
pub(super) fn family(body: &Connect) -> u16 {
    let family = body_family(body);
    let mapped = family == AF_INET6 && Ipv6Addr::from(body.remote).to_ipv4_mapped().is_some();
    if mapped { AF_INET } else { family }
}

pub(super) const fn is_unix(socket: &Connect) -> bool {
    socket.passed_family == AF_UNIX || socket.family == AF_UNIX
}

/// The process's own end.
fn own_end(event: &Event<'_>) -> End {
    match event.record.kind() {
        Kind::Accept | Kind::Listen | Kind::Bind => End::Server,
        // Who is sent something by whom it does not know.
        Kind::Receive if is_from_anybody(event) => End::Server,
        _ => End::Client,
    }
}

/// Whether a message was received on a socket that has no peer, so that its sender is its own.
fn is_from_anybody(event: &Event<'_>) -> bool {
    matches!(event.record.body(), Body::Receive(body) if body.socket.passed_family != 0)
}

/// Family of the event's socket.
fn socket_family(event: &Event<'_>) -> Option<u16> {
    match event.record.body() {
        Body::Socket(body) => Some(body.domain as u16),
        _ => Some(body_family(event.connection()?)),
    }
}

fn host<'e>(event: &'e Event<'_>, end: Option<Address>) -> Option<Value<'e>> {
    let name = event.world.names.name_of(end?.ip()?)?;
    Some(Value::Text(name.as_bytes().into()))
}

fn protocol(event: &Event<'_>) -> Option<&'static str> {
    const SOCK_TYPE_MASK: u32 = 0xf;
    let (family, kind, protocol) = if let Body::Socket(body) = event.record.body() {
        (
            body.domain as u16,
            body.kind & SOCK_TYPE_MASK,
            body.protocol,
        )
    } else {
        let body = event.connection()?;
        (family(body), body.kind.into(), body.protocol.into())
    };
    Some(l4proto(family, kind, protocol))
}

/// `fd.l4proto`, by family, type and protocol of a socket.
pub(crate) const fn l4proto(family: u16, kind: u32, protocol: u32) -> &'static str {
    if family != AF_INET && family != AF_INET6 {
        return "<NA>";
    }
    match (kind, protocol) {
        (1, 0 | 6 | 262) => "tcp",
        (1 | 5, 132) => "sctp",
        (2, 0 | 17) => "udp",
        (_, 1 | 58) => "icmp",
        (3, _) => "raw",
        _ => "<NA>",
    }
}
