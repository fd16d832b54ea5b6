//! Parameters of the call: `evt.arg.NAME`, `evt.rawarg.NAME`, `evt.args`.
//!
//! Names and their order are those of Falco's event table.

use std::borrow::Cow;

use monitor_common::process::ExeFlags;
use monitor_common::{Kind, Slot};
use monitor_policy::text::{self, ExeState};
use monitor_policy::{EventType, Value, View};

use super::{Event, calls, dns, ends, fd, signature};
use crate::record::Body;

/// `AT_FDCWD`.
const AT_FDCWD: i32 = -100;
const AF_UNIX: u16 = 1;
const O_CLOEXEC: u64 = 0o2_000_000;
const ACCEPT_FLAGS: &[(u64, &str)] = &[(0o4000, "SOCK_NONBLOCK"), (O_CLOEXEC, "SOCK_CLOEXEC")];

/// A parameter: its number or text, and how the number reads.
pub(super) enum Parameter<'e> {
    /// Bytes as they are.
    Text(Cow<'e, [u8]>),
    /// A number that reads as text, such as flags or an errno.
    Named(Value<'e>, Cow<'e, [u8]>),
}

impl Parameter<'_> {
    pub(super) fn unsigned(value: u64) -> Self {
        Self::Named(
            Value::Unsigned(value),
            Cow::Owned(value.to_string().into_bytes()),
        )
    }

    pub(super) fn signed(value: i64) -> Self {
        Self::Named(
            Value::Signed(value),
            Cow::Owned(value.to_string().into_bytes()),
        )
    }

    pub(super) fn named(value: u64, text: impl Into<String>) -> Self {
        Self::Named(Value::Unsigned(value), Cow::Owned(text.into().into_bytes()))
    }

    pub(super) fn errno(result: i64) -> Self {
        let text = text::errno(result).into_owned().into_bytes();
        Self::Named(Value::Signed(result), Cow::Owned(text))
    }
}

/// Of an exec.
const EXECUTION: &[&str] = &[
    "res",
    "exe",
    "args",
    "tid",
    "pid",
    "ptid",
    "cwd",
    "comm",
    "env",
    "tty",
    "vpgid",
    "loginuid",
    "flags",
    "cap_inheritable",
    "cap_permitted",
    "cap_effective",
    "exe_ino",
    "exe_ino_ctime",
    "exe_ino_mtime",
    "uid",
    "trusted_exepath",
    "pgid",
    "gid",
    "filename",
];

/// Names of the event's parameters.
pub(super) fn names(event: &Event<'_>) -> &'static [&'static str] {
    of_type(event.kind.name())
}

/// Whether some event of a type has a value for the parameter of a name.
pub fn told(event: EventType, name: &str) -> bool {
    let event = event.name();
    let untold = (event, name) == ("recvmsg", "msgcontrol") || signature::is_absent(event, name);
    !untold && of_type(event).contains(&name)
}

fn of_type(event: &str) -> &'static [&'static str] {
    match event {
        "execve" | "execveat" => EXECUTION,
        dns::NAME => dns::PARAMETERS,
        super::FILE_PASSED => &["fd", "name", "flags", "dev", "ino"],
        super::CGROUP_MOVE => &["res", "pid", "comm", "source", "dest", "path"],
        "clone" | "clone3" => &[
            "res", "exe", "args", "tid", "pid", "ptid", "cwd", "comm", "flags", "uid", "gid",
            "vtid", "vpid",
        ],
        "procexit" => &["status", "ret", "sig"],
        "open" => &["fd", "name", "flags", "mode", "dev", "ino"],
        "openat" | "openat2" => &["fd", "dirfd", "name", "flags", "mode", "dev", "ino"],
        "open_by_handle_at" => &["fd", "mountfd", "flags", "path", "dev", "ino"],
        "creat" => &["fd", "name", "mode", "dev", "ino", "creat_flags"],
        "connect" => &["res", "tuple", "fd", "addr"],
        "socket" => &["fd", "domain", "type", "proto"],
        "symlink" => &["res", "target", "linkpath"],
        "symlinkat" => &["res", "target", "linkdirfd", "linkpath"],
        "link" => &["res", "oldpath", "newpath"],
        "linkat" => &["res", "olddir", "oldpath", "newdir", "newpath", "flags"],
        "ptrace" => &["res", "addr", "data", "request", "pid"],
        "dup" => &["res", "oldfd"],
        "dup2" => &["res", "oldfd", "newfd"],
        "dup3" => &["res", "oldfd", "newfd", "flags"],
        "fcntl" => &["res", "fd", "cmd"],
        "sendto" | "sendmsg" => &["res", "data", "fd", "size", "tuple"],
        "sendmmsg" | "recvmmsg" => &["res", "fd", "size", "data", "tuple"],
        "recvfrom" => &["res", "data", "tuple", "fd", "size"],
        "recvmsg" => &["res", "size", "data", "tuple", "msgcontrol", "fd"],
        "accept" => &["fd", "tuple", "queuepct", "queuelen", "queuemax"],
        "accept4" => &["fd", "tuple", "queuepct", "queuelen", "queuemax", "flags"],
        "listen" => &["res", "fd", "backlog"],
        "bind" => &["res", "addr", "fd"],
        other => signature::parameters(other).0,
    }
}

