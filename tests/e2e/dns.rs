//! DNS: questions and answers as events of the process that asks.
//!
//! Each action is its own server: it binds an address of the loopback network that nobody else has,
//! asks, answers, and reads the answer.

use anyhow::Result;
use monitor_tests::{daemon, docker, skip_if};

use crate::kinds::{Case, check_in_container, check_on_this_host};

const REPOSITORY: &str = "registry.example/team/names";

/// Perl for an exchange over UDP: `$to` is the server, `$bind` where it is bound, `$question` what
/// is asked, `$answer` what comes back behind it.
macro_rules! exchange {
    ($names:literal) => {
        exchange!($names, "$to")
    };
    ($names:literal, $bind:literal) => {
        concat!(
            "$to = pack('SnCCCCx8', 2, 53, 127, 0, 5, 3);",
            "sub name { join('', map { chr(length) . $_ } @_, '') }",
            $names,
            "socket(S, 2, 2, 0) and bind(S, ",
            $bind,
            ") or exit 1;",
            "socket(C, 2, 2, 0) or exit 2;",
            "send(C, pack('n6', 7, 0x100, 1, 0, 0, 0) . $question, 0, $to) or exit 3;",
            "$from = recv(S, $asked, 4096, 0) or exit 4;",
            "$answers = () = $answer =~ /\\xc0\\x0c/g;",
            "send(S, pack('n6', 7, 0x8180 + $rcode, 1, $answers, 0, 0) . $question . $answer, 0, ",
            "$from) or exit 5;",
            "recv(C, $got, 4096, 0) or exit 6;",
        )
    };
}

/// Perl for two questions in one call, as resolvers ask for both kinds of addresses.
macro_rules! two_at_once {
    ($second:literal) => {
        concat!(
            "$to = pack('SnCCCCx8', 2, 53, 127, 0, 5, 4);",
            "sub name { join('', map { chr(length) . $_ } @_, '') }",
            "socket(S, 2, 2, 0) and bind(S, $to) and socket(C, 2, 2, 0) or exit 1;",
            "@texts = map { pack('n6', 7, 0x100, 1, 0, 0, 0) . name($_, 'e2e-many', 'test') ",
            ". pack('n2', 1, 1) } ('a', '",
            $second,
            "');",
            "@pieces = map { pack('PQ', $_, length($_)) } @texts;",
            "$all = join('', map { pack('PQPQQQQQ', $to, 16, $_, 1, 0, 0, 0, 0) } @pieces);",
            "syscall(307, fileno(C), $all, 2, 0) == 2 or exit 2;",
        )
    };
}

/// Perl for a datagram over IPv6 to a server that answers: `$connect` is nothing or connects, `$ask`
/// asks, `$take` takes the answer; `$flags` are the answer's, `$answers` how many it says it has.
macro_rules! exchange6 {
    ($name:literal, $connect:literal, $ask:literal, $take:literal) => {
        concat!(
            "sub name { join('', map { chr(length) . $_ } @_, '') }",
            "$to = pack('SnNx15CN', 10, 53, 0, 1, 0); $flags = 0x8180; $answers = 1;",
            "socket(S, 10, 2, 0) and bind(S, $to) and socket(C, 10, 2, 0) or exit 1;",
            $connect,
            "$question = name('",
            $name,
            "', 'e2e-six', 'test') . pack('n2', 1, 1);",
            "$answer = pack('n3NnC4', 0xc00c, 1, 1, 60, 4, 203, 0, 113, 5);",
            "$text = pack('n6', 7, 0x100, 1, 0, 0, 0) . $question;",
            $ask,
            "$from = recv(S, $asked, 4096, 0) or exit 3;",
            "send(S, pack('n6', 7, $flags, 1, $answers, 0, 0) . $question . $answer, 0, $from) or exit 4;",
            $take
        )
    };
}

/// By calls for many messages: sendmmsg and recvmmsg.
macro_rules! by_many {
    ($name:literal) => {
        exchange6!(
            $name,
            "connect(C, $to) or exit 2;",
            "$piece = pack('PQ', $text, length($text));
             $all = pack('QQPQQQQQ', 0, 0, $piece, 1, 0, 0, 0, 0);
             syscall(307, fileno(C), $all, 1, 0) == 1 or exit 5;",
            "$got = \"\\0\" x 512; $room = pack('PQ', $got, 512);
             $all = pack('QQPQQQQQ', 0, 0, $room, 1, 0, 0, 0, 0);
             syscall(299, fileno(C), $all, 1, 0, 0) == 1 or exit 6"
        )
    };
}

/// Without a connection; the answer is cut off behind the question, and says so.
macro_rules! cut_off {
    ($name:literal) => {
        exchange6!(
            $name,
            "$flags |= 0x200; $answers = 3;",
            "send(C, $text, 0, $to) or exit 5;",
            "recv(C, $got, 4096, 0) or exit 6"
        )
    };
}

