//! `fd.*` and `fs.path.*`: the file or socket an event is about.

use std::borrow::Cow;

use monitor_common::file::Open;
use monitor_common::process::ExeFlags;
use monitor_common::syscall::{self, Role};
use monitor_common::{Kind, Slot};
use monitor_policy::text::OpenState;
use monitor_policy::{Field, FieldRef, Value, View};

use super::ends::{self, Tuple, family, is_unix, socket_typechar, tuple};
use super::{Event, held, path};
use crate::record::Body;

const O_DIRECTORY: u32 = 0o200_000;
/// `FMODE_CREATED`: the open made the file.
pub(super) const FMODE_CREATED: u32 = 0x10_0000;

pub(super) fn value<'e>(event: &'e Event<'_>, field: &FieldRef, view: View) -> Option<Value<'e>> {
    match event.record.kind() {
        Kind::Open
        | Kind::Passed
        | Kind::Connect
        | Kind::Socket
        | Kind::Dup
        | Kind::Send
        | Kind::Receive
        | Kind::Accept
        | Kind::Listen
        | Kind::Bind
        | Kind::Dns => descriptor(event, field, view)
            .or_else(|| file(event, field, view))
            .or_else(|| ends::value(event, field)),
        Kind::Symlink | Kind::Link => links(event, field, view),
        _ if event.record.registers().is_some() => descriptor(event, field, view)
            .or_else(|| held::value(event, field))
            .or_else(|| ends::value(event, field))
            .or_else(|| paths(event, field, view)),
        _ => None,
    }
    .or_else(|| match field.field {
        Field::FsPathName if event.record.kind() == Kind::Open && succeeded(event) => {
            Some(Value::Text(event.paths.main(view).into()))
        }
        Field::FsPathNameraw if event.record.kind() == Kind::Open && succeeded(event) => {
            Some(Value::Text(event.record.string(Slot::Passed).into()))
        }
        _ => None,
    })
}

/// Falco's one-letter kind of the descriptor; `None` when the event has none.
pub(super) fn typechar(event: &Event<'_>) -> Option<char> {
    match event.record.body() {
        Body::Open(body) if body.flags & O_DIRECTORY != 0 && body.ret >= 0 => Some('d'),
        Body::Open(_) => Some('f'),
        Body::Passed(body) => passed_typechar(body.inode_mode),
        Body::Socket(body) if body.ret >= 0 => Some(socket_typechar(body.domain as u16)),
        _ if let Some(held) = event.held()
            && held.socket.family == 0 =>
        {
            Some(held::typechar(held, event.record.string(Slot::Resolved)))
        }
        _ => Some(socket_typechar(family(event.connection()?))),
    }
}

/// `fd.name`.
pub(super) fn name<'e>(event: &'e Event<'_>, view: View) -> Option<Cow<'e, [u8]>> {
    match event.record.body() {
        Body::Open(_) | Body::Passed(_) => Some(Cow::Borrowed(event.paths.main(view))),
        Body::Connect(body) if is_unix(body) => Some(Cow::Borrowed(event.paths.main(view))),
        Body::Accept(body) | Body::Listen(body) | Body::Bind(body) if is_unix(&body.socket) => {
            Some(Cow::Borrowed(event.record.string(Slot::Passed)))
        }
        Body::Send(body) | Body::Receive(body) if is_unix(&body.socket) => {
            Some(Cow::Borrowed(event.record.string(Slot::Passed)))
        }
        Body::Socket(_) => Some(Cow::Borrowed(b"")),
        _ if let Some(held) = event.held()
            && (held.socket.family == 0 || is_unix(&held.socket)) =>
        {
            Some(held::name(held, event.record.string(Slot::Resolved)))
        }
        _ => {
            let text = match tuple(event)? {
                Tuple {
                    client: Some(client),
                    server: Some(server),
                } => format!("{client}->{server}"),
                Tuple {
                    client: Some(end),
                    server: None,
                }
                | Tuple {
                    client: None,
                    server: Some(end),
                } => end.to_string(),
                _ => String::new(),
            };
            Some(Cow::Owned(text.into_bytes()))
        }
    }
}

