//! Rows 19, 24, 25, 29, 30 and 36: containers that are left or nested, and the kernel's own
//! switches.

use crate::case::{Case, exactly, some};

pub(super) const CASES: &[Case] = &[
    Case {
        row: 19,
        name: "flood",
        technique: "a flood of opens in a container, needles in it and on the host",
        condition: "started and proc.exepath = $D/payload",
        prepare: "cp $P/payload $D/payload",
        twin: "spawn 10 $P/payload",
        act: "echo fact number $NEEDLES; box flood $D/benign 60 $D/over &
              spawn $NEEDLES $D/payload; box spawn $NEEDLES $D/payload; : >$D/over; wait",
        seen: &[
            exactly(
                "number",
                &[("proc.pname", "spawn"), ("container.id", "host")],
            ),
            exactly(
                "number",
                &[("proc.pname", "spawn"), ("container.id", "$BOX")],
            ),
        ],
        ..Case::BASE
    },
    Case {
        row: 24,
        name: "leaves-its-cgroup",
        technique: "a shell in a container moves to the root cgroup and reads the file",
        condition: "evt.type = cgroup_move and evt.arg.source = $BOX or \
                    opened and fd.name = $D/secret",
        twin: "cat $D/benign",
        act: "box sh -c 'echo 0 >$1/cgroup.procs; read x <$2/secret' sh $CGROUPS $D",
        seen: &[
            some(&[("evt.type", "cgroup_move"), ("container.id", "$BOX")]),
            some(&[
                ("fd.name", "$D/secret"),
                ("proc.name", "sh"),
                ("container.id", "$BOX"),
            ]),
        ],
        ..Case::BASE
    },
    Case {
        row: 24,
        name: "forks-into-cgroup",
        technique: "a process is forked straight into the root cgroup (CLONE_INTO_CGROUP)",
        condition: "evt.type = cgroup_move and evt.arg.source = $BOX or \
                    opened and fd.name = $D/secret",
        twin: "into-cgroup $CGROUPS /bin/cat $D/benign",
        act: "box into-cgroup $CGROUPS /bin/cat $D/secret",
        seen: &[
            some(&[("evt.type", "cgroup_move"), ("container.id", "$BOX")]),
            some(&[
                ("fd.name", "$D/secret"),
                ("proc.name", "cat"),
                ("container.id", "$BOX"),
            ]),
        ],
        ..Case::BASE
    },
    Case {
        row: 24,
        name: "enters-from-host",
        technique: "a process of the host enters another mount namespace",
        condition: "evt.type = setns and proc.name = nsenter",
        twin: "$P/payload",
        act: "unshare -m sleep 60 & holder=$!; nsenter -t $holder -m cat $D/secret; kill $holder",
        seen: &[some(&[("container.id", "host")])],
        ..Case::BASE
    },
    Case {
        row: 25,
        name: "nested-cgroups",
        technique: "a process five cgroups below its container's",
        condition: "opened and fd.name = $D/secret",
        twin: "cat $D/benign",
        act: "box sh -c 'mkdir -p $1/a/b/c/d/e; echo 0 >$1/a/b/c/d/e/cgroup.procs; read x <$2/secret' \
              sh $BOX_CGROUP $D",
        seen: &[some(&[("proc.name", "sh"), ("container.id", "$BOX")])],
        ..Case::BASE
    },
    Case {
        row: 25,
        name: "crowded-cgroups",
        technique: "a container makes so many cgroups that its own is forgotten, again and again",
        condition: "opened and fd.name = $D/secret",
        twin: "cat $D/benign",
        act: "mkdir $BOX_CGROUP/init; cd $BOX_CGROUP/init; echo fact number 30
              (echo 0 >cgroup.procs; exec sh -c 'for n in $(seq 30); do cat $1/secret
              seq 2000 3100 | xargs mkdir; seq 2000 3100 | xargs rmdir; done' sh $D)",
        seen: &[exactly("number", &[("container.id", "$BOX")])],
        ..Case::BASE
    },
    Case {
        row: 29,
        name: "ftrace-off",
        technique: "kernel.ftrace_enabled is set to 0, then the file is opened",
        condition: "opened and evt.is_open_write = true and fd.name = /proc/sys/kernel/ftrace_enabled \
                    or opened and fd.name = $D/secret",
        twin: "cat /proc/sys/kernel/ftrace_enabled $D/benign",
        act: "[ -e /proc/sys/kernel/ftrace_enabled ] || exit 77
              sh -c 'echo 0 >/proc/sys/kernel/ftrace_enabled'; cat $D/secret
              sh -c 'echo 1 >/proc/sys/kernel/ftrace_enabled' || true",
        seen: &[
            some(&[
                ("fd.name", "/proc/sys/kernel/ftrace_enabled"),
                ("proc.name", "sh"),
            ]),
            some(&[("fd.name", "$D/secret"), ("proc.name", "cat")]),
        ],
        ..Case::BASE
    },
    Case {
        row: 30,
        name: "own-bpf",
        technique: "a BPF program is loaded that drops packets (XDP)",
        condition: "evt.type = bpf and evt.arg.cmd in (BPF_PROG_LOAD, BPF_LINK_CREATE) and \
                    proc.exepath = $P/bpf",
        twin: "$P/payload",
        act: "box unshare -n bpf xdp",
        seen: &[
            some(&[("evt.arg.cmd", "BPF_PROG_LOAD"), ("container.id", "$BOX")]),
            some(&[("evt.arg.cmd", "BPF_LINK_CREATE"), ("container.id", "$BOX")]),
        ],
        ..Case::BASE
    },
    Case {
        row: 36,
        name: "module",
        technique: "a module is tried to be loaded, which the kernel refuses",
        condition: "evt.type in (init_module, finit_module) and proc.args contains $D/x.ko",
        prepare: "echo no module >$D/x.ko; echo no module >$D/y.ko",
        twin: "busybox insmod $D/y.ko 2>/dev/null; true",
        // It is none, which the kernel finds out after it was told to load it.
        act: "box busybox insmod $D/x.ko 2>/dev/null; true",
        seen: &[some(&[("evt.failed", "true"), ("container.id", "$BOX")])],
        ..Case::BASE
    },
    Case {
        row: 36,
        name: "module-loaded",
        technique: "a module is loaded, and removed again",
        condition: "evt.type in (finit_module, delete_module) and evt.failed = false",
        twin: "busybox insmod /dev/null 2>/dev/null; true",
        act: "[ -n \"$MODULES\" ] || exit 77; box insmod $MODULES/dummy.ko && box rmmod dummy",
        seen: &[
            some(&[
                ("evt.type", "finit_module"),
                ("fd.name", "/modules/dummy.ko"),
                ("container.id", "$BOX"),
            ]),
            some(&[("evt.type", "delete_module"), ("container.id", "$BOX")]),
        ],
        ..Case::BASE
    },
];
