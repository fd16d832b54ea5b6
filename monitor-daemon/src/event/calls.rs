//! Calls that their registers tell: one table of names and parameters.

use std::borrow::Cow;

use monitor_common::Slot;
use monitor_common::call::Registers;
use monitor_policy::{Value, View, text};

use super::Event;
use super::arguments::{Parameter, descriptor, directory_descriptor, flags};

/// What a parameter is, and which argument of the call it comes from.
#[derive(Clone, Copy)]
enum Shape {
    /// Result of the call.
    Result,
    /// Result of the call that is a descriptor.
    NewDescriptor,
    /// The path acted on.
    Path,
    /// The old name of a rename.
    OldPath,
    /// Text as passed, which is no path.
    Text(Slot),
    /// Descriptor of the directory that the path starts from.
    Directory(usize),
    /// The same of the old name.
    OldDirectory(usize),
    /// Another descriptor.
    Descriptor(usize),
    Mode(usize),
    User(usize),
    Group(usize),
    Number(usize),
    Flags(usize, &'static [(u64, &'static str)]),
    /// In Falco's table, and not recorded here.
    Absent,
}

use Shape::{
    Absent, Descriptor, Directory, Flags, Group, Mode, NewDescriptor, Number, OldDirectory,
    OldPath, Path, Result, Text, User,
};

type Parameters = (&'static [&'static str], &'static [Shape]);

const NAMESPACES: &[(u64, &str)] = &[
    (0x80, "CLONE_NEWTIME"),
    (0x200, "CLONE_FS"),
    (0x400, "CLONE_FILES"),
    (0x2_0000, "CLONE_NEWNS"),
    (0x4_0000, "CLONE_SYSVSEM"),
    (0x200_0000, "CLONE_NEWCGROUP"),
    (0x400_0000, "CLONE_NEWUTS"),
    (0x800_0000, "CLONE_NEWIPC"),
    (0x1000_0000, "CLONE_NEWUSER"),
    (0x2000_0000, "CLONE_NEWPID"),
    (0x4000_0000, "CLONE_NEWNET"),
];
const MODULE: &[(u64, &str)] = &[
    (1, "MODULE_INIT_IGNORE_MODVERSIONS"),
    (2, "MODULE_INIT_IGNORE_VERMAGIC"),
    (4, "MODULE_INIT_COMPRESSED_FILE"),
];
const MEMFD: &[(u64, &str)] = &[
    (1, "MFD_CLOEXEC"),
    (2, "MFD_ALLOW_SEALING"),
    (4, "MFD_HUGETLB"),
];
const REMOVE: &[(u64, &str)] = &[(0x200, "AT_REMOVEDIR")];
const RENAME: &[(u64, &str)] = &[
    (1, "RENAME_NOREPLACE"),
    (2, "RENAME_EXCHANGE"),
    (4, "RENAME_WHITEOUT"),
];

/// x86-64 numbers and the event types they become.
const NAMES: &[(u32, &str)] = &[
    (82, "rename"),
    (83, "mkdir"),
    (84, "rmdir"),
    (87, "unlink"),
    (90, "chmod"),
    (91, "fchmod"),
    (105, "setuid"),
    (106, "setgid"),
    (175, "init_module"),
    (258, "mkdirat"),
    (263, "unlinkat"),
    (264, "renameat"),
    (268, "fchmodat"),
    (272, "unshare"),
    (308, "setns"),
    (313, "finit_module"),
    (316, "renameat2"),
    (319, "memfd_create"),
    // fchmodat2, which no rule names.
    (452, "fchmodat"),
];

/// Name of the event.
pub(super) fn name(body: &Registers) -> Option<&'static str> {
    let (_, name) = NAMES.iter().find(|(number, _)| *number == body.syscall)?;
    Some(name)
}

/// Names of the parameters of an event type; none if it is not in the table.
pub(super) fn names(event: &str) -> &'static [&'static str] {
    parameters(event).0
}

