//! Namespaces, ids and capabilities, and calls that only a rule's naming them turns on.

use anyhow::Result;
use monitor_tests::{daemon, docker, skip_if};

use crate::kinds::{Case, check_in_container, check_on_this_host};

const REPOSITORY: &str = "registry.example/team/namespaces";

const CASES: &[Case] = &[
    Case {
        rule: "clone",
        condition: "evt.type = clone and evt.arg.flags contains CLONE_NEWUTS",
        act: "syscall(56, 0x4000000 | 17, 0, 0, 0, 0) || syscall(231, 0); wait",
        fields: &[
            ("evt.type", "clone"),
            ("evt.arg.flags", "CLONE_NEWUTS"),
            ("evt.res", "SUCCESS"),
            ("proc.name", "perl"),
        ],
        innocent: "fork || syscall(231, 0); wait",
    },
    Case {
        rule: "clone3",
        condition: "evt.type = clone3 and evt.arg.flags contains CLONE_NEWIPC",
        act: "
            $a = pack('Q11', 0xc000000, 0, 0, 0, 17, 0, 0, 0, 0, 0, 0);
            syscall(435, $a, 88) || syscall(231, 0); wait",
        fields: &[
            ("evt.arg.flags", "CLONE_NEWIPC|CLONE_NEWUTS"),
            ("evt.res", "SUCCESS"),
        ],
        innocent: "
            $a = pack('Q11', 0x4000000, 0, 0, 0, 17, 0, 0, 0, 0, 0, 0);
            syscall(435, $a, 88) || syscall(231, 0); wait",
    },
    Case {
        rule: "clone that fails",
        condition: "evt.type = clone3 and evt.failed = true",
        act: "
            $a = pack('Q11', 0x10000200, 0, 0, 0, 17, 0, 0, 0, 0, 0, 0);
            syscall(435, $a, 88) == -1 or exit 1",
        fields: &[
            ("evt.res", "EINVAL"),
            ("evt.arg.flags", "CLONE_FS|CLONE_NEWUSER"),
        ],
        innocent: "
            $a = pack('Q11', 0x4000000, 0, 0, 0, 17, 0, 0, 0, 0, 0, 0);
            syscall(435, $a, 88) || syscall(231, 0); wait",
    },
    Case {
        rule: "setreuid",
        condition: "evt.type = setreuid and evt.arg.euid != <NONE>",
        act: "syscall(113, -1, 0) == 0 or exit 1",
        fields: &[
            ("evt.args", "res=0 ruid=<NONE> euid=root"),
            ("evt.category", "user"),
        ],
        innocent: "syscall(113, 0, -1) == 0 or exit 1",
    },
    Case {
        rule: "setregid",
        condition: "evt.type = setregid and evt.arg.egid = root",
        act: "syscall(114, -1, 0) == 0 or exit 1",
        fields: &[("evt.args", "res=0 rgid=<NONE> egid=root")],
        innocent: "syscall(114, 0, -1) == 0 or exit 1",
    },
    Case {
        rule: "setresuid",
        condition: "evt.type = setresuid and evt.arg.suid = root",
        act: "syscall(117, -1, -1, 0) == 0 or exit 1",
        fields: &[("evt.args", "res=0 ruid=<NONE> euid=<NONE> suid=root")],
        innocent: "syscall(117, -1, 0, -1) == 0 or exit 1",
    },
    Case {
        rule: "setresgid",
        condition: "evt.type = setresgid and evt.arg.sgid = root",
        act: "syscall(119, -1, -1, 0) == 0 or exit 1",
        fields: &[("evt.args", "res=0 rgid=<NONE> egid=<NONE> sgid=root")],
        innocent: "syscall(119, -1, 0, -1) == 0 or exit 1",
    },
    Case {
        rule: "setfsuid",
        condition: "evt.type = setfsuid and evt.arg.uid = root",
        act: "syscall(122, 0)",
        fields: &[("evt.args", "res=0 uid=root")],
        innocent: "syscall(122, -1)",
    },
    Case {
        rule: "setfsgid",
        condition: "evt.type = setfsgid and evt.arg.gid = root",
        act: "syscall(123, 0)",
        fields: &[("evt.args", "res=0 gid=root")],
        innocent: "syscall(123, -1)",
    },
    Case {
        rule: "capset",
        condition: "evt.type = capset and evt.res = SUCCESS",
        act: "
            $v = pack('LL', 0x20080522, 0); $s = pack('L6', 1, 1, 0, 0, 0, 0);
            syscall(126, $v, $s) == 0 or exit 1",
        fields: &[
            ("evt.arg.cap_effective", "CAP_CHOWN"),
            ("evt.arg.cap_permitted", "CAP_CHOWN"),
            ("thread.cap_effective", "CAP_CHOWN"),
        ],
        innocent: "$v = pack('LL', 0x20080522, 0); $s = pack('x24'); syscall(125, $v, $s) == 0 or exit 1",
    },
    Case {
        rule: "fchmodat2",
        condition: "evt.type = fchmodat2 and evt.arg.mode contains S_ISUID",
        act: "$f = '/nonexistent/file'; syscall(452, -100, $f, 04700, 0x100) == -1 or exit 1",
        fields: &[
            // Before 6.6 there is no such call, which is seen all the same.
            ("evt.failed", "true"),
            ("evt.arg.dirfd", "AT_FDCWD"),
            ("evt.arg.filename", "/nonexistent/file"),
            ("evt.arg.mode", "S_IXUSR|S_IWUSR|S_IRUSR|S_ISUID"),
            ("evt.arg.flags", "AT_SYMLINK_NOFOLLOW"),
        ],
        innocent: "$f = '/nonexistent/file'; syscall(452, -100, $f, 0700, 0) == -1 or exit 1",
    },
    Case {
        rule: "mount",
        condition: "evt.type = mount and evt.arg.dir startswith /nonexistent",
        act: "
            ($n, $d, $t) = ('none', '/nonexistent/x/../dir', 'tmpfs');
            syscall(165, $n, $d, $t, 6, 0) == -1 or exit 1",
        fields: &[(
            "evt.args",
            "res=ENOENT dev=none dir=/nonexistent/dir type=tmpfs flags=NOSUID|NODEV",
        )],
        innocent: "
            ($n, $d, $t) = ('none', '/neverthere', 'tmpfs');
            syscall(165, $n, $d, $t, 6, 0) == -1 or exit 1",
    },
    Case {
        rule: "kill",
        condition: "evt.type = kill and evt.arg.sig = SIGKILL",
        act: "syscall(62, 0x7ffffffe, 9) == -1 or exit 1",
        fields: &[("evt.args", "res=ESRCH pid=2147483646 sig=SIGKILL")],
        innocent: "syscall(62, 0x7ffffffe, 0) == -1 or exit 1",
    },
    Case {
        rule: "a name that is changed",
        condition: "evt.type = prctl and evt.arg.option = PR_SET_NAME",
        act: "$n = 'other'; syscall(157, 15, $n, 0, 0, 0) == 0 or exit 1",
        fields: &[("evt.arg.arg2_str", "other"), ("proc.name", "perl")],
        innocent: "syscall(157, 4, 1, 0, 0, 0) == 0 or exit 1",
    },
    Case {
        rule: "chown",
        condition: "evt.type = chown and evt.arg.uid = root",
        act: "$f = '/nonexistent/file'; syscall(92, $f, 0, -1) == -1 or exit 1",
        fields: &[(
            "evt.args",
            "res=ENOENT path=/nonexistent/file uid=root gid=<NONE>",
        )],
        innocent: "$f = '/nonexistent/file'; syscall(94, $f, 0, -1) == -1 or exit 1",
    },
    Case {
        rule: "memory that can be written and run",
        condition: "evt.type = mprotect and evt.arg.prot contains PROT_WRITE and \
                    evt.arg.prot contains PROT_EXEC",
        act: "syscall(10, 0, 4096, 7) == -1 or exit 1",
        fields: &[(
            "evt.args",
            "res=ENOMEM addr=0 length=4096 prot=PROT_READ|PROT_WRITE|PROT_EXEC",
        )],
        innocent: "syscall(10, 0, 4096, 5) == -1 or exit 1",
    },
    Case {
        rule: "a call that is in no table",
        condition: "evt.type = getcpu",
        act: "syscall(309, 0, 0, 0) == 0 or exit 1",
        fields: &[
            ("evt.type", "getcpu"),
            ("syscall.type", "getcpu"),
            ("evt.category", "other"),
            ("evt.args", "ID=getcpu nativeID=309"),
            ("evt.rawres", "0"),
        ],
        innocent: "syscall(110)",
    },
];

#[test]
fn namespaces_and_ids_on_this_host() -> Result<()> {
    skip_if!(daemon::obstacle());
    check_on_this_host(CASES)
}

#[test]
fn namespaces_in_a_container() -> Result<()> {
    skip_if!(daemon::obstacle());
    skip_if!(docker::obstacle());
    check_in_container(
        CASES,
        &["clone", "setresuid"],
        REPOSITORY,
        &["--cap-add", "SYS_ADMIN"],
    )
}
