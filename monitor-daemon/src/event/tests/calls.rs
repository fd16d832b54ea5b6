//! Fields of calls that their registers tell.

use monitor_common::call::{Held, Registers};

use super::*;

/// Kind, number, arguments, event type, and all parameters as they show.
type Case = (Kind, u32, [u64; 6], &'static str, &'static str);

const AT_CWD: u64 = 0xffff_ff9c;

const CASES: &[Case] = &[
    (Kind::Identity, 105, [0; 6], "setuid", "res=0 uid=root"),
    (
        Kind::Namespace,
        308,
        [3, 0x2_0000, 0, 0, 0, 0],
        "setns",
        "res=0 fd=3 nstype=CLONE_NEWNS",
    ),
    (
        Kind::Namespace,
        272,
        [0x1002_0000, 0, 0, 0, 0, 0],
        "unshare",
        "res=0 flags=CLONE_NEWNS|CLONE_NEWUSER",
    ),
    (
        Kind::Namespace,
        272,
        [0x4002_0000, 0, 0, 0, 0, 0],
        "unshare",
        "res=0 flags=CLONE_NEWNET|CLONE_NEWNS",
    ),
    (
        Kind::Identity,
        117,
        [0, 0xffff_ffff, 7, 0, 0, 0],
        "setresuid",
        "res=0 ruid=root euid=<NONE> suid=<NA>",
    ),
    (
        Kind::Identity,
        126,
        [1, 2, 0, 0, 0, 0],
        "capset",
        "res=0 cap_inheritable=<NA> cap_permitted=<NA> cap_effective=<NA>",
    ),
    (
        Kind::Control,
        165,
        [1, 1, 1, 0x1006, 0, 0],
        "mount",
        "res=0 dev=../a dir=/etc/b type=text flags=NOSUID|NODEV|BIND",
    ),
    (
        Kind::Control,
        165,
        [1, 1, 1, 0xc0ed_1000, 0, 0],
        "mount",
        "res=0 dev=../a dir=/etc/b type=text flags=BIND",
    ),
    (
        Kind::Control,
        155,
        [0; 6],
        "pivot_root",
        "res=0 new_root=/etc/b put_old=/a",
    ),
    (
        Kind::Control,
        234,
        [9, 0xffff_ffff, 15, 0, 0, 0],
        "tgkill",
        "res=0 pid=9 tid=-1 sig=SIGTERM",
    ),
    (
        Kind::Control,
        321,
        [5, 0, 0, 0, 0, 0],
        "bpf",
        "fd=0 cmd=BPF_PROG_LOAD",
    ),
    (
        Kind::Control,
        321,
        [10, 0, 0, 0, 0, 0],
        "bpf",
        "fd=0 cmd=BPF_PROG_TEST_RUN|BPF_PROG_RUN",
    ),
    (
        Kind::Control,
        321,
        [22, 0, 0, 0, 0, 0],
        "bpf",
        "fd=0 cmd=BPF_MAP_FREEZE",
    ),
    (
        Kind::Control,
        157,
        [15, 0, 0, 0, 0, 0],
        "prctl",
        "res=0 option=PR_SET_NAME arg2_str=cat arg2_int=0",
    ),
    (
        Kind::Control,
        157,
        [4, 1, 0, 0, 0, 0],
        "prctl",
        "res=0 option=PR_SET_DUMPABLE arg2_int=1",
    ),
    (
        Kind::Call,
        260,
        [7, 0, 0, 7, 0x100, 0],
        "fchownat",
        "res=0 dirfd=<d>/etc pathname=/etc/b uid=root gid=<NA> flags=AT_SYMLINK_NOFOLLOW",
    ),
    (
        Kind::Memory,
        10,
        [0x7f00_0000_1000, 4096, 7, 0, 0, 0],
        "mprotect",
        "res=0 addr=7F0000001000 length=4096 prot=PROT_READ|PROT_WRITE|PROT_EXEC",
    ),
    (Kind::Call, 309, [0; 6], "getcpu", "ID=getcpu nativeID=309"),
    (
        Kind::Call,
        290,
        [5, 0o200_4000, 0, 0, 0, 0],
        "eventfd2",
        "res=0 initval=5 flags=O_NONBLOCK|O_CLOEXEC",
    ),
    (
        Kind::Call,
        64,
        [0, 1, 0o1000, 0, 0, 0],
        "semget",
        "res=0 key=0 nsems=1 semflg=IPC_CREAT",
    ),
    (
        Kind::Memfd,
        319,
        [0, 1, 0, 0, 0, 0],
        "memfd_create",
        "fd=<m>memfd:text name=text flags=MFD_CLOEXEC",
    ),
    (
        Kind::Remove,
        263,
        [7, 0, 0x200, 0, 0, 0],
        "unlinkat",
        "res=0 dirfd=<d>/etc name=/etc/b flags=AT_REMOVEDIR",
    ),
    (
        Kind::Rename,
        316,
        [AT_CWD, 0, 7, 0, 2, 0],
        "renameat2",
        "res=0 olddirfd=AT_FDCWD oldpath=/a newdirfd=<d>/etc newpath=/etc/b flags=RENAME_EXCHANGE",
    ),
    (
        Kind::Mode,
        452,
        [7, 0, 0o4755, 0x100, 0, 0],
        "fchmodat2",
        "res=0 dirfd=<d>/etc filename=/etc/b mode=S_IXOTH|S_IROTH|S_IXGRP|S_IRGRP|S_IXUSR|S_IWUSR|S_IRUSR|S_ISUID flags=AT_SYMLINK_NOFOLLOW",
    ),
    (
        Kind::Mkdir,
        258,
        [7, 0, 0, 0, 0, 0],
        "mkdirat",
        "res=0 dirfd=<d>/etc path=/etc/b mode=0",
    ),
];

