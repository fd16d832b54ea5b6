//! Calls that change what is at a path.

use std::fs::File;
use std::os::fd::AsRawFd as _;

use monitor_common::call::Registers;
use monitor_common::{Kind, Slot};
use monitor_daemon::probe::Tier;
use monitor_daemon::record::Body;
use rustix::fs::{AtFlags, CWD, Mode, RenameFlags};

use crate::support::{Watch, on_each_tier};

const HERE: &str = env!("CARGO_MANIFEST_DIR");
const AT_REMOVEDIR: u64 = 0x200;
/// Registers that the call does not have, or that hold pointers.
const ANY: u64 = u64::MAX - 1;

/// A call, as its record must tell it.
struct Case<'a> {
    kind: Kind,
    /// C libraries differ in the call they make of the same function.
    calls: &'a [(u32, [u64; 6])],
    ret: i64,
    strings: &'a [(Slot, &'a str)],
    /// What the object tier has besides.
    resolved: &'a [(Slot, &'a str)],
}

#[test]
fn paths() {
    let kinds = [Kind::Mkdir, Kind::Rename, Kind::Mode, Kind::Remove];
    on_each_tier(&kinds, |watch| {
        let keep = tempfile::tempdir().unwrap();
        let folder = keep.path().canonicalize().unwrap();
        let folder = folder.to_str().unwrap();
        let at = File::open(folder).unwrap();
        watch.forget();
        act(&at, folder);
        expect(watch, &at, folder);
    });
}

fn act(at: &File, folder: &str) {
    rustix::fs::mkdirat(at, "made", Mode::from(0o711)).unwrap();
    rustix::fs::renameat(at, "made", CWD, format!("{folder}/moved")).unwrap();
    rustix::fs::renameat_with(at, "moved", at, "again", RenameFlags::NOREPLACE).unwrap();
    rustix::fs::chmodat(at, "again", Mode::from(0o750), AtFlags::empty()).unwrap();
    rustix::fs::fchmod(at, Mode::from(0o700)).unwrap();
    rustix::fs::unlinkat(at, "again", AtFlags::REMOVEDIR).unwrap();
    assert!(rustix::fs::unlinkat(at, "none", AtFlags::empty()).is_err());
}

fn expect(watch: &mut Watch, at: &File, folder: &str) {
    let fd = at.as_raw_fd() as u64;
    let cwd = 0xffff_ff9c;
    let moved = format!("{folder}/moved");
    let start = [(Slot::Cwd, HERE), (Slot::Base, folder)];
    let below = |name| [&[(Slot::Passed, name)][..], &start].concat();
    let from = |name| [(Slot::Target, name), (Slot::TargetBase, folder)];
    let renamed = [[(Slot::Passed, &*moved), (Slot::Cwd, HERE)], from("made")].concat();
    let again = [&below("again")[..], &from("moved")].concat();
    let mode = [
        (268, [fd, ANY, 0o750, ANY, ANY, ANY]),
        (452, [fd, ANY, 0o750, 0, ANY, ANY]),
    ];
    let rename = [
        (264, [fd, ANY, cwd, ANY, ANY, ANY]),
        (316, [fd, ANY, cwd, ANY, 0, ANY]),
    ];
    let one = |number, args| [(number, args)];
    let mut expect = |kind, calls: &[_], ret, strings: &[_], resolved: &[_]| {
        let case = Case {
            kind,
            calls,
            ret,
            strings,
            resolved,
        };
        check(watch, &case);
    };
    let (as_made, as_again) = (format!("{folder}/made"), format!("{folder}/again"));
    let at_again = [(Slot::Resolved, &*as_again)];
    let to_moved = [(Slot::Resolved, &*moved), (Slot::TargetResolved, &*as_made)];
    let to_again = [
        (Slot::Resolved, &*as_again),
        (Slot::TargetResolved, &*moved),
    ];
    let made = one(258, [fd, ANY, 0o711, ANY, ANY, ANY]);
    expect(
        Kind::Mkdir,
        &made,
        0,
        &below("made"),
        &[(Slot::Resolved, &as_made)],
    );
    expect(Kind::Rename, &rename, 0, &renamed, &to_moved);
    let renamed_again = one(316, [fd, ANY, fd, ANY, 1, ANY]);
    expect(Kind::Rename, &renamed_again, 0, &again, &to_again);
    expect(Kind::Mode, &mode, 0, &below("again"), &at_again);
    let by_descriptor = one(91, [fd, 0o700, ANY, ANY, ANY, ANY]);
    expect(
        Kind::Mode,
        &by_descriptor,
        0,
        &[(Slot::Resolved, folder)],
        &[],
    );
    let removed = one(263, [fd, ANY, AT_REMOVEDIR, ANY, ANY, ANY]);
    expect(Kind::Remove, &removed, 0, &below("again"), &at_again);
    let missing = one(263, [fd, ANY, 0, ANY, ANY, ANY]);
    expect(Kind::Remove, &missing, -2, &below("none"), &[]);
    assert_eq!(watch.rest().len(), 0, "a call has two records");
}

fn check(watch: &mut Watch, case: &Case<'_>) {
    let seen = watch.next(case.kind);
    let found = *seen.record().registers().unwrap();
    let call = case
        .calls
        .iter()
        .find(|(number, _)| *number == found.syscall);
    let (syscall, mut args) = *call.unwrap_or_else(|| panic!("call {}", found.syscall));
    for (expected, found) in args.iter_mut().zip(found.args) {
        // The kernel looks at the lower half of these registers.
        if *expected == ANY || *expected == found & 0xffff_ffff {
            *expected = found;
        }
    }
    let body = Registers {
        ret: case.ret,
        args,
        syscall,
        reserved: 0,
        held: found.held,
    };
    let body = match case.kind {
        Kind::Mkdir => Body::Mkdir(body),
        Kind::Rename => Body::Rename(body),
        Kind::Mode => Body::Mode(body),
        _ => Body::Remove(body),
    };
    let object = watch.tier(case.kind) == Some(Tier::Object);
    let resolved = if object { case.resolved } else { &[] };
    let strings = [case.strings, resolved].concat();
    seen.check(&watch.me, 0, &body, &strings);
}
