//! Actions on the host.

use std::fs;
use std::os::unix::process::CommandExt as _;
use std::process::Command;
use std::time::Duration;

use anyhow::{Result, ensure};
use monitor_tests::{daemon, skip, skip_if};
use serde_json::{Value, json};

use crate::actions::{perl, run, succeed};
use crate::world::{World, assert_fields, text};

fn is_on_host(alert: &Value) {
    let host = [
        ("container.id", json!("host")),
        ("container.name", json!("host")),
        ("container.image.repository", json!("")),
    ];
    assert_fields(alert, &host);
}

#[test]
fn stable_rules_on_the_host() -> Result<()> {
    skip_if!(daemon::obstacle());
    skip_if!(skip::without(&["busybox", "perl", "ip"]));
    let mut world = World::start(None)?;
    shadow_read(&mut world)?;
    shadow_read_through_a_symlink(&mut world)?;
    directory_traversal(&mut world)?;
    shell_below_a_web_server(&mut world)?;
    trusted_program_reads_late(&mut world)?;
    system_user(&mut world)?;
    searches(&mut world)?;
    log_truncation(&mut world)?;
    bulk_removal(&mut world)?;
    links(&mut world)?;
    tracing(&mut world)?;
    shared_memory_execution(&mut world)?;
    fileless_execution(&mut world)?;
    ssh_on_a_web_port(&mut world)?;
    failed_exec(&mut world)
}

/// The test's own name as `proc.pname` shows it.
fn own_name() -> Result<String> {
    Ok(fs::read_to_string("/proc/self/comm")?.trim_end().to_owned())
}

fn shadow_read(world: &mut World) -> Result<()> {
    let rule = "Read sensitive file untrusted";
    let path = world.programs.copy("reader")?;
    let mut cat = Command::new(&path);
    succeed(cat.arg0("cat").arg("/etc/shadow"))?;
    let alert = world.expect(rule, |fields| text(fields, "proc.name") == "reader")?;
    is_on_host(&alert);
    assert_fields(
        &alert,
        &[
            ("fd.name", json!("/etc/shadow")),
            ("user.name", json!("root")),
            ("user.uid", json!(0)),
            ("proc.exepath", json!(path.display().to_string())),
            ("proc.cmdline", json!("reader /etc/shadow")),
            ("proc.pname", json!(parent_of_child()?)),
        ],
    );
    ensure!(
        alert["priority"] == "Warning" && alert["source"] == "syscall",
        "{alert}"
    );
    world.expect_quiet(rule, |_| {
        succeed(Command::new(&path).arg0("cat").arg("/etc/hostname")).map(drop)
    })
}

/// A child's parent is the thread group, whose name is the main thread's.
fn parent_of_child() -> Result<String> {
    own_name()
}

fn shadow_read_through_a_symlink(world: &mut World) -> Result<()> {
    let alias = world.programs.folder().join("alias");
    std::os::unix::fs::symlink("/etc", &alias)?;
    let path = world.programs.copy("linkreader")?;
    succeed(Command::new(path).arg0("cat").arg(alias.join("shadow")))?;
    let rule = "Read sensitive file untrusted";
    let alert = world.expect(rule, |fields| text(fields, "proc.name") == "linkreader")?;
    assert_fields(&alert, &[("fd.name", json!("/etc/shadow"))]);
    Ok(())
}

fn directory_traversal(world: &mut World) -> Result<()> {
    let rule = "Directory traversal monitored file read";
    let spelling = "/tmp/../tmp/../etc/passwd";
    succeed(Command::new("cat").arg(spelling))?;
    let alert = world.expect(rule, |fields| text(fields, "fd.nameraw") == spelling)?;
    is_on_host(&alert);
    assert_fields(
        &alert,
        &[
            ("fd.name", json!("/etc/passwd")),
            ("proc.name", json!("cat")),
        ],
    );
    world.expect_quiet(rule, |_| {
        succeed(Command::new("cat").arg("/etc/passwd")).map(drop)
    })
}

fn shell_below_a_web_server(world: &mut World) -> Result<()> {
    let rule = "Run shell untrusted";
    // The server forks a shell; `exit` keeps it from exec'ing in place.
    let script = "/bin/sh -c 'echo e2e-marker' ; exit 0";
    succeed(&mut world.programs.shell("nginx", script)?)?;
    let marked = |fields: &Value| text(fields, "proc.cmdline").contains("e2e-marker");
    let alert = world.expect(rule, marked)?;
    is_on_host(&alert);
    assert_fields(
        &alert,
        &[("proc.pname", json!("nginx")), ("user.name", json!("root"))],
    );
    world.expect_quiet(rule, |programs| {
        succeed(&mut programs.shell("worker", "/bin/sh -c 'echo e2e' ; exit 0")?).map(drop)
    })
}

