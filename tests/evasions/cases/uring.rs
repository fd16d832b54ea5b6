//! Row 11: what is done through `io_uring` is no system call.

use crate::case::{Case, some};

const IN_BOX: &[(&str, &str)] = &[("proc.name", "uring"), ("container.id", "$BOX")];

pub(super) const CASES: &[Case] = &[
    Case {
        row: 11,
        name: "uring-open",
        technique: "open through io_uring",
        condition: "opened and fd.name = $D/secret",
        twin: "uring open $D/benign",
        act: "box uring open $D/secret",
        seen: &[some(IN_BOX)],
        ..Case::BASE
    },
    Case {
        row: 11,
        name: "uring-open-sqpoll",
        technique: "the same, taken up by a thread of the kernel (SQPOLL)",
        condition: "opened and fd.name = $D/secret",
        twin: "uring --sqpoll open $D/benign",
        act: "box uring --sqpoll open $D/secret",
        // The worker has a name of its own, and is the process's.
        seen: &[some(&[
            ("proc.exepath", "$P/uring"),
            ("container.id", "$BOX"),
        ])],
        ..Case::BASE
    },
    Case {
        row: 11,
        name: "uring-connect",
        technique: "connect through io_uring",
        condition: "evt.type = connect and fd.sport = 4111",
        twin: "uring connect 4112",
        act: "box uring connect 4111",
        seen: &[some(IN_BOX)],
        ..Case::BASE
    },
    Case {
        row: 11,
        name: "uring-send",
        technique: "a datagram through io_uring",
        condition: "evt.type in (sendto, sendmsg) and fd.sport = 4113",
        twin: "uring send 4114",
        act: "box uring send 4113",
        seen: &[some(IN_BOX)],
        ..Case::BASE
    },
    Case {
        row: 11,
        name: "uring-unlink",
        technique: "unlink through io_uring",
        condition: "evt.type in (unlink, unlinkat) and fs.path.name = $D/secret",
        twin: "uring unlink $D/benign",
        act: "box uring unlink $D/secret",
        seen: &[some(IN_BOX)],
        ..Case::BASE
    },
    Case {
        row: 11,
        name: "uring-rename",
        technique: "rename through io_uring",
        condition: "evt.type in (rename, renameat, renameat2) and fs.path.target = $D/away",
        twin: "uring rename $D/benign $D/kept",
        act: "box uring rename $D/secret $D/away",
        seen: &[some(IN_BOX)],
        ..Case::BASE
    },
    Case {
        row: 11,
        name: "uring-mkdir",
        technique: "mkdir through io_uring",
        condition: "evt.type in (mkdir, mkdirat) and fs.path.name = $D/made",
        twin: "uring mkdir $D/harmless",
        act: "box uring mkdir $D/made",
        seen: &[some(IN_BOX)],
        ..Case::BASE
    },
    Case {
        row: 11,
        name: "uring-symlink",
        technique: "a symbolic link through io_uring",
        condition: "evt.type in (symlink, symlinkat) and evt.arg.target = $D/secret",
        twin: "uring symlink $D/benign $D/harmless",
        act: "box uring symlink $D/secret $D/link",
        seen: &[some(IN_BOX)],
        ..Case::BASE
    },
];