/// What is known of an opened file beyond the flags it was opened with.
pub(super) fn states(body: &Open) -> Vec<OpenState> {
    let states = [
        (body.file_mode & FMODE_CREATED != 0, OpenState::Created),
        (
            body.layer & ExeFlags::UPPER_LAYER != 0,
            OpenState::UpperLayer,
        ),
        (
            body.layer & ExeFlags::LOWER_LAYER != 0,
            OpenState::LowerLayer,
        ),
    ];
    states
        .into_iter()
        .filter(|(holds, _)| *holds)
        .map(|(_, state)| state)
        .collect()
}

/// A device number as `stat(2)` encodes it, from the kernel's own form.
pub(super) const fn device(kernel: u32) -> u32 {
    let (major, minor) = (kernel >> 20, kernel & 0xf_ffff);
    (minor & 0xff) | (major << 8) | ((minor & !0xff) << 12)
}

fn descriptor<'e>(event: &'e Event<'_>, field: &FieldRef, view: View) -> Option<Value<'e>> {
    Some(match field.field {
        Field::FdNum => Value::Signed(match event.record.body() {
            Body::Open(body) | Body::Passed(body) => body.ret.max(-1),
            Body::Socket(body) => body.ret.max(-1),
            _ => match event.record.registers() {
                Some(body) if body.held.socket.fd < 0 => return None,
                Some(body) => body.held.socket.fd.into(),
                None => event.connection()?.fd.max(-1).into(),
            },
        }),
        Field::FdTypechar => {
            let letter = typechar(event)?;
            Value::Text(letter.to_string().into_bytes().into())
        }
        Field::FdType => {
            // A failed open made no descriptor whose type could be told.
            if event.record.kind() == Kind::Open && !succeeded(event) {
                return None;
            }
            word(type_name(typechar(event)?)?)
        }
        Field::FdName => Value::Text(name(event, view)?),
        Field::FdUid => {
            let number = match event.record.body() {
                Body::Connect(_)
                | Body::Send(_)
                | Body::Receive(_)
                | Body::Listen(_)
                | Body::Bind(_)
                | Body::Dns(_) => return None,
                _ if let Some(held) = event.held() => held.socket.fd.into(),
                _ if event.record.registers().is_some() => return None,
                _ => event.result()?,
            };
            Value::Text(
                format!("{}{number}", event.record.task().tid)
                    .into_bytes()
                    .into(),
            )
        }
        Field::FdContainername => in_container(event, &name(event, view)?),
        Field::FdContainerdirectory => in_container(event, directory(event, view)?),
        _ => return None,
    })
}

fn file<'e>(event: &'e Event<'_>, field: &FieldRef, view: View) -> Option<Value<'e>> {
    let (Body::Open(body) | Body::Passed(body)) = event.record.body() else {
        return None;
    };
    let opened = || (body.ret >= 0).then_some(());
    Some(match field.field {
        Field::FdNameraw => Value::Text(match event.record.string(Slot::Passed) {
            b"" => event.paths.main(view).into(),
            passed => passed.into(),
        }),
        Field::FdDirectory => Value::Text(directory(event, view)?.into()),
        Field::FdFilename => {
            opened()?;
            if typechar(event) == Some('d') {
                return None;
            }
            Value::Text(path::basename(event.paths.main(view)).into())
        }
        Field::FdDev => Value::Signed(opened().map(|()| device(body.dev))?.into()),
        Field::FdDevMajor => Value::Signed(opened().map(|()| body.dev >> 20)?.into()),
        Field::FdDevMinor => Value::Signed(opened().map(|()| body.dev & 0xf_ffff)?.into()),
        Field::FdIno => Value::Signed(opened().map(|()| body.inode)? as i64),
        Field::FdIsUpperLayer => Value::Bool(body.layer & ExeFlags::UPPER_LAYER != 0),
        Field::FdIsLowerLayer => Value::Bool(body.layer & ExeFlags::LOWER_LAYER != 0),
        _ => return None,
    })
}