fn parameters(event: &str) -> Parameters {
    match event {
        "setuid" => (&["res", "uid"], &[Result, User(0)]),
        "setgid" => (&["res", "gid"], &[Result, Group(0)]),
        "setns" => (
            &["res", "fd", "nstype"],
            &[Result, Descriptor(0), Flags(1, NAMESPACES)],
        ),
        "unshare" => (&["res", "flags"], &[Result, Flags(0, NAMESPACES)]),
        "memfd_create" => (
            &["fd", "name", "flags"],
            &[NewDescriptor, Text(Slot::Passed), Flags(1, MEMFD)],
        ),
        "init_module" => (
            &["res", "img", "length", "uargs"],
            &[Result, Absent, Number(1), Text(Slot::Args)],
        ),
        "finit_module" => (
            &["res", "fd", "uargs", "flags"],
            &[Result, Descriptor(0), Text(Slot::Args), Flags(2, MODULE)],
        ),
        other => on_paths(other),
    }
}

fn on_paths(event: &str) -> Parameters {
    match event {
        "unlink" | "rmdir" => (&["res", "path"], &[Result, Path]),
        "unlinkat" => (
            &["res", "dirfd", "name", "flags"],
            &[Result, Directory(0), Path, Flags(2, REMOVE)],
        ),
        "rename" => (&["res", "oldpath", "newpath"], &[Result, OldPath, Path]),
        "renameat" => (
            &["res", "olddirfd", "oldpath", "newdirfd", "newpath"],
            &[Result, OldDirectory(0), OldPath, Directory(2), Path],
        ),
        "renameat2" => (
            &["res", "olddirfd", "oldpath", "newdirfd", "newpath", "flags"],
            &[
                Result,
                OldDirectory(0),
                OldPath,
                Directory(2),
                Path,
                Flags(4, RENAME),
            ],
        ),
        "chmod" => (&["res", "filename", "mode"], &[Result, Path, Mode(1)]),
        "fchmod" => (&["res", "fd", "mode"], &[Result, Descriptor(0), Mode(1)]),
        "fchmodat" => (
            &["res", "dirfd", "filename", "mode"],
            &[Result, Directory(0), Path, Mode(2)],
        ),
        "mkdir" => (&["res", "path", "mode"], &[Result, Path, Mode(1)]),
        "mkdirat" => (
            &["res", "dirfd", "path", "mode"],
            &[Result, Directory(0), Path, Mode(2)],
        ),
        _ => (&[], &[]),
    }
}

/// A parameter of the call.
pub(super) fn parameter<'e>(event: &'e Event<'_>, name: &str, view: View) -> Option<Parameter<'e>> {
    let body = event.record.registers()?;
    let (names, shapes) = parameters(event.kind.name());
    let (_, shape) = names
        .iter()
        .zip(shapes)
        .find(|(known, _)| **known == name)?;
    let argument = |index: usize| body.args.get(index).copied().unwrap_or_default();
    // The kernel looks at the lower half of all of these.
    let word = |index| argument(index) as u32;
    let number = |index| word(index) as i32;
    let slot = |slot| event.record.string(slot);
    Some(match *shape {
        Result => Parameter::errno(body.ret),
        NewDescriptor => opened(body.ret, slot(Slot::Passed)),
        Path => Parameter::Text(event.paths.main(view).into()),
        OldPath => Parameter::Text(event.paths.target(view).into()),
        Text(from) => Parameter::Text(slot(from).into()),
        Directory(index) => directory_descriptor(number(index), slot(Slot::Base)),
        OldDirectory(index) => directory_descriptor(number(index), slot(Slot::TargetBase)),
        Descriptor(index) => held(event, number(index), view),
        Mode(index) => Parameter::named(word(index).into(), text::mode(word(index))),
        User(index) => {
            let id = word(index);
            Parameter::named(id.into(), super::user::name_or_na(event, id))
        }
        Group(index) => {
            let id = word(index);
            Parameter::named(id.into(), super::user::group_or_na(event, id))
        }
        Number(index) => Parameter::unsigned(argument(index)),
        Flags(index, names) => flags(word(index).into(), names),
        Absent => return None,
    })
}

/// A descriptor that the call was given, with its file where that is known.
fn held<'e>(event: &'e Event<'_>, number: i32, view: View) -> Parameter<'e> {
    let path = event.record.string(Slot::Resolved);
    if path.is_empty() {
        return descriptor(event, number.into(), view);
    }
    let text = [b"<f>", path].concat();
    Parameter::Named(Value::Signed(number.into()), Cow::Owned(text))
}

/// The descriptor of a new anonymous file.
fn opened<'e>(result: i64, name: &[u8]) -> Parameter<'e> {
    if result < 0 {
        return Parameter::errno(result);
    }
    let text = [b"<m>memfd:", name].concat();
    Parameter::Named(Value::Signed(result), Cow::Owned(text))
}
