//! `fd.*` and `fs.path.*`: the file or socket an event is about.

use std::borrow::Cow;
use std::net::{IpAddr, Ipv6Addr};

use monitor_common::call::Held;
use monitor_common::file::Open;
use monitor_common::network::Connect;
use monitor_common::process::ExeFlags;
use monitor_common::syscall::{self, Role};
use monitor_common::{Kind, Slot};
use monitor_policy::text::OpenState;
use monitor_policy::{Field, FieldRef, Value, View};

use super::address::{
    AF_INET, AF_INET6, AF_NETLINK, AF_PACKET, AF_UNIX, AF_VSOCK, Address, family as body_family,
};
use super::{Event, path};
use crate::record::Body;

const O_DIRECTORY: u32 = 0o200_000;
const EINPROGRESS: i64 = -115;
/// `FMODE_CREATED`: the open made the file.
pub(super) const FMODE_CREATED: u32 = 0x10_0000;

/// Which end of a connection the process is.
#[derive(Clone, Copy, Eq, PartialEq)]
enum End {
    Client,
    Server,
}

/// Both ends of a connection as far as they are known.
pub(super) struct Tuple {
    pub(super) client: Option<Address>,
    pub(super) server: Option<Address>,
}

pub(super) fn value<'e>(event: &'e Event<'_>, field: &FieldRef, view: View) -> Option<Value<'e>> {
    match event.record.kind() {
        Kind::Open
        | Kind::Passed
        | Kind::Connect
        | Kind::Socket
        | Kind::Dup
        | Kind::Send
        | Kind::Receive
        | Kind::Accept
        | Kind::Listen
        | Kind::Bind
        | Kind::Dns => descriptor(event, field, view)
            .or_else(|| file(event, field, view))
            .or_else(|| socket(event, field)),
        Kind::Symlink | Kind::Link => links(event, field, view),
        _ if event.record.registers().is_some() => descriptor(event, field, view)
            .or_else(|| held_file(event, field))
            .or_else(|| socket(event, field))
            .or_else(|| paths(event, field, view)),
        _ => None,
    }
    .or_else(|| match field.field {
        Field::FsPathName if event.record.kind() == Kind::Open && succeeded(event) => {
            Some(Value::Text(event.paths.main(view).into()))
        }
        Field::FsPathNameraw if event.record.kind() == Kind::Open && succeeded(event) => {
            Some(Value::Text(event.record.string(Slot::Passed).into()))
        }
        _ => None,
    })
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

/// Falco's one-letter kind of the descriptor; `None` when the event has none.
pub(super) fn typechar(event: &Event<'_>) -> Option<char> {
    match event.record.body() {
        Body::Open(body) if body.flags & O_DIRECTORY != 0 && body.ret >= 0 => Some('d'),
        Body::Open(_) => Some('f'),
        Body::Passed(body) => passed_typechar(body.inode_mode),
        Body::Socket(body) if body.ret >= 0 => Some(socket_typechar(body.domain as u16)),
        _ if let Some(held) = event.held()
            && held.socket.family == 0 =>
        {
            Some(file_typechar(held, event.record.string(Slot::Resolved)))
        }
        _ => Some(socket_typechar(family(event.connection()?))),
    }
}

/// Family of the event's socket.
fn socket_family(event: &Event<'_>) -> Option<u16> {
    match event.record.body() {
        Body::Socket(body) => Some(body.domain as u16),
        _ => Some(body_family(event.connection()?)),
    }
}

/// `fd.name`.
pub(super) fn name<'e>(event: &'e Event<'_>, view: View) -> Option<Cow<'e, [u8]>> {
    match event.record.body() {
        Body::Open(_) | Body::Passed(_) => Some(Cow::Borrowed(event.paths.main(view))),
        Body::Connect(body) if is_unix(body) => {
            Some(Cow::Borrowed(event.record.string(Slot::Passed)))
        }
        Body::Accept(body) | Body::Listen(body) | Body::Bind(body) if is_unix(&body.socket) => {
            Some(Cow::Borrowed(event.record.string(Slot::Passed)))
        }
        Body::Send(body) | Body::Receive(body) if is_unix(&body.socket) => {
            Some(Cow::Borrowed(event.record.string(Slot::Passed)))
        }
        Body::Socket(_) => Some(Cow::Borrowed(b"")),
        _ if let Some(held) = event.held()
            && (held.socket.family == 0 || is_unix(&held.socket)) =>
        {
            Some(held_name(held, event.record.string(Slot::Resolved)))
        }
        _ => {
            let text = match tuple(event)? {
                Tuple {
                    client: Some(client),
                    server: Some(server),
                } => format!("{client}->{server}"),
                Tuple {
                    client: Some(end),
                    server: None,
                }
                | Tuple {
                    client: None,
                    server: Some(end),
                } => end.to_string(),
                _ => String::new(),
            };
            Some(Cow::Owned(text.into_bytes()))
        }
    }
}

const fn is_unix(socket: &Connect) -> bool {
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

/// Type of a file that is no socket, with the name that the kernel has for it.
fn file_typechar(held: &Held, name: &[u8]) -> char {
    const S_IFMT: u32 = 0o170_000;
    const S_IFIFO: u32 = 0o010_000;
    const S_IFDIR: u32 = 0o040_000;
    const ANONYMOUS: &[(&str, char)] = &[
        ("memfd:", 'm'),
        ("[eventfd", 'e'),
        ("[signalfd", 's'),
        ("[eventpoll", 'l'),
        ("[timerfd", 't'),
        ("[io_uring", 'r'),
        ("[pidfd", 'P'),
        ("inotify", 'i'),
        ("bpf", 'b'),
        ("[", 'o'),
    ];
    match held.inode_mode & S_IFMT {
        S_IFIFO => 'p',
        S_IFDIR => 'd',
        _ if name.starts_with(b"/") => 'f',
        _ => {
            let mut known = ANONYMOUS.iter();
            let known = known.find(|(start, _)| name.starts_with(start.as_bytes()));
            known.map_or('f', |(_, letter)| *letter)
        }
    }
}

/// Name of a file, or of a socket of `AF_UNIX`; a pipe that has none gets that of `/proc/PID/fd`.
fn held_name<'e>(held: &Held, name: &'e [u8]) -> Cow<'e, [u8]> {
    if name.is_empty() && held.socket.family == 0 && file_typechar(held, name) == 'p' {
        return Cow::Owned(format!("pipe:[{}]", held.inode).into_bytes());
    }
    Cow::Borrowed(name)
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

/// What is known of an opened file beyond the flags it was opened with.
pub(super) fn states(body: &Open) -> Vec<OpenState> {
    let states = [
        (body.file_mode & FMODE_CREATED != 0, OpenState::Created),
        (
            body.layer & ExeFlags::UPPER_LAYER != 0,
            OpenState::UpperLayer,
        ),
        (
            body.layer & ExeFlags::LOWER_LAYER != 0,
            OpenState::LowerLayer,
        ),
    ];
    states
        .into_iter()
        .filter(|(holds, _)| *holds)
        .map(|(_, state)| state)
        .collect()
}

/// A device number as `stat(2)` encodes it, from the kernel's own form.
pub(super) const fn device(kernel: u32) -> u32 {
    let (major, minor) = (kernel >> 20, kernel & 0xf_ffff);
    (minor & 0xff) | (major << 8) | ((minor & !0xff) << 12)
}

fn descriptor<'e>(event: &'e Event<'_>, field: &FieldRef, view: View) -> Option<Value<'e>> {
    Some(match field.field {
        Field::FdNum => Value::Signed(match event.record.body() {
            Body::Open(body) | Body::Passed(body) => body.ret.max(-1),
            Body::Socket(body) => body.ret.max(-1),
            _ => match event.record.registers() {
                Some(body) if body.held.socket.fd < 0 => return None,
                Some(body) => body.held.socket.fd.into(),
                None => event.connection()?.fd.max(-1).into(),
            },
        }),
        Field::FdTypechar => {
            let letter = typechar(event)?;
            Value::Text(letter.to_string().into_bytes().into())
        }
        Field::FdType => {
            // A failed open made no descriptor whose type could be told.
            if event.record.kind() == Kind::Open && !succeeded(event) {
                return None;
            }
            word(type_name(typechar(event)?)?)
        }
        Field::FdName => Value::Text(name(event, view)?),
        Field::FdUid => {
            let number = match event.record.body() {
                Body::Connect(_)
                | Body::Send(_)
                | Body::Receive(_)
                | Body::Listen(_)
                | Body::Bind(_)
                | Body::Dns(_) => return None,
                _ if let Some(held) = event.held() => held.socket.fd.into(),
                _ if event.record.registers().is_some() => return None,
                _ => event.result()?,
            };
            Value::Text(
                format!("{}{number}", event.record.task().tid)
                    .into_bytes()
                    .into(),
            )
        }
        Field::FdContainername => in_container(event, &name(event, view)?),
        Field::FdContainerdirectory => in_container(event, directory(event, view)?),
        _ => return None,
    })
}

fn file<'e>(event: &'e Event<'_>, field: &FieldRef, view: View) -> Option<Value<'e>> {
    let (Body::Open(body) | Body::Passed(body)) = event.record.body() else {
        return None;
    };
    let opened = || (body.ret >= 0).then_some(());
    Some(match field.field {
        Field::FdNameraw => Value::Text(match event.record.string(Slot::Passed) {
            b"" => event.paths.main(view).into(),
            passed => passed.into(),
        }),
        Field::FdDirectory => Value::Text(directory(event, view)?.into()),
        Field::FdFilename => {
            opened()?;
            if typechar(event) == Some('d') {
                return None;
            }
            Value::Text(path::basename(event.paths.main(view)).into())
        }
        Field::FdDev => Value::Signed(opened().map(|()| device(body.dev))?.into()),
        Field::FdDevMajor => Value::Signed(opened().map(|()| body.dev >> 20)?.into()),
        Field::FdDevMinor => Value::Signed(opened().map(|()| body.dev & 0xf_ffff)?.into()),
        Field::FdIno => Value::Signed(opened().map(|()| body.inode)? as i64),
        Field::FdIsUpperLayer => Value::Bool(body.layer & ExeFlags::UPPER_LAYER != 0),
        Field::FdIsLowerLayer => Value::Bool(body.layer & ExeFlags::LOWER_LAYER != 0),
        _ => return None,
    })
}

/// Fields of the file behind a call's descriptor.
fn held_file<'e>(event: &'e Event<'_>, field: &FieldRef) -> Option<Value<'e>> {
    let held = event.held().filter(|held| held.socket.family == 0)?;
    let name = event.record.string(Slot::Resolved);
    Some(match field.field {
        Field::FdNameraw => Value::Text(held_name(held, name)),
        Field::FdDirectory => Value::Text(match file_typechar(held, name) {
            'd' => name.into(),
            'f' | 'm' => path::parent(name).into(),
            _ => return None,
        }),
        Field::FdFilename if matches!(file_typechar(held, name), 'f' | 'm') => {
            Value::Text(path::basename(name).into())
        }
        Field::FdDev => Value::Signed(device(held.dev).into()),
        Field::FdDevMajor => Value::Signed((held.dev >> 20).into()),
        Field::FdDevMinor => Value::Signed((held.dev & 0xf_ffff).into()),
        Field::FdIno => Value::Signed(held.inode as i64),
        Field::FdIsUpperLayer => Value::Bool(held.layer & ExeFlags::UPPER_LAYER != 0),
        Field::FdIsLowerLayer => Value::Bool(held.layer & ExeFlags::LOWER_LAYER != 0),
        _ => return None,
    })
}

fn socket<'e>(event: &'e Event<'_>, field: &FieldRef) -> Option<Value<'e>> {
    match field.field {
        Field::FdL4proto => return Some(word(protocol(event)?)),
        Field::FdSockfamily => {
            return Some(word(match typechar(event)? {
                '4' | '6' => "ip",
                'u' => "unix",
                'n' => "netlink",
                _ => match socket_family(event)? {
                    AF_VSOCK => "vsock",
                    AF_PACKET => "packet",
                    _ => return None,
                },
            }));
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

fn links<'e>(event: &'e Event<'_>, field: &FieldRef, view: View) -> Option<Value<'e>> {
    if !succeeded(event) {
        return None;
    }
    let name = || Value::Text(event.paths.main(view).into());
    let target = || Value::Text(event.paths.target(view).into());
    let name_raw = || Value::Text(event.record.string(Slot::Passed).into());
    let target_raw = || Value::Text(event.record.string(Slot::Target).into());
    Some(match field.field {
        Field::FsPathName | Field::FsPathSource => name(),
        Field::FsPathNameraw | Field::FsPathSourceraw => name_raw(),
        Field::FsPathTarget => target(),
        Field::FsPathTargetraw => target_raw(),
        _ => return None,
    })
}

/// `fs.path.*` of calls on paths.
fn paths<'e>(event: &'e Event<'_>, field: &FieldRef, view: View) -> Option<Value<'e>> {
    if !succeeded(event) || event.connection().is_some() {
        return None;
    }
    let passed = |slot| Value::Text(event.record.string(slot).into());
    // What has two paths goes from the second to the first: renames and mounts.
    let call = syscall::call(event.record.registers()?.syscall)?;
    let renamed = syscall::argument(call.strings, Role::Target).is_some();
    if !renamed && event.paths.main(view).is_empty() {
        return None;
    }
    Some(match field.field {
        Field::FsPathName if !renamed => Value::Text(event.paths.main(view).into()),
        Field::FsPathNameraw if !renamed => passed(Slot::Passed),
        Field::FsPathSource if renamed => Value::Text(event.paths.target(view).into()),
        Field::FsPathSourceraw if renamed => passed(Slot::Target),
        Field::FsPathTarget if renamed => Value::Text(event.paths.main(view).into()),
        Field::FsPathTargetraw if renamed => passed(Slot::Passed),
        _ => return None,
    })
}

fn directory<'e>(event: &'e Event<'_>, view: View) -> Option<&'e [u8]> {
    let path = event.paths.main(view);
    match typechar(event)? {
        'f' => Some(path::parent(path)),
        'd' => Some(path),
        _ => None,
    }
}

fn in_container(event: &Event<'_>, path: &[u8]) -> Value<'static> {
    let id = event
        .container()
        .map_or("", |container| container.short_id());
    Value::Text([id.as_bytes(), b":", path].concat().into())
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
    if family != AF_INET && family != AF_INET6 {
        return Some("<NA>");
    }
    Some(match (kind, protocol) {
        (1, 0 | 6 | 262) => "tcp",
        (1 | 5, 132) => "sctp",
        (2, 0 | 17) => "udp",
        (_, 1 | 58) => "icmp",
        (3, _) => "raw",
        _ => "<NA>",
    })
}

/// Family of the connection: IPv4 in IPv6 form counts as IPv4.
fn family(body: &Connect) -> u16 {
    let family = body_family(body);
    let mapped = family == AF_INET6 && Ipv6Addr::from(body.remote).to_ipv4_mapped().is_some();
    if mapped { AF_INET } else { family }
}

const fn socket_typechar(family: u16) -> char {
    match family {
        AF_INET => '4',
        AF_INET6 => '6',
        AF_UNIX => 'u',
        AF_NETLINK => 'n',
        _ => 'X',
    }
}

/// Of a file that came from another process; which socket it is is not known.
const fn passed_typechar(mode: u32) -> Option<char> {
    const S_IFMT: u32 = 0o170_000;
    match mode & S_IFMT {
        0o040_000 => Some('d'),
        0o010_000 => Some('p'),
        0o020_000 | 0o060_000 | 0o100_000 => Some('f'),
        _ => None,
    }
}

const fn type_name(typechar: char) -> Option<&'static str> {
    Some(match typechar {
        'f' => "file",
        'd' => "directory",
        'p' => "pipe",
        '4' => "ipv4",
        '6' => "ipv6",
        'u' => "unix",
        'n' => "netlink",
        'm' => "memfd",
        'e' => "event",
        's' => "signalfd",
        'l' => "eventpoll",
        't' => "timerfd",
        'r' => "io_uring",
        'P' => "pidfd",
        'i' => "inotify",
        'b' => "bpf",
        _ => return None,
    })
}

fn word(text: &'static str) -> Value<'static> {
    Value::Text(Cow::Borrowed(text.as_bytes()))
}

fn succeeded(event: &Event<'_>) -> bool {
    event.result().is_some_and(|result| result >= 0)
}
