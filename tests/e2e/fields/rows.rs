//! One row a field that upstream's rules use: where it is looked at, and what it has to be.

use super::acts::EXEC;
use super::process::{Facts, Image, Situation};

/// Longest that a tick of `/proc`, and two clocks read one after the other, put a time off: ns.
const OFF: i128 = 50_000_000;

/// What a field has to read.
#[derive(Clone, Debug)]
pub(super) enum Expected {
    Text(String),
    /// Text with this in it.
    With(String),
    /// Both included.
    Between(i128, i128),
    /// Behind the time of the alert by this, give or take what clocks are off.
    Since(i128),
    Missing,
    /// Not known here.
    Unknown,
}

use Expected::{Between, Missing, Since, Unknown, With};

/// At which acts.
#[derive(Clone, Copy, Debug)]
pub(super) enum At {
    All,
    /// All but the start of the program, behind which it changes its user and session.
    Later,
    These(&'static [&'static str]),
}

use At::{All, Later, These};

pub(super) struct Row {
    pub(super) field: &'static str,
    pub(super) at: At,
    pub(super) expected: fn(&Facts) -> Expected,
}

const fn row(field: &'static str, at: At, expected: fn(&Facts) -> Expected) -> Row {
    Row {
        field,
        at,
        expected,
    }
}

