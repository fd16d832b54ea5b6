//! The same for all other kinds: what the kernel does with their numbers, done here.

use monitor_common::call::Registers;
use monitor_common::file::Link;
use monitor_common::network::{Connect, Dup, Send, Serve, Socket};
use monitor_common::numbers::{
    Head, MISSING, Quantity, end, family, number, piece, protocol, result,
};
use monitor_common::process::Ptrace;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;
use zerocopy::{FromZeros as _, Immutable, IntoBytes, transmute};

use super::*;
use crate::filter::numbers::KINDS;

/// How many are tried on upstream's rules.
const EVENTS: usize = 600;
const SYSCALLS: &[(Kind, &[u32])] = &[
    (Kind::Connect, &[42]),
    (Kind::Socket, &[41]),
    (Kind::Ptrace, &[101]),
    (Kind::Dup, &[32, 33, 292, 72]),
    (Kind::Send, &[44, 46, 307]),
    (Kind::Accept, &[43, 288]),
    (Kind::Listen, &[50]),
    (Kind::Bind, &[49]),
    (Kind::Receive, &[45, 47, 299]),
];
/// Calls that their registers tell, so that parameters of one name are not always the same argument.
const REGISTERS: &[(Kind, &[u32])] = &[
    (Kind::Module, &[175, 313]),
    (Kind::Identity, &[105, 114, 117, 126]),
    (Kind::Namespace, &[308, 272]),
    (Kind::Memfd, &[319]),
    (Kind::Remove, &[87, 263, 84]),
    (Kind::Rename, &[82, 316]),
    (Kind::Mode, &[90, 91, 268, 452]),
    (Kind::Mkdir, &[83, 258]),
    (Kind::Clone, &[0, 56, 435]),
    (Kind::Call, &[92, 260, 188, 8, 53, 48, 0, 3, 133, 259]),
    (Kind::Control, &[165, 62, 234, 200, 321, 157, 250, 431, 429]),
    (Kind::Memory, &[9, 10, 329]),
];

impl OfKind {
    /// What `numbers_after` of the kernel programs decides, and before it `numbers_of_remote`.
    pub(super) fn keeps(&self, record: &Record<'_>, scope: Scope) -> bool {
        self.leaves(&keys_of(record), scope)
            && remote_of(record).is_none_or(|keys| self.leaves(&keys, scope))
    }

    fn leaves(&self, keys: &[(Quantity, u64)], scope: Scope) -> bool {
        let mut left = u64::MAX;
        for &(quantity, key) in keys {
            if self.head.asks(quantity) {
                let table = self.head.tables[quantity as usize] as usize;
                let pieces = &self.tables[table];
                let at = piece(key, |at| pieces.edges[at as usize]);
                left &= pieces.left[at as usize];
            }
        }
        if self.head.asks_scope(left) {
            left &= self.head.within(scope);
        }
        left != 0
    }
}

/// What is looked at of a connection before all else, by its socket's own family: where it goes.
fn remote_of(record: &Record<'_>) -> Option<Vec<(Quantity, u64)>> {
    let (socket, call) = match record.body() {
        Body::Connect(body) => (*body, 42),
        Body::Accept(body) => (body.socket, body.syscall),
        _ => return None,
    };
    let (own, port) = (socket.family, socket.remote_port);
    if own == 0 || matches!(own, 2 | 10) && port == 0 {
        return None;
    }
    let remote: [u64; 2] = transmute!(socket.remote);
    let (address, port) = end(own, own, remote, port);
    Some(vec![
        (Quantity::Call, call.into()),
        (Quantity::Family, family(own, own, remote)),
        (Quantity::RemotePort, port),
        (Quantity::RemoteAddress, address),
    ])
}

