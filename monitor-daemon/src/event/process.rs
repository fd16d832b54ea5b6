//! `proc.*` and `thread.*`.

use std::borrow::Cow;

use monitor_common::process::ExeFlags;
use monitor_common::{Kind, Slot, Task};
use monitor_policy::{Field, FieldArg, FieldRef, Value, View, text};

use super::Event;
use crate::process::Process;

const SHELLS: [&[u8]; 9] = [
    b"ash", b"bash", b"csh", b"dash", b"fish", b"ksh", b"sh", b"tcsh", b"zsh",
];

pub(super) fn value<'e>(event: &'e Event<'_>, field: &FieldRef, view: View) -> Option<Value<'e>> {
    own(event, field, view)
        .or_else(|| related(event, field, view))
        .or_else(|| ancestor(event, field, view))
        .or_else(|| ids(event, field))
        .or_else(|| executable(event, field))
        .or_else(|| thread(event, field))
}

fn own<'e>(event: &'e Event<'_>, field: &FieldRef, view: View) -> Option<Value<'e>> {
    let process = event.process();
    Some(match field.field {
        Field::ProcName => bytes(process.name()),
        Field::ProcExe => bytes(process.image.argv0()),
        Field::ProcExepath => present(process.image.exe_in(view))?,
        Field::ProcArgs => match &field.arg {
            None => Value::Text(arguments(process).into()),
            Some(FieldArg::Index(index)) => {
                // `proc.args[0]` is the first argument after the program's own name.
                bytes(process.image.arguments().nth(*index as usize + 1)?)
            }
            Some(FieldArg::Key(_)) => return None,
        },
        Field::ProcCmdline => bytes(process.command_line()),
        Field::ProcCmdnargs => Value::Unsigned(process.image.arguments().skip(1).count() as u64),
        Field::ProcCmdlenargs => Value::Unsigned(
            process
                .image
                .arguments()
                .skip(1)
                .map(<[u8]>::len)
                .sum::<usize>() as u64,
        ),
        Field::ProcExeline => Value::Text(line(&process.image.args).into()),
        Field::ProcEnv => match &field.arg {
            None => Value::Text(environment(process).into()),
            Some(FieldArg::Key(name)) => {
                bytes(process.image.variable(name.as_bytes()).unwrap_or_default())
            }
            Some(FieldArg::Index(_)) => return None,
        },
        Field::ProcCwd => Value::Text(directory(event).into()),
        Field::ProcTty => Value::Unsigned(event.record.task().tty.into()),
        Field::ProcLoginshellid => {
            let shell = event.ancestors().filter(|process| is_shell(process)).last();
            Value::Signed(shell?.task.pid.into())
        }
        _ => return None,
    })
}

/// The parent, the session leader and the leaders of process groups.
fn related<'e>(event: &'e Event<'_>, field: &FieldRef, view: View) -> Option<Value<'e>> {
    let task = event.record.task();
    let leader = |pid: u32| {
        if pid == task.pid {
            Some(event.process())
        } else {
            event.world.table.by_pid(pid).map(AsRef::as_ref)
        }
    };
    Some(match field.field {
        Field::ProcPexe => bytes(event.ancestor(1)?.image.argv0()),
        Field::ProcPexepath => present(event.ancestor(1)?.image.exe_in(view))?,
        Field::ProcPname => bytes(event.ancestor(1)?.name()),
        Field::ProcPcmdline => bytes(event.ancestor(1)?.command_line()),
        Field::ProcPpidDuration => Value::Unsigned(
            event
                .record
                .header()
                .time
                .saturating_sub(event.ancestor(1)?.task.start),
        ),
        Field::ProcPpidTs => Value::Unsigned(epoch(event, event.ancestor(1)?.task.start)),
        Field::ProcPvpid => Value::Signed(task.vppid.into()),
        Field::ProcSname => bytes(leader(task.sid)?.name()),
        Field::ProcSidExe => bytes(leader(task.sid)?.image.argv0()),
        Field::ProcSidExepath => present(leader(task.sid)?.image.exe_in(view))?,
        Field::ProcVpgidName | Field::ProcPgidName => bytes(leader(task.pgid)?.name()),
        Field::ProcVpgidExe | Field::ProcPgidExe => bytes(leader(task.pgid)?.image.argv0()),
        Field::ProcVpgidExepath | Field::ProcPgidExepath => {
            present(leader(task.pgid)?.image.exe_in(view))?
        }
        _ => return None,
    })
}