pub(super) const ROWS: &[Row] = &[
    row("evt.num", All, |_| Between(1, i128::from(u64::MAX))),
    row("evt.type", These(&["open"]), |_| text("open")),
    row("evt.type", These(&["failed"]), |_| text("openat")),
    row("evt.type", These(&[EXEC]), |_| text("execve")),
    row("evt.res", These(&["open", EXEC]), |_| text("SUCCESS")),
    row("evt.res", These(&["failed"]), |_| text("ENOENT")),
    row("evt.res", These(&["setns"]), |f| {
        // Docker refuses it to a container without privileges.
        text(match f.result("setns") {
            -1 => "EPERM",
            _ => "EBADF",
        })
    }),
    row("evt.res", These(&["ptrace"]), |_| text("ESRCH")),
    row("evt.rawres", These(&["open"]), |f| result(f, "open")),
    row("evt.rawres", These(&["failed"]), |f| result(f, "failed")),
    row("evt.rawres", These(&["bpf"]), |f| result(f, "bpf")),
    row("evt.rawres", These(&["recvfrom"]), |_| text(5)),
    row("evt.args", These(&["symlink"]), |f| {
        text(format!("res=0 target=f linkpath={}", f.file("s")))
    }),
    row("evt.args", These(&["mkdir"]), |f| {
        let mode = "S_IXOTH|S_IROTH|S_IXGRP|S_IRGRP|S_IXUSR|S_IWUSR|S_IRUSR";
        text(format!("res=0 path={} mode={mode}", f.file("d")))
    }),
    row("evt.is_open_read", These(&["open"]), |_| text(false)),
    row("evt.is_open_read", These(&["read", "failed"]), |_| {
        text(true)
    }),
    row("evt.is_open_read", These(&["mkdir"]), |_| text(false)),
    row("evt.is_open_write", These(&["open", "failed"]), |_| {
        text(true)
    }),
    row("evt.is_open_write", These(&["read"]), |_| text(false)),
    row("evt.is_open_exec", These(&["open"]), |_| text(true)),
    row("evt.is_open_exec", These(&["read"]), |_| text(false)),
    row("evt.arg.domain", These(&["socket"]), |_| text("AF_INET")),
    row("evt.arg.flags", These(&["open"]), |_| {
        With("O_TRUNC|O_CREAT|O_WRONLY".into())
    }),
    row("evt.arg.flags", These(&["folder"]), |_| {
        With("O_DIRECTORY".into())
    }),
    row("evt.arg.name", These(&["open"]), |f| text(f.file("f"))),
    row("evt.arg.name", These(&["unlinkat"]), |f| text(f.file("r"))),
    row("evt.arg.oldpath", These(&["link"]), |f| text(f.file("f"))),
    row("evt.arg.oldpath", These(&["rename"]), |f| text(f.file("l"))),
    row("evt.arg.newpath", These(&["link"]), |f| text(f.file("l"))),
    row("evt.arg.newpath", These(&["rename"]), |f| text(f.file("r"))),
    row("evt.arg.request", These(&["ptrace"]), |_| {
        text("PTRACE_ATTACH")
    }),
    row("evt.arg.target", These(&["symlink"]), |_| text("f")),
    row("evt.arg.linkpath", These(&["symlink"]), |f| {
        text(f.file("s"))
    }),
    row("evt.arg.cmd", These(&["bpf"]), |_| text("BPF_PROG_LOAD")),
    row("evt.arg.mode", These(&["chmod"]), |_| {
        text("S_IXOTH|S_IROTH|S_IXGRP|S_IRGRP|S_IXUSR|S_IWUSR|S_IRUSR|S_ISUID")
    }),
    row("evt.arg.filename", These(&["chmod"]), |f| text(f.file("l"))),
    row("evt.arg.path", These(&["mkdir"]), |f| text(f.file("d"))),
    row("evt.arg.uid", These(&["setuid"]), |f| {
        text(f.account("passwd", &f.uid().to_string()))
    }),
    row("evt.arg.fd", These(&["setns"]), |_| With("99".into())),
    row("evt.buffer", These(&["recvfrom"]), |_| text("hello")),
    row("fd.num", These(&["open"]), |f| result(f, "open")),
    row("fd.num", These(&["failed"]), |_| text(-1)),
    row("fd.num", These(&["connect"]), |f| result(f, "client")),
    row("fd.num", These(&["accept"]), |f| result(f, "accept")),
    row("fd.num", These(&["recvfrom"]), |f| result(f, "receiver")),
    row("fd.type", These(&["open", "read"]), |_| text("file")),
    row("fd.type", These(&["failed"]), |_| Missing),
    row("fd.type", These(&["folder"]), |_| text("directory")),
    row("fd.type", These(&["connect", "accept", "sendto"]), |_| {
        text("ipv4")
    }),
    row("fd.typechar", These(&["open", "failed"]), |_| text("f")),
    row("fd.typechar", These(&["folder"]), |_| text("d")),
    row("fd.typechar", These(&["connect", "recvfrom"]), |_| text(4)),
    row("fd.name", These(&["open", "read"]), |f| text(f.file("f"))),
    row("fd.name", These(&["failed"]), |f| text(f.file("nothing"))),
    row("fd.name", These(&["connect", "accept", "sendto"]), tuple),
    row("fd.name", These(&["recvfrom"]), tuple),
    row("fd.nameraw", These(&["open"]), |_| text("./sub/../f")),
    row("fd.nameraw", These(&["failed"]), |_| text("nothing")),
    row("fd.directory", These(&["open", "failed"]), |f| text(&f.cwd)),
    row("fd.directory", These(&["folder"]), |f| text(f.file("sub"))),
    row("fd.filename", These(&["open", "read"]), |_| text("f")),
    row("fd.filename", These(&["failed", "folder"]), |_| Missing),
    row("fd.connected", These(&["connect", "accept"]), |_| {
        text(true)
    }),
    row("fd.connected", These(&["sendto"]), |_| text(false)),
    row("fd.name_changed", These(&["connect", "accept"]), |_| {
        text(false)
    }),
    row("fd.name_changed", These(&["sendto", "recvfrom"]), |_| {
        text(true)
    }),
    row("fd.l4proto", These(&["connect", "accept"]), |_| text("tcp")),
    row("fd.l4proto", These(&["sendto", "recvfrom"]), |_| {
        text("udp")
    }),
    row("fd.sockfamily", These(NETWORK), |_| text("ip")),
    row("fd.sip", These(NETWORK), |_| text("127.0.0.1")),
    row("fd.cip", These(NETWORK), |_| text("127.0.0.1")),
    row("fd.rip", These(NETWORK), |_| text("127.0.0.1")),
    row("fd.sip.name", These(NETWORK), |_| text("localhost")),
    row("fd.cip.name", These(NETWORK), |_| text("localhost")),
    row("fd.lip.name", These(NETWORK), |_| text("localhost")),
    row("fd.rip.name", These(NETWORK), |_| text("localhost")),
    row("fd.sport", These(NETWORK), |f| text(f.port())),
    row("fd.lport", These(CLIENT), |f| text(f.client_port())),
    row("fd.rport", These(CLIENT), |f| text(f.port())),
    row("fd.lport", These(SERVER), |f| text(f.port())),
    row("fd.rport", These(SERVER), |f| text(f.client_port())),
    row("proc.name", All, |f| text(&f.image.name)),
    row("proc.exe", All, |f| text(first(&f.image))),
    row("proc.exepath", All, |f| text(&f.image.path)),
    row("proc.args", All, |f| text(f.image.after_first())),
    row("proc.cmdline", All, |f| text(f.image.command_line())),
    row("proc.env", All, |f| text(f.image.environment.join(" "))),
    row("proc.cwd", All, |f| text(format!("{}/", f.cwd))),
    row("proc.duration", All, |f| Since(f.start)),
    row("proc.tty", Later, |f| text(f.word(7))),
    row("proc.vpid", All, |f| text(f.inner("NStgid"))),
    row("proc.is_vpgid_leader", Later, |f| {
        text(f.inner("NSpgid") == f.inner("NStgid"))
    }),
    row("proc.sname", Later, |f| {
        // A process that leads its session goes by the name that it has now.
        let leads = f.word(6) == i128::from(f.pid);
        text(&(if leads { &f.image } else { &f.session_leader }).name)
    }),
    row("proc.pname", All, |f| text(&above(f, 1).name)),
    row("proc.pexe", All, |f| text(first(above(f, 1)))),
    row("proc.pexepath", All, |f| text(&above(f, 1).path)),
    row("proc.pcmdline", All, |f| text(above(f, 1).command_line())),
    row("proc.aname[0]", All, |f| text(&f.image.name)),
    row("proc.aname[1]", All, |f| text(&above(f, 1).name)),
    row("proc.aname[2]", All, |f| text(&above(f, 2).name)),
    row("proc.aname[3]", All, |f| named(f, 3)),
    row("proc.aname[4]", All, |f| named(f, 4)),
    row("proc.aname[5]", All, |f| named(f, 5)),
    row("proc.aname[6]", All, |f| named(f, 6)),
    row("proc.aname[7]", All, |f| named(f, 7)),
    row("proc.aexe[1]", All, |f| text(first(above(f, 1)))),
    row("proc.aexe[2]", All, |f| text(first(above(f, 2)))),
    row("proc.aexepath[1]", All, |f| text(&above(f, 1).path)),
    row("proc.aexepath[2]", All, |f| text(&above(f, 2).path)),
    row("proc.is_exe_from_memfd", All, |f| text(f.image.is_memory)),
    row("proc.is_exe_upper_layer", All, |f| text(f.image.is_upper)),
    row("proc.exe_ino.ctime", All, |f| text(f.image.changed)),
    row("proc.exe_ino.mtime", All, |f| text(f.image.modified)),
    row("proc.exe_ino.ctime_duration_proc_start", All, |f| {
        near(f.start - f.image.changed)
    }),
    row("thread.cap_effective", Later, |f| capabilities(f, "CapEff")),
    row("thread.cap_permitted", Later, |f| capabilities(f, "CapPrm")),
    row("user.uid", Later, |f| text(f.effective("Uid"))),
    row("user.name", Later, |f| {
        text(f.account("passwd", f.effective("Uid")))
    }),
    row("user.loginuid", All, |f| text(f.login)),
    row("user.loginname", All, |f| match f.login {
        -1 => text("<NA>"),
        login => text(f.account("passwd", &login.to_string())),
    }),
    row("group.gid", Later, |f| text(f.effective("Gid"))),
    row("group.name", Later, |f| {
        text(f.account("group", f.effective("Gid")))
    }),
    row("container.id", All, |f| match &f.place.container {
        Some(container) => text(container.id.get(..12).unwrap_or_default()),
        None => text("host"),
    }),
    row("container.privileged", All, |f| {
        let container = f.place.container.as_ref();
        text(container.is_some_and(|container| container.privileged))
    }),
    row("container.image.repository", All, |f| {
        text(match f.place.container {
            Some(_) => super::REPOSITORY,
            None => "",
        })
    }),
    row("container.image.tag", All, |f| {
        text(f.place.container.as_ref().map_or("", |_| "v1"))
    }),
    row("container.name", All, |f| {
        text(match &f.place.container {
            Some(container) if container.privileged => "e2e-fields-old",
            Some(_) => "e2e-fields-new",
            None => "host",
        })
    }),
    row("container.start_ts", All, |f| match &f.place.container {
        Some(container) => near(container.start),
        None => Missing,
    }),
    row("container.mounts", All, |f| match f.place.container {
        Some(_) => text(format!("{}:/e2e::true:rprivate", f.place.folder.display())),
        None => Missing,
    }),
    row("container.mount.dest[0]", All, |f| {
        match f.place.container {
            Some(_) => text("/e2e"),
            None => Missing,
        }
    }),
    row("k8s.ns.name", All, |f| pod(f, 0)),
    row("k8s.pod.name", All, |f| pod(f, 1)),
];