/// Every quantity of a record.
fn keys_of(record: &Record<'_>) -> Vec<(Quantity, u64)> {
    let user = (Quantity::User, number(record.task().euid.into()));
    let (socket, call) = match record.body() {
        Body::Connect(body) => (*body, 42),
        Body::Dup(body) => (body.socket, body.syscall),
        Body::Send(body) | Body::Receive(body) => (body.socket, body.syscall),
        Body::Accept(body) | Body::Listen(body) | Body::Bind(body) => (body.socket, body.syscall),
        Body::Socket(body) => return of_socket(user, body),
        Body::Ptrace(body) => {
            return vec![
                user,
                (Quantity::Result, result(body.ret)),
                (Quantity::First, number(body.request)),
            ];
        }
        Body::Symlink(body) | Body::Link(body) => {
            return vec![(Quantity::Result, result(body.ret))];
        }
        other => match record.registers() {
            Some(body) => return of_registers(user, body),
            None => panic!("{other:?}"),
        },
    };
    let Connect {
        family: own,
        passed_family: passed,
        ..
    } = socket;
    let (remote, local): ([u64; 2], [u64; 2]) =
        (transmute!(socket.remote), transmute!(socket.local));
    let of = |told: bool, address, port| {
        if told {
            end(own, passed, address, port)
        } else {
            (MISSING, MISSING)
        }
    };
    let connecting = record.kind() == Kind::Connect;
    let remote_end = of(
        socket.remote_port != 0 || connecting,
        remote,
        socket.remote_port,
    );
    let local_end = of(socket.local_port != 0, local, socket.local_port);
    let family = family(own, passed, remote);
    vec![
        user,
        (Quantity::Result, result(socket.ret)),
        (Quantity::Call, call.into()),
        (Quantity::Family, family),
        (
            Quantity::Protocol,
            protocol(family, socket.kind.into(), socket.protocol.into()),
        ),
        (Quantity::RemoteAddress, remote_end.0),
        (Quantity::RemotePort, remote_end.1),
        (Quantity::LocalAddress, local_end.0),
        (Quantity::LocalPort, local_end.1),
    ]
}

fn of_registers(user: (Quantity, u64), body: &Registers) -> Vec<(Quantity, u64)> {
    let call = [
        user,
        (Quantity::Result, result(body.ret)),
        (Quantity::Call, number(body.syscall.into())),
    ];
    let arguments = Quantity::ARGUMENTS.into_iter().zip(body.args);
    let arguments = arguments.map(|(quantity, argument)| (quantity, number(argument)));
    call.into_iter().chain(arguments).collect()
}

fn of_socket(user: (Quantity, u64), body: &Socket) -> Vec<(Quantity, u64)> {
    let family = u64::from(body.domain as u16);
    let told = if body.ret < 0 { MISSING } else { family };
    let protocol = protocol(family, body.kind & 0xf, body.protocol);
    vec![
        user,
        (Quantity::Result, result(body.ret)),
        (Quantity::First, number(body.domain.into())),
        (Quantity::Second, number(body.kind.into())),
        (Quantity::Third, number(body.protocol.into())),
        (Quantity::Family, told),
        (Quantity::Protocol, protocol),
    ]
}

pub(super) fn bytes(kind: Kind, user: u32, body: &(impl IntoBytes + Immutable)) -> Vec<u8> {
    let task = Task {
        pid: 4,
        tid: 4,
        start: 4,
        euid: user,
        ..Task::default()
    };
    let header = Header {
        kind: kind as u16,
        task,
        len: (size_of::<Header>() + size_of_val(body)) as u32,
        ..Header::new_zeroed()
    };
    [header.as_bytes(), body.as_bytes()].concat()
}

