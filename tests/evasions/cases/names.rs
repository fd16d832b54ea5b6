//! Row 9: every way to give and take a name.

use crate::case::{Case, exactly, some};

pub(super) const CASES: &[Case] = &[
    Case {
        row: 9,
        name: "rename-exchange",
        technique: "two files change places (RENAME_EXCHANGE)",
        condition: "evt.type = renameat2 and evt.arg.newpath = $D/secret",
        prepare: "echo x >$D/decoy",
        twin: "names exchange $D/decoy $D/benign",
        act: "box names exchange $D/decoy $D/secret",
        seen: &[some(&[
            ("evt.arg.oldpath", "$D/decoy"),
            ("container.id", "$BOX"),
        ])],
        ..Case::BASE
    },
    Case {
        row: 9,
        name: "rename-whiteout",
        technique: "a rename that leaves a whiteout (RENAME_WHITEOUT)",
        condition: "evt.type = renameat2 and evt.arg.oldpath = $D/secret",
        twin: "names whiteout $D/benign $D/kept",
        act: "box names whiteout $D/secret $D/away",
        seen: &[some(&[
            ("evt.arg.newpath", "$D/away"),
            ("container.id", "$BOX"),
        ])],
        ..Case::BASE
    },
    Case {
        row: 9,
        name: "rename-over",
        technique: "rename over the file",
        condition: "evt.type in (rename, renameat, renameat2) and evt.arg.newpath = $D/secret",
        prepare: "echo x >$D/decoy; echo x >$D/other",
        twin: "mv -f $D/other $D/benign",
        act: "box mv -f $D/decoy $D/secret",
        seen: &[some(&[
            ("evt.arg.oldpath", "$D/decoy"),
            ("container.id", "$BOX"),
        ])],
        ..Case::BASE
    },
    Case {
        row: 9,
        name: "tmpfile-link",
        technique: "a file without a name (O_TMPFILE) gets one",
        condition: "evt.type = linkat and evt.arg.newpath = $D/named",
        twin: "names tmpfile $D $D/harmless",
        act: "box names tmpfile $D $D/named",
        seen: &[some(&[("proc.name", "names"), ("container.id", "$BOX")])],
        ..Case::BASE
    },
    Case {
        row: 9,
        name: "unlinkat-rmdir",
        technique: "unlinkat as rmdir (AT_REMOVEDIR)",
        condition: "evt.type = unlinkat and evt.arg.name = $D/folder",
        prepare: "mkdir $D/folder $D/kept",
        twin: "names rmdir $D/kept",
        act: "box names rmdir $D/folder",
        seen: &[some(&[("proc.name", "names"), ("container.id", "$BOX")])],
        ..Case::BASE
    },
    Case {
        row: 9,
        name: "unlink-relative",
        technique: "unlink of a relative name",
        condition: "evt.type in (unlink, unlinkat) and fs.path.name = $D/secret",
        twin: "cd $D; rm benign",
        act: "cd $D; box rm secret",
        seen: &[some(&[("proc.name", "rm"), ("container.id", "$BOX")])],
        ..Case::BASE
    },
    Case {
        row: 9,
        name: "names-through-link",
        technique: "unlink, rename, mkdir, chmod and truncate in a folder by a symbolic link to it",
        condition: "evt.type in (unlink, unlinkat, rename, renameat, renameat2, mkdir, mkdirat, chmod, \
                    fchmodat, truncate) and evt.args contains $D/folder/",
        prepare: "mkdir $D/folder $D/kept; ln -s folder $D/link; ln -s kept $D/twin
                  for n in folder kept; do echo x | tee $D/$n/a $D/$n/b >$D/$n/c; done",
        twin: "names change $D/twin",
        act: "echo fact calls 5; box names change $D/link",
        seen: &[exactly(
            "calls",
            &[
                ("evt.failed", "false"),
                ("proc.name", "names"),
                ("container.id", "$BOX"),
            ],
        )],
        ..Case::BASE
    },
    Case {
        row: 9,
        name: "uring-through-link",
        technique: "the same through io_uring: unlink, rename and mkdir",
        condition: "evt.type in (unlink, unlinkat, rename, renameat, renameat2, mkdir, mkdirat) and \
                    evt.args contains $D/folder/",
        prepare: "mkdir $D/folder $D/kept; ln -s folder $D/link; ln -s kept $D/twin
                  for n in folder kept; do echo x | tee $D/$n/a >$D/$n/b; done",
        twin: "uring unlink $D/twin/a; uring rename $D/twin/b $D/twin/d; uring mkdir $D/twin/e",
        act: "echo fact calls 3; box uring unlink $D/link/a; box uring rename $D/link/b $D/link/d
              box uring mkdir $D/link/e",
        seen: &[exactly(
            "calls",
            &[
                ("evt.failed", "false"),
                ("proc.name", "uring"),
                ("container.id", "$BOX"),
            ],
        )],
        ..Case::BASE
    },
];
