//! Memory that code can be run from, and files that are written through memory.

use anyhow::Result;
use monitor_tests::{daemon, docker, skip_if};

use crate::kinds::{Case, check_in_container, check_on_this_host};

const REPOSITORY: &str = "registry.example/team/mappings";

const CASES: &[Case] = &[
    Case {
        rule: "mmap",
        condition: "evt.type = mmap and evt.arg.prot contains PROT_EXEC and \
                    evt.arg.flags contains MAP_ANONYMOUS",
        act: "syscall(9, 0, 8192, 7, 0x22, -1, 0) > 0 or exit 1",
        fields: &[
            ("evt.type", "mmap"),
            ("evt.category", "memory"),
            ("evt.res", "SUCCESS"),
            ("evt.arg.length", "8192"),
            ("evt.arg.prot", "PROT_READ|PROT_WRITE|PROT_EXEC"),
            ("evt.arg.flags", "MAP_PRIVATE|MAP_ANONYMOUS"),
            ("evt.arg.offset", "0"),
            ("fd.name", "null"),
            ("proc.name", "perl"),
        ],
        innocent: "syscall(9, 0, 8192, 3, 0x22, -1, 0) > 0 or exit 1",
    },
    Case {
        rule: "mprotect",
        condition: "evt.type = mprotect and evt.arg.prot contains PROT_EXEC and \
                    evt.arg.length = 12288",
        act: "
            $a = syscall(9, 0, 12288, 3, 0x22, -1, 0);
            syscall(10, $a, 12288, 5) == 0 or exit 1",
        fields: &[
            ("evt.arg.length", "12288"),
            ("evt.arg.prot", "PROT_READ|PROT_EXEC"),
            ("evt.res", "SUCCESS"),
        ],
        innocent: "
            $a = syscall(9, 0, 12288, 3, 0x22, -1, 0);
            syscall(10, $a, 12288, 1) == 0 or exit 1",
    },
    Case {
        rule: "library without a file",
        condition: "evt.type = mmap and evt.arg.prot contains PROT_EXEC and \
                    fd.filename startswith memfd",
        act: "
            $n = 'lib'; $f = syscall(319, $n, 0); syscall(77, $f, 4096);
            syscall(9, 0, 4096, 5, 2, $f, 0) > 0 or exit 1",
        fields: &[
            ("evt.arg.flags", "MAP_PRIVATE"),
            ("fd.type", "memfd"),
            ("fd.filename", "memfd:lib"),
        ],
        innocent: "
            $n = 'lib'; $f = syscall(319, $n, 0); syscall(77, $f, 4096);
            syscall(9, 0, 4096, 1, 2, $f, 0) > 0 or exit 1",
    },
    Case {
        rule: "written-by-mapping",
        condition: "evt.type = mmap and evt.arg.prot contains PROT_WRITE and \
                    evt.arg.flags contains MAP_SHARED and fd.name = /tmp/e2e-mapped",
        act: "
            open($f, '+>', '/tmp/e2e-mapped'); truncate($f, 4096);
            syscall(9, 0, 4096, 3, 1, fileno($f), 0) > 0 or exit 1; unlink('/tmp/e2e-mapped')",
        fields: &[
            ("evt.arg.prot", "PROT_READ|PROT_WRITE"),
            ("evt.arg.flags", "MAP_SHARED"),
            ("fd.directory", "/tmp"),
            ("fd.filename", "e2e-mapped"),
        ],
        innocent: "
            open($f, '+>', '/tmp/e2e-mapped'); truncate($f, 4096);
            syscall(9, 0, 4096, 3, 2, fileno($f), 0) > 0 or exit 1; unlink('/tmp/e2e-mapped')",
    },
    Case {
        rule: "mmap that fails",
        condition: "evt.type = mmap and evt.failed = true",
        act: "syscall(9, 0, 4096, 5, 2, 99, 0) == -1 or exit 1",
        fields: &[("evt.res", "EBADF"), ("fd.num", "99"), ("fd.name", "null")],
        innocent: "syscall(9, 0, 4096, 1, 2, 99, 0) == -1 or exit 1",
    },
    Case {
        rule: "file-made-code",
        condition: "evt.type = mprotect and fd.name = /tmp/e2e-protected",
        act: "
            open($f, '+>', '/tmp/e2e-protected'); truncate($f, 8192);
            $a = syscall(9, 0, 8192, 1, 2, fileno($f), 0); close($f);
            syscall(10, $a + 4096, 4096, 5) == 0 or exit 1; unlink('/tmp/e2e-protected')",
        fields: &[
            ("evt.arg.prot", "PROT_READ|PROT_EXEC"),
            ("fd.type", "file"),
            ("fd.directory", "/tmp"),
            ("fd.num", "null"),
        ],
        innocent: "
            open($f, '+>', '/tmp/e2e-protected'); truncate($f, 8192);
            $a = syscall(9, 0, 8192, 1, 2, fileno($f), 0); close($f);
            syscall(10, $a, 8192, 0) == 0 or exit 1; unlink('/tmp/e2e-protected')",
    },
];

#[test]
fn mappings_on_this_host() -> Result<()> {
    skip_if!(daemon::obstacle());
    check_on_this_host(CASES)
}

#[test]
fn mappings_in_a_container() -> Result<()> {
    skip_if!(daemon::obstacle());
    skip_if!(docker::obstacle());
    let rules = ["mmap", "written-by-mapping", "file-made-code"];
    check_in_container(CASES, &rules, REPOSITORY, &[])
}