const FACTS: &[&str] = &[
    "evt.res = SUCCESS",
    "evt.res = EINPROGRESS",
    "evt.res startswith E",
    "not evt.res startswith E",
    "evt.rawres >= 0",
    "evt.rawres in (-115, 0, 3)",
    "evt.failed = true",
    "evt.type in (accept4, sendto, dup3)",
    "not evt.type in (accept, recvmsg, dup)",
    "fd.typechar = 4",
    "fd.typechar in (4, 6)",
    "not fd.typechar = u",
    "fd.type in (ipv4, unix, netlink)",
    "fd.type != ipv6",
    "fd.sockfamily = ip",
    "not fd.sockfamily in (vsock, unix)",
    "fd.sockfamily != packet",
    "fd.l4proto = tcp",
    "fd.l4proto in (udp, raw, icmp)",
    "fd.l4proto != tcp",
    "not fd.l4proto = \"<NA>\"",
    "fd.sip = 10.0.0.1",
    "fd.cip != 10.0.0.1",
    "fd.rip in (127.0.0.1, \"fd00::1\")",
    "fd.lip = \"::1\"",
    "fd.snet in (10.0.0.0/8, 127.0.0.0/8)",
    "not fd.snet in (10.0.0.0/8, 127.0.0.0/8)",
    "not fd.rnet in (\"fd00::/8\", \"::/0\")",
    "fd.lnet = 0.0.0.0/0",
    "fd.cnet != \"fd00::/120\"",
    "fd.net = 127.0.0.0/8",
    "fd.net != 127.0.0.0/8",
    "fd.ip = 10.0.0.1",
    "fd.ip != 0.0.0.0",
    "not fd.ip = 10.0.0.1",
    "not fd.net in (10.0.0.0/8, 127.0.0.0/8)",
    "fd.net in (10.0.0.0/8, 127.0.0.0/8)",
    "not fd.net != 127.0.0.0/8",
    "fd.sport = 443",
    "fd.cport > 1024",
    "fd.rport in (53, 443)",
    "not fd.rport in (53, 443)",
    "fd.lport < 1024",
    "not fd.lport = 0",
    "fd.port = 443",
    "fd.port != 443",
    "not fd.port in (53, 443)",
    "fd.port in (53, 443)",
    "fd.port exists",
    "fd.connected = true",
    "fd.connected != true",
    "fd.is_server = true",
    "not fd.is_server = true",
    "fd.name_changed = true",
    "fd.name_changed != true",
    "evt.arg.domain contains AF_PACKET",
    "evt.arg.domain in (AF_INET, AF_INET6, 61)",
    "not evt.arg.domain in (AF_INET, 61)",
    "evt.arg.domain startswith 6",
    "evt.arg.type in (3, 2051)",
    "not evt.arg.type = 3",
    "evt.arg.type contains 05",
    "evt.arg.proto != 6",
    "evt.arg.proto endswith 7",
    "evt.arg.request contains PTRACE_ATTACH",
    "evt.arg.request in (PTRACE_TRACEME, 70000)",
    "not evt.arg.request endswith E",
    "not evt.arg.request contains 7",
    "evt.type in (fchmodat, unlink, kill, mmap, symlink, chown)",
    "not evt.type in (chmod, rename, setuid, mount, linkat, lseek, bpf)",
    "evt.arg.mode contains S_ISUID",
    "evt.arg.mode contains \"S_IWOTH|S_\"",
    "evt.arg.mode = S_IXOTH",
    "evt.arg.mode in (0, 4294967296)",
    "not evt.arg.mode contains S_IWUSR",
    "evt.arg.mode startswith S_I",
    "evt.arg.flags contains CLONE_NEWUSER",
    "evt.arg.flags contains AT_REMOVEDIR",
    "evt.arg.flags contains NEW",
    "evt.arg.flags != 0",
    "evt.arg.flags = MAP_PRIVATE",
    "not evt.arg.flags contains BIND",
    "evt.arg.flags endswith 2",
    "evt.arg.prot contains PROT_EXEC",
    "evt.arg.prot contains \"PROT_WRITE|PROT_EXEC\"",
    "not evt.arg.prot = PROT_READ",
    "evt.arg.sig in (SIGKILL, SIGTERM, 0, 70)",
    "not evt.arg.sig = SIGCHLD",
    "evt.arg.sig startswith \"-\"",
    "evt.arg.cmd in (BPF_PROG_LOAD, FSCONFIG_CMD_CREATE)",
    "evt.arg.option = PR_SET_NAME",
    "not evt.arg.option startswith PR_",
    "evt.arg.whence != SEEK_SET",
    "evt.arg.how = SHUT_WR",
    "evt.arg.length = 4",
    "evt.arg.length contains 9",
    "evt.arg.aux = \"-1\"",
    "evt.arg.key = 4",
    "evt.arg.uid = root",
    "evt.arg.ID = setuid",
    "evt.arg.domain = AF_UNIX",
    "evt.arg.dev != 4",
    "user.uid = 0",
    "user.uid != 0",
    "user.uid in (0, 4294967295)",
    "container.id = host",
    "container.id != host",
    "container.image.repository = a",
    "proc.name = cat",
    "proc.name = other",
];

fn condition() -> impl Strategy<Value = String> {
    let leaf = prop::sample::select(FACTS.to_vec()).prop_map(str::to_owned);
    leaf.prop_recursive(3, 10, 3, |inner| {
        let parts = || prop::collection::vec(inner.clone(), 2..4);
        prop_oneof![
            3 => parts().prop_map(|parts| format!("({})", parts.join(" and "))),
            1 => parts().prop_map(|parts| format!("({})", parts.join(" or "))),
            1 => inner.clone().prop_map(|inner| format!("not ({inner})")),
        ]
    })
}