/// Fields of one ancestor by depth, or of all of them.
fn ancestor<'e>(event: &'e Event<'_>, field: &FieldRef, view: View) -> Option<Value<'e>> {
    match (field.field, &field.arg) {
        (_, Some(FieldArg::Index(depth))) if field.field.is_ancestor() => {
            of_ancestor(event.ancestor(*depth)?, field.field, view)
        }
        (Field::ProcAargs, Some(FieldArg::Index(depth))) => {
            Some(Value::Text(arguments(event.ancestor(*depth)?).into()))
        }
        (Field::ProcAargs, None) => {
            let all: Vec<Vec<u8>> = event.ancestors().map(arguments).collect();
            Some(Value::Text(join(all.iter().map(Vec::as_slice)).into()))
        }
        _ => {
            let mut all = Vec::new();
            elements(event, field, view, &mut all).then_some(Value::List(all))
        }
    }
}

/// Adds what a field has of all ancestors; whether it is such a field.
pub(super) fn elements<'e>(
    event: &'e Event<'_>,
    field: &FieldRef,
    view: View,
    elements: &mut Vec<Value<'e>>,
) -> bool {
    match (field.field, &field.arg) {
        (Field::ProcAenv, Some(FieldArg::Key(name))) => {
            let values = event
                .ancestors()
                .map(|process| bytes(process.image.variable(name.as_bytes()).unwrap_or_default()));
            elements.extend(values);
            true
        }
        (ancestor, None) if ancestor.is_ancestor() => {
            let of = |process| of_ancestor(process, ancestor, view);
            elements.extend(event.ancestors().filter_map(of));
            true
        }
        _ => false,
    }
}

fn of_ancestor(process: &Process, field: Field, view: View) -> Option<Value<'_>> {
    Some(match field {
        Field::ProcAname => bytes(process.name()),
        Field::ProcAexe => bytes(process.image.argv0()),
        Field::ProcAexepath => present(process.image.exe_in(view))?,
        Field::ProcAcmdline => bytes(process.command_line()),
        Field::ProcApid => Value::Signed(process.task.pid.into()),
        Field::ProcAenv => Value::Text(environment(process).into()),
        _ => return None,
    })
}

