//! Rows 12 to 15, 17, 18, 20, 22, 23, 25 and 26: who a process is, and what it runs.

use crate::case::{Case, Place, exactly, own, some};

const PAYLOAD: &str = "started and proc.exepath = $D/payload";
const COPY: &str = "cp $P/payload $D/payload";

pub(super) const CASES: &[Case] = &[
    Case {
        row: 12,
        name: "argv0",
        technique: "exec under another first argument",
        condition: PAYLOAD,
        prepare: COPY,
        twin: "called sshd $P/payload",
        act: "box called sshd $D/payload",
        seen: &[some(&[
            ("proc.exe", "sshd"),
            ("proc.exepath", "$D/payload"),
            ("container.id", "$BOX"),
        ])],
        ..Case::BASE
    },
    Case {
        row: 12,
        name: "argv-rewritten",
        technique: "arguments and name are rewritten in place, then a file is opened",
        condition: "opened and fd.name = $D/secret and proc.exepath = $P/disguise",
        twin: "disguise $D/benign",
        act: "box disguise $D/secret",
        seen: &[some(&[
            ("proc.args", "$D/secret"),
            ("container.id", "$BOX"),
        ])],
        ..Case::BASE
    },
    Case {
        row: 12,
        name: "arguments-moved",
        technique: "the kernel is told that the arguments are elsewhere (PR_SET_MM_MAP)",
        condition: "opened and fd.name = $D/secret and proc.exepath = $P/disguise",
        twin: "disguise $D/benign moved",
        act: "box disguise $D/secret moved",
        seen: &[some(&[
            ("proc.args", "$D/secret moved"),
            ("container.id", "$BOX"),
        ])],
        ..Case::BASE
    },
    Case {
        row: 12,
        name: "rewritten-before",
        technique: "arguments and name are rewritten before the daemon starts: it is told by its program",
        condition: "opened and fd.name = $D/secret and proc.exepath = $P/disguise",
        twin: "disguise $D/benign",
        act: "daemon_stop; box disguise $D/secret $D/go & elder=$!
              until grep -qs '^xxxxxxxx' /proc/[0-9]*/cmdline; do sleep 0.1; done
              daemon_start; : >$D/go; wait $elder",
        seen: &[some(&[("container.id", "$BOX")])],
        place: Place::Alone,
        ..Case::BASE
    },
    Case {
        row: 12,
        name: "renamed",
        technique: "a program calls itself by the name that a rule excepts (PR_SET_NAME)",
        condition: "opened and fd.name = $D/secret and not proc.name in (sshd)",
        twin: "cp $P/disguise $D/sshd; $D/sshd $D/secret",
        act: "box disguise $D/secret",
        seen: &[some(&[("proc.name", "disguise"), ("container.id", "$BOX")])],
        ..Case::BASE
    },
    Case {
        row: 13,
        name: "exec-symlink",
        technique: "exec through a symbolic link with a trusted name",
        condition: PAYLOAD,
        prepare: COPY,
        twin: "ln -s $P/payload $D/harmless; $D/harmless",
        act: "ln -s payload $D/kworker; box $D/kworker",
        seen: &[some(&[
            ("proc.exepath", "$D/payload"),
            ("container.id", "$BOX"),
        ])],
        ..Case::BASE
    },
    Case {
        row: 13,
        name: "exec-hard-link",
        technique: "exec of a hard link with a trusted name",
        condition: "started and proc.exe_ino = @ino:$D/payload@",
        prepare: COPY,
        twin: "cp $P/payload $D/harmless; $D/harmless",
        act: "ln $D/payload $D/kworker; box $D/kworker",
        seen: &[some(&[
            ("proc.exepath", "$D/kworker"),
            ("container.id", "$BOX"),
        ])],
        ..Case::BASE
    },
    Case {
        row: 14,
        name: "memfd-exec",
        technique: "exec of anonymous memory (memfd, fexecve)",
        condition: "started and proc.is_exe_from_memfd = true and proc.args = evade-memfd",
        twin: "$P/payload evade-memfd",
        act: "box fileless memfd $P/payload evade-memfd",
        seen: &[some(&[("container.id", "$BOX")])],
        ..Case::BASE
    },
    Case {
        row: 14,
        name: "deleted-exec",
        technique: "exec of a file whose name was removed before",
        condition: "started and proc.exepath startswith $D/gone",
        prepare: "cp $P/payload $D/gone; cp $P/payload $D/kept",
        twin: "fileless deleted $D/kept",
        act: "box fileless deleted $D/gone",
        seen: &[some(&[("container.id", "$BOX")])],
        ..Case::BASE
    },
    Case {
        row: 15,
        name: "loader",
        technique: "a copy of ld.so runs the program",
        condition: "opened and fd.name = $D/payload",
        prepare: "cp $P/payload $D/payload; cp /lib64/ld-linux-x86-64.so.2 $D/loader",
        twin: "$D/loader $P/payload; $D/payload",
        act: "box $D/loader $D/payload",
        seen: &[some(&[
            ("proc.exepath", "$D/loader"),
            ("container.id", "$BOX"),
        ])],
        ..Case::BASE
    },
    Case {
        row: 15,
        name: "shebang",
        technique: "a script with an interpreter",
        condition: "started and proc.cmdline contains $D/script",
        prepare: r"printf '#!%s\n' $P/payload | tee $D/script >$D/harmless; chmod 755 $D/script $D/harmless",
        twin: "$D/harmless",
        act: "box $D/script one",
        seen: &[some(&[
            ("proc.exepath", "$P/payload"),
            ("proc.args", "$D/script one"),
            ("container.id", "$BOX"),
        ])],
        ..Case::BASE
    },
    Case {
        row: 15,
        name: "interpreter",
        technique: "an interpreter opens the file",
        condition: "opened and fd.name = $D/secret",
        twin: r"awk 'BEGIN { getline line < ARGV[1] }' $D/benign",
        act: r"box awk 'BEGIN { getline line < ARGV[1] }' $D/secret",
        seen: &[some(&[("proc.name", "awk"), ("container.id", "$BOX")])],
        ..Case::BASE
    },
    Case {
        row: 15,
        name: "one-line-program",
        technique: "an interpreter is given its program as an argument (perl -e)",
        condition: "opened and fd.name = $D/secret or \
                    started and proc.name = perl and proc.args contains $D/secret",
        twin: "perl -e 'open F, shift and <F> or exit 1' $D/benign",
        act: "box perl -e 'open F, shift and <F> or exit 1' $D/secret",
        seen: &[
            some(&[("evt.type", "execve"), ("container.id", "$BOX")]),
            some(&[
                ("fd.name", "$D/secret"),
                ("proc.name", "perl"),
                ("container.id", "$BOX"),
            ]),
        ],
        ..Case::BASE
    },
    Case {
        row: 17,
        name: "inject-ptrace",
        technique: "another process's memory is changed by ptrace",
        condition: "evt.type = ptrace and evt.arg.request = PTRACE_ATTACH and proc.exepath = $P/inject",
        twin: "$P/payload",
        act: "box inject ptrace",
        seen: &[some(&[
            ("evt.rawarg.pid", "{target}"),
            ("container.id", "$BOX"),
        ])],
        ..Case::BASE
    },
    Case {
        row: 17,
        name: "inject-vm-write",
        technique: "another process's memory is changed by process_vm_writev",
        condition: "evt.type = process_vm_writev and proc.exepath = $P/inject",
        twin: "$P/payload",
        act: "box inject vm",
        seen: &[some(&[
            ("evt.rawarg.pid", "{target}"),
            ("container.id", "$BOX"),
        ])],
        ..Case::BASE
    },
    Case {
        row: 17,
        name: "inject-mem-file",
        technique: "another process's memory is changed through /proc/PID/mem",
        condition: "opened and evt.is_open_write = true and fd.name startswith /proc/ and \
                    fd.name endswith /mem and proc.exepath = $P/inject",
        twin: "head -c 0 /proc/self/mem",
        act: "box inject mem",
        seen: &[some(&[
            ("fd.name", "/proc/{target}/mem"),
            ("container.id", "$BOX"),
        ])],
        ..Case::BASE
    },
    Case {
        row: 18,
        name: "long-argv",
        technique: "a marker behind 128 KiB of arguments",
        condition: "started and proc.args endswith evade-last",
        twin: "$P/payload $(head -c 131000 /dev/zero | tr '\\0' x) evade-other",
        act: "box $P/payload $(head -c 131000 /dev/zero | tr '\\0' x) evade-last",
        seen: &[some(&[
            ("proc.exepath", "$P/payload"),
            ("container.id", "$BOX"),
        ])],
        ..Case::BASE
    },
    Case {
        row: 20,
        name: "exhausted-state",
        technique: "many short processes, then one that is older acts",
        condition: "opened and fd.name = $D/secret",
        prepare: "box sh -c 'until [ -e $1/go ]; do sleep 1; done; read x <$1/secret; : >$1/done' \
                  elder $D &",
        twin: "spawn 100; cat $D/benign",
        act: "spawn $SPAWNS; : >$D/go; until [ -e $D/done ]; do sleep 1; done",
        seen: &[some(&[
            ("proc.name", "sh"),
            ("proc.exe", "sh"),
            ("container.id", "$BOX"),
        ])],
        ..Case::BASE
    },
    Case {
        row: 20,
        name: "forgotten-open",
        technique: "an open waits until thousands of others were begun, by itself and through io_uring",
        condition: "opened and fd.name = $D/secret",
        prepare: "mkfifo $D/pipe",
        twin: "lease $D/benign $D/pipe cat $D/benign",
        act: "box lease $D/secret $D/pipe cat $D/secret
              box lease $D/secret $D/pipe uring --async open $D/secret",
        seen: &[
            some(&[("proc.name", "cat"), ("container.id", "$BOX")]),
            some(&[("proc.name", "uring"), ("container.id", "$BOX")]),
        ],
        ..Case::BASE
    },
    Case {
        row: 20,
        name: "forgotten-asker",
        technique: "a name is asked for through a connection, once thousands of others were begun",
        condition: "evt.type = dns and dns.question.name = asked.evade.test and container.id = $BOX",
        twin: "asker 0",
        act: "box asker 8000; await '\"lost.kinds\":\"dns:'",
        seen: &[own(
            "Monitor internal: events lost",
            &[("container.id", "$BOX"), ("lost.kinds", "dns:1")],
        )],
        ..Case::BASE
    },
    Case {
        row: 22,
        name: "int80-open",
        technique: "a 32-bit open by a 64-bit program (int 0x80)",
        condition: "opened and fd.name = $D/secret",
        twin: "int80 open $D/benign",
        act: "box int80 open $D/secret",
        seen: &[some(&[("proc.name", "int80"), ("container.id", "$BOX")])],
        ..Case::BASE
    },
    Case {
        row: 22,
        name: "int80-unlink",
        technique: "a 32-bit unlink",
        condition: "evt.type in (unlink, unlinkat) and fs.path.name = $D/secret",
        twin: "int80 unlink $D/benign",
        act: "box int80 unlink $D/secret",
        seen: &[some(&[("proc.name", "int80"), ("container.id", "$BOX")])],
        ..Case::BASE
    },
    Case {
        row: 22,
        name: "int80-connect",
        technique: "a 32-bit connect",
        condition: "evt.type = connect and fd.sport = 4115",
        twin: "int80 connect 4116",
        act: "box int80 connect 4115",
        seen: &[some(&[("proc.name", "int80"), ("container.id", "$BOX")])],
        ..Case::BASE
    },
    Case {
        row: 22,
        name: "int80-socketcall",
        technique: "connect through the 32-bit socketcall(2)",
        condition: "evt.type = connect and fd.sport = 4117",
        twin: "int80 socketcall 4118",
        act: "box int80 socketcall 4117",
        seen: &[some(&[("proc.name", "int80"), ("container.id", "$BOX")])],
        ..Case::BASE
    },
    Case {
        row: 22,
        name: "x32-open",
        technique: "an open by a call of x32, the ABI with short pointers",
        condition: "opened and fd.name = $D/secret",
        twin: "x32 $D/benign || [ $? = 77 ]",
        act: "box x32 $D/secret",
        seen: &[some(&[("proc.name", "x32"), ("container.id", "$BOX")])],
        ..Case::BASE
    },
    Case {
        row: 23,
        name: "short-lived",
        technique: "processes that end at once, as fast as they can be started",
        condition: PAYLOAD,
        prepare: COPY,
        twin: "spawn 10 $P/payload",
        act: "echo fact number $SHORT; box spawn $SHORT $D/payload",
        seen: &[exactly(
            "number",
            &[
                ("proc.pname", "spawn"),
                ("proc.exepath", "$D/payload"),
                ("container.id", "$BOX"),
            ],
        )],
        ..Case::BASE
    },
    Case {
        row: 26,
        name: "pid-reuse",
        technique: "a process gets the number of one that ended",
        condition: "opened and fd.name = $D/secret",
        twin: "reuse $P/payload $D/benign",
        act: "box reuse $P/payload $D/secret",
        seen: &[some(&[
            ("proc.pid", "{pid}"),
            ("proc.exepath", "$P/reuse"),
            ("proc.pname", "reuse"),
            ("container.id", "$BOX"),
        ])],
        ..Case::BASE
    },
];
