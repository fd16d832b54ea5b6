//! `evt.*`: when, what kind, how it ended, and its parameters.

use monitor_common::{Kind, Slot};
use monitor_policy::{Field, FieldArg, FieldRef, Value, View, text};

use super::fd::FMODE_CREATED;
use super::{Event, arguments, when};
use crate::record::Body;

const O_ACCMODE: u32 = 3;
const O_CREAT: u32 = 0o100;
const O_TMPFILE: u32 = 0o20_000_000;
/// What acts on files by their names.
const FILES: [Kind; 7] = [
    Kind::Open,
    Kind::Symlink,
    Kind::Link,
    Kind::Remove,
    Kind::Rename,
    Kind::Mode,
    Kind::Mkdir,
];
/// What acts on sockets.
const NETWORK: [Kind; 7] = [
    Kind::Connect,
    Kind::Socket,
    Kind::Send,
    Kind::Receive,
    Kind::Accept,
    Kind::Listen,
    Kind::Bind,
];
const EXECUTE_BITS: u32 = 0o111;

pub(super) fn value<'e>(event: &'e Event<'_>, field: &FieldRef, view: View) -> Option<Value<'e>> {
    moment(event, field)
        .or_else(|| outcome(event, field))
        .or_else(|| open(event, field))
        .or_else(|| message(event, field))
        .or_else(|| parameters(event, field, view))
}