/// A parameter as text; `None` when the event's type has none of that name.
pub(super) fn text<'e>(event: &'e Event<'_>, name: &str, view: View) -> Option<Cow<'e, [u8]>> {
    let text = match parameter(event, name, view)? {
        Parameter::Text(text) | Parameter::Named(_, text) => text,
    };
    // An empty parameter reads so in Falco.
    Some(if text.is_empty() {
        Cow::Borrowed(b"<NA>")
    } else {
        text
    })
}

/// A parameter with its own type.
pub(super) fn raw<'e>(event: &'e Event<'_>, name: &str, view: View) -> Option<Value<'e>> {
    Some(match parameter(event, name, view)? {
        Parameter::Text(text) => Value::Text(text),
        Parameter::Named(value, _) => value,
    })
}

/// All parameters as `name=value`, joined by blanks.
pub(super) fn all(event: &Event<'_>, view: View) -> Vec<u8> {
    let mut line = Vec::new();
    for name in names(event) {
        let Some(value) = text(event, name, view) else {
            continue;
        };
        if !line.is_empty() {
            line.push(b' ');
        }
        line.extend_from_slice(name.as_bytes());
        line.push(b'=');
        line.extend_from_slice(&value);
    }
    line
}

fn parameter<'e>(event: &'e Event<'_>, name: &str, view: View) -> Option<Parameter<'e>> {
    if !names(event).contains(&name) {
        return None;
    }
    match event.record.kind() {
        _ if event.movement().is_some() => movement(event, name),
        Kind::Exec => execution(event, name).or_else(|| task(event, name)),
        Kind::Clone if name == "flags" => {
            let body = event.record.registers()?;
            let [flags_of_call, ..] = body.args;
            Some(flags(flags_of_call, signature::CLONE))
        }
        Kind::Fork | Kind::Clone => task(event, name),
        Kind::Accept | Kind::Listen | Kind::Bind => serve(event, name),
        Kind::Exit => exit(event, name),
        Kind::Open | Kind::Passed => open(event, name, view),
        Kind::Connect | Kind::Socket => network(event, name),
        Kind::Send | Kind::Receive => message(event, name),
        Kind::Symlink | Kind::Link => link(event, name, view),
        Kind::Ptrace => ptrace(event, name),
        Kind::Dup => dup(event, name),
        Kind::Dns => dns::parameter(event, name),
        _ => calls::parameter(event, name, view),
    }
}

