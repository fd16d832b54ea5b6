//! Sockets: both ends of a connection, second descriptors, and messages.

use std::fs::File;
use std::io::IoSlice;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::os::fd::{AsFd, AsRawFd as _, OwnedFd};
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr as UnixAddress, UnixListener, UnixStream};

use monitor_common::network::{Connect, Dup, Send, Serve, Socket};
use monitor_common::{Flags, Kind, Slot};
use monitor_daemon::probe::Tier;
use monitor_daemon::record::Body;
use rustix::io::DupFlags;
use rustix::net::{
    AddressFamily, SendAncillaryBuffer, SendFlags, SocketAddrAny, SocketAddrUnix, SocketFlags,
    SocketType, sendmsg_addr, sendto,
};

use crate::support::{Watch, child, on_each_tier, perl};

const HERE: &str = env!("CARGO_MANIFEST_DIR");
const STREAM: u16 = 1;
const DATAGRAM: u16 = 2;
const TCP: u16 = 6;
const UDP: u16 = 17;
const UNIX: u16 = 1;
const BACKLOG: i32 = 7;
const EADDRINUSE: i64 = -98;
const EAGAIN: i64 = -11;

/// Both ends of a socket, either of which may be unknown.
fn ends(
    (local, remote): (Option<SocketAddr>, Option<SocketAddr>),
    (kind, protocol): (u16, u16),
    fd: i32,
) -> Connect {
    let bytes = |end: Option<SocketAddr>| {
        let mut bytes = [0; 16];
        match end.map(|end| end.ip()) {
            Some(IpAddr::V4(address)) => bytes[..4].copy_from_slice(&address.octets()),
            Some(IpAddr::V6(address)) => bytes = address.octets(),
            None => {}
        }
        bytes
    };
    let port = |end: Option<SocketAddr>| end.map_or(0, |end| end.port());
    let wide = local.or(remote).is_some_and(|end| end.is_ipv6());
    Connect {
        ret: 0,
        remote: bytes(remote),
        local: bytes(local),
        fd,
        family: if wide { 10 } else { 2 },
        kind,
        protocol,
        remote_port: port(remote),
        local_port: port(local),
        passed_family: 0,
    }
}

/// A socket of `AF_UNIX`, whose name is in a string.
fn unix(ret: i64, fd: i32, passed_family: u16) -> Connect {
    Connect {
        ret,
        remote: [0; 16],
        local: [0; 16],
        fd,
        family: UNIX,
        kind: STREAM,
        protocol: 0,
        remote_port: 0,
        local_port: 0,
        passed_family,
    }
}

/// The flag of records that come from the object tier.
fn tier_flag(watch: &Watch, kind: Kind) -> u16 {
    if watch.tier(kind) == Some(Tier::Object) {
        Flags::OBJECT_TIER
    } else {
        0
    }
}

fn local_of(socket: impl AsFd) -> SocketAddr {
    let address: SocketAddrAny = rustix::net::getsockname(socket).unwrap();
    address.try_into().unwrap()
}

#[test]
fn a_connection_over_ip() {
    let kinds = [
        Kind::Socket,
        Kind::Bind,
        Kind::Listen,
        Kind::Connect,
        Kind::Accept,
    ];
    on_each_tier(&kinds, |watch| {
        watch.forget();
        connection(watch, IpAddr::V4(Ipv4Addr::LOCALHOST), AddressFamily::INET);
        connection(watch, IpAddr::V6(Ipv6Addr::LOCALHOST), AddressFamily::INET6);
    });
}