fn moment(event: &Event<'_>, field: &FieldRef) -> Option<Value<'static>> {
    let now = event.time();
    let text = |text: String| Value::Text(text.into_bytes().into());
    Some(match field.field {
        Field::EvtNum => Value::Unsigned(event.number),
        Field::EvtTime | Field::EvtOutputtime => text(when::time(now)),
        Field::EvtTimeS => text(when::seconds(now)),
        Field::EvtTimeIso8601 => text(when::iso8601(now)),
        Field::EvtDatetime => text(when::date(now)),
        Field::EvtDatetimeS => text(when::date_seconds(now)),
        Field::EvtRawtime => Value::Unsigned(now),
        Field::EvtRawtimeS => Value::Unsigned(now / 1_000_000_000),
        Field::EvtRawtimeNs => Value::Unsigned(now % 1_000_000_000),
        Field::EvtCpu => Value::Unsigned(event.record.task().cpu.into()),
        _ => return None,
    })
}

fn outcome<'e>(event: &'e Event<'_>, field: &FieldRef) -> Option<Value<'e>> {
    let borrowed = |text: &'e str| Value::Text(text.as_bytes().into());
    let failed = || event.result().is_some_and(|result| result < 0);
    let failed_in = |kinds: &[Kind]| failed() && kinds.contains(&event.record.kind());
    Some(match field.field {
        Field::EvtSource => borrowed("syscall"),
        Field::EvtHostname => borrowed(event.world.hostname),
        Field::EvtDir => borrowed("<"),
        // There are only exits of calls, so that nothing is measured.
        Field::EvtLatency
        | Field::EvtLatencyS
        | Field::EvtLatencyNs
        | Field::EvtLatencyQuantized
        | Field::EvtWaitLatency => Value::Unsigned(0),
        Field::EvtLatencyHuman => borrowed("0ns"),
        Field::EvtType => borrowed(event.kind.name()),
        Field::SyscallType => match event.record.kind() {
            _ if event.movement().is_some() => return None,
            Kind::Exit | Kind::Dns | Kind::Passed => return None,
            _ => borrowed(event.kind.name()),
        },
        Field::EvtCategory => borrowed(category(event.record.kind())),
        Field::EvtRes => {
            let result = event.result()?;
            Value::Text(text::result(result).into_owned().into_bytes().into())
        }
        Field::EvtRawres => Value::Signed(event.result()?),
        Field::EvtFailed => Value::Bool(failed()),
        Field::EvtIsAsync
        | Field::EvtIsIo
        | Field::EvtIsIoRead
        | Field::EvtIsIoWrite
        | Field::EvtIsWait
        | Field::EvtIsSyslog => Value::Bool(false),
        Field::EvtCount | Field::EvtCountExit => Value::Unsigned(1),
        Field::EvtCountError => Value::Unsigned(failed().into()),
        Field::EvtCountErrorFile => Value::Unsigned(failed_in(&FILES).into()),
        Field::EvtCountErrorNet => Value::Unsigned(failed_in(&NETWORK).into()),
        _ => return None,
    })
}

/// What was sent or received, read or written.
fn message<'e>(event: &'e Event<'_>, field: &FieldRef) -> Option<Value<'e>> {
    let (head, length) = match event.record.body() {
        Body::Send(body) | Body::Receive(body) => {
            let length = u64::try_from(body.socket.ret).ok()?;
            (event.record.string(Slot::Args), length)
        }
        _ => super::calls::content(event)?,
    };
    match field.field {
        Field::EvtBuffer => Some(Value::Text(head.into())),
        Field::EvtBuflen => Some(Value::Unsigned(length)),
        _ => None,
    }
}

/// The `evt.is_open_*` predicates: false, not missing, on other events.
fn open(event: &Event<'_>, field: &FieldRef) -> Option<Value<'static>> {
    let body = match event.record.body() {
        Body::Open(body) => Some(body),
        _ => None,
    };
    // creat has no flags; it writes.
    let creat = event.kind.name() == "creat";
    let access = body.map(|body| if creat { 1 } else { body.flags & O_ACCMODE });
    let answer = match field.field {
        Field::EvtIsOpenRead => !creat && matches!(access, Some(0 | 2)),
        Field::EvtIsOpenWrite => !creat && matches!(access, Some(1 | 2)),
        Field::EvtIsOpenCreate => body.is_some_and(|body| {
            body.file_mode & FMODE_CREATED != 0
                || (body.ret >= 0 && body.flags & O_TMPFILE == O_TMPFILE)
        }),
        Field::EvtIsOpenExec => body.is_some_and(|body| {
            let creates = creat || body.flags & O_CREAT != 0 || body.flags & O_TMPFILE == O_TMPFILE;
            creates && body.create_mode & EXECUTE_BITS != 0
        }),
        _ => return None,
    };
    Some(Value::Bool(answer))
}

fn parameters<'e>(event: &'e Event<'_>, field: &FieldRef, view: View) -> Option<Value<'e>> {
    match (field.field, &field.arg) {
        (Field::EvtArg, Some(FieldArg::Key(name))) => {
            Some(Value::Text(arguments::text(event, name, view)?))
        }
        (Field::EvtArg, Some(FieldArg::Index(index))) => {
            let name = arguments::names(event).get(*index as usize)?;
            Some(Value::Text(arguments::text(event, name, view)?))
        }
        (Field::EvtRawarg, Some(FieldArg::Key(name))) => arguments::raw(event, name, view),
        (Field::EvtArgs | Field::EvtInfo, _) => {
            Some(Value::Text(arguments::all(event, view).into()))
        }
        (Field::EvtAbspath, _) => match event.record.kind() {
            // The source of a hard link is what it links to, that of a rename the old name.
            Kind::Link | Kind::Rename if !matches!(&field.arg, Some(FieldArg::Key(end)) if &**end == "dst") => {
                Some(Value::Text(event.paths.target(view).into()))
            }
            kind if FILES.contains(&kind) => Some(Value::Text(event.paths.main(view).into())),
            _ => None,
        },
        _ => None,
    }
}

const fn category(kind: Kind) -> &'static str {
    match kind {
        Kind::Open
        | Kind::Symlink
        | Kind::Link
        | Kind::Remove
        | Kind::Rename
        | Kind::Mode
        | Kind::Mkdir
        | Kind::Passed => "file",
        Kind::Identity => "user",
        Kind::Connect | Kind::Socket | Kind::Accept | Kind::Listen | Kind::Bind | Kind::Dns => {
            "net"
        }
        Kind::Send => "IO-write",
        Kind::Receive => "IO-read",
        Kind::Memory => "memory",
        Kind::Call | Kind::Control => "other",
        _ => "process",
    }
}
