//! Facts about the machine that decide what can be watched. Files are read below a root folder, so
//! that tests can make up machines.

use std::fs;
use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use anstyle::{AnsiColor, Style};

/// How long Docker has to answer.
const DOCKER_TIME: Duration = Duration::from_secs(2);

/// Capabilities the daemon needs, by bit number (include/uapi/linux/capability.h), and whether
/// `CAP_SYS_ADMIN` stands in for them (include/linux/capability.h: `bpf_capable` and its like).
const CAPABILITIES: [(&str, u32, bool); 5] = [
    ("CAP_BPF", 39, true),
    ("CAP_PERFMON", 38, true),
    ("CAP_NET_ADMIN", 12, true),
    ("CAP_SYS_PTRACE", 19, false),
    ("CAP_DAC_READ_SEARCH", 2, false),
];
const CAP_SYS_ADMIN: u32 = 21;

/// What a fact means for the daemon.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Verdict {
    Ok,
    /// The daemon runs, with less to say.
    Warn,
    /// The daemon cannot run.
    Fail,
}

impl Verdict {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warn => "warn",
            Self::Fail => "FAIL",
        }
    }

    pub(super) fn style(self) -> Style {
        match self {
            Self::Ok => AnsiColor::Green.on_default(),
            Self::Warn => AnsiColor::Yellow.on_default(),
            Self::Fail => AnsiColor::Red.on_default().bold(),
        }
    }
}

/// One fact.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Fact {
    pub(super) name: &'static str,
    pub(super) verdict: Verdict,
    pub(super) detail: String,
    /// What to do about it.
    pub(super) help: Option<String>,
}

impl Fact {
    fn ok(name: &'static str, detail: impl Into<String>) -> Self {
        Self {
            name,
            verdict: Verdict::Ok,
            detail: detail.into(),
            help: None,
        }
    }

    fn warn(name: &'static str, detail: impl Into<String>, help: &str) -> Self {
        Self {
            verdict: Verdict::Warn,
            help: Some(help.to_owned()),
            ..Self::ok(name, detail)
        }
    }

    fn fail(name: &'static str, detail: impl Into<String>, help: &str) -> Self {
        Self {
            verdict: Verdict::Fail,
            help: Some(help.to_owned()),
            ..Self::ok(name, detail)
        }
    }
}

/// All facts, with `/proc` and `/sys` below `root`.
pub(super) fn gather(root: &Path, docker_socket: &Path) -> Vec<Fact> {
    vec![
        kernel(root),
        btf(root),
        privileges(root),
        lockdown(root),
        cgroups(root),
        docker(docker_socket),
        confinement(root),
    ]
}

/// The capabilities that this process would need and has not.
pub(super) fn missing_capabilities(root: &Path) -> Vec<&'static str> {
    let status = fs::read_to_string(root.join("proc/self/status")).unwrap_or_default();
    let effective = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
    let set = effective
        .and_then(|hex| u64::from_str_radix(hex.trim(), 16).ok())
        .unwrap_or(0);
    let has = |bit: u32| set & (1 << bit) != 0;
    CAPABILITIES
        .iter()
        .filter(|(_, bit, admin)| !(has(*bit) || *admin && has(CAP_SYS_ADMIN)))
        .map(|(name, _, _)| *name)
        .collect()
}

/// Whether the kernel can keep others off the daemon, and whether it is to.
pub(super) fn protection(unprotected: Option<String>, wanted: bool) -> Fact {
    match (unprotected, wanted) {
        (None, true) => Fact::ok("protect", "on: others cannot kill or trace the daemon"),
        (None, false) => Fact::ok("protect", "off; `protect: true` works here"),
        (Some(reason), false) => Fact::ok("protect", format!("off; not possible: {reason}")),
        (Some(reason), true) => Fact::warn(
            "protect",
            format!("not possible: {reason}"),
            "the daemon runs all the same, and others can kill and trace it",
        ),
    }
}

fn kernel(root: &Path) -> Fact {
    match fs::read_to_string(root.join("proc/sys/kernel/osrelease")) {
        Ok(release) => Fact::ok(
            "kernel",
            format!("{} {}", release.trim(), std::env::consts::ARCH),
        ),
        Err(error) => Fact::fail("kernel", error.to_string(), "mount /proc"),
    }
}