/// What cannot be printed: tests that have to hold at an act, some of which are of what is not so.
pub(super) const TESTED: &[(&str, &str, &str)] = &[
    (
        "fd.ip",
        "connect",
        "fd.ip = 127.0.0.1 and not fd.ip = 10.0.0.1",
    ),
    ("fd.port", "connect", "fd.port >= 43440 and not fd.port = 1"),
    (
        "fd.net",
        "connect",
        "fd.net = 127.0.0.0/8 and not fd.net = 10.0.0.0/8",
    ),
    (
        "fd.snet",
        "connect",
        "fd.snet = 127.0.0.0/8 and not fd.snet = 127.0.0.2/32",
    ),
    (
        "fd.rnet",
        "connect",
        "fd.rnet = 127.0.0.0/8 and not fd.rnet = 127.0.0.2/32",
    ),
    (
        "fd.cnet",
        "accept",
        "fd.cnet = 127.0.0.0/8 and not fd.cnet = 127.0.0.2/32",
    ),
    (
        "fd.sip.name",
        "connect",
        "fd.sip.name = localhost and not fd.sip.name = e2e.invalid",
    ),
    (
        "proc.aname",
        "open",
        "proc.aname = sh and not proc.aname = e2e-calls",
    ),
];

const CLIENT: &[&str] = &["connect", "sendto"];
const SERVER: &[&str] = &["accept", "recvfrom"];
const NETWORK: &[&str] = &["connect", "accept", "sendto", "recvfrom"];