fn ids(event: &Event<'_>, field: &FieldRef) -> Option<Value<'static>> {
    let task = event.record.task();
    Some(match field.field {
        Field::ProcPid => Value::Signed(task.pid.into()),
        Field::ProcPpid => Value::Signed(match event.process().parent {
            Some(parent) => parent.pid.into(),
            None => task.ppid.into(),
        }),
        Field::ProcVpid => Value::Signed(task.vpid.into()),
        Field::ProcSid => Value::Signed(task.vsid.into()),
        Field::ProcVpgid => Value::Signed(task.vpgid.into()),
        Field::ProcPgid => Value::Signed(task.pgid.into()),
        Field::ProcIsSidLeader => Value::Bool(task.sid == task.pid),
        Field::ProcIsVpgidLeader | Field::ProcIsPgidLeader => Value::Bool(task.pgid == task.pid),
        Field::ProcDuration => {
            Value::Unsigned(event.record.header().time.saturating_sub(task.start))
        }
        Field::ProcPidTs => Value::Unsigned(epoch(event, task.start)),
        Field::ProcPidnsInitStartTs => Value::Unsigned(epoch(event, task.pid_ns_start)),
        _ => return None,
    })
}

fn executable(event: &Event<'_>, field: &FieldRef) -> Option<Value<'static>> {
    let image = &event.process().image;
    let flag = |bit: u32| Value::Bool(image.exe_flags & bit != 0);
    let start = epoch(event, event.record.task().start) as i64;
    Some(match field.field {
        Field::ProcIsExeWritable => flag(ExeFlags::WRITABLE),
        Field::ProcIsExeUpperLayer => flag(ExeFlags::UPPER_LAYER),
        Field::ProcIsExeLowerLayer => flag(ExeFlags::LOWER_LAYER),
        Field::ProcIsExeFromMemfd => flag(ExeFlags::MEMFD),
        Field::ProcExeIno => Value::Signed(known(image.inode)? as i64),
        Field::ProcExeInoCtime => Value::Unsigned(known(image.ctime)?),
        Field::ProcExeInoMtime => Value::Unsigned(known(image.mtime)?),
        Field::ProcExeInoCtimeDurationProcStart => {
            Value::Signed(start.saturating_sub(known(image.ctime)? as i64))
        }
        Field::ProcExeInoCtimeDurationPidnsStart => {
            let namespace = epoch(event, known(event.record.task().pid_ns_start)?) as i64;
            Value::Signed((known(image.ctime)? as i64).saturating_sub(namespace))
        }
        _ => return None,
    })
}

fn thread(event: &Event<'_>, field: &FieldRef) -> Option<Value<'static>> {
    let task: &Task = event.record.task();
    let capabilities = |set| Value::Text(text::capabilities(set).into_bytes().into());
    Some(match field.field {
        Field::ThreadCapPermitted => capabilities(task.cap_permitted),
        Field::ThreadCapInheritable => capabilities(task.cap_inheritable),
        Field::ThreadCapEffective => capabilities(task.cap_effective),
        Field::ThreadTid => Value::Signed(task.tid.into()),
        Field::ThreadIsmain => Value::Bool(task.tid == task.pid),
        Field::ThreadVtid => Value::Signed(task.vtid.into()),
        _ => return None,
    })
}

/// Working directory at the event, ending in `/`.
pub(super) fn directory(event: &Event<'_>) -> Vec<u8> {
    let seen = event.record.string(Slot::Cwd);
    let known = if seen.is_empty() && event.record.kind() != Kind::Exec {
        &event.process().cwd
    } else {
        seen
    };
    let mut path = known.to_vec();
    if !path.is_empty() && !path.ends_with(b"/") {
        path.push(b'/');
    }
    path
}

/// Arguments from `argv[1]`, joined by blanks.
pub(super) fn arguments(process: &Process) -> Vec<u8> {
    let args = &process.image.args;
    let behind_first = args.iter().position(|byte| *byte == 0).map(|end| end + 1);
    line(
        behind_first
            .and_then(|start| args.get(start..))
            .unwrap_or_default(),
    )
}

/// The environment kept, joined by blanks.
pub(super) fn environment(process: &Process) -> Vec<u8> {
    line(&process.image.environment)
}

/// Texts that each end at a NUL, joined by blanks.
fn line(block: &[u8]) -> Vec<u8> {
    let block = block.strip_suffix(b"\0").unwrap_or(block);
    // All at once, and not text by text: an environment is long.
    let blank = |byte: &u8| if *byte == 0 { b' ' } else { *byte };
    block.iter().map(blank).collect()
}

pub(super) fn join<'p>(parts: impl Iterator<Item = &'p [u8]>) -> Vec<u8> {
    let mut line = Vec::new();
    append(&mut line, parts);
    line
}

fn append<'p>(line: &mut Vec<u8>, parts: impl Iterator<Item = &'p [u8]>) {
    for (index, part) in parts.enumerate() {
        if index > 0 {
            line.push(b' ');
        }
        line.extend_from_slice(part);
    }
}

fn is_shell(process: &Process) -> bool {
    SHELLS.contains(&process.name())
}

fn epoch(event: &Event<'_>, boot_ns: u64) -> u64 {
    boot_ns.saturating_add(event.world.boot_to_epoch_ns)
}

fn bytes(text: &[u8]) -> Value<'_> {
    Value::Text(Cow::Borrowed(text))
}

/// Text that is missing when empty.
fn present(text: &[u8]) -> Option<Value<'_>> {
    (!text.is_empty()).then(|| bytes(text))
}

fn known(number: u64) -> Option<u64> {
    (number != 0).then_some(number)
}