fn address() -> impl Strategy<Value = [u8; 16]> {
    let v6 = |text: &str| text.parse::<std::net::Ipv6Addr>().unwrap().octets();
    let v4 = |text: &str| {
        let mut bytes = [0; 16];
        bytes[..4].copy_from_slice(&text.parse::<std::net::Ipv4Addr>().unwrap().octets());
        bytes
    };
    let known = vec![
        [0; 16],
        v4("127.0.0.1"),
        v4("10.0.0.1"),
        v4("8.8.8.8"),
        v6("::ffff:10.0.0.1"),
        v6("::ffff:127.0.0.1"),
        v6("::1"),
        v6("fd00::1"),
        v6("fd00::1:1"),
        v6("2001:db8::1"),
        v6("0:0:2:0a00:0001::"),
        [255; 16],
    ];
    prop::sample::select(known)
}

fn socket() -> impl Strategy<Value = Connect> {
    let families = || prop::sample::select(vec![0_u16, 1, 2, 2, 2, 10, 10, 16, 17, 40, 63, 700]);
    let ports = || prop::sample::select(vec![0_u16, 53, 443, 1024, 50_000]);
    let results = prop::sample::select(vec![0_i64, 3, -115, -111, -4095, i64::from(i32::MAX)]);
    let kinds = prop::sample::select(vec![0_u16, 1, 2, 3, 5, 10, 700]);
    let protocols = prop::sample::select(vec![0_u16, 1, 6, 7, 17, 58, 132, 262, 263]);
    (
        (results, families(), families(), kinds, protocols),
        (address(), address(), ports(), ports()),
    )
        .prop_map(|((ret, family, passed_family, kind, protocol), ends)| {
            let (remote, local, remote_port, local_port) = ends;
            Connect {
                ret,
                remote,
                local,
                fd: 3,
                family,
                kind,
                protocol,
                remote_port,
                local_port,
                passed_family,
            }
        })
}

pub(super) fn event() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![of_sockets(), of_all_others()]
}

/// Calls that their registers tell, and links.
fn of_all_others() -> impl Strategy<Value = Vec<u8>> {
    let users = prop::sample::select(vec![0_u32, 1000, u32::MAX]);
    let results = prop::sample::select(vec![0_i64, 3, -1, -2, -4095, 0xf7f0_0000, i64::MIN]);
    let arguments = prop::sample::select(vec![
        0_u64,
        1,
        2,
        4,
        5,
        7,
        9,
        15,
        17,
        70,
        0x200,
        0o777,
        0o4755,
        0x1000,
        0x1000_0000,
        u32::MAX.into(),
        1 << 32,
        1 << 32 | 9,
        u64::MAX,
    ]);
    let calls = prop::sample::select(REGISTERS.to_vec());
    let arguments = prop::array::uniform6(arguments);
    (calls, 0..60_usize, users, results, arguments).prop_map(
        |((kind, calls), which, user, ret, args)| {
            let link = Link {
                ret,
                syscall: [0, 86, 88, 265, 266][which % 5],
                ..Link::new_zeroed()
            };
            let body = Registers {
                ret,
                args,
                syscall: calls[which % calls.len()],
                ..Registers::new_zeroed()
            };
            match which {
                0..5 => bytes(Kind::Symlink, user, &link),
                5..10 => bytes(Kind::Link, user, &link),
                _ => bytes(kind, user, &body),
            }
        },
    )
}

