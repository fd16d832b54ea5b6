//! `fd.*` of the open file that a call was given by its descriptor; of sockets `fd` has the most.

use std::borrow::Cow;

use monitor_common::Slot;
use monitor_common::call::Held;
use monitor_common::process::ExeFlags;
use monitor_policy::{Field, FieldRef, Value};

use super::fd::device;
use super::{Event, path};

/// Fields of the file behind a call's descriptor.
pub(super) fn value<'e>(event: &'e Event<'_>, field: &FieldRef) -> Option<Value<'e>> {
    let held = event.held().filter(|held| held.socket.family == 0)?;
    let name = event.record.string(Slot::Resolved);
    Some(match field.field {
        Field::FdNameraw => Value::Text(self::name(held, name)),
        Field::FdDirectory => Value::Text(match typechar(held, name) {
            'd' => name.into(),
            'f' | 'm' => path::parent(name).into(),
            _ => return None,
        }),
        Field::FdFilename if matches!(typechar(held, name), 'f' | 'm') => {
            Value::Text(path::basename(name).into())
        }
        Field::FdDev => Value::Signed(device(held.dev).into()),
        Field::FdDevMajor => Value::Signed((held.dev >> 20).into()),
        Field::FdDevMinor => Value::Signed((held.dev & 0xf_ffff).into()),
        Field::FdIno => Value::Signed(held.inode as i64),
        Field::FdIsUpperLayer => Value::Bool(held.layer & ExeFlags::UPPER_LAYER != 0),
        Field::FdIsLowerLayer => Value::Bool(held.layer & ExeFlags::LOWER_LAYER != 0),
        _ => return None,
    })
}

/// Type of a file that is no socket, with the name that the kernel has for it.
pub(super) fn typechar(held: &Held, name: &[u8]) -> char {
    const S_IFMT: u32 = 0o170_000;
    const S_IFIFO: u32 = 0o010_000;
    const S_IFDIR: u32 = 0o040_000;
    const ANONYMOUS: &[(&str, char)] = &[
        ("memfd:", 'm'),
        ("[eventfd", 'e'),
        ("[signalfd", 's'),
        ("[eventpoll", 'l'),
        ("[timerfd", 't'),
        ("[io_uring", 'r'),
        ("[pidfd", 'P'),
        ("inotify", 'i'),
        ("bpf", 'b'),
        ("[", 'o'),
    ];
    match held.inode_mode & S_IFMT {
        S_IFIFO => 'p',
        S_IFDIR => 'd',
        _ if name.starts_with(b"/") => 'f',
        _ => {
            let mut known = ANONYMOUS.iter();
            let known = known.find(|(start, _)| name.starts_with(start.as_bytes()));
            known.map_or('f', |(_, letter)| *letter)
        }
    }
}

/// Name of a file, or of a socket of `AF_UNIX`; a pipe that has none gets that of `/proc/PID/fd`.
pub(super) fn name<'e>(held: &Held, name: &'e [u8]) -> Cow<'e, [u8]> {
    if name.is_empty() && held.socket.family == 0 && typechar(held, name) == 'p' {
        return Cow::Owned(format!("pipe:[{}]", held.inode).into_bytes());
    }
    Cow::Borrowed(name)
}