fn trusted_program_reads_late(world: &mut World) -> Result<()> {
    let rule = "Read sensitive file trusted after startup";
    // The rule wants a server that runs for more than five seconds; it does not fire before.
    world.expect_quiet(rule, |programs| {
        succeed(&mut programs.shell("httpd", "read line < /etc/shadow")?).map(drop)
    })?;
    let started = std::time::Instant::now();
    let late = "sleep 5.2; read line < /etc/shadow";
    succeed(&mut world.programs.shell("httpd", late)?)?;
    ensure!(started.elapsed() > Duration::from_secs(5));
    let alert = world.expect(rule, |fields| text(fields, "proc.name") == "httpd")?;
    assert_fields(&alert, &[("fd.name", json!("/etc/shadow"))]);
    Ok(())
}

fn system_user(world: &mut World) -> Result<()> {
    let rule = "System user interactive";
    let open = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    fs::set_permissions(world.programs.folder(), open)?;
    let mut session = world
        .programs
        .shell("sshd", "/bin/sh -c 'id; true' ; exit 0")?;
    succeed(session.uid(1).gid(1))?;
    let alert = world.expect(rule, |fields| text(fields, "proc.pname") == "sshd")?;
    is_on_host(&alert);
    assert_fields(
        &alert,
        &[("user.name", json!("daemon")), ("user.uid", json!(1))],
    );
    world.expect_quiet(rule, |programs| {
        let script = "/bin/sh -c 'id; true' ; exit 0";
        succeed(&mut programs.shell("sshd", script)?).map(drop)
    })
}

fn searches(world: &mut World) -> Result<()> {
    let folder = world.programs.folder().display().to_string();
    let keys = "Search Private Keys or Passwords";
    succeed(Command::new("find").args([&folder, "-name", "id_rsa"]))?;
    let alert = world.expect(keys, |fields| text(fields, "proc.name") == "find")?;
    assert_fields(
        &alert,
        &[("proc.cmdline", json!(format!("find {folder} -name id_rsa")))],
    );
    world.expect_quiet(keys, |_| {
        succeed(Command::new("find").args([&folder, "-name", "nothing"])).map(drop)
    })?;

    let aws = "Find AWS Credentials";
    run(Command::new("grep").args(["-r", "aws_secret_access_key", &folder]))?;
    let alert = world.expect(aws, |fields| text(fields, "proc.name") == "grep")?;
    is_on_host(&alert);
    world.expect_quiet(aws, |_| {
        run(Command::new("grep").args(["-r", "x", &folder])).map(drop)
    })
}

fn log_truncation(world: &mut World) -> Result<()> {
    let rule = "Clear Log Activities";
    let log = world.programs.folder().join("syslog");
    fs::write(&log, "line\n")?;
    let truncate = format!(": > {}", log.display());
    succeed(&mut world.programs.shell("wiper", &truncate)?)?;
    let alert = world.expect(rule, |fields| text(fields, "proc.name") == "wiper")?;
    assert_fields(&alert, &[("fd.name", json!(log.display().to_string()))]);
    world.expect_quiet(rule, |programs| {
        let append = format!("echo line >> {}", log.display());
        succeed(&mut programs.shell("wiper", &append)?).map(drop)
    })
}

fn bulk_removal(world: &mut World) -> Result<()> {
    let rule = "Remove Bulk Data from Disk";
    let shred = world.programs.copy("shred")?;
    succeed(Command::new(&shred).arg0("true"))?;
    let alert = world.expect(rule, |fields| text(fields, "proc.name") == "shred")?;
    is_on_host(&alert);
    assert_fields(
        &alert,
        &[("proc.exepath", json!(shred.display().to_string()))],
    );
    Ok(())
}

fn links(world: &mut World) -> Result<()> {
    let folder = world.programs.folder().to_owned();
    let rule = "Create Symlink Over Sensitive Files";
    let link = folder.join("soft");
    succeed(Command::new("ln").arg("-s").arg("/etc/shadow").arg(&link))?;
    let made = |fields: &Value| text(fields, "evt.arg.linkpath").ends_with("/soft");
    let alert = world.expect(rule, made)?;
    assert_fields(
        &alert,
        &[
            ("evt.arg.target", json!("/etc/shadow")),
            ("proc.name", json!("ln")),
        ],
    );
    world.expect_quiet(rule, |_| {
        let link = folder.join("innocent");
        succeed(Command::new("ln").arg("-s").arg("/etc/hostname").arg(&link)).map(drop)
    })?;

    let rule = "Create Hardlink Over Sensitive Files";
    let link = folder.join("hard");
    // Across file systems the call fails; the rule is about the attempt.
    run(Command::new("ln").arg("/etc/shadow").arg(&link))?;
    let alert = world.expect(rule, |fields| text(fields, "proc.name") == "ln")?;
    assert_fields(
        &alert,
        &[
            ("evt.arg.oldpath", json!("/etc/shadow")),
            ("evt.arg.newpath", json!(link.display().to_string())),
        ],
    );
    Ok(())
}