fn of_sockets() -> impl Strategy<Value = Vec<u8>> {
    let users = prop::sample::select(vec![0_u32, 1000, u32::MAX]);
    let domains = prop::sample::select(vec![1_u32, 2, 10, 16, 17, 61, 64, 1 << 16 | 2, u32::MAX]);
    let kinds = prop::sample::select(vec![1_u32, 3, 2051, 524_289, u32::MAX]);
    let protocols = prop::sample::select(vec![0_u32, 6, 17, 262, 1 << 16 | 6, u32::MAX]);
    let requests = prop::sample::select(vec![0_u64, 16, 0x4206, 70_000, 70_001, u64::MAX]);
    let sockets = (domains, kinds, protocols).prop_map(|(domain, kind, protocol)| Socket {
        domain,
        kind,
        protocol,
        ..Socket::new_zeroed()
    });
    let calls = prop::sample::select(SYSCALLS.to_vec());
    (calls, 0..4_usize, users, socket(), sockets, requests).prop_map(
        |((kind, calls), which, user, socket, made, request)| {
            let (syscall, ret) = (calls[which % calls.len()], socket.ret);
            let dup = Dup {
                socket,
                syscall,
                ..Dup::new_zeroed()
            };
            let message = Send {
                socket,
                syscall,
                flags: 0,
                size: 1,
            };
            let serve = Serve {
                socket,
                syscall,
                ..Serve::new_zeroed()
            };
            let ptrace = Ptrace {
                ret,
                request,
                ..Ptrace::new_zeroed()
            };
            match kind {
                Kind::Connect => bytes(kind, user, &socket),
                Kind::Socket => bytes(kind, user, &Socket { ret, ..made }),
                Kind::Ptrace => bytes(kind, user, &ptrace),
                Kind::Dup => bytes(kind, user, &dup),
                Kind::Send | Kind::Receive => bytes(kind, user, &message),
                _ => bytes(kind, user, &serve),
            }
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(150) })]

    #[test]
    fn what_random_rules_match_by_numbers_is_kept(
        conditions in prop::collection::vec(condition(), 1..5),
        events in prop::collection::vec(event(), 1..16),
    ) {
        let policy = policy(&conditions);
        let Some(filter) = Numbers::new(&policy) else { return Ok(()) };
        let inside = container();
        for bytes in &events {
            let record = Record::parse(bytes).unwrap();
            let Some(of_kind) = filter.of(record.kind()) else { continue };
            for (scope, container) in [(Scope::Host, None), (Scope::Container, Some(&inside))] {
                let found = matches(&policy, &record, container);
                let kept = of_kind.keeps(&record, Scope::Either) && of_kind.keeps(&record, scope);
                prop_assert!(
                    found == 0 || kept,
                    "{scope:?} {conditions:?} {:?} {:?}", record.body(), of_kind.clauses,
                );
            }
        }
    }
}

#[test]
fn what_one_rule_needs_of_a_connection_is_kept_and_nothing_else() {
    let to = |address: &str, port: u16, ret: i64| {
        let address: std::net::IpAddr = address.parse().unwrap();
        let (family, remote) = match address {
            std::net::IpAddr::V4(v4) => {
                let mut bytes = [0; 16];
                bytes[..4].copy_from_slice(&v4.octets());
                (2, bytes)
            }
            std::net::IpAddr::V6(v6) => (10, v6.octets()),
        };
        let connect = Connect {
            ret,
            remote,
            family,
            passed_family: family,
            kind: 1,
            protocol: 6,
            remote_port: port,
            ..Connect::new_zeroed()
        };
        bytes(Kind::Connect, 1000, &connect)
    };
    for (condition, kept, left_out) in [
        (
            "fd.sport in (22, 443) and not fd.snet in (10.0.0.0/8)",
            vec![to("8.8.8.8", 443, 0), to("2001:db8::1", 22, -111)],
            vec![
                to("10.9.9.9", 443, 0),
                to("8.8.8.8", 80, 0),
                to("::ffff:10.0.0.1", 22, 0),
            ],
        ),
        (
            "evt.rawres >= 0 and fd.net != 127.0.0.0/8 and fd.typechar = 4",
            vec![to("8.8.8.8", 1, 0), to("::ffff:8.8.8.8", 1, 0)],
            vec![to("127.0.0.1", 1, 0), to("8.8.8.8", 1, -1), to("::1", 1, 0)],
        ),
        (
            "fd.sip = \"fd00:ec2::254\"",
            vec![to("fd00:ec2::254", 80, 0)],
            vec![to("fd00:ec3::254", 80, 0), to("169.254.169.254", 80, 0)],
        ),
        ("user.uid = 0", vec![], vec![to("8.8.8.8", 443, 0)]),
        (
            "fd.l4proto = udp or fd.connected = false",
            vec![to("8.8.8.8", 443, -111)],
            vec![to("8.8.8.8", 443, -115), to("8.8.8.8", 443, 0)],
        ),
    ] {
        let rule = format!("evt.type = connect and {condition} and proc.name = cat");
        let rule = rule
            .replace("fd.l4proto = udp or", "(fd.l4proto = udp or")
            .replace("= false", "= false)");
        let filter = Numbers::new(&policy(&[rule])).unwrap();
        let filter = filter.of(Kind::Connect).unwrap();
        let keeps = |bytes: &Vec<u8>| filter.keeps(&Record::parse(bytes).unwrap(), Scope::Host);
        assert!(kept.iter().all(keeps), "{condition}");
        assert!(!left_out.iter().any(keeps), "{condition}");
    }
}