fn links<'e>(event: &'e Event<'_>, field: &FieldRef, view: View) -> Option<Value<'e>> {
    if !succeeded(event) {
        return None;
    }
    let name = || Value::Text(event.paths.main(view).into());
    let target = || Value::Text(event.paths.target(view).into());
    let name_raw = || Value::Text(event.record.string(Slot::Passed).into());
    let target_raw = || Value::Text(event.record.string(Slot::Target).into());
    Some(match field.field {
        Field::FsPathName | Field::FsPathSource => name(),
        Field::FsPathNameraw | Field::FsPathSourceraw => name_raw(),
        Field::FsPathTarget => target(),
        Field::FsPathTargetraw => target_raw(),
        _ => return None,
    })
}

/// `fs.path.*` of calls on paths.
fn paths<'e>(event: &'e Event<'_>, field: &FieldRef, view: View) -> Option<Value<'e>> {
    if !succeeded(event) || event.connection().is_some() {
        return None;
    }
    let passed = |slot| Value::Text(event.record.string(slot).into());
    // What has two paths goes from the second to the first: renames and mounts.
    let call = syscall::call(event.record.registers()?.syscall)?;
    let renamed = syscall::argument(call.strings, Role::Target).is_some();
    if !renamed && event.paths.main(view).is_empty() {
        return None;
    }
    Some(match field.field {
        Field::FsPathName if !renamed => Value::Text(event.paths.main(view).into()),
        Field::FsPathNameraw if !renamed => passed(Slot::Passed),
        Field::FsPathSource if renamed => Value::Text(event.paths.target(view).into()),
        Field::FsPathSourceraw if renamed => passed(Slot::Target),
        Field::FsPathTarget if renamed => Value::Text(event.paths.main(view).into()),
        Field::FsPathTargetraw if renamed => passed(Slot::Passed),
        _ => return None,
    })
}

fn directory<'e>(event: &'e Event<'_>, view: View) -> Option<&'e [u8]> {
    let path = event.paths.main(view);
    match typechar(event)? {
        'f' => Some(path::parent(path)),
        'd' => Some(path),
        _ => None,
    }
}

fn in_container(event: &Event<'_>, path: &[u8]) -> Value<'static> {
    let id = event
        .container()
        .map_or("", |container| container.short_id());
    Value::Text([id.as_bytes(), b":", path].concat().into())
}

/// Of a file that came from another process; which socket it is is not known.
const fn passed_typechar(mode: u32) -> Option<char> {
    const S_IFMT: u32 = 0o170_000;
    match mode & S_IFMT {
        0o040_000 => Some('d'),
        0o010_000 => Some('p'),
        0o020_000 | 0o060_000 | 0o100_000 => Some('f'),
        _ => None,
    }
}

pub(super) const fn type_name(typechar: char) -> Option<&'static str> {
    Some(match typechar {
        'f' => "file",
        'd' => "directory",
        'p' => "pipe",
        '4' => "ipv4",
        '6' => "ipv6",
        'u' => "unix",
        'n' => "netlink",
        'm' => "memfd",
        'e' => "event",
        's' => "signalfd",
        'l' => "eventpoll",
        't' => "timerfd",
        'r' => "io_uring",
        'P' => "pidfd",
        'i' => "inotify",
        'b' => "bpf",
        _ => return None,
    })
}

pub(super) fn word(text: &'static str) -> Value<'static> {
    Value::Text(Cow::Borrowed(text.as_bytes()))
}

fn succeeded(event: &Event<'_>) -> bool {
    event.result().is_some_and(|result| result >= 0)
}
