//! What programs do through `io_uring`, in each of its modes: the same events as those of the
//! calls that do the same, once each, of the right process, on this host and in a container.

use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use monitor_tests::daemon::{Daemon, is_from};
use monitor_tests::docker::Dockerd;
use monitor_tests::tree::Tree;
use monitor_tests::{c, daemon, docker, paths, skip_if};
use serde_json::{Value, json};

use crate::actions::{Programs, succeed};
use crate::world::{PATIENCE, assert_fields, docker_settings, text, watch};

pub(crate) const PROGRAM: &str = "e2e-uring";
const RULE: &str = "through io_uring";
const MODES: [&str; 3] = ["plain", "async", "sqpoll"];
const PORT: &str = "43571";

/// Kernels that lack an operation refuse it, and the program makes the call.
#[derive(Clone, Copy, PartialEq)]
enum Since {
    Always,
    /// Of 6.9 and later.
    Later,
}

impl Since {
    /// Which operations the kernel has, by what the program printed.
    fn of(printed: &[u8]) -> Self {
        if String::from_utf8_lossy(printed).contains("OP_FTRUNCATE -22") {
            Always
        } else {
            Later
        }
    }
}

use Since::{Always, Later};

/// Type, a field and its value for each event of a run, in order. `{}` is the folder.
const EVENTS: &[(Since, &str, &str, &str)] = &[
    (
        Always,
        "mkdirat",
        "evt.args",
        "res=0 dirfd=AT_FDCWD path={}/made mode=S_IXUSR|S_IWUSR|S_IRUSR",
    ),
    (Always, "openat", "fd.name", "{}/file"),
    (
        Later,
        "ftruncate",
        "evt.args",
        "res=0 fd=<f>{}/file length=7",
    ),
    (Always, "setxattr", "evt.arg.path", "{}/file"),
    (Always, "fsetxattr", "evt.arg.name", "user.two"),
    // Into a slot of the ring.
    (Always, "openat", "fd.name", "{}/file"),
    (Always, "symlinkat", "evt.arg.linkpath", "{}/alias"),
    (Always, "openat", "fd.name", "{}/alias"),
    (Always, "openat2", "evt.res", "ENOENT"),
    (Always, "linkat", "evt.arg.newpath", "{}/second"),
    (
        Always,
        "renameat2",
        "evt.args",
        "res=0 olddirfd=<d>{} oldpath={}/second newdirfd=AT_FDCWD newpath={}/third \
         flags=RENAME_NOREPLACE",
    ),
    (
        Always,
        "unlinkat",
        "evt.args",
        "res=0 dirfd=<d>{} name={}/third flags=0",
    ),
    (
        Always,
        "unlinkat",
        "evt.args",
        "res=0 dirfd=AT_FDCWD name={}/made flags=AT_REMOVEDIR",
    ),
    (
        Always,
        "socket",
        "evt.args",
        "fd=<4> domain=AF_INET type=1 proto=0",
    ),
    (Always, "bind", "fd.name", "127.0.0.1:43571"),
    (Always, "listen", "evt.arg.backlog", "9"),
    // The program makes the other sockets by calls.
    (Always, "socket", "evt.res", "SUCCESS"),
    (Always, "connect", "evt.arg.addr", "127.0.0.1:43571"),
    (Always, "accept4", "evt.arg.flags", "SOCK_CLOEXEC"),
    (Always, "recvfrom", "evt.rawres", "2"),
    (Always, "recvmsg", "evt.rawres", "3"),
    (Always, "socket", "evt.res", "SUCCESS"),
    // Without copying.
    (Always, "sendmsg", "fd.sport", "43571"),
    (Always, "sendto", "evt.rawres", "4"),
    (Always, "sendmsg", "fd.sport", "43571"),
    (Always, "sendto", "fd.sport", "43571"),
];

fn rules() -> String {
    format!(
        "- rule: {RULE}\n  desc: what the program does\n  condition: >\n    proc.name = {PROGRAM} \
         and evt.type in (mkdirat, openat, openat2, ftruncate, setxattr, fsetxattr, symlinkat, linkat, renameat2, \
         unlinkat, socket, bind, listen, connect, accept4, recvfrom, recvmsg, sendmsg, sendto)\n    and not \
         evt.arg.flags contains O_DIRECTORY\n  \
         output: >\n    %evt.type %evt.res %evt.rawres %evt.args | name=%fd.name sport=%fd.sport \
         addr=%evt.arg.addr flags=%evt.arg.flags backlog=%evt.arg.backlog \
         newpath=%evt.arg.newpath path=%evt.arg.path attribute=%evt.arg.name linkpath=%evt.arg.linkpath line=%proc.cmdline exe=%proc.exepath container=%container.name\n  \
         priority: NOTICE\n\
         - rule: through a link\n  desc: the path that the kernel found\n  condition: >\n    \
         proc.name = {PROGRAM} and evt.type = openat and evt.is_open_write = false and fd.name \
         endswith /file\n  output: found | line=%proc.cmdline\n  priority: NOTICE\n"
    )
}

/// The alerts of a rule about one run.
fn of_run<'a>(alerts: &'a [Value], rule: &str, mode: &str) -> Vec<&'a Value> {
    let start = format!("{PROGRAM} {mode} ");
    let fits = |alert: &&Value| {
        let line = text(&alert["output_fields"], "proc.cmdline");
        is_from(alert, rule) && line.starts_with(&start)
    };
    alerts.iter().filter(fits).collect()
}

