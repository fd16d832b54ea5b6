//! Acts of a shell in a container, one for each rule that needs one, or that would change the
//! host.

use anyhow::{Context as _, Result};
use monitor_tests::cgroup;
use monitor_tests::daemon::{Daemon, is_from};
use monitor_tests::docker::Dockerd;

use crate::sandbox::Sandbox;
use crate::world::{PATIENCE, text};

/// `AF_UNIX` and `SOCK_STREAM` are 1. Nobody listens, and the attempt counts.
const CONNECT: &str = "/bin/perl -e 'socket(my $s, 1, 1, 0); \
     connect($s, pack(q(Sa*), 1, qq(/tmp/docker.sock\\0)))'";

/// `AF_INET` is 2, `SOCK_RAW` 3, `IPPROTO_RAW` 255.
const RAW_SOCKET: &str = "/bin/perl -e 'socket(my $s, 2, 3, 255)'";

/// A socket pair passes the open file (`SCM_RIGHTS`); `sendmsg` is 46, `recvmsg` 47.
const PASSED: &str = ": >> /etc/shadow; /bin/perl -e 'open(my $f, q(<), q(/etc/shadow)); \
     socketpair(my $a, my $b, 1, 1, 0); my ($x, $y) = (q(x), q(y)); \
     my ($s, $r) = (pack(q(QIIIx4), 20, 1, 1, fileno($f)), q(.) x 24); \
     my ($v, $w) = (pack(q(PQ), $x, 1), pack(q(PQ), $y, 1)); \
     my $m = pack(q(QQPQPQQ), 0, 0, $v, 1, $s, 24, 0); \
     my $n = pack(q(QQPQPQQ), 0, 0, $w, 1, $r, 24, 0); \
     syscall(46, fileno($a), $m, 0); syscall(47, fileno($b), $n, 0)'";

/// `open_by_handle_at` is 304. No file has this handle, and the attempt counts.
const HANDLE: &str =
    "/bin/perl -e 'syscall(304, -100, my $handle = pack(q(II), 8, 1) . q(01234567), 0)'";

/// What has a connection on a standard stream is netcat's program.
const ON_A_CONNECTION: &str = "/bin/nc -l -p 4444 >/dev/null </dev/null & tries=0; \
     until /bin/nc 127.0.0.1 4444 -e /bin/true || [ $tries -gt 100 ]; \
     do tries=$((tries + 1)); usleep 50000; done";

const TO_AN_ENGINE: &str = "/bin/nc -l -p 2375 >/dev/null </dev/null & tries=0; \
     until /bin/nc 127.0.0.1 2375 </dev/null || [ $tries -gt 100 ]; \
     do tries=$((tries + 1)); usleep 50000; done";