fn task<'e>(event: &'e Event<'_>, name: &str) -> Option<Parameter<'e>> {
    let task = event.record.task();
    let process = event.process();
    Some(match name {
        "res" => Parameter::errno(event.result()?),
        "exe" => Parameter::Text(process.image.argv0().into()),
        "args" => Parameter::Text(super::process::arguments(process).into()),
        "tid" => Parameter::named(task.tid.into(), String::from_utf8_lossy(process.name())),
        "pid" => Parameter::named(task.pid.into(), String::from_utf8_lossy(process.name())),
        "ptid" => match event.ancestor(1) {
            Some(parent) => {
                Parameter::named(task.ppid.into(), String::from_utf8_lossy(parent.name()))
            }
            None => Parameter::unsigned(task.ppid.into()),
        },
        "cwd" => Parameter::Text(super::process::directory(event).into()),
        "comm" => Parameter::Text(process.name().into()),
        "tty" => Parameter::unsigned(task.tty.into()),
        "vpgid" => Parameter::unsigned(task.vpgid.into()),
        "pgid" => Parameter::unsigned(task.pgid.into()),
        "vpid" => Parameter::unsigned(task.vpid.into()),
        "vtid" => Parameter::unsigned(task.vtid.into()),
        "loginuid" if task.loginuid == u32::MAX => Parameter::named(u64::from(u32::MAX), "<NONE>"),
        "uid" | "loginuid" => {
            let id = if name == "uid" {
                task.euid
            } else {
                task.loginuid
            };
            Parameter::named(id.into(), super::user::name_or_na(event, id))
        }
        "gid" => Parameter::named(task.egid.into(), super::user::group_or_na(event, task.egid)),
        "cap_inheritable" => capabilities(task.cap_inheritable),
        "cap_permitted" => capabilities(task.cap_permitted),
        "cap_effective" => capabilities(task.cap_effective),
        _ => return None,
    })
}

pub(super) fn capabilities<'e>(set: u64) -> Parameter<'e> {
    Parameter::named(set, text::capabilities(set))
}

fn execution<'e>(event: &'e Event<'_>, name: &str) -> Option<Parameter<'e>> {
    let Body::Exec(body) = event.record.body() else {
        return None;
    };
    let image = &event.process().image;
    Some(match name {
        "filename" => Parameter::Text(event.record.string(Slot::Passed).into()),
        "trusted_exepath" => Parameter::Text((&*image.exe).into()),
        "env" => Parameter::Text(super::process::environment(event.process()).into()),
        "flags" => Parameter::named(body.exe_flags.into(), exe_flags(body.exe_flags)),
        "exe_ino" => Parameter::unsigned(body.inode),
        "exe_ino_ctime" => Parameter::unsigned(body.ctime),
        "exe_ino_mtime" => Parameter::unsigned(body.mtime),
        _ => return None,
    })
}

fn exe_flags(flags: u32) -> String {
    let states = [
        (ExeFlags::WRITABLE, ExeState::Writable),
        (ExeFlags::UPPER_LAYER, ExeState::UpperLayer),
        (ExeFlags::MEMFD, ExeState::FromMemfd),
        (ExeFlags::LOWER_LAYER, ExeState::LowerLayer),
    ];
    let set: Vec<ExeState> = states
        .into_iter()
        .filter(|(bit, _)| flags & bit != 0)
        .map(|(_, state)| state)
        .collect();
    text::exe_flags(&set)
}

fn exit<'e>(event: &'e Event<'_>, name: &str) -> Option<Parameter<'e>> {
    let Body::Exit(body) = event.record.body() else {
        return None;
    };
    Some(match name {
        "status" => Parameter::signed(body.status.into()),
        "ret" => Parameter::signed(i64::from(body.status >> 8 & 0xff)),
        "sig" => {
            let signal = body.status & 0x7f;
            Parameter::named(signal as u64, text::signal(signal))
        }
        _ => return None,
    })
}