fn connection(watch: &mut Watch, ip: IpAddr, family: AddressFamily) {
    let socket = |flags| rustix::net::socket_with(family, SocketType::STREAM, flags, None);
    let server = socket(SocketFlags::CLOEXEC | SocketFlags::NONBLOCK).unwrap();
    rustix::net::bind(&server, &SocketAddr::new(ip, 0)).unwrap();
    let address = local_of(&server);
    // Nothing waits yet.
    assert!(rustix::net::accept(&server).is_err());
    rustix::net::listen(&server, BACKLOG).unwrap();
    assert!(rustix::net::accept(&server).is_err());
    let client = socket(SocketFlags::CLOEXEC).unwrap();
    assert!(rustix::net::bind(&client, &address).is_err());
    rustix::net::connect(&client, &address).unwrap();
    let taken = rustix::net::accept_with(&server, SocketFlags::CLOEXEC).unwrap();
    let peer = local_of(&client);

    created(watch, &server, family, 0o2_004_001);
    let stream = (STREAM, TCP);
    let own = |fd: &OwnedFd| ends((Some(address), None), stream, fd.as_raw_fd());
    let bound = Connect {
        passed_family: family.as_raw(),
        ..own(&server)
    };
    serves(watch, Kind::Bind, 49, bound, (0, 0, 0));
    // The kernel forgets the address of a socket that nobody connects to only when it is closed.
    let early = failing(own(&server), -22);
    serves(watch, Kind::Accept, 43, early, (0, 0, 0));
    serves(
        watch,
        Kind::Listen,
        50,
        own(&server),
        (BACKLOG as u32, 0, BACKLOG as u32),
    );
    let empty = failing(own(&server), EAGAIN);
    serves(watch, Kind::Accept, 43, empty, (0, 0, BACKLOG as u32));
    created(watch, &client, family, 0o2_000_001);
    let refused = Connect {
        ret: EADDRINUSE,
        passed_family: family.as_raw(),
        ..own(&client)
    };
    serves(watch, Kind::Bind, 49, refused, (0, 0, 0));
    connected(watch, &client, (peer, address), family);
    let accepted = Connect {
        ret: taken.as_raw_fd().into(),
        ..ends((Some(address), Some(peer)), stream, taken.as_raw_fd())
    };
    serves(
        watch,
        Kind::Accept,
        288,
        accepted,
        (0o2_000_000, 0, BACKLOG as u32),
    );
}

/// An `accept` that fails has the listening socket, and the errno for descriptor.
fn failing(socket: Connect, ret: i64) -> Connect {
    Connect {
        ret,
        fd: ret as i32,
        ..socket
    }
}

#[track_caller]
fn created(watch: &mut Watch, socket: &OwnedFd, family: AddressFamily, kind: u32) {
    let body = Socket {
        ret: socket.as_raw_fd().into(),
        domain: family.as_raw().into(),
        kind,
        protocol: 0,
        reserved: 0,
    };
    let flags = tier_flag(watch, Kind::Socket);
    let seen = watch.next(Kind::Socket);
    seen.check(&watch.me, flags, &Body::Socket(body), &[]);
}

#[track_caller]
fn connected(
    watch: &mut Watch,
    client: &OwnedFd,
    both: (SocketAddr, SocketAddr),
    family: AddressFamily,
) {
    let (local, remote) = both;
    let body = Connect {
        passed_family: family.as_raw(),
        ..ends(
            (Some(local), Some(remote)),
            (STREAM, TCP),
            client.as_raw_fd(),
        )
    };
    let flags = tier_flag(watch, Kind::Connect);
    let seen = watch.next(Kind::Connect);
    seen.check(&watch.me, flags, &Body::Connect(body), &[]);
}

/// The next record of the serving side, over IP.
#[track_caller]
fn serves(
    watch: &mut Watch,
    kind: Kind,
    syscall: u32,
    socket: Connect,
    (argument, queue, queue_max): (u32, u32, u32),
) {
    let body = Serve {
        socket,
        syscall,
        argument,
        queue,
        queue_max,
    };
    let seen = watch.next(kind);
    seen.check(&watch.me, 0, &served(kind, body), &[]);
}

fn served(kind: Kind, body: Serve) -> Body {
    match kind {
        Kind::Bind => Body::Bind(body),
        Kind::Listen => Body::Listen(body),
        _ => Body::Accept(body),
    }
}