/// In a container as it comes, with a disk by name only and a volume.
const PLAIN: &[(&str, &str)] = &[
    (
        "Kerberos keys read by a general tool",
        "echo > /tmp/krb5cc_0; cat /tmp/krb5cc_0",
    ),
    ("Password file taken over from another process", PASSED),
    ("Environment of another process read", "cat /proc/1/environ"),
    (
        "Kernel hook written from a container",
        "echo /x > /tmp/release_agent",
    ),
    (
        "Device rules of a cgroup written from a container",
        "echo a > /tmp/devices.allow",
    ),
    (
        "Emergency keys of the machine used from a container",
        "echo b > /tmp/sysrq-trigger",
    ),
    ("Container engine reached from a container", CONNECT),
    ("Raw disk or memory opened in a container", "cat /dev/sda"),
    (
        "Device file of a disk or of memory made in a container",
        "/bin/mknod /tmp/e2e-disk b 8 0",
    ),
    (
        "Files of another process reached from a container",
        "cat /proc/1/root/etc/passwd",
    ),
    (
        "Host namespaces entered from a container",
        "/bin/nsenter -t 1 -m true",
    ),
    (
        "File system mounted in a container",
        "/bin/mount -t tmpfs none /tmp",
    ),
    (
        "Kernel module loaded from a container",
        "/bin/insmod /tmp/none.ko",
    ),
    (
        "Command started by a Java program in a container",
        "cp /bin/perl /tmp/java; /tmp/java -e 'system(q(/bin/sh -c :))'",
    ),
    (
        "Package manager run in a container",
        "/bin/dpkg -i /tmp/none.deb",
    ),
    (
        "Management client run in a container",
        "cp /bin/busybox /tmp/kubectl; /tmp/kubectl",
    ),
    (
        "Remote login client run in a container",
        "/bin/telnet 127.0.0.1 1",
    ),
    (
        "Compiler run in a container",
        "cp /bin/busybox /tmp/gcc; /tmp/gcc",
    ),
    (
        "Program that is not part of the image run in a container",
        "cp /bin/busybox /tmp/true; /tmp/true",
    ),
    (
        "Program run from a temporary directory in a container",
        "cp /bin/busybox /var/tmp/true; /var/tmp/true",
    ),
    (
        "Log file emptied",
        "mkdir -p /var/log; : > /var/log/auth.log",
    ),
    (
        "Log file removed",
        "mkdir -p /var/log; : >> /var/log/wtmp; rm /var/log/wtmp",
    ),
    (
        "Shell history destroyed",
        ": >> /root/.ash_history; rm /root/.ash_history",
    ),
    (
        "Time of a system file set by hand",
        "/bin/touch -r /bin/busybox /etc/group",
    ),
    ("Hard link to a protected file", "ln /etc/shadow /tmp/hard"),
    ("Access rules opened to everybody", "chmod 666 /etc/shadow"),
    ("System program changed", "echo > /bin/e2e"),
    (
        "SSH server reconfigured",
        "mkdir -p /etc/ssh; echo > /etc/ssh/sshd_config",
    ),
    ("Account file changed by hand", "echo >> /etc/group"),
    (
        "Account made or changed",
        "ln -s /bin/busybox /tmp/useradd; /tmp/useradd toor",
    ),
    (
        "Right to become root given",
        "mkdir -p /etc/sudoers.d; echo > /etc/sudoers.d/e2e",
    ),
    (
        "Login check changed",
        "mkdir -p /etc/pam.d; echo > /etc/pam.d/e2e",
    ),
    (
        "Library preloaded into every program",
        "echo /tmp/x.so > /etc/ld.so.preload",
    ),
    ("Scheduled job written", "echo > /etc/crontab"),
    (
        "Service of the system written",
        "mkdir -p /etc/systemd/system; echo > /etc/systemd/system/e2e.service",
    ),
    (
        "Command tied to an event of the system",
        "mkdir -p /etc/udev/rules.d; echo > /etc/udev/rules.d/e2e.rules",
    ),
    (
        "Certificate authority added",
        "mkdir -p /usr/local/share/ca-certificates; echo > /usr/local/share/ca-certificates/x.crt",
    ),
    (
        "Container asks for cloud metadata",
        "/bin/nc -w 1 169.254.169.254 80",
    ),
    (
        "Packet socket in a container",
        "/bin/arping -c 1 -w 1 -I lo 127.0.0.1",
    ),
    ("Raw socket in a container", RAW_SOCKET),
    ("Standard stream put onto a connection", ON_A_CONNECTION),
    ("Netcat run in a container", "/bin/nc -w 1 127.0.0.1 1"),
    (
        "Container reaches for the cluster's machinery",
        TO_AN_ENGINE,
    ),
];

/// In a container that may do more than others.
const WITH_RIGHTS: &[(&str, &str)] = &[
    ("File opened by its handle in a container", HANDLE),
    (
        "Namespace entered in a container",
        "/bin/nsenter --net=/proc/1/ns/net true",
    ),
    ("New namespaces made in a container", "/bin/unshare -m true"),
    (
        "Process moved out of its container's cgroup",
        "echo $$ > /host-cgroup/cgroup.procs",
    ),
];

/// With a terminal of docker's.
const TERMINAL: &str = "Shell on a terminal in a container";

/// The rules that have an act here.
pub(super) fn rules() -> impl Iterator<Item = &'static str> {
    let acts = PLAIN.iter().chain(WITH_RIGHTS);
    acts.map(|(rule, _)| *rule).chain([TERMINAL])
}

/// Does everything, and waits for the alert of each.
pub(super) fn all(daemon: &mut Daemon, docker: &Dockerd) -> Result<()> {
    let options = ["--device", "/dev/null:/dev/sda", "--tmpfs", "/var/tmp:exec"];
    let sandbox = Sandbox::start(docker, "e2e-defaults", &options)?;
    for (rule, script) in PLAIN {
        expect(daemon, &sandbox, rule, || sandbox.sh(script))?;
    }
    expect(daemon, &sandbox, TERMINAL, || {
        docker
            .cli(&["exec", "-t", &sandbox.name, "sh", "-c", ":"])
            .map(drop)
    })?;
    let cgroups = format!("{}:/host-cgroup", cgroup::unified()?.display());
    let rights = [
        "--volume",
        &cgroups,
        "--cap-add=SYS_ADMIN",
        "--cap-add=DAC_READ_SEARCH",
        "--security-opt=seccomp=unconfined",
    ];
    let sandbox = Sandbox::start(docker, "e2e-defaults-rights", &rights)?;
    for (rule, script) in WITH_RIGHTS {
        expect(daemon, &sandbox, rule, || sandbox.sh(script))?;
    }
    Ok(())
}

fn expect(
    daemon: &mut Daemon,
    sandbox: &Sandbox<'_>,
    rule: &str,
    act: impl FnOnce() -> Result<()>,
) -> Result<()> {
    let mark = daemon.mark()?;
    act()?;
    let fits = |alert: &serde_json::Value| {
        is_from(alert, rule) && text(&alert["output_fields"], "container.name") == sandbox.name
    };
    daemon
        .wait_for_since(mark, rule, PATIENCE, fits)
        .map(drop)
        .with_context(|| rule.to_owned())
}