fn tracing(world: &mut World) -> Result<()> {
    let rule = "PTRACE attached to process";
    // PTRACE_ATTACH is 16, PTRACE_DETACH 17, PTRACE_TRACEME 0.
    let attach = "my $p = fork; if (!$p) { sleep 30; exit } \
                  syscall(101, 16, $p, 0, 0); waitpid($p, 0); kill 9, $p; waitpid($p, 0);";
    succeed(&mut perl(attach))?;
    let alert = world.expect(rule, |fields| text(fields, "proc.name") == "perl")?;
    is_on_host(&alert);
    world.expect_quiet(rule, |_| succeed(&mut perl("syscall(39)")).map(drop))?;

    let rule = "PTRACE anti-debug attempt";
    run(&mut perl("syscall(101, 0, 0, 0, 0)"))?;
    let alert = world.expect(rule, |fields| text(fields, "proc.name") == "perl")?;
    assert_fields(
        &alert,
        &[("evt.type", json!("ptrace")), ("user.name", json!("root"))],
    );
    Ok(())
}

fn shared_memory_execution(world: &mut World) -> Result<()> {
    let rule = "Execution from /dev/shm";
    let path = format!("/dev/shm/e2e-{}", std::process::id());
    fs::copy("/bin/true", &path)?;
    let result = succeed(&mut Command::new(&path));
    fs::remove_file(&path)?;
    result?;
    let alert = world.expect(rule, |fields| text(fields, "proc.exepath") == path)?;
    is_on_host(&alert);
    world.expect_quiet(rule, |_| succeed(&mut Command::new("true")).map(drop))
}

fn fileless_execution(world: &mut World) -> Result<()> {
    let rule = "Fileless execution via memfd_create";
    // memfd_create is 319.
    let script = "my $fd = syscall(319, my $name = 'payload', 0); \
                  open(my $out, '>&=', $fd); open(my $in, '<', '/bin/true'); \
                  binmode $out; binmode $in; local $/; print {$out} <$in>; $out->flush; \
                  exec \"/proc/$$/fd/$fd\"";
    let mut perl = Command::new("perl");
    succeed(perl.args(["-MIO::Handle", "-e", script]))?;
    let alert = world.expect(rule, |fields| {
        text(fields, "proc.exepath").contains("payload")
    })?;
    is_on_host(&alert);
    assert_fields(&alert, &[("proc.exepath", json!("memfd:payload"))]);
    world.expect_quiet(rule, |_| succeed(&mut Command::new("true")).map(drop))
}

/// A network of its own, where a documentation address is local.
fn ssh_on_a_web_port(world: &mut World) -> Result<()> {
    let rule = "Disallowed SSH Connection Non Standard Port";
    let connect = |port: u16, address: &str| {
        let client = format!("exec 3<>/dev/tcp/{address}/{port}");
        let script = format!(
            "ip link set lo up; ip addr add {address}/32 dev lo; \
             busybox nc -l -p {port} & \
             for try in 1 2 3 4 5 6 7 8 9; do \
               (exec -a ssh bash -c '{client}') 2>/dev/null && break; busybox sleep 0.1; done; \
             kill %1 2>/dev/null; exit 0"
        );
        succeed(Command::new("unshare").args(["-n", "bash", "-c", &script])).map(drop)
    };
    connect(443, "203.0.113.9")?;
    let alert = world.expect(rule, |fields| {
        text(fields, "fd.name").ends_with("203.0.113.9:443")
    })?;
    is_on_host(&alert);
    assert_fields(
        &alert,
        &[("fd.l4proto", json!("tcp")), ("fd.rport", json!(443))],
    );
    world.expect_quiet(rule, |_| connect(22, "203.0.113.9"))
}

fn failed_exec(world: &mut World) -> Result<()> {
    // Rules on execve see failed calls too, with the caller's own name and arguments.
    let rule = "Run shell untrusted";
    let script = "exec /nonexistent/e2e-program ; exit 0";
    run(&mut world.programs.shell("nginx", script)?)?;
    world.expect_quiet(rule, |_| Ok(()))
}