fn open<'e>(event: &'e Event<'_>, name: &str, view: View) -> Option<Parameter<'e>> {
    let (Body::Open(body) | Body::Passed(body)) = event.record.body() else {
        return None;
    };
    Some(match name {
        "fd" => descriptor(event, body.ret, view),
        "dirfd" | "mountfd" => directory_descriptor(body.dirfd, event.record.string(Slot::Base)),
        "name" | "path" => Parameter::Text(event.paths.main(view).into()),
        "flags" | "creat_flags" => {
            let text = text::open_flags_with(body.flags, &fd::states(body));
            Parameter::named(body.flags.into(), text)
        }
        "mode" => Parameter::named(body.create_mode.into(), text::mode(body.create_mode)),
        "dev" => Parameter::unsigned(fd::device(body.dev).into()),
        "ino" => Parameter::unsigned(body.inode),
        _ => return None,
    })
}

fn network<'e>(event: &'e Event<'_>, name: &str) -> Option<Parameter<'e>> {
    Some(match (event.record.body(), name) {
        (Body::Connect(body), "res") => Parameter::errno(body.ret),
        (Body::Connect(body), "fd") => descriptor(event, body.fd.into(), View::Passed),
        (Body::Connect(body), "tuple") if body.passed_family == AF_UNIX => unix_tuple(event),
        (Body::Connect(_), "tuple") => Parameter::Text(fd::name(event, View::Passed)?),
        (Body::Connect(body), "addr") if body.passed_family == AF_UNIX => {
            Parameter::Text(event.record.string(Slot::Passed).into())
        }
        (Body::Connect(_), "addr") => {
            let text = ends::tuple(event)?.server?.passed();
            Parameter::Text(text.into_bytes().into())
        }
        (Body::Socket(body), "fd") => descriptor(event, body.ret, View::Passed),
        (Body::Socket(body), "domain") => {
            Parameter::named(body.domain.into(), text::socket_domain(body.domain))
        }
        (Body::Socket(body), "type") => {
            Parameter::named(body.kind.into(), text::socket_type(body.kind))
        }
        (Body::Socket(body), "proto") => Parameter::unsigned(body.protocol.into()),
        _ => return None,
    })
}

fn message<'e>(event: &'e Event<'_>, name: &str) -> Option<Parameter<'e>> {
    let (Body::Send(body) | Body::Receive(body)) = event.record.body() else {
        return None;
    };
    Some(match name {
        "res" => Parameter::errno(body.socket.ret),
        "fd" => descriptor(event, body.socket.fd.into(), View::Passed),
        "tuple" if fd::typechar(event) == Some('u') => unix_tuple(event),
        "tuple" => Parameter::Text(fd::name(event, View::Passed)?),
        "size" if body.size != u64::MAX => Parameter::unsigned(body.size),
        // Of a message in pieces, what was sent or received of it.
        "size" => Parameter::unsigned(u64::try_from(body.socket.ret).ok()?),
        "data" if body.socket.ret > 0 => {
            let head = event.record.string(Slot::Args);
            Parameter::Text(text::printable(head).into_bytes().into())
        }
        _ => return None,
    })
}

/// Both ends of a socket of `AF_UNIX`, whose addresses in the kernel are not told, and its name.
fn unix_tuple<'e>(event: &'e Event<'_>) -> Parameter<'e> {
    let path = event.record.string(Slot::Passed);
    Parameter::Text([&b"0->0 "[..], path].concat().into())
}

fn serve<'e>(event: &'e Event<'_>, name: &str) -> Option<Parameter<'e>> {
    let (Body::Accept(body) | Body::Listen(body) | Body::Bind(body)) = event.record.body() else {
        return None;
    };
    let (queue, most) = (u64::from(body.queue), u64::from(body.queue_max));
    Some(match name {
        "res" => Parameter::errno(body.socket.ret),
        "fd" => descriptor(event, body.socket.fd.into(), View::Passed),
        "tuple" | "addr" => Parameter::Text(fd::name(event, View::Passed)?),
        "backlog" => Parameter::signed((body.argument as i32).into()),
        "flags" => flags(body.argument.into(), ACCEPT_FLAGS),
        "queuelen" => Parameter::unsigned(queue),
        "queuemax" => Parameter::unsigned(most),
        "queuepct" => Parameter::unsigned((queue * 100).checked_div(most).unwrap_or_default()),
        _ => return None,
    })
}