const PATHS: [(Slot, &str); 5] = [
    (Slot::Passed, "b"),
    (Slot::Args, "text"),
    (Slot::Target, "../a"),
    (Slot::Cwd, "/srv"),
    (Slot::Base, "/etc"),
];

/// A plain file behind a descriptor, if its path is among the strings.
fn held(descriptor: u64, strings: &[(Slot, &str)]) -> Held {
    let mut held = Held::new_zeroed();
    held.socket.fd = -1;
    if strings.iter().any(|(slot, _)| *slot == Slot::Resolved) {
        held.socket.fd = descriptor as i32;
        (held.inode, held.dev, held.inode_mode) = (77, 0xfe0_0001, 0o100_644);
    }
    held
}

fn call(kind: Kind, syscall: u32, args: [u64; 6], strings: &[(Slot, &str)]) -> Vec<u8> {
    let body = Registers {
        ret: 0,
        args,
        syscall,
        reserved: 0,
        held: held(args[0], strings),
    };
    bytes(kind, child_of(3, 4, "cat"), &body, strings)
}

#[test]
fn calls_of_registers_show_their_parameters() {
    for (kind, syscall, args, name, shown) in CASES {
        let record = call(*kind, *syscall, *args, &PATHS);
        check(&record, &[("evt.type", name), ("evt.args", shown)]);
    }
}

#[test]
fn both_names_of_a_rename_are_read_as_resolved() {
    let strings = [
        (Slot::Resolved, "/srv/b"),
        (Slot::Passed, "/link/b"),
        (Slot::Target, "/link/../a"),
        (Slot::TargetResolved, "/etc/a"),
    ];
    let views = [
        (View::Passed, "/a", "/link/b"),
        (View::Resolved, "/etc/a", "/srv/b"),
    ];
    for (view, old, new) in views {
        let expected = [
            ("evt.arg.oldpath", old),
            ("evt.arg.newpath", new),
            ("fs.path.source", old),
            ("fs.path.target", new),
            ("fs.path.sourceraw", "/link/../a"),
        ];
        let record = call(Kind::Rename, 82, [0; 6], &strings);
        check_in(&record, None, view, &expected);
    }
}

#[test]
fn a_clone_is_its_caller_s() {
    let clone = |syscall| {
        let args = [0x1002_0000, 0, 0, 0, 0, 0];
        call(Kind::Clone, syscall, args, &[])
    };
    for (syscall, name) in [(56, "clone"), (435, "clone3"), (0, "clone")] {
        let expected = [
            ("evt.type", name),
            ("evt.arg.flags", "CLONE_NEWNS|CLONE_NEWUSER"),
            ("proc.pid", "4"),
            ("evt.res", "SUCCESS"),
        ];
        check(&clone(syscall), &expected);
    }
}

#[test]
fn calls_on_paths_have_them_as_fields() {
    check(
        &call(Kind::Rename, 316, [0; 6], &PATHS),
        &[
            ("fs.path.source", "/a"),
            ("fs.path.sourceraw", "../a"),
            ("fs.path.target", "/etc/b"),
            ("fs.path.name", "missing"),
            ("evt.abspath[src]", "/a"),
            ("evt.abspath[dst]", "/etc/b"),
        ],
    );
    check(
        &call(Kind::Control, 165, [0; 6], &PATHS),
        &[
            ("fs.path.source", "../a"),
            ("fs.path.target", "/etc/b"),
            ("fs.path.name", "missing"),
        ],
    );
    check(
        &call(Kind::Call, 92, [0; 6], &PATHS),
        &[("fs.path.name", "/etc/b"), ("fs.path.source", "missing")],
    );
    check(
        &call(Kind::Remove, 263, [0; 6], &PATHS),
        &[("fs.path.name", "/etc/b"), ("fs.path.nameraw", "b")],
    );
    check(
        &call(
            Kind::Mode,
            91,
            [5, 0, 0, 0, 0, 0],
            &[(Slot::Resolved, "/x")],
        ),
        &[("evt.arg.fd", "<f>/x"), ("fs.path.name", "/x")],
    );
}