#[test]
fn what_one_rule_needs_of_other_calls_is_kept_and_nothing_else() {
    let call = |kind, syscall, ret, args| {
        let body = Registers {
            ret,
            args,
            syscall,
            ..Registers::new_zeroed()
        };
        bytes(kind, 1000, &body)
    };
    let chmod = |mode| call(Kind::Mode, 90, 0, [0, mode, 0, 0, 0, 0]);
    let fchmodat = |mode| call(Kind::Mode, 268, 0, [0, 0, mode, 0, 0, 0]);
    let kill = |signal, ret| call(Kind::Control, 62, ret, [7, signal, 0, 0, 0, 0]);
    let mmap = |protection| call(Kind::Memory, 9, 0, [0, 1, protection, 0, 0, 0]);
    let bpf = |command| call(Kind::Control, 321, 0, [command, 0, 0, 0, 0, 0]);
    for (condition, kept, left_out) in [
        (
            "evt.type in (chmod, fchmodat) and evt.arg.mode contains S_ISUID and proc.name = cat",
            vec![chmod(0o4755), fchmodat(0o4755)],
            vec![
                chmod(0o755),
                fchmodat(0o777),
                call(Kind::Mode, 91, 0, [0, 0o4755, 0, 0, 0, 0]),
            ],
        ),
        (
            "evt.type = kill and evt.arg.sig in (SIGKILL, SIGTERM) and evt.res = SUCCESS",
            vec![kill(9, 0), kill(15, 0), bpf(5)],
            vec![kill(9, -1), kill(0, 0), kill(17, 0)],
        ),
        (
            "evt.type in (mmap, mprotect) and evt.arg.prot contains PROT_EXEC",
            vec![mmap(4), mmap(7)],
            vec![mmap(3), mmap(1)],
        ),
        (
            "evt.type in (unlink, rmdir) and not evt.res startswith E and user.uid != 0",
            vec![
                call(Kind::Remove, 87, 0, [0; 6]),
                call(Kind::Remove, 84, 0, [0; 6]),
            ],
            vec![
                call(Kind::Remove, 87, -2, [0; 6]),
                call(Kind::Remove, 263, 0, [0; 6]),
            ],
        ),
    ] {
        let filter = Numbers::new(&policy(&[condition.to_owned()])).unwrap();
        let keeps = |bytes: &Vec<u8>| {
            let record = Record::parse(bytes).unwrap();
            filter
                .of(record.kind())
                .unwrap()
                .keeps(&record, Scope::Host)
        };
        assert!(kept.iter().all(keeps), "{condition}");
        assert!(!left_out.iter().any(keeps), "{condition}");
    }
}

#[test]
fn what_upstreams_rules_match_of_sockets_is_kept() {
    let Some(policy) = upstream(&Options::default()) else {
        return;
    };
    let filter = Numbers::new(&policy).unwrap();
    let inside = container();
    let mut found = 0;
    let mut runner = TestRunner::deterministic();
    for _ in 0..EVENTS {
        let bytes = event().new_tree(&mut runner).unwrap().current();
        let record = Record::parse(&bytes).unwrap();
        let Some(of_kind) = filter.of(record.kind()) else {
            continue;
        };
        for (scope, container) in [(Scope::Host, None), (Scope::Container, Some(&inside))] {
            if matches(&policy, &record, container) > 0 {
                found += 1;
                assert!(of_kind.keeps(&record, Scope::Either), "{:?}", record.body());
                assert!(of_kind.keeps(&record, scope), "{:?}", record.body());
            }
        }
    }
    assert!(found > 10, "{found}");
}

#[test]
fn upstreams_rules_leave_out_what_a_host_does_with_itself() {
    let Some(policy) = upstream(&Options::default()) else {
        return;
    };
    let filter = Numbers::new(&policy).unwrap();
    for kind in KINDS.iter().filter_map(|kind| filter.of(*kind)) {
        assert!(kind.head.asked & Head::IN_USE != 0, "{kind:?}");
    }
    let mut connect = Connect {
        family: 2,
        passed_family: 2,
        kind: 1,
        protocol: 6,
        remote_port: 5432,
        local_port: 50_000,
        ..Connect::new_zeroed()
    };
    connect.remote[..4].copy_from_slice(&[127, 0, 0, 1]);
    connect.local = connect.remote;
    let local = bytes(Kind::Connect, 0, &connect);
    connect.remote[..4].copy_from_slice(&[8, 8, 8, 8]);
    connect.local[..4].copy_from_slice(&[10, 0, 0, 1]);
    let away = bytes(Kind::Connect, 0, &connect);
    let filter = filter.of(Kind::Connect).unwrap();
    let keeps = |bytes: &[u8]| filter.keeps(&Record::parse(bytes).unwrap(), Scope::Host);
    assert!(keeps(&away));
    assert!(!keeps(&local));
}
