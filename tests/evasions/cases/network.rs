//! Rows 16, 31 to 34: connections, messages, and files that come without an open.

use crate::case::{BEYOND, Case, exactly, some};

const RECEIVED: &str = "evt.type = fd_receive and fd.name = $D/secret";

pub(super) const CASES: &[Case] = &[
    Case {
        row: 16,
        name: "builtin-tcp",
        technique: "a shell connects by itself (/dev/tcp)",
        condition: "evt.type = connect and fd.sport = 4121",
        twin: "bash -c 'exec 3<>/dev/tcp/127.0.0.1/4122' 2>/dev/null; true",
        act: "box bash -c 'exec 3<>/dev/tcp/127.0.0.1/4121' 2>/dev/null; true",
        seen: &[some(&[("proc.name", "bash"), ("container.id", "$BOX")])],
        ..Case::BASE
    },
    Case {
        row: 31,
        name: "packet-socket",
        technique: "a packet socket",
        condition: "evt.type = socket and evt.arg.domain contains AF_PACKET and proc.exepath = $P/families",
        twin: "families raw; true",
        act: "box families packet",
        seen: &[some(&[("proc.args", "packet"), ("container.id", "$BOX")])],
        ..Case::BASE
    },
    Case {
        row: 31,
        name: "raw-socket",
        technique: "a raw socket",
        condition: "evt.type = socket and evt.rawarg.type = 3 and \
                    evt.arg.domain contains AF_INET and proc.exepath = $P/families",
        twin: "families mptcp; true",
        act: "box families raw",
        seen: &[some(&[("proc.args", "raw"), ("container.id", "$BOX")])],
        ..Case::BASE
    },
    Case {
        row: 31,
        name: "netlink-socket",
        technique: "a netlink socket",
        condition: "evt.type = socket and evt.arg.domain contains AF_NETLINK and proc.exepath = $P/families",
        twin: "families raw; true",
        act: "box families netlink",
        seen: &[some(&[("proc.args", "netlink"), ("container.id", "$BOX")])],
        ..Case::BASE
    },
    Case {
        row: 31,
        name: "abstract-socket",
        technique: "an abstract address of AF_UNIX",
        condition: "evt.type = connect and fd.name contains evade-abstract",
        twin: "families packet",
        act: "box families abstract",
        seen: &[some(&[("proc.args", "abstract"), ("container.id", "$BOX")])],
        ..Case::BASE
    },
    Case {
        row: 31,
        name: "vsock-socket",
        technique: "a socket of AF_VSOCK",
        condition: "evt.type = socket and evt.arg.domain contains AF_VSOCK and proc.exepath = $P/families",
        twin: "families raw; true",
        act: "box families vsock",
        seen: &[some(&[("proc.args", "vsock"), ("container.id", "$BOX")])],
        ..Case::BASE
    },
    Case {
        row: 31,
        name: "vsock-connect",
        technique: "connect of AF_VSOCK, to the host of a virtual machine",
        condition: "evt.type = connect and proc.args = vsock and proc.exepath = $P/families",
        twin: "families packet",
        act: "box families vsock",
        seen: &[some(&[("fd.sport", "4919"), ("container.id", "$BOX")])],
        ..Case::BASE
    },
    Case {
        row: 31,
        name: "mptcp-socket",
        technique: "a socket of MPTCP",
        condition: "evt.type = socket and evt.rawarg.proto = 262",
        twin: "families packet",
        act: "box families mptcp",
        seen: &[some(&[("proc.args", "mptcp"), ("container.id", "$BOX")])],
        ..Case::BASE
    },
    Case {
        row: 31,
        name: "sctp-connect",
        technique: "connect of SCTP",
        condition: "evt.type = connect and fd.sport = 4131",
        twin: "families sctp 4132 || [ $? = 77 ]",
        act: "box families sctp 4131",
        seen: &[some(&[
            ("proc.args", "sctp 4131"),
            ("container.id", "$BOX"),
        ])],
        ..Case::BASE
    },
    Case {
        row: 31,
        name: "sctp-connectx",
        technique: "a socket of SCTP connects by an option (SCTP_SOCKOPT_CONNECTX): that it is made is \
                    told, not whom it connects to",
        condition: "evt.type = socket and evt.rawarg.proto = 132 and proc.args = 'sctpx 4133'",
        twin: "families sctpx 4134 || [ $? = 77 ]",
        act: "box families sctpx 4133",
        seen: &[some(&[("proc.name", "families"), ("container.id", "$BOX")])],
        ..Case::BASE
    },
    Case {
        row: 32,
        name: "dns-tunnel",
        technique: "data in names that are asked for, each another",
        condition: "evt.type = dns and dns.question.name endswith .tunnel.evade.test and \
                    len(dns.question.name) > 100",
        twin: "tunnel 10 8",
        act: "echo fact number 50; box tunnel 50 60",
        seen: &[exactly(
            "number",
            &[("proc.name", "tunnel"), ("container.id", "$BOX")],
        )],
        ..Case::BASE
    },
    Case {
        row: 32,
        name: "datagrams",
        technique: "sendto, sendmsg and sendmmsg without connect",
        condition: "evt.type in (sendto, sendmsg, sendmmsg) and fd.sport = 4123",
        twin: "for c in sendto sendmsg sendmmsg; do datagrams $c 4124; done",
        act: "for c in sendto sendmsg sendmmsg; do box datagrams $c 4123; done",
        seen: &[
            some(&[("evt.type", "sendto"), ("container.id", "$BOX")]),
            some(&[("evt.type", "sendmsg"), ("container.id", "$BOX")]),
            some(&[("evt.type", "sendmmsg"), ("container.id", "$BOX")]),
        ],
        ..Case::BASE
    },
    Case {
        row: 32,
        name: "replaced-sockets",
        technique: "messages by calls that wait, while another file is put behind their descriptors",
        condition: "evt.type in (sendto, recvfrom) and evt.rawres > 0 and proc.args contains $D",
        twin: "replace send $R/innocent; replace receive $R/innocent",
        act: "box replace send $D/s; box replace receive $D/r",
        seen: &[
            some(&[
                ("evt.type", "sendto"),
                ("proc.args", "send $D/s"),
                ("container.id", "$BOX"),
            ]),
            some(&[
                ("evt.type", "recvfrom"),
                ("proc.args", "receive $D/r"),
                ("container.id", "$BOX"),
            ]),
        ],
        ..Case::BASE
    },
    Case {
        row: 32,
        name: "fast-open",
        technique: "data connects (TCP Fast Open), by sendto and through io_uring",
        condition: "evt.type = connect and fd.sport = 4129",
        twin: "datagrams fast-open 4130; uring fast-open 4130",
        act: "box datagrams fast-open 4129; box uring fast-open 4129",
        seen: &[
            some(&[("proc.name", "datagrams"), ("container.id", "$BOX")]),
            some(&[("proc.name", "uring"), ("container.id", "$BOX")]),
        ],
        ..Case::BASE
    },
    Case {
        row: BEYOND,
        name: "dns-in-pieces",
        technique: "a name is asked for through TCP, each byte in a packet of its own",
        condition: "evt.type = dns and dns.question.name = pieces.evade.test",
        twin: "pieces whole other",
        act: "box pieces bytes pieces",
        seen: &[some(&[("proc.name", "pieces"), ("container.id", "$BOX")])],
        ..Case::BASE
    },
    Case {
        row: BEYOND,
        name: "dns-in-a-batch",
        technique: "a name is asked for in the second of two datagrams of one call (UDP_SEGMENT)",
        condition: "evt.type = dns and dns.question.name = batch.evade.test",
        twin: "pieces whole batch2",
        act: "box pieces batch batch",
        seen: &[some(&[("proc.name", "pieces"), ("container.id", "$BOX")])],
        ..Case::BASE
    },
    Case {
        row: 33,
        name: "passed-file",
        technique: "an open file is passed into a container (SCM_RIGHTS)",
        condition: "evt.type in (openat, fd_receive) and fd.num >= 0 and fd.name = $D/secret",
        twin: "pass send $D/s $D/benign & pass receive $D/s; wait $!",
        act: "pass send $D/one $D/secret & box pass receive $D/one; wait $!
              pass send $D/two $D/secret & box pass many $D/two; wait $!; echo fact received 2",
        seen: &[
            some(&[("evt.type", "openat"), ("container.id", "host")]),
            exactly(
                "received",
                &[
                    ("evt.type", "fd_receive"),
                    ("proc.exepath", "$P/pass"),
                    ("container.id", "$BOX"),
                ],
            ),
        ],
        ..Case::BASE
    },
    Case {
        row: 33,
        name: "taken-file",
        technique: "an open file is taken from another process (pidfd_getfd)",
        condition: "evt.type = pidfd_getfd and proc.args contains $D/secret",
        twin: "pass take $D/benign",
        act: "box pass take $D/secret",
        seen: &[some(&[("proc.name", "pass"), ("container.id", "$BOX")])],
        ..Case::BASE
    },
    Case {
        row: 33,
        name: "inherited-file",
        technique: "a file that was opened outside is inherited by a program of the container, which reads it",
        condition: "evt.type in (openat, readv) and evt.rawres >= 0 and fd.name = $D/secret",
        twin: "copy inherited 9 9<$D/benign",
        act: "exec 9<$D/secret; box copy inherited 9",
        seen: &[
            some(&[("evt.type", "openat"), ("container.id", "host")]),
            some(&[
                ("evt.type", "readv"),
                ("proc.name", "copy"),
                ("container.id", "$BOX"),
            ]),
        ],
        ..Case::BASE
    },
    Case {
        row: 33,
        name: "supervisor-adds",
        technique: "the supervisor of a seccomp filter gives a process an open file (ADDFD)",
        condition: RECEIVED,
        twin: "supervise add $D/benign $BOX_CGROUP",
        act: "supervise add $D/secret $BOX_CGROUP",
        seen: &[some(&[
            ("proc.name", "supervise"),
            ("container.id", "$BOX"),
        ])],
        ..Case::BASE
    },
    Case {
        row: 33,
        name: "supervisor-replaces",
        technique: "the same, in the place of another file (SETFD)",
        condition: RECEIVED,
        twin: "supervise replace $D/benign $BOX_CGROUP",
        act: "supervise replace $D/secret $BOX_CGROUP",
        seen: &[some(&[
            ("proc.name", "supervise"),
            ("container.id", "$BOX"),
        ])],
        ..Case::BASE
    },
    Case {
        row: 33,
        name: "ring-to-ring",
        technique: "an open file is sent from one ring of io_uring to another (MSG_RING)",
        condition: RECEIVED,
        twin: "ring-file $D/benign $BOX_CGROUP",
        act: "ring-file $D/secret $BOX_CGROUP",
        seen: &[some(&[
            ("proc.name", "ring-file"),
            ("container.id", "$BOX"),
        ])],
        ..Case::BASE
    },
    Case {
        row: 34,
        name: "shared-sysv",
        technique: "what a file says is handed on in memory (SysV): that the memory is attached is told",
        condition: "evt.type = shmat and proc.exepath = $P/shared",
        twin: "$P/payload",
        act: "shared sysv put $D/secret; box shared sysv get $D/secret",
        seen: &[
            some(&[("container.id", "host")]),
            some(&[("container.id", "$BOX")]),
        ],
        ..Case::BASE
    },
    Case {
        row: 34,
        name: "shared-posix",
        technique: "the same with POSIX's, which is a file",
        condition: "opened and fd.name = /dev/shm/evade-shared",
        twin: "shared sysv put $D/benign; shared sysv get $D/benign",
        act: "shared posix put $D/secret; box shared posix get $D/secret",
        seen: &[
            some(&[("proc.name", "shared"), ("container.id", "host")]),
            some(&[("proc.name", "shared"), ("container.id", "$BOX")]),
        ],
        ..Case::BASE
    },
    Case {
        row: 34,
        name: "copied-in-kernel",
        technique: "sendfile, splice and copy_file_range instead of read",
        condition: "evt.type in (openat, sendfile, splice, copy_file_range) and evt.failed = false and \
                    proc.name = copy and proc.args contains $D/secret",
        twin: "copy sendfile $D/benign",
        act: "box copy sendfile $D/secret; box copy splice $D/secret; \
              box copy range $D/secret $D/other",
        seen: &[
            some(&[("fd.name", "$D/secret"), ("container.id", "$BOX")]),
            some(&[("evt.type", "sendfile"), ("container.id", "$BOX")]),
            some(&[("evt.type", "splice"), ("container.id", "$BOX")]),
            some(&[("evt.type", "copy_file_range"), ("container.id", "$BOX")]),
        ],
        ..Case::BASE
    },
];