/// Perl for a question over TCP whose length is a segment of its own.
macro_rules! in_two_segments {
    ($name:literal) => {
        concat!(
            "sub name { join('', map { chr(length) . $_ } @_, '') }",
            "$to = pack('SnCCCCx8', 2, 53, 127, 0, 5, 5);",
            "socket(S, 2, 1, 0) and setsockopt(S, 1, 2, 1) and bind(S, $to) and listen(S, 9) or exit 1;",
            "socket(C, 2, 1, 0) and setsockopt(C, 6, 1, 1) and connect(C, $to) or exit 2;",
            "$text = pack('n6', 7, 0x100, 1, 0, 0, 0) . name('",
            $name,
            "', 'e2e-two', 'test') . pack('n2', 1, 1);",
            "syswrite(C, pack('n', length($text))) and syswrite(C, $text) or exit 3"
        )
    };
}

/// Perl for two questions in one message.
macro_rules! two_questions {
    ($second:literal) => {
        concat!(
            "$to = pack('SnCCCCx8', 2, 53, 127, 0, 5, 6);",
            "sub name { join('', map { chr(length) . $_ } @_, '') }",
            "socket(S, 2, 2, 0) and bind(S, $to) and socket(C, 2, 2, 0) or exit 1;",
            "$text = pack('n6', 7, 0x100, 2, 0, 0, 0) . name('a', 'e2e-both', 'test') . pack('n2', 1, 1)",
            ". name('",
            $second,
            "', 'e2e-both', 'test') . pack('n2', 16, 1);",
            "send(C, $text, 0, $to) or exit 2"
        )
    };
}

/// Perl for two questions over TCP, each in a message of its own, in one segment.
macro_rules! in_one_segment {
    ($second:literal) => {
        concat!(
            "sub name { join('', map { chr(length) . $_ } @_, '') }",
            "$to = pack('SnCCCCx8', 2, 53, 127, 0, 5, 10);",
            "socket(S, 2, 1, 0) and setsockopt(S, 1, 2, 1) and bind(S, $to) and listen(S, 9) or exit 1;",
            "socket(C, 2, 1, 0) and connect(C, $to) or exit 2;",
            "@texts = map { pack('n6', 7, 0x100, 1, 0, 0, 0) . name($_, 'e2e-one', 'test') ",
            ". pack('n2', 1, 1) } ('a', '",
            $second,
            "');",
            "syswrite(C, join('', map { pack('n', length) . $_ } @texts)) or exit 3"
        )
    };
}