fn btf(root: &Path) -> Fact {
    const FILE: &str = "sys/kernel/btf/vmlinux";
    match fs::File::open(root.join(FILE)).and_then(|file| file.metadata()) {
        Ok(metadata) => Fact::ok("BTF", format!("/{FILE}, {} KiB", metadata.len() / 1024)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Fact::fail(
            "BTF",
            format!("no /{FILE}"),
            "use a kernel built with CONFIG_DEBUG_INFO_BTF=y, as all current distributions do",
        ),
        Err(error) => Fact::fail("BTF", format!("/{FILE}: {error}"), "run as root"),
    }
}

fn privileges(root: &Path) -> Fact {
    let missing = missing_capabilities(root);
    if missing.is_empty() {
        Fact::ok("privileges", "all capabilities that are needed")
    } else {
        Fact::fail(
            "privileges",
            format!("missing {}", missing.join(", ")),
            "run as root",
        )
    }
}

/// What the daemon is confined by once it runs, and its helper.
fn confinement(root: &Path) -> Fact {
    let calls = root.join("proc/sys/kernel/seccomp/actions_avail").exists();
    let modules = fs::read_to_string(root.join("sys/kernel/security/lsm"));
    let landlock = modules
        .as_ref()
        .map(|all| all.trim().split(',').any(|one| one == "landlock"));
    match (calls, landlock) {
        (false, _) => Fact::warn(
            "confinement",
            "no seccomp: the daemon's own system calls are not restricted",
            "use a kernel built with CONFIG_SECCOMP_FILTER=y, as all distributions do",
        ),
        (true, Ok(true)) => Fact::ok(
            "confinement",
            "seccomp; Landlock for the self-check's helper",
        ),
        (true, Ok(false)) => Fact::ok(
            "confinement",
            "seccomp; no Landlock for the self-check's helper",
        ),
        (true, Err(_)) => Fact::ok(
            "confinement",
            "seccomp; unknown whether Landlock is there: no /sys/kernel/security/lsm",
        ),
    }
}

fn lockdown(root: &Path) -> Fact {
    let text = fs::read_to_string(root.join("sys/kernel/security/lockdown")).unwrap_or_default();
    let mode = text
        .split('[')
        .nth(1)
        .and_then(|rest| rest.split(']').next());
    match mode {
        // kernel/trace/bpf_trace.c asks for LOCKDOWN_BPF_READ_KERNEL, a confidentiality reason.
        Some("confidentiality") => Fact::fail(
            "lockdown",
            "confidentiality: programs may not read kernel memory",
            "boot with lockdown=integrity or lockdown=none",
        ),
        Some(mode) => Fact::ok("lockdown", mode),
        None => Fact::ok("lockdown", "not in use"),
    }
}

fn cgroups(root: &Path) -> Fact {
    let folder = root.join("sys/fs/cgroup");
    if folder.join("cgroup.controllers").exists() {
        Fact::ok("cgroups", "v2")
    } else if folder.join("unified/cgroup.procs").exists() {
        Fact::ok("cgroups", "hybrid (v1 with a v2 tree)")
    } else if folder.join("pids/cgroup.procs").exists() {
        Fact::ok("cgroups", "v1")
    } else {
        Fact::warn(
            "cgroups",
            "no hierarchy in /sys/fs/cgroup",
            "containers are not told apart: run `mount -t cgroup2 cgroup2 /sys/fs/cgroup`",
        )
    }
}

fn docker(socket: &Path) -> Fact {
    match ping(socket) {
        Ok(version) => Fact::ok("docker", format!("{}, API {version}", socket.display())),
        Err(error) => Fact::warn(
            "docker",
            format!("{}: {error}", socket.display()),
            "detection works without; alerts then have container ids, but no names and images",
        ),
    }
}

/// The API's version.
fn ping(socket: &Path) -> io::Result<String> {
    let mut stream = UnixStream::connect(socket)?;
    stream.set_read_timeout(Some(DOCKER_TIME))?;
    stream.set_write_timeout(Some(DOCKER_TIME))?;
    stream.write_all(b"GET /_ping HTTP/1.0\r\nHost: docker\r\n\r\n")?;
    let mut answer = Vec::new();
    stream.take(4096).read_to_end(&mut answer)?;
    let answer = String::from_utf8_lossy(&answer);
    let status = answer.lines().next().unwrap_or_default();
    if status.split(' ').nth(1) != Some("200") {
        return Err(io::Error::other(format!("the API answered `{status}`")));
    }
    let version = answer.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("api-version")
            .then(|| value.trim().to_owned())
    });
    Ok(version.unwrap_or_else(|| "unknown".to_owned()))
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixListener;
    use std::thread;

    use super::*;

    /// A machine with these files.
    fn machine(files: &[(&str, &str)]) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        root
    }

    #[test]
    fn a_good_machine() {
        let root = machine(&[
            ("proc/sys/kernel/osrelease", "6.1.0-38-amd64\n"),
            ("proc/self/status", "Name:\tx\nCapEff:\t000001ffffffffff\n"),
            ("sys/kernel/btf/vmlinux", &"b".repeat(2048)),
            (
                "sys/kernel/security/lockdown",
                "none [integrity] confidentiality\n",
            ),
            ("sys/fs/cgroup/cgroup.controllers", "cpu memory\n"),
            ("proc/sys/kernel/seccomp/actions_avail", "errno allow\n"),
            ("sys/kernel/security/lsm", "capability,landlock,bpf\n"),
        ]);
        let facts = gather(root.path(), Path::new("/nonexistent.sock"));
        let details: Vec<&str> = facts.iter().map(|fact| fact.detail.as_str()).collect();
        let kernel = format!("6.1.0-38-amd64 {}", std::env::consts::ARCH);
        assert_eq!(
            details,
            [
                kernel.as_str(),
                "/sys/kernel/btf/vmlinux, 2 KiB",
                "all capabilities that are needed",
                "integrity",
                "v2",
                "/nonexistent.sock: No such file or directory (os error 2)",
                "seccomp; Landlock for the self-check's helper",
            ]
        );
        assert!(
            facts.iter().take(5).all(|fact| fact.verdict == Verdict::Ok),
            "{facts:?}"
        );
        assert_eq!(
            facts[5].verdict,
            Verdict::Warn,
            "the daemon runs without Docker"
        );
    }

    #[test]
    fn what_keeps_the_daemon_from_running() {
        let root = machine(&[
            ("proc/self/status", "CapEff:\t0000000000000000\n"),
            (
                "sys/kernel/security/lockdown",
                "none integrity [confidentiality]\n",
            ),
        ]);
        let facts = gather(root.path(), Path::new("/nonexistent.sock"));
        let failed: Vec<&str> = facts
            .iter()
            .filter(|fact| fact.verdict == Verdict::Fail)
            .map(|fact| fact.name)
            .collect();
        assert_eq!(failed, ["kernel", "BTF", "privileges", "lockdown"]);
        assert!(
            facts
                .iter()
                .all(|fact| fact.verdict == Verdict::Ok || fact.help.is_some())
        );
    }

    #[test]
    fn capabilities_by_what_a_unit_may_grant() {
        let cases: [(&str, &[&str]); 4] = [
            ("000001ffffffffff", &[]),
            // CAP_SYS_ADMIN, CAP_SYS_PTRACE, CAP_DAC_READ_SEARCH.
            ("0000000000280004", &[]),
            // CAP_BPF, CAP_PERFMON, CAP_DAC_READ_SEARCH.
            ("000000c000000004", &["CAP_NET_ADMIN", "CAP_SYS_PTRACE"]),
            (
                "",
                &[
                    "CAP_BPF",
                    "CAP_PERFMON",
                    "CAP_NET_ADMIN",
                    "CAP_SYS_PTRACE",
                    "CAP_DAC_READ_SEARCH",
                ],
            ),
        ];
        for (set, missing) in cases {
            let root = machine(&[("proc/self/status", &format!("CapEff:\t{set}\n"))]);
            assert_eq!(missing_capabilities(root.path()), missing, "{set}");
        }
    }

    #[test]
    fn docker_is_asked_for_its_version() {
        let cases = [
            (
                "HTTP/1.0 200 OK\r\nApi-Version: 1.41\r\n\r\nOK",
                Verdict::Ok,
                "API 1.41",
            ),
            (
                "HTTP/1.0 500 Oops\r\n\r\n",
                Verdict::Warn,
                "the API answered `HTTP/1.0 500 Oops`",
            ),
            ("", Verdict::Warn, "the API answered ``"),
        ];
        for (answer, verdict, detail) in cases {
            let folder = tempfile::tempdir().unwrap();
            let socket = folder.path().join("docker.sock");
            let listener = UnixListener::bind(&socket).unwrap();
            let server = thread::spawn(move || {
                let (mut stream, _) = listener.accept().unwrap();
                let mut request = [0; 512];
                let _ = stream.read(&mut request).unwrap();
                stream.write_all(answer.as_bytes()).unwrap();
            });
            let fact = docker(&socket);
            server.join().unwrap();
            assert_eq!(fact.verdict, verdict, "{fact:?}");
            assert!(fact.detail.ends_with(detail), "{fact:?}");
        }
    }
}