#[test]
fn a_module_has_its_file_and_parameters() {
    let mut task = child_of(3, 4, "cat");
    task.cap_effective = 1 << 16;
    let body = Registers {
        ret: -8,
        args: [5, 0, 4, 0, 0, 0],
        syscall: 313,
        reserved: 0,
        held: held(5, &[(Slot::Resolved, "/tmp/x.ko")]),
    };
    let strings = [(Slot::Resolved, "/tmp/x.ko"), (Slot::Args, "a=1 b")];
    let record = bytes(Kind::Module, task, &body, &strings);
    check(
        &record,
        &[
            ("evt.type", "finit_module"),
            ("evt.res", "ENOEXEC"),
            ("evt.rawres", "-8"),
            ("fd.num", "5"),
            ("fd.name", "/tmp/x.ko"),
            ("evt.arg.fd", "<f>/tmp/x.ko"),
            ("evt.arg.uargs", "a=1 b"),
            ("evt.arg.flags", "MODULE_INIT_COMPRESSED_FILE"),
            ("thread.cap_effective", "CAP_SYS_MODULE"),
        ],
    );
    let body = Registers {
        syscall: 175,
        args: [4096, 70, 0, 0, 0, 0],
        held: held(0, &[]),
        ..body
    };
    check(
        &bytes(Kind::Module, task, &body, &[]),
        &[
            ("evt.type", "init_module"),
            ("evt.arg.length", "70"),
            ("evt.arg.uargs", "<NA>"),
            ("fd.name", "missing"),
            ("fd.num", "missing"),
        ],
    );
}

#[test]
fn a_call_on_a_descriptor_has_its_file() {
    let write = |path| call(Kind::Call, 1, [5, 0, 0, 0, 0, 0], &[(Slot::Resolved, path)]);
    let file = [
        ("evt.type", "write"),
        ("evt.arg.fd", "<f>/etc/motd"),
        ("fd.num", "5"),
        ("fd.type", "file"),
        ("fd.name", "/etc/motd"),
        ("fd.directory", "/etc"),
        ("fd.filename", "motd"),
        ("fd.ino", "77"),
        ("fd.dev.major", "254"),
        ("fd.uid", "45"),
        ("fd.l4proto", "missing"),
        ("fd.sip", "missing"),
        ("fd.is_server", "missing"),
    ];
    check(&write("/etc/motd"), &file);
    let others = [
        ("memfd:x", "memfd", "memfd:x"),
        ("[eventfd]", "event", "[eventfd]"),
        ("[perf_event]", "missing", "[perf_event]"),
    ];
    for (path, kind, name) in others {
        check(&write(path), &[("fd.type", kind), ("fd.name", name)]);
    }
    let pathless = call(Kind::Call, 1, [5, 0, 0, 0, 0, 0], &[]);
    let nothing = [
        ("fd.num", "missing"),
        ("fd.name", "missing"),
        ("evt.arg.fd", "5"),
    ];
    check(&pathless, &nothing);
}

#[test]
fn a_file_from_another_process_has_its_path_and_descriptor() {
    let came = |ret, inode_mode| {
        let body = Open {
            ret,
            inode: 77,
            dev: 8 << 20 | 1,
            flags: 2,
            inode_mode,
            ..Open::new_zeroed()
        };
        let path = [(Slot::Resolved, "/etc/shadow")];
        bytes(Kind::Passed, task(4, "cat"), &body, &path)
    };
    check(
        &came(5, 0o100_600),
        &[
            ("evt.type", "fd_receive"),
            ("evt.category", "file"),
            ("evt.res", "SUCCESS"),
            ("fd.num", "5"),
            ("fd.name", "/etc/shadow"),
            ("fd.type", "file"),
            ("fd.directory", "/etc"),
            ("fd.filename", "shadow"),
            ("fd.ino", "77"),
            ("evt.is_open_read", "false"),
            (
                "evt.args",
                "fd=<f>/etc/shadow name=/etc/shadow flags=O_RDWR dev=2049 ino=77",
            ),
        ],
    );
    check(&came(5, 0o010_600), &[("fd.type", "pipe")]);
    check(&came(5, 0o140_777), &[("fd.type", "missing")]);
    check(
        &came(-24, 0o100_600),
        &[
            ("evt.res", "EMFILE"),
            ("fd.num", "-1"),
            ("fd.name", "/etc/shadow"),
        ],
    );
}