fn link<'e>(event: &'e Event<'_>, name: &str, view: View) -> Option<Parameter<'e>> {
    let (Body::Symlink(body) | Body::Link(body)) = event.record.body() else {
        return None;
    };
    Some(match name {
        "res" => Parameter::errno(body.ret),
        "linkpath" | "newpath" => Parameter::Text(event.paths.main(view).into()),
        "target" | "oldpath" => Parameter::Text(event.paths.target(view).into()),
        "linkdirfd" | "newdir" => directory_descriptor(body.dirfd, event.record.string(Slot::Base)),
        "olddir" => directory_descriptor(body.target_dirfd, event.record.string(Slot::TargetBase)),
        "flags" => flags(body.flags.into(), signature::AT),
        _ => return None,
    })
}

fn ptrace<'e>(event: &'e Event<'_>, name: &str) -> Option<Parameter<'e>> {
    let Body::Ptrace(body) = event.record.body() else {
        return None;
    };
    Some(match name {
        "res" => Parameter::errno(body.ret),
        "request" => Parameter::named(body.request, text::ptrace_request(body.request)),
        "pid" => calls::process(event, body.target as u32),
        "addr" => Parameter::named(body.addr, format!("{:X}", body.addr)),
        "data" => Parameter::named(body.data, format!("{:X}", body.data)),
        _ => return None,
    })
}

fn movement<'e>(event: &'e Event<'_>, name: &str) -> Option<Parameter<'e>> {
    let movement = event.movement()?;
    Some(match name {
        "res" => Parameter::errno(0),
        "pid" => Parameter::signed(movement.pid.into()),
        "comm" => Parameter::Text((&*movement.comm).into()),
        "source" => Parameter::Text(movement.source.as_bytes().into()),
        "dest" => Parameter::Text(movement.dest.as_bytes().into()),
        "path" => Parameter::Text((&*movement.path).into()),
        _ => return None,
    })
}

fn dup<'e>(event: &'e Event<'_>, name: &str) -> Option<Parameter<'e>> {
    let Body::Dup(body) = event.record.body() else {
        return None;
    };
    Some(match name {
        "res" | "newfd" => descriptor(event, body.socket.ret, View::Passed),
        "oldfd" | "fd" => descriptor(event, body.oldfd.into(), View::Passed),
        "flags" => flags(body.flags.into(), &[(O_CLOEXEC, "O_CLOEXEC")]),
        "cmd" => Parameter::named(
            body.flags.into(),
            if body.flags == 0 {
                "F_DUPFD"
            } else {
                "F_DUPFD_CLOEXEC"
            },
        ),
        _ => return None,
    })
}

/// The names of the bits that are set, `|` between them; the number when there are none.
pub(super) fn flags<'e>(set: u64, names: &[(u64, &str)]) -> Parameter<'e> {
    let known: Vec<&str> = names
        .iter()
        .filter(|(bit, _)| set & bit == *bit)
        .map(|(_, name)| *name)
        .collect();
    if known.is_empty() {
        return Parameter::unsigned(set);
    }
    Parameter::named(set, known.join("|"))
}

/// `<f>/path`, or the errno of a call that gave no descriptor.
pub(super) fn descriptor<'e>(event: &Event<'_>, number: i64, view: View) -> Parameter<'e> {
    if number < 0 {
        return Parameter::errno(number);
    }
    let name = fd::name(event, view).unwrap_or_default();
    let text = match fd::typechar(event) {
        Some(kind) => [b"<", kind.to_string().as_bytes(), b">", &*name].concat(),
        None => number.to_string().into_bytes(),
    };
    Parameter::Named(Value::Signed(number), text.into())
}

pub(super) fn directory_descriptor<'e>(number: i32, path: &[u8]) -> Parameter<'e> {
    let text = match (number, path) {
        (AT_FDCWD, _) => b"AT_FDCWD".to_vec(),
        (_, b"") => number.to_string().into_bytes(),
        _ => [b"<d>", path].concat(),
    };
    Parameter::Named(Value::Signed(number.into()), text.into())
}