#[expect(
    clippy::needless_pass_by_value,
    reason = "most are made for the call, and a table reads better without borrows"
)]
fn text(value: impl ToString) -> Expected {
    Expected::Text(value.to_string())
}

fn near(time: i128) -> Expected {
    Between(time - OFF, time + OFF)
}

impl Expected {
    /// Whether a field reads so in an alert of this time, ns.
    pub(super) fn fits(&self, found: Option<&str>, time: i128) -> bool {
        let number = || found.and_then(|found| found.parse::<i128>().ok());
        match self {
            Self::Text(text) => found == Some(text),
            With(part) => found.is_some_and(|found| found.contains(part)),
            Between(from, to) => number().is_some_and(|found| (*from..=*to).contains(&found)),
            Since(start) => {
                number().is_some_and(|found| (time - start - found).unsigned_abs() <= 50_000_000)
            }
            Missing => found.is_none(),
            Unknown => true,
        }
    }
}

fn result(facts: &Facts, label: &str) -> Expected {
    text(facts.result(label))
}

fn tuple(facts: &Facts) -> Expected {
    text(format!(
        "127.0.0.1:{}->127.0.0.1:{}",
        facts.client_port(),
        facts.port()
    ))
}

fn first(image: &Image) -> &str {
    image.arguments.first().map_or("", String::as_str)
}

fn above(facts: &Facts, depth: usize) -> &Image {
    facts.ancestors.get(depth - 1).unwrap_or(&facts.image)
}

/// The name of an ancestor that there may not be, or that is not known here: of a container, who
/// started the shell is gone.
fn named(facts: &Facts, depth: usize) -> Expected {
    match facts.ancestors.get(depth - 1) {
        Some(ancestor) => text(&ancestor.name),
        None if facts.place.container.is_some() || facts.hides_ancestors => Unknown,
        None => Missing,
    }
}

fn pod(facts: &Facts, index: usize) -> Expected {
    let container = facts.place.container.as_ref();
    match container.and_then(|container| container.pod) {
        Some(pod) => text(pod[index]),
        None => Missing,
    }
}

/// Names in the order of the kernel's numbers, from 0.
const CAPABILITIES: &str = "CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID KILL SETGID SETUID \
    SETPCAP LINUX_IMMUTABLE NET_BIND_SERVICE NET_BROADCAST NET_ADMIN NET_RAW IPC_LOCK IPC_OWNER \
    SYS_MODULE SYS_RAWIO SYS_CHROOT SYS_PTRACE SYS_PACCT SYS_ADMIN SYS_BOOT SYS_NICE SYS_RESOURCE \
    SYS_TIME SYS_TTY_CONFIG MKNOD LEASE AUDIT_WRITE AUDIT_CONTROL SETFCAP MAC_OVERRIDE MAC_ADMIN \
    SYSLOG WAKE_ALARM BLOCK_SUSPEND AUDIT_READ PERFMON BPF CHECKPOINT_RESTORE";

fn capabilities(facts: &Facts, line: &str) -> Expected {
    let set = u64::from_str_radix(facts.line(line), 16).unwrap_or_default();
    let names = CAPABILITIES.split_whitespace().enumerate();
    let held = names.filter(|(bit, _)| set >> bit & 1 == 1);
    let names: Vec<String> = held.map(|(_, name)| format!("CAP_{name}")).collect();
    // Falco prints an empty set as an empty text.
    match (facts.situation, names.is_empty()) {
        (Situation::Thread, true) => text(""),
        _ => text(names.join(" ")),
    }
}