const CASES: &[Case] = &[
    Case {
        rule: "the second of two questions in a message",
        condition: "evt.type = dns and dns.type = query and dns.question.name = b.e2e-both.test",
        act: two_questions!("b"),
        fields: &[
            ("dns.question.type", "TXT"),
            ("evt.arg.addr", "127.0.5.6:53"),
            ("proc.name", "perl"),
        ],
        innocent: two_questions!("c"),
    },
    Case {
        rule: "the second of two messages in a segment",
        condition: "evt.type = dns and dns.type = query and dns.question.name = b.e2e-one.test",
        act: in_one_segment!("b"),
        fields: &[("evt.arg.addr", "127.0.5.10:53"), ("fd.l4proto", "tcp"), ("proc.name", "perl")],
        innocent: in_one_segment!("c"),
    },
    Case {
        rule: "an answer that recvmmsg takes",
        condition: "evt.type = dns and dns.type = answer and dns.question.name = many.e2e-six.test",
        act: by_many!("many"),
        fields: &[
            ("evt.arg.answers", "203.0.113.5"),
            ("evt.arg.addr", "[::1]:53"),
            ("fd.type", "ipv6"),
            ("fd.l4proto", "udp"),
            ("proc.name", "perl"),
        ],
        innocent: by_many!("few"),
    },
    Case {
        rule: "a question to it by sendmmsg",
        condition: "evt.type = dns and dns.type = query and dns.question.name = asked.e2e-six.test",
        act: by_many!("asked"),
        fields: &[("evt.arg.addr", "[::1]:53"), ("fd.type", "ipv6"), ("proc.name", "perl")],
        innocent: by_many!("few"),
    },
    Case {
        rule: "a question of IPv6 without a connection",
        condition: "evt.type = dns and dns.type = query and dns.question.name = asks.e2e-six.test",
        act: cut_off!("asks"),
        fields: &[("evt.arg.addr", "[::1]:53"), ("fd.sport", "53"), ("dns.question.type", "A")],
        innocent: cut_off!("whole"),
    },
    Case {
        rule: "an answer that is cut off",
        condition: "evt.type = dns and dns.type = answer and dns.question.name = cut.e2e-six.test",
        act: cut_off!("cut"),
        fields: &[("evt.arg.answers", "203.0.113.5"), ("dns.rcode", "NOERROR")],
        innocent: cut_off!("whole"),
    },
    Case {
        rule: "a question whose length is a segment of its own",
        condition: "evt.type = dns and dns.type = query and dns.question.name = split.e2e-two.test",
        act: in_two_segments!("split"),
        fields: &[("evt.arg.addr", "127.0.5.5:53"), ("fd.l4proto", "tcp"), ("proc.name", "perl")],
        innocent: in_two_segments!("other"),
    },
    Case {
        rule: "the first of two questions in a message",
        condition: "evt.type = dns and dns.type = query and dns.question.name = one.e2e-dns.test",
        act: exchange!(
            "$question = name('one', 'e2e-dns', 'test') . pack('n2', 16, 1)
                 . name('two', 'e2e-dns', 'test') . pack('n2', 16, 1);"
        ),
        fields: &[("dns.question.type", "TXT")],
        innocent: exchange!("$question = name('two', 'e2e-dns', 'test') . pack('n2', 16, 1);"),
    },
    Case {
        rule: "dns-second-of-one-call",
        condition: "evt.type = dns and dns.type = query and dns.question.name = b.e2e-many.test",
        act: two_at_once!("b"),
        fields: &[
            ("evt.args", "res=33 type=query name=b.e2e-many.test qtype=A addr=127.0.5.4:53"),
            ("proc.name", "perl"),
        ],
        innocent: two_at_once!("c"),
    },
    Case {
        rule: "dns-question",
        condition: "evt.type = dns and dns.type = query and dns.question.name = www.e2e-dns.test",
        act: exchange!("$question = name('WWW', 'e2e-Dns', 'test') . pack('n2', 28, 1);"),
        fields: &[
            ("evt.type", "dns"),
            ("evt.dir", "<"),
            ("evt.category", "net"),
            ("evt.rawres", "34"),
            ("evt.args", "res=34 type=query name=www.e2e-dns.test qtype=AAAA addr=127.0.5.3:53"),
            ("dns.type", "query"),
            ("dns.question.type", "AAAA"),
            ("dns.rcode", "null"),
            ("dns.answers", "null"),
            ("fd.type", "ipv4"),
            ("fd.l4proto", "udp"),
            ("fd.sip", "127.0.5.3"),
            ("fd.rip", "127.0.5.3"),
            ("fd.sport", "53"),
            ("fd.rport", "53"),
            ("fd.is_server", "false"),
            ("proc.name", "perl"),
        ],
        innocent: exchange!("$question = name('www', 'e2e-dns', 'example') . pack('n2', 28, 1);"),
    },
    Case {
        rule: "dns-answer",
        condition: "evt.type = dns and dns.type = answer and dns.answers intersects (203.0.113.7)",
        act: exchange!(
            "$question = name('a', 'e2e-dns', 'test') . pack('n2', 1, 1);
             $answer = pack('n3Nn', 0xc00c, 5, 1, 60, 4) . \"\\1b\\xc0\\x0e\" .
                 pack('n3NnC4', 0xc00c, 1, 1, 60, 4, 203, 0, 113, 7);"
        ),
        fields: &[
            ("evt.type", "dns"),
            ("evt.arg.answers", "b.e2e-dns.test,203.0.113.7"),
            ("evt.arg.addr", "127.0.5.3:53"),
            ("dns.question.name", "a.e2e-dns.test"),
            ("dns.question.type", "A"),
            ("dns.rcode", "NOERROR"),
            ("fd.sip", "127.0.5.3"),
            ("fd.rport", "53"),
            ("fd.is_server", "false"),
            ("proc.name", "perl"),
        ],
        innocent: exchange!(
            "$question = name('a', 'e2e-dns', 'test') . pack('n2', 1, 1);
             $answer = pack('n3NnC4', 0xc00c, 1, 1, 60, 4, 203, 0, 113, 8);"
        ),
    },
    Case {
        rule: "a name that is not there",
        condition: "evt.type = dns and dns.rcode = NXDOMAIN and dns.question.name = none.e2e-dns.test",
        act: exchange!("$question = name('none', 'e2e-dns', 'test') . pack('n2', 16, 1); $rcode = 3;"),
        fields: &[("dns.type", "answer"), ("dns.question.type", "TXT"), ("dns.answers", "null")],
        innocent: exchange!("$question = name('none', 'e2e-dns', 'test') . pack('n2', 16, 1);"),
    },
    Case {
        rule: "a connection to a server of names",
        condition: "evt.type = dns and dns.question.name = tcp.e2e-dns.test and dns.type = answer",
        act: "
            sub name { join('', map { chr(length) . $_ } @_, '') }
            $to = pack('SnNx15CN', 10, 53, 0, 1, 0);
            socket(S, 10, 1, 0) and setsockopt(S, 1, 2, 1) and bind(S, $to) and listen(S, 9) or exit 1;
            socket(C, 10, 1, 0) and connect(C, $to) or exit 2;
            accept(A, S) or exit 3;
            $question = name('tcp', 'e2e-dns', 'test') . pack('n2', 1, 1);
            syswrite(C, pack('n/a*', pack('n6', 7, 0x100, 1, 0, 0, 0) . $question)) or exit 4;
            sysread(A, $asked, 4096) or exit 5;
            syswrite(A, pack('n/a*', pack('n6', 7, 0x8180, 1, 1, 0, 0) . $question .
                pack('n3NnC4', 0xc00c, 1, 1, 60, 4, 203, 0, 113, 9))) or exit 6;
            sysread(C, $got, 4096) or exit 7",
        fields: &[
            ("evt.arg.answers", "203.0.113.9"),
            ("fd.type", "ipv6"),
            ("fd.l4proto", "tcp"),
            ("fd.sip", "::1"),
            ("fd.sport", "53"),
        ],
        innocent: "
            $to = pack('SnNx15CN', 10, 53, 0, 1, 0);
            socket(S, 10, 1, 0) and setsockopt(S, 1, 2, 1) and bind(S, $to) and listen(S, 9) or exit 1;
            socket(C, 10, 1, 0) and connect(C, $to) or exit 2;
            syswrite(C, 'what is this, and what is it good for?') or exit 4",
    },
    Case {
        rule: "a datagram that is no message",
        condition: "evt.type = dns and not dns.question.name exists and fd.sip = 127.0.5.4",
        act: "
            socket(C, 2, 2, 0) and connect(C, pack('SnCCCCx8', 2, 53, 127, 0, 5, 4)) or exit 1;
            send(C, 'no message', 0) or exit 2",
        fields: &[("evt.args", "res=10 type=query addr=127.0.5.4:53"), ("fd.sport", "53")],
        innocent: "
            socket(C, 2, 2, 0) and connect(C, pack('SnCCCCx8', 2, 54, 127, 0, 5, 4)) or exit 1;
            send(C, 'no message', 0) or exit 2",
    },
];

