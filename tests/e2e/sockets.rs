//! The serving side of sockets, and what else their calls do.

use anyhow::Result;
use monitor_tests::{daemon, docker, skip_if};

use crate::kinds::{Case, check_in_container, check_on_this_host};

const REPOSITORY: &str = "registry.example/team/sockets";

/// Addresses are packed by hand: a guest's perl has no modules.
const CASES: &[Case] = &[
    // Nobody takes the first connection, so the second waits until the listener is gone. Meanwhile
    // another process changes the address in their shared memory.
    Case {
        rule: "an address that is changed during the call",
        condition: "evt.type = connect and evt.res = ECONNREFUSED and fd.sport = 43441",
        act: "
            sub address { pack('SnCCCCx8', 2, $_[0], 127, 0, 0, 1) }
            socket(L, 2, 1, 0) and setsockopt(L, 1, 2, 1) and bind(L, address(43441)) or exit 1;
            listen(L, 0) and socket(F, 2, 1, 0) and connect(F, address(43441)) or exit 2;
            defined($id = shmget(0, 4096, 01600)) or exit 3;
            $at = syscall(30, $id, 0, 0); shmctl($id, 0, 0);
            shmwrite($id, address(43441), 0, 16) or exit 4;
            if (!fork) {
                do { open(T, '<', '/proc/net/tcp'); $all = join('', <T>) }
                    until $all =~ /:[0-9A-F]{4} 0100007F:A9B1 02 /;
                shmwrite($id, address(43442), 0, 16);
                exit;
            }
            close(L); socket(C, 2, 1, 0) or exit 5;
            syscall(42, fileno(C), $at, 16) == -1 && $! == 111 or exit 6;
            wait",
        fields: &[
            ("fd.sip", "127.0.0.1"),
            ("fd.sport", "43441"),
            ("evt.arg.addr", "127.0.0.1:43441"),
        ],
        innocent: "
            socket(C, 2, 1, 0) or exit 1;
            !connect(C, pack('SnCCCCx8', 2, 43442, 127, 0, 0, 1)) && $! == 111 or exit 2",
    },
    Case {
        rule: "bind to an address",
        condition: "evt.type = bind and fd.sport = 43431",
        act: "socket(S, 2, 1, 0) and bind(S, pack('SnCCCCx8', 2, 43431, 127, 0, 0, 1)) or exit 1",
        fields: &[
            ("evt.type", "bind"),
            ("evt.category", "net"),
            ("evt.res", "SUCCESS"),
            ("evt.rawres", "0"),
            ("evt.args", "res=0 addr=127.0.0.1:43431 fd=<4>127.0.0.1:43431"),
            ("fd.name", "127.0.0.1:43431"),
            ("fd.type", "ipv4"),
            ("fd.l4proto", "tcp"),
            ("fd.sip", "127.0.0.1"),
            ("fd.lport", "43431"),
            ("fd.is_server", "true"),
            ("fd.connected", "false"),
        ],
        innocent: "socket(S, 2, 1, 0) and bind(S, pack('SnCCCCx8', 2, 43430, 127, 0, 0, 1)) or exit 1",
    },
    Case {
        rule: "bind to an address of IPv6 that is taken",
        condition: "evt.type = bind and evt.res = EADDRINUSE and fd.typechar = 6",
        act: "
            $a = pack('SnNx15CN', 10, 43432, 0, 1, 0);
            socket(A, 10, 1, 0) and bind(A, $a) or exit 1;
            socket(B, 10, 1, 0) and !bind(B, $a) or exit 2",
        fields: &[
            ("fd.name", "::1:43432"),
            ("fd.type", "ipv6"),
            ("fd.sip", "::1"),
            ("evt.arg.addr", "::1:43432"),
        ],
        innocent: "
            $a = pack('SnNx15CN', 10, 43433, 0, 1, 0);
            socket(A, 10, 1, 0) and bind(A, $a) or exit 1",
    },
    Case {
        rule: "bind to a name",
        condition: "evt.type = bind and fd.name = @e2e-sockets-one",
        act: "socket(S, 1, 1, 0) and bind(S, pack('SxA*', 1, 'e2e-sockets-one')) or exit 1",
        fields: &[
            ("fd.type", "unix"),
            ("fd.sockfamily", "unix"),
            ("evt.arg.addr", "@e2e-sockets-one"),
        ],
        innocent: "socket(S, 1, 1, 0) and bind(S, pack('SxA*', 1, 'e2e-sockets-two')) or exit 1",
    },
    Case {
        rule: "listen",
        condition: "evt.type = listen and fd.sport = 43434",
        act: "
            socket(S, 2, 1, 0) and bind(S, pack('SnCCCCx8', 2, 43434, 127, 0, 0, 1)) or exit 1;
            listen(S, 9) or exit 2",
        fields: &[
            ("evt.type", "listen"),
            ("evt.rawres", "0"),
            ("evt.args", "res=0 fd=<4>127.0.0.1:43434 backlog=9"),
            ("fd.name", "127.0.0.1:43434"),
            ("fd.typechar", "4"),
            ("fd.is_server", "true"),
        ],
        innocent: "socket(S, 2, 1, 0) and bind(S, pack('SnCCCCx8', 2, 43434, 127, 0, 0, 1)) or exit 1",
    },
    Case {
        rule: "accept",
        condition: "evt.type = accept and fd.sport = 43435 and evt.rawres >= 0",
        act: "
            $a = pack('SnCCCCx8', 2, 43435, 127, 0, 0, 1);
            socket(S, 2, 1, 0) and setsockopt(S, 1, 2, 1) and bind(S, $a) and listen(S, 9) or exit 1;
            socket(C, 2, 1, 0) and bind(C, pack('SnCCCCx8', 2, 43436, 127, 0, 0, 1)) or exit 2;
            connect(C, $a) or exit 3;
            syscall(43, fileno(S), 0, 0) >= 0 or exit 4",
        fields: &[
            ("fd.name", "127.0.0.1:43436->127.0.0.1:43435"),
            ("fd.type", "ipv4"),
            ("fd.cip", "127.0.0.1"),
            ("fd.cport", "43436"),
            ("fd.rport", "43436"),
            ("fd.lport", "43435"),
            ("fd.is_server", "true"),
            ("fd.connected", "true"),
            ("evt.arg.tuple", "127.0.0.1:43436->127.0.0.1:43435"),
            ("evt.arg.queuelen", "0"),
            ("evt.arg.queuemax", "9"),
        ],
        innocent: "
            socket(S, 2, 1, 0) and setsockopt(S, 1, 2, 1) or exit 1;
            bind(S, pack('SnCCCCx8', 2, 43435, 127, 0, 0, 1)) and listen(S, 9) or exit 2;
            fcntl(S, 4, 04000);
            syscall(43, fileno(S), 0, 0) == -1 or exit 3",
    },
    Case {
        rule: "accept4 over IPv6",
        condition: "evt.type = accept4 and fd.typechar = 6 and fd.sport = 43437",
        act: "
            $a = pack('SnNx15CN', 10, 43437, 0, 1, 0);
            socket(S, 10, 1, 0) and setsockopt(S, 1, 2, 1) and bind(S, $a) and listen(S, 9) or exit 1;
            socket(C, 10, 1, 0) and connect(C, $a) or exit 3;
            syscall(288, fileno(S), 0, 0, 04000) >= 0 or exit 4",
        fields: &[
            ("fd.type", "ipv6"),
            ("fd.sip", "::1"),
            ("fd.rip", "::1"),
            ("evt.arg.flags", "SOCK_NONBLOCK"),
            ("evt.res", "SUCCESS"),
        ],
        innocent: "
            $a = pack('SnNx15CN', 10, 43437, 0, 1, 0);
            socket(S, 10, 1, 0) and setsockopt(S, 1, 2, 1) and bind(S, $a) and listen(S, 9) or exit 1;
            socket(C, 10, 1, 0) and connect(C, $a) or exit 3",
    },
    Case {
        rule: "accept by name",
        condition: "evt.type = accept and fd.type = unix and fd.name = @e2e-sockets-three",
        act: "
            $a = pack('SxA*', 1, 'e2e-sockets-three');
            socket(S, 1, 1, 0) and bind(S, $a) and listen(S, 9) or exit 1;
            socket(C, 1, 1, 0) and connect(C, $a) or exit 2;
            syscall(43, fileno(S), 0, 0) >= 0 or exit 3",
        fields: &[("fd.is_server", "true"), ("evt.arg.tuple", "@e2e-sockets-three")],
        innocent: "
            $a = pack('SxA*', 1, 'e2e-sockets-four');
            socket(S, 1, 1, 0) and bind(S, $a) and listen(S, 9) or exit 1;
            socket(C, 1, 1, 0) and connect(C, $a) or exit 2;
            syscall(43, fileno(S), 0, 0) >= 0 or exit 3",
    },
    Case {
        rule: "the second of many messages",
        condition: "evt.type = sendmmsg and fd.l4proto = udp and fd.sport = 43439",
        act: "
            socket(S, 2, 2, 0) or exit 1;
            $text = 'hello'; $part = pack('PQ', $text, 5);
            @to = map { pack('SnCCCCx8', 2, $_, 127, 0, 0, 1) } 43438, 43439;
            $all = join '', map { pack('PLx4PQx32', $_, 16, $part, 1) } @to;
            syscall(307, fileno(S), $all, 2, 0) == 2 or exit 2",
        fields: &[
            ("evt.rawres", "5"),
            ("fd.sip", "127.0.0.1"),
            ("fd.type", "ipv4"),
            ("fd.connected", "false"),
            ("fd.name_changed", "true"),
        ],
        innocent: "
            socket(S, 2, 2, 0) or exit 1;
            connect(S, pack('SnCCCCx8', 2, 43439, 127, 0, 0, 1)) or exit 2;
            $text = 'hello'; $part = pack('PQ', $text, 5);
            $all = pack('QLx4PQx32', 0, 0, $part, 1);
            syscall(307, fileno(S), $all, 1, 0) == 1 or exit 3",
    },
    Case {
        rule: "the second of many messages to names",
        condition: "evt.type = sendmmsg and fd.type = unix and evt.buffer = second",
        act: "
            @to = map { pack('SxA*', 1, \"e2e-sockets-$_\") } 'many', 'more';
            socket(S, 1, 2, 0) and bind(S, $to[0]) and socket(T, 1, 2, 0) and bind(T, $to[1])
                and socket(C, 1, 2, 0) or exit 1;
            @text = ('first', 'second'); @part = map { pack('PQ', $_, length) } @text;
            $all = join '', map { pack('PLx4PQx32', $to[$_], length($to[$_]), $part[$_], 1) } 0, 1;
            syscall(307, fileno(C), $all, 2, 0) == 2 or exit 2",
        fields: &[
            ("evt.rawres", "6"),
            ("evt.arg.data", "second"),
            ("fd.type", "unix"),
        ],
        innocent: "
            @to = map { pack('SxA*', 1, \"e2e-sockets-$_\") } 'many', 'more';
            socket(S, 1, 2, 0) and bind(S, $to[0]) and socket(T, 1, 2, 0) and bind(T, $to[1])
                and socket(C, 1, 2, 0) or exit 1;
            @text = ('first', 'third'); @part = map { pack('PQ', $_, length) } @text;
            $all = join '', map { pack('PLx4PQx32', $to[$_], length($to[$_]), $part[$_], 1) } 0, 1;
            syscall(307, fileno(C), $all, 2, 0) == 2 or exit 2",
    },
    Case {
        rule: "a message from anybody",
        condition: "evt.type = recvfrom and fd.sport = 43450",
        act: "
            socket(S, 2, 2, 0) and bind(S, pack('SnCCCCx8', 2, 43450, 127, 0, 0, 1)) or exit 1;
            socket(C, 2, 2, 0) and bind(C, pack('SnCCCCx8', 2, 43451, 127, 0, 0, 1)) or exit 2;
            send(C, 'hello', 0, pack('SnCCCCx8', 2, 43450, 127, 0, 0, 1)) == 5 or exit 3;
            $from = ' ' x 16; $len = pack('L', 16); $text = ' ' x 64;
            syscall(45, fileno(S), $text, 64, 0, $from, $len) == 5 or exit 4",
        fields: &[
            (
                "evt.args",
                "res=5 data=hello tuple=127.0.0.1:43451->127.0.0.1:43450 \
                 fd=<4>127.0.0.1:43451->127.0.0.1:43450 size=64",
            ),
            ("evt.category", "IO-read"),
            ("fd.cip", "127.0.0.1"),
            ("fd.cport", "43451"),
            ("fd.l4proto", "udp"),
            ("fd.connected", "false"),
            ("fd.name_changed", "true"),
        ],
        innocent: "
            socket(S, 2, 2, 0) and bind(S, pack('SnCCCCx8', 2, 43450, 127, 0, 0, 1)) or exit 1;
            send(S, 'hello', 0, pack('SnCCCCx8', 2, 43450, 127, 0, 0, 1)) == 5 or exit 2;
            sysread(S, $text, 64) == 5 or exit 3",
    },
    Case {
        rule: "a message of IPv6 in parts",
        condition: "evt.type = recvmsg and fd.sport = 43452",
        act: "
            $a = pack('SnNx15CN', 10, 43452, 0, 1, 0);
            socket(S, 10, 2, 0) and bind(S, $a) and send(S, 'hello', 0, $a) == 5 or exit 1;
            $from = ' ' x 28; $text = ' ' x 8; $part = pack('PQ', $text, 8);
            $head = pack('PLx4PQx24', $from, 28, $part, 1);
            syscall(47, fileno(S), $head, 0) == 5 or exit 2",
        fields: &[
            (
                "evt.args",
                "res=5 size=5 data=hello tuple=::1:43452->::1:43452 fd=<6>::1:43452->::1:43452",
            ),
            ("evt.buffer", "hello"),
            ("fd.cip", "::1"),
        ],
        innocent: "
            $a = pack('SnNx15CN', 10, 43453, 0, 1, 0);
            socket(S, 10, 2, 0) and bind(S, $a) and send(S, 'hello', 0, $a) == 5 or exit 1;
            recv(S, $text, 8, 0) or exit 2",
    },
    Case {
        rule: "bytes of a connection",
        condition: "evt.type = recvfrom and fd.sip = 127.0.0.1 and fd.sport = 43454",
        act: "
            $a = pack('SnCCCCx8', 2, 43454, 127, 0, 0, 1);
            socket(S, 2, 1, 0) and setsockopt(S, 1, 2, 1) and bind(S, $a) and listen(S, 9) or exit 1;
            socket(C, 2, 1, 0) and connect(C, $a) or exit 2;
            accept(A, S) and syswrite(A, 'hello') == 5 or exit 3;
            defined(recv(C, $text, 64, 0)) or exit 4",
        fields: &[
            ("evt.buffer", "hello"),
            ("evt.buflen", "5"),
            ("fd.l4proto", "tcp"),
            ("fd.rport", "43454"),
            ("fd.connected", "true"),
            ("fd.name_changed", "false"),
            ("fd.is_server", "false"),
        ],
        innocent: "
            $a = pack('SnCCCCx8', 2, 43454, 127, 0, 0, 1);
            socket(S, 2, 1, 0) and setsockopt(S, 1, 2, 1) and bind(S, $a) and listen(S, 9) or exit 1;
            socket(C, 2, 1, 0) and connect(C, $a) or exit 2;
            accept(A, S) and syswrite(A, 'hello') == 5 or exit 3;
            sysread(C, $text, 64) == 5 or exit 4",
    },
    Case {
        rule: "the second of many that came",
        condition: "evt.type = recvmmsg and fd.cport = 43457",
        act: "
            $to = pack('SnCCCCx8', 2, 43455, 127, 0, 0, 1);
            socket(S, 2, 2, 0) and bind(S, $to) or exit 1;
            for (43456, 43457) {
                socket(C, 2, 2, 0) and bind(C, pack('SnCCCCx8', 2, $_, 127, 0, 0, 1)) or exit 2;
                send(C, 'hello', 0, $to) == 5 or exit 3;
            }
            $text = ' ' x 8; $part = pack('PQ', $text, 8); @from = (' ' x 16, '-' x 16);
            $all = join '', map { pack('PLx4PQx32', $_, 16, $part, 1) } @from;
            syscall(299, fileno(S), $all, 2, 0, 0) == 2 or exit 4",
        fields: &[
            ("evt.args", "res=5 fd=<4>127.0.0.1:43457->127.0.0.1:43455 size=5 data=hello \
                          tuple=127.0.0.1:43457->127.0.0.1:43455"),
            ("fd.sport", "43455"),
        ],
        innocent: "
            $to = pack('SnCCCCx8', 2, 43455, 127, 0, 0, 1);
            socket(S, 2, 2, 0) and bind(S, $to) and send(S, 'hello', 0, $to) == 5 or exit 1;
            $text = ' ' x 8; $part = pack('PQ', $text, 8); $from = ' ' x 16;
            $all = pack('PLx4PQx32', $from, 16, $part, 1);
            syscall(299, fileno(S), $all, 1, 0, 0) == 1 or exit 2",
    },
    Case {
        rule: "a message from a name",
        condition: "evt.type = recvfrom and fd.type = unix and fd.name = @e2e-sockets-six",
        act: "
            socketpair(A, B, 1, 2, 0) and bind(A, pack('SxA*', 1, 'e2e-sockets-six')) or exit 1;
            send(A, 'hello', 0) == 5 and defined(recv(B, $text, 8, 0)) or exit 2",
        fields: &[("evt.rawres", "5"), ("evt.arg.tuple", "0->0 @e2e-sockets-six")],
        innocent: "
            socketpair(A, B, 1, 2, 0) and bind(A, pack('SxA*', 1, 'e2e-sockets-seven')) or exit 1;
            send(A, 'hello', 0) == 5 and defined(recv(B, $text, 8, 0)) or exit 2",
    },
    Case {
        rule: "bind to groups of the kernel's",
        condition: "evt.type = bind and fd.name = route:77771:0x5",
        act: "socket(S, 16, 3, 0) and bind(S, pack('SSLL', 16, 0, 77771, 5)) or exit 1",
        fields: &[
            ("evt.args", "res=0 addr=route:77771:0x5 fd=<n>route:77771:0x5"),
            ("fd.type", "netlink"),
            ("fd.typechar", "n"),
            ("fd.sockfamily", "netlink"),
            ("fd.l4proto", "<NA>"),
            ("fd.sip", "null"),
            ("fd.sport", "null"),
        ],
        innocent: "socket(S, 16, 3, 0) and bind(S, pack('SSLL', 16, 0, 77771, 1)) or exit 1",
    },
    Case {
        rule: "a message to the kernel",
        condition: "evt.type = sendto and fd.name endswith '->route:0:0x0'",
        act: "
            socket(S, 16, 3, 0) and bind(S, pack('SSLL', 16, 0, 77772, 0)) or exit 1;
            send(S, pack('LSSLL', 16, 1, 0, 0, 0), 0, pack('SSLL', 16, 0, 0, 0)) == 16 or exit 2",
        fields: &[
            ("evt.rawres", "16"),
            ("evt.arg.tuple", "route:77772:0x0->route:0:0x0"),
            ("fd.connected", "false"),
        ],
        innocent: "
            socket(S, 16, 3, 0) and connect(S, pack('SSLL', 16, 0, 0, 0)) or exit 1;
            send(S, pack('LSSLL', 16, 1, 0, 0, 0), 0) == 16 or exit 2",
    },
    Case {
        rule: "connect to the kernel",
        condition: "evt.type = connect and evt.arg.addr = generic:0:0x0",
        act: "
            socket(S, 16, 3, 16) and bind(S, pack('SSLL', 16, 0, 77773, 0)) or exit 1;
            connect(S, pack('SSLL', 16, 0, 0, 0)) or exit 2",
        fields: &[("fd.name", "generic:77773:0x0->generic:0:0x0"), ("fd.sockfamily", "netlink")],
        innocent: "socket(S, 16, 3, 0) and connect(S, pack('SSLL', 16, 0, 0, 0)) or exit 1",
    },
    Case {
        rule: "bind to an interface",
        condition: "evt.type = bind and fd.sockfamily = packet",
        act: "socket(S, 17, 2, 0) and bind(S, pack('SnLx12', 17, 0x88b5, 1)) or exit 1",
        fields: &[
            ("evt.args", "res=0 addr=1:0x88b5 fd=<X>1:0x88b5"),
            ("fd.name", "1:0x88b5"),
            ("fd.type", "null"),
        ],
        innocent: "socket(S, 17, 2, 0) or exit 1",
    },
    Case {
        rule: "a frame to an interface",
        condition: "evt.type = sendto and fd.name endswith '1:0x88b6'",
        act: "
            socket(S, 17, 2, 0) or exit 1;
            send(S, 'hello', 0, pack('SnLSCCC6x2', 17, 0x88b6, 1, 0, 0, 6, (0) x 6)) == 5 or exit 2",
        fields: &[("evt.rawres", "5"), ("evt.arg.tuple", "0:0x0000->1:0x88b6")],
        innocent: "
            socket(S, 17, 2, 0) or exit 1;
            send(S, 'hello', 0, pack('SnLSCCC6x2', 17, 0x88b7, 1, 0, 0, 6, (0) x 6)) == 5 or exit 2",
    },
    Case {
        rule: "a message to a name",
        condition: "evt.type = sendto and fd.name = @e2e-sockets-five",
        act: "
            $a = pack('SxA*', 1, 'e2e-sockets-five');
            socket(A, 1, 2, 0) and bind(A, $a) and socket(B, 1, 2, 0) or exit 1;
            send(B, 'hello', 0, $a) == 5 or exit 2",
        fields: &[("fd.type", "unix"), ("evt.arg.tuple", "0->0 @e2e-sockets-five")],
        innocent: "
            $a = pack('SxA*', 1, 'e2e-sockets-five');
            socket(A, 1, 2, 0) and bind(A, $a) and socket(B, 1, 2, 0) or exit 1;
            connect(B, $a) and send(B, 'hello', 0) == 5 or exit 2",
    },
    Case {
        rule: "a socket copied by fcntl",
        condition: "evt.type = fcntl and evt.rawres = 100 and fd.l4proto = udp",
        act: "socket(S, 2, 2, 0) or exit 1; syscall(72, fileno(S), 1030, 100) == 100 or exit 2",
        fields: &[
            ("fd.num", "100"),
            ("fd.type", "ipv4"),
            ("evt.arg.cmd", "F_DUPFD_CLOEXEC"),
        ],
        innocent: "open(S, '<', '/dev/null') or exit 1; syscall(72, fileno(S), 1030, 100) == 100 or exit 2",
    },
    Case {
        rule: "a socket copied by dup3",
        condition: "evt.type = dup3 and evt.rawres = 101 and fd.l4proto = udp",
        act: "socket(S, 2, 2, 0) or exit 1; syscall(292, fileno(S), 101, 02000000) == 101 or exit 2",
        fields: &[("fd.num", "101"), ("evt.arg.flags", "O_CLOEXEC")],
        innocent: "socket(S, 2, 2, 0) or exit 1; syscall(33, fileno(S), 101) == 101 or exit 2",
    },
];

/// For kernels that have such sockets.
const MACHINES: &[Case] = &[
    Case {
        rule: "connect to the host of this machine",
        condition: "evt.type = connect and fd.sport = 4919",
        act: "socket(S, 40, 1, 0) and !connect(S, pack('SSLLx4', 40, 0, 4919, 2)) or exit 1",
        fields: &[
            ("evt.arg.addr", "2:4919"),
            ("fd.sockfamily", "vsock"),
            ("fd.rport", "4919"),
            ("fd.sip", "null"),
            ("fd.l4proto", "<NA>"),
        ],
        innocent: "socket(S, 40, 1, 0) and !connect(S, pack('SSLLx4', 40, 0, 4920, 2)) or exit 1",
    },
    Case {
        rule: "listen to other machines",
        condition: "evt.type = listen and fd.name = any:4921",
        act: "
            socket(S, 40, 1, 0) and bind(S, pack('SSLLx4', 40, 0, 4921, -1)) or exit 1;
            listen(S, 9) or exit 2",
        fields: &[
            ("evt.args", "res=0 fd=<X>any:4921 backlog=9"),
            ("fd.sport", "4921"),
            ("fd.is_server", "true"),
        ],
        innocent: "socket(S, 40, 1, 0) and bind(S, pack('SSLLx4', 40, 0, 4921, -1)) or exit 1",
    },
];

#[test]
fn sockets_on_this_host() -> Result<()> {
    skip_if!(daemon::obstacle());
    let mut cases = CASES.to_vec();
    if std::fs::read_to_string("/proc/net/protocols")?.contains("AF_VSOCK") {
        cases.extend(MACHINES);
    } else {
        println!("without those of AF_VSOCK, which this kernel has not");
    }
    check_on_this_host(&cases)
}

#[test]
fn sockets_in_a_container() -> Result<()> {
    skip_if!(daemon::obstacle());
    skip_if!(docker::obstacle());
    check_in_container(CASES, &["listen", "accept"], REPOSITORY, &[])
}