/// Each event of a run once, in order.
fn whole(alerts: &[Value], mode: &str, folder: &str, kernel: Since) -> Result<()> {
    let found = of_run(alerts, RULE, mode);
    let expected: Vec<_> = EVENTS
        .iter()
        .filter(|row| row.0 == Always || kernel == Later)
        .collect();
    let types = |alert: &&Value| text(&alert["output_fields"], "evt.type").to_owned();
    let found_types: Vec<String> = found.iter().map(types).collect();
    let expected_types: Vec<&str> = expected.iter().map(|row| row.1).collect();
    ensure!(found_types == expected_types, "{mode}: {found:#?}");
    for (alert, (_, _, name, value)) in found.iter().zip(expected) {
        let value = value.replace("{}", folder);
        let shown = match &alert["output_fields"][*name] {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        ensure!(shown == value, "{mode}: {name} is not {value}: {alert:#}");
    }
    let through = of_run(alerts, "through a link", mode);
    ensure!(through.len() == 1, "{mode}: {through:#?}");
    Ok(())
}

fn is_last(alert: &Value) -> bool {
    let fields = &alert["output_fields"];
    // The one before is shorter.
    text(fields, "evt.type") == "sendto" && fields["evt.rawres"] == 5
}

/// Runs the program in each mode; `run` makes its command.
fn check(
    daemon: &mut Daemon,
    folder: &str,
    run: impl Fn(&str) -> Command,
    each: impl Fn(&Value),
) -> Result<()> {
    for mode in MODES {
        let mark = daemon.mark()?;
        let kernel = Since::of(&succeed(&mut run(mode))?.stdout);
        daemon.wait_for_since(mark, mode, PATIENCE, is_last)?;
        let alerts = daemon.alerts_since(mark)?;
        whole(alerts, mode, folder, kernel)?;
        alerts.iter().for_each(&each);
    }
    Ok(())
}

#[test]
fn io_uring_on_this_host() -> Result<()> {
    skip_if!(daemon::obstacle());
    skip_if!(c::obstacle(PROGRAM));
    let programs = Programs::new()?;
    let program = programs.folder().join(PROGRAM);
    c::provide(&program, compile)?;
    skip_if!(lacks(&program, &programs)?);
    let mut daemon = watch(&programs, &rules(), "rule_matching: all\n")?;
    let work = programs.folder().join("work");
    std::fs::create_dir(&work)?;
    let folder = work.to_str().context("the folder's path is no text")?;
    let run = |mode: &str| {
        std::fs::remove_dir_all(&work).ok();
        std::fs::create_dir(&work).ok();
        let mut command = Command::new(&program);
        command.args([mode, folder, PORT]);
        command
    };
    let path = program.to_str().context("the program's path is no text")?;
    check(&mut daemon, folder, run, |alert| {
        let fields = &alert["output_fields"];
        if is_from(alert, RULE) {
            assert_eq!(text(fields, "proc.exepath"), path, "{alert:#}");
        }
    })?;
    // A request that asks for no completion of a success.
    let mark = daemon.mark()?;
    succeed(Command::new(&program).args(["silent", folder, PORT]))?;
    let quiet = format!("res=0 dirfd=AT_FDCWD name={folder}/quiet flags=0");
    let removed = |alert: &Value| text(&alert["output_fields"], "evt.args") == quiet;
    daemon.wait_for_since(mark, "silent", PATIENCE, removed)?;
    Ok(())
}

#[test]
fn io_uring_in_a_container() -> Result<()> {
    skip_if!(daemon::obstacle());
    skip_if!(docker::obstacle());
    let image = "registry.example/team/uring:v1";
    let docker = Dockerd::start()?;
    let programs = Programs::new()?;
    let tree = with_program(&programs)?;
    docker.import_image(image, &tree)?;
    let settings = format!("rule_matching: all\n{}", docker_settings(&docker));
    let mut daemon = watch(&programs, &rules(), &settings)?;
    let run = |mode: &str| {
        let mut command = docker.command(&["run", "--rm", "--network", "none"]);
        command.args(["--security-opt", "seccomp=unconfined", "--name", PROGRAM]);
        command.args([image, "/bin/e2e-uring", mode, "/work", PORT]);
        command
    };
    check(&mut daemon, "/work", run, |alert| {
        let fields = [
            ("container.name", json!(PROGRAM)),
            (
                "container.image.repository",
                json!("registry.example/team/uring"),
            ),
        ];
        if is_from(alert, RULE) {
            assert_fields(alert, &fields);
        }
    })
}

/// Why this kernel's `io_uring` is not the one that the daemon tells of, if so.
fn lacks(program: &Path, programs: &Programs) -> Result<Option<String>> {
    let mut command = Command::new(program);
    command.arg("plain").arg(programs.folder()).arg(PORT);
    let printed = crate::actions::run(&mut command)?.stdout;
    let lacks = String::from_utf8_lossy(&printed).contains("IORING_OP_SOCKET -22");
    Ok(lacks.then(|| "needs `io_uring` of Linux 5.19".to_owned()))
}

/// The program, without need of libraries.
pub(crate) fn compile(program: &Path) -> Result<()> {
    let source = paths::root().join("tests/bin/uring.c");
    c::compile(&source, program, &["-static"])
}

/// Busybox, the program, and a folder for it.
fn with_program(programs: &Programs) -> Result<Tree> {
    let program = programs.folder().join(PROGRAM);
    compile(&program)?;
    let tree = Tree::busybox()?;
    tree.program("/bin/e2e-uring", &program)?.folder("/work")?;
    Ok(tree)
}
