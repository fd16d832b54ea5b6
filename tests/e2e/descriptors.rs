//! Calls on descriptors: the files and sockets that these stand for. By calls that are rare: a rule for
//! `write` records what all of the machine writes.

use anyhow::Result;
use monitor_tests::{daemon, skip_if};

use crate::kinds::{Case, check_on_this_host};

const CASES: &[Case] = &[
    Case {
        rule: "write to a file",
        condition: "evt.type = pwrite and fd.name = /tmp/e2e-held",
        act: "
            open(F, '>', '/tmp/e2e-held') or exit 1;
            $text = 'hello'; syscall(18, fileno(F), $text, 5, 0) == 5 or exit 2; unlink('/tmp/e2e-held')",
        fields: &[
            ("evt.args", "res=5 data=hello fd=<f>/tmp/e2e-held size=5 pos=0"),
            ("evt.rawres", "5"),
            ("fd.type", "file"),
            ("fd.typechar", "f"),
            ("fd.directory", "/tmp"),
            ("fd.filename", "e2e-held"),
            ("fd.nameraw", "/tmp/e2e-held"),
            ("fd.sip", "null"),
        ],
        innocent: "
            open(F, '>', '/tmp/e2e-not-held') or exit 1;
            $text = 'hello'; syscall(18, fileno(F), $text, 5, 0) == 5 or exit 2; unlink('/tmp/e2e-not-held')",
    },
    Case {
        rule: "fchmod",
        condition: "evt.type = fchmod and fd.filename = e2e-mode",
        act: "
            open(F, '>', '/tmp/e2e-mode') or exit 1;
            chmod(0700, *F) == 1 or exit 2; unlink('/tmp/e2e-mode')",
        fields: &[
            ("evt.args", "res=0 fd=<f>/tmp/e2e-mode mode=S_IXUSR|S_IWUSR|S_IRUSR"),
            ("fd.name", "/tmp/e2e-mode"),
            ("fs.path.name", "/tmp/e2e-mode"),
        ],
        innocent: "
            open(F, '>', '/tmp/e2e-mode') or exit 1;
            chmod(0700, '/tmp/e2e-mode') == 1 or exit 2; unlink('/tmp/e2e-mode')",
    },
    Case {
        rule: "names in a folder",
        condition: "evt.type = getdents64 and fd.type = directory and fd.name = /usr and evt.rawres > 0",
        act: "opendir(D, '/usr') or exit 1; readdir(D)",
        fields: &[("evt.arg.ID", "getdents64"), ("fd.directory", "/usr"), ("fd.filename", "null")],
        innocent: "opendir(D, '/usr/bin') or exit 1; readdir(D)",
    },
    Case {
        rule: "shutdown of a connection",
        condition: "evt.type = shutdown and fd.sip = 127.0.0.1 and fd.sport = 23461",
        act: "
            $a = pack('SnCCCCx8', 2, 23461, 127, 0, 0, 1);
            socket(S, 2, 1, 0) and setsockopt(S, 1, 2, 1) and bind(S, $a) and listen(S, 9) or exit 1;
            socket(C, 2, 1, 0) and bind(C, pack('SnCCCCx8', 2, 23462, 127, 0, 0, 1)) or exit 2;
            connect(C, $a) and shutdown(C, 1) or exit 3",
        fields: &[
            (
                "evt.args",
                "res=0 fd=<4>127.0.0.1:23462->127.0.0.1:23461 how=SHUT_WR",
            ),
            ("fd.name", "127.0.0.1:23462->127.0.0.1:23461"),
            ("fd.l4proto", "tcp"),
            ("fd.connected", "true"),
            ("fd.filename", "null"),
        ],
        innocent: "
            $a = pack('SnCCCCx8', 2, 23461, 127, 0, 0, 1);
            socket(S, 2, 1, 0) and setsockopt(S, 1, 2, 1) and bind(S, $a) and listen(S, 9) or exit 1;
            socket(C, 2, 1, 0) and connect(C, $a) or exit 2",
    },
    Case {
        rule: "the peer's name",
        condition: "evt.type = getpeername and fd.type = unix and fd.name = @e2e-held",
        act: "
            $a = pack('SxA*', 1, 'e2e-held');
            socket(S, 1, 1, 0) and bind(S, $a) and listen(S, 9) or exit 1;
            socket(C, 1, 1, 0) and connect(C, $a) and getpeername(C) or exit 2",
        fields: &[("fd.typechar", "u"), ("fs.path.name", "null")],
        innocent: "
            $a = pack('SxA*', 1, 'e2e-not-held');
            socket(S, 1, 1, 0) and bind(S, $a) and listen(S, 9) or exit 1;
            socket(C, 1, 1, 0) and connect(C, $a) and getpeername(C) or exit 2",
    },
    Case {
        rule: "close",
        condition: "evt.type = close and fd.name = /tmp/e2e-closed",
        act: "open(F, '>', '/tmp/e2e-closed') and close(F) or exit 1; unlink('/tmp/e2e-closed')",
        fields: &[("evt.args", "res=0 fd=<f>/tmp/e2e-closed"), ("fd.type", "file")],
        innocent: "open(F, '>', '/tmp/e2e-open') and close(F) or exit 1; unlink('/tmp/e2e-open')",
    },
    Case {
        rule: "close of nothing",
        condition: "evt.type = close and evt.arg.fd = 4711",
        act: "syscall(3, 4711) == -1 or exit 1",
        fields: &[("evt.args", "res=EBADF fd=4711"), ("fd.name", "null"), ("fd.num", "4711")],
        innocent: "syscall(3, 4712) == -1 or exit 1",
    },
    Case {
        rule: "a count of events",
        condition: "evt.type = readv and fd.type = event",
        act: "
            $e = syscall(290, 1, 0); $b = ' ' x 8; $part = pack('PQ', $b, 8);
            syscall(19, $e, $part, 1) == 8 or exit 1",
        fields: &[("fd.name", "[eventfd]"), ("fd.typechar", "e")],
        innocent: "
            pipe(R, W); syswrite(W, 'hello'); $b = ' ' x 8; $part = pack('PQ', $b, 8);
            syscall(19, fileno(R), $part, 1) == 5 or exit 1",
    },
];

#[test]
fn calls_on_descriptors() -> Result<()> {
    skip_if!(daemon::obstacle());
    check_on_this_host(CASES)
}