/// As Docker does it with questions to its own server, in a network of its own.
const REDIRECTED: &[Case] = &[
    Case {
        rule: "a question that is redirected",
        condition: "evt.type = dns and dns.type = query and dns.question.name = www.e2e-nat.test",
        act: exchange!(
            "syscall(272, 0x40000000) == 0 or exit 7;
             system('ip link set lo up; iptables -t nat -A OUTPUT -p udp --dport 53 -j DNAT \
                 --to-destination 127.0.0.1:5353') == 0 or exit 8;
             $question = name('www', 'e2e-nat', 'test') . pack('n2', 1, 1);",
            "pack('SnCCCCx8', 2, 5353, 127, 0, 0, 1)"
        ),
        fields: &[
            ("evt.arg.addr", "127.0.5.3:53"),
            ("fd.sip", "127.0.5.3"),
            ("fd.sport", "53"),
        ],
        innocent: exchange!("$question = name('www', 'e2e-dns', 'test') . pack('n2', 1, 1);"),
    },
    Case {
        rule: "an answer to it",
        condition: "evt.type = dns and dns.type = answer and dns.question.name = to.e2e-nat.test",
        act: exchange!(
            "syscall(272, 0x40000000) == 0 or exit 7;
             system('ip link set lo up; iptables -t nat -A OUTPUT -p udp --dport 53 -j DNAT \
                 --to-destination 127.0.0.1:5353') == 0 or exit 8;
             $question = name('to', 'e2e-nat', 'test') . pack('n2', 1, 1);",
            "pack('SnCCCCx8', 2, 5353, 127, 0, 0, 1)"
        ),
        fields: &[("evt.arg.addr", "127.0.5.3:53"), ("fd.sport", "53")],
        innocent: exchange!("$question = name('www', 'e2e-dns', 'test') . pack('n2', 1, 1);"),
    },
];

#[test]
fn names_on_this_host() -> Result<()> {
    skip_if!(daemon::obstacle());
    check_on_this_host(CASES)
}

#[test]
fn names_behind_a_firewall() -> Result<()> {
    skip_if!(daemon::obstacle());
    skip_if!(monitor_tests::skip::without(&["ip", "iptables"]));
    check_on_this_host(REDIRECTED)
}

#[test]
fn names_in_a_container() -> Result<()> {
    skip_if!(daemon::obstacle());
    skip_if!(docker::obstacle());
    check_in_container(CASES, &["dns-question", "dns-answer"], REPOSITORY, &[])
}
