//! Rows 3, 4, 6, 7, 8, 10, 16, 18 and 35: other ways to a file than its name.
//!
//! Busybox's shell runs `cat` as itself: where that is to be known by its name, bash starts it.

use crate::case::{Case, exactly, some};

const SECRET: &str = "opened and fd.name = $D/secret";

pub(super) const CASES: &[Case] = &[
    Case {
        row: 3,
        name: "symlink",
        technique: "symbolic links to the file and to its folder",
        condition: SECRET,
        twin: "ln -s benign $D/harmless; cat $D/harmless",
        act: "ln -s secret $D/link; ln -s ../symlink $D/folder; ln -s folder/link $D/chain
              echo fact links 3; for n in link folder/secret chain; do box cat $D/$n; done",
        seen: &[exactly(
            "links",
            &[
                ("fd.name", "$D/secret"),
                ("proc.name", "cat"),
                ("container.id", "$BOX"),
            ],
        )],
        ..Case::BASE
    },
    Case {
        row: 3,
        name: "socket-names",
        technique: "a socket by a symbolic link, a hard link and a relative name",
        condition: "evt.type = connect and fd.name = $D/socket",
        prepare: "mkdir $D/benign.d",
        twin: "families names $D/benign.d",
        act: "echo fact number 3; box families names $D",
        seen: &[exactly(
            "number",
            &[("proc.name", "families"), ("container.id", "$BOX")],
        )],
        ..Case::BASE
    },
    Case {
        row: 4,
        name: "spellings",
        technique: "ten spellings of one path",
        condition: SECRET,
        prepare: "mkdir $D/x; [ -e /dev/fd ] || ln -s /proc/self/fd /dev/fd",
        twin: "cd $D; for n in benign ./benign x/../benign /proc/self/cwd/benign; do cat $n; done",
        act: "echo fact ino $(stat -c %i $D/secret); echo fact all 10; cd $D; exec 9<$D
              for n in secret ./secret x/../secret $D//secret $D/./x/.././secret \
                  /proc/self/root$D/secret /proc/self/cwd/secret /proc/self/cwd/x/../secret \
                  /dev/fd/9/secret /proc/self/root/proc/self/cwd/secret; do cat $n; done",
        seen: &[exactly("all", &[("fd.ino", "{ino}"), ("proc.name", "cat")])],
        ..Case::BASE
    },
    Case {
        row: 6,
        name: "chroot",
        technique: "chroot, then a relative name",
        condition: SECRET,
        twin: "chroot-read $D benign",
        act: "box chroot-read $D secret",
        seen: &[some(&[
            ("proc.name", "chroot-read"),
            ("container.id", "$BOX"),
        ])],
        ..Case::BASE
    },
    Case {
        row: 6,
        name: "chroot-into-bind",
        technique: "a bind mount of the folder, chroot into it, then a relative name",
        condition: SECRET,
        prepare: "mkdir $D/root",
        twin: "chroot-read $D benign",
        act: "box unshare -m sh -c 'mount --bind $1 $1/root; exec chroot-read $1/root secret' sh $D",
        seen: &[some(&[
            ("proc.name", "chroot-read"),
            ("container.id", "$BOX"),
        ])],
        ..Case::BASE
    },
    Case {
        row: 6,
        name: "pivot-root",
        technique: "pivot_root into the folder, then a relative name",
        condition: SECRET,
        prepare: "mkdir $D/place",
        twin: "chroot-read $D benign $D/place",
        act: "box chroot-read $D secret $D/place",
        seen: &[some(&[
            ("proc.name", "chroot-read"),
            ("container.id", "$BOX"),
        ])],
        ..Case::BASE
    },
    Case {
        row: 7,
        name: "bind-mount",
        technique: "the file is mounted elsewhere, in the root file system",
        condition: "evt.type = mount and evt.arg.dev = $D/secret or opened and fd.name = $D/secret",
        prepare: "touch $D/x",
        twin: "unshare -m bash -c 'mount --bind $1/benign $1/x; cat $1/x' sh $D",
        act: "box unshare -m bash -c 'mount --bind $1/secret $1/x; cat $1/x' sh $D",
        seen: &[
            some(&[("evt.type", "mount"), ("container.id", "$BOX")]),
            some(&[
                ("fd.name", "$D/secret"),
                ("proc.name", "cat"),
                ("container.id", "$BOX"),
            ]),
        ],
        ..Case::BASE
    },
    Case {
        row: 7,
        name: "bind-mount-elsewhere",
        technique: "a file of another file system than the root's is mounted elsewhere",
        condition: "opened and evt.is_open_read = true and fd.name = $D/t/secret",
        prepare: "mkdir $D/t; touch $D/x",
        twin: "unshare -m bash -c 'mount -t tmpfs none $1/t; : >$1/t/benign; \
               mount --bind $1/t/benign $1/x; cat $1/x' sh $D",
        act: "box unshare -m bash -c 'mount -t tmpfs none $1/t; : >$1/t/secret; \
              mount --bind $1/t/secret $1/x; cat $1/x' sh $D",
        seen: &[some(&[("proc.name", "cat"), ("container.id", "$BOX")])],
        ..Case::BASE
    },
    Case {
        row: 7,
        name: "overlay-mount",
        technique: "the file's folder becomes the lower one of an overlay",
        condition: SECRET,
        prepare: "mkdir $D/t $D/place",
        twin: "cat $D/benign",
        act: "box unshare -m bash -c 'mount -t tmpfs none $1/t; mkdir $1/t/u $1/t/w; \
              mount -t overlay -o lowerdir=$1,upperdir=$1/t/u,workdir=$1/t/w none $1/place || exit 77; \
              cat $1/place/secret' sh $D",
        seen: &[some(&[("proc.name", "cat"), ("container.id", "$BOX")])],
        ..Case::BASE
    },
    Case {
        row: 8,
        name: "hard-link",
        technique: "a hard link to the file",
        condition: "evt.type in (link, linkat) and evt.arg.oldpath = $D/secret or \
                    opened and fd.ino = @ino:$D/secret@",
        twin: "ln $D/benign $D/harmless; cat $D/harmless",
        act: "box ln $D/secret $D/other; box cat $D/other",
        seen: &[
            some(&[("evt.arg.newpath", "$D/other"), ("container.id", "$BOX")]),
            some(&[("fd.name", "$D/other"), ("container.id", "$BOX")]),
        ],
        ..Case::BASE
    },
    Case {
        row: 10,
        name: "openat2",
        technique: "openat2 with RESOLVE_BENEATH",
        condition: SECRET,
        twin: "handle openat2 $D benign",
        act: "box handle openat2 $D secret",
        seen: &[some(&[("evt.type", "openat2"), ("container.id", "$BOX")])],
        ..Case::BASE
    },
    Case {
        row: 10,
        name: "open-by-handle",
        technique: "name_to_handle_at, then open_by_handle_at",
        condition: SECRET,
        twin: "handle by-handle $D/benign",
        act: "box handle by-handle $D/secret",
        seen: &[some(&[
            ("evt.type", "open_by_handle_at"),
            ("container.id", "$BOX"),
        ])],
        ..Case::BASE
    },
    Case {
        row: 10,
        name: "move-mount",
        technique: "open_tree and move_mount of the folder, then open",
        condition: "evt.type = open_tree and evt.arg.path = $D or opened and fd.name = $D/secret",
        prepare: "mkdir $D/place",
        twin: "cat $D/benign",
        act: "box unshare -m bash -c 'handle tree $1 $1/place; cat $1/place/secret' sh $D",
        seen: &[
            some(&[("evt.type", "open_tree"), ("container.id", "$BOX")]),
            some(&[("proc.name", "cat"), ("container.id", "$BOX")]),
        ],
        ..Case::BASE
    },
    Case {
        row: 10,
        name: "detached-tree",
        technique: "open_tree of the folder, then open below it, which is mounted nowhere",
        condition: SECRET,
        twin: "handle below-tree $D benign",
        act: "box handle below-tree $D secret",
        seen: &[some(&[("proc.name", "handle"), ("container.id", "$BOX")])],
        ..Case::BASE
    },
    Case {
        row: 10,
        name: "mounted-by-parts",
        technique: "a file system is mounted by fsopen, fsmount and move_mount, then a file opened in it",
        condition: "evt.type in (fsopen, fsmount, move_mount) and proc.args contains $D or \
                    opened and fd.name = $D/place/inside",
        prepare: "mkdir $D/place",
        twin: "cat $D/benign",
        act: "box unshare -m bash -c 'handle mount $1/place; : >$1/place/inside' sh $D",
        seen: &[
            some(&[("evt.type", "fsopen"), ("container.id", "$BOX")]),
            some(&[("evt.type", "fsmount"), ("container.id", "$BOX")]),
            some(&[("evt.type", "move_mount"), ("container.id", "$BOX")]),
            some(&[
                ("fd.name", "$D/place/inside"),
                ("proc.name", "bash"),
                ("container.id", "$BOX"),
            ]),
        ],
        ..Case::BASE
    },
    Case {
        row: 10,
        name: "exec-through-bind",
        technique: "a program is mounted elsewhere and run from there",
        condition: "started and proc.exepath = $P/payload and proc.args contains evade-bind",
        prepare: "touch $D/x",
        twin: "$P/payload evade-other",
        act: "box unshare -m sh -c 'mount --bind $2/payload $1/x; $1/x evade-bind' sh $D $P",
        seen: &[some(&[("container.id", "$BOX")])],
        ..Case::BASE
    },
    Case {
        row: 10,
        name: "exec-from-nowhere",
        technique: "a program of a file system that is mounted nowhere (fsmount), by the path of a trusted one",
        condition: "started and proc.args = evade-nowhere and not proc.exepath = /usr/bin/passwd",
        twin: "$P/payload twin",
        act: "box nowhere $P/payload usr/bin/passwd evade-nowhere",
        seen: &[some(&[("container.id", "$BOX")])],
        ..Case::BASE
    },
    Case {
        row: 10,
        name: "exec-below-mount",
        technique: "a program by the path of another, over which root of a user namespace mounted",
        condition: "started and proc.args = evade-below and not proc.exepath = $P/payload",
        twin: "unshare -m $P/payload evade-below; unshare -r $P/payload evade-below",
        act: "unshare -rm sh -c 'exec 3<$1/payload; mount -t tmpfs none $1 || exit 77; \
              cat <&3 >$1/payload; chmod 755 $1/payload; exec $1/payload evade-below' sh $P",
        seen: &[some(&[("container.id", "host")])],
        ..Case::BASE
    },
    Case {
        row: 16,
        name: "builtin-read",
        technique: "a shell reads the file by itself",
        condition: SECRET,
        twin: "sh -c 'read line <$1/benign' sh $D",
        act: "box sh -c 'while read line; do :; done <$1/secret' sh $D",
        seen: &[some(&[("proc.name", "sh"), ("container.id", "$BOX")])],
        ..Case::BASE
    },
    Case {
        row: 18,
        name: "deep-path",
        technique: "a file below 200 folders, of a path of 6,200 bytes",
        condition: "opened and fd.name endswith thirty-characters---/secret",
        prepare: "deep tall $D secret; deep tall $D benign",
        twin: "deep tall $D benign",
        act: "box deep tall $D secret",
        seen: &[some(&[("proc.name", "deep"), ("container.id", "$BOX")])],
        ..Case::BASE
    },
    Case {
        row: 18,
        name: "long-path",
        technique: "a passed path of 4,000 bytes",
        condition: SECRET,
        twin: "deep long $D benign",
        act: "box deep long $D secret",
        seen: &[some(&[("proc.name", "deep"), ("container.id", "$BOX")])],
        ..Case::BASE
    },
    Case {
        row: 35,
        name: "write-by-mmap",
        technique: "a file is changed through shared memory",
        condition: "opened and evt.is_open_write = true and fd.name = $D/secret",
        twin: "rewrite map $D/benign; cat $D/secret",
        act: "box rewrite map $D/secret",
        seen: &[some(&[("proc.name", "rewrite"), ("container.id", "$BOX")])],
        ..Case::BASE
    },
    Case {
        row: 35,
        name: "reopen-for-writing",
        technique: "O_PATH, then /proc/self/fd for writing",
        condition: "opened and evt.is_open_write = true and fd.name = $D/secret",
        twin: "rewrite reopen $D/benign; cat $D/secret",
        act: "box rewrite reopen $D/secret",
        seen: &[some(&[("proc.name", "rewrite"), ("container.id", "$BOX")])],
        ..Case::BASE
    },
];
