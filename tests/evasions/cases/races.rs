//! Rows 1, 2, 5 and 21: arguments that change while the kernel reads them, or are not there.

use crate::case::{Case, exactly, some};

pub(super) const CASES: &[Case] = &[
    Case {
        row: 1,
        name: "toctou-open",
        technique: "a thread rewrites the path while another opens it",
        condition: "opened and fd.name = $D/secret",
        twin: "cat $D/benign >$D/benigm; race-open $D/benigm $D/benign 100",
        act: "cp $D/benign $D/secrev; echo fact ino $(stat -c %i $D/secret)
              box race-open $D/secret $D/secrev $ROUNDS",
        seen: &[exactly(
            "hits",
            &[
                ("fd.ino", "{ino}"),
                ("proc.name", "race-open"),
                ("container.id", "$BOX"),
            ],
        )],
        ..Case::BASE
    },
    // As passed, these names are not those of the rules, so that what is counted is what was done.
    Case {
        row: 1,
        name: "toctou-unlink",
        technique: "a thread rewrites the name while another removes it",
        condition: "evt.type in (unlink, unlinkat) and fs.path.name = $D/hidden/a",
        prepare: "mkdir $D/hidden $D/kept; ln -s hidden $D/link; ln -s kept $D/twin",
        twin: "race-names unlink $D/twin 100",
        act: "box race-names unlink $D/link $((ROUNDS / 10))",
        seen: &[exactly(
            "hits",
            &[
                ("evt.failed", "false"),
                ("proc.name", "race-names"),
                ("container.id", "$BOX"),
            ],
        )],
        ..Case::BASE
    },
    Case {
        row: 1,
        name: "toctou-rename",
        technique: "a thread rewrites the name while another renames it",
        condition: "evt.type in (rename, renameat, renameat2) and fs.path.source = $D/hidden/a",
        prepare: "mkdir $D/hidden $D/kept; ln -s hidden $D/link; ln -s kept $D/twin",
        twin: "race-names rename $D/twin 100",
        act: "box race-names rename $D/link $((ROUNDS / 10))",
        seen: &[exactly(
            "hits",
            &[
                ("evt.arg.newpath", "$D/hidden/c"),
                ("proc.name", "race-names"),
                ("container.id", "$BOX"),
            ],
        )],
        ..Case::BASE
    },
    Case {
        row: 1,
        name: "toctou-connect",
        technique: "a thread rewrites the address while another connects to it",
        condition: "evt.type = connect and fd.sport = 4101",
        twin: "race-connect 4102 4103 100",
        act: "box race-connect 4101 4103 $ROUNDS",
        seen: &[exactly(
            "hits",
            &[
                ("fd.sport", "4101"),
                ("proc.name", "race-connect"),
                ("container.id", "$BOX"),
            ],
        )],
        ..Case::BASE
    },
    Case {
        row: 2,
        name: "slow-connect",
        technique: "the address is rewritten while connect(2) blocks",
        condition: "evt.type = connect and fd.sport = 4104",
        twin: "slow-connect 4105 4106",
        // The program fills the queue by a first connection.
        act: "echo fact both 2; slow-connect 4104 4106",
        seen: &[exactly(
            "both",
            &[("fd.sport", "4104"), ("proc.name", "slow-connect")],
        )],
        ..Case::BASE
    },
    Case {
        row: 5,
        name: "dirfd-race",
        technique: "a directory's descriptor is replaced while a name below it is opened",
        condition: "opened and fd.name = $D/a/name",
        prepare: "mkdir $D/a $D/b $D/c; echo x | tee $D/a/name $D/b/name >$D/c/name",
        twin: "race-dirfd $D/b $D/c name 100",
        act: "echo fact ino $(stat -c %i $D/a/name); box race-dirfd $D/a $D/b name $ROUNDS",
        seen: &[exactly(
            "hits",
            &[("fd.ino", "{ino}"), ("container.id", "$BOX")],
        )],
        ..Case::BASE
    },
    Case {
        row: 21,
        name: "path-not-in-memory",
        technique: "the path lies in a page that is not in memory",
        condition: "opened and fd.name = $D/secret",
        prepare: r"printf '%s\000' $D/secret >$D/path; printf '%s\000' $D/benign >$D/other",
        twin: "pageout $D/other",
        act: "box pageout $D/path",
        seen: &[some(&[("fd.name", "$D/secret"), ("container.id", "$BOX")])],
        ..Case::BASE
    },
];