#[test]
fn a_connection_by_name() {
    let kinds = [Kind::Bind, Kind::Listen, Kind::Connect, Kind::Accept];
    on_each_tier(&kinds, |watch| {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("socket");
        let path = path.to_str().unwrap();
        watch.forget();
        let server = UnixListener::bind(path).unwrap();
        let client = UnixStream::connect(path).unwrap();
        let (taken, _) = server.accept().unwrap();
        let abstract_name = format!("probe-{}", watch.me.tid);
        let hidden = UnixAddress::from_abstract_name(&abstract_name).unwrap();
        let hidden = UnixListener::bind_addr(&hidden).unwrap();
        let spare = rustix::net::socket(AddressFamily::UNIX, SocketType::STREAM, None).unwrap();
        assert!(rustix::net::bind(&spare, &SocketAddrUnix::new(path).unwrap()).is_err());

        let fd = server.as_raw_fd();
        let name = (Slot::Passed, path);
        by_name(watch, Kind::Bind, (49, 0, 0), unix(0, fd, UNIX), name);
        // What std asks for, cut to what the system allows.
        let most = watch_listen(watch, fd, path);
        let flags = tier_flag(watch, Kind::Connect);
        let seen = watch.next(Kind::Connect);
        let body = unix(0, client.as_raw_fd(), UNIX);
        let strings = [name, (Slot::Cwd, HERE), (Slot::Resolved, path)];
        seen.check(&watch.me, flags, &Body::Connect(body), &strings);
        let fd = taken.as_raw_fd();
        let body = unix(fd.into(), fd, 0);
        by_name(watch, Kind::Accept, (288, 0o2_000_000, most), body, name);
        let hidden_name = format!("@{abstract_name}");
        let body = unix(0, hidden.as_raw_fd(), UNIX);
        by_name(
            watch,
            Kind::Bind,
            (49, 0, 0),
            body,
            (Slot::Passed, &hidden_name),
        );
        let body = unix(EADDRINUSE, spare.as_raw_fd(), UNIX);
        by_name(watch, Kind::Bind, (49, 0, 0), body, name);
    });
}

#[track_caller]
fn by_name(
    watch: &mut Watch,
    kind: Kind,
    (syscall, argument, queue_max): (u32, u32, u32),
    socket: Connect,
    name: (Slot, &str),
) {
    let body = Serve {
        socket,
        syscall,
        argument,
        queue: 0,
        queue_max,
    };
    let seen = watch.next(kind);
    seen.check(&watch.me, 0, &served(kind, body), &[name]);
}

/// A `listen` of std's, whose backlog is std's own choice; the queue that it got.
fn watch_listen(watch: &mut Watch, fd: i32, path: &str) -> u32 {
    let seen = watch.next(Kind::Listen);
    let Body::Listen(found) = *seen.record().body() else {
        panic!("a listen has another body")
    };
    assert!(found.queue_max > 0 && found.queue_max <= found.argument);
    let body = Serve {
        socket: unix(0, fd, 0),
        syscall: 50,
        ..found
    };
    seen.check(&watch.me, 0, &Body::Listen(body), &[(Slot::Passed, path)]);
    found.queue_max
}

/// A socket's second descriptor comes out with its addresses; a file's does not come out.
#[test]
fn second_descriptors() {
    on_each_tier(&[Kind::Dup], |watch| {
        let server = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let stream = std::net::TcpStream::connect(server.local_addr().unwrap()).unwrap();
        let file = File::open("/dev/null").unwrap();
        watch.forget();
        let unseen = rustix::io::dup(&file).unwrap();
        let first = rustix::io::dup(&stream).unwrap();
        let mut second = rustix::io::dup(&file).unwrap();
        rustix::io::dup2(&stream, &mut second).unwrap();
        let mut third = rustix::io::dup(&file).unwrap();
        rustix::io::dup3(&stream, &mut third, DupFlags::CLOEXEC).unwrap();
        let fourth = rustix::io::fcntl_dupfd_cloexec(&stream, 100).unwrap();
        rustix::io::fcntl_getfd(&stream).unwrap();
        drop(unseen);

        let both = (stream.local_addr().ok(), stream.peer_addr().ok());
        let cases = [
            (32, &first, 0),
            (33, &second, 0),
            (292, &third, 0o2_000_000),
            (72, &fourth, 1030),
        ];
        for (syscall, copy, flags) in cases {
            let body = Dup {
                socket: Connect {
                    ret: copy.as_raw_fd().into(),
                    ..ends(both, (STREAM, TCP), copy.as_raw_fd())
                },
                syscall,
                oldfd: stream.as_raw_fd(),
                flags,
                reserved: 0,
            };
            let seen = watch.next(Kind::Dup);
            let tier = tier_flag(watch, Kind::Dup);
            seen.check(&watch.me, tier, &Body::Dup(body), &[]);
        }
        assert_eq!(watch.rest().len(), 0, "something else has a record");
    });
}

/// A message with an address comes out, one over a connection does not.
#[test]
fn messages() {
    on_each_tier(&[Kind::Send], |watch| {
        let target = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let to = target.local_addr().unwrap();
        let connected = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        connected.connect(to).unwrap();
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let wide = UdpSocket::bind((Ipv6Addr::UNSPECIFIED, 0)).unwrap();
        let mapped = SocketAddr::new(Ipv4Addr::LOCALHOST.to_ipv6_mapped().into(), to.port());
        watch.forget();
        connected.send(b"over the connection").unwrap();
        socket.send_to(b"one", to).unwrap();
        let no_control = &mut SendAncillaryBuffer::default();
        let two = [IoSlice::new(b"two!")];
        sendmsg_addr(&socket, &to, &two, no_control, SendFlags::DONTROUTE).unwrap();
        wide.send_to(b"three", mapped).unwrap();
        // What std does not do: an IPv4 address for an IPv6 socket.
        sendto(&wide, b"four!!", SendFlags::empty(), &to).unwrap();

        let narrow = (socket.local_addr().ok(), Some(to));
        let broad = (wide.local_addr().ok(), Some(mapped));
        let cases = [
            (44, "one", narrow, 2, &socket, 0x4000),
            (46, "two!", narrow, 2, &socket, 4),
            (44, "three", broad, 10, &wide, 0x4000),
            (44, "four!!", broad, 2, &wide, 0),
        ];
        for (syscall, content, both, passed_family, from, flags) in cases {
            let length = content.len() as i64;
            let body = Send {
                socket: Connect {
                    ret: length,
                    passed_family,
                    ..ends(both, (DATAGRAM, UDP), from.as_raw_fd())
                },
                syscall,
                flags,
                size: if syscall == 44 {
                    length as u64
                } else {
                    u64::MAX
                },
            };
            let seen = watch.next(Kind::Send);
            let tier = tier_flag(watch, Kind::Send);
            seen.check(&watch.me, tier, &Body::Send(body), &[(Slot::Args, content)]);
        }
        assert_eq!(watch.rest().len(), 0, "something else has a record");
    });
}

/// Sends two messages at once; addresses are packed by hand, for a perl without modules.
const MANY: &str = r"
my $any = pack('SnCCCCx8', 2, 0, 127, 0, 0, 1);
socket(S, 2, 2, 0) and bind(S, $any) or exit 1;
my @to = map { pack('SnCCCCx8', 2, $_, 127, 0, 0, 1) } 4001, 4002;
my $text = 'hello';
my $part = pack('PQ', $text, 5);
my $all = join '', map { pack('PLx4PQx32', $_, 16, $part, 1) } @to;
exit(syscall(307, fileno(S), $all, 2, 0) == 2 ? 0 : 1);
";

#[test]
fn many_messages_have_a_record_each() {
    on_each_tier(&[Kind::Send], |watch| {
        let mut process = perl(MANY);
        let pid = process.id();
        assert!(process.wait().unwrap().success());
        let fork = watch.next_of(pid, "the fork", |record| record.kind() == Kind::Fork);
        let task = child(&watch.me, &fork, pid, "perl");
        for port in [4001, 4002] {
            let seen = watch.next_of(pid, "a message", |record| record.kind() == Kind::Send);
            let Body::Send(found) = *seen.record().body() else {
                panic!("a message has another body")
            };
            let local = SocketAddr::new(Ipv4Addr::LOCALHOST.into(), found.socket.local_port);
            let remote = SocketAddr::new(Ipv4Addr::LOCALHOST.into(), port);
            let both = (Some(local), Some(remote));
            let body = Send {
                socket: Connect {
                    ret: 5,
                    passed_family: 2,
                    ..ends(both, (DATAGRAM, UDP), found.socket.fd)
                },
                syscall: 307,
                flags: 0,
                size: u64::MAX,
            };
            assert!(local.port() > 0 && found.socket.fd > 2);
            let tier = tier_flag(watch, Kind::Send);
            seen.check(&task, tier, &Body::Send(body), &[(Slot::Args, "hello")]);
        }
    });
}
